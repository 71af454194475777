//! Runs a world from its seed to its end.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;
use std::time::{Duration, Instant};

use destinations::DestinationHttp;
use model::PlantedFault;
use sources::SourceHttp;
use store::Clock;

use crate::event::{self, Event};
use crate::weather::PlannedPanic;
use crate::world::{Setting, World};

/// The simulation of one seed.
#[derive(Clone, Debug)]
pub struct Simulation {
    seed: u64,
    events: Vec<Event>,
    setting: Setting,
    planted: Option<PlantedFault>,
    http: Http,
}

/// How a simulation ended.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// What did not hold; none if all is well.
    pub violations: Vec<String>,
    /// What happened, by name, and how often.
    pub met: BTreeMap<String, u64>,
    /// What was done, in numbers.
    pub figures: BTreeMap<&'static str, u64>,
    /// The same for two runs in which the same happened.
    pub fingerprint: u64,
    /// What happened, if it was to be noted.
    pub trace: Vec<String>,
}

/// The clients of the systems that are no part of AWS, of which each process makes its own.
#[derive(Clone, Debug)]
pub struct Http {
    /// Of the sources.
    pub sources: SourceHttp,
    /// Of the destinations.
    pub destinations: DestinationHttp,
}

impl Simulation {
    /// The simulation of a seed with so many events, and all others that there are besides. Some worlds have
    /// destinations, or persons who are erased, or begin where the clocks are put back; in some, one tenant has all the
    /// trouble.
    pub fn new(seed: u64, events: usize, http: &Http) -> Self {
        if event::has_floods(seed) {
            let events = event::of_neighbours(seed, events);
            return Self { seed, events, setting: Setting::of(seed), planted: None, http: http.clone() };
        }
        let rare = Self::with_rare(seed, events, http);
        let mut events = event::with_operator(seed, event::with_more(seed, rare.events));
        if event::has_crowd(seed) {
            events = event::with_crowd(seed, events);
        }
        if event::has_backfills(seed) {
            // They take minutes.
            events = event::with_backfills(seed, events);
            events.iter_mut().for_each(|event| event.at *= 2);
        } else {
            // Idle time costs as much of ours as busy time, and shows less.
            events.iter_mut().for_each(|event| event.at /= 2);
        }
        Self { events, setting: Setting::of(seed), ..rare }
    }

    /// Without the kinds of events that came last: what once failed in such a world is looked for in it.
    pub fn with_rare(seed: u64, events: usize, http: &Http) -> Self {
        let mut world = Self::usual(seed, events, http);
        world.events = event::with_erasures(seed, event::with_rare(seed, world.events));
        world.setting.has_destinations = event::has_destinations(seed);
        if world.setting.has_destinations {
            world.events = event::with_destinations(seed, world.events);
        }
        world
    }

    /// Without the rare ones, without destinations and erasures.
    pub fn usual(seed: u64, events: usize, http: &Http) -> Self {
        let events = event::draw(seed, events);
        Self { seed, events, setting: Setting::default(), planted: None, http: http.clone() }
    }

    /// The world in which it is looked for what a missing protection lets through: after a restore everything is
    /// resynced, which would hide what was lost. It has destinations, or a tenant that floods, if the protection is
    /// against their trouble.
    pub fn planted(seed: u64, events: usize, fault: PlantedFault, http: &Http) -> Self {
        let mut planted = Self { planted: Some(fault), ..Self::usual(seed, events, http) };
        if fault == PlantedFault::PassesOver {
            planted.events = event::with_destinations(seed, planted.events);
            planted.setting.has_destinations = true;
        }
        if fault == PlantedFault::IgnoresTurns {
            planted.events = event::of_neighbours(seed, events);
            planted.setting.has_floods = true;
        }
        planted
    }

    /// HTTP to the sources and the destinations, which all simulations may share.
    pub fn http() -> Http {
        let clock = Clock::system();
        Http { sources: SourceHttp::new(clock.clone()), destinations: DestinationHttp::new(clock) }
    }

    /// Its events.
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// Runs it.
    pub fn run(&self, is_traced: bool) -> Outcome {
        let run = || in_runtime(self.seed, self.planted, self.run_in_runtime(is_traced));
        panic::catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| {
            // An operator's call failed, or the world is wrong.
            Outcome { violations: PANICS.take(), ..Outcome::default() }
        })
    }

    async fn run_in_runtime(&self, is_traced: bool) -> Outcome {
        let mut world = World::new(self.seed, self.setting, &self.http).await;
        if is_traced {
            world.trace = Some(Vec::new());
            world.aws.weather.note_all();
        }
        let began = world.clock.now();
        for event in &self.events {
            world.pass_until(began + event.at).await;
            world.look_at_neighbours().await;
            world.take(&event.what).await;
        }
        world.mend().await;
        let mut violations: Vec<String> = world.recover().await.err().into_iter().collect();
        violations.extend(world.violations().await);
        violations.extend(world.hear_everybody().await);
        violations.extend(world.publish().await.err());
        violations.extend(world.reader_misses().await);
        // Also of what happened while everybody was heard.
        violations.extend(world.noted_violations());
        violations.extend(PANICS.take());
        world.note_weather();
        let figures = world.figures();
        let (met, fingerprint) = (world.met(), world.aws.weather.fingerprint());
        Outcome { violations, met, figures, fingerprint, trace: world.trace.take().unwrap_or_default() }
    }

    /// The simulation with only the events that it takes to fail, as far as dropping some of them finds out in some
    /// minutes.
    #[must_use]
    pub fn shrunk(&self) -> Self {
        let until = Instant::now() + SHRINKS_FOR;
        let mut smallest = self.clone();
        let Some(violation) = self.run(false).violations.first().map(|violation| kind_of(violation)) else {
            return smallest;
        };
        // First what comes after it, then larger pieces before smaller ones, and the smallest until none can be spared.
        let mut size = smallest.events.len().div_ceil(2);
        while size > 0 {
            let events = smallest.events.len();
            let mut end = smallest.events.len();
            while end > 0 {
                let begin = end.saturating_sub(size);
                let mut fewer = smallest.clone();
                fewer.events.drain(begin..end);
                if Instant::now() > until {
                    return smallest;
                }
                if fewer.run(false).violations.iter().any(|other| kind_of(other) == violation) {
                    smallest = fewer;
                }
                end = begin;
            }
            if size > 1 || smallest.events.len() == events {
                size /= 2;
            }
        }
        smallest
    }
}

/// Runs a world to its end, on paused time and with chance from a seed.
pub(crate) fn in_runtime<T>(seed: u64, planted: Option<PlantedFault>, world: impl Future<Output = T>) -> T {
    note_panics();
    PANICS.take();
    PlantedFault::plant(planted);
    // The ids of the SDK's requests are drawn from here.
    fastrand::seed(seed);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(world)
}

/// What a violation says, whoever it is about, and whenever it was: its words.
fn kind_of(violation: &str) -> Vec<String> {
    let words = violation.split(|letter: char| !letter.is_alphabetic()).filter(|word| word.len() > 2);
    words.take(WORDS).map(str::to_owned).collect()
}

/// So many words tell violations apart.
const WORDS: usize = 6;

/// How long a shorter history is looked for.
const SHRINKS_FOR: Duration = Duration::from_secs(120);

thread_local! {
    /// The panics of this thread's simulation that were not planned.
    static PANICS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Notes panics that were not planned, instead of printing them.
fn note_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if info.payload().is::<PlannedPanic>() {
                return;
            }
            let place = info.location().map(ToString::to_string).unwrap_or_default();
            let said = info.payload_as_str().unwrap_or_default();
            PANICS.with_borrow_mut(|panics| panics.push(format!("a panic at {place}: {said}")));
            if tokio::runtime::Handle::try_current().is_err() {
                usual(info);
            }
        }));
    });
}
