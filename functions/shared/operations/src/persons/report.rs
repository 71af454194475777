//! The report of an erasure: it names every place that was looked at, and nobody but by ids.

use config::DestinationKind;
use jiff::Timestamp;
use serde::Serialize;

/// What was found and removed, place by place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Places {
    /// Records of the shadow: what is left of each is its id, and that it was erased.
    pub records: u64,
    /// Records that an erasure before had left so.
    pub erased_before: u64,
    /// Failure records, of connections and of destinations.
    pub failure_records: u64,
    /// Documents of other customers' failure records that hold an address, a phone number or the name: emptied.
    pub failure_documents: u64,
    /// How imports found and left the customers.
    pub import_images: u64,
    /// Cards and addresses by which imports find customers.
    pub import_claims: u64,
    /// References to staff and lead sources that are waited for.
    pub waiting_references: u64,
    /// Addresses in the search index.
    pub search_entries: u64,
}

/// What a destination has of a person, and what becomes of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DestinationLeft {
    /// Its id.
    pub destination: String,
    /// Its kind; `None` if it is not registered any more.
    pub kind: Option<DestinationKind>,
    /// The customers that it gets, or was sent before.
    pub customers: Vec<String>,
    /// What becomes of them there.
    pub becomes: AtDestination,
}

/// What becomes of an erased customer at a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AtDestination {
    /// It is told that the customer is gone.
    Told,
    /// It is told, and keeps the data of who is deleted: they are to be removed there.
    MarkedDeleted,
    /// It is not told, because it knows no word for it, or gets no customers of the connection any more: the customer
    /// is to be removed there.
    ByHand,
}

/// What an erasure did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ErasureReport {
    /// The tenant.
    pub tenant: String,
    /// When it was done.
    #[serde(serialize_with = "as_text")]
    pub at: Timestamp,
    /// The customers that were erased, those that were erased before because of the same address included.
    pub customers: Vec<String>,
    /// What was removed, and where.
    pub removed: Places,
    /// Other customers that have one of the addresses: they stay.
    pub neighbours: Vec<String>,
    /// What destinations have.
    pub destinations: Vec<DestinationLeft>,
    /// Connections with a batch in progress: what the source has told of the customers is gone when it ends.
    pub open_batches: Vec<String>,
    /// Connections that are out of the file, with a batch that nobody works on: what Business Catalyst has listed of
    /// the customers is gone when the connections are forgotten.
    pub abandoned_batches: Vec<String>,
    /// Records of the tenant that can't be read: nobody knows whose they are.
    pub unreadable: u64,
}

fn as_text<S: serde::Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&model::iso_millis(*time))
}
