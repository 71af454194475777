//! What the simulator remembers, and what a batch makes of it.

use std::collections::{BTreeMap, HashMap};

use jiff::civil::Date;

use super::{
    requests::Batch,
    types::{BatchSeen, DuplicateHandling, Fault, Poison, RequestCounts},
};
use crate::news::News;

/// A customer of the service.
#[derive(Default)]
pub(super) struct Customer {
    /// Those that are not blank.
    pub(super) columns: BTreeMap<String, String>,
    pub(super) times_written: u64,
}

/// What became of the rows of a batch.
#[derive(Default)]
pub(super) struct Imported {
    pub(super) new: u64,
    pub(super) updated: u64,
    /// The codes made for customers without one, in the order of their rows.
    pub(super) generated_codes: Vec<String>,
}

enum RowOutcome {
    New,
    Updated,
    Ignored,
    Dropped,
}

pub struct State {
    customers: BTreeMap<String, Customer>,
    random: fastrand::Rng,
    pub(super) poisons: HashMap<String, Poison>,
    pub(super) batches: Vec<BatchSeen>,
    pub(super) news: News,
    pub(super) counts: RequestCounts,
    /// What batches with more rows meet.
    pub(super) most_rows: Option<(usize, Fault)>,
    /// How many requests are left without an answer.
    pub(super) hung: u64,
}

impl State {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            customers: BTreeMap::new(),
            random: fastrand::Rng::with_seed(seed),
            poisons: HashMap::new(),
            batches: Vec::new(),
            news: News::default(),
            counts: RequestCounts::default(),
            most_rows: None,
            hung: 0,
        }
    }

    pub(super) fn customers(&self) -> &BTreeMap<String, Customer> {
        &self.customers
    }

    pub(super) fn customer(&self, code: &str) -> Option<&Customer> {
        self.customers.get(code)
    }

    /// What a batch meets that is too large, or holds a customer that the service fails at.
    pub(super) fn failure_at(&self, batch: &Batch) -> Option<Fault> {
        let too_large = self.most_rows.as_ref().filter(|(most, _)| batch.seen.codes.len() > *most);
        let failing = || {
            batch.seen.codes.iter().find_map(|code| match self.poisons.get(code) {
                Some(Poison::Status(status)) => Some(Fault::Status(*status)),
                Some(Poison::Hang) => Some(Fault::Hang),
                _ => None,
            })
        };
        too_large.map(|(_, fault)| fault.clone()).or_else(failing)
    }

    /// Imports what can be used of a batch; all of it is refused if it holds a customer that makes it so.
    pub(super) fn import(&mut self, batch: &Batch) -> Result<Imported, String> {
        let spoils_all = |code| self.poisons.get(code) == Some(&Poison::WholeBatchError);
        if batch.seen.codes.iter().any(spoils_all) {
            return Err("The batch could not be imported".to_owned());
        }
        let mut imported = Imported::default();
        for row in &batch.rows {
            self.counts.rows += 1;
            match self.import_row(batch, row, &mut imported.generated_codes) {
                RowOutcome::New => imported.new += 1,
                RowOutcome::Updated => imported.updated += 1,
                RowOutcome::Ignored => self.counts.ignored += 1,
                RowOutcome::Dropped => self.counts.dropped += 1,
            }
        }
        self.counts.new += imported.new;
        self.counts.updated += imported.updated;
        let is_counted_twice = |code: &&String| self.poisons.get(*code) == Some(&Poison::CountedTwice);
        imported.updated += batch.seen.codes.iter().filter(is_counted_twice).count() as u64;
        Ok(imported)
    }

    fn import_row(&mut self, batch: &Batch, row: &[String], generated_codes: &mut Vec<String>) -> RowOutcome {
        if row.len() != batch.seen.columns.len() {
            return RowOutcome::Dropped;
        }
        let values = || batch.seen.columns.iter().zip(row);
        let given = |name: &str| values().find(|(column, _)| *column == name).map(|(_, value)| value.as_str());
        if given("custom_date").is_some_and(|date| !date.is_empty() && !is_date(date)) {
            return RowOutcome::Dropped;
        }
        let code = match given("code").filter(|code| !code.is_empty()) {
            Some(code) => code.to_owned(),
            None => {
                let code = self.unused_code();
                generated_codes.push(code.clone());
                code
            }
        };
        if self.poisons.get(&code).is_some_and(|poison| *poison != Poison::CountedTwice) {
            return RowOutcome::Dropped;
        }
        let was_there = self.customers.contains_key(&code);
        let overwrite = batch.seen.overwrite_duplicates;
        if was_there && overwrite == DuplicateHandling::Ignore {
            return RowOutcome::Ignored;
        }

        let customer = self.customers.entry(code.clone()).or_default();
        if overwrite == DuplicateHandling::Yes {
            customer.columns.clear();
        }
        for (column, value) in values() {
            if value.is_empty() {
                customer.columns.remove(column);
            } else {
                customer.columns.insert(column.clone(), value.clone());
            }
        }
        customer.columns.insert("code".to_owned(), code.clone());
        if let Some(digits) = batch.card_number_digits
            && !customer.columns.contains_key("card_number")
        {
            let card_number = (0..digits).map(|_| self.random.digit(10)).collect();
            customer.columns.insert("card_number".to_owned(), card_number);
        }
        customer.times_written += 1;
        self.news.add(&code);
        if was_there { RowOutcome::Updated } else { RowOutcome::New }
    }

    /// Of 16 digits.
    fn unused_code(&mut self) -> String {
        loop {
            let code = self.random.u64(1_000_000_000_000_000..10_000_000_000_000_000).to_string();
            if !self.customers.contains_key(&code) {
                return code;
            }
        }
    }
}

/// Written as YYYY-MM-DD, and nothing else.
fn is_date(text: &str) -> bool {
    let of_date = |letter: char| letter.is_ascii_digit() || letter == '-';
    text.len() == 10 && text.chars().all(of_date) && text.parse::<Date>().is_ok()
}
