//! A contact's password is never held: not in its content, not in its source text, not in an error.

use wire::business_catalyst::ContactListReader;
use wire::{Limits, ReadError};

use crate::sample::{JANE, contact, contact_with, content_with, fault, last_page, only, read, read_all};

/// Everything that is shown of a document, and of a contact in it.
fn told(document: &str, limits: Limits) -> String {
    let mut reader = ContactListReader::new(document.as_bytes(), limits);
    let mut told = String::new();
    for contact in reader.by_ref() {
        match contact {
            Ok(contact) => {
                told += &format!("{contact:?}");
                match contact.content {
                    Ok(content) => told += &content.canonical_json(),
                    Err(problem) => told += &format!("{problem} {problem:?}"),
                }
            }
            Err(error) => told += &format!("{error} {error:?}"),
        }
    }
    told + &format!("{:?}", reader.page_end())
}

/// Every form in which a password may stand in a contact; the secret is `SECRET` in each.
fn forms() -> Vec<String> {
    let long = "x".repeat(200_000);
    [
        "<password>SECRET</password>",
        "<password><![CDATA[SECRET]]></password>",
        "<password>SEC<!-- SECRET -->RET SECRET&amp;SECRET</password>",
        "<password><?SECRET SECRET?>SECRET</password>",
        "<password a=\"SECRET\" xsi:nil=\"true\" />",
        "<password xsi:nil=\"true\" hint='SECRET'></password>",
        "<Password>SECRET</Password><PASS_WORD>SECRET</PASS_WORD>",
        "<x:password xmlns:x=\"urn:x\">SECRET</x:password>",
        "<password xmlns=\"urn:SECRET\">SECRET</password>",
        "<password><password>SECRET</password>SECRET</password>",
        "<password><SECRET>SECRET</SECRET></password>",
        "<password><entityId>SECRET</entityId></password>",
        "<neverHeardOf><deep><password>SECRET</password></deep></neverHeardOf>",
        "<phoneNos><PhoneNo><password>SECRET</password><phoneNo>1</phoneNo></PhoneNo></phoneNos>",
        "<crmForms><CrmForms><crmFormFields><CrmFormFields><password>SECRET</password></CrmFormFields></crmFormFields></CrmForms></crmForms>",
        "<entityId><password>SECRET</password></entityId>",
        "<password>SECRET</password ><password\n>SECRET</password\n>",
    ]
    .map(str::to_owned)
    .into_iter()
    .chain([
        format!("<password>SECRET{long}SECRET</password>"),
        format!("<password><![CDATA[SECRET{long}SECRET]]></password>"),
        format!("<password a='SECRET{long}SECRET'>SECRET</password>"),
        format!("<password a='SECRET{long}SECRET'/>"),
        format!("<password><x a='SECRET{long}SECRET'/>SECRET</password>"),
        format!("<password><!--SECRET{long}SECRET-->SECRET</password>"),
    ])
    .collect()
}

fn small_text() -> Limits {
    Limits { text_bytes: 100, ..Limits::default() }
}

#[test]
fn a_password_in_any_form_is_dropped_and_costs_nothing() {
    let without = content_with("<firstName>Jane</firstName>").name;
    for form in forms() {
        let record = contact_with(&format!("{form}<firstName>Jane</firstName>"));
        for limits in [Limits::default(), small_text()] {
            let (contacts, _) = read_all(last_page(&record), limits).unwrap();
            assert_eq!(contacts[0].content.as_ref().unwrap().name, without, "{form:.80}");
            let told = told(&last_page(&record), limits);
            assert!(!told.contains("SECRET"), "{form:.80}: {told:.2000}");
        }
    }
}

#[test]
fn the_source_text_is_exact_but_for_the_password() {
    let (before, after) = JANE.split_once("<password>hunter2</password>").unwrap();
    assert_eq!(only(JANE).raw, [before, after].concat());
    let prefixed = contact_with("<a/><x:password xmlns:x='urn:x'>SECRET</x:password>\n<b/>");
    assert_eq!(only(&prefixed).raw, contact_with("<a/>\n<b/>"));
}

#[test]
fn the_password_is_kept_out_of_a_source_text_that_is_cut() {
    for form in forms() {
        let record = contact_with(&format!("<a>before</a>{form}<b>after</b>"));
        for raw in [0, 90, 110, 130, 150, 1_000] {
            let limits = Limits { raw, ..small_text() };
            let told = told(&last_page(&record), limits);
            assert!(!told.contains("SECRET"), "{raw} {form:.80}: {told:.2000}");
        }
    }
}

#[test]
fn the_password_is_kept_out_of_what_is_told_of_a_contact_that_cannot_be_used() {
    let tight = Limits { elements_per_customer: 3, depth: 6, ..small_text() };
    for form in forms() {
        for (before, after) in [
            ("", "<lastUpdateDate>never</lastUpdateDate>"),
            ("<deleted>perhaps</deleted>", ""),
            ("<a/><b/><c/><d/><e/>", "<f/>"),
            ("<a><b><c/></b></a>", "<a><b><c/></b></a>"),
        ] {
            let record = format!("<ContactRecord>{before}{form}{after}</ContactRecord>");
            for limits in [Limits::default(), tight] {
                let (contacts, _) = read_all(last_page(&(record.clone() + &contact("2"))), limits).unwrap();
                assert!(contacts[0].content.is_err());
                let told = told(&last_page(&record), limits);
                assert!(!told.contains("SECRET"), "{form:.80}: {told:.2000}");
            }
        }
    }
}

#[test]
fn the_password_is_kept_out_of_what_is_told_of_a_document_that_is_cut_off() {
    for form in forms().into_iter().filter(|form| form.len() < 1_000) {
        let document = last_page(&(contact("1") + &contact_with(&form)));
        for length in document.find("<entityId>1").unwrap()..document.len() {
            let told = told(&document[..length], Limits::default());
            assert!(!told.contains("SECRET"), "{length} {form}: {told}");
        }
    }
}

#[test]
fn the_password_is_kept_out_of_what_is_told_of_a_document_that_is_broken_within_it() {
    for broken in [
        "<password>SECRET</passwort>",
        "<password>a<SECRET>b</password>",
        "<password SECRET>SECRET</password>",
        "<password a='SECRET' a='SECRET'/>",
        "<password><![SECRET]]></password>",
        "<password><!DOCTYPE SECRET></password>",
        "<password>a<1SECRET>b</password>",
    ] {
        let document = last_page(&contact_with(broken));
        let error = read(&document).expect_err(broken);
        assert!(
            matches!(error, ReadError::Malformed { .. } | ReadError::Entity { .. } | ReadError::Doctype { .. }),
            "{broken}: {error}"
        );
        let told = told(&document, Limits::default());
        assert!(!told.contains("SECRET"), "{broken}: {told}");
    }
}

#[test]
fn an_unknown_entity_within_a_password_costs_its_contact_and_shows_nothing() {
    let document = last_page(&contact_with("<password>SECRET &SECRET; </password>"));
    let (contacts, _) = read(&document).unwrap();
    let unreadable: Vec<_> = contacts.iter().filter(|contact| contact.content.is_err()).collect();
    assert_eq!(unreadable.len(), 1);
    assert!(!unreadable[0].raw.contains("SECRET"), "{}", unreadable[0].raw);
    assert!(!told(&document, Limits::default()).contains("SECRET"));
}

#[test]
fn what_is_within_a_password_must_still_be_well_formed() {
    for broken in ["<password><a></b></password>", "<password><a></password>", "<password></a></password>"] {
        assert!(matches!(read(last_page(&contact_with(broken))), Err(ReadError::Malformed { .. })), "{broken}");
    }
}

#[test]
fn tokens_of_a_password_at_the_seams_of_what_is_read_at_once_are_dropped() {
    let record =
        contact_with("<a>x</a><password hint='SECRET'>SECRET<![CDATA[SECRET]]><b>SECRET</b></password><c>y</c>");
    let expected = contact_with("<a>x</a><c>y</c>");
    let begins_at = last_page("").find("</ContactList_RetrieveResult>").unwrap();
    for shift in 0..record.len() {
        let padding = " ".repeat(32 * 1024 - begins_at - shift);
        let (contacts, _) = read(last_page(&(padding + &record))).unwrap();
        assert_eq!(contacts[0].raw, expected, "{shift}");
    }
}

#[test]
fn names_that_only_resemble_it_are_data() {
    let content = content_with("<passwordHint>dog</passwordHint>");
    assert!(content.attributes.contains_key("passwordHint"));
    assert_eq!(crate::sample::source_message(read(fault("ERROR: no password"))), "no password");
}
