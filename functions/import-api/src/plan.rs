use std::collections::{BTreeMap, BTreeSet, HashMap};

use model::import::{
    Application, Claim, Fate, Field, Fingerprint, Image, Known, Matched, Overwrite, Request, Row, apply_row,
};
use model::{Content, Customer, Status};
use store::ImportCounts;
use wire::customers_batch::{GeneratedIds, RowProblem};

use crate::secrets::Secret;

/// What an import is going to do, row by row and customer by customer.
pub(crate) struct Plan<'a> {
    request: &'a Request,
    fingerprint: Fingerprint,
    fates: &'a [Fate],
    import: &'a str,
    /// The hashes of each row's secrets, by the row's place in the request.
    sealed: HashMap<usize, BTreeMap<Field, String>>,
    /// The places of the rows of each customer who is taken over, in their order.
    rows_of: HashMap<&'a str, Vec<usize>>,
    /// Every customer who is taken over, in the order of their first rows.
    customers: Vec<&'a str>,
}

/// What came of all rows.
pub(crate) struct Ends {
    pub(crate) counts: ImportCounts,
    pub(crate) generated: Vec<GeneratedIds>,
    pub(crate) failures: Vec<RowProblem>,
}

impl<'a> Plan<'a> {
    pub(crate) fn new(request: &'a Request, fingerprint: Fingerprint, fates: &'a [Fate], import: &'a str) -> Self {
        let mut rows_of: HashMap<&str, Vec<usize>> = HashMap::new();
        let mut customers = Vec::new();
        for (place, fate) in fates.iter().enumerate() {
            if let Fate::Taken(matched) = fate {
                let rows = rows_of.entry(&matched.source_id).or_default();
                if rows.is_empty() {
                    customers.push(matched.source_id.as_str());
                }
                rows.push(place);
            }
        }
        Self { request, fingerprint, fates, import, sealed: HashMap::new(), rows_of, customers }
    }

    /// Every customer who is taken over.
    pub(crate) fn customers(&self) -> &[&'a str] {
        &self.customers
    }

    /// The secrets of the rows that are taken over, with the places of their rows.
    pub(crate) fn secrets(&self) -> (Vec<usize>, Vec<Secret>) {
        let taken = self.request.rows.iter().zip(self.fates).enumerate();
        let secrets = taken.filter_map(|(place, (row, fate))| match fate {
            Fate::Taken(matched) => Some((place, row, matched)),
            _ => None,
        });
        secrets
            .flat_map(|(place, row, matched)| {
                row.given().filter(|(field, _)| field.is_secret()).map(move |(field, text)| {
                    (place, Secret { source_id: matched.source_id.clone(), field, text: text.to_owned() })
                })
            })
            .unzip()
    }

    /// Takes the hashes of the secrets, in the order of [`secrets`](Self::secrets).
    pub(crate) fn seal(&mut self, places: &[usize], secrets: &[Secret], hashes: Vec<String>) {
        for ((place, secret), hash) in places.iter().zip(secrets).zip(hashes) {
            self.sealed.entry(*place).or_default().insert(secret.field, hash);
        }
    }

    /// What a customer is after all of its rows, where `stored` is stored before them; nothing where it is to stay.
    pub(crate) fn revise(&self, source_id: &str, stored: Option<&Customer>) -> Option<Content> {
        let stored = stored.map(|customer| &customer.content).filter(|content| content.status != Status::Deleted);
        if stored.is_some() && self.request.overwrite == Overwrite::Ignore {
            // It is new, so this very import has brought it, before it was interrupted or sent again.
            return None;
        }
        let no_secrets = BTreeMap::new();
        let mut content: Option<Content> = None;
        for place in self.rows_of.get(source_id)? {
            let (Some(row), Some(Fate::Taken(matched))) = (self.request.rows.get(*place), self.fates.get(*place))
            else {
                continue;
            };
            let origin = matched.is_generated.then(|| self.fingerprint.origin(row.number));
            let application = Application {
                overwrite: self.request.overwrite,
                campaigns: &self.request.campaigns,
                import: self.import,
                card_number: matched.card_number.as_deref(),
                origin: origin.as_deref(),
                sealed: self.sealed.get(place).unwrap_or(&no_secrets),
            };
            content = Some(apply_row(content.as_ref().or(stored), row, &application));
        }
        content
    }

    /// The images that have to be recorded beside those that are.
    pub(crate) fn new_images(&self, known: &Known, recorded: &BTreeMap<String, Image>) -> Vec<Image> {
        let mut images = Vec::new();
        for source_id in &self.customers {
            let stored = known.customers.get(*source_id).and_then(Option::as_ref);
            let Some(content) = self.revise(source_id, stored) else { continue };
            let prior = stored.map(|customer| &customer.content);
            let left = content.hash();
            let is_recorded = recorded.get(*source_id).is_some_and(|image| image.left == left);
            if prior != Some(&content) && !is_recorded {
                images.push(Image { source_id: (*source_id).to_owned(), prior: prior.cloned(), left });
            }
        }
        images
    }

    /// Who gets which card number or address that they have not had.
    pub(crate) fn new_claims(&self, known: &Known) -> BTreeMap<Claim, BTreeSet<String>> {
        let mut claims: BTreeMap<Claim, BTreeSet<String>> = BTreeMap::new();
        for source_id in &self.customers {
            let stored = known.customers.get(*source_id).and_then(Option::as_ref);
            for claim in self.new_claims_of(source_id, stored) {
                claims.entry(claim).or_default().insert((*source_id).to_owned());
            }
        }
        claims
    }

    /// The claims of one customer that are new.
    pub(crate) fn new_claims_of(&self, source_id: &str, stored: Option<&Customer>) -> Vec<Claim> {
        let had: Vec<Claim> = stored.iter().flat_map(|customer| Claim::of(&customer.content)).collect();
        let content = self.revise(source_id, stored);
        content.iter().flat_map(Claim::of).filter(|claim| !had.contains(claim)).collect()
    }

    /// What came of all rows: of those that can't be read, and of the others. `unstored` says of customers why they
    /// could not be stored.
    pub(crate) fn ends(&self, unreadable: Vec<RowProblem>, unstored: &HashMap<String, String>) -> Ends {
        let mut ends = Ends { counts: ImportCounts::default(), generated: Vec::new(), failures: unreadable };
        for (row, fate) in self.request.rows.iter().zip(self.fates) {
            let (matched, is_taken) = match fate {
                Fate::Taken(matched) => (matched, true),
                Fate::Ignored(matched) => (matched, false),
                Fate::Failed(reason) => {
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
            ends.generated.extend(generated(row, matched));
        }
        ends.failures.sort_by_key(|failure| failure.row);
        ends.counts.failed = ends.failures.len() as u64;
        ends
    }
}

fn generated(row: &Row, matched: &Matched) -> Option<GeneratedIds> {
    let code = matched.is_generated.then(|| matched.source_id.clone());
    let card_number = matched.card_number.clone();
    (code.is_some() || card_number.is_some()).then_some(GeneratedIds { row: row.number, code, card_number })
}
