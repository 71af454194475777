use crate::ReadError;
use crate::source_message::{SourceMessage, sanitized, shown};
use crate::tag::StartTag;

/// What an answer says of itself, beside the data: `status`, `message` and `error`, at any place.
///
/// HTTP status is 200 for failures too, so only these show them.
#[derive(Default)]
pub(super) struct Envelope {
    /// The part that is being read, and the depth of its element.
    listening: Option<(Part, usize)>,
    heard: SourceMessage,
    message: String,
    /// Whether any of these parts was found.
    pub(super) is_known: bool,
    /// The depth of the `status` that was FAILURE.
    failed_at: Option<usize>,
    /// Whether a `status` was SUCCESS.
    pub(super) succeeded: bool,
}

#[derive(Clone, Copy)]
enum Part {
    Status,
    Message,
    Error,
}

impl Envelope {
    /// Begins an element at `depth`, outside any customer.
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

    /// Whether one of these parts is open.
    pub(super) fn is_listening(&self) -> bool {
        self.listening.is_some()
    }

    /// A piece of text, outside any customer.
    pub(super) fn text(&mut self, piece: &str) {
        if self.listening.is_some() {
            self.heard.push(piece);
        }
    }

    /// Ends an element at `depth`. Fails if the answer turns out to be a failure.
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
        // The message may follow its status, up to the end of the element around them.
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
