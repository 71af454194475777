//! Kills the functions at every call that a story makes, one by one.

use std::time::Duration;

use crate::run::Http;

use crate::event::{CUSTOMERS, FIRST, What};
use crate::run::in_runtime;
use crate::weather::Trouble;
use crate::world::{Setting, World};

/// How long a story takes at most until every function that it concerns has done its part.
const STORY: Duration = Duration::from_secs(40);

/// A story, and the functions that have a part in it.
#[derive(Clone, Debug)]
pub struct Story {
    /// The functions.
    pub functions: &'static str,
    events: Vec<What>,
}

/// What became of a story whose process died at each of its calls.
#[derive(Clone, Debug, Default)]
pub struct Swept {
    /// How many calls it makes.
    pub calls: u64,
    /// How often a process died.
    pub deaths: u64,
    /// What did not hold afterwards, with the call.
    pub violations: Vec<String>,
}

/// The stories of all functions that write.
pub fn stories() -> Vec<Story> {
    let (last, next) = (FIRST + CUSTOMERS - 1, FIRST + CUSTOMERS);
    vec![
        Story {
            functions: "schedule-polls, poll-queue, fetch-customers, publish-changes",
            events: vec![What::AaChange(0, FIRST), What::AaDelete(0, last), What::AaCreate(0, next)],
        },
        Story {
            functions: "schedule-polls, poll-contacts, upsert-customers, publish-changes",
            events: vec![What::BcChange(FIRST), What::BcDelete(last), What::BcCreate(next)],
        },
        Story { functions: "connector-api, publish-changes", events: vec![What::Push(0, false), What::Push(1, true)] },
        Story { functions: "import-api, publish-changes", events: vec![What::Import(0, 3, true)] },
    ]
}

impl Story {
    /// Tells the story once for each of its calls, and has the process die there: before the call is carried out, and
    /// after it.
    pub fn sweep(&self, http: &Http) -> Swept {
        let mut swept = Swept::default();
        for trouble in [Trouble::DiesBefore, Trouble::DiesAfter] {
            for call in 1.. {
                let (has_died, violations) = in_runtime(call, None, self.tell(call, trouble, http));
                if !has_died {
                    swept.calls = swept.calls.max(call - 1);
                    break;
                }
                swept.deaths += 1;
                swept.violations.extend(violations.into_iter().map(|problem| format!("{trouble:?} {call}: {problem}")));
            }
        }
        swept
    }

    /// Whether the process died at that call, and what did not hold.
    async fn tell(&self, call: u64, trouble: Trouble, http: &Http) -> (bool, Vec<String>) {
        let mut world = World::new(1, Setting::default(), http).await;
        let mut violations: Vec<String> = world.recover().await.err().into_iter().collect();
        let fired = world.aws.weather.fired();
        world.aws.weather.dies_at(call, trouble);
        for event in &self.events {
            world.take(event).await;
        }
        world.pass_until(world.clock.now() + STORY).await;
        let has_died = world.aws.weather.fired() != fired;
        world.mend().await;
        violations.extend(world.recover().await.err());
        violations.extend(world.violations().await);
        violations.extend(world.reader_misses().await);
        violations.extend(world.noted_violations());
        (has_died, violations)
    }
}
