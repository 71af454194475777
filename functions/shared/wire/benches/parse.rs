//! How fast answers are read: `cargo bench -p wire`. One customer is about 1.1 KB of XML and one contact about 1.8 KB,
//! as the sources send them.

#![allow(clippy::unwrap_used, reason = "a benchmark")]

use std::fmt::Write;
use std::hint::black_box;

use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use wire::association_anywhere::QueueReader;
use wire::business_catalyst::{ContactListReader, NAMESPACE};
use wire::{DetailsReader, Limits};

const CUSTOMERS: usize = 9_000;
const CONTACTS: usize = 5_000;

fn main() {
    divan::main();
}

/// An answer with this many customers.
fn details(customers: usize) -> String {
    let mut document = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<custInfos>\n");
    for number in 0..customers {
        writeln!(
            document,
            "<custInfo><custId>{id}</custId><custType>I</custType><loginId>u{id}</loginId>\
             <name><prefixName>Dr.</prefixName><firstName>Jane</firstName><lastName>Doe{id}</lastName>\
             <displayName><![CDATA[Jane Doe{id}]]></displayName></name><roles><role>PRIMARY</role></roles>\
             <addresses><address><addressSerno>{id}</addressSerno><addressType>HOME</addressType><best>true</best>\
             <preferred>true</preferred><street1>{id} Main St &amp; Co</street1><city>Anytown</city><state>VA</state>\
             <postalCode>22000</postalCode><countryCode>US</countryCode></address></addresses>\
             <phones><phone><phoneType>WORK</phoneType><preferred>true</preferred><number>555-{id}</number></phone></phones>\
             <emails><email><emailType>WORK</emailType><preferred>true</preferred><address>j{id}@example.org</address>\
             <badAddress>false</badAddress></email></emails>\
             <memberships><membership><subgroupId>NATL</subgroupId><subgroupName>National</subgroupName>\
             <member>true</member><statusCode>ACTIVE</statusCode><classCode>REG</classCode>\
             <joinDate>01/01/2020</joinDate><expirationDate>2026-12-31</expirationDate></membership></memberships>\
             </custInfo>",
            id = 1_000_000 + number
        )
        .unwrap();
    }
    document + "</custInfos>"
}

#[divan::bench(sample_count = 20)]
fn details_of_9000_customers(bencher: Bencher) {
    let document = details(CUSTOMERS);
    bencher.counter(BytesCount::of_str(&document)).counter(ItemsCount::new(CUSTOMERS)).bench(|| {
        let reader = DetailsReader::new(document.as_bytes(), Limits::default());
        let read = reader.map(|detail| black_box(detail.unwrap())).filter(|detail| detail.content.is_ok()).count();
        assert_eq!(read, CUSTOMERS);
    });
}

#[divan::bench(sample_count = 20)]
fn queue_of_100000_customers(bencher: Bencher) {
    let ids: String = (0..100_000).map(|number| format!("<cust-id>{number}</cust-id>")).collect();
    let document = format!("<queue><status>SUCCESS</status><max-queue-num>1</max-queue-num>{ids}</queue>");
    bencher.counter(BytesCount::of_str(&document)).counter(ItemsCount::new(100_000_usize)).bench(|| {
        let mut customers = 0;
        let number = QueueReader::new(document.as_bytes(), None, Limits::default(), |_| customers += 1).read();
        assert_eq!((number.unwrap().as_deref(), customers), (Some("1"), 100_000));
    });
}

/// A page with this many contacts.
fn contact_list(contacts: usize) -> String {
    let mut document = format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?><soap:Envelope xmlns:soap=\"http://schemas.xmlsoap.org/soap/envelope/\" \
         xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"><soap:Body><ContactList_RetrieveResponse \
         xmlns=\"{NAMESPACE}\"><ContactList_RetrieveResult>"
    );
    for number in 0..contacts {
        writeln!(
            document,
            "<ContactRecord><entityId>{id}</entityId><externalId>M-{id}</externalId><contactTitle>Dr.</contactTitle>\
             <deleted>false</deleted><fullName>Jane Doe{id}</fullName><firstName>Jane</firstName>\
             <lastName>Doe{id}</lastName><username>u{id}</username><password>p{id}</password>\
             <dateOfBirth>1980-02-29T00:00:00</dateOfBirth><createDate>2011-03-04T05:06:07.89</createDate>\
             <lastUpdateDate>2012-05-01T10:20:30.123</lastUpdateDate><customerType>Customer</customerType>\
             <relationships><Relationship xsi:nil=\"true\" /></relationships>\
             <addresses><Address><addressTypeID>1</addressTypeID><addressLine1>{id} Main St &amp; Co</addressLine1>\
             <city>Sydney</city><zipcode>2000</zipcode><state>NSW</state><countryCode>AU</countryCode></Address></addresses>\
             <phoneNos><PhoneNo><phoneNoTypeID>7</phoneNoTypeID><phoneNo>j{id}@example.org</phoneNo></PhoneNo>\
             <PhoneNo><phoneNoTypeID>5</phoneNoTypeID><phoneNo>555-{id}</phoneNo></PhoneNo></phoneNos>\
             <crmForms><CrmForms><formId>12</formId><formName>Enquiry</formName><crmFormFields><CrmFormFields>\
             <fieldId>7</fieldId><fieldTypeId>2</fieldTypeId><fieldName>Budget</fieldName><fieldValue>{id}</fieldValue>\
             </CrmFormFields><CrmFormFields><fieldId>8</fieldId><fieldTypeId>5</fieldTypeId><fieldName>Topic</fieldName>\
             <fieldValue>Boats</fieldValue></CrmFormFields></crmFormFields></CrmForms></crmForms>\
             <MasterOptIn>true</MasterOptIn></ContactRecord>",
            id = 1_000_000 + number
        )
        .unwrap();
    }
    document
        + "</ContactList_RetrieveResult><recordStart>0</recordStart><moreRecords>false</moreRecords>\
           </ContactList_RetrieveResponse></soap:Body></soap:Envelope>"
}

#[divan::bench(sample_count = 20)]
fn list_of_5000_contacts(bencher: Bencher) {
    let document = contact_list(CONTACTS);
    bencher.counter(BytesCount::of_str(&document)).counter(ItemsCount::new(CONTACTS)).bench(|| {
        let reader = ContactListReader::new(document.as_bytes(), Limits::default());
        let read = reader.map(|contact| black_box(contact.unwrap())).filter(|contact| contact.content.is_ok()).count();
        assert_eq!(read, CONTACTS);
    });
}
