use std::borrow::Cow;
use std::fmt;
use std::io::Read;

use model::import::{Field, Overwrite};
use model::{Address, Customer};
use thiserror::Error;

use super::{Access, MOST_ROWS, Version};
use crate::handler::{Flow, Handler};
use crate::parse_context::ParseContext;
use crate::picked;
use crate::scan::Scanner;
use crate::source_message::{SourceMessage, sanitized, shown};
use crate::tag::StartTag;
use crate::{Limits, ReadError};

/// The columns of every row that we send, in the source's order.
pub const SENT_COLUMNS: [Field; 12] = [
    Field::Code,
    Field::FirstName,
    Field::LastName,
    Field::Email,
    Field::Phone,
    Field::CustomDate,
    Field::Street1,
    Field::Street2,
    Field::City,
    Field::State,
    Field::PostalCode,
    Field::Country,
];

/// The delimiters and their names, the best first. The last columns of a row are often empty: a receiver that trims
/// lines would take the tabs between them away.
const DELIMITERS: [(char, &str); 3] = [('|', "pipe"), (',', "comma"), ('\t', "tab")];

/// Bytes of the rows of one request, before they are encoded for it: three times as much is what PHP and API Gateway
/// take without being told.
const MOST_BYTES: usize = 1024 * 1024;

/// A customer as a row.
#[derive(Clone, PartialEq, Eq)]
pub struct RowToSend([String; SENT_COLUMNS.len()]);

/// No data of a customer may be logged.
impl fmt::Debug for RowToSend {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("RowToSend").finish_non_exhaustive()
    }
}

/// Why a customer can't be sent as a row.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RowError {
    /// Lines end rows.
    #[error("column `{column}`: holds a line end, which would end the row")]
    LineEnd {
        /// The column's name.
        column: Cow<'static, str>,
    },
    /// No such value can stand in the column.
    #[error("column `{column}`: {problem}")]
    Value {
        /// The column's name.
        column: Cow<'static, str>,
        /// What is wrong, without the value.
        problem: String,
    },
    /// There is no quoting.
    #[error("its values hold a pipe, a comma and a tab: none is left to stand between them")]
    NoDelimiter,
}

impl RowToSend {
    /// The row of a customer:
    ///
    /// | column | value |
    /// |---|---|
    /// | `code` | the public id, by which the receiver finds the customer again |
    /// | `first_name`, `last_name` | those; if there is neither, the display name is the `last_name` |
    /// | `email`, `phone` | the primary one, else the first; an address that is known to be bad comes last |
    /// | `custom_date` | the date of birth, if it is a date |
    /// | `street1` … `country` | the primary address, else the first; `street2` holds all lines after the first |
    ///
    /// A customer that was deleted has a `code` and nothing else.
    ///
    /// # Errors
    /// If it can't be expressed in this dialect.
    pub fn of(customer: &Customer) -> Result<Self, RowError> {
        let content = &customer.content;
        let text = |value: Option<&str>| picked::text(value).to_owned();
        let (first_name, mut last_name) = (text(content.name.first.as_deref()), text(content.name.last.as_deref()));
        if first_name.is_empty() && last_name.is_empty() {
            last_name = text(content.name.display.as_deref());
        }
        let email = picked::emails(content).into_iter().next().map(|(address, _)| address);
        let nowhere = Address::default();
        let address = picked::address(content).unwrap_or(&nowhere);
        let [street1, street2] = picked::two_lines(address);
        let values = [
            customer.id().to_string(),
            first_name,
            last_name,
            email.unwrap_or_default(),
            text(picked::phone(content).map(|phone| phone.number.as_str())),
            text(picked::birth_date(content)),
            street1,
            street2,
            text(address.city.as_deref()),
            text(address.region.as_deref()),
            text(address.postal_code.as_deref()),
            text(address.country.as_deref()),
        ];
        for (column, value) in SENT_COLUMNS.into_iter().zip(&values).filter(|(_, value)| !value.is_empty()) {
            if value.contains(['\n', '\r']) {
                return Err(RowError::LineEnd { column: column.name() });
            }
            column.check(value).map_err(|problem| RowError::Value { column: column.name(), problem })?;
        }
        let row = Self(values);
        if row.delimiters() == 0 { Err(RowError::NoDelimiter) } else { Ok(row) }
    }

    /// Which of [`DELIMITERS`] stand in no value: a bit for each.
    fn delimiters(&self) -> u8 {
        let is_free = |delimiter: char| !self.0.iter().any(|value| value.contains(delimiter));
        let bits = DELIMITERS.iter().enumerate().map(|(place, (delimiter, _))| u8::from(is_free(*delimiter)) << place);
        bits.sum()
    }

    /// Bytes of the line, with its end.
    fn length(&self) -> usize {
        self.0.iter().map(|value| value.len() + 1).sum()
    }
}

/// How a receiver wants its batches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dialect {
    /// The version that it speaks.
    pub version: Version,
    /// What becomes of customers that it has already.
    pub overwrite: Overwrite,
    /// The campaigns that customers belong to: at least one.
    pub campaigns: Vec<String>,
}

/// Rows for one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchToSend {
    /// Its place in [`DELIMITERS`].
    delimiter: usize,
    /// The places of its rows among those that it was made of, in their order.
    pub places: Vec<usize>,
}

/// Distributes rows over requests: over one, unless values hold delimiters, or one request can't take all. Every place
/// is in one batch. A customer should have one row among them: the order of two in different batches is lost.
pub fn batches_of(rows: &[RowToSend]) -> Vec<BatchToSend> {
    let free: Vec<u8> = rows.iter().map(RowToSend::delimiters).collect();
    let all_sets = 1_u8..1 << DELIMITERS.len();
    // The fewest delimiters of which each row can have one, and of as few the best.
    let needed = all_sets
        .filter(|set| free.iter().all(|free| free & set != 0))
        .min_by_key(|set| (set.count_ones(), *set))
        .unwrap_or(u8::MAX);
    let mut batches = Vec::new();
    for delimiter in 0..DELIMITERS.len() {
        let mut batch = BatchToSend { delimiter, places: Vec::new() };
        let mut bytes = 0;
        for (place, row) in rows.iter().enumerate() {
            if (free[place] & needed).trailing_zeros() as usize != delimiter {
                continue;
            }
            if batch.places.len() == MOST_ROWS || (bytes + row.length() > MOST_BYTES && bytes > 0) {
                batches.push(BatchToSend { delimiter, places: std::mem::take(&mut batch.places) });
                bytes = 0;
            }
            bytes += row.length();
            batch.places.push(place);
        }
        if !batch.places.is_empty() {
            batches.push(batch);
        }
    }
    batches
}

impl BatchToSend {
    /// The fields of the request, secret included; `rows` are those that the batch was made of.
    ///
    /// # Panics
    /// If there are fewer rows than the batch was made of.
    pub fn form(&self, rows: &[RowToSend], access: &Access, dialect: &Dialect) -> Vec<(Cow<'static, str>, String)> {
        let (delimiter, delimiter_name) = DELIMITERS[self.delimiter];
        let mut form: Vec<(Cow<'static, str>, String)> = vec![
            ("type".into(), "customers_batch".to_owned()),
            ("output".into(), "XML".to_owned()),
            ("user_id".into(), access.user_id.clone()),
            ("account_id".into(), access.account_id.clone()),
            ("delimiter".into(), delimiter_name.to_owned()),
            ("overwrite_duplicates".into(), overwrite_name(dialect.overwrite).to_owned()),
        ];
        let data_name = match dialect.version {
            Version::Legacy => {
                form.push(("user_password".into(), access.secret.clone()));
                form.push(("campaigns_to_include".into(), dialect.campaigns.join("|,|")));
                form.push(("no_undo".into(), "yes".to_owned()));
                "Profiles_Data"
            }
            Version::V1_5 => {
                form.push(("API".into(), "1.5".to_owned()));
                form.push(("user_api_key".into(), access.secret.clone()));
                form.push(("campaigns_to_include".into(), dialect.campaigns.join(",")));
                "profiles_data"
            }
        };
        for (number, column) in (1..).zip(SENT_COLUMNS) {
            form.push((format!("profiles_header_{number}").into(), column.name().into_owned()));
        }
        let mut data = String::with_capacity(self.places.iter().map(|place| rows[*place].length()).sum());
        for place in &self.places {
            for (column, value) in rows[*place].0.iter().enumerate() {
                if column > 0 {
                    data.push(delimiter);
                }
                data.push_str(value);
            }
            data.push('\n');
        }
        form.push((data_name.into(), data));
        form
    }
}

fn overwrite_name(overwrite: Overwrite) -> &'static str {
    match overwrite {
        Overwrite::Yes => "yes",
        Overwrite::Update => "update",
        Overwrite::Ignore => "ignore",
    }
}

/// What a receiver says of a batch. Rows that it counts as neither were ignored or refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BatchAnswer {
    /// Rows that brought a customer.
    pub new: u64,
    /// Rows with an existing customer.
    pub updated: u64,
}

/// Reads the answer to a batch, whatever the HTTP status that it came with: the dialect says in the document alone
/// whether the batch was imported. An `&` that stands for itself, as real receivers write it, is read as such; what
/// looks like an entity then is left out.
///
/// # Errors
/// [`ReadError::Source`] if the receiver says that it failed, [`ReadError::Unexpected`] if it says neither, and every
/// other [`ReadError`] that a document can cause.
pub fn read_batch_answer(input: impl Read, limits: &Limits) -> Result<BatchAnswer, ReadError> {
    let mut scanner = Scanner::new(input, None, *limits, AnswerHandler::default());
    scanner.run()?;
    let AnswerHandler { new, updated, .. } = scanner.dispatcher.handler;
    Ok(BatchAnswer { new: new.unwrap_or(0), updated: updated.unwrap_or(0) })
}

#[derive(Default)]
struct AnswerHandler {
    /// What the document's element says of itself.
    status: Option<Status>,
    /// The part that is being read, and the depth of its element.
    listening: Option<(Part, usize)>,
    words: SourceMessage,
    error: String,
    new: Option<u64>,
    updated: Option<u64>,
}

#[derive(Clone, Copy)]
enum Status {
    Success,
    Error,
}

#[derive(Clone, Copy)]
enum Part {
    Error,
    New,
    Updated,
}

impl Handler for AnswerHandler {
    fn start(&mut self, tag: &StartTag<'_>, document: &mut ParseContext) -> Result<(), ReadError> {
        document.check_depth()?;
        if document.depth() == 1 && tag.folded == "response" {
            self.status = tag.attributes().find(|(name, _)| name.eq_ignore_ascii_case("status")).and_then(status_of);
        }
        if self.listening.is_some() {
            return Ok(());
        }
        let part = match tag.folded {
            // Deeper inside, it would be about one row.
            "error" if document.depth() <= 2 && self.error.is_empty() => Part::Error,
            "new" if self.new.is_none() => Part::New,
            "updated" if self.updated.is_none() => Part::Updated,
            _ => return Ok(()),
        };
        self.words.clear();
        self.listening = Some((part, document.depth()));
        Ok(())
    }

    fn text(&mut self, piece: &str, document: &ParseContext) -> Result<(), ReadError> {
        document.check_text_length()?;
        if self.listening.is_some() {
            self.words.push(piece);
        }
        Ok(())
    }

    /// `R&D;` is text of a receiver that escapes nothing.
    fn unknown_entity(&mut self, _: &ParseContext) -> Result<(), ReadError> {
        Ok(())
    }

    fn end(&mut self, document: &mut ParseContext) -> Result<Flow, ReadError> {
        let Some((part, depth)) = self.listening else { return Ok(Flow::Continue) };
        if depth == document.depth() {
            self.listening = None;
            let words = sanitized(self.words.as_str());
            let count = || words.parse().map(Some).map_err(|_| document.unexpected("no count of customers"));
            match part {
                Part::Error => self.error = words,
                Part::New => self.new = count()?,
                Part::Updated => self.updated = count()?,
            }
        }
        Ok(Flow::Continue)
    }

    fn finish(&mut self, document: &ParseContext) -> Result<(), ReadError> {
        match self.status {
            _ if !self.error.is_empty() => Err(ReadError::Source { message: shown(&self.error) }),
            Some(Status::Error) => Err(ReadError::Source { message: "an error without a message".to_owned() }),
            Some(Status::Success) if self.new.is_some() || self.updated.is_some() => Ok(()),
            Some(Status::Success) => Err(document.unexpected("neither `new` nor `updated`, which count customers")),
            None => Err(document.unexpected("no `response` whose `status` is success or error")),
        }
    }
}

fn status_of((_, status): (&str, &str)) -> Option<Status> {
    match status.trim() {
        it if it.eq_ignore_ascii_case("success") => Some(Status::Success),
        it if it.eq_ignore_ascii_case("error") => Some(Status::Error),
        _ => None,
    }
}
