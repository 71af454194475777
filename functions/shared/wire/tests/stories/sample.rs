//! Documents to read, and short ways to read them.

use std::io::Read;

use jiff::Timestamp;
use model::{Attribute, Attributes, ConnectionKey, Content, Customer, QueuedCustomer, Version};
use wire::association_anywhere::{QueueReader, StatusReader};
use wire::{Detail, DetailsReader, Limits, ReadError};

/// A customer with every field that is known, as the source sends it; every value is invented.
pub const JANE: &str = "<custInfo>
  <custId>1001</custId><custType>I</custType><loginId>jdoe</loginId>
  <name><prefixName>Dr.</prefixName><firstName>Jane</firstName><middleName>Q</middleName><lastName>Doe</lastName>
    <suffixName>Jr.</suffixName><degreeName>PhD</degreeName><informalName>Janie</informalName>
    <displayName>Dr. Jane Doe</displayName></name>
  <roles><role>PRIMARY</role><role>ASSOCIATE</role></roles>
  <addresses>
    <address><addressSerno>7</addressSerno><addressType>HOME</addressType><addressTypeDescr>Home</addressTypeDescr>
      <best>true</best><preferred>true</preferred><street1>1 Main St</street1><street2/><street3>Floor 2</street3>
      <city>Anytown</city><state>VA</state><postalCode>22000</postalCode><countryCode>US</countryCode>
      <countryDescr>United States</countryDescr><badAddress>false</badAddress></address>
  </addresses>
  <phones>
    <phone><phoneSerno>1</phoneSerno><phoneType>HOME</phoneType><best>true</best><preferred>false</preferred><number>555-0199</number></phone>
    <phone><phoneSerno>2</phoneSerno><phoneType>WORK</phoneType><best>false</best><preferred>true</preferred><number>555-0100</number><ext>12</ext></phone>
  </phones>
  <emails>
    <email><emailType>WORK</emailType><best>true</best><preferred>false</preferred><address>jane@example.org</address><badAddress>true</badAddress></email>
    <email><emailType>HOME</emailType><address>doe@example.org</address></email>
  </emails>
  <websites><website><url>https://example.org</url></website></websites>
  <jobs>
    <job><employerName>Old Co</employerName><titleName>Clerk</titleName><startDate>2001-01-01</startDate><endDate>2002-01-01</endDate></job>
    <job><employerName>Acme</employerName><titleName>Chief</titleName><best>true</best></job>
  </jobs>
  <memberships>
    <membership><subgroupId>NATL</subgroupId><subgroupName>National</subgroupName><member>true</member>
      <statusCode>ACTIVE</statusCode><classCode>REG</classCode><joinDate>01/31/2020</joinDate>
      <expirationDate>2026-12-31</expirationDate></membership>
  </memberships>
  <subscriptions>
    <subscription><publicationCode>JRNL</publicationCode><publicationName>Journal</publicationName>
      <startDate>2026-01-01</startDate><expireDate>12/31/2026</expireDate><copies>2</copies></subscription>
  </subscriptions>
</custInfo>";

/// A short customer.
pub fn customer(id: &str) -> String {
    format!("<custInfo><custId>{id}</custId><name><displayName>N{id}</displayName></name></custInfo>")
}

/// These customers in a bulk answer.
pub fn bulk(customers: &str) -> String {
    format!("<custInfos>{customers}</custInfos>")
}

pub fn read_all(document: impl AsRef<[u8]>, limits: Limits) -> Result<Vec<Detail>, ReadError> {
    DetailsReader::new(document.as_ref(), limits).collect()
}

pub fn read_bulk(document: impl AsRef<[u8]>) -> Result<Vec<Detail>, ReadError> {
    read_all(document, Limits::default())
}

/// The content of the only customer in a bulk answer.
pub fn content(customer: &str) -> Content {
    let details = read_bulk(bulk(customer)).unwrap();
    assert_eq!(details.len(), 1);
    details.into_iter().next().unwrap().content.unwrap()
}

/// The content of a customer that has these children beside its id.
pub fn content_with(children: &str) -> Content {
    content(&format!("<custInfo><custId>1</custId>{children}</custInfo>"))
}

/// The error of a reader for a document that it can't read.
pub fn error_text(document: impl AsRef<[u8]>) -> String {
    read_bulk(document).expect_err("an error").to_string()
}

pub fn ids(details: &[Detail]) -> Vec<Option<&str>> {
    details.iter().map(|detail| detail.source_id.as_deref()).collect()
}

pub fn text(text: &str) -> Attribute {
    Attribute::Text(text.to_owned())
}

pub fn object<const N: usize>(entries: [(&str, Attribute); N]) -> Attribute {
    Attribute::Object(Attributes::from(entries.map(|(name, value)| (name.to_owned(), value))))
}

pub fn list<const N: usize>(entries: [Attribute; N]) -> Attribute {
    Attribute::List(entries.into())
}

/// The record of a customer with this content.
pub fn record(source_id: &str, content: Content) -> Customer {
    Customer {
        connection: ConnectionKey::new("acme", "aa"),
        source_id: source_id.to_owned(),
        content,
        first_seen_at: Timestamp::UNIX_EPOCH,
        changed_at: Timestamp::from_millisecond(1_790_000_000_123).unwrap(),
        revision: 7,
        version: Version::of_batch(4, 2),
        named_state: None,
    }
}

/// The greatest number of a queue's answer, if it has one.
pub fn read_queue(
    document: impl Read,
    limits: &Limits,
    on_customer: impl FnMut(QueuedCustomer),
) -> Result<Option<String>, ReadError> {
    QueueReader::new(document, None, *limits, on_customer).read()
}

/// Whether the answer to a purge says that it succeeded.
pub fn read_status(document: impl Read, limits: &Limits) -> Result<(), ReadError> {
    StatusReader::new(document, None, *limits).read()
}
