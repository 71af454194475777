use model::import::{Field, Row, UnreadableRow};
use model::without_marks;

use crate::customers_batch::{Problem, RowProblem};

/// Rows that one request may have: as many as can be written within API Gateway's time-out.
pub const MOST_ROWS: usize = 20_000;
/// Passwords and PINs that one request may have: as many as can be hashed within that time, 24 ms each on one of two
/// processors.
pub const MOST_SECRETS: usize = 500;

/// What spreadsheets write in front of UTF-8: not part of the data.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The lines of some data: each line that is not blank is a row, ignored, or failed.
#[derive(Debug, Default)]
pub(super) struct Lines {
    pub(super) rows: Vec<Row>,
    /// The first line, if it repeats the headers.
    pub(super) ignored: Vec<RowProblem>,
    /// Those that can't be read.
    pub(super) failed: Vec<RowProblem>,
    /// The contents of the ignored and the failed ones.
    pub(super) unreadable: Vec<UnreadableRow>,
}

/// Reads the lines of some data.
pub(super) fn read_rows(data: &[u8], delimiter: u8, columns: &[Field]) -> Result<Lines, Problem> {
    let data = data.strip_prefix(BYTE_ORDER_MARK).unwrap_or(data);
    let is_blank = |line: &&[u8]| line.iter().all(|byte| byte.is_ascii_whitespace() && *byte != delimiter);
    // A line ends with either or both: between the two is a blank line.
    let lines: Vec<&[u8]> = data.split(|byte| matches!(byte, b'\n' | b'\r')).filter(|line| !is_blank(line)).collect();
    if lines.is_empty() {
        return Err(Problem::of("profiles_data", "holds no row"));
    }
    expect_at_most(MOST_ROWS, lines.len(), "rows")?;
    let mut read = Lines { rows: Vec::with_capacity(lines.len()), ..Lines::default() };
    for (number, line) in (1..).zip(lines) {
        let unreadable = || UnreadableRow { number, bytes: line.to_owned() };
        if number == 1 && repeats_headers(line, delimiter, columns) {
            read.ignored.push(RowProblem { row: number, reason: "repeats the headers".to_owned() });
            read.unreadable.push(unreadable());
            continue;
        }
        match values(line, delimiter, columns) {
            Ok(values) => read.rows.push(Row::new(number, values)),
            Err(reason) => {
                read.failed.push(RowProblem { row: number, reason });
                read.unreadable.push(unreadable());
            }
        }
    }
    let secrets = read.rows.iter().flat_map(Row::given).filter(|(field, _)| field.is_secret()).count();
    expect_at_most(MOST_SECRETS, secrets, "passwords and PINs")?;
    Ok(read)
}

/// Files often begin with the names of their columns: a first row with `first_name` as the first name is no customer.
fn repeats_headers(line: &[u8], delimiter: u8, columns: &[Field]) -> bool {
    let Ok(line) = std::str::from_utf8(line) else { return false };
    let names = line.split(char::from(delimiter)).map(|name| Field::from_name(name.trim()));
    names.eq(columns.iter().copied().map(Some))
}

fn expect_at_most(most: usize, count: usize, what: &str) -> Result<(), Problem> {
    if count <= most {
        return Ok(());
    }
    let requests = count.div_ceil(most);
    Err(Problem::of(
        "profiles_data",
        format!("has {count} {what}; one request takes at most {most}: send it as {requests} requests"),
    ))
}

/// What a row gives; blank values are left out.
fn values(line: &[u8], delimiter: u8, columns: &[Field]) -> Result<Vec<(Field, String)>, String> {
    let line = std::str::from_utf8(line).map_err(|_| "is not UTF-8".to_owned())?;
    let count = line.bytes().filter(|byte| *byte == delimiter).count() + 1;
    if count != columns.len() {
        let wanted = columns.len();
        return Err(format!("has {count} columns, and the headers name {wanted}"));
    }
    let mut values = Vec::with_capacity(count);
    for (field, value) in columns.iter().zip(line.split(char::from(delimiter))) {
        let value = match field {
            // The marks are invisible: with them, it would be another customer's id.
            Field::Code | Field::CardNumber | Field::Email => without_marks(value),
            _ => value.to_owned(),
        };
        let value = value.trim();
        if !value.is_empty() {
            field.check(value).map_err(|problem| format!("column `{}`: {problem}", field.name()))?;
            values.push((*field, value.to_owned()));
        }
    }
    if values.is_empty() { Err("every column is blank".to_owned()) } else { Ok(values) }
}
