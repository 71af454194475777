use model::ExternalKey;
use thiserror::Error;

use crate::ReadError;

/// Why a pushed document is refused. It names elements, and never repeats their values.
#[derive(Debug, Error)]
pub enum PushError {
    /// It can't be read.
    #[error(transparent)]
    Unreadable(#[from] ReadError),
    /// It can be read, and is not valid.
    #[error("{}", problems.join("; "))]
    Invalid {
        /// Everything that is wrong, each with its element.
        problems: Vec<String>,
        /// The sender, if that is known: one that may not push gets no other detail.
        sender: Option<ExternalKey>,
    },
}

/// Collects what is wrong with a document.
#[derive(Default)]
pub(super) struct Problems(Vec<String>);

impl Problems {
    pub(super) fn add(&mut self, element: &str, what: &str) {
        self.0.push(format!("`{element}` {what}"));
    }

    /// The value of a mandatory element.
    pub(super) fn required(&mut self, element: &str, value: Option<String>) -> Option<String> {
        if value.is_none() {
            self.add(element, "is missing");
        }
        value
    }

    /// The value of one of a few words, in any case; `None` if the element is missing or holds another word.
    pub(super) fn choice<T: Copy>(&mut self, element: &str, word: Option<&str>, choices: &[(&str, T)]) -> Option<T> {
        let word = word?;
        let chosen = choices.iter().find(|(name, _)| name.eq_ignore_ascii_case(word)).map(|(_, value)| *value);
        if chosen.is_none() {
            let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
            self.add(element, &format!("must be {}", names.join(" or ")));
        }
        chosen
    }

    /// Fails if anything is wrong, and otherwise returns the record's key.
    pub(super) fn none_or_err(self, sender: Option<ExternalKey>) -> Result<ExternalKey, PushError> {
        match sender {
            Some(key) if self.0.is_empty() => Ok(key),
            sender => Err(PushError::Invalid { problems: self.0, sender }),
        }
    }
}
