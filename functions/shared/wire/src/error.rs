use std::fmt;
use std::io;

use thiserror::Error;

/// A place in a document: element names only, never their contents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The open elements from the document's own, such as `/custInfos/custInfo[3]/emails/email`. A customer's element
    /// carries its number in the document, from 1.
    pub path: String,
    /// Bytes from the beginning of the document, counted as UTF-8 and without a byte order mark.
    pub offset: u64,
}

impl fmt::Display for Location {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} (byte {})", self.path, self.offset)
    }
}

/// Why a document can't be read, or can't be read further.
#[derive(Debug, Error)]
pub enum ReadError {
    /// The document is not well-formed XML, or is cut off.
    #[error("not well-formed XML at {place}: {what}")]
    Malformed {
        /// What is wrong.
        what: &'static str,
        /// Where.
        place: Location,
    },
    /// The document exceeds one of the [`Limits`](crate::Limits).
    #[error("at {place}: more than {limit} = {value} allows")]
    Limit {
        /// The field of [`Limits`](crate::Limits).
        limit: &'static str,
        /// Its value.
        value: u64,
        /// Where.
        place: Location,
    },
    /// The document has a DOCTYPE. None is accepted, for it could define entities of any size.
    #[error("a DOCTYPE at {place}: none is accepted")]
    Doctype {
        /// Where.
        place: Location,
    },
    /// The document refers to an entity that is not one of XML's own five.
    #[error("a reference to an entity at {place} that XML does not define")]
    Entity {
        /// Where.
        place: Location,
    },
    /// The document's bytes are not text in its encoding, or its encoding is not known.
    #[error("encoding: {what}")]
    Encoding {
        /// What is wrong, with the encoding's name.
        what: String,
    },
    /// The bytes stopped coming.
    #[error("reading was interrupted: {0}")]
    Io(#[source] io::Error),
    /// The source's system answered that it failed.
    #[error("the source answered with an error: {message}")]
    Source {
        /// The part of the source's own words that may be shown, in at most 200 characters: codes, and words of a list
        /// without names of people. The original words are not kept.
        message: String,
    },
    /// The document is well-formed, and not what was asked for.
    #[error("not the expected document at {place}: {what}")]
    Unexpected {
        /// What is missing or wrong, with the element's name.
        what: String,
        /// Where.
        place: Location,
    },
}

impl ReadError {
    pub(crate) const NO_XML: &str = "text where the document's element should begin: this is no XML document";
    pub(crate) const EMPTY: &str = "the document is empty: it holds no element";
    pub(crate) const HTML: &str = "an HTML page";

    /// Whether only the transport failed: the same request may succeed later.
    pub fn is_interrupted(&self) -> bool {
        matches!(self, Self::Io(_))
    }

    /// Whether the input only has no more for the moment: nothing is lost, and the reader may be called again.
    pub fn is_starved(&self) -> bool {
        matches!(self, Self::Io(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Whether the document is no answer at all, such as a page for people, or far larger than any answer to the
    /// request: then the source is faulty, rather than one record in it.
    pub fn is_no_answer(&self) -> bool {
        match self {
            Self::Malformed { what, .. } => *what == Self::NO_XML || *what == Self::EMPTY,
            Self::Limit { limit, .. } => {
                matches!(*limit, "document_bytes" | "customers" | "queue_entries" | "queue_id_bytes")
            }
            Self::Unexpected { what, .. } => what == Self::HTML,
            Self::Doctype { .. } => true,
            Self::Entity { .. } | Self::Encoding { .. } | Self::Io(_) | Self::Source { .. } => false,
        }
    }
}

/// Why one customer in a document can't be used, while the rest of the document can.
///
/// Its text names an element and a reason, and never a value of the customer.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{what} at {place}")]
pub struct RecordError {
    /// What is wrong.
    pub what: String,
    /// Where.
    pub place: Location,
}
