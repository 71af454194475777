use std::fmt;

use model::iso_millis;
use serde_json::{Map, Value};
use store::Clock;
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, JsonFields, Writer};
use tracing_subscriber::fmt::{FmtContext, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

/// Log lines as JSON objects with the keys of Powertools: `timestamp`, `level`, `service`, `message`, and the fields of
/// the event and of every span around it, all side by side, so that a query finds them by name. The innermost wins.
pub(crate) struct JsonLines {
    /// The function's name.
    pub(crate) service: String,
    /// The time of a line.
    pub(crate) clock: Clock,
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> FormatEvent<S, JsonFields> for JsonLines {
    fn format_event(
        &self,
        context: &FmtContext<'_, S, JsonFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = Map::new();
        line.insert("timestamp".to_owned(), Value::String(iso_millis(self.clock.now())));
        line.insert("level".to_owned(), Value::String(event.metadata().level().to_string()));
        line.insert("service".to_owned(), Value::String(self.service.clone()));
        line.insert("target".to_owned(), Value::String(event.metadata().target().to_owned()));
        for span in context.event_scope().into_iter().flat_map(|scope| scope.from_root()) {
            if let Some(fields) = span.extensions().get::<FormattedFields<JsonFields>>() {
                line.extend(read_fields(&fields.fields));
            }
        }
        let mut fields = String::new();
        context.field_format().format_fields(Writer::new(&mut fields), event)?;
        line.extend(read_fields(&fields));
        writeln!(writer, "{}", Value::Object(line))
    }
}

/// The fields that [`JsonFields`] has written.
fn read_fields(json: &str) -> Map<String, Value> {
    serde_json::from_str(json).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::fmt::MakeWriter;
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl<'a> MakeWriter<'a> for Lines {
        type Writer = Self;

        fn make_writer(&'a self) -> Self {
            self.clone()
        }
    }

    #[test]
    fn a_line_holds_the_fields_of_the_event_and_of_every_span_around_it() {
        let lines = Lines::default();
        let format = JsonLines {
            service: "poll-queue".to_owned(),
            clock: Clock::manual("2026-01-01T00:00:00Z".parse().unwrap()),
        };
        let layer = tracing_subscriber::fmt::layer()
            .fmt_fields(JsonFields::new())
            .event_format(format)
            .with_writer(lines.clone());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            let _outer = tracing::error_span!("invocation", function_request_id = "r-1", cold_start = true).entered();
            let _inner = tracing::error_span!("chunk", connection = "acme/aa", batch = 7, chunk = 3).entered();
            tracing::warn!(left = 2, "a chunk waits");
        });
        let line: Value = serde_json::from_slice(&lines.0.lock().unwrap()).unwrap();
        let expected = serde_json::json!({
            "timestamp": "2026-01-01T00:00:00.000Z", "level": "WARN", "service": "poll-queue",
            "target": "lambda::json_lines::tests", "message": "a chunk waits", "left": 2,
            "function_request_id": "r-1", "cold_start": true, "connection": "acme/aa", "batch": 7, "chunk": 3,
        });
        assert_eq!(line, expected);
    }
}
