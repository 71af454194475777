//! Failures that the source reports.

use wire::business_catalyst::PageEnd;

use crate::sample::{SOAP_1_2, fault, in_body, read, source_message};

/// A fault as SOAP 1.2 has it.
fn fault_1_2(reasons: &str) -> String {
    format!(
        "<s:Envelope xmlns:s=\"{SOAP_1_2}\"><s:Body><s:Fault><s:Code><s:Value>s:Receiver</s:Value></s:Code>\
         <s:Reason>{reasons}</s:Reason><s:Detail><Text>not this</Text></s:Detail></s:Fault></s:Body></s:Envelope>"
    )
}

#[test]
fn the_sources_own_words_are_what_follows_its_mark() {
    let words = "Server was unable to process request. ---&gt; ERROR: Site not\n found";
    for document in [fault(words), fault_1_2(&format!("<s:Text xml:lang=\"en\">{words}</s:Text>"))] {
        assert_eq!(source_message(read(document)), "Site not found");
    }
    assert_eq!(source_message(read(fault("<![CDATA[... ---> ERROR:No]]>"))), "No");
}

#[test]
fn any_other_fault_is_a_failure_with_its_whole_text() {
    for words in [
        "Invalid credentials",
        "Server did not recognize the value of HTTP Header SOAPAction",
        "Server was unable to process request. ---> Timeout expired.",
        "Server was unable to process request. ---> Invalid username or password.",
        "The login failed: Server was unable to process request.",
    ] {
        assert_eq!(source_message(read(fault(&words.replace('>', "&gt;")))), words);
    }
}

#[test]
fn a_fault_that_only_says_that_it_was_unable_means_that_there_is_nothing_to_list() {
    for words in [
        "Server was unable to process request",
        "Server was unable to process request.",
        "System.Web.Services.Protocols.SoapException: Server was unable to process\nrequest. ---&gt; ",
    ] {
        for document in [fault(words), fault_1_2(&format!("<s:Text>{words}</s:Text>"))] {
            let (contacts, end) = read(document).unwrap();
            assert!(contacts.is_empty());
            let PageEnd::Fault { message } = end else { panic!("{end:?}") };
            assert!(message.contains("Server was unable to process request"), "{message}");
        }
    }
}

#[test]
fn a_fault_without_words_is_a_failure() {
    for document in [fault(""), fault_1_2(""), in_body("<soap:Fault/>"), fault("... ERROR: ")] {
        assert_eq!(source_message(read(document)), "a fault without a reason");
    }
}

#[test]
fn of_several_reasons_the_first_that_says_anything_counts() {
    let document = fault_1_2("<s:Text> </s:Text><s:Text>Not found</s:Text><s:Text>Nicht gefunden</s:Text>");
    assert_eq!(source_message(read(document)), "Not found");
}

#[test]
fn the_sources_words_are_shown_on_one_line_and_cut() {
    let words = format!("ERROR: line one\nline two\u{1} {}", "word ".repeat(300));
    let message = source_message(read(fault(&words)));
    assert!(message.starts_with("line one line two word"), "{message}");
    assert!((196..=200).contains(&message.chars().count()), "{message}");
    assert!(!message.chars().any(char::is_control));
}

#[test]
fn what_a_fault_says_elsewhere_is_not_its_reason() {
    let document = in_body(
        "<soap:Fault><faultcode>c</faultcode><detail><faultstring>no</faultstring><Text>no</Text></detail>\
         <faultstring>Broken</faultstring></soap:Fault>",
    );
    assert_eq!(source_message(read(document)), "Broken");
}
