//! Runs a world from its seed to its end.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::panic;
use std::sync::Once;

use sources::SourceHttp;
use store::Clock;

use crate::event::{self, Event};
use crate::weather::{PlannedPanic, Trouble};
use crate::world::World;

/// The simulation of one seed.
#[derive(Clone, Debug)]
pub struct Simulation {
    seed: u64,
    events: Vec<Event>,
    http: SourceHttp,
}

/// How a simulation ended.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// What did not hold; none if all is well.
    pub violations: Vec<String>,
    /// How often calls met which trouble.
    pub fired: BTreeMap<Trouble, u64>,
    /// What was done, in numbers.
    pub figures: BTreeMap<&'static str, u64>,
    /// The same for two runs in which the same happened.
    pub fingerprint: u64,
    /// What happened, if it was to be noted.
    pub trace: Vec<String>,
}

impl Simulation {
    /// The simulation of a seed with so many events.
    pub fn new(seed: u64, events: usize, http: &SourceHttp) -> Self {
        Self { seed, events: event::draw(seed, events), http: http.clone() }
    }

    /// HTTP to the sources, which all simulations may share.
    pub fn http() -> SourceHttp {
        SourceHttp::new(Clock::system()).unwrap()
    }

    /// Its events.
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// Runs it.
    pub fn run(&self, is_traced: bool) -> Outcome {
        note_panics();
        PANICS.take();
        // The SDK draws its pauses from here.
        fastrand::seed(self.seed);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(self.run_in_runtime(is_traced))
    }

    async fn run_in_runtime(&self, is_traced: bool) -> Outcome {
        let mut world = World::new(self.seed, &self.http).await;
        world.trace = is_traced.then(Vec::new);
        let began = world.clock.now();
        for event in &self.events {
            world.pass_until(began + event.at).await;
            world.take(&event.what).await;
        }
        world.mend().await;
        let recovered = world.recover().await;
        let mut violations = world.violations().await;
        violations.extend(recovered.err());
        violations.extend(PANICS.take());
        let figures = world.figures();
        let (fired, fingerprint) = (world.aws.weather.fired(), world.aws.weather.fingerprint());
        Outcome { violations, fired, figures, fingerprint, trace: world.trace.take().unwrap_or_default() }
    }

    /// The simulation with only the events that it takes to fail, as far as dropping some of them finds out.
    #[must_use]
    pub fn shrunk(&self) -> Self {
        let mut smallest = self.clone();
        let mut size = smallest.events.len().div_ceil(2);
        while size > 0 {
            let mut begin = 0;
            while begin < smallest.events.len() {
                let mut fewer = smallest.clone();
                fewer.events.drain(begin..(begin + size).min(smallest.events.len()));
                if fewer.run(false).violations.is_empty() {
                    begin += size;
                } else {
                    smallest = fewer;
                }
            }
            size /= 2;
        }
        smallest
    }
}

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
            PANICS.with_borrow_mut(|panics| panics.push(format!("a panic at {place}")));
            if tokio::runtime::Handle::try_current().is_err() {
                usual(info);
            }
        }));
    });
}
