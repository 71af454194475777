use std::hint::black_box;

use wire::Limits;
use wire::customers_batch::{
    Answer, Form, MOST_ROWS, expect_batch, read_access, read_batch_answer, read_output, read_request,
};

use super::{across_a_chunk, kind};
use crate::generate::hash;
use crate::{Target, budget};

/// A whole body, as most senders send it.
pub(super) const FORM: Target = Target {
    peak: budget::PEAK_OF_ROWS,
    name: "batch-form",
    read: |input| read(Some("application/x-www-form-urlencoded"), input),
    holds: |input| {
        let Ok(form) = Form::read(None, input) else { return };
        let (output, _) = read_output(&form);
        if let Ok(request) = read_request(&form) {
            let import = &request.import;
            let ended = request.ignored.len() + request.failed.len();
            assert_eq!(import.unreadable.len(), ended, "every line that is no row is kept for the fingerprint");
            assert!(import.rows.len() + ended <= MOST_ROWS && !import.campaigns.is_empty());
            let mut numbers: Vec<u32> = import.rows.iter().map(|row| row.number).collect();
            numbers.extend(request.ignored.iter().chain(&request.failed).map(|row| row.row));
            numbers.sort_unstable();
            assert!(numbers.iter().copied().eq(1..=u32::try_from(numbers.len()).unwrap()), "a row that is lost");
        }
        // Whatever was asked for, the answer is a document of the form that its media type says.
        let error = Answer::Error(String::from_utf8_lossy(input).into_owned());
        let (media_type, text) = error.render(&output);
        if media_type.contains("json") {
            let answer: serde_json::Value = serde_json::from_str(&text).expect("an answer in JSON is JSON");
            assert_eq!(answer["status"], "error");
        }
    },
};

/// A body in parts. Its first line is the boundary.
pub(super) const MULTIPART: Target = Target {
    peak: budget::PEAK_OF_ROWS,
    name: "batch-multipart",
    read: |input| {
        let (boundary, body) = cut_at_line(input);
        read(Some(&format!("multipart/form-data; boundary={}", String::from_utf8_lossy(boundary))), body);
    },
    holds: super::nothing_else,
};

fn read(content_type: Option<&str>, body: &[u8]) {
    let Ok(form) = Form::read(content_type, body) else { return };
    let _ = black_box(read_output(&form));
    let _ = black_box(expect_batch(&form));
    let _ = black_box(read_access(&form, None));
    let _ = black_box(read_request(&form));
}

/// Rows alone. The first line says how they are delimited, and then the names of the columns.
pub(super) const ROWS: Target = Target {
    peak: budget::PEAK_OF_ROWS,
    name: "batch-rows",
    read: |input| {
        if let Ok(form) = Form::read(Some(PARTS), &form_of_rows(input)) {
            let _ = black_box(read_request(&form));
        }
    },
    holds: |input| {
        let read = |input: &[u8]| Form::read(Some(PARTS), &form_of_rows(input)).ok().map(|form| read_request(&form));
        let (head, rows) = cut_at_line(input);
        // White space at either end, and blank lines, are no rows.
        let padded = [head, b"\n\n \r\n", rows, b"\r\n\r\n"].concat();
        if !rows.starts_with(b"\xef\xbb\xbf") {
            assert_eq!(read(input), read(&padded), "blank lines");
        }
    },
};

/// What a receiver answers to a batch that we sent.
pub(super) const ANSWER: Target = Target {
    peak: budget::PEAK,
    name: "batch-answer",
    read: |input| {
        let _ = black_box(read_batch_answer(input, &Limits::of_batch_answer()));
    },
    holds: |input| {
        let read = |input: &[u8]| read_batch_answer(input, &Limits::of_batch_answer()).map_err(|error| kind(&error));
        if let Some(padded) = across_a_chunk(input, hash(input)) {
            assert_eq!(read(input), read(&padded), "an answer across two chunks");
        }
        if let Err(error) = read_batch_answer(input, &Limits::of_batch_answer()) {
            assert!(!error.to_string().contains("jane@example.org"), "an error repeats data");
        }
    },
};

const PARTS: &str = "multipart/form-data; boundary=2fae94d1";

fn form_of_rows(input: &[u8]) -> Vec<u8> {
    let (head, rows) = cut_at_line(input);
    let mut names = head.split(|byte| *byte == b',');
    let mut body = Vec::with_capacity(input.len() + 2_048);
    let mut field = |name: &str, value: &[u8]| {
        body.extend_from_slice(b"--2fae94d1\r\nContent-Disposition: form-data; name=\"");
        body.extend_from_slice(name.as_bytes());
        body.extend_from_slice(b"\"\r\n\r\n");
        body.extend_from_slice(value);
        body.extend_from_slice(b"\r\n");
    };
    field("delimiter", names.next().unwrap_or_default());
    field("campaigns_to_include", b"1");
    for (number, name) in (1..=30).zip(names) {
        field(&format!("profiles_header_{number}"), name);
    }
    field("profiles_data", rows);
    body.extend_from_slice(b"--2fae94d1--\r\n");
    body
}

fn cut_at_line(input: &[u8]) -> (&[u8], &[u8]) {
    match input.iter().position(|byte| *byte == b'\n') {
        Some(at) => (&input[..at], &input[at + 1..]),
        None => (input, b""),
    }
}
