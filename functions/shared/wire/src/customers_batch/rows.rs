use model::import::{Field, Row};

use crate::customers_batch::{MOST_ROWS, Problem, RowProblem};

/// The rows that can be read, and those that can't: each line that holds something is one or the other.
pub(super) fn read_rows(data: &[u8], delimiter: u8, columns: &[Field]) -> Result<(Vec<Row>, Vec<RowProblem>), Problem> {
    let is_blank = |line: &&[u8]| line.iter().all(|byte| byte.is_ascii_whitespace() && *byte != delimiter);
    // A line ends with either or both: what is between the two is a line that holds nothing.
    let lines: Vec<&[u8]> = data.split(|byte| matches!(byte, b'\n' | b'\r')).filter(|line| !is_blank(line)).collect();
    if lines.is_empty() {
        return Err(Problem::of("profiles_data", "holds no row"));
    }
    if lines.len() > MOST_ROWS {
        return Err(Problem::of(
            "profiles_data",
            format!(
                "has {} rows; one request takes at most {MOST_ROWS}: send it as {} requests",
                lines.len(),
                lines.len().div_ceil(MOST_ROWS)
            ),
        ));
    }
    let mut rows = Vec::with_capacity(lines.len());
    let mut failed = Vec::new();
    for (row, line) in (1..).zip(lines) {
        match values(line, delimiter, columns) {
            Ok(values) => rows.push(Row::new(row, values)),
            Err(reason) => failed.push(RowProblem { row, reason }),
        }
    }
    Ok((rows, failed))
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
        let value = value.trim();
        if !value.is_empty() {
            field.check(value).map_err(|problem| format!("column `{}`: {problem}", field.name()))?;
            values.push((*field, value.to_owned()));
        }
    }
    if values.is_empty() { Err("every column is blank".to_owned()) } else { Ok(values) }
}
