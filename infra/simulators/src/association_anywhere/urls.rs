//! Where the procedures are.

/// The environment in the path that the printed addresses use. The simulator answers under any.
pub const ENVIRONMENT: &str = "demo";
/// Path name of *get queue*, which answers in the older, hyphenated names.
pub const QUEUE_PATH: &str = "CENCUSTINTEGRATESYNCWEBSVCLIB.GET_QUEUE_CUSTS_XML";
/// Path name of the *get queue* that also says why each customer is queued, in the newer camelCase names.
pub const QUEUE_WITH_REASONS_PATH: &str = "CENCUSTINTEGRATESYNCWEBSVCLIB.GET_QUEUE_CUSTS_W_REASONS_XML";
/// Path name of *get customer details*.
pub const DETAILS_PATH: &str = "CENSSAWEBSVCLIB.GET_CUST_INFO_XML";
/// Path name of *purge queue*.
pub const PURGE_PATH: &str = "CENCUSTINTEGRATESYNCWEBSVCLIB.PURGE_QUEUE_XML";
/// Path name of *force enqueue*.
pub const ENQUEUE_PATH: &str = "CENCUSTINTEGRATESYNCWEBSVCLIB.FORCE_ENQUEUE_CUSTS_XML";

/// The addresses of the procedures of one simulator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AaUrls {
    /// Get queue, hyphenated names.
    pub queue: String,
    /// Get queue with action and reason, camelCase names.
    pub queue_with_reasons: String,
    /// Get customer details.
    pub details: String,
    /// Purge queue.
    pub purge: String,
    /// Force enqueue.
    pub enqueue: String,
}

/// The addresses under `base`, such as `http://127.0.0.1:8790`, in the environment `demo`.
pub fn urls(base: &str) -> AaUrls {
    urls_in(base, ENVIRONMENT)
}

/// The addresses under `base` in an environment of another name.
pub fn urls_in(base: &str, environment: &str) -> AaUrls {
    let base = base.trim_end_matches('/');
    let url = |path: &str| format!("{base}/{environment}/{path}");
    AaUrls {
        queue: url(QUEUE_PATH),
        queue_with_reasons: url(QUEUE_WITH_REASONS_PATH),
        details: url(DETAILS_PATH),
        purge: url(PURGE_PATH),
        enqueue: url(ENQUEUE_PATH),
    }
}
