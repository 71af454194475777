use std::collections::{BTreeSet, HashSet};
use std::fmt;

use model::import::{Field, Overwrite, Request};
use serde::{Deserialize, Serialize};

use crate::customers_batch::form::{Form, is_yes};
use crate::customers_batch::problem::shown;
use crate::customers_batch::rows::{Lines, read_rows};
use crate::customers_batch::{Problem, RowProblem};

/// The highest number of a header, and the most headers.
const LAST_HEADER: u32 = 200;
const HEADER: &str = "profiles_header_";
const MOST_CARD_DIGITS: u8 = 30;

/// Which version of the dialect a request speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Version {
    /// The first, which gives no version.
    #[default]
    #[serde(rename = "legacy")]
    Legacy,
    /// `API=1.5`.
    #[serde(rename = "1.5")]
    V1_5,
}

/// The credentials of a request, and its account.
#[derive(Clone, PartialEq, Eq)]
pub struct Access {
    /// The user's name.
    pub user_id: String,
    /// The user's password or key.
    pub secret: String,
    /// The account to import into.
    pub account_id: String,
}

/// The user alone.
impl fmt::Debug for Access {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Access").field("user_id", &self.user_id).finish_non_exhaustive()
    }
}

/// A request to import customers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchRequest {
    /// What can be imported.
    pub import: Request,
    /// The rows that are no customers: repeated headers.
    pub ignored: Vec<RowProblem>,
    /// The rows that can't be read.
    pub failed: Vec<RowProblem>,
    /// Whether the import can be undone later.
    pub saves_undo: bool,
}

/// The credentials. `header` is the value of `api_access_key`, if it was sent.
///
/// # Errors
/// If the version is unknown, or something is missing.
pub fn read_access(form: &Form, header: Option<&str>) -> Result<Access, Problem> {
    let secret = match (version(form)?, header) {
        (Version::Legacy, _) => form.required("user_password")?,
        (Version::V1_5, Some(header)) => header.trim(),
        (Version::V1_5, None) => form.required("user_api_key")?,
    };
    Ok(Access {
        user_id: form.required("user_id")?.to_owned(),
        secret: secret.to_owned(),
        account_id: form.required("account_id")?.to_owned(),
    })
}

/// Checks that the request has the supported type.
///
/// # Errors
/// If its type is missing, or another.
pub fn expect_batch(form: &Form) -> Result<(), Problem> {
    match form.required("type")? {
        "customers_batch" => Ok(()),
        other => {
            let name = shown(other).unwrap_or_else(|| "of that name".to_owned());
            Err(Problem::of("type", format!("there is no {name} here; known is `customers_batch`")))
        }
    }
}

/// Reads what is to be imported.
///
/// # Errors
/// The first problem of the request. Problems of single rows stand beside the others.
pub fn read_request(form: &Form) -> Result<BatchRequest, Problem> {
    let version = version(form)?;
    let delimiter = match form.required("delimiter")? {
        "pipe" => b'|',
        "comma" => b',',
        "tab" => b'\t',
        _ => return Err(Problem::of("delimiter", "must be `pipe`, `comma` or `tab`")),
    };
    let overwrite = match form.text("overwrite_duplicates")? {
        Some("yes") => Overwrite::Yes,
        Some("update") => Overwrite::Update,
        Some("ignore") | None => Overwrite::Ignore,
        Some(_) => return Err(Problem::of("overwrite_duplicates", "must be `yes`, `update` or `ignore`")),
    };
    let saves_undo = match version {
        Version::Legacy => !is_yes(form.text("no_undo")?),
        Version::V1_5 => is_yes(form.text("allow_undo")?),
    };
    let campaigns = campaigns(version, form.required("campaigns_to_include")?)?;
    let card_digits = card_digits(form)?;
    let columns = columns(version, form)?;
    let data = form.bytes("profiles_data").ok_or_else(|| Problem::of("profiles_data", "is missing"))?;
    let Lines { rows, ignored, failed, unreadable } = read_rows(data, delimiter, &columns)?;
    let import = Request { overwrite, campaigns, card_digits, rows, unreadable };
    Ok(BatchRequest { import, ignored, failed, saves_undo })
}

fn version(form: &Form) -> Result<Version, Problem> {
    match form.text("API")? {
        None => Ok(Version::Legacy),
        Some("1.5") => Ok(Version::V1_5),
        Some(_) => Err(Problem::of("API", "must be 1.5, or be left out")),
    }
}

fn campaigns(version: Version, list: &str) -> Result<Vec<String>, Problem> {
    let (separator, name) = match version {
        Version::Legacy => ("|,|", "pipe comma pipe"),
        Version::V1_5 => (",", "commas"),
    };
    let mut campaigns: Vec<String> = Vec::new();
    let mut seen = HashSet::new();
    for campaign in list.split(separator).map(str::trim) {
        if campaign.is_empty() {
            return Err(Problem::of(
                "campaigns_to_include",
                format!("holds an empty one; they are separated by {name}"),
            ));
        }
        if seen.insert(campaign) {
            campaigns.push(campaign.to_owned());
        }
    }
    Ok(campaigns)
}

fn card_digits(form: &Form) -> Result<Option<u8>, Problem> {
    let Some(text) = form.text("card_number_generate")? else { return Ok(None) };
    let digits = text.parse().ok().filter(|digits| (1..=MOST_CARD_DIGITS).contains(digits));
    let problem = format!("must be a number of digits from 1 to {MOST_CARD_DIGITS}");
    digits.map(Some).ok_or_else(|| Problem::of("card_number_generate", problem))
}

/// The columns of the data, in their order.
fn columns(version: Version, form: &Form) -> Result<Vec<Field>, Problem> {
    let mut numbers = BTreeSet::new();
    for name in form.names() {
        let Some(number) = name.strip_prefix(HEADER) else { continue };
        // A blank header is none, and `01` would be a second 1.
        if form.text(name)?.is_some() {
            let number = number
                .parse()
                .ok()
                .filter(|known: &u32| (1..=LAST_HEADER).contains(known) && known.to_string() == number);
            let problem = || Problem(format!("`{HEADER}…`: headers are numbered from 1 to {LAST_HEADER}"));
            numbers.insert(number.ok_or_else(problem)?);
        }
    }
    let mut columns = Vec::new();
    let mut last = 0;
    for number in numbers {
        let name = format!("{HEADER}{number}");
        if number > last + 2 {
            return Err(Problem::of(&name, format!("more than one number is left out before it, from {}", last + 1)));
        }
        last = number;
        let column = column(version, form.required(&name)?).map_err(|problem| Problem::of(&name, problem))?;
        if columns.contains(&column) {
            return Err(Problem::of(&name, format!("the column `{}` is there already", column.name())));
        }
        columns.push(column);
    }
    if columns.is_empty() {
        return Err(Problem(format!("`{HEADER}1`: is missing")));
    }
    Ok(columns)
}

fn column(version: Version, name: &str) -> Result<Field, String> {
    match (version, Field::from_name(name)) {
        (Version::V1_5, Some(Field::CustomField(0))) => {
            Err("`custom_field` is a column of the legacy version; with API=1.5 it is `custom_field_1`".to_owned())
        }
        (Version::Legacy, Some(Field::CustomField(number))) if number > 0 => {
            Err(format!("`custom_field_{number}` is a column of API=1.5; in the legacy version it is `custom_field`"))
        }
        (_, Some(field)) => Ok(field),
        (version, None) => {
            let name = shown(name).unwrap_or_else(|| "of that name".to_owned());
            let custom = |field: Field| match (version, field) {
                (Version::V1_5, Field::CustomField(0)) => "custom_field_1".into(),
                _ => field.name(),
            };
            let known: Vec<_> = Field::all().map(custom).collect();
            Err(format!("there is no column {name}; known are {}", known.join(", ")))
        }
    }
}
