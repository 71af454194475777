use std::io::Read;

use model::QueuedCustomer;

use super::envelope::Envelope;
use crate::document::Document;
use crate::scan::{Flow, Handler, Scanner, StartTag};
use crate::{Limits, ReadError};

/// A queue number has at most this many digits.
const QUEUE_NUMBER_DIGITS: usize = 30;

/// Reads the answer to a [`queue_request`](super::queue_request). Calls `on_customer` for each queued customer as it
/// is read, in the answer's order, repetitions included; returns `max-queue-num`, or `None` where the answer has none.
///
/// What counts are the elements `cust-id` and `max-queue-num` in either dialect, wherever they stand, and an `action`
/// of `DELETE` beside an id: within the same parent, after the id, or before it where the parent's first id follows.
///
/// # Errors
///
/// [`ReadError::Unexpected`] where customers come without a `max-queue-num`, where that number is not 1 to 30 digits,
/// and where an id is empty or holds a control character; [`ReadError::Vendor`] where the answer is a failure; and
/// every other [`ReadError`] that a document can cause. Customers that were handed on before an error count for nothing.
pub fn read_queue(
    input: impl Read,
    limits: &Limits,
    on_customer: impl FnMut(QueuedCustomer),
) -> Result<Option<String>, ReadError> {
    let mut handler = QueueHandler {
        limits: *limits,
        on_customer,
        envelope: Envelope::default(),
        groups: vec![Group::default()],
        reading: None,
        text: String::new(),
        customers: 0,
        max_queue_num: None,
    };
    Scanner::new(input, *limits).run(&mut handler)?;
    Ok(handler.max_queue_num)
}

struct QueueHandler<F> {
    limits: Limits,
    on_customer: F,
    envelope: Envelope,
    /// What stands directly within each open element, the document itself first.
    groups: Vec<Group>,
    /// The element whose text is being read, and its depth.
    reading: Option<(Part, usize)>,
    text: String,
    customers: usize,
    max_queue_num: Option<String>,
}

#[derive(Clone, Copy)]
enum Part {
    CustomerId,
    Action,
    MaxQueueNum,
}

/// The ids and actions that are each other's siblings.
#[derive(Default)]
struct Group {
    /// The last id, whose action may still follow, and whether one has.
    waiting: Option<(QueuedCustomer, bool)>,
    /// Whether an action that came before its id says DELETE.
    leading_delete: Option<bool>,
}

impl<F: FnMut(QueuedCustomer)> QueueHandler<F> {
    fn group(&mut self, document: &Document) -> Option<&mut Group> {
        self.groups.get_mut(document.depth() - 1)
    }

    fn part_ends(&mut self, part: Part, document: &Document) -> Result<(), ReadError> {
        let text = self.text.trim().to_owned();
        match part {
            Part::CustomerId => self.customer_id(text, document),
            Part::Action => {
                self.action(&text, document);
                Ok(())
            }
            Part::MaxQueueNum => self.max_queue_num(text, document),
        }
    }

    fn customer_id(&mut self, source_id: String, document: &Document) -> Result<(), ReadError> {
        check_id(&source_id, &self.limits, document)?;
        self.customers += 1;
        if self.customers > self.limits.queue_entries {
            return Err(document.over_limit("queue_entries", self.limits.queue_entries as u64));
        }
        let mut complete = None;
        if let Some(group) = self.group(document) {
            let leading = group.leading_delete.take();
            let queued = QueuedCustomer { source_id, deleted: leading.unwrap_or(false) };
            complete = group.waiting.replace((queued, leading.is_some()));
        }
        if let Some((queued, _)) = complete {
            (self.on_customer)(queued);
        }
        Ok(())
    }

    fn action(&mut self, text: &str, document: &Document) {
        let deleted = text.eq_ignore_ascii_case("DELETE");
        let Some(group) = self.group(document) else {
            return;
        };
        match &mut group.waiting {
            Some((queued, has_action)) if !*has_action => {
                queued.deleted = deleted;
                *has_action = true;
            }
            // Every id so far has its action: this one is for the id that follows, if any.
            _ => group.leading_delete = Some(deleted),
        }
    }

    fn max_queue_num(&mut self, number: String, document: &Document) -> Result<(), ReadError> {
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

/// An error where this is no customer's id.
fn check_id(id: &str, limits: &Limits, document: &Document) -> Result<(), ReadError> {
    if id.is_empty() {
        return Err(document.unexpected("a customer's id that is empty"));
    }
    if id.len() > limits.id_bytes {
        return Err(document.over_limit("id_bytes", limits.id_bytes as u64));
    }
    if id.chars().any(char::is_control) {
        return Err(document.unexpected("a customer's id that holds a control character"));
    }
    Ok(())
}

impl<F: FnMut(QueuedCustomer)> Handler for QueueHandler<F> {
    fn start(&mut self, tag: &StartTag<'_>, document: &mut Document) -> Result<(), ReadError> {
        document.check_depth()?;
        if let Some((Part::CustomerId | Part::MaxQueueNum, _)) = self.reading {
            return Err(document.unexpected("an element within a customer's id or a `max-queue-num`"));
        }
        self.envelope.start(tag, document.depth());
        self.groups.push(Group::default());
        self.text.clear();
        let part = match tag.folded {
            "custid" => Part::CustomerId,
            "action" => Part::Action,
            "maxqueuenum" => Part::MaxQueueNum,
            _ => return Ok(()),
        };
        self.reading = Some((part, document.depth()));
        Ok(())
    }

    fn text(&mut self, piece: &str, document: &Document) -> Result<(), ReadError> {
        document.check_text(self.text.len() + piece.len())?;
        self.text.push_str(piece);
        self.envelope.text(piece);
        Ok(())
    }

    fn end(&mut self, document: &mut Document) -> Result<Flow, ReadError> {
        self.envelope.end(document.depth())?;
        if let Some((part, depth)) = self.reading
            && depth == document.depth()
        {
            self.reading = None;
            self.part_ends(part, document)?;
        }
        self.text.clear();
        if let Some(Group { waiting: Some((queued, _)), .. }) = self.groups.pop() {
            (self.on_customer)(queued);
        }
        Ok(Flow::Continue)
    }

    fn finish(&mut self, document: &Document) -> Result<(), ReadError> {
        // Only where the document's own element is an id.
        if let Some(Group { waiting: Some((queued, _)), .. }) = self.groups.pop() {
            (self.on_customer)(queued);
        }
        if self.customers > 0 && self.max_queue_num.is_none() {
            return Err(document.unexpected("customers, but no `max-queue-num`"));
        }
        Ok(())
    }
}
