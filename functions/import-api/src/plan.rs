use std::collections::{BTreeMap, BTreeSet, HashMap};

use model::import::{
    Application, BeforeImage, Claim, Field, Known, Matched, Overwrite, Request, RequestFingerprint, Row, RowExtras,
    RowOutcome, apply_rows, state_made_by,
};
use model::{ConnectionKey, Content, Customer, CustomerId, Status};
use store::{Erasures, ImportCounts, Revision, Standing, StoreError};
use wire::customers_batch::{GeneratedIds, RowProblem};

use crate::password_hash::Secret;
use crate::turns::Turns;

/// What an import is going to do, row by row and customer by customer.
pub(crate) struct Plan<'a> {
    connection: &'a ConnectionKey,
    request: &'a Request,
    fingerprint: &'a RequestFingerprint,
    outcomes: &'a [RowOutcome],
    import: &'a str,
    /// The hashes of each row's secrets, by the row's place in the request.
    sealed: HashMap<usize, BTreeMap<Field, String>>,
    /// The places of the rows of each customer that is taken over, in their order.
    rows_of: HashMap<&'a str, Vec<usize>>,
    /// Every customer that is taken over, in the order of their first rows.
    customers: Vec<&'a str>,
    /// What becomes of each of them, if it has been worked out.
    planned: HashMap<&'a str, Planned>,
}

/// What becomes of one customer.
struct Planned {
    /// The content after its rows; `None` if the customer stays as it is.
    content: Option<Content>,
    /// The claims that it gets and did not have before.
    new_claims: Vec<Claim>,
}

/// What became of all rows.
pub(crate) struct Summary {
    pub(crate) counts: ImportCounts,
    pub(crate) generated: Vec<GeneratedIds>,
    pub(crate) ignored: Vec<RowProblem>,
    pub(crate) failures: Vec<RowProblem>,
}

impl<'a> Plan<'a> {
    pub(crate) fn new(
        connection: &'a ConnectionKey,
        request: &'a Request,
        fingerprint: &'a RequestFingerprint,
        outcomes: &'a [RowOutcome],
        import: &'a str,
    ) -> Self {
        let mut rows_of: HashMap<&str, Vec<usize>> = HashMap::new();
        let mut customers = Vec::new();
        for (place, outcome) in outcomes.iter().enumerate() {
            if let RowOutcome::Taken(matched) = outcome {
                let rows = rows_of.entry(&matched.source_id).or_default();
                if rows.is_empty() {
                    customers.push(matched.source_id.as_str());
                }
                rows.push(place);
            }
        }
        let (sealed, planned) = (HashMap::new(), HashMap::new());
        Self { connection, request, fingerprint, outcomes, import, sealed, rows_of, customers, planned }
    }

    /// The customers that are written.
    pub(crate) fn changed(&self) -> Vec<&'a str> {
        let is_changed =
            |source_id: &&str| self.planned.get(source_id).is_some_and(|planned| planned.content.is_some());
        self.customers.iter().copied().filter(is_changed).collect()
    }

    /// The secrets of the rows that are taken over, with the places of their rows.
    pub(crate) fn secrets(&self) -> (Vec<usize>, Vec<Secret>) {
        let taken = (0..self.outcomes.len()).filter_map(|place| Some((place, self.taken(place)?)));
        taken
            .flat_map(|(place, (row, matched))| {
                row.given().filter(|(field, _)| field.is_secret()).map(move |(field, text)| {
                    (place, Secret { source_id: matched.source_id.clone(), field, text: text.to_owned() })
                })
            })
            .unzip()
    }

    /// Takes the hashes of the secrets, in the order of [`secrets`](Self::secrets).
    pub(crate) fn hash_secrets(&mut self, places: &[usize], secrets: &[Secret], hashes: Vec<String>) {
        for ((place, secret), hash) in places.iter().zip(secrets).zip(hashes) {
            self.sealed.entry(*place).or_default().insert(secret.field, hash);
        }
    }

    /// Works out once what becomes of every customer, from what is known of it. One that was erased, or is new and has
    /// the address of one that was, stays as it is, and leaves neither an image nor a claim.
    ///
    /// # Errors
    /// If the store can't be read.
    pub(crate) async fn work_out(
        &mut self,
        known: &Known,
        erasures: &Erasures,
        turns: &mut Turns,
    ) -> Result<(), StoreError> {
        let tenant = &self.connection.tenant;
        let erased = erasures.of(tenant).await?;
        for source_id in self.customers.clone() {
            let stored = stored(known, source_id);
            // Content that is stored already is not written again.
            let mut content = self
                .content(source_id, stored)
                .filter(|content| stored.is_none_or(|stored| stored.content != *content));
            if let Some(new) = &content {
                let (id, standing) = (self.id_of(source_id), stored.map(Standing::from));
                if erasures.keeps_away(tenant, &erased, &id, standing, new).await? {
                    content = None;
                }
            }
            let had: Vec<Claim> = stored.iter().flat_map(|customer| Claim::of(&customer.content)).collect();
            let new_claims = content.iter().flat_map(Claim::of).filter(|claim| !had.contains(claim)).collect();
            self.planned.insert(source_id, Planned { content, new_claims });
            turns.took(self.rows_of.get(source_id).map_or(1, Vec::len)).await;
        }
        Ok(())
    }

    fn id_of(&self, source_id: &str) -> CustomerId {
        CustomerId { connection: self.connection.connection.clone(), source_id: source_id.to_owned() }
    }

    /// What is to be written to a customer with `stored` in the shadow; nothing if it stays as it is.
    pub(crate) fn revise(&self, source_id: &str, stored: Option<&Customer>, known: &Known) -> Option<Revision> {
        let version = |customer: Option<&Customer>| customer.map(|customer| customer.version.clone());
        let content = match self.planned.get(source_id) {
            Some(planned) if version(stored) == version(self::stored(known, source_id)) => planned.content.clone(),
            // Another process has written it meanwhile.
            _ => self.content(source_id, stored),
        };
        content.map(|content| Revision { content, state: Some(state_made_by(self.import, stored)) })
    }

    /// What a customer is after all of its rows, with `stored` in the shadow before; nothing if it stays as it is.
    fn content(&self, source_id: &str, stored: Option<&Customer>) -> Option<Content> {
        let stored = stored.map(|customer| &customer.content).filter(|content| content.status != Status::Deleted);
        if stored.is_some() && self.request.overwrite == Overwrite::Ignore {
            // The customer is new, so this import has brought it, before it was interrupted or sent again.
            return None;
        }
        let places = self.rows_of.get(source_id)?;
        let origins: Vec<Option<String>> =
            places.iter().map(|place| self.origin(*place).filter(|_| stored.is_none())).collect();
        let no_secrets = BTreeMap::new();
        let rows = places.iter().zip(&origins).filter_map(|(place, origin)| {
            let (row, matched) = self.taken(*place)?;
            let extras = RowExtras {
                card_number: matched.card_number.as_deref(),
                origin: origin.as_deref(),
                sealed: self.sealed.get(place).unwrap_or(&no_secrets),
            };
            Some((row, extras))
        });
        let application =
            Application { overwrite: self.request.overwrite, campaigns: &self.request.campaigns, import: self.import };
        Some(apply_rows(stored, rows, &application))
    }

    /// The request and the row, if the row brings its customer.
    fn origin(&self, place: usize) -> Option<String> {
        let (row, matched) = self.taken(place)?;
        matched.is_new.then(|| self.fingerprint.origin(row.number))
    }

    /// A row that is taken over, and its customer.
    fn taken(&self, place: usize) -> Option<(&'a Row, &'a Matched)> {
        match (self.request.rows.get(place), self.outcomes.get(place)) {
            (Some(row), Some(RowOutcome::Taken(matched))) => Some((row, matched)),
            _ => None,
        }
    }

    /// The images that must be recorded beside the `recorded` ones.
    pub(crate) async fn new_images(
        &self,
        known: &Known,
        recorded: Vec<BeforeImage>,
        turns: &mut Turns,
    ) -> Vec<BeforeImage> {
        let mut recorded_of: HashMap<String, Vec<BeforeImage>> = HashMap::new();
        for image in recorded {
            recorded_of.entry(image.source_id.clone()).or_default().push(image);
        }
        let mut images = Vec::new();
        for source_id in &self.customers {
            let stored = stored(known, source_id);
            let Some(content) = self.planned.get(source_id).and_then(|planned| planned.content.as_ref()) else {
                continue;
            };
            let image = BeforeImage::of(source_id, stored, content, self.import);
            if recorded_of.get(*source_id).is_none_or(|recorded| !recorded.contains(&image)) {
                images.push(image);
            }
            turns.took(1).await;
        }
        images
    }

    /// Which customers get which card number or address that they did not have before.
    pub(crate) fn new_claims(&self) -> BTreeMap<Claim, BTreeSet<String>> {
        let mut claims: BTreeMap<Claim, BTreeSet<String>> = BTreeMap::new();
        for source_id in &self.customers {
            for claim in self.new_claims_of(source_id) {
                claims.entry(claim.clone()).or_default().insert((*source_id).to_owned());
            }
        }
        claims
    }

    /// The claims of one customer that are new.
    pub(crate) fn new_claims_of(&self, source_id: &str) -> &[Claim] {
        self.planned.get(source_id).map_or(&[], |planned| &planned.new_claims)
    }

    /// The card number of a customer once it is written.
    fn card_number<'k>(&'k self, source_id: &str, known: &'k Known) -> Option<&'k str> {
        let planned = self.planned.get(source_id).and_then(|planned| planned.content.as_ref());
        planned.or_else(|| Some(&stored(known, source_id)?.content))?.external_id.as_deref()
    }

    /// What became of all rows: of those that bring no customer, and of the others. `unstored` says why customers could
    /// not be stored.
    pub(crate) fn ends(
        &self,
        ignored: Vec<RowProblem>,
        unreadable: Vec<RowProblem>,
        known: &Known,
        unstored: &HashMap<String, String>,
    ) -> Summary {
        let mut ends =
            Summary { counts: ImportCounts::default(), generated: Vec::new(), ignored, failures: unreadable };
        ends.counts.ignored = ends.ignored.len() as u64;
        for (row, outcome) in self.request.rows.iter().zip(self.outcomes) {
            let (matched, is_taken) = match outcome {
                RowOutcome::Taken(matched) => (matched, true),
                RowOutcome::Ignored(matched) => (matched, false),
                RowOutcome::Failed(reason) => {
                    ends.failures.push(RowProblem { row: row.number, reason: reason.clone() });
                    continue;
                }
            };
            if let Some(reason) = unstored.get(&matched.source_id) {
                ends.failures.push(RowProblem { row: row.number, reason: reason.clone() });
                continue;
            }
            match (matched.is_new, is_taken) {
                (true, _) => ends.counts.new += 1,
                (false, true) => ends.counts.updated += 1,
                (false, false) => ends.counts.ignored += 1,
            }
            ends.generated.extend(generated(row, matched, self.card_number(&matched.source_id, known)));
        }
        ends.failures.sort_by_key(|failure| failure.row);
        ends.counts.failed = ends.failures.len() as u64;
        ends
    }
}

fn stored<'k>(known: &'k Known, source_id: &str) -> Option<&'k Customer> {
    known.customers.get(source_id).and_then(Option::as_ref)
}

/// What was generated for a row, but for a card number if the customer has another.
fn generated(row: &Row, matched: &Matched, card_number: Option<&str>) -> Option<GeneratedIds> {
    let code = matched.is_generated.then(|| matched.source_id.clone());
    let is_had = |generated: &String| card_number.is_none_or(|card_number| card_number == generated);
    let card_number = matched.card_number.clone().filter(is_had);
    (code.is_some() || card_number.is_some()).then_some(GeneratedIds { row: row.number, code, card_number })
}
