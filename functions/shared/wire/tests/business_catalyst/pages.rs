//! What a page says of itself.

use wire::Limits;
use wire::business_catalyst::{ContactListReader, PageEnd};

use crate::sample::{answer, contact, contacts, fault, ids, in_body, page, read, unexpected};

const RESULT: &str = "<ContactList_RetrieveResult/>";

#[test]
fn a_page_tells_whether_there_are_more_records() {
    for more_records in [true, false] {
        let (contacts, end) = read(page(&(contact("1") + &contact("2")), more_records)).unwrap();
        assert_eq!(ids(&contacts), [Some("1"), Some("2")]);
        assert_eq!(end, PageEnd::Contacts { more_records });
        assert_eq!(end.more_records(), more_records);
    }
}

#[test]
fn the_three_forms_of_no_contacts_are_empty_and_told_apart() {
    let silent = "Server was unable to process request";
    for (document, expected) in [
        (answer(RESULT), PageEnd::EmptyResult),
        (
            answer(&format!("{RESULT}<recordStart>0</recordStart><moreRecords>false</moreRecords>")),
            PageEnd::EmptyResult,
        ),
        (answer("<ContactList_RetrieveResult> </ContactList_RetrieveResult>"), PageEnd::EmptyResult),
        (answer("<ContactList_RetrieveResult xsi:nil=\"true\" />"), PageEnd::EmptyResult),
        (
            answer("<ContactList_RetrieveResult><ContactRecord xsi:nil=\"true\"/></ContactList_RetrieveResult>"),
            PageEnd::EmptyResult,
        ),
        (answer(""), PageEnd::NoResult),
        (answer("<recordStart>0</recordStart><moreRecords>false</moreRecords>"), PageEnd::NoResult),
        (answer("<moreRecords/>"), PageEnd::NoResult),
        (fault(silent), PageEnd::Fault { message: silent.to_owned() }),
    ] {
        let (contacts, end) = read(&document).unwrap();
        assert!(contacts.is_empty(), "{document}");
        assert_eq!(end, expected, "{document}");
        assert!(!end.more_records());
    }
}

#[test]
fn contacts_without_a_word_on_whether_there_are_more_are_no_page() {
    for more in ["", "<moreRecords/>", "<moreRecords xsi:nil=\"true\"/>"] {
        let list = format!("<ContactList_RetrieveResult>{}</ContactList_RetrieveResult>{more}", contact("1"));
        assert!(unexpected(answer(&list)).contains("contacts, but no `moreRecords`"), "{more}");
    }
}

#[test]
fn more_records_without_contacts_are_no_page() {
    for list in [RESULT, ""] {
        let error = unexpected(answer(&format!("{list}<moreRecords>true</moreRecords>")));
        assert!(error.contains("`moreRecords` is true, but there are no contacts"), "{error}");
    }
}

#[test]
fn more_records_is_a_boolean_wherever_it_stands() {
    let of = |more: &str| {
        answer(&format!("{more}<ContactList_RetrieveResult>{}</ContactList_RetrieveResult>", contact("1")))
    };
    for (text, expected) in [("true", true), ("1", true), ("True", true), ("false", false), ("0", false)] {
        let padded = format!("<MoreRecords>{}{text}\n</MoreRecords>", " ".repeat(500));
        assert_eq!(read(of(&padded)).unwrap().1, PageEnd::Contacts { more_records: expected }, "{text}");
    }
    for text in ["yes", "2", "truefalse", &"1".repeat(500)] {
        let error = unexpected(of(&format!("<moreRecords>{text}</moreRecords>")));
        assert!(error.contains("`moreRecords` is neither true nor false") && !error.contains("yes"), "{error}");
    }
    let twice = of("<moreRecords>true</moreRecords><moreRecords>false</moreRecords>");
    assert!(unexpected(twice).contains("`moreRecords` is given twice"));
}

#[test]
fn where_the_source_says_the_page_begins_is_ignored() {
    for record_start in ["<recordStart>7</recordStart>", "<recordStart>x</recordStart>", "<recordStart/>", ""] {
        let list = format!(
            "<ContactList_RetrieveResult>{}</ContactList_RetrieveResult>{record_start}<moreRecords>true</moreRecords>",
            contact("1")
        );
        assert!(read(answer(&list)).unwrap().1.more_records(), "{record_start}");
    }
}

#[test]
fn a_page_has_no_end_before_its_last_contact_and_none_after_an_error() {
    let document = page(&contact("1"), true);
    let mut reader = ContactListReader::new(document.as_bytes(), Limits::default());
    assert_eq!(reader.next().unwrap().unwrap().entity_id.as_deref(), Some("1"));
    assert_eq!(reader.page_end(), None);
    assert!(reader.next().is_none());
    assert_eq!(reader.page_end(), Some(&PageEnd::Contacts { more_records: true }));
    assert!(reader.next().is_none());

    let mut reader = ContactListReader::new(&document.as_bytes()[..document.len() - 5], Limits::default());
    assert!(reader.next().unwrap().is_ok());
    assert!(reader.next().unwrap().is_err());
    assert!(reader.next().is_none());
    assert_eq!(reader.page_end(), None);
}

#[test]
fn a_contact_that_is_nil_is_none() {
    let list = format!("{}<ContactRecord xsi:nil=\"true\" />{}", contact("1"), contact("2"));
    let contacts = contacts(page(&list, false));
    assert_eq!(ids(&contacts), [Some("1"), Some("2")]);
    assert_eq!(contacts[1].raw, contact("2"));
}

#[test]
fn an_answer_may_hold_several_results() {
    let result = |id| format!("<ContactList_RetrieveResult>{}</ContactList_RetrieveResult>", contact(id));
    let document = answer(&format!("{}{}<moreRecords>false</moreRecords>", result("1"), result("2")));
    assert_eq!(ids(&contacts(document)), [Some("1"), Some("2")]);
}

#[test]
fn a_fault_beside_an_answer_is_no_page() {
    let document = in_body("<ContactList_RetrieveResponse/><soap:Fault/>");
    assert!(unexpected(document).contains("a second element in the `Body`"));
}
