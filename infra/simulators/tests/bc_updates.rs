//! `ContactList_UpdateInsert`: which contact is meant, and what becomes of it.

#![allow(clippy::unwrap_used)]

mod support;

use jiff::civil::date;
use simulators::business_catalyst::{Address, ContactView};
use support::{
    business_catalyst::{BEGINNING, CREDENTIALS, Running, record, record_ids, start},
    numbers, texts,
};

/// Everything that changed since the clock was set to this.
const TODAY: &str = "2024-06-01T00:00:00";

async fn start_today(contacts: u64) -> Running {
    let running = start(contacts).await;
    running.simulator.set_time(date(2024, 6, 1).at(0, 0, 0, 0));
    running
}

#[tokio::test]
async fn what_is_written_can_be_retrieved_and_the_answer_is_empty() {
    let running = start_today(2).await;
    let answer = running
        .write(
            "<ContactRecord><entityId>-1</entityId><externalId>crm-7</externalId>\
             <emailAddress>ann@example.org</emailAddress><contactTitle>Dr</contactTitle><deleted>false</deleted>\
             <firstName>Ann &amp; Bob</firstName><lastName>Lee</lastName><username>ann</username>\
             <password>not-a-secret</password><dateOfBirth>1980-02-29T00:00:00</dateOfBirth>\
             <createDate>0001-01-01T00:00:00</createDate><customerType>Customer</customerType>\
             <relationships><Relationship xsi:nil=\"true\"/></relationships>\
             <addresses><Address><addressTypeID>1</addressTypeID><addressLine1>1 Main St</addressLine1></Address></addresses>\
             <phoneNos><PhoneNo><phoneNoTypeID>5</phoneNoTypeID><phoneNo>555-0100</phoneNo></PhoneNo>\
             <PhoneNo><phoneNoTypeID>7</phoneNoTypeID><phoneNo>ignored@example.org</phoneNo></PhoneNo></phoneNos>\
             <crmForms><CrmForms><formId>1</formId><formName>F</formName><crmFormFields><CrmFormFields>\
             <fieldId>2</fieldId><fieldTypeId>1</fieldTypeId><fieldName>N</fieldName><fieldValue>V</fieldValue>\
             </CrmFormFields></crmFormFields></CrmForms></crmForms><MasterOptIn>true</MasterOptIn></ContactRecord>",
        )
        .await;
    assert!(answer.contains("<ContactList_UpdateInsertResponse xmlns="), "{answer}");
    assert!(answer.contains(" /></soap:Body>"), "{answer}");

    let document = running.retrieve(TODAY, 0).await;
    assert_eq!(record_ids(&document), [1003]);
    let contact = record(&document, 1003);
    for (name, text) in [
        ("externalId", "crm-7"),
        ("contactTitle", "Dr"),
        ("fullName", "Ann & Bob Lee"),
        ("firstName", "Ann & Bob"),
        ("username", "ann"),
        ("password", "not-a-secret"),
        ("dateOfBirth", "1980-02-29T00:00:00"),
        ("createDate", TODAY),
        ("lastUpdateDate", TODAY),
        ("customerType", "Customer"),
        ("addressLine1", "1 Main St"),
        ("fieldValue", "V"),
        ("MasterOptIn", "true"),
    ] {
        assert_eq!(texts(&contact, name), [text], "{name}");
    }
    assert_eq!(numbers(&contact, "phoneNoTypeID"), [5, 7]);
    assert_eq!(texts(&contact, "phoneNo"), ["555-0100", "ann@example.org"]);
    assert!(contact.contains("<Relationship xsi:nil=\"true\" />"));
    assert!(texts(&contact, "emailAddress").is_empty());
    assert_eq!(running.simulator.external_id(1003).as_deref(), Some("crm-7"));
    assert_eq!(running.simulator.requests().written, 1);
}

#[tokio::test]
async fn the_external_id_decides_before_the_e_mail_address() {
    let running = start_today(300).await;
    let simulator = &running.simulator;
    let with_both = simulator
        .contact_ids()
        .into_iter()
        .find(|&id| simulator.external_id(id).is_some() && simulator.email(id).is_some())
        .unwrap();
    let without = simulator
        .contact_ids()
        .into_iter()
        .find(|&id| simulator.external_id(id).is_none() && simulator.email(id).is_some())
        .unwrap();
    let external_id = simulator.external_id(with_both).unwrap();
    let email = simulator.email(without).unwrap();

    // By external id, though the e-mail address is another contact's.
    let both = format!("<externalId>{external_id}</externalId><emailAddress>{email}</emailAddress>");
    running.write(&format!("<ContactRecord>{both}<lastName>One</lastName></ContactRecord>")).await;
    assert_eq!(record_ids(&running.retrieve(TODAY, 0).await), [with_both]);
    assert!(simulator.display_name(with_both).unwrap().ends_with(" One"));
    // The e-mail address was written too, so it is now two contacts'.
    assert_eq!(simulator.email(with_both).unwrap(), email);

    // By e-mail address, in any case of letters. An entity id decides nothing.
    let email = simulator.email(without).unwrap().to_uppercase();
    let by_email = format!("<entityId>{with_both}</entityId><emailAddress>{email}</emailAddress>");
    running.write(&format!("<ContactRecord>{by_email}<lastName>Two</lastName></ContactRecord>")).await;
    let least = with_both.min(without);
    assert!(simulator.display_name(least).unwrap().ends_with(" Two"));

    // An external id that is not there makes a new contact, whatever the e-mail address.
    let unknown = format!("<externalId>nobody's</externalId><emailAddress>{email}</emailAddress>");
    running.write(&format!("<ContactRecord>{unknown}</ContactRecord>")).await;
    assert_eq!(simulator.contact_ids().len(), 301);
}

#[tokio::test]
async fn with_neither_a_contact_is_inserted_each_time() {
    let running = start_today(0).await;
    for _ in 0..2 {
        running.write("<ContactRecord><fullName>Somebody</fullName></ContactRecord>").await;
    }
    let document = running.retrieve(BEGINNING, 0).await;
    assert_eq!(record_ids(&document), [1001, 1002]);
    assert_eq!(texts(&document, "fullName"), ["Somebody", "Somebody"]);
}

#[tokio::test]
async fn what_is_not_said_stays_and_what_is_said_replaces() {
    let running = start_today(0).await;
    running
        .write(
            "<ContactRecord><externalId>x</externalId><emailAddress>x@example.org</emailAddress>\
             <firstName>First</firstName><lastName>Last</lastName><MasterOptIn>true</MasterOptIn><phoneNos><PhoneNo>\
             <phoneNoTypeID>5</phoneNoTypeID><phoneNo>555-0101</phoneNo></PhoneNo></phoneNos></ContactRecord>",
        )
        .await;
    running.write("<ContactRecord><externalId>x</externalId><firstName>Other</firstName></ContactRecord>").await;
    let contact = record(&running.retrieve(BEGINNING, 0).await, 1001);
    assert_eq!(texts(&contact, "fullName"), ["Other Last"]);
    assert_eq!(texts(&contact, "phoneNo"), ["555-0101", "x@example.org"]);
    assert_eq!(texts(&contact, "MasterOptIn"), ["true"]);
    assert_eq!(texts(&contact, "createDate"), [TODAY]);
    assert_eq!(texts(&contact, "lastUpdateDate"), ["2024-06-01T00:00:01"]);

    running.write("<ContactRecord><externalId>x</externalId><phoneNos/></ContactRecord>").await;
    let contact = record(&running.retrieve(BEGINNING, 0).await, 1001);
    assert_eq!(texts(&contact, "phoneNo"), ["x@example.org"]);

    // What people then change at the source differs from all that was written.
    running.simulator.change([1001]);
    assert_eq!(running.simulator.display_name(1001).as_deref(), Some("Other B. Last"));
    assert_eq!(running.simulator.email(1001).as_deref(), Some("x.2@example.org"));
    assert_eq!(running.simulator.revision(1001), Some(4));
}

#[tokio::test]
async fn a_contact_can_be_deleted_by_writing_it_and_is_then_matched_no_more() {
    let running = start_today(0).await;
    let contact = "<ContactRecord><externalId>x</externalId><deleted>false</deleted></ContactRecord>";
    running.write(contact).await;
    running.write(&contact.replace("false", "true")).await;
    assert_eq!(texts(&running.retrieve(BEGINNING, 0).await, "deleted"), ["true"]);
    running.write(contact).await;
    assert_eq!(record_ids(&running.retrieve(BEGINNING, 0).await), [1001, 1002]);
}

#[tokio::test]
async fn one_contact_that_cannot_be_read_keeps_all_of_its_request_out() {
    let running = start_today(0).await;
    for (wrong, reason) in [
        ("<dateOfBirth>31/12/1999</dateOfBirth>", "dateOfBirth"),
        ("<MasterOptIn>yes</MasterOptIn>", "MasterOptIn"),
        ("<deleted>perhaps</deleted>", "deleted"),
        ("<phoneNos><PhoneNo><phoneNo>555-0100</phoneNo></PhoneNo></phoneNos>", "phoneNoTypeID"),
    ] {
        let good = "<ContactRecord><fullName>Good</fullName></ContactRecord>";
        let records = format!("<contactsList>{good}<ContactRecord>{wrong}</ContactRecord></contactsList>");
        let response = running.send("ContactList_UpdateInsert", &format!("{CREDENTIALS}{records}")).await.unwrap();
        assert_eq!(response.status(), 500);
        let text = texts(&response.text().await.unwrap(), "faultstring").concat();
        assert!(text.contains(reason), "{text}");
    }
    let response = running.send("ContactList_UpdateInsert", CREDENTIALS).await.unwrap();
    assert!(response.text().await.unwrap().contains("contactsList"));
    let empty = running.send_12("ContactList_UpdateInsert", &format!("{CREDENTIALS}<contactsList/>")).await.unwrap();
    assert_eq!(empty.status(), 200);
    assert!(running.simulator.contact_ids().is_empty());
    assert_eq!(running.simulator.requests().update_insert, 6);
}

/// A contact with something in every element that can be emptied.
const FULL: &str = "<ContactRecord><externalId>x</externalId><emailAddress>x@example.org</emailAddress>\
     <contactTitle>Dr</contactTitle><firstName>First</firstName><lastName>Last</lastName>\
     <dateOfBirth>1980-02-29T00:00:00</dateOfBirth><customerType>Customer</customerType>\
     <addresses><Address><addressTypeID>1</addressTypeID><addressLine1>1 Main St</addressLine1>\
     <addressLine2>Unit 2</addressLine2><city>Perth</city><zipcode>6000</zipcode><state>WA</state>\
     <countryCode>AU</countryCode></Address></addresses>\
     <phoneNos><PhoneNo><phoneNoTypeID>5</phoneNoTypeID><phoneNo>555-0101</phoneNo></PhoneNo><PhoneNo>\
     <phoneNoTypeID>8</phoneNoTypeID><phoneNo>second@example.org</phoneNo></PhoneNo></phoneNos></ContactRecord>";

#[tokio::test]
async fn an_empty_element_empties_and_an_absent_one_keeps() {
    let running = start_today(0).await;
    let simulator = &running.simulator;
    running.write(FULL).await;
    let full = simulator.contact_by_external_id("x").unwrap();
    assert_eq!(
        full,
        ContactView {
            id: 1001,
            external_id: "x".to_owned(),
            deleted: false,
            full_name: "First Last".to_owned(),
            first_name: "First".to_owned(),
            last_name: "Last".to_owned(),
            email: Some("x@example.org".to_owned()),
            phones: vec![(5, "555-0101".to_owned()), (8, "second@example.org".to_owned())],
            addresses: vec![Address {
                type_id: 1,
                line_1: "1 Main St".to_owned(),
                line_2: "Unit 2".to_owned(),
                city: "Perth".to_owned(),
                zipcode: "6000".to_owned(),
                state: "WA".to_owned(),
                country_code: "AU".to_owned(),
            }],
            date_of_birth: Some(date(1980, 2, 29).at(0, 0, 0, 0)),
        }
    );
    let write = async |elements: &str| {
        running.write(&format!("<ContactRecord><externalId>x</externalId>{elements}</ContactRecord>")).await;
        simulator.contact_by_external_id("x").unwrap()
    };
    assert_eq!(write("").await, full);
    // One that is nil is as good as absent.
    assert_eq!(write("<firstName xsi:nil=\"true\"/><phoneNos xsi:nil=\"true\"/>").await, full);
    assert_eq!(write("<emailAddress></emailAddress><emailAddress/>").await, full);

    let emptied = ContactView { first_name: String::new(), full_name: "Last".to_owned(), ..full };
    assert_eq!(write("<firstName></firstName>").await, emptied);
    let emptied = ContactView { full_name: String::new(), ..emptied };
    assert_eq!(write("<fullName/>").await, emptied);
    let emptied = ContactView { phones: Vec::new(), ..emptied };
    assert_eq!(write("<phoneNos/><emailAddress/>").await, emptied);
    let emptied = ContactView { addresses: Vec::new(), ..emptied };
    assert_eq!(write("<addresses></addresses>").await, emptied);
    let emptied = ContactView { date_of_birth: None, ..emptied };
    assert_eq!(write("<dateOfBirth>0001-01-01T00:00:00</dateOfBirth>").await, emptied);
    write("<customerType/><contactTitle/>").await;
    let contact = record(&running.retrieve(BEGINNING, 0).await, 1001);
    assert!(texts(&contact, "customerType").is_empty() && texts(&contact, "contactTitle").is_empty(), "{contact}");

    // What is left is still found by its e-mail address, which empties the id in the other system.
    running.write("<ContactRecord><externalId/><emailAddress>x@example.org</emailAddress></ContactRecord>").await;
    assert_eq!((simulator.contact_ids(), simulator.external_id(1001)), (vec![1001], None));
    assert_eq!(simulator.contact_by_external_id("x"), None);
}

#[tokio::test]
async fn a_refused_contact_keeps_all_of_its_request_out() {
    let running = start_today(0).await;
    let simulator = &running.simulator;
    let contact = |external_id: &str| format!("<ContactRecord><externalId>{external_id}</externalId></ContactRecord>");
    let both = format!("{CREDENTIALS}<contactsList>{}{}</contactsList>", contact("a"), contact("b"));
    simulator.refuse_external_id("b");
    let response = running.send("ContactList_UpdateInsert", &both).await.unwrap();
    assert_eq!(response.status(), 500);
    let text = texts(&response.text().await.unwrap(), "faultstring").concat();
    assert!(text.starts_with("Server was unable to process request. ---> ERROR: "), "{text}");
    assert!(simulator.contact_ids().is_empty());
    assert_eq!(running.send_12("ContactList_UpdateInsert", &both).await.unwrap().status(), 500);
    running.write(&contact("a")).await;

    simulator.accept_external_id("b");
    assert_eq!(running.send("ContactList_UpdateInsert", &both).await.unwrap().status(), 200);
    assert_eq!(simulator.contact_ids(), [1001, 1002]);
    let requests = simulator.requests();
    assert_eq!((requests.update_insert, requests.rejected, requests.written), (4, 2, 3));
}

#[tokio::test]
async fn news_is_what_was_written_since_it_was_last_asked_for() {
    let running = start_today(3).await;
    let simulator = &running.simulator;
    // Changes that people make, and contacts without an id of another system, are none.
    simulator.change([1001]);
    running.write("<ContactRecord><fullName>Somebody</fullName></ContactRecord>").await;
    assert!(simulator.take_news().is_empty());
    for external_id in ["b", "a", "b"] {
        running.write(&format!("<ContactRecord><externalId>{external_id}</externalId></ContactRecord>")).await;
    }
    assert_eq!(simulator.take_news(), ["b", "a"]);
    let deletion = "<ContactRecord><externalId>a</externalId><deleted>true</deleted></ContactRecord>";
    running.write(deletion).await;
    assert_eq!(simulator.take_news(), ["a"]);
    assert!(simulator.take_news().is_empty());
}

#[tokio::test]
async fn a_contact_is_found_by_its_external_id_even_if_it_was_deleted() {
    let running = start_today(300).await;
    let simulator = &running.simulator;
    running.write(FULL).await;
    let before = simulator.contact_by_external_id("x").unwrap();
    simulator.delete(before.id);
    let after = simulator.contact_by_external_id("x").unwrap();
    assert_eq!(after, ContactView { deleted: true, ..before.clone() });
    // Written again it is another contact, and that one is shown.
    running.write("<ContactRecord><externalId>x</externalId></ContactRecord>").await;
    let anew = simulator.contact_by_external_id("x").unwrap();
    assert!(!anew.deleted && anew.id == before.id + 1);
    simulator.delete(anew.id);
    assert_eq!(simulator.contact_by_external_id("x").unwrap().id, anew.id);
    simulator.remove_silently(anew.id);
    assert_eq!(simulator.contact_by_external_id("x").unwrap().id, before.id);

    // Those that were there from the start are found too.
    let invented = simulator.contact_ids().into_iter().find(|&id| simulator.external_id(id).is_some()).unwrap();
    let external_id = simulator.external_id(invented).unwrap();
    let contact = simulator.contact_by_external_id(&external_id).unwrap();
    assert_eq!((contact.id, Some(contact.full_name)), (invented, simulator.display_name(invented)));
    assert_eq!(contact.email, simulator.email(invented));
    assert_eq!(simulator.contact_by_external_id("nobody"), None);
}
