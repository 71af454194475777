use std::io::Read;

use super::asked::Asked;
use super::customer::{CustomerBuilder, Detail};
use super::envelope::Envelope;
use crate::handler::{Flow, Handler};
use crate::parse_context::ParseContext;
use crate::scan::Scanner;
use crate::tag::StartTag;
use crate::{Charset, Limits, ReadError};

/// The customers in an answer that were not asked for. Nothing else is kept of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unasked {
    /// How many there were.
    pub count: u64,
    /// The ids of the first ten.
    pub some: Vec<String>,
}

/// How many ids are kept of customers that were not asked for.
const SOME_UNASKED: usize = 10;

/// Streams the answer to a [`details_request`](super::details_request) (`GET_CUST_INFO_XML`): one [`Detail`] per
/// customer, in the answer's order, each as soon as its element has ended. No more than the current customer and a
/// chunk of input is held in memory.
///
/// There is one `custInfo` per customer that exists, anywhere in the document. If the document's own element begins
/// with a `custId`, it is the one customer itself.
///
/// After an error there is nothing more, unless it [is starved](ReadError::is_starved): then reading continues. An
/// error may come after customers, a failure that the source reports included: what came before it is valid, and what
/// is missing may only be missing because of the error.
pub struct DetailsReader<R: Read>(Scanner<R, DetailsHandler>);

impl<R: Read> DetailsReader<R> {
    /// A reader of one answer, of all customers in it.
    pub fn new(input: R, limits: Limits) -> Self {
        Self::with(input, None, limits, None)
    }

    /// A reader of the answer to a bulk request for these customers; `charset` is the one that its header states, if
    /// any. A customer that was not asked for is [counted](Self::unasked) and not kept. One whose id may be a spelling
    /// of one that was asked for is returned as it comes, and so is one without an id.
    pub fn of_asked<'a>(input: R, charset: Option<Charset>, asked: impl IntoIterator<Item = &'a str>) -> Self {
        let asked = Asked::new(asked);
        let limits = Limits::of_details(asked.len());
        Self::with(input, charset, limits, Some(asked))
    }

    /// The customers that were not asked for, as far as the answer has been read.
    pub fn unasked(&self) -> &Unasked {
        &self.0.dispatcher.handler.unasked
    }

    /// How many characters that XML forbids were left out of what was read.
    pub fn left_out(&self) -> u64 {
        self.0.left_out()
    }

    fn with(input: R, charset: Option<Charset>, limits: Limits, asked: Option<Asked>) -> Self {
        let handler = DetailsHandler {
            limits,
            envelope: Envelope::default(),
            state: State::Outside,
            record_builder: CustomerBuilder::new(limits),
            root_is_record: false,
            customers: 0,
            asked,
            unasked: Unasked::default(),
            ready: None,
        };
        Self(Scanner::new(input, charset, limits, handler))
    }
}

impl<R: Read> Iterator for DetailsReader<R> {
    type Item = Result<Detail, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Err(error) = self.0.next_pause()? {
            return Some(Err(error));
        }
        let DetailsHandler { ready, record_builder, asked, .. } = &mut self.0.dispatcher.handler;
        let (detail, record) = (ready.take()?, &record_builder.record);
        let keeps_raw = asked.is_none() || detail.content.is_err() || record.raw_is_cut();
        let raw = if keeps_raw { record.raw() } else { String::new() };
        Some(Ok(Detail { raw, ..detail }))
    }
}

/// What the current element is.
///
/// ```text
///                ┌── root ──► FirstChildDecides ── custId ──► RootUnlessWrapper ── custInfo ──┐
///   Outside ─────┤                     └── any other ──► Outside     ▲                        ▼
///      ▲         ├── root named custInfo ────────────────────────────┘                     Outside
///      └── end ──┴── custInfo ──► Customer
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// No customer's.
    Outside,
    /// The root: its first child decides whether it is a customer.
    FirstChildDecides,
    /// The root: a customer, unless a `custInfo` in it shows that it only wraps customers.
    RootUnlessWrapper,
    /// A `custInfo`.
    Customer,
}

struct DetailsHandler {
    limits: Limits,
    envelope: Envelope,
    state: State,
    record_builder: CustomerBuilder,
    /// Whether an `error` in the root is that of one customer: the root is a `custInfo`.
    root_is_record: bool,
    /// How many `custInfo` elements there were.
    customers: usize,
    /// What was asked for, if that is known.
    asked: Option<Asked>,
    unasked: Unasked,
    ready: Option<Detail>,
}

impl DetailsHandler {
    /// Whether the customer that has just ended was not asked for: if so, it is counted.
    fn is_unasked(&mut self) -> bool {
        let (Some(asked), Some(id)) = (&self.asked, self.record_builder.id()) else {
            return false;
        };
        if asked.may_be(id) {
            return false;
        }
        self.unasked.count += 1;
        if self.unasked.some.len() < SOME_UNASKED {
            self.unasked.some.push(id.to_owned());
        }
        true
    }

    /// What a tag within the root shows about the root.
    fn reconsider_root(&mut self, tag: &StartTag, document: &mut ParseContext) {
        if self.state == State::FirstChildDecides {
            let is_customer = self.record_builder.is_id(tag, document);
            self.state = if is_customer { State::RootUnlessWrapper } else { State::Outside };
        }
        // A `custInfo` further down, within a root that has an id, is data of that customer.
        let shows_wrapper = is_customer_element(tag) && (document.depth() == 2 || !self.record_builder.has_id());
        if self.state == State::RootUnlessWrapper && shows_wrapper {
            self.state = State::Outside;
        }
        if self.state == State::Outside {
            document.source_from = None;
        }
    }

    fn start_outside(&mut self, tag: &StartTag, document: &mut ParseContext) -> Result<(), ReadError> {
        document.check_depth()?;
        for (_, value) in tag.attributes() {
            document.check_text(value.len())?;
        }
        if document.depth() == 1 {
            self.root_is_record = is_customer_element(tag);
            self.state = if self.root_is_record { State::RootUnlessWrapper } else { State::FirstChildDecides };
            self.record_builder.begin(tag, document);
        } else if is_customer_element(tag) {
            self.customers += 1;
            document.customer = Some((document.depth(), self.customers));
            document.check_limit("customers", self.customers, self.limits.customers)?;
            self.state = State::Customer;
            self.record_builder.begin(tag, document);
        }
        Ok(())
    }

    /// Whether what is read is about the answer as a whole, and not about the current customer.
    fn is_in_envelope(&self, depth: usize) -> bool {
        match self.state {
            State::Outside | State::FirstChildDecides => true,
            // In a root that is the customer, only its own children can be the answer's `error` or `status`.
            State::RootUnlessWrapper => !self.root_is_record && (depth <= 2 || self.envelope.is_listening()),
            State::Customer => false,
        }
    }
}

fn is_customer_element(tag: &StartTag) -> bool {
    tag.folded == "custinfo"
}

impl Handler for DetailsHandler {
    fn source(&mut self, piece: &str) {
        self.record_builder.record.source(piece);
    }

    fn start(&mut self, tag: &StartTag<'_>, document: &mut ParseContext) -> Result<(), ReadError> {
        self.reconsider_root(tag, document);
        if self.state == State::Outside {
            self.start_outside(tag, document)?;
        } else {
            self.record_builder.start(tag, document);
        }
        if self.is_in_envelope(document.depth()) {
            self.envelope.start(tag, document.depth());
        }
        Ok(())
    }

    fn text(&mut self, piece: &str, document: &ParseContext) -> Result<(), ReadError> {
        if matches!(self.state, State::Outside | State::FirstChildDecides) {
            document.check_text_length()?;
        }
        if self.is_in_envelope(document.depth()) {
            self.envelope.text(piece);
        }
        if self.state != State::Outside {
            self.record_builder.text(piece, document);
        }
        Ok(())
    }

    fn end(&mut self, document: &mut ParseContext) -> Result<Flow, ReadError> {
        if self.is_in_envelope(document.depth()) {
            self.envelope.end(document.depth())?;
        }
        if self.state == State::Outside {
            return Ok(Flow::Continue);
        }
        self.record_builder.end(document);
        if document.depth() > self.record_builder.record.depth {
            return Ok(Flow::Continue);
        }
        let is_customer = self.state != State::FirstChildDecides;
        self.state = State::Outside;
        if !is_customer || self.is_unasked() {
            document.source_from = None;
            document.customer = None;
            return Ok(Flow::Continue);
        }
        self.ready = Some(self.record_builder.finish(document));
        document.customer = None;
        Ok(Flow::Pause)
    }

    fn too_long(&mut self, document: &ParseContext) -> Result<(), ReadError> {
        match self.state {
            State::Outside | State::FirstChildDecides => Err(document.text_too_long()),
            State::RootUnlessWrapper | State::Customer => {
                self.record_builder.record.too_long(document);
                Ok(())
            }
        }
    }
}
