//! Customers of Association Anywhere, by their details: some of them, `bulk_size` at a time.
//!
//! An answer may lack customers that exist, because the source answers with only so many, and it does not say so. A
//! customer that is missing is therefore asked for twice more, few at a time: **alone**, and **beside companions** that
//! are known to exist, one first, one in the middle and one last. It is missing at the source if neither answer has it,
//! and the second has every companion. Beside companions no more are asked for than the source was heard with. These
//! are the rules of `fetch-customers`, without its way out: what they can't decide is unclear here.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use config::{AssociationAnywhereConfig as Settings, Connection};
use jiff::Timestamp;
use model::{Content, Customer, CustomerId, Status, fold_id, is_spelling_of};
use sources::SourceError;
use sources::association_anywhere::{AssociationAnywhereClient, DetailsAnswer};
use sources::companions::{COMPANIONS, MISSING_AT_ONCE, between};
use store::{Erased, Standing, StoreError, Tables};

use crate::{Difference, Differing, Suspect, Unclear, Verified, VerifyError, fields_that_differ, wait_out};

/// How long after the first look the second one begins: a change must have had time to reach the source's queue.
pub const SECOND_LOOK_AFTER: Duration = Duration::from_secs(5);
/// How many requests in a row may bring nothing that can be used, before one has brought something.
const BLIND_FAILURES: u32 = 6;

const OTHERS_CAME: &str = "the answer lacks it, and holds a customer that was not asked for: it proves nothing";
const NOTHING_PROVEN: &str = "the answer lacks it, and so many others that it proves nothing";
const UNREADABLE_RECORD: &str = "its record can't be read";

/// Compares customers of the shadow with what Association Anywhere says of them.
#[derive(Clone, Debug)]
pub struct CustomersVerifier {
    tables: Tables,
    source: AssociationAnywhereClient,
    /// Whether pauses of the limiter are waited out, or end the comparison.
    is_patient: bool,
}

/// What a look found.
#[derive(Clone, Debug, Default)]
pub struct Look {
    /// How many are as the source says.
    pub agreeing: u64,
    /// Those that differ.
    pub differing: Vec<Differing>,
    /// Those that could not be compared.
    pub unclear: Vec<Unclear>,
}

impl CustomersVerifier {
    /// Works on these tables, and waits for its turn however long that takes: for a person who waits for the answer.
    pub fn new(tables: &Tables, source: AssociationAnywhereClient) -> Self {
        Self { tables: tables.clone(), source, is_patient: true }
    }

    /// The same, but for a function, which is paid for waiting: a source that has no time now ends the comparison.
    #[must_use]
    pub fn impatient(self) -> Self {
        Self { is_patient: false, ..self }
    }

    /// Compares so many customers, each as likely as any other, and looks twice at those that differ.
    ///
    /// # Errors
    /// If the source can't be asked, or the store fails.
    pub async fn verify(
        &self,
        connection: &Connection<Settings>,
        sample: usize,
        deadline: Timestamp,
    ) -> Result<Verified, VerifyError> {
        let (ids, stored) = self.tables.shadow.sample(&connection.key, sample).await?;
        let first = self.look(connection, &ids, deadline).await?;
        let Look { agreeing, differing, unclear } = first;
        let verified = Verified { stored, agreeing, unclear, ..Verified::default() };
        if differing.is_empty() {
            return Ok(verified);
        }
        self.tables.clock.wait_until(self.tables.clock.now() + SECOND_LOOK_AFTER).await;
        let suspects: Vec<Suspect> = differing.iter().map(Differing::to_suspect).collect();
        // The queue before the shadow: what leaves the queue in between is in the shadow by then.
        let queued = self.queued_among(connection, &suspects, deadline).await?;
        let again = self.look_again(connection, suspects, &queued, deadline).await?;
        Ok(Verified {
            agreeing: verified.agreeing + again.agreeing,
            unclear: verified.unclear.into_iter().chain(again.unclear).collect(),
            stored,
            ..again
        })
    }

    /// Those suspects that stand in the source's queue. Asking for it changes nothing at the source.
    async fn queued_among(
        &self,
        connection: &Connection<Settings>,
        suspects: &[Suspect],
        deadline: Timestamp,
    ) -> Result<BTreeSet<String>, VerifyError> {
        let Connection { key, settings } = connection;
        let mut waits = 0;
        let answer = loop {
            let asked = async { self.source.queue(key, settings).await?.read(deadline).await }.await;
            match asked {
                Ok(answer) => break answer,
                Err(error) => self.wait_out("queue", error, &mut waits, deadline).await?,
            }
        };
        // The queue may write an id otherwise than the details do.
        let queued: BTreeSet<String> = answer.customers.iter().map(|customer| fold_id(&customer.source_id)).collect();
        let ids = suspects.iter().map(|suspect| &suspect.source_id);
        Ok(ids.filter(|source_id| queued.contains(&fold_id(source_id))).cloned().collect())
    }

    /// Looks a second time at customers that differed at the first look. `queued` are those of them that the source has
    /// reported and that are not taken over yet.
    ///
    /// # Errors
    /// If the source can't be asked, or the store fails.
    pub async fn look_again(
        &self,
        connection: &Connection<Settings>,
        suspects: Vec<Suspect>,
        queued: &BTreeSet<String>,
        deadline: Timestamp,
    ) -> Result<Verified, VerifyError> {
        let ids: Vec<String> = suspects.iter().map(|suspect| suspect.source_id.clone()).collect();
        let suspects: HashMap<String, Suspect> =
            suspects.into_iter().map(|suspect| (suspect.source_id.clone(), suspect)).collect();
        let Look { agreeing, differing, unclear } = self.look(connection, &ids, deadline).await?;
        let mut verified = Verified { agreeing, unclear, ..Verified::default() };
        let key = &connection.key;
        for mut customer in differing {
            let is_still = suspects.get(&customer.source_id) == Some(&customer.to_suspect());
            let is_redriven = self.tables.failures.redrive_of(key, &customer.source_id).await?.is_some();
            if !is_still || is_redriven || queued.contains(&customer.source_id) {
                verified.on_their_way.push(customer.source_id);
                continue;
            }
            customer.has_failed = self.tables.failures.is_there(key, &customer.source_id).await?;
            verified.drifted.push(customer);
        }
        Ok(verified)
    }

    /// Compares these customers with the source, once.
    ///
    /// # Errors
    /// If the source can't be asked, or the store fails.
    pub async fn look(
        &self,
        connection: &Connection<Settings>,
        ids: &[String],
        deadline: Timestamp,
    ) -> Result<Look, VerifyError> {
        let work = Work {
            verifier: self,
            connection,
            deadline,
            look: Look::default(),
            rounds: ids.chunks(bulk_size(connection)).map(<[String]>::to_vec).collect(),
            missing: Vec::new(),
            companions: Vec::new(),
            most_heard: 0,
            blind_failures: 0,
        };
        work.run().await
    }

    /// Waits out what keeps the source from being asked, unless nobody waits for it.
    async fn wait_out(
        &self,
        request: &'static str,
        error: SourceError,
        waits: &mut u32,
        deadline: Timestamp,
    ) -> Result<(), VerifyError> {
        if !self.is_patient {
            return Err(VerifyError::Source { request, error });
        }
        wait_out(&self.tables.clock, request, error, waits, deadline).await
    }
}

fn bulk_size(connection: &Connection<Settings>) -> usize {
    connection.settings.bulk_size as usize
}

/// A look that is under way.
struct Work<'a> {
    verifier: &'a CustomersVerifier,
    connection: &'a Connection<Settings>,
    deadline: Timestamp,
    look: Look,
    /// Sets of ids to ask for.
    rounds: VecDeque<Vec<String>>,
    /// Customers that an answer lacked.
    missing: Vec<String>,
    /// Customers that the source has just answered with.
    companions: Vec<String>,
    /// The most customers that one answer held.
    most_heard: usize,
    blind_failures: u32,
}

/// What an answer says of the customers that were asked for.
struct Heard {
    found: BTreeMap<String, Result<Content, String>>,
    missing: Vec<String>,
    /// Why it does not prove that the missing ones are missing at the source.
    doubt: Option<String>,
}

impl Work<'_> {
    async fn run(mut self) -> Result<Look, VerifyError> {
        while let Some(ids) = self.rounds.pop_front() {
            let heard = match self.request(&ids).await? {
                Ok(answer) => self.hear(&ids, answer),
                Err(reason) => Heard { found: BTreeMap::new(), missing: ids, doubt: Some(reason) },
            };
            let is_alone = heard.missing.len() + heard.found.len() == 1;
            match heard.doubt {
                None => self.missing.extend(heard.missing),
                Some(_) if !is_alone => self.split(heard.missing),
                Some(reason) => self.unclear(heard.missing, &reason),
            }
            self.compare(heard.found).await?;
        }
        self.confirm_missing().await?;
        Ok(self.look)
    }

    /// Sends one request. `Ok(Err(_))` if the answer can't be used: then a customer may be to blame.
    async fn request(&mut self, ids: &[String]) -> Result<Result<DetailsAnswer, String>, VerifyError> {
        let Connection { key, settings } = self.connection;
        let mut waits = 0;
        loop {
            match self.verifier.source.details(key, settings, ids, self.deadline).await {
                Ok(answer) => {
                    self.blind_failures = 0;
                    return Ok(Ok(answer));
                }
                Err(error @ (SourceError::InvalidResponse { .. } | SourceError::Panicked)) => {
                    self.blind_failures += 1;
                    if self.most_heard == 0 && self.blind_failures >= BLIND_FAILURES {
                        return Err(VerifyError::Source { request: "details", error });
                    }
                    return Ok(Err(error.to_string()));
                }
                Err(error) => {
                    let failed = matches!(error, SourceError::Transient { .. }).then(|| error.to_string());
                    self.verifier.wait_out("details", error, &mut waits, self.deadline).await?;
                    if let Some(reason) = failed
                        && self.answers_for_another(ids).await?
                    {
                        return Ok(Err(reason));
                    }
                }
            }
        }
    }

    /// Whether the source answers for a customer that is none of these: then one of these may be what it fails at. If
    /// these are all that there are, some of them are others.
    async fn answers_for_another(&mut self, ids: &[String]) -> Result<bool, StoreError> {
        let Connection { key, settings } = self.connection;
        let some = self.verifier.tables.shadow.some_existing(key, ids.len() + 1).await?;
        let another: Vec<String> = some.into_iter().find(|id| !ids.contains(id)).into_iter().collect();
        if another.is_empty() {
            self.blind_failures += 1;
            return Ok(ids.len() > 1 && (self.most_heard > 0 || self.blind_failures < BLIND_FAILURES));
        }
        let answer = self.verifier.source.details(key, settings, &another, self.deadline).await;
        Ok(answer.is_ok_and(|answer| !answer.details.is_empty()))
    }

    /// Sorts an answer by the ids that were asked for. If a customer comes twice, the last one counts.
    fn hear(&mut self, asked: &[String], answer: DetailsAnswer) -> Heard {
        let mut doubt = answer.broken.map(|error| error.to_string());
        if answer.unasked.count > 0 {
            doubt.get_or_insert_with(|| OTHERS_CAME.to_owned());
        }
        let mut wanted: BTreeSet<&String> = asked.iter().collect();
        let mut found = BTreeMap::new();
        let mut respelled = Vec::new();
        for detail in answer.details {
            let content = detail.content.map_err(|error| error.to_string());
            match detail.source_id {
                None => {
                    doubt.get_or_insert_with(|| "a customer came without an id, and may be this one".to_owned());
                }
                Some(source_id) if asked.contains(&source_id) => {
                    wanted.remove(&source_id);
                    found.insert(source_id, content);
                }
                Some(source_id) => respelled.push((source_id, content)),
            }
        }
        for (source_id, content) in respelled {
            let mut meant = wanted.iter().copied().filter(|id| is_spelling_of(id, &source_id));
            if let (Some(id), None) = (meant.next(), meant.next()) {
                wanted.remove(id);
                found.insert(id.clone(), content);
            } else {
                doubt.get_or_insert_with(|| OTHERS_CAME.to_owned());
            }
        }
        self.most_heard = self.most_heard.max(found.len());
        for (source_id, content) in &found {
            if content.is_ok() && self.companions.len() < COMPANIONS && !self.companions.contains(source_id) {
                self.companions.push(source_id.clone());
            }
        }
        Heard { missing: wanted.into_iter().cloned().collect(), found, doubt }
    }

    /// Compares what came with the records as they are after the answer.
    async fn compare(&mut self, found: BTreeMap<String, Result<Content, String>>) -> Result<(), VerifyError> {
        let mut said = BTreeMap::new();
        for (source_id, content) in found {
            match content {
                Ok(content) => {
                    said.insert(source_id, content);
                }
                Err(reason) => self.unclear(vec![source_id], &reason),
            }
        }
        let mut records = self.records(said.keys().cloned().collect()).await?;
        let erased = self.verifier.tables.erasures.of(&self.connection.key.tenant).await?;
        for (source_id, content) in said {
            let Some(record) = records.remove(&source_id) else {
                self.unclear(vec![source_id], UNREADABLE_RECORD);
                continue;
            };
            let hash = content.hash();
            match record {
                Some(record) if record.content.hash() == hash => self.look.agreeing += 1,
                record => {
                    let difference = match &record {
                        // Whoever was erased stays away, and so does a new customer with their address.
                        record if self.is_kept_away(&erased, &source_id, record.as_ref(), &content).await? => {
                            self.look.agreeing += 1;
                            continue;
                        }
                        None => Difference::NotStored,
                        Some(record) if record.content.status == Status::Deleted => Difference::StoredAsDeleted,
                        Some(record) => Difference::Fields(fields_that_differ(&record.content, &content)),
                    };
                    self.look.differing.push(Differing::new(source_id, difference, Some(hash), record.as_ref()));
                }
            }
        }
        Ok(())
    }

    async fn is_kept_away(
        &self,
        erased: &Erased,
        source_id: &str,
        record: Option<&Customer>,
        content: &Content,
    ) -> Result<bool, StoreError> {
        let key = &self.connection.key;
        let id = CustomerId { connection: key.connection.clone(), source_id: source_id.to_owned() };
        let erasures = &self.verifier.tables.erasures;
        erasures.keeps_away(&key.tenant, erased, &id, record.map(Standing::from), content).await
    }

    /// The records of customers, `None` for one that has none; one that can't be read is left out.
    async fn records(&self, ids: Vec<String>) -> Result<HashMap<String, Option<Customer>>, StoreError> {
        let key = &self.connection.key;
        let wanted = ids.iter().map(|source_id| (key.clone(), source_id.clone()));
        let found = self.verifier.tables.shadow.find_many(wanted, self.deadline).await?;
        let mut records: HashMap<String, Option<Customer>> = ids.into_iter().map(|id| (id, None)).collect();
        for unreadable in found.unreadable {
            records.remove(&unreadable.source_id);
        }
        for customer in found.customers {
            records.insert(customer.source_id.clone(), Some(customer));
        }
        Ok(records)
    }

    /// Asks for the missing customers once more, alone and beside companions.
    async fn confirm_missing(&mut self) -> Result<(), VerifyError> {
        let missing = std::mem::take(&mut self.missing);
        if missing.is_empty() {
            return Ok(());
        }
        self.hear_enough(&missing).await?;
        // Beside companions there must be room for one that is missing, in what the source was heard with.
        let most = bulk_size(self.connection).min(self.most_heard);
        self.companions.truncate(most.saturating_sub(1));
        let room = most.saturating_sub(self.companions.len());
        if self.companions.is_empty() {
            self.unclear(missing, NOTHING_PROVEN);
            return Ok(());
        }
        let mut groups: VecDeque<Vec<String>> =
            missing.chunks(room.min(MISSING_AT_ONCE)).map(<[String]>::to_vec).collect();
        while let Some(group) = groups.pop_front() {
            if let Some(doubt) = self.look_closer(&group).await? {
                if group.len() > 1 {
                    groups.extend(group.into_iter().map(|source_id| vec![source_id]));
                } else {
                    self.unclear(group, &doubt);
                }
            }
        }
        Ok(())
    }

    /// Has the source answer for customers of the shadow, unless it has shown already with how many it can.
    async fn hear_enough(&mut self, missing: &[String]) -> Result<(), VerifyError> {
        let wanted = (COMPANIONS + missing.len().min(MISSING_AT_ONCE)).min(bulk_size(self.connection));
        if self.companions.len() == COMPANIONS && self.most_heard >= wanted {
            return Ok(());
        }
        let some = self.verifier.tables.shadow.some_existing(&self.connection.key, wanted + missing.len()).await?;
        let known: Vec<String> = some.into_iter().filter(|id| !missing.contains(id)).take(wanted).collect();
        if !known.is_empty()
            && let Ok(answer) = self.request(&known).await?
        {
            self.hear(&known, answer);
        }
        Ok(())
    }

    /// Asks for a group of missing customers alone, and then beside the companions. `None` if what came is sorted out;
    /// otherwise why it proves nothing.
    async fn look_closer(&mut self, group: &[String]) -> Result<Option<String>, VerifyError> {
        let companions = self.companions.clone();
        let mut missing = group.to_vec();
        for ids in [group.to_vec(), between(group, &companions)] {
            let answer = match self.request(&ids).await? {
                Ok(answer) => answer,
                Err(reason) => return Ok(Some(reason)),
            };
            let heard = self.hear(&ids, answer);
            if heard.missing.iter().any(|id| companions.contains(id)) {
                return Ok(Some(NOTHING_PROVEN.to_owned()));
            }
            if heard.doubt.is_some() {
                return Ok(heard.doubt);
            }
            let came: BTreeMap<_, _> = heard.found.into_iter().filter(|(id, _)| missing.contains(id)).collect();
            if !came.is_empty() && group.len() > 1 {
                // An answer before lacked it although it exists: each is asked for by itself.
                return Ok(Some(NOTHING_PROVEN.to_owned()));
            }
            missing.retain(|id| !came.contains_key(id));
            self.compare(came).await?;
            if missing.is_empty() {
                return Ok(None);
            }
        }
        for (source_id, record) in self.records(missing).await? {
            match record {
                // Meanwhile the shadow knows.
                None => self.look.agreeing += 1,
                Some(record) if record.content.status == Status::Deleted => self.look.agreeing += 1,
                record => {
                    self.look.differing.push(Differing::new(source_id, Difference::Missing, None, record.as_ref()))
                }
            }
        }
        Ok(None)
    }

    fn split(&mut self, mut ids: Vec<String>) {
        let second_half = ids.split_off(ids.len() / 2);
        self.rounds.extend([ids, second_half].into_iter().filter(|ids| !ids.is_empty()));
    }

    fn unclear(&mut self, ids: Vec<String>, reason: &str) {
        let unclear = |source_id| Unclear { source_id, reason: reason.to_owned() };
        self.look.unclear.extend(ids.into_iter().map(unclear));
    }
}
