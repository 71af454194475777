use std::cell::RefCell;
use std::io;
use std::sync::Once;

use lambda::log_filter;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

thread_local! {
    static LINES: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// What the functions log in a test, which runs on a thread of its own: all that a function may log at any level. The
/// subscriber is the whole program's: one that only a thread has may miss lines that another thread has come by first.
pub struct Log;

impl Log {
    /// Listens from now on.
    pub fn begin() -> Self {
        static LISTENING: Once = Once::new();
        LISTENING.call_once(|| {
            let lines = tracing_subscriber::fmt::layer().with_writer(|| Self).with_ansi(false);
            tracing_subscriber::registry()
                .with(lines.with_filter(log_filter(Targets::new().with_default(LevelFilter::TRACE))))
                .init();
        });
        LINES.with_borrow_mut(Vec::clear);
        Self
    }

    /// The lines that contain `part`.
    pub fn lines(&self, part: &str) -> Vec<String> {
        let text = LINES.with_borrow(|lines| String::from_utf8(lines.clone()).unwrap());
        text.lines().filter(|line| line.contains(part)).map(str::to_owned).collect()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LINES.with_borrow_mut(|lines| lines.extend_from_slice(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
