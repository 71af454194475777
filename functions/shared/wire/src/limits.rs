/// How much of a source's document a reader takes before it refuses the document, or one customer in it.
///
/// Every limit is inclusive: what equals it is accepted. The limits of one customer (`elements_per_customer`,
/// `customer_bytes`, and within a customer `depth` and `text_bytes`) cost that customer only; all others end the
/// reading. Errors name a limit by the name of its field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How deep elements may be nested; the document's own element has depth 1.
    pub depth: usize,
    /// Bytes of UTF-8 in the text of one element, or in the value of one XML attribute.
    pub text_bytes: usize,
    /// Customers in one answer to a details request, or contacts in one page of a list.
    pub customers: usize,
    /// Customers in one answer to a queue request.
    pub queue_entries: usize,
    /// Bytes of UTF-8 in the ids of one answer to a queue request, taken together: only the ids are kept of it.
    pub queue_id_bytes: usize,
    /// Bytes of one document, counted as UTF-8 in whatever encoding it came.
    pub document_bytes: u64,
    /// Elements and XML attributes within one customer.
    pub elements_per_customer: usize,
    /// Bytes of UTF-8 of one customer's element, tags included; more than a GiB counts as a GiB.
    pub customer_bytes: u64,
    /// Bytes of UTF-8 in a customer's id, if the source's ids are texts.
    pub id_bytes: usize,
    /// Bytes of UTF-8 of a customer's source text that are handed on; a longer text is cut, not refused.
    pub raw: usize,
}

const MIB: u64 = 1024 * 1024;

impl Limits {
    /// Default for [`id_bytes`](Self::id_bytes).
    pub const ID_BYTES: usize = 64;
    /// Default for [`raw`](Self::raw): it fits into a stored failure record beside its other fields.
    pub const RAW: usize = 100 * 1024;

    /// Customers in an answer beyond those that were asked for: some systems include relatives, too.
    const UNASKED_CUSTOMERS: usize = 100;
    /// Bytes of an answer for each customer that was asked for: a hundred times the usual size.
    const BYTES_PER_CUSTOMER: u64 = MIB;
    const FEWEST_DETAILS_BYTES: u64 = 8 * MIB;
    const MOST_DETAILS_BYTES: u64 = 64 * MIB;

    /// The limits of an answer to a request for the details of this many customers: they grow with the request, so that
    /// an answer takes no more memory than the request can have meant.
    pub fn of_details(asked: usize) -> Self {
        let wanted = Self::BYTES_PER_CUSTOMER.saturating_mul(asked as u64);
        Self {
            customers: asked.saturating_add(Self::UNASKED_CUSTOMERS),
            document_bytes: wanted.clamp(Self::FEWEST_DETAILS_BYTES, Self::MOST_DETAILS_BYTES),
            ..Self::default()
        }
    }

    /// The limits of an answer to a queue request. The document is never held: 256 MiB are two million entries that
    /// each give a reason, and what is kept has limits of its own.
    pub fn of_queue() -> Self {
        Self { document_bytes: 256 * MIB, ..Self::default() }
    }

    /// The limits of an answer with only a status: 1 MiB.
    pub fn of_status() -> Self {
        Self { document_bytes: MIB, ..Self::default() }
    }

    /// The limits of an answer to a batch of rows: 8 MiB, for some receivers tell of every row.
    pub fn of_batch_answer() -> Self {
        Self { document_bytes: 8 * MIB, ..Self::default() }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // The deepest document known has five levels.
            depth: 32,
            text_bytes: 1024 * 1024,
            // A thousand times a usual bulk request.
            customers: 100_000,
            // Every customer of a very large client at once. What is kept of each is 32 bytes and its id, so that a
            // whole queue stays below 200 MB.
            queue_entries: 2_000_000,
            // Enough for a million of the longest ids.
            queue_id_bytes: 64 * 1024 * 1024,
            document_bytes: 512 * MIB,
            elements_per_customer: 20_000,
            customer_bytes: 4 * MIB,
            id_bytes: Self::ID_BYTES,
            raw: Self::RAW,
        }
    }
}
