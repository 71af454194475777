use crate::ReadError;
use crate::source_message::{SourceMessage, sanitized, shown};
use crate::tag::StartTag;

/// What stands before the source's own words if it reports a failure.
const FAILURE_MARK: &str = "ERROR:";

/// What the source says if something went wrong, in lower case.
const UNABLE: &str = "server was unable to process request";

/// A SOAP fault, while it is being read: `faultstring` of SOAP 1.1, `Reason/Text` of SOAP 1.2.
#[derive(Default)]
pub(super) struct FaultBuilder {
    /// How many elements are open within the fault.
    depth: usize,
    is_in_reason: bool,
    /// The depth of the element whose text is the reason.
    listening: Option<usize>,
    words: SourceMessage,
}

impl FaultBuilder {
    /// Begins an element within the fault.
    pub(super) fn start(&mut self, tag: &StartTag) {
        self.depth += 1;
        if self.depth == 1 {
            self.is_in_reason = tag.folded == "reason";
        }
        let tells = match self.depth {
            1 => tag.folded == "faultstring",
            2 => self.is_in_reason && tag.folded == "text",
            _ => false,
        };
        // A reason may come in several languages: the first that is not empty counts.
        if tells && sanitized(self.words.as_str()).is_empty() {
            self.words.clear();
            self.listening = Some(self.depth);
        }
    }

    pub(super) fn text(&mut self, piece: &str) {
        if self.listening.is_some() {
            self.words.push(piece);
        }
    }

    /// Ends an element within the fault.
    pub(super) fn end(&mut self) {
        if self.listening == Some(self.depth) {
            self.listening = None;
        }
        self.depth -= 1;
    }

    /// Ends the fault.
    pub(super) fn take(&mut self) -> Fault {
        Fault { words: std::mem::take(self).words }
    }
}

/// A SOAP fault.
pub(super) struct Fault {
    words: SourceMessage,
}

impl Fault {
    /// Whether the source only says that something went wrong, and names no cause: this is its answer if it has nothing
    /// to list. Whatever follows those words, such as `---> Timeout expired`, is the cause of a failure.
    pub(super) fn is_silent(&self) -> bool {
        let words = sanitized(self.words.as_str()).to_ascii_lowercase();
        let Some((before, after)) = words.split_once(UNABLE) else { return false };
        // The kind of exception that SOAP libraries put in front is no cause.
        let is_kind = before.is_empty() || (before.trim_end().ends_with(':') && !before.trim_end().contains(' '));
        is_kind && after.chars().all(|letter| matches!(letter, ' ' | '.' | '-' | '>'))
    }

    /// What may be shown of the source's own words, without what SOAP libraries put before them.
    pub(super) fn message(&self) -> String {
        let words = self.words.as_str();
        let own = words.split_once(FAILURE_MARK).map_or(words, |(_, own)| own);
        match sanitized(own) {
            message if message.is_empty() => "a fault without a reason".to_owned(),
            message => shown(&message),
        }
    }

    pub(super) fn into_error(self) -> ReadError {
        ReadError::Source { message: self.message() }
    }
}
