//! `multipart/form-data` (RFC 7578) of a body that is in memory. The crates for it read asynchronous streams; there are
//! none here.

use memchr::memmem;

use crate::customers_batch::Problem;

/// Names and values as they were sent.
pub(super) type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

/// RFC 2046's bound for a boundary.
const LONGEST_BOUNDARY: usize = 70;

/// Names and values of all parts, in their order.
pub(super) fn read(content_type: &str, body: &[u8]) -> Result<Pairs, Problem> {
    let boundary = parameter(content_type, "boundary").filter(|text| (1..=LONGEST_BOUNDARY).contains(&text.len()));
    let boundary = boundary.ok_or_else(|| Problem("the multipart form names no usable boundary".to_owned()))?;
    let first = format!("--{boundary}");
    let next = format!("\r\n{first}");
    let finder = memmem::Finder::new(&next);

    // What comes before the first boundary is no part.
    let mut rest = if body.starts_with(first.as_bytes()) {
        &body[first.len()..]
    } else {
        let begin = finder.find(body).ok_or_else(cut_off)?;
        &body[begin + next.len()..]
    };
    let mut fields = Vec::new();
    while !rest.starts_with(b"--") {
        let headers_end = memmem::find(rest, b"\r\n\r\n").ok_or_else(cut_off)?;
        let name = name_of(&rest[..headers_end])?;
        let content = &rest[headers_end + 4..];
        let end = finder.find(content).ok_or_else(cut_off)?;
        fields.push((name, content[..end].to_vec()));
        rest = &content[end + next.len()..];
    }
    Ok(fields)
}

fn cut_off() -> Problem {
    Problem("the multipart form is cut off".to_owned())
}

/// The name in a part's `Content-Disposition`.
fn name_of(headers: &[u8]) -> Result<Vec<u8>, Problem> {
    let headers = String::from_utf8_lossy(headers);
    let disposition = headers.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.trim().eq_ignore_ascii_case("content-disposition").then_some(value)
    });
    let name = disposition.and_then(|value| parameter(value, "name"));
    name.map(String::into_bytes).ok_or_else(|| Problem("a part of the multipart form has no name".to_owned()))
}

/// A parameter of a header's value: `…; name="text"`, with or without the quotes.
fn parameter(value: &str, wanted: &str) -> Option<String> {
    let mut rest = value.split_once(';')?.1;
    loop {
        let (name, after) = rest.split_once('=')?;
        let (text, after) = match after.strip_prefix('"') {
            Some(quoted) => {
                let (text, after) = quoted.split_once('"')?;
                (text, after.trim_start().strip_prefix(';').unwrap_or_default())
            }
            None => after.split_once(';').unwrap_or((after, "")),
        };
        if name.trim().eq_ignore_ascii_case(wanted) {
            return Some(text.trim().to_owned());
        }
        rest = after;
    }
}
