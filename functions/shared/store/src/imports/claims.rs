use std::collections::{BTreeMap, BTreeSet, HashMap};

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;
use model::import::{Claim, Claimants};
use model::{ConnectionKey, ContentHash, CustomerId};

use super::Imports;
use crate::StoreError;
use crate::item::{Item, Read, item, number, text};

/// A claim's claimants before and after a change.
pub type ClaimChange<'a> = (&'a Claim, &'a Claimants, &'a Claimants);

/// What is found of customers in a claim.
#[derive(Default)]
struct Held {
    source_ids: BTreeSet<String>,
    /// The keys of the items that name them.
    items: Vec<String>,
}

impl Imports {
    /// The customers that have, or once had, each of these; with an entry for each claim, and the first page.
    ///
    /// # Errors
    /// If not all could be read before the deadline.
    pub async fn claimants(
        &self,
        connection: &ConnectionKey,
        claims: impl IntoIterator<Item = Claim>,
        deadline: Timestamp,
    ) -> Result<HashMap<Claim, Claimants>, StoreError> {
        // An address as earlier releases folded it may have the key of another one as it is folded now.
        let mut by_key: HashMap<String, Vec<Claim>> = HashMap::new();
        for claim in claims {
            by_key.entry(claim_key(connection, &claim)).or_default().push(claim);
        }
        let mut claimants = HashMap::with_capacity(by_key.len());
        for item in self.table.get_many(by_key.keys().cloned().collect(), &[], deadline).await? {
            let read = Read::new("claim", &item);
            for claim in by_key.remove(read.text("id")?).into_iter().flatten() {
                claimants.insert(claim, first_page(&read)?);
            }
        }
        claimants.extend(by_key.into_values().flatten().map(|claim| (claim, Claimants::default())));
        Ok(claimants)
    }

    /// Reads the next pages of each of these claims, until so many pages of each are known.
    ///
    /// # Errors
    /// If not all could be read before the deadline.
    pub async fn read_on(
        &self,
        connection: &ConnectionKey,
        claims: impl IntoIterator<Item = (Claim, usize)>,
        claimants: &mut HashMap<Claim, Claimants>,
        deadline: Timestamp,
    ) -> Result<(), StoreError> {
        let mut pages_of = BTreeMap::new();
        for (claim, wanted) in claims {
            let Some(known) = claimants.get(&claim) else { continue };
            let numbers = known.pages.len()..known.page_count.min(wanted);
            let keys: Vec<String> =
                numbers.map(|page| page_key(&claim_key(connection, &claim), known.layout, page)).collect();
            pages_of.insert(claim, keys);
        }
        let keys = pages_of.values().flatten().cloned().collect();
        let mut read_pages = HashMap::new();
        for item in self.table.get_many(keys, &[], deadline).await? {
            let read = Read::new("claim", &item);
            read_pages.insert(read.text("id")?.to_owned(), read.set("ids")?);
        }
        for (claim, keys) in pages_of {
            if let Some(known) = claimants.get_mut(&claim) {
                // A page is written before it is counted, so each of them is there.
                known.pages.extend(keys.iter().map(|key| read_pages.remove(key).unwrap_or_default()));
            }
        }
        Ok(())
    }

    /// Stores what has changed of claims. Only for a caller that holds the connection's lease.
    ///
    /// # Errors
    /// If not all could be written before the deadline.
    pub async fn put_claims<'a>(
        &self,
        connection: &ConnectionKey,
        changes: impl IntoIterator<Item = ClaimChange<'a>>,
        deadline: Timestamp,
    ) -> Result<(), StoreError> {
        let (mut pages, mut heads, mut left) = (Vec::new(), Vec::new(), Vec::new());
        for (claim, before, after) in changes {
            let same_layout = before.layout == after.layout;
            for (number, page) in after.pages.iter().enumerate().skip(1) {
                if !same_layout || before.pages.get(number) != Some(page) {
                    let key = page_key(&claim_key(connection, claim), after.layout, number);
                    pages.push(item([("id", text(key)), ("ids", id_set(page))]));
                }
            }
            let is_head_changed = before.pages.first() != after.pages.first() || before.page_count != after.page_count;
            if !same_layout || is_head_changed {
                heads.push(head(claim_key(connection, claim), after));
            }
            if !same_layout {
                let keys =
                    (1..before.page_count).map(|page| page_key(&claim_key(connection, claim), before.layout, page));
                left.extend(keys.map(|key| self.left_behind(key)));
            }
        }
        // The first page says which others count: it is written after them, and pages that no longer count come last.
        for items in [pages, heads, left] {
            self.table.put_many(items, deadline).await?;
        }
        Ok(())
    }

    /// Adds customers to the claims that they get. Only for a caller that holds the connection's lease.
    ///
    /// # Errors
    /// If not all could be read and written before the deadline.
    pub async fn add_claims(
        &self,
        connection: &ConnectionKey,
        new: &BTreeMap<Claim, BTreeSet<String>>,
        deadline: Timestamp,
    ) -> Result<(), StoreError> {
        let mut before = self.claimants(connection, new.keys().cloned(), deadline).await?;
        let wanted = new.keys().map(|claim| (claim.clone(), usize::MAX));
        self.read_on(connection, wanted, &mut before, deadline).await?;
        let mut after = before.clone();
        for (claim, source_ids) in new {
            if let Some(claimants) = after.get_mut(claim) {
                claimants.add(source_ids.iter().map(String::as_str));
            }
        }
        let changes = new.keys().filter_map(|claim| Some((claim, before.get(claim)?, after.get(claim)?)));
        self.put_claims(connection, changes, deadline).await
    }

    /// Takes customers out of every claim that they have, or once had; how many that were. Reads the whole table, of
    /// all tenants, for nothing says which addresses and cards somebody has had. Only for a caller that holds the
    /// leases of their connections.
    ///
    /// # Errors
    /// If not all could be read and written before the deadline.
    pub async fn erase_claims(
        &self,
        tenant: &str,
        customers: &BTreeSet<CustomerId>,
        deadline: Timestamp,
    ) -> Result<u64, StoreError> {
        let mut held: BTreeMap<String, Held> = BTreeMap::new();
        let scan = self.table.scan("begins_with(id, :tenant) AND attribute_exists(ids)").consistent_read(true);
        let mut pages = self.table.pages(scan.expression_attribute_values(":tenant", text(format!("{tenant}/"))));
        while let Some(items) = pages.next().await? {
            for item in &items {
                let read = Read::new("claim", item);
                let key = read.text("id")?;
                let Some((connection, claim)) = place_of(key) else { continue };
                let ids = read.set("ids")?.into_iter().filter(|source_id| {
                    customers.contains(&CustomerId { connection: connection.clone(), source_id: source_id.clone() })
                });
                let ids: BTreeSet<String> = ids.collect();
                if !ids.is_empty() {
                    let held = held.entry(claim.to_owned()).or_default();
                    held.source_ids.extend(ids);
                    held.items.push(key.to_owned());
                }
            }
        }
        for (claim, held) in &held {
            self.erase_from(claim, held, deadline).await?;
        }
        Ok(held.len() as u64)
    }

    /// Takes customers out of the claim with this key. One that nobody has any more goes: its key is the hash of the
    /// address or the card number. So does a page that does not count, which an import that died has left.
    async fn erase_from(&self, claim: &str, held: &Held, deadline: Timestamp) -> Result<(), StoreError> {
        let head = self.table.get_many(vec![claim.to_owned()], &[], deadline).await?;
        let claimants = head.first().map(|head| first_page(&Read::new("claim", head))).transpose()?.unwrap_or_default();
        let pages = (1..claimants.page_count).map(|page| page_key(claim, claimants.layout, page));
        let keys: Vec<String> = std::iter::once(claim.to_owned()).chain(pages).collect();
        let uncounted = held.items.iter().filter(|item| !keys.contains(item)).cloned().collect();
        self.table.delete_many(uncounted, deadline).await?;
        let mut items = self.table.get_many(keys.clone(), &[], deadline).await?;
        let mut is_nobodys = !claimants.is_cut;
        for item in &mut items {
            let mut ids = Read::new("claim", item).set("ids")?;
            ids.retain(|id| !held.source_ids.contains(id));
            is_nobodys &= ids.is_empty();
            // A set that is empty can't be stored.
            match ids.is_empty() {
                true => item.remove("ids"),
                false => item.insert("ids".to_owned(), id_set(&ids)),
            };
        }
        match is_nobodys {
            true => self.table.delete_many(keys, deadline).await,
            false => self.table.put_many(items, deadline).await,
        }
    }

    /// A page that does not count any more: DynamoDB deletes it.
    fn left_behind(&self, key: String) -> Item {
        item([("id", text(key)), ("expires", number(self.table.clock.now().as_second()))])
    }
}

fn head(key: String, claimants: &Claimants) -> Item {
    let mut item = item([("id", text(key))]);
    // A set that is empty can't be stored.
    if let Some(page) = claimants.pages.first().filter(|page| !page.is_empty()) {
        item.insert("ids".to_owned(), id_set(page));
    }
    if claimants.page_count > 1 {
        item.insert("pages".to_owned(), number(claimants.page_count));
    }
    if claimants.layout > 0 {
        item.insert("layout".to_owned(), number(claimants.layout));
        item.insert("laid_out".to_owned(), number(claimants.laid_out));
    }
    if claimants.is_cut {
        item.insert("crowded".to_owned(), AttributeValue::Bool(true));
    }
    item
}

/// An item of the releases before has `ids` alone, or `crowded` if there were more than they remembered.
fn first_page(read: &Read<'_>) -> Result<Claimants, StoreError> {
    let ids = read.set("ids")?;
    let or_zero = |attribute| Ok::<_, StoreError>(read.number_or_zero(attribute)? as usize);
    Ok(Claimants {
        page_count: or_zero("pages")?.max(usize::from(!ids.is_empty())),
        pages: Vec::from_iter((!ids.is_empty()).then_some(ids)),
        layout: u32::try_from(read.number_or_zero("layout")?).unwrap_or(u32::MAX),
        laid_out: or_zero("laid_out")?,
        is_cut: read.has("crowded"),
    })
}

fn id_set(ids: &BTreeSet<String>) -> AttributeValue {
    AttributeValue::Ss(ids.iter().cloned().collect())
}

fn claim_key(connection: &ConnectionKey, claim: &Claim) -> String {
    let (kind, value) = match claim {
        Claim::Card(number) => ("card", number),
        Claim::Email(address) | Claim::Lowercase(address) => ("email", address),
    };
    format!("{connection}#{kind}/{}", ContentHash::of(value))
}

fn page_key(claim: &str, layout: u32, page: usize) -> String {
    format!("{claim}/{layout}/{page}")
}

/// The connection, and the key of the claim, of an item with this key: the claim's first page or a further one.
fn place_of(key: &str) -> Option<(String, &str)> {
    let (connection, rest) = key.split_once('#')?;
    let connection: ConnectionKey = connection.parse().ok()?;
    let mut parts = rest.split('/');
    let length = parts.next().filter(|kind| matches!(*kind, "card" | "email"))?.len() + "/".len() + parts.next()?.len();
    Some((connection.connection, &key[..key.len() - rest.len() + length]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_names_a_person_and_none_is_of_another() {
        let connection = ConnectionKey::new("acme", "imports");
        let keys = [
            claim_key(&connection, &Claim::email("jane@example.org")),
            claim_key(&connection, &Claim::Card("jane@example.org".into())),
            claim_key(&ConnectionKey::new("other", "imports"), &Claim::email("jane@example.org")),
        ];
        assert!(keys.iter().all(|key| !key.contains("jane")), "{keys:?}");
        assert!(keys[0] != keys[1] && keys[0] != keys[2] && keys[1] != keys[2]);
        assert!(keys[0].starts_with("acme/imports#email/"));
        assert_eq!(claim_key(&connection, &Claim::email("JANE@example.ORG")), keys[0]);
    }

    /// Invariant 11: what the release before wrote is read.
    #[test]
    fn a_claim_comes_back_as_it_was_stored() {
        let ids = |range: std::ops::Range<u32>| range.map(|id| id.to_string()).collect::<BTreeSet<_>>();
        let whole = Claimants { pages: vec![ids(0..100), ids(100..130)], page_count: 2, ..Claimants::default() };
        let read = |item: Item| first_page(&Read::new("claim", &item)).unwrap();
        let first = read(head("k".to_owned(), &whole));
        assert_eq!(first, Claimants { pages: vec![ids(0..100)], ..whole });
        assert!(!first.is_complete());
        let laid_out = Claimants { layout: 3, laid_out: 0, page_count: 0, ..Claimants::default() };
        assert_eq!(read(head("k".to_owned(), &laid_out)), laid_out);

        let before = item([("id", text("k")), ("ids", id_set(&ids(0..3)))]);
        assert_eq!(read(before), Claimants { pages: vec![ids(0..3)], page_count: 1, ..Claimants::default() });
        let crowded = item([("id", text("k")), ("crowded", AttributeValue::Bool(true))]);
        let crowded = read(crowded);
        assert!(crowded.is_cut && crowded.is_complete());
    }
}
