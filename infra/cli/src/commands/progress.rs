use std::collections::{BTreeMap, HashMap};
use std::io::{IsTerminal, stdout};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use model::OutcomeCounts;
use operations::status::{Condition, ConnectionStatus, DestinationStatus, PushCounts};

use crate::commands::changes::Change;
use crate::commands::status::{TAKES_PUSHES, word};

/// Shows the progress of a run: bars on a terminal, plain lines elsewhere.
pub(crate) struct Progress {
    view: View,
    /// The status when the run began: a summary counts the run only.
    baseline: Vec<ConnectionStatus>,
    /// The last line shown for each connection.
    said: Mutex<HashMap<String, String>>,
    /// Whether all was in sync once: from then on changes are shown one by one, and no totals.
    has_caught_up: AtomicBool,
}

enum View {
    Silent,
    Lines,
    Bars(MultiProgress, Mutex<HashMap<String, ProgressBar>>),
}

/// How many of the changes that come at once are shown one by one.
const MOST_CHANGES: usize = 10;
/// The least size of a batch that gets a line, once all was in sync.
const WORTH_A_LINE: u64 = 1_000;
/// A line for each tenth of a batch.
const LINES_PER_BATCH: u64 = 10;

impl Progress {
    pub(crate) fn new(baseline: Vec<ConnectionStatus>) -> Self {
        let view =
            if stdout().is_terminal() { View::Bars(MultiProgress::new(), Mutex::default()) } else { View::Lines };
        Self { view, baseline, said: Mutex::default(), has_caught_up: AtomicBool::new(false) }
    }

    pub(crate) fn silent() -> Self {
        Self { view: View::Silent, baseline: Vec::new(), said: Mutex::default(), has_caught_up: AtomicBool::new(false) }
    }

    pub(crate) fn line(&self, text: &str) {
        match &self.view {
            View::Silent => {}
            View::Lines => println!("{text}"),
            View::Bars(bars, _) => bars.suspend(|| println!("{text}")),
        }
    }

    /// Shows what is new in the status of the connections.
    pub(crate) fn show(&self, statuses: &[ConnectionStatus]) {
        for status in statuses {
            if let View::Bars(bars, by_id) = &self.view {
                show_bar(bars, by_id, status);
            }
            let Some(news) = self.news(status) else { continue };
            if self.is_news(&status.id, &news) {
                self.line(&format!("{}: {news}", status.id));
            }
        }
    }

    /// Shows what is new in the status of the destinations.
    pub(crate) fn show_destinations(&self, statuses: &[DestinationStatus]) {
        for status in statuses {
            let news = match (&status.error, status.condition) {
                (_, Condition::Paused) => Some(word(status.condition).to_owned()),
                (Some(error), _) => Some(format!("takes nothing: {}", error.message)),
                (None, Condition::InSync) if self.has_caught_up.load(Ordering::Relaxed) => {
                    Some("has everything".to_owned())
                }
                _ => None,
            };
            let Some(news) = news else { continue };
            if self.is_news(&status.id, &news) {
                self.line(&format!("to {}: {news}", status.id));
            }
        }
    }

    /// Shows at which destinations customers have arrived; beyond [`MOST_CHANGES`] only how many more.
    pub(crate) fn show_arrivals(&self, arrivals: &BTreeMap<String, Vec<&'static str>>) {
        if !self.has_caught_up.load(Ordering::Relaxed) {
            return;
        }
        for (id, systems) in arrivals.iter().take(MOST_CHANGES) {
            self.line(&format!("{id} → {}", systems.join(", ")));
        }
        if arrivals.len() > MOST_CHANGES {
            self.line(&format!("… and {} more", arrivals.len() - MOST_CHANGES));
        }
    }

    /// Whether something was not said last of a connection or a destination.
    fn is_news(&self, id: &str, news: &str) -> bool {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        said.insert(id.to_owned(), news.to_owned()).is_none_or(|before| before != news)
    }

    /// All is in sync: from now on shows only changes.
    pub(crate) fn caught_up(&self, statuses: &[ConnectionStatus]) {
        self.has_caught_up.store(true, Ordering::Relaxed);
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        said.extend(statuses.iter().map(|status| (status.id.clone(), word(status.condition).to_owned())));
    }

    /// Shows which customers changed and which fields, each on a line; beyond [`MOST_CHANGES`] only how many more.
    pub(crate) fn show_changes(&self, changes: &[Change], with_names: bool) {
        for Change { id, name, what } in changes.iter().take(MOST_CHANGES) {
            match name.as_deref().filter(|_| with_names) {
                Some(name) => self.line(&format!("{id} ({name}) {what}")),
                None => self.line(&format!("{id} {what}")),
            }
        }
        if changes.len() > MOST_CHANGES {
            self.line(&format!("… and {} more", changes.len() - MOST_CHANGES));
        }
    }

    /// The next line for a connection, if there is news.
    fn news(&self, status: &ConnectionStatus) -> Option<String> {
        if status.condition == Condition::Paused {
            return Some(word(status.condition).to_owned());
        }
        if let Some(error) = &status.error {
            return Some(format!("failing: {}", error.message));
        }
        let has_caught_up = self.has_caught_up.load(Ordering::Relaxed);
        match (&status.batch, &self.view) {
            (Some(batch), _) if has_caught_up && batch.customers < WORTH_A_LINE => None,
            (None, _) if has_caught_up => Some(word(status.condition).to_owned()),
            (Some(_), View::Bars(..)) => None,
            (Some(batch), _) if batch.customers == 0 => None,
            (Some(batch), _) => {
                let done = batch.customers - batch.left;
                let step = (batch.customers / LINES_PER_BATCH).max(1);
                let so_far = if batch.listing { " listed so far" } else { "" };
                let (number, done, all) = (batch.number, done / step * step, batch.customers);
                Some(format!("batch {number}: {done} of {all} customers{so_far}"))
            }
            (None, _) if status.fresh_as_of.is_some() => Some(self.standing(status)),
            (None, _) => None,
        }
    }

    /// The status of a connection without an error.
    fn standing(&self, status: &ConnectionStatus) -> String {
        if status.condition == Condition::Paused {
            return word(status.condition).to_owned();
        }
        if status.kind.is_push() {
            return TAKES_PUSHES.to_owned();
        }
        format!("{}: {}", word(status.condition), self.reconciliation(status))
    }

    /// The figures of this run, which must add up.
    fn reconciliation(&self, status: &ConnectionStatus) -> String {
        let before = self.baseline.iter().find(|before| before.id == status.id);
        let before = before.map(|before| before.counts.ends).unwrap_or_default();
        let now = status.counts.ends;
        let run = OutcomeCounts {
            written: now.written - before.written,
            unchanged: now.unchanged - before.unchanged,
            stale: now.stale - before.stale,
            tombstoned: now.tombstoned - before.tombstoned,
            failed: now.failed - before.failed,
        };
        let ends = run.by_name().map(|(name, count)| format!("{count} {name}")).join(" + ");
        format!("{} fetched = {ends}", run.sum())
    }

    /// Ends the bars and shows the result of the run.
    pub(crate) fn summary(&self, statuses: &[ConnectionStatus], destinations: &[DestinationStatus]) {
        self.finish();
        for status in statuses {
            let text = match &status.error {
                Some(error) if status.condition != Condition::Paused => {
                    format!("{}: failing: {}; {}", status.id, error.message, self.reconciliation(status))
                }
                _ => format!("{}: {}", status.id, self.standing(status)),
            };
            let said = self.said.lock().unwrap_or_else(PoisonError::into_inner).get(&status.id).cloned();
            if said.is_none_or(|said| format!("{}: {said}", status.id) != text) {
                self.line(&text);
            }
            if status.failures > 0 {
                let records = if status.failures == 1 {
                    "1 failure record"
                } else {
                    &format!("{} failure records", status.failures)
                };
                self.line(&format!("{}: {records}: see `customer-sync failures`", status.id));
            }
        }
        for status in destinations {
            let PushCounts { changes, sent, failed, left_out } = status.counts;
            let figures = format!("{changes} changes = {sent} sent + {failed} failed + {left_out} left out");
            self.line(&format!("to {}: {}: {figures}", status.id, word(status.condition)));
            self.is_news(&status.id, "has everything");
        }
    }

    pub(crate) fn finish(&self) {
        if let View::Bars(bars, by_id) = &self.view {
            by_id.lock().unwrap_or_else(PoisonError::into_inner).clear();
            // A terminal that is gone needs no tidying.
            let _ = bars.clear();
        }
    }
}

fn show_bar(bars: &MultiProgress, by_id: &Mutex<HashMap<String, ProgressBar>>, status: &ConnectionStatus) {
    let mut by_id = by_id.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(batch) = &status.batch else {
        if let Some(bar) = by_id.remove(&status.id) {
            bar.finish_and_clear();
        }
        return;
    };
    let bar = by_id.entry(status.id.clone()).or_insert_with(|| {
        let bar = bars.add(ProgressBar::new(batch.customers));
        // A constant: if it were wrong, the bar would keep its default style.
        if let Ok(style) = ProgressStyle::with_template("{prefix} [{bar:40}] {pos}/{len} customers, {per_sec}") {
            bar.set_style(style);
        }
        bar.with_prefix(status.id.clone())
    });
    bar.set_length(batch.customers);
    bar.set_position(batch.customers - batch.left);
}
