use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use lambda_http::http::Extensions;
use lambda_http::request::RequestContext;
use store::{Clock, Random};

use lambda::Metrics;

/// How many refusals in a row are answered at once.
const AT_ONCE: u32 = 10;
/// How long a refused caller waits for the answer after that: long for a caller that guesses, short for a function that
/// is paid while it waits.
const PAUSE: Duration = Duration::from_millis(200);

/// Reports every refusal: a warning with the route and the request's id, and the metric `refused`. After ten refusals
/// in a row a refused caller waits for a fifth of a second; no other caller waits.
#[derive(Debug)]
pub struct Refusals {
    clock: Clock,
    metrics: Metrics,
    in_a_row: AtomicU32,
}

impl Refusals {
    /// No request was refused yet.
    pub fn new(clock: Clock, metrics: Metrics) -> Self {
        Self { clock, metrics, in_a_row: AtomicU32::new(0) }
    }

    /// A request was let in.
    pub fn admitted(&self) {
        self.in_a_row.store(0, Ordering::Relaxed);
    }

    /// A request was refused. What it presented is not logged: it may be a secret with one wrong letter.
    pub async fn refused(&self, route: &str, request_id: &str) {
        let now = self.clock.now();
        tracing::warn!(route, request_id, "refused a request for its credentials");
        self.metrics.total(now, &[("refused", 1)]);
        // At most `u32::MAX`: it wraps to zero after that, which is one quick answer in four thousand million.
        if self.in_a_row.fetch_add(1, Ordering::Relaxed) >= AT_ONCE {
            self.clock.wait_until(now + PAUSE).await;
        }
    }
}

/// The id that API Gateway gave a request, as it stands in its access log; a random one if there is none.
pub fn request_id(extensions: &Extensions, random: &Random) -> String {
    match extensions.get::<RequestContext>() {
        Some(RequestContext::ApiGatewayV2(context)) => context.request_id.clone(),
        _ => None,
    }
    .unwrap_or_else(|| random.owner_id())
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    /// The pause of a test's clock passes at once and moves it on, see [`Clock::wait_until`].
    #[tokio::test]
    async fn after_ten_refusals_in_a_row_whoever_is_refused_waits_until_somebody_was_let_in() {
        let clock = Clock::manual(Timestamp::UNIX_EPOCH);
        let refusals = Refusals::new(clock.clone(), Metrics::off());
        for _ in 0..10 {
            refusals.refused("GET /", "1").await;
        }
        assert_eq!(clock.now(), Timestamp::UNIX_EPOCH);
        refusals.refused("GET /", "2").await;
        refusals.refused("GET /", "3").await;
        assert_eq!(clock.now(), Timestamp::from_millisecond(400).unwrap());
        refusals.admitted();
        refusals.refused("GET /", "4").await;
        assert_eq!(clock.now(), Timestamp::from_millisecond(400).unwrap());
    }
}
