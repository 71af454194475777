use std::collections::{BTreeSet, HashMap};

use serde::{Deserialize, Serialize};

use crate::import::claims::Identity;
use crate::import::{Claim, Claimants, Field, Overwrite, Request, RequestFingerprint, Row};
use crate::{Customer, Status};

/// What has been read of the store.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// The customers that have a claim; an empty entry if there are none.
    pub claimants: HashMap<Claim, Claimants>,
    /// The customers by id; `None` if there is none.
    pub customers: HashMap<String, Option<Customer>>,
}

/// What has to be read before every row can be matched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Missing {
    /// Claims whose claimants are not all known: the next pages are wanted.
    pub claims: BTreeSet<Claim>,
    /// Ids of customers that are not known.
    pub customers: BTreeSet<String>,
}

/// What becomes of a row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RowOutcome {
    /// It is taken over.
    Taken(Matched),
    /// It is dropped: its customer is to stay as it is.
    Ignored(Matched),
    /// It can't be taken over: why, without personal data.
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

/// Ids and card numbers that are tried for one row, if others are taken.
const ATTEMPTS: u32 = 20;
/// Rows of one request that change one customer: the result must fit into one record.
pub const MOST_ROWS_OF_ONE: u32 = 500;

/// Why a row is not matched.
enum Stop {
    /// Something has to be read first.
    Unknown,
    /// It can't be taken over.
    Failed(String),
}

/// Finds the customer of every row, as the rows before it leave the customers.
///
/// The first of `code`, `card_number` and `email` that a row gives decides. A code names an existing customer, or a new
/// one; so does a card number, whose new customer gets a generated id; the same holds for an address, if no more than
/// one customer has it. A card number belongs to one customer: a row whose code and card number belong to two matches
/// both, and fails. Deleted customers do not exist here.
///
/// What becomes of a row depends on everything that the rows themselves change. So if a request is repeated, the rows
/// that were taken over before keep their customers; the others wrote nothing, and are judged anew.
///
/// The work is in proportion to the rows and to what has been read. It is done in steps, so that other tasks get their
/// turn.
pub struct Matching<'a> {
    request: &'a Request,
    fingerprint: &'a RequestFingerprint,
    /// What became of the rows when the same request came before.
    before: &'a [RowOutcome],
    known: &'a Known,
    /// The index of the next row.
    next: usize,
    outcomes: Vec<RowOutcome>,
    /// The customers that rows before this one have changed.
    now: HashMap<String, Identity>,
    /// How many rows before this one change each customer.
    rows_of: HashMap<String, u32>,
    holders: HashMap<Claim, Holders>,
    missing: Missing,
}

/// The customers that have a claim now, as far as they are known.
#[derive(Default)]
struct Holders {
    ids: BTreeSet<String>,
    /// How many pages of claimants have been looked at.
    pages: usize,
    /// Whether something has to be read before more can be said.
    is_unknown: bool,
}

impl<'a> Matching<'a> {
    /// Begins with the first row. `before` is what became of the rows when the same request came before; empty the
    /// first time.
    pub fn new(
        request: &'a Request,
        fingerprint: &'a RequestFingerprint,
        before: &'a [RowOutcome],
        known: &'a Known,
    ) -> Self {
        Self {
            request,
            fingerprint,
            before,
            known,
            next: 0,
            outcomes: Vec::with_capacity(request.rows.len()),
            now: HashMap::new(),
            rows_of: HashMap::new(),
            holders: HashMap::new(),
            missing: Missing::default(),
        }
    }

    /// Matches up to `rows` more. Returns whether any are left.
    pub fn go_on(&mut self, rows: usize) -> bool {
        let end = self.request.rows.len().min(self.next + rows);
        while self.next < end {
            let place = self.next;
            self.next += 1;
            let row = &self.request.rows[place];
            let outcome = match self.before.get(place) {
                Some(RowOutcome::Taken(matched)) => self.taken_again(row, matched),
                _ => self.judged(row),
            };
            match outcome {
                Ok(outcome) => self.outcomes.push(outcome),
                // The following rows are matched in spite of it, to learn at once what they miss.
                Err(Stop::Unknown) => {}
                Err(Stop::Failed(reason)) => self.outcomes.push(RowOutcome::Failed(reason)),
            }
        }
        self.next < self.request.rows.len()
    }

    /// What becomes of each row, in their order.
    ///
    /// # Errors
    /// What has to be read first; the answer is complete once nothing is missing.
    pub fn end(self) -> Result<Vec<RowOutcome>, Missing> {
        if self.missing == Missing::default() { Ok(self.outcomes) } else { Err(self.missing) }
    }

    fn judged(&mut self, row: &Row) -> Result<RowOutcome, Stop> {
        let card = row.get(Field::CardNumber).map(Claim::card);
        let email = row.get(Field::Email).map(Claim::email);
        // All at once: each read of the store takes time.
        let unread = card.iter().chain(&email).filter(|claim| !self.known.claimants.contains_key(*claim));
        self.missing.claims.extend(unread.cloned());

        let source_id = match (row.get(Field::Code), &card, &email) {
            (Some(code), ..) => Some(code.to_owned()),
            (None, Some(card), _) => self.only_holder(card, None, "card_number")?,
            (None, None, Some(email)) => {
                let before = row.get(Field::Email).and_then(Claim::lowercase);
                self.only_holder(email, before.as_ref(), "email")?
            }
            (None, None, None) => None,
        };
        let source_id = match source_id {
            Some(source_id) => source_id,
            None => self.generated_id(row)?,
        };
        let before = self.identity(&source_id)?;
        self.expect_free(card.as_ref(), &source_id)?;
        let own_origin = self.fingerprint.origin(row.number);
        let mut matched = Matched {
            is_new: before.is_none(),
            is_generated: row.get(Field::Code).is_none()
                && before.as_ref().is_none_or(|before| before.origin.as_ref() == Some(&own_origin)),
            card_number: None,
            source_id,
        };
        let is_dropped = before.is_some() && self.request.overwrite == Overwrite::Ignore;
        let kept = self.kept(before);
        if let (Some(digits), None) = (self.request.card_digits, &card) {
            matched.card_number = match &kept.card {
                Some(Claim::Card(number)) => self.was_generated(row, digits, number).then(|| number.clone()),
                _ if is_dropped => None,
                _ => Some(self.generated_card(row, digits, &matched.source_id)?),
            };
        }
        if is_dropped {
            return Ok(RowOutcome::Ignored(matched));
        }
        if self.rows_of.get(&matched.source_id).is_some_and(|rows| *rows >= MOST_ROWS_OF_ONE) {
            return Err(Stop::Failed(format!(
                "{MOST_ROWS_OF_ONE} rows before it change the same customer: send it in another request"
            )));
        }
        self.take(&matched, card.or_else(|| matched.card_number.as_deref().map(Claim::card)), email, kept, own_origin);
        Ok(RowOutcome::Taken(matched))
    }

    /// A row that was taken over before. It is judged anew if its customer was not stored, also if it was to bring a
    /// customer that another import has brought meanwhile. It fails only if it would give a customer a card number that
    /// now belongs to another; that holds for this time only.
    fn taken_again(&mut self, row: &Row, matched: &Matched) -> Result<RowOutcome, Stop> {
        let origin = self.fingerprint.origin(row.number);
        let before = self.identity(&matched.source_id)?;
        let is_its_own = |before: &Identity| !matched.is_new || before.origin.as_ref() == Some(&origin);
        let Some(before) = before.filter(is_its_own) else { return self.judged(row) };
        if self.request.overwrite == Overwrite::Ignore {
            // The row brought it, and it stays as it is.
            return Ok(RowOutcome::Taken(matched.clone()));
        }
        let kept = self.kept(Some(before.clone()));
        let generated = matched.card_number.as_deref().filter(|_| kept.card.is_none());
        let card = row.get(Field::CardNumber).or(generated).map(Claim::card);
        if before.card != card {
            self.expect_free(card.as_ref(), &matched.source_id)?;
        }
        let email = row.get(Field::Email).map(Claim::email);
        self.take(matched, card, email, kept, origin);
        Ok(RowOutcome::Taken(matched.clone()))
    }

    /// What an existing customer keeps of `before` once a row is written to it.
    fn kept(&self, before: Option<Identity>) -> Identity {
        match (before, self.request.overwrite) {
            (Some(before), Overwrite::Ignore | Overwrite::Update) => before,
            (Some(before), Overwrite::Yes) => Identity { origin: before.origin, ..Identity::default() },
            (None, _) => Identity::default(),
        }
    }

    /// Changes a customer as the row that is taken over does.
    fn take(&mut self, matched: &Matched, card: Option<Claim>, email: Option<Claim>, kept: Identity, origin: String) {
        let source_id = &matched.source_id;
        let now = Identity {
            card: card.or(kept.card),
            email: email.or(kept.email),
            origin: if matched.is_new { Some(origin) } else { kept.origin },
        };
        let before = match self.now.get(source_id) {
            Some(before) => before.claims().cloned().collect(),
            None => self.stored_claims(source_id),
        };
        for claim in before.iter().filter(|claim| !now.has(claim)) {
            if let Some(holders) = self.holders.get_mut(claim) {
                holders.ids.remove(source_id);
            }
        }
        for claim in now.claims() {
            self.holders.entry(claim.clone()).or_default().ids.insert(source_id.clone());
        }
        self.now.insert(source_id.clone(), now);
        *self.rows_of.entry(source_id.clone()).or_default() += 1;
    }

    fn stored_claims(&self, source_id: &str) -> Vec<Claim> {
        let stored = self.known.customers.get(source_id).and_then(Option::as_ref);
        stored.iter().flat_map(|customer| Claim::of(&customer.content)).collect()
    }

    /// Fails if another customer has the card number.
    fn expect_free(&mut self, card: Option<&Claim>, source_id: &str) -> Result<(), Stop> {
        let Some(card) = card else { return Ok(()) };
        let is_of_another = |holders: &Holders| holders.ids.iter().any(|holder| holder != source_id);
        if self.look(card, None, is_of_another)? {
            return Err(Stop::Failed("matches two customers: the `card_number` is that of another".to_owned()));
        }
        Ok(())
    }

    /// The customer that has it, if any. If two have it, the row is in error. `before` is the claim that the releases
    /// before gave for the same.
    fn only_holder(&mut self, claim: &Claim, before: Option<&Claim>, column: &str) -> Result<Option<String>, Stop> {
        if self.look(claim, before, |holders| holders.ids.len() > 1)? {
            return Err(Stop::Failed(format!("matches two customers by its `{column}`: send their `code`")));
        }
        Ok(self.holders.get(claim).and_then(|holders| holders.ids.first()).cloned())
    }

    /// Whether `is_decided` by the customers that have it now. Claimants are checked until it is, or until none are
    /// left.
    fn look(
        &mut self,
        claim: &Claim,
        before: Option<&Claim>,
        is_decided: impl Fn(&Holders) -> bool,
    ) -> Result<bool, Stop> {
        let mut holders = self.holders.remove(claim).unwrap_or_default();
        let mut answer = Ok(true);
        if !is_decided(&holders) {
            let mut is_cut = false;
            for source in before.into_iter().chain([claim]) {
                is_cut |= self.look_at(source, claim, &mut holders);
            }
            answer = match (is_decided(&holders), holders.is_unknown) {
                (true, _) => Ok(true),
                (false, true) => Err(Stop::Unknown),
                (false, false) if is_cut => {
                    Err(Stop::Failed("matches two customers and more: send their `code`".to_owned()))
                }
                (false, false) => Ok(false),
            };
        }
        self.holders.insert(claim.clone(), holders);
        answer
    }

    /// Adds those of a claim's claimants that have `claim` now, as far as they are known, and notes what is missing.
    /// Returns whether not all were remembered.
    fn look_at(&mut self, source: &Claim, claim: &Claim, holders: &mut Holders) -> bool {
        let Some(claimants) = self.known.claimants.get(source) else {
            self.missing.claims.insert(source.clone());
            holders.is_unknown = true;
            return false;
        };
        if holders.is_unknown {
            // Everything that is missing for it has been noted.
            return claimants.is_cut;
        }
        // The claimants of an older claim are checked each time: there are few of them.
        let seen = if source == claim { holders.pages } else { 0 };
        for candidate in claimants.pages.iter().skip(seen).flatten() {
            // A customer that a row has changed is among the holders already, if it still has it.
            if self.now.contains_key(candidate) {
                continue;
            }
            match self.identity(candidate) {
                Ok(Some(identity)) if identity.has(claim) => {
                    holders.ids.insert(candidate.clone());
                }
                Ok(_) => {}
                Err(_) => holders.is_unknown = true,
            }
        }
        if source == claim {
            holders.pages = claimants.pages.len();
        }
        if !claimants.is_complete() && holders.ids.len() < 2 {
            self.missing.claims.insert(source.clone());
            holders.is_unknown = true;
        }
        claimants.is_cut
    }

    /// A customer's current identity; `None` if there is no such customer.
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

    /// The first id that is free, or that this very row was given before.
    fn generated_id(&mut self, row: &Row) -> Result<String, Stop> {
        let own = Some(self.fingerprint.origin(row.number));
        for attempt in 0..ATTEMPTS {
            let candidate = self.fingerprint.customer_id(row.number, attempt);
            if self.identity(&candidate)?.is_none_or(|identity| identity.origin == own) {
                return Ok(candidate);
            }
        }
        Err(Stop::Failed("no free id was found".to_owned()))
    }

    /// The first card number that no other customer has.
    fn generated_card(&mut self, row: &Row, digits: u8, source_id: &str) -> Result<String, Stop> {
        for attempt in 0..ATTEMPTS {
            let candidate = self.fingerprint.card_number(row.number, attempt, digits);
            match self.expect_free(Some(&Claim::card(&candidate)), source_id) {
                Ok(()) => return Ok(candidate),
                Err(Stop::Unknown) => return Err(Stop::Unknown),
                Err(Stop::Failed(_)) => {}
            }
        }
        Err(Stop::Failed(format!("no free card number of {digits} digits was found")))
    }

    /// Whether this card number was generated for the row when the same request came before.
    fn was_generated(&self, row: &Row, digits: u8, number: &str) -> bool {
        number.len() == usize::from(digits)
            && (0..ATTEMPTS).any(|attempt| self.fingerprint.card_number(row.number, attempt, digits) == number)
    }
}

#[cfg(test)]
mod tests;
