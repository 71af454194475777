//! Reading a form into a batch. An error is a sentence for the client.

use axum::http::HeaderMap;

use super::{
    settings::LoyaltySettings,
    types::{ApiVersion, BatchSeen, Delimiter, DuplicateHandling},
};

/// A form's fields. As in PHP, the last one of a name counts, and the case of a name matters.
pub(super) struct Fields(Vec<(String, String)>);

impl Fields {
    pub(super) fn parse(body: &[u8]) -> Self {
        Self(form_urlencoded::parse(body).into_owned().collect())
    }

    pub(super) fn text(&self, name: &str) -> &str {
        let mut fields = self.0.iter().rev();
        fields.find(|(given, _)| given == name).map(|(_, text)| text.as_str()).unwrap_or_default()
    }

    fn required(&self, name: &str) -> Result<&str, String> {
        Some(self.text(name)).filter(|text| !text.is_empty()).ok_or_else(|| format!("{name} is required"))
    }

    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(given, _)| given == name)
    }

    fn is_yes(&self, name: &str) -> bool {
        self.text(name) == "yes"
    }

    /// The names of the columns in the order of their numbers.
    fn columns(&self, version: ApiVersion) -> Result<Vec<String>, String> {
        const START: &str = "profiles_header_";
        let mut numbers = Vec::new();
        for (field, _) in &self.0 {
            let Some(number) = field.strip_prefix(START) else { continue };
            let parsed: Option<u32> = number.parse().ok().filter(|&parsed: &u32| parsed.to_string() == number);
            numbers.push(parsed.filter(|&number| number > 0).ok_or_else(|| format!("{field} has no good number"))?);
        }
        numbers.sort_unstable();
        numbers.dedup();
        if numbers.first() != Some(&1) {
            return Err(format!("{START}1 is required"));
        }
        if let Some(gap) = numbers.windows(2).find(|pair| pair[1] - pair[0] > 2) {
            return Err(format!("more than one number is skipped between {START}{} and {START}{}", gap[0], gap[1]));
        }
        let mut columns: Vec<String> = Vec::new();
        for number in numbers {
            let column = self.text(&format!("{START}{number}"));
            if !is_column(version, column) {
                return Err(format!("{START}{number}: there is no column \"{column}\""));
            }
            if columns.iter().any(|earlier| earlier == column) {
                return Err(format!("{START}{number}: the column {column} is there already"));
            }
            columns.push(column.to_owned());
        }
        Ok(columns)
    }
}

const COLUMNS: [&str; 17] = [
    "code",
    "card_number",
    "first_name",
    "last_name",
    "email",
    "phone",
    "custom_date",
    "street1",
    "street2",
    "city",
    "state",
    "postal_code",
    "country",
    "customer_username",
    "customer_password",
    "customer_PIN",
    "auto_add",
];

fn is_column(version: ApiVersion, name: &str) -> bool {
    let of_its_own = match version {
        ApiVersion::Legacy => name == "custom_field",
        ApiVersion::V1_5 => name
            .strip_prefix("custom_field_")
            .is_some_and(|number| !number.starts_with('0') && number.parse::<u32>().is_ok()),
    };
    of_its_own || COLUMNS.contains(&name)
}

impl ApiVersion {
    /// By the field `API`.
    pub(super) fn read(fields: &Fields) -> Result<Self, String> {
        match fields.text("API") {
            "" => Ok(Self::Legacy),
            "1.5" => Ok(Self::V1_5),
            other => Err(format!("API: the version {other} is not known")),
        }
    }

    fn data_field(self) -> &'static str {
        match self {
            Self::Legacy => "Profiles_Data",
            Self::V1_5 => "profiles_data",
        }
    }

    fn campaign_separator(self) -> &'static str {
        match self {
            Self::Legacy => "|,|",
            Self::V1_5 => ",",
        }
    }
}

/// Whether a request names this user and this account, and carries the secret of its version.
pub(super) fn credentials_are_right(settings: &LoyaltySettings, fields: &Fields, headers: &HeaderMap) -> bool {
    let secret_is_right = match ApiVersion::read(fields) {
        Ok(ApiVersion::Legacy) => fields.text("user_password") == settings.user_password,
        Ok(ApiVersion::V1_5) => match headers.get("api_access_key") {
            Some(key) => key.as_bytes() == settings.user_api_key.as_bytes(),
            None => fields.text("user_api_key") == settings.user_api_key,
        },
        // That the version is not known is said to anybody.
        Err(_) => true,
    };
    secret_is_right && fields.text("user_id") == settings.user_id && fields.text("account_id") == settings.account_id
}

/// What a client wants to be imported.
pub(super) struct Batch {
    pub(super) seen: BatchSeen,
    /// How many digits a card number has that is made for a customer without one.
    pub(super) card_number_digits: Option<usize>,
    /// Each as long as there are delimiters in it.
    pub(super) rows: Vec<Vec<String>>,
}

/// Far more digits than a card has.
const MOST_DIGITS: usize = 30;

impl Batch {
    pub(super) fn read(settings: &LoyaltySettings, fields: &Fields) -> Result<Self, String> {
        let version = ApiVersion::read(fields)?;
        match fields.required("type")? {
            "customers_batch" => {}
            other => return Err(format!("type: {other} is not known")),
        }
        let (delimiter, between_columns) = match fields.required("delimiter")? {
            "pipe" => (Delimiter::Pipe, '|'),
            "comma" => (Delimiter::Comma, ','),
            "tab" => (Delimiter::Tab, '\t'),
            other => return Err(format!("delimiter: {other} is not pipe, comma or tab")),
        };
        let overwrite_duplicates = match fields.required("overwrite_duplicates")? {
            "yes" => DuplicateHandling::Yes,
            "update" => DuplicateHandling::Update,
            "ignore" => DuplicateHandling::Ignore,
            other => return Err(format!("overwrite_duplicates: {other} is not yes, update or ignore")),
        };
        let columns = fields.columns(version)?;
        let rows: Vec<Vec<String>> = fields
            .required(version.data_field())?
            .split(['\n', '\r'])
            .filter(|line| !line.is_empty())
            .map(|line| line.split(between_columns).map(str::to_owned).collect())
            .collect();
        let place_of_code = columns.iter().position(|column| column == "code");
        let code = |row: &Vec<String>| place_of_code.and_then(|place| row.get(place)).cloned().unwrap_or_default();
        let seen = BatchSeen {
            version,
            delimiter,
            overwrite_duplicates,
            undo_saved: match version {
                ApiVersion::Legacy => !fields.is_yes("no_undo"),
                ApiVersion::V1_5 => fields.is_yes("allow_undo"),
            },
            campaigns: campaigns(settings, version, fields)?,
            codes: rows.iter().map(code).collect(),
            columns,
            imported: false,
        };
        Ok(Self { seen, card_number_digits: card_number_digits(fields)?, rows })
    }
}

fn campaigns(settings: &LoyaltySettings, version: ApiVersion, fields: &Fields) -> Result<Vec<String>, String> {
    let mut campaigns = Vec::new();
    for campaign in fields.required("campaigns_to_include")?.split(version.campaign_separator()) {
        let campaign = if version == ApiVersion::V1_5 { campaign.trim_matches(' ') } else { campaign };
        if !settings.campaigns.iter().any(|known| known == campaign) {
            return Err(format!("campaigns_to_include: there is no campaign \"{campaign}\""));
        }
        campaigns.push(campaign.to_owned());
    }
    Ok(campaigns)
}

fn card_number_digits(fields: &Fields) -> Result<Option<usize>, String> {
    if !fields.has("card_number_generate") {
        return Ok(None);
    }
    let text = fields.text("card_number_generate");
    let digits = text.parse().ok().filter(|digits| (1..=MOST_DIGITS).contains(digits));
    digits.map(Some).ok_or_else(|| format!("card_number_generate: \"{text}\" is no number of digits"))
}
