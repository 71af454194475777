use std::collections::BTreeMap;
use std::io::Read;

use model::{ContentHash, QueuedCustomer};

use super::envelope::Envelope;
use crate::handler::{Flow, Handler};
use crate::parse_context::ParseContext;
use crate::scan::Scanner;
use crate::tag::StartTag;
use crate::{Charset, Limits, ReadError};

/// So many bytes of an unusable id are kept for an operator.
const SHOWN_BYTES: usize = 1_000;
/// So many different unusable ids are kept; more make the answer useless.
const MOST_UNUSABLE: usize = 10_000;

/// An entry of the queue with an id that no customer can have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnusableEntry {
    /// A name that stands for it, and for every entry with the same id.
    pub name: String,
    /// Why it is unusable.
    pub reason: &'static str,
    /// The id, as far as it can be shown: up to 1,000 bytes, without control characters.
    pub raw: String,
}

impl UnusableEntry {
    /// What such names begin with. No customer has such an id.
    pub const PREFIX: &'static str = "unusable-";

    fn new(id: &str, reason: &'static str) -> Self {
        let mut shown = String::new();
        for character in id.chars() {
            match character.is_control() {
                true => shown.extend(character.escape_unicode()),
                false => shown.push(character),
            }
        }
        shown.truncate(shown.floor_char_boundary(SHOWN_BYTES));
        let fingerprint = ContentHash::of(&format!("{reason} {id}")).to_string();
        Self { name: format!("{}{}", Self::PREFIX, &fingerprint[..12]), reason, raw: shown }
    }
}

/// A queue number has at most this many digits.
const QUEUE_NUMBER_DIGITS: usize = 30;

/// Reads the answer to a [`queue_request`](super::queue_request). Calls `on_customer` for each queued customer as it
/// is read, in the answer's order, repetitions included.
///
/// What counts are the elements `cust-id` and `max-queue-num` in either dialect, at any place, and an `action` of
/// `DELETE` beside an id: within the same parent, after the id, or before the parent's first id.
///
/// An answer with no customer is an empty queue if it holds any element of a queue's answer (those two, `status`,
/// `message`, `error`, or an element whose name begins with `cust` or `queue`), and if it holds nothing at all. A
/// document that holds only other things is another document: a fault of a proxy, a page, an answer to another request.
pub struct QueueReader<R, F>(Scanner<R, QueueHandler<F>>);

impl<R: Read, F: FnMut(QueuedCustomer)> QueueReader<R, F> {
    /// A reader of one answer; `charset` is the one that its header states, if any.
    pub fn new(input: R, charset: Option<Charset>, limits: Limits, on_customer: F) -> Self {
        let handler = QueueHandler {
            limits,
            on_customer,
            envelope: Envelope::default(),
            groups: vec![Group::default()],
            reading: None,
            left_out_before: 0,
            text: String::new(),
            customers: 0,
            id_bytes: 0,
            id_problem: None,
            unusable: BTreeMap::new(),
            max_queue_num: None,
            is_known: false,
            holds_other: false,
            is_fault: false,
        };
        Self(Scanner::new(input, charset, limits, handler))
    }

    /// Reads it to its end, and returns `max-queue-num`, or `None` if the answer has none.
    ///
    /// # Errors
    /// [`ReadError::Unexpected`] if customers come without a `max-queue-num`, if that number is not 1 to 30 digits, and
    /// if it is another document; [`ReadError::Source`] if the answer is a failure; and every other [`ReadError`] that
    /// a document can cause. Customers that were handed on before an error do not count, unless it [is
    /// starved](ReadError::is_starved): then reading continues.
    pub fn read(&mut self) -> Result<Option<String>, ReadError> {
        self.0.run()?;
        Ok(self.0.dispatcher.handler.max_queue_num.clone())
    }

    /// The entries whose id is empty, too long, or not a text without control characters: each id once. The other
    /// entries are read all the same.
    pub fn unusable(&self) -> Vec<UnusableEntry> {
        self.0.dispatcher.handler.unusable.values().cloned().collect()
    }

    /// How many characters that XML forbids were left out of what was read.
    pub fn left_out(&self) -> u64 {
        self.0.left_out()
    }
}

struct QueueHandler<F> {
    limits: Limits,
    on_customer: F,
    envelope: Envelope,
    /// The ids and actions directly within each open element, the document itself first.
    groups: Vec<Group>,
    /// The element whose text is being read, and its depth.
    reading: Option<(Part, usize)>,
    /// How many characters of the document had been left out when that element began.
    left_out_before: u64,
    text: String,
    customers: usize,
    id_bytes: usize,
    /// What is wrong with the id that is being read.
    id_problem: Option<&'static str>,
    unusable: BTreeMap<String, UnusableEntry>,
    max_queue_num: Option<String>,
    /// Whether anything was found that a queue's answer has.
    is_known: bool,
    /// Whether anything else was found within the document's element.
    holds_other: bool,
    /// Whether the document's own element is a fault, or the envelope of one.
    is_fault: bool,
}

#[derive(Clone, Copy)]
enum Part {
    CustId,
    Action,
    MaxQueueNum,
}

/// The ids and actions that are siblings.
#[derive(Default)]
struct Group {
    /// The last id, whose action may still follow, and whether it has come.
    waiting: Option<(QueuedCustomer, bool)>,
    /// Whether an action before its id is DELETE.
    leading_delete: Option<bool>,
}

impl<F: FnMut(QueuedCustomer)> QueueHandler<F> {
    fn group(&mut self, document: &ParseContext) -> Option<&mut Group> {
        self.groups.get_mut(document.depth() - 1)
    }

    fn hand_on(&mut self, waiting: Option<(QueuedCustomer, bool)>) {
        if let Some((queued, _)) = waiting {
            (self.on_customer)(queued);
        }
    }

    fn part_ends(&mut self, part: Part, document: &ParseContext) -> Result<(), ReadError> {
        let text = self.text.trim().to_owned();
        match part {
            Part::CustId => self.customer_id(text, document),
            Part::Action => {
                self.action(&text, document);
                Ok(())
            }
            Part::MaxQueueNum => self.max_queue_num(text, document),
        }
    }

    fn customer_id(&mut self, source_id: String, document: &ParseContext) -> Result<(), ReadError> {
        if document.left_out != self.left_out_before {
            self.id_problem.get_or_insert("the queue names a customer by an id with a character that XML forbids");
        }
        let problem = self.id_problem.take().or_else(|| problem_of(&source_id, &self.limits));
        self.id_bytes += source_id.len();
        document.check_limit("queue_id_bytes", self.id_bytes, self.limits.queue_id_bytes)?;
        self.customers += 1;
        document.check_limit("queue_entries", self.customers, self.limits.queue_entries)?;
        if let Some(reason) = problem {
            return self.unusable_id(&source_id, reason, document);
        }
        let complete = self.group(document).and_then(|group| {
            let leading = group.leading_delete.take();
            let queued = QueuedCustomer { source_id, deleted: leading.unwrap_or(false) };
            group.waiting.replace((queued, leading.is_some()))
        });
        self.hand_on(complete);
        Ok(())
    }

    /// Notes an entry with an unusable id. Its action, if any, belongs to no other entry.
    fn unusable_id(&mut self, id: &str, reason: &'static str, document: &ParseContext) -> Result<(), ReadError> {
        let entry = UnusableEntry::new(id, reason);
        self.unusable.insert(entry.name.clone(), entry);
        if self.unusable.len() > MOST_UNUSABLE {
            return Err(document.unexpected("too many different unusable ids"));
        }
        let waiting = self.group(document).and_then(|group| {
            group.leading_delete = None;
            group.waiting.take()
        });
        self.hand_on(waiting);
        Ok(())
    }

    fn action(&mut self, text: &str, document: &ParseContext) {
        let deleted = text.eq_ignore_ascii_case("DELETE");
        let Some(group) = self.group(document) else {
            return;
        };
        match &mut group.waiting {
            Some((queued, has_action)) if !*has_action => {
                queued.deleted = deleted;
                *has_action = true;
            }
            // Every id so far has its action: this one belongs to the id that follows, if any.
            _ => group.leading_delete = Some(deleted),
        }
    }

    fn max_queue_num(&mut self, number: String, document: &ParseContext) -> Result<(), ReadError> {
        if number.is_empty() {
            return Ok(());
        }
        if number.len() > QUEUE_NUMBER_DIGITS || !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(document.unexpected("`max-queue-num` is not a number of 1 to 30 digits"));
        }
        if self.max_queue_num.as_ref().is_some_and(|known| *known != number) {
            return Err(document.unexpected("`max-queue-num` is given twice, with different numbers"));
        }
        self.max_queue_num = Some(number);
        Ok(())
    }
}

const TOO_LONG: &str = "the queue names a customer by an id that is longer than any can be";

/// Why this can't be a customer's id.
fn problem_of(id: &str, limits: &Limits) -> Option<&'static str> {
    if id.is_empty() {
        return Some("the queue names a customer by an id that is empty");
    }
    if id.len() > limits.id_bytes {
        return Some(TOO_LONG);
    }
    let holds_control = id.chars().any(char::is_control);
    holds_control.then_some("the queue names a customer by an id that holds a control character")
}

impl<F: FnMut(QueuedCustomer)> Handler for QueueHandler<F> {
    fn start(&mut self, tag: &StartTag<'_>, document: &mut ParseContext) -> Result<(), ReadError> {
        document.check_depth()?;
        match self.reading {
            Some((Part::MaxQueueNum, _)) => return Err(document.unexpected("an element within a `max-queue-num`")),
            Some((Part::CustId, _)) => {
                self.id_problem = Some("the queue names a customer by an id that holds an element");
            }
            Some((Part::Action, _)) | None => {}
        }
        self.envelope.start(tag, document.depth());
        self.groups.push(Group::default());
        self.text.clear();
        self.left_out_before = document.left_out;
        if !self.is_known {
            self.is_known = tag.folded.starts_with("cust") || tag.folded.starts_with("queue");
            self.holds_other |= document.depth() > 1;
        }
        self.is_fault |= document.depth() == 1 && matches!(tag.folded, "fault" | "envelope");
        let part = match tag.folded {
            "custid" => Part::CustId,
            "action" => Part::Action,
            "maxqueuenum" => Part::MaxQueueNum,
            _ => return Ok(()),
        };
        if self.id_problem.is_some() {
            return Ok(());
        }
        self.reading = Some((part, document.depth()));
        Ok(())
    }

    fn text(&mut self, piece: &str, document: &ParseContext) -> Result<(), ReadError> {
        if let Some((Part::CustId, _)) = self.reading
            && self.text.len() + piece.len() > self.limits.text_bytes
        {
            self.id_problem = Some(TOO_LONG);
        } else {
            document.check_text(self.text.len() + piece.len())?;
            self.text.push_str(piece);
        }
        self.holds_other |= !piece.trim().is_empty();
        self.envelope.text(piece);
        Ok(())
    }

    fn end(&mut self, document: &mut ParseContext) -> Result<Flow, ReadError> {
        self.envelope.end(document.depth())?;
        if let Some((part, depth)) = self.reading
            && depth == document.depth()
        {
            self.reading = None;
            self.part_ends(part, document)?;
        }
        self.text.clear();
        let waiting = self.groups.pop().and_then(|group| group.waiting);
        self.hand_on(waiting);
        Ok(Flow::Continue)
    }

    fn too_long(&mut self, document: &ParseContext) -> Result<(), ReadError> {
        if let Some((Part::CustId, _)) = self.reading {
            self.id_problem = Some(TOO_LONG);
            return Ok(());
        }
        Err(document.text_too_long())
    }

    fn finish(&mut self, document: &ParseContext) -> Result<(), ReadError> {
        // Only if the document's own element is an id.
        let waiting = self.groups.pop().and_then(|group| group.waiting);
        self.hand_on(waiting);
        let is_known = self.is_known || self.envelope.is_known || self.max_queue_num.is_some();
        if !is_known && (self.holds_other || self.is_fault) {
            return Err(document.unexpected("it says nothing that the answer of a queue says"));
        }
        if self.customers > 0 && self.max_queue_num.is_none() {
            return Err(document.unexpected("customers, but no `max-queue-num`"));
        }
        Ok(())
    }
}
