use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use model::Content;

use super::envelope::Envelope;
use super::local_time::{instant, is_unset, local_time};
use super::mapping::content_of;
use super::short_text::ShortText;
use super::site_time::instant_of;
use crate::parse_context::ParseContext;
use crate::record::RecordBuilder;
use crate::tag::StartTag;
use crate::{Limits, RecordError};

/// When a contact was last updated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LastUpdate {
    /// At this local time of the site: the source's usual way.
    Local(DateTime),
    /// At this instant: the source wrote it with a zone.
    Instant(Timestamp),
}

impl LastUpdate {
    /// The instant, in a site of this zone; see [`instant_of`].
    pub fn instant(self, zone: &TimeZone, not_after: Timestamp) -> Timestamp {
        match self {
            Self::Local(local) => instant_of(local, zone, not_after),
            Self::Instant(instant) => instant,
        }
    }

    /// The local time of a site of this zone.
    pub fn local(self, zone: &TimeZone) -> DateTime {
        match self {
            Self::Local(local) => local,
            Self::Instant(instant) => zone.to_datetime(instant),
        }
    }
}

/// One contact of an answer.
#[derive(Clone, Debug)]
pub struct Contact {
    /// The source's `entityId`, as digits; `None` if the contact has none that is greater than 0.
    pub entity_id: Option<String>,
    /// The source's `lastUpdateDate`; `None` if it can't be read, is not set or is not there. Only what can't be
    /// read is a reason against the contact.
    pub last_update: Option<LastUpdate>,
    /// Whether the source says that the contact is deleted.
    pub deleted: bool,
    /// The contact's data, or why they can't be used: then the three fields above are what could be read nevertheless.
    ///
    /// `entityId`, `lastUpdateDate` and `deleted` are no part of it: a contact that was only touched has equal content.
    /// What has no field is under `attributes` by the source's names, which the [module](crate::business_catalyst)
    /// describes.
    pub content: Result<Content, RecordError>,
    /// The exact source text of the contact's element without its `password` elements, cut to [`Limits::raw`] bytes. It
    /// is personal data: it may be stored where the customer's record may, and never logged.
    pub raw: String,
}

/// The contact whose element is open.
pub(super) struct ContactBuilder {
    pub(super) record: RecordBuilder,
    is_nil: bool,
    /// `entityId`, `lastUpdateDate`, `deleted`.
    header: [HeaderField; 3],
}

impl ContactBuilder {
    pub(super) fn new(limits: Limits) -> Self {
        let header = ["entityId", "lastUpdateDate", "deleted"].map(HeaderField::new);
        Self { record: RecordBuilder::new(limits), is_nil: false, header }
    }

    /// The contact's element begins with this tag.
    pub(super) fn begin(&mut self, tag: &StartTag, envelope: &Envelope, document: &mut ParseContext) {
        self.is_nil = envelope.namespaces().is_nil(tag);
        self.header.iter_mut().for_each(HeaderField::reset);
        self.record.begin(document);
        self.start(tag, envelope, document);
    }

    /// Begins the contact's element, or one within it.
    pub(super) fn start(&mut self, tag: &StartTag, envelope: &Envelope, document: &ParseContext) {
        let known_name = envelope.known_name(tag);
        for field in self.header_at(document) {
            field.start(known_name);
        }
        let namespaces = envelope.namespaces();
        self.record.start(tag, known_name.is_empty(), |attribute| namespaces.is_data(attribute), document);
    }

    pub(super) fn text(&mut self, piece: &str, document: &ParseContext) {
        for field in self.header_at(document) {
            field.text(piece);
        }
        self.record.text(piece, document);
    }

    /// Ends an element within the contact's, or the contact's own.
    pub(super) fn end(&mut self, document: &ParseContext) {
        self.header_at(document).iter_mut().for_each(HeaderField::end);
        self.record.end(document);
    }

    /// Ends the contact; `None` if `xsi:nil` says that it is not there. Its source text comes later: see
    /// [`RecordBuilder::raw`].
    pub(super) fn finish(&mut self, document: &ParseContext) -> Option<Contact> {
        if self.is_nil && self.record.element().is_some_and(|contact| contact.is_hollow()) {
            return None;
        }
        let error = |what| RecordError { what, place: document.place() };
        let [entity, update, deletion] = &self.header;
        let entity_id = entity.value().and_then(entity_id);
        let last_update = update.value().and_then(last_update);
        let deleted = deletion.value().and_then(deleted);
        let header_problem = [entity_id.as_ref().err(), last_update.as_ref().err(), deleted.as_ref().err()];
        let header_problem = header_problem.into_iter().flatten().next().cloned();
        let content = match (self.record.take_problem(), header_problem, self.record.element()) {
            (Some(problem), _, _) => Err(problem),
            (None, Some(what), _) => Err(error(what)),
            (None, None, Some(contact)) => Ok(content_of(contact)),
            (None, None, None) => Err(error("an element that holds nothing".to_owned())),
        };
        Some(Contact {
            entity_id: entity_id.ok(),
            last_update: last_update.ok().flatten(),
            deleted: deleted.unwrap_or(false),
            content,
            raw: String::new(),
        })
    }

    /// The fields of the header, if the innermost element may be one of them.
    fn header_at(&mut self, document: &ParseContext) -> &mut [HeaderField] {
        if document.depth() == self.record.depth + 1 { &mut self.header } else { &mut [] }
    }
}

fn entity_id(text: &str) -> Result<String, String> {
    match text.parse::<i64>() {
        _ if text.is_empty() => Err("`entityId` is missing".to_owned()),
        Ok(id) if id > 0 => Ok(id.to_string()),
        Ok(_) | Err(_) => Err("`entityId` is no number greater than 0".to_owned()),
    }
}

fn last_update(text: &str) -> Result<Option<LastUpdate>, String> {
    match (local_time(text), instant(text)) {
        _ if text.is_empty() => Ok(None),
        (Some(time), _) if is_unset(time) => Ok(None),
        (Some(time), _) => Ok(Some(LastUpdate::Local(time))),
        (None, Some(time)) if is_unset(TimeZone::UTC.to_datetime(time)) => Ok(None),
        (None, Some(time)) => Ok(Some(LastUpdate::Instant(time))),
        (None, None) => Err("`lastUpdateDate` is no time like 2012-05-01T00:00:00".to_owned()),
    }
}

fn deleted(text: &str) -> Result<bool, String> {
    match text {
        "" => Ok(false),
        _ => boolean(text).ok_or_else(|| "`deleted` is neither true nor false".to_owned()),
    }
}

/// An XML Schema boolean, in upper or lower case.
pub(super) fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" => Some(true),
        "0" => Some(false),
        _ if text.eq_ignore_ascii_case("true") => Some(true),
        _ if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

/// A child of this name with data about the contact. It is read apart from the tree, so that it is known even of a
/// contact that has a problem.
struct HeaderField {
    name: &'static str,
    is_open: bool,
    text: ShortText,
    found: String,
    problem: Option<&'static str>,
}

impl HeaderField {
    fn new(name: &'static str) -> Self {
        Self { name, is_open: false, text: ShortText::default(), found: String::new(), problem: None }
    }

    fn reset(&mut self) {
        self.is_open = false;
        self.found.clear();
        self.problem = None;
    }

    fn start(&mut self, known_name: &str) {
        self.is_open = self.name.eq_ignore_ascii_case(known_name);
        self.text.clear();
    }

    fn text(&mut self, piece: &str) {
        if self.is_open {
            self.text.push(piece);
        }
    }

    fn end(&mut self) {
        if !std::mem::take(&mut self.is_open) {
            return;
        }
        match self.text.get() {
            Some("") => {}
            Some(text) if self.found.is_empty() => self.found.push_str(text),
            Some(text) if self.found == text => {}
            Some(_) => self.problem = Some("is given twice, with different values"),
            None => self.problem = Some("is longer than any value that it can have"),
        }
    }

    /// The text, or an empty one if there is none.
    fn value(&self) -> Result<&str, String> {
        match self.problem {
            Some(problem) => Err(format!("`{}` {problem}", self.name)),
            None => Ok(&self.found),
        }
    }
}
