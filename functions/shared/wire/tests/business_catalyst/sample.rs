//! Documents to read, and short ways to read them.

use jiff::Timestamp;
use model::{Attribute, Attributes, ConnectionKey, Content, Customer, Version};
use wire::business_catalyst::{Contact, ContactListReader, NAMESPACE, PageEnd};
use wire::{Limits, ReadError};

pub const SOAP_1_1: &str = "http://schemas.xmlsoap.org/soap/envelope/";
pub const SOAP_1_2: &str = "http://www.w3.org/2003/05/soap-envelope";

/// A contact with every field that is known, as the source sends it; every value is invented.
pub const JANE: &str = "<ContactRecord>
  <entityId>1001</entityId><externalId>M-7</externalId><emailAddress/><contactTitle>Dr.</contactTitle>
  <deleted>false</deleted><fullName>Dr. Jane Doe</fullName><firstName>Jane</firstName><lastName>Doe</lastName>
  <username>jdoe</username><password>hunter2</password><dateOfBirth>1980-02-29T00:00:00</dateOfBirth>
  <createDate>2011-03-04T05:06:07.89</createDate><lastUpdateDate>2012-05-01T10:20:30.123</lastUpdateDate>
  <customerType>Customer</customerType><industryType>Boats</industryType><leadSourceType>Web</leadSourceType>
  <ratingType>A</ratingType>
  <relationships>
    <Relationship><entityId>1003</entityId><entityType>1</entityType><name>Spouse</name></Relationship>
    <Relationship><entityId>1002</entityId><entityType>1</entityType><name>Child</name></Relationship>
  </relationships>
  <addresses>
    <Address><addressTypeID>2</addressTypeID><addressLine1>9 Quay</addressLine1><city>Sydney</city>
      <zipcode>2000</zipcode><state>NSW</state><countryCode>AU</countryCode></Address>
    <Address><addressTypeID>1</addressTypeID><addressLine1>1 Main St</addressLine1><addressLine2>Floor 2</addressLine2>
      <city>Sydney</city><zipcode>2001</zipcode><state>NSW</state><countryCode>AU</countryCode></Address>
    <Address xsi:nil=\"true\" />
  </addresses>
  <phoneNos>
    <PhoneNo><phoneNoTypeID>3</phoneNoTypeID><phoneNo>555-0100</phoneNo></PhoneNo>
    <PhoneNo><phoneNoTypeID>8</phoneNoTypeID><phoneNo>doe@example.org</phoneNo></PhoneNo>
    <PhoneNo><phoneNoTypeID>7</phoneNoTypeID><phoneNo>jane@example.org</phoneNo></PhoneNo>
    <PhoneNo><phoneNoTypeID>10</phoneNoTypeID><phoneNo>https://example.org</phoneNo></PhoneNo>
    <PhoneNo xsi:nil=\"true\" />
  </phoneNos>
  <crmForms>
    <CrmForms><formId>12</formId><formName>Enquiry</formName><crmFormFields>
      <CrmFormFields><fieldId>8</fieldId><fieldTypeId>5</fieldTypeId><fieldName>Topic</fieldName><fieldValue>Boats</fieldValue></CrmFormFields>
      <CrmFormFields><fieldId>7</fieldId><fieldTypeId>2</fieldTypeId><fieldName>Budget</fieldName><fieldValue>100</fieldValue></CrmFormFields>
    </crmFormFields></CrmForms>
  </crmForms>
  <MasterOptIn>true</MasterOptIn>
</ContactRecord>";

/// A short contact.
pub fn contact(id: &str) -> String {
    format!(
        "<ContactRecord><entityId>{id}</entityId><fullName>N{id}</fullName>\
         <lastUpdateDate>2012-05-01T00:00:00</lastUpdateDate></ContactRecord>"
    )
}

/// A contact with these children beside its id and the time of its last update.
pub fn contact_with(children: &str) -> String {
    format!(
        "<ContactRecord><entityId>1</entityId><lastUpdateDate>2012-05-01T00:00:00</lastUpdateDate>{children}</ContactRecord>"
    )
}

/// This in the body of a SOAP 1.1 envelope.
pub fn in_body(content: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\
         <soap:Envelope xmlns:soap=\"{SOAP_1_1}\" xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\">\
         <soap:Body>{content}</soap:Body></soap:Envelope>"
    )
}

/// This in the answer's element.
pub fn answer(content: &str) -> String {
    in_body(&format!("<ContactList_RetrieveResponse xmlns=\"{NAMESPACE}\">{content}</ContactList_RetrieveResponse>"))
}

/// A page of these contacts, after which there are more or not.
pub fn page(contacts: &str, more_records: bool) -> String {
    answer(&format!(
        "<ContactList_RetrieveResult>{contacts}</ContactList_RetrieveResult>\
         <recordStart>0</recordStart><moreRecords>{more_records}</moreRecords>"
    ))
}

pub fn last_page(contacts: &str) -> String {
    page(contacts, false)
}

pub fn fault(text: &str) -> String {
    in_body(&format!(
        "<soap:Fault><faultcode>soap:Server</faultcode><faultstring>{text}</faultstring><detail/></soap:Fault>"
    ))
}

pub fn read_all(document: impl AsRef<[u8]>, limits: Limits) -> Result<(Vec<Contact>, PageEnd), ReadError> {
    let mut reader = ContactListReader::new(document.as_ref(), limits);
    let contacts = reader.by_ref().collect::<Result<_, _>>()?;
    Ok((contacts, reader.page_end().expect("an end after the last contact").clone()))
}

pub fn read(document: impl AsRef<[u8]>) -> Result<(Vec<Contact>, PageEnd), ReadError> {
    read_all(document, Limits::default())
}

/// The contacts of a page that can be read.
pub fn contacts(document: impl AsRef<[u8]>) -> Vec<Contact> {
    read(document).unwrap().0
}

/// The only contact of a page that holds this one.
pub fn only(contact: &str) -> Contact {
    let mut contacts = contacts(last_page(contact));
    assert_eq!(contacts.len(), 1);
    contacts.remove(0)
}

pub fn content(contact: &str) -> Content {
    only(contact).content.unwrap()
}

pub fn content_with(children: &str) -> Content {
    content(&contact_with(children))
}

/// What is wrong with a contact.
pub fn problem(contact: &Contact) -> String {
    contact.content.as_ref().expect_err("a problem").to_string()
}

pub fn unexpected(document: impl AsRef<[u8]>) -> String {
    match read(document) {
        Err(error @ ReadError::Unexpected { .. }) => error.to_string(),
        other => panic!("expected another document, got {other:?}"),
    }
}

pub fn source_message(result: Result<impl Sized, ReadError>) -> String {
    match result {
        Err(ReadError::Source { message }) => message,
        Err(other) => panic!("expected the source's error, got {other}"),
        Ok(_) => panic!("expected the source's error"),
    }
}

pub fn ids(contacts: &[Contact]) -> Vec<Option<&str>> {
    contacts.iter().map(|contact| contact.entity_id.as_deref()).collect()
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

/// The record of a customer with this content, which came from another system.
pub fn record(source_id: &str, content: Content) -> Customer {
    Customer {
        connection: ConnectionKey::new("acme", "aa"),
        source_id: source_id.to_owned(),
        content,
        first_seen_at: Timestamp::UNIX_EPOCH,
        changed_at: Timestamp::UNIX_EPOCH,
        revision: 7,
        version: Version::of_batch(4, 2),
        named_state: None,
    }
}
