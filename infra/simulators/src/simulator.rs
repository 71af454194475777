//! What every simulator is made of: its settings, what it remembers, and its faults.

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{Router, extract::DefaultBodyLimit};
use tokio::net::TcpListener;

use crate::{
    control::{self, BadRequest, Controlled, Parameters, bad_request, not_known},
    faults::{Fault, FaultPlans, OwnFault},
    server::{MAX_REQUEST_BYTES, serve},
};

/// The operation of a system that has no other.
pub(crate) const ONLY_OPERATION: usize = 0;

/// A system that can be simulated, as its settings describe it.
pub trait System: Clone + Send + Sync + 'static {
    /// What a simulator of it remembers.
    type State: Send;
    /// The faults that it has alone.
    type Own: OwnFault;

    /// The parameter of a command that names one of its operations.
    const OPERATION: &str = "operation";
    /// The names of its operations. If there is only one, no command names it.
    const OPERATIONS: &[&str] = &["only"];
    /// The parameter that names a place, such as a page. Only the first operation has places.
    const PLACE: Option<&str> = None;

    /// What it remembers at the start.
    fn state(&self) -> Self::State;

    /// What it serves.
    fn router() -> Router<Simulator<Self>>;

    /// Counts a request that meets a fault.
    fn count_fault(state: &mut Self::State);
}

/// A simulator. Clones share one state.
#[derive(Clone)]
pub struct Simulator<S: System> {
    shared: Arc<Shared<S>>,
}

struct Shared<S: System> {
    settings: S,
    state: Mutex<S::State>,
    faults: FaultPlans<S::Own>,
    met: Mutex<BTreeMap<String, u64>>,
}

impl<S: System> Simulator<S> {
    /// Makes a simulator as its settings say. It does not listen yet.
    pub fn new(settings: S) -> Self {
        let state = Mutex::new(settings.state());
        Self {
            shared: Arc::new(Shared {
                settings,
                state,
                faults: FaultPlans::new(S::OPERATIONS.len()),
                met: Mutex::default(),
            }),
        }
    }

    /// Serves the system, and the control surface under `/_simulator/`, until this future is dropped; that also closes
    /// every open connection, as when a server goes down.
    pub async fn serve(&self, listener: TcpListener) -> io::Result<()>
    where
        Self: Controlled,
    {
        serve(self.router().merge(control::router(self.clone())), listener).await
    }

    /// The system alone, to be called in this process.
    pub fn router(&self) -> Router {
        S::router().layer(DefaultBodyLimit::max(MAX_REQUEST_BYTES)).with_state(self.clone())
    }

    pub(crate) fn settings(&self) -> &S {
        &self.shared.settings
    }

    /// A panic elsewhere while the lock was held leaves a usable state.
    pub(crate) fn state(&self) -> MutexGuard<'_, S::State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn faults(&self) -> &FaultPlans<S::Own> {
        &self.shared.faults
    }

    /// What requests have met so far, by name, and how often: an operation with its fault, and other trouble.
    pub fn met(&self) -> BTreeMap<String, u64> {
        self.shared.met.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn note_met(&self, name: impl Into<String>) {
        *self.shared.met.lock().unwrap_or_else(PoisonError::into_inner).entry(name.into()).or_default() += 1;
    }

    /// Plans the fault that a command tells of.
    pub(crate) fn plan_fault(&self, parameters: &Parameters) -> Result<(), BadRequest> {
        let operations = operations::<S>(parameters)?;
        let place = S::PLACE.map(|name| parameters.number_if_given(name)).transpose()?.flatten();
        if place.is_some() && operations != [0] {
            let (name, first) = (S::PLACE.unwrap_or_default(), S::OPERATIONS[0]);
            return Err(bad_request(format_args!("{name}: only the operation {first} has pages")));
        }
        let fault = Fault::read(parameters)?;
        let times = parameters.number_if_given("times")?;
        for operation in operations {
            self.faults().plan(operation, place, fault.clone(), times);
        }
        Ok(())
    }

    /// The fault that a request meets. One that hangs is held here, and meets none any more when it is released.
    pub(crate) async fn meet(&self, operation: usize, place: Option<u64>) -> Option<Fault<S::Own>> {
        let (fault, mut fault_changes) = self.faults().take(operation, place);
        if let Some(fault) = &fault {
            self.note_met(format!("{} {}", S::OPERATIONS[operation], fault.name()));
            S::count_fault(&mut self.state());
        }
        if fault == Some(Fault::Hang) {
            // The sender lives as long as the simulator, which this request holds.
            let _ = fault_changes.changed().await;
            return None;
        }
        fault
    }
}

/// The operations that a command means, by their places among all.
fn operations<S: System>(parameters: &Parameters) -> Result<Vec<usize>, BadRequest> {
    let all = (0..S::OPERATIONS.len()).collect();
    if S::OPERATIONS.len() == 1 {
        return Ok(all);
    }
    match parameters.text(S::OPERATION)? {
        "all" => Ok(all),
        name => match S::OPERATIONS.iter().position(|operation| *operation == name) {
            Some(operation) => Ok(vec![operation]),
            None => Err(not_known(S::OPERATION, name)),
        },
    }
}
