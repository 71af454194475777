use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::{Deserialize, Serialize};

use crate::import::overwrite::ORIGIN;
use crate::import::{Field, Fingerprint, Overwrite, Request, Row};
use crate::{Content, Customer, Status};

/// What a customer can be found by, beside its id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Claim {
    /// A card number.
    Card(String),
    /// An e-mail address, folded: addresses that differ in upper and lower case alone are the same.
    Email(String),
}

impl Claim {
    /// The claims that a customer has: to its card number and to its address.
    pub fn of(content: &Content) -> impl Iterator<Item = Self> {
        let Identity { card, email, .. } = Identity::of(content);
        card.into_iter().chain(email)
    }

    /// The claim that goes with an address.
    pub fn email(address: &str) -> Self {
        Self::Email(address.to_lowercase())
    }
}

/// Who has, or once had, a card number or an address. The customers' own records decide who has it now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claimants {
    /// The customers' ids.
    pub ids: BTreeSet<String>,
    /// More customers had it than are worth remembering: it identifies nobody any more.
    pub crowded: bool,
}

impl Claimants {
    /// How many customers are remembered: an address that everybody has must not make an item that nobody can write.
    const MOST: usize = 20;

    /// Remembers one more.
    pub fn add(&mut self, source_id: &str) {
        if !self.crowded {
            self.ids.insert(source_id.to_owned());
        }
        if self.ids.len() > Self::MOST {
            self.crowded = true;
            self.ids.clear();
        }
    }
}

/// What has been read of the store.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// Who has what; an entry without anybody where nobody has it.
    pub claimants: HashMap<Claim, Claimants>,
    /// The customers by id; `None` where there is none.
    pub customers: HashMap<String, Option<Customer>>,
}

/// What has to be read before every row can be matched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Missing {
    /// Claims whose claimants are not known.
    pub claims: BTreeSet<Claim>,
    /// Ids of customers that are not known.
    pub customers: BTreeSet<String>,
}

/// What becomes of a row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// It is taken over.
    Taken(Matched),
    /// It is dropped: its customer is to stay as it is.
    Ignored(Matched),
    /// It can't be taken over: why, without anybody's data.
    Failed(String),
}

/// A row and its customer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Matched {
    /// The customer's id.
    pub source_id: String,
    /// Whether the customer is new.
    pub is_new: bool,
    /// Whether the id was generated for this row, now or when the same request came before.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_generated: bool,
    /// The card number that was generated for this row, now or when the same request came before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub card_number: Option<String>,
}

/// Ids and card numbers that are tried for one row, where others have them already.
const ATTEMPTS: u32 = 20;

/// Finds the customer of every row, as the rows before it leave the customers.
///
/// The first of `code`, `card_number` and `email` that a row gives decides. A code names a customer who is there, or a
/// new one; so does a card number, whose new customer gets a generated id; the same holds for an address, if no more
/// than one customer has it. A card number is never two customers': a row whose code and card number belong to two
/// matches both, and fails. Customers who are deleted are not there.
///
/// Returns what becomes of each row, in their order. It depends on everything that the rows themselves change: whoever
/// may have to carry a request out again keeps it.
///
/// # Errors
/// What has to be read first; the answer is complete once nothing is missing.
pub fn match_rows(request: &Request, fingerprint: Fingerprint, known: &Known) -> Result<Vec<Fate>, Missing> {
    let mut matcher = Matcher {
        request,
        fingerprint,
        known,
        now: HashMap::new(),
        new_claims: BTreeMap::new(),
        missing: Missing::default(),
    };
    let mut fates = Vec::with_capacity(request.rows.len());
    for row in &request.rows {
        match matcher.fate(row) {
            Ok(fate) => fates.push(fate),
            // Others are matched in spite of it, to learn at once what they miss.
            Err(Stop::Unknown) => {}
            Err(Stop::Failed(reason)) => fates.push(Fate::Failed(reason)),
        }
    }
    if matcher.missing == Missing::default() { Ok(fates) } else { Err(matcher.missing) }
}

/// What matching goes by.
#[derive(Clone, Debug, Default)]
struct Identity {
    card: Option<Claim>,
    email: Option<Claim>,
    origin: Option<String>,
}

impl Identity {
    fn of(content: &Content) -> Self {
        Self {
            card: content.external_id.clone().map(Claim::Card),
            email: content.emails.first().map(|email| Claim::email(&email.address)),
            origin: content.hidden.get(ORIGIN).cloned(),
        }
    }

    fn has(&self, claim: &Claim) -> bool {
        [&self.card, &self.email].into_iter().flatten().any(|own| own == claim)
    }
}

/// Why a row is not matched.
enum Stop {
    /// Something has to be read first.
    Unknown,
    /// It can't be taken over.
    Failed(String),
}

struct Matcher<'a> {
    request: &'a Request,
    fingerprint: Fingerprint,
    known: &'a Known,
    /// The customers that rows before this one have changed.
    now: HashMap<String, Identity>,
    /// Who has what by such rows.
    new_claims: BTreeMap<Claim, BTreeSet<String>>,
    missing: Missing,
}

impl Matcher<'_> {
    fn fate(&mut self, row: &Row) -> Result<Fate, Stop> {
        let card = row.get(Field::CardNumber).map(|number| Claim::Card(number.to_owned()));
        let email = row.get(Field::Email).map(Claim::email);
        // All at once: each look into the store takes its time.
        let unread = card.iter().chain(&email).filter(|claim| !self.known.claimants.contains_key(*claim));
        self.missing.claims.extend(unread.cloned());

        let source_id = match (row.get(Field::Code), &card, &email) {
            (Some(code), ..) => Some(code.to_owned()),
            (None, Some(card), _) => self.only_holder(card, "card_number")?,
            (None, None, Some(email)) => self.only_holder(email, "email")?,
            (None, None, None) => None,
        };
        let source_id = match source_id {
            Some(source_id) => source_id,
            None => self.generated_id(row)?,
        };
        let before = self.identity(&source_id)?;
        if let Some(card) = &card
            && self.holders(card)?.iter().any(|holder| *holder != source_id)
        {
            return Err(Stop::Failed("matches two customers: the `card_number` is that of another".to_owned()));
        }
        let own_origin = self.fingerprint.origin(row.number);
        let mut matched = Matched {
            is_new: before.is_none(),
            is_generated: match &before {
                Some(before) => before.origin.as_ref() == Some(&own_origin),
                None => row.get(Field::Code).is_none(),
            },
            card_number: None,
            source_id,
        };
        let (kept, is_dropped) = match (before, self.request.overwrite) {
            (Some(before), Overwrite::Ignore) => (before, true),
            (Some(before), Overwrite::Update) => (before, false),
            (Some(before), Overwrite::Yes) => (Identity { origin: before.origin, ..Identity::default() }, false),
            (None, _) => (Identity::default(), false),
        };
        if let (Some(digits), None) = (self.request.card_digits, &card) {
            matched.card_number = match &kept.card {
                Some(Claim::Card(number)) => self.was_generated(row, digits, number).then(|| number.clone()),
                _ if is_dropped => None,
                _ => Some(self.generated_card(row, digits, &matched.source_id)?),
            };
        }
        if is_dropped {
            return Ok(Fate::Ignored(matched));
        }
        let now = Identity {
            card: card.or_else(|| matched.card_number.clone().map(Claim::Card)).or(kept.card),
            email: email.or(kept.email),
            origin: if matched.is_generated { Some(own_origin) } else { kept.origin },
        };
        for claim in [&now.card, &now.email].into_iter().flatten() {
            self.new_claims.entry(claim.clone()).or_default().insert(matched.source_id.clone());
        }
        self.now.insert(matched.source_id.clone(), now);
        Ok(Fate::Taken(matched))
    }

    /// The customer who has it, if anybody does. Two who do are an error of the row.
    fn only_holder(&mut self, claim: &Claim, column: &str) -> Result<Option<String>, Stop> {
        let mut holders = self.holders(claim)?;
        match holders.len() {
            0 | 1 => Ok(holders.pop()),
            _ => Err(Stop::Failed(format!("matches two customers by its `{column}`: send their `code`"))),
        }
    }

    /// Everybody who has it now.
    fn holders(&mut self, claim: &Claim) -> Result<Vec<String>, Stop> {
        let Some(claimants) = self.known.claimants.get(claim) else {
            self.missing.claims.insert(claim.clone());
            return Err(Stop::Unknown);
        };
        let new = self.new_claims.get(claim);
        if claimants.crowded || new.is_some_and(|ids| ids.len() > Claimants::MOST) {
            return Err(Stop::Failed("matches two customers and more: send their `code`".to_owned()));
        }
        let candidates: BTreeSet<String> = claimants.ids.iter().chain(new.into_iter().flatten()).cloned().collect();
        let mut holders = Vec::new();
        let mut is_unknown = false;
        for candidate in candidates {
            match self.identity(&candidate) {
                Ok(Some(identity)) if identity.has(claim) => holders.push(candidate),
                Ok(_) => {}
                Err(_) => is_unknown = true,
            }
        }
        if is_unknown { Err(Stop::Unknown) } else { Ok(holders) }
    }

    /// Who a customer is now; `None` where there is none.
    fn identity(&mut self, source_id: &str) -> Result<Option<Identity>, Stop> {
        if let Some(now) = self.now.get(source_id) {
            return Ok(Some(now.clone()));
        }
        match self.known.customers.get(source_id) {
            Some(Some(customer)) if customer.content.status != Status::Deleted => {
                Ok(Some(Identity::of(&customer.content)))
            }
            Some(_) => Ok(None),
            None => {
                self.missing.customers.insert(source_id.to_owned());
                Err(Stop::Unknown)
            }
        }
    }

    /// The first id that nobody has, or that this very row was given before.
    fn generated_id(&mut self, row: &Row) -> Result<String, Stop> {
        for attempt in 0..ATTEMPTS {
            let candidate = self.fingerprint.customer_id(row.number, attempt);
            let own = Some(self.fingerprint.origin(row.number));
            if self.identity(&candidate)?.is_none_or(|identity| identity.origin == own) {
                return Ok(candidate);
            }
        }
        Err(Stop::Failed("no free id was found".to_owned()))
    }

    /// The first card number that nobody else has.
    fn generated_card(&mut self, row: &Row, digits: u8, source_id: &str) -> Result<String, Stop> {
        for attempt in 0..ATTEMPTS {
            let candidate = self.fingerprint.card_number(row.number, attempt, digits);
            match self.holders(&Claim::Card(candidate.clone())) {
                Ok(holders) if holders.iter().all(|holder| holder == source_id) => return Ok(candidate),
                Err(Stop::Unknown) => return Err(Stop::Unknown),
                Ok(_) | Err(Stop::Failed(_)) => {}
            }
        }
        Err(Stop::Failed(format!("no free card number of {digits} digits was found")))
    }

    /// Whether this card number was generated for the row when the same request came before.
    fn was_generated(&self, row: &Row, digits: u8, number: &str) -> bool {
        (0..ATTEMPTS).any(|attempt| self.fingerprint.card_number(row.number, attempt, digits) == number)
    }
}

#[cfg(test)]
mod tests;
