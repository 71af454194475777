use crate::ReadError;
use crate::scan::StartTag;
use crate::source_message::{SourceMessage, sanitized, shown};

/// What an answer says of itself, beside the data: `status`, `message` and `error`, wherever they stand.
///
/// HTTP status is 200 for failures too, so this is the only place that tells them.
#[derive(Default)]
pub(super) struct Envelope {
    /// What is being listened to, and the depth of its element.
    listening: Option<(Part, usize)>,
    heard: SourceMessage,
    message: String,
    /// Whether anything was known of what the answer says of itself.
    pub(super) is_known: bool,
    /// The depth of the `status` that said FAILURE.
    failed_at: Option<usize>,
    /// Whether a `status` said SUCCESS.
    pub(super) succeeded: bool,
}

#[derive(Clone, Copy)]
enum Part {
    Status,
    Message,
    Error,
}

impl Envelope {
    /// An element begins at `depth`, outside any customer.
    pub(super) fn start(&mut self, tag: &StartTag, depth: usize) {
        if self.listening.is_some() {
            // Keeps the texts of an error's own children apart.
            self.heard.push(" ");
            return;
        }
        let part = match tag.folded {
            "status" => Part::Status,
            "message" => Part::Message,
            "error" => Part::Error,
            _ => return,
        };
        self.heard.clear();
        self.is_known = true;
        self.listening = Some((part, depth));
    }

    /// Whether an element is open that says something of the answer.
    pub(super) fn is_listening(&self) -> bool {
        self.listening.is_some()
    }

    /// A piece of text, outside any customer.
    pub(super) fn text(&mut self, piece: &str) {
        if self.listening.is_some() {
            self.heard.push(piece);
        }
    }

    /// An element ends at `depth`. An error where the answer has turned out to be a failure.
    pub(super) fn end(&mut self, depth: usize) -> Result<(), ReadError> {
        if let Some((part, listening_depth)) = self.listening
            && listening_depth == depth
        {
            self.listening = None;
            let heard = sanitized(self.heard.as_str());
            self.heard.clear();
            match part {
                Part::Error if !heard.is_empty() => return Err(ReadError::Source { message: shown(&heard) }),
                Part::Message if !heard.is_empty() => self.message = heard,
                Part::Status if heard.eq_ignore_ascii_case("FAILURE") => self.failed_at = Some(depth),
                Part::Status if heard.eq_ignore_ascii_case("SUCCESS") => self.succeeded = true,
                Part::Status | Part::Message | Part::Error => {}
            }
        }
        let Some(failed_at) = self.failed_at else {
            return Ok(());
        };
        // The message may follow its status; where the element around them ends, there is none.
        if depth >= failed_at && depth > 1 && self.message.is_empty() {
            return Ok(());
        }
        let message = match self.message.as_str() {
            "" => "FAILURE, without a message".to_owned(),
            message => shown(message),
        };
        Err(ReadError::Source { message })
    }
}
