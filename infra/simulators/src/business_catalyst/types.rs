//! The simulator, where its service is, what clients ask it for, and what goes wrong.

use serde::Serialize;

use super::settings::BcSettings;
use crate::{
    control::{BadRequest, Parameters},
    faults::OwnFault,
    simulator::Simulator,
};

/// A simulated site of Business Catalyst.
pub type BcSimulator = Simulator<BcSettings>;

/// Where the service is on its host. Its case does not matter.
pub const ENDPOINT_PATH: &str = "/catalystwebservice/catalystcrmwebservice.asmx";
/// The namespace of every element of the service.
pub const NAMESPACE: &str = "http://tempuri.org/CatalystDeveloperService/CatalystCRMWebservice";

/// The address of the service under `base`, such as `http://127.0.0.1:8791`. Its description is there under `?wsdl`.
pub fn endpoint(base: &str) -> String {
    format!("{}{ENDPOINT_PATH}", base.trim_end_matches('/'))
}

/// The two things a client can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// `ContactList_Retrieve`.
    Retrieve,
    /// `ContactList_UpdateInsert`.
    UpdateInsert,
}

impl Operation {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Retrieve, Self::UpdateInsert];

    /// What its element is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::Retrieve => "ContactList_Retrieve",
            Self::UpdateInsert => "ContactList_UpdateInsert",
        }
    }
}

/// What goes wrong with a whole answer.
///
/// `RepeatPages` and `Endless` change what a listing holds, and nothing else. With all others of these the operation is
/// not carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BcFault {
    /// A SOAP fault that says `ERROR:` and this text: a real failure.
    SoapFault(String),
    /// A SOAP fault with just this text.
    FaultText(String),
    /// A SOAP fault that does not say `ERROR:`, one of the ways to say that there are no contacts.
    NoContactsFault,
    /// An empty result: the second of them.
    EmptyResult,
    /// No result at all: the third.
    NoResult,
    /// Whatever page is asked for, the first one comes, and says that there are more.
    RepeatPages,
    /// The listing goes on for ever, with contacts that were never created.
    Endless,
}

/// What goes wrong with a whole answer: what every simulator can do, and what only this one can.
pub type Fault = crate::faults::Fault<BcFault>;

impl OwnFault for BcFault {
    fn read(name: &str, parameters: &Parameters) -> Result<Option<Self>, BadRequest> {
        Ok(Some(match name {
            "soap-fault" => Self::SoapFault(parameters.text("value")?.to_owned()),
            "fault-text" => Self::FaultText(parameters.text("value")?.to_owned()),
            "no-contacts-fault" => Self::NoContactsFault,
            "empty-result" => Self::EmptyResult,
            "no-result" => Self::NoResult,
            "repeat-pages" => Self::RepeatPages,
            "endless" => Self::Endless,
            _ => return Ok(None),
        }))
    }
}

/// What is wrong with one contact in every listing that holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Poison {
    /// It lacks its `entityId`.
    NoEntityId,
    /// Its `lastUpdateDate` is not a date.
    BadDate,
    /// Its `lastUpdateDate` is this, as it stands.
    Date(&'static str),
    /// Its full name ends with a reference to an entity that XML does not define.
    UnknownEntity,
    /// It holds a wrong end tag, so that the whole document is not well-formed.
    BrokenXml,
    /// Its elements are nested 10,000 deep.
    TooDeep,
    /// Its `leadSourceType` has this many bytes.
    HugeText(usize),
}

impl Poison {
    /// What it is called where trouble is counted.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::NoEntityId => "NoEntityId",
            Self::BadDate => "BadDate",
            Self::Date(_) => "Date",
            Self::UnknownEntity => "UnknownEntity",
            Self::BrokenXml => "BrokenXml",
            Self::TooDeep => "TooDeep",
            Self::HugeText(_) => "HugeText",
        }
    }
}

/// An edit at the source. Each contact concerned gets a new `lastUpdateDate`, except a removed one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// New content for these contacts.
    Change(Vec<u64>),
    /// The same for this many, chosen by the seed.
    ChangeSome(usize),
    /// A new date for these contacts, and the same content.
    Touch(Vec<u64>),
    /// Deletes a contact: listings go on to hold it, with `deleted` true.
    Delete(u64),
    /// Removes a contact from all listings without a trace.
    RemoveSilently(u64),
    /// Creates a contact, or one that was deleted or removed anew, with content that it never had before. One that
    /// exists is changed. Without an id it is the next free one.
    Create(Option<u64>),
}

/// The requests to a simulator so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RequestCounts {
    /// Requests for a page of contacts, faulted ones included; likewise below.
    pub retrieve: u64,
    /// Requests to write contacts.
    pub update_insert: u64,
    /// Requests of both operations that met a fault.
    pub faulted: u64,
    /// Pages that held a poisoned contact.
    pub poisoned: u64,
    /// Requests refused because of their credentials.
    pub refused: u64,
    /// How many contacts were written.
    pub written: u64,
    /// Requests to write contacts that held one that is refused.
    pub rejected: u64,
}
