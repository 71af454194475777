//! Triggered by SQS: messages of `schedule-polls`, and of the worker that settled the last chunk of a batch. Lists the
//! contacts of Business Catalyst connections that changed since their cursor, makes a batch of them page by page, and
//! moves the cursor once every contact of the batch has come to an end.
//!
//! | reads | writes |
//! |---|---|
//! | the source's contact list; connections, the batch ledger, redrive and resync requests, after a full listing the shadow's ids | the batch ledger, messages on SQS, the poll's state |
//!
//! **When it fails** nothing is lost: a listing goes on with the page that failed, a chunk whose message or worker was
//! lost is sent again, and a batch that can't be finished is abandoned and listed anew from the same cursor.

mod nobody;

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use config::{BusinessCatalystConfig as Settings, Connection};
use jiff::Timestamp;
use lambda::{Clients, Environment, EnvironmentError, Function};
use model::{Batch, ChunkPlan, ConnectionKey, ContentHash, Listing, ListingScope, ListingState, NextAction, Phase};
use polling::{FRONT, Next, Poll, Poller, Polling, Tended};
use sources::business_catalyst::BusinessCatalystClient;
use sources::{ContactPage as Page, SourceError, UNIDENTIFIED};
use store::{Failure, LedgerState, StoreError, Tables, Withheld, split_listed};

/// How long an abandoned batch waits at least before it is listed anew.
const PAUSE_AFTER_ABANDONING: Duration = Duration::from_secs(10);
/// And at most, however rarely the source is asked.
const LONGEST_PAUSE_AFTER_ABANDONING: Duration = Duration::from_secs(60);
/// How many pages are held in memory to see whether they hold anything new. More of them become a batch in any case.
const MOST_PAGES_AHEAD: u32 = 10;
/// Why a deletion waits if a contact on the list has no usable id.
const UNIDENTIFIED_WAITS: &str =
    "its deletion waits: the source lists it no longer, but lists a contact without an id, which may be it";
/// Why a deletion waits if the list may have been cut off.
const UNPROVEN_WAITS: &str = "its deletion waits: the source lists it no longer, but whether that was all of its list \
                              can't be proven: it is not in the order of its dates, or all of one date";
/// Why a batch is given up whose site is another by now.
const CONFIGURED_OTHERWISE: &str = "the connection was configured otherwise meanwhile";
/// How many waiting deletions are recorded one by one.
const MOST_WITHHELD: usize = 1_000;
/// Ids of contacts that are gone, in one chunk.
const ABSENT_PER_CHUNK: usize = 100;

/// What is to be done for a page.
#[derive(Default)]
struct Work {
    plans: Vec<ChunkPlan>,
    /// How many customers the chunks hold.
    customers: u64,
}

impl Work {
    fn of_page(page: Page) -> Self {
        let customers = page.customers.len() as u64;
        let parts = split_listed(page.customers).into_iter();
        Self { plans: parts.map(|listed| ChunkPlan { listed, ..ChunkPlan::default() }).collect(), customers }
    }

    /// Adds the deletion of customers that are gone.
    fn delete(&mut self, absent: &[String]) {
        self.customers += absent.len() as u64;
        let parts = absent.chunks(ABSENT_PER_CHUNK).map(|ids| ids.iter().cloned().collect());
        self.plans.extend(parts.map(|delete| ChunkPlan { delete, ..ChunkPlan::default() }));
    }

    /// Numbers the chunks from `next` on, and moves `next` to the next free number. Returns their numbers.
    fn number_from(&mut self, next: &mut u32) -> std::ops::Range<u32> {
        let first = *next;
        for plan in &mut self.plans {
            plan.number = *next;
            *next += 1;
        }
        first..*next
    }
}

/// Builds the function.
///
/// # Errors
/// If a variable of its environment is missing or is no number: see [`PollContacts::new`].
pub fn function(environment: &Environment, clients: Clients) -> Result<Function, EnvironmentError> {
    Ok(Function::Queue(Arc::new(Polling(PollContacts::new(environment, clients)?))))
}

/// The function.
#[derive(Clone, Debug)]
pub struct PollContacts {
    poller: Poller,
    source: BusinessCatalystClient,
    most_pages: u32,
}

impl PollContacts {
    /// The function with the tables and the queue that its environment names: `CONTROL_TABLE`, `SHADOW_TABLE`,
    /// `WORK_QUEUE_URL`. After `MOST_PAGES` pages a batch ends, and
    /// the next one goes on.
    ///
    /// # Errors
    /// If a variable is missing, or is no number.
    pub fn new(environment: &Environment, clients: Clients) -> Result<Self, EnvironmentError> {
        let poller = Poller::new(environment, &clients)?.for_chunks_that_hold_all();
        let Clients { secrets, http, clock, .. } = clients;
        Ok(Self {
            source: BusinessCatalystClient::new(http, secrets, poller.tables.limiter.clone(), clock),
            poller,
            most_pages: environment.number("MOST_PAGES")?,
        })
    }
}

impl Poll for PollContacts {
    type Settings = Settings;
    type News = Infallible;

    fn poller(&self) -> &Poller {
        &self.poller
    }

    fn pause(settings: &Settings) -> Duration {
        Duration::from_secs(u64::from(settings.poll_seconds))
    }

    async fn tend(&self, connection: &Connection<Settings>, deadline: Timestamp) -> Result<Tended, StoreError> {
        let state = self.poller.tables.ledger.state(&connection.key).await?;
        Ok(match (Batch::next_action(state.latest.as_ref()), &state.latest) {
            (NextAction::WatchLedger, Some(batch)) => Tended::Batch(self.watch(connection, batch, deadline).await?),
            (NextAction::GoOnListing, Some(batch)) => Tended::Batch(self.go_on(connection, batch, deadline).await?),
            // A listing is opened in one write: this was left by a queue, when the connection was of that kind.
            (NextAction::ClearOpening, Some(batch)) => {
                Tended::Batch(self.abandon(connection, batch, "it is of another kind of connection").await?)
            }
            _ => Tended::Nothing(Box::new(state)),
        })
    }

    async fn ask(
        &self,
        connection: &Connection<Settings>,
        ledger: LedgerState,
        _news: Option<Infallible>,
        deadline: Timestamp,
    ) -> Result<Next, StoreError> {
        self.begin(connection, &ledger, deadline).await
    }
}

impl PollContacts {
    /// Asks for the first page, and opens a batch if it holds anything new.
    async fn begin(
        &self,
        connection: &Connection<Settings>,
        state: &LedgerState,
        deadline: Timestamp,
    ) -> Result<Next, StoreError> {
        let Connection { key, settings } = connection;
        let Tables { ledger, states, clock, .. } = &self.poller.tables;
        // One contact can't be asked for: customers to be fetched again are found by listing everything.
        let requests = states.state(key).await?;
        let (resync, confirmed) = (requests.resync_requested, self.poller.confirm_request(key, &requests).await?);
        let redriven = self.poller.tables.failures.redrive_requests(key).await?;
        let is_moved = state.cursor_origin.is_some_and(|origin| origin != origin_of(settings));
        let all_again = is_moved || resync.is_some() || confirmed.is_some() || !redriven.is_empty();
        let listing = if all_again { Listing::of_everything() } else { Listing::of_changes_since(state.cursor) };
        let scope = listing.scope;
        let origin = Some(origin_of(settings));
        let mut batch =
            Batch { origin, resync, confirmed, ..Batch::listed(state.latest.as_ref(), listing, clock.now()) };
        let last = state.latest.as_ref().and_then(|batch| batch.listing.as_ref());
        let (pages, ahead) = match self.look_ahead(connection, &batch, last, deadline).await {
            Ok(found) => found,
            Err(error) => return self.poller.report(key, "contact list", error, Self::retry_pause(settings)).await,
        };
        let is_whole = pages.last().is_some_and(|page| !page.more);
        let is_nobody = pages.iter().all(Page::is_empty);
        if let Some(cursor) = state.cursor.filter(|_| is_whole && is_nobody) {
            // A list of everything that is empty is no answer to an earlier question: there is none.
            let is_final = scope != ListingScope::Changes || pages.iter().any(|page| page.is_fault);
            return self.listed_nobody(connection, cursor, batch.asked_at, is_final, deadline).await;
        }
        let is_known = is_nobody || last.is_some_and(|last| ahead.lists_the_same_as(last));
        if is_whole && is_known && scope == ListingScope::Changes {
            states.mark_synced(key, batch.asked_at).await?;
            return Ok(Next::InSync);
        }
        states.mark_answered(key, batch.asked_at).await?;
        let number = state.latest.as_ref().map_or(batch.number - 1, |last| last.number);
        if let Some(until) = ledger.leased_until(key, number).await? {
            return Ok(self.poller.wait_for_workers(number, until, Self::pause(settings)));
        }
        // Whatever an earlier batch left in the ledger was abandoned with it.
        ledger.clear_chunks(key, number, deadline).await?;
        ledger.clear_seen(key, deadline).await?;
        ledger.begin(key, state.latest.as_ref(), &batch).await?;
        self.poller.tables.failures.take_in_redrives(key, &redriven, batch.number).await?;
        let mut next = Next::Now;
        for page in pages {
            next = self.take(connection, &batch, page, deadline).await?;
            match ledger.state(key).await?.latest {
                Some(latest) if latest.number == batch.number && latest.phase == Phase::Listing => batch = latest,
                _ => break,
            }
        }
        Ok(next)
    }

    /// Asks for the first page, and goes on as long as everything may be as the last listing reported it. Returns the
    /// pages, and the listing after them.
    async fn look_ahead(
        &self,
        connection: &Connection<Settings>,
        batch: &Batch,
        last: Option<&Listing>,
        deadline: Timestamp,
    ) -> Result<(Vec<Page>, Listing), SourceError> {
        let Connection { key, settings } = connection;
        let mut ahead = batch.listing.clone().unwrap_or_else(Listing::of_everything);
        let most = match last {
            Some(last)
                if ahead.scope == ListingScope::Changes && (last.scope, last.since) == (ahead.scope, ahead.since) =>
            {
                last.reading.listed_pages().min(MOST_PAGES_AHEAD)
            }
            _ => 1,
        };
        let settled_before = settings.behind(batch.asked_at);
        let mut pages: Vec<Page> = Vec::new();
        loop {
            let answer = self.source.contacts(key, settings, &ahead, deadline).await?;
            let page = Page::of(answer, &settings.zone(), batch.number, &ahead);
            let more = page.more;
            let course;
            (ahead, course) = ahead.after_page(page.listed(settled_before), page.fingerprint, None);
            pages.push(page);
            if !more || ahead.reading.requests() >= most || course != ListingState::Continues {
                return Ok((pages, ahead));
            }
        }
    }

    /// Asks for the next page of a listing that has begun.
    async fn go_on(
        &self,
        connection: &Connection<Settings>,
        batch: &Batch,
        deadline: Timestamp,
    ) -> Result<Next, StoreError> {
        let Connection { key, settings } = connection;
        let Some(listing) = &batch.listing else {
            return self.abandon(connection, batch, "its listing is not known").await;
        };
        if is_of_another(batch, settings) {
            return self.abandon(connection, batch, CONFIGURED_OTHERWISE).await;
        }
        let front = self.poller.tables.ledger.open_chunks(key, batch.number, FRONT).await?;
        let committed: Vec<_> = front.into_iter().filter(|chunk| chunk.chunk < listing.chunks).collect();
        self.poller.send_due(key, batch.number, &committed, deadline).await?;
        match self.source.contacts(key, settings, listing, deadline).await {
            Ok(answer) => {
                let page = Page::of(answer, &settings.zone(), batch.number, listing);
                self.take(connection, batch, page, deadline).await
            }
            Err(error) => {
                let request = format!("contact list, page {}", listing.reading.requests() + 1);
                self.poller.report(key, &request, error, Self::retry_pause(settings)).await
            }
        }
    }

    /// Puts a page into the ledger, and commits it.
    async fn take(
        &self,
        connection: &Connection<Settings>,
        batch: &Batch,
        page: Page,
        deadline: Timestamp,
    ) -> Result<Next, StoreError> {
        let key = &connection.key;
        let Some(listing) = &batch.listing else {
            return self.abandon(connection, batch, "its listing is not known").await;
        };
        let settled_before = connection.settings.behind(batch.asked_at);
        let (mut next, course) = listing.after_page(page.listed(settled_before), page.fingerprint, page.newest);
        let requests = next.reading.requests();
        let is_long = requests >= self.most_pages && (next.reading.fits() || requests >= 2 * self.most_pages);
        let course = if course == ListingState::Continues && is_long { next.pause(settled_before) } else { course };
        if let ListingState::Broken(why) = course {
            return self.abandon(connection, batch, why).await;
        }
        let ledger = &self.poller.tables.ledger;
        if listing.scope != ListingScope::Changes {
            ledger.record_seen(key, batch, &page.ids).await?;
        }
        let asked_at = page.asked_at;
        let mut work = Work::of_page(page);
        let mut ended = course == ListingState::Ended;
        if ended && listing.scope != ListingScope::Changes {
            let absent = self.absent(key, batch, &next).await?;
            if listing.scope == ListingScope::Full && !absent.is_empty() {
                tracing::info!(batch = batch.number, absent = absent.len(), "listing once more");
                next = next.confirming();
                ended = false;
            } else {
                work.delete(&absent);
            }
        }
        work.number_from(&mut next.chunks);
        ledger.write_page(key, batch, &work.plans, asked_at).await?;
        if ended {
            ledger.clear_uncommitted(key, batch.number, next.chunks, deadline).await?;
        }
        ledger.commit_page(key, batch, &next, work.customers, ended).await?;
        if ended {
            let customers = batch.total + work.customers;
            tracing::info!(batch = batch.number, customers, chunks = next.chunks, "listed a batch");
        }
        // The next look at the ledger sends them to the workers.
        Ok(Next::Now)
    }

    /// The customers that are stored, and were on no page of this batch. None if a listing was empty: a source that
    /// answers with nothing deletes nothing. None either if the source ended a list early: that proves no absence. If a
    /// contact on the list has no usable id, or the end of the list can't be proven, the deletions wait for a
    /// person.
    async fn absent(&self, key: &ConnectionKey, batch: &Batch, listing: &Listing) -> Result<Vec<String>, StoreError> {
        let mut absent: BTreeSet<String> = self.poller.tables.shadow.existing(key).await?.into_iter().collect();
        let is_last = listing.scope == ListingScope::Confirming;
        let scopes: &[ListingScope] =
            if is_last { &[ListingScope::Full, ListingScope::Confirming] } else { &[ListingScope::Full] };
        let mut has_unidentified = false;
        for scope in scopes {
            let seen = self.poller.tables.ledger.seen(key, batch.number, *scope).await?;
            if seen.is_empty() {
                return Ok(Vec::new());
            }
            has_unidentified |= seen.contains(UNIDENTIFIED);
            absent.retain(|source_id| !seen.contains(source_id));
        }
        if listing.reading.was_cut() {
            let absent = absent.len();
            tracing::warn!(batch = batch.number, absent, "the source ends its lists early: no customer is deleted");
            return Ok(Vec::new());
        }
        let absent: Vec<String> = absent.into_iter().collect();
        let doubt = if has_unidentified {
            Some(UNIDENTIFIED_WAITS)
        } else {
            (!listing.reading.is_end_proven()).then_some(UNPROVEN_WAITS)
        };
        match doubt.filter(|_| is_last) {
            Some(why) => self.withhold(key, batch, absent, why).await,
            None => Ok(absent),
        }
    }

    /// Lets deletions wait for a person, except those that a person has confirmed.
    async fn withhold(
        &self,
        key: &ConnectionKey,
        batch: &Batch,
        absent: Vec<String>,
        why: &str,
    ) -> Result<Vec<String>, StoreError> {
        let confirmed = match batch.confirmed {
            Some(_) => self.poller.tables.failures.confirmed(key).await?,
            None => BTreeSet::new(),
        };
        let (confirmed, waiting): (Vec<_>, Vec<_>) = absent.into_iter().partition(|id| confirmed.contains(id));
        let now = self.poller.tables.clock.now();
        for source_id in waiting.iter().take(MOST_WITHHELD).cloned() {
            let reason = format!("{why}; `resync {}` with `--confirm-deletes` carries it out", key.connection);
            let failure = Failure { source_id, reason, raw: String::new(), failed_at: now };
            self.poller.tables.failures.withhold(key, &failure, Withheld::Unproven).await?;
        }
        tracing::warn!(batch = batch.number, waiting = waiting.len(), why, "deletions wait");
        self.poller.metrics.count(&key.to_string(), now, &[("deletes_withheld", waiting.len() as u64)]);
        Ok(confirmed)
    }

    /// Looks after an open batch: sends what is due, and acknowledges it once its ledger is empty.
    async fn watch(
        &self,
        connection: &Connection<Settings>,
        batch: &Batch,
        deadline: Timestamp,
    ) -> Result<Next, StoreError> {
        let key = &connection.key;
        let front = self.poller.tables.ledger.open_chunks(key, batch.number, FRONT).await?;
        if front.is_empty() {
            return self.acknowledge(connection, deadline).await;
        }
        self.poller.send_due(key, batch.number, &front, deadline).await
    }

    /// No chunk is left: moves the cursor, and closes the batch.
    async fn acknowledge(&self, connection: &Connection<Settings>, deadline: Timestamp) -> Result<Next, StoreError> {
        let key = &connection.key;
        let Tables { ledger, states, .. } = &self.poller.tables;
        // Read after the ledger was seen empty: the counts are final.
        let LedgerState { latest: Some(batch), cursor, cursor_origin, .. } = ledger.state(key).await? else {
            return Ok(Next::Now);
        };
        if let Some(why) = batch.hindrance() {
            return self.abandon(connection, &batch, &why).await;
        }
        let Some(listing) = &batch.listing else {
            return self.abandon(connection, &batch, "its listing is not known").await;
        };
        if is_of_another(&batch, &connection.settings) {
            return self.abandon(connection, &batch, CONFIGURED_OTHERWISE).await;
        }
        self.poller.tables.failures.clear_redrives(key, batch.number).await?;
        if let Some(request) = batch.resync {
            states.resynced(key, request).await?;
        }
        if let Some(request) = batch.confirmed {
            states.confirmed(key, request).await?;
        }
        // The cursor of another site says nothing of this one.
        let cursor = cursor.filter(|_| cursor_origin.is_none() || cursor_origin == batch.origin);
        ledger.acknowledge_listing(key, &batch, listing.cursor_after(cursor, batch.asked_at)).await?;
        self.poller.tell_if_all_stale(key, &batch);
        ledger.clear_seen(key, deadline).await?;
        tracing::info!(batch = batch.number, customers = batch.total, "acknowledged a batch");
        if listing.reading.is_paused() {
            // The rest of a long list comes with the next batch.
            states.mark_answered(key, batch.asked_at).await?;
            return Ok(Next::Now);
        }
        states.mark_synced(key, batch.asked_at).await?;
        Ok(Next::InSync)
    }

    async fn abandon(&self, connection: &Connection<Settings>, batch: &Batch, why: &str) -> Result<Next, StoreError> {
        self.poller.abandon(&connection.key, batch, why).await?;
        Ok(Next::Anew(Self::pause(&connection.settings).clamp(PAUSE_AFTER_ABANDONING, LONGEST_PAUSE_AFTER_ABANDONING)))
    }
}

/// Identifies the site that is listed, and what its times mean: where either is another, a cursor says nothing.
fn origin_of(settings: &Settings) -> ContentHash {
    let Settings { endpoint, site_id, time_zone, .. } = settings;
    ContentHash::of(&format!("{endpoint}\n{site_id}\n{time_zone}"))
}

/// Whether a batch was listed by another site. That of the release before does not say.
fn is_of_another(batch: &Batch, settings: &Settings) -> bool {
    batch.origin.is_some_and(|origin| origin != origin_of(settings))
}
