//! The answer to written contacts.

use wire::business_catalyst::{NAMESPACE, read_update_insert_answer};
use wire::{Limits, ReadError};

use crate::sample::{SOAP_1_2, answer, fault, in_body, source_message};

fn read(document: &str) -> Result<(), ReadError> {
    read_update_insert_answer(document.as_bytes(), &Limits::default())
}

#[test]
fn the_empty_answer_means_that_everything_was_written() {
    let name = "ContactList_UpdateInsertResponse";
    for document in [
        in_body(&format!("<{name} xmlns=\"{NAMESPACE}\" />")),
        in_body(&format!("<n:{name} xmlns:n=\"{NAMESPACE}\"></n:{name}>")),
        format!("<e:Envelope xmlns:e=\"{SOAP_1_2}\"><e:Header/><e:Body><{name}>\n</{name}></e:Body></e:Envelope>"),
    ] {
        read(&document).unwrap();
    }
}

#[test]
fn every_fault_is_a_failure() {
    let unable = "Server was unable to process request";
    assert_eq!(source_message(read(&fault(unable))), unable);
    assert_eq!(source_message(read(&fault("... ---&gt; ERROR: No such site"))), "No such site");
    assert_eq!(source_message(read(&in_body("<soap:Fault/>"))), "a fault without a reason");
}

#[test]
fn nothing_else_is_success() {
    for document in [answer(""), in_body(""), in_body("<Other/>"), "<ContactList_UpdateInsertResponse/>".to_owned()] {
        assert!(matches!(read(&document), Err(ReadError::Unexpected { .. })), "{document}");
    }
    let error = read(&answer("")).unwrap_err().to_string();
    assert!(error.contains("neither `ContactList_UpdateInsertResponse` nor a `Fault`"), "{error}");
}
