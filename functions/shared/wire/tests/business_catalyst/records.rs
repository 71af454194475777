//! A problem in one contact costs that contact only.

use jiff::Timestamp;
use wire::Limits;
use wire::business_catalyst::site_zone;

use crate::sample::{JANE, contact, contact_with, contacts, ids, last_page, only, problem, read_all};

/// A page in which this contact stands between two good ones.
fn between(bad: &str) -> String {
    last_page(&[contact("1").as_str(), bad, &contact("3")].concat())
}

/// The bad contact costs only itself, and its error says why and where.
fn costs_only_itself(bad: &str, id: Option<&str>, limits: Limits, why: &str) -> wire::business_catalyst::Contact {
    let (mut contacts, _) = read_all(between(bad), limits).unwrap();
    assert_eq!(ids(&contacts), [Some("1"), id, Some("3")], "{bad}");
    assert!(contacts[0].content.is_ok() && contacts[2].content.is_ok());
    let error = problem(&contacts[1]);
    assert!(error.contains(why) && error.contains("/ContactRecord[2]"), "{error}");
    contacts.remove(1)
}

fn record(children: &str) -> String {
    format!("<ContactRecord>{children}</ContactRecord>")
}

#[test]
fn an_id_is_a_number_greater_than_0() {
    let update = "<lastUpdateDate>2012-05-01T00:00:00</lastUpdateDate>";
    let long = "1".repeat(100);
    for (id, why) in [
        ("", "`entityId` is missing"),
        ("<entityId/>", "`entityId` is missing"),
        ("<entityId xsi:nil=\"true\"/>", "`entityId` is missing"),
        ("<entityId>-1</entityId>", "`entityId` is no number greater than 0"),
        ("<entityId>0</entityId>", "`entityId` is no number greater than 0"),
        ("<entityId>x777</entityId>", "`entityId` is no number greater than 0"),
        ("<entityId>1</entityId><entityId>2</entityId>", "`entityId` is given twice"),
        (&format!("<entityId>{long}</entityId>"), "`entityId` is longer"),
        ("<x:entityId xmlns:x='urn:x'>5</x:entityId>", "`entityId` is missing"),
    ] {
        let bad = costs_only_itself(&record(&format!("{id}{update}")), None, Limits::default(), why);
        assert!(!problem(&bad).contains("777"));
        assert!(bad.last_update.is_some());
    }
    let good = only(&record(&format!("<entityId> 007 </entityId>{update}<ENTITYID>007</ENTITYID>")));
    assert_eq!(good.entity_id.as_deref(), Some("7"));
    assert!(good.content.is_ok());
}

#[test]
fn a_time_of_the_last_update_that_cannot_be_read_is_a_reason_against_the_contact() {
    let id = "<entityId>2</entityId>";
    for (update, why) in [
        ("<lastUpdateDate>777</lastUpdateDate>", "`lastUpdateDate` is no time"),
        ("<lastUpdateDate>2012-05-01T00:00:00[UTC]</lastUpdateDate>", "`lastUpdateDate` is no time"),
        (
            "<lastUpdateDate>2012-05-01T00:00:00</lastUpdateDate><lastUpdateDate>2012-05-01T00:00:01</lastUpdateDate>",
            "`lastUpdateDate` is given twice",
        ),
    ] {
        let bad = costs_only_itself(&record(&format!("{id}{update}")), Some("2"), Limits::default(), why);
        assert_eq!(bad.last_update, None);
        assert!(!problem(&bad).contains("777"));
    }
}

#[test]
fn a_contact_whose_last_update_is_not_set_is_whole() {
    for update in [
        "",
        "<lastUpdateDate/>",
        "<lastUpdateDate>0001-01-01T00:00:00</lastUpdateDate>",
        "<lastUpdateDate>0001-01-01T00:00:00Z</lastUpdateDate>",
        "<lastUpdateDate>9999-12-31T23:59:59.9999999</lastUpdateDate>",
    ] {
        let contact = only(&record(&format!("<entityId>2</entityId>{update}")));
        assert!(contact.content.is_ok() && contact.last_update.is_none(), "{update}");
    }
}

#[test]
fn a_last_update_with_an_offset_is_that_instant() {
    let sydney = site_zone("Australia/Sydney").unwrap();
    for (update, instant, local) in [
        ("2012-05-01T00:00:00", "2012-04-30T14:00:00Z", "2012-05-01T00:00:00"),
        ("2012-05-01T00:00:00Z", "2012-05-01T00:00:00Z", "2012-05-01T10:00:00"),
        ("2012-05-01T00:00:00+11:00", "2012-04-30T13:00:00Z", "2012-04-30T23:00:00"),
    ] {
        let bad = format!("<entityId>2</entityId><lastUpdateDate>{update}</lastUpdateDate>");
        let update = only(&record(&bad)).last_update.unwrap();
        assert_eq!(update.instant(&sydney, Timestamp::MAX).to_string(), instant);
        assert_eq!(update.local(&sydney).to_string(), local);
    }
}

/// Invariant 4: .NET does not write such references, but whatever a contact holds costs that contact only.
#[test]
fn an_entity_that_xml_does_not_define_costs_its_contact() {
    for bad in ["<firstName>a&nbsp;b</firstName>", "<x><y>&lol9;</y></x>", "<password>&nbsp;</password>"] {
        let contact = record(&format!("<entityId>2</entityId>{bad}"));
        costs_only_itself(&contact, Some("2"), Limits::default(), "an entity that XML does not define");
    }
}

#[test]
fn whether_a_contact_is_deleted_is_told_or_an_error() {
    let deleted = |text: &str| only(&contact_with(&format!("<deleted>{text}</deleted>")));
    for (text, expected) in [("true", true), ("1", true), ("True", true), ("false", false), ("0", false), ("", false)] {
        let contact = deleted(text);
        assert_eq!(contact.deleted, expected, "{text}");
        assert!(contact.content.is_ok());
    }
    assert!(!only(&contact_with("")).deleted);
    let bad = contact_with("<deleted>perhaps</deleted>").replace(">1<", ">2<");
    let bad = costs_only_itself(&bad, Some("2"), Limits::default(), "`deleted` is neither true nor false");
    assert!(!bad.deleted && !problem(&bad).contains("perhaps"));
}

#[test]
fn every_limit_of_a_contact_costs_only_that_contact_of_which_the_rest_is_known() {
    let limits =
        Limits { depth: 8, text_bytes: 100, elements_per_customer: 12, customer_bytes: 5_000, ..Limits::default() };
    let long = "x".repeat(200_000);
    for (children, why) in [
        ("<a/>".repeat(12), "elements_per_customer = 12"),
        (format!("<a><b><c><d>{}{}</d></c></b></a>", "<e>".repeat(500), "</e>".repeat(500)), "depth = 8"),
        (format!("<a>{}</a>", "x".repeat(101)), "text_bytes = 100"),
        (format!("<a>{long}</a>"), "text_bytes = 100"),
        (format!("<a b='{long}'/>"), "text_bytes = 100"),
        (format!("<a><!--{long}--></a>"), "customer_bytes = 5000"),
    ] {
        let bad = format!(
            "<ContactRecord>{children}<entityId>2</entityId><deleted>true</deleted>\
             <lastUpdateDate>2012-05-01T00:00:00</lastUpdateDate></ContactRecord>"
        );
        let bad = costs_only_itself(&bad, Some("2"), limits, why);
        assert!(bad.deleted && bad.last_update.is_some(), "{why}");
    }
}

#[test]
fn the_source_text_of_each_contact_comes_exactly() {
    let awkward = "<ContactRecord  a='1'><!-- c --><entityId>&#49;</entityId><x><![CDATA[<x>]]>&amp;</x><?p i?>\r\n</ContactRecord >";
    let contacts = contacts(last_page(&[awkward, &contact("2")].concat()));
    assert_eq!(contacts[0].raw, awkward);
    assert_eq!(contacts[1].raw, contact("2"));
    let limits = Limits { raw: 40, ..Limits::default() };
    let umlauts = contact_with(&"ü".repeat(20));
    let (contacts, _) = read_all(last_page(&umlauts), limits).unwrap();
    assert_eq!(contacts[0].raw, umlauts[..40]);
}

#[test]
fn a_record_within_a_contact_is_data_of_that_contact() {
    let outer = contact_with(&format!("<x><ContactRecord>{}</ContactRecord></x>", "<entityId>9</entityId>"));
    let contact = only(&outer);
    assert_eq!(contact.entity_id.as_deref(), Some("1"));
    assert!(contact.content.unwrap().canonical_json().contains("\"9\""));
}

#[test]
fn equal_contacts_have_equal_content_wherever_they_stand() {
    let alone = only(JANE);
    let among = contacts(between(JANE)).remove(1);
    assert_eq!(alone.raw, among.raw);
    assert_eq!(alone.content.unwrap().hash(), among.content.unwrap().hash());
}
