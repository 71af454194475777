//! Which customers an answer holds, and what it says of itself.

use wire::{DetailsReader, Limits, ReadError};

use crate::sample::{bulk, customer, ids, read_all, read_bulk};

fn source_message(result: Result<impl Sized, ReadError>) -> String {
    match result {
        Err(ReadError::Source { message }) => message,
        Err(other) => panic!("expected the source's error, got {other}"),
        Ok(_) => panic!("expected the source's error"),
    }
}

#[test]
fn customers_are_found_under_any_wrapper_at_any_depth() {
    for (open, close) in
        [("<a>", "</a>"), ("<a><b><c>", "</c></b></a>"), ("<x:a><!-- c --><?p i?>", "</x:a>\n<!-- end -->")]
    {
        let document = format!("{open}{}<between/>{}{close}", customer("1"), customer("2"));
        assert_eq!(ids(&read_bulk(&document).unwrap()), [Some("1"), Some("2")], "{document}");
    }
}

#[test]
fn ids_that_do_not_exist_yield_nothing_in_a_bulk_answer() {
    for document in
        ["<custInfos/>", "<custInfos></custInfos>", "<custInfos><status>SUCCESS</status><error/></custInfos>"]
    {
        assert!(read_bulk(document).unwrap().is_empty(), "{document}");
    }
}

#[test]
fn a_root_that_begins_with_an_id_is_the_customer_even_in_a_bulk_answer() {
    let details = read_bulk("<reply a=\"1\"><cust-id>7</cust-id><bio>b</bio></reply>").unwrap();
    assert_eq!(ids(&details), [Some("7")]);
    assert_eq!(details[0].raw, "<reply a=\"1\"><cust-id>7</cust-id><bio>b</bio></reply>");
    assert!(read_bulk("<reply><bio>b</bio><cust-id>7</cust-id></reply>").unwrap().is_empty());
}

#[test]
fn the_root_itself_may_be_the_only_customer() {
    assert_eq!(ids(&read_bulk(customer("7")).unwrap()), [Some("7")]);
    let wrapped = format!("<custInfo>{}{}</custInfo>", customer("1"), customer("2"));
    assert_eq!(ids(&read_bulk(&wrapped).unwrap()), [Some("1"), Some("2")]);
}

#[test]
fn a_customer_within_a_customer_is_data_of_the_outer_one() {
    let outer = format!("<custInfo><custId>1</custId><employees>{}</employees></custInfo>", customer("2"));
    for document in [outer.clone(), bulk(&outer)] {
        let details = read_bulk(&document).unwrap();
        assert_eq!(ids(&details), [Some("1")]);
        assert!(details[0].content.as_ref().unwrap().canonical_json().contains("N2"));
    }
}

#[test]
fn the_source_text_of_each_customer_comes_exactly() {
    let awkward =
        "<custInfo  a='1'><!-- c --><custId>&#49;</custId><bio><![CDATA[<x>]]>&amp;</bio><?p i?>\r\n</custInfo >";
    let details = read_bulk(bulk(&[awkward, &customer("2")].concat())).unwrap();
    assert_eq!(details[0].raw, awkward);
    assert_eq!(details[1].raw, customer("2"));
    let limits = Limits { raw: 40, ..Limits::default() };
    let umlauts = format!("<custInfo><custId>1</custId><bio>{}</bio></custInfo>", "ü".repeat(20));
    let details = read_all(bulk(&umlauts), limits).unwrap();
    assert_eq!(details[0].raw, format!("<custInfo><custId>1</custId><bio>{}", "ü".repeat(3)));
    assert!(details[0].content.is_ok());
}

#[test]
fn an_error_element_outside_any_customer_is_the_sources_answer() {
    for document in [
        "<custInfoResponse><error>Invalid integrator</error></custInfoResponse>",
        "<error>Invalid integrator</error>",
        "<a><b><Error><![CDATA[ Invalid\n integrator ]]></Error></b></a>",
        "<a><error><code>Invalid</code><text>integrator</text></error></a>",
    ] {
        assert_eq!(source_message(read_bulk(document)), "Invalid integrator", "{document}");
    }
}

#[test]
fn a_status_of_failure_is_the_sources_answer_with_its_message() {
    for document in [
        "<r><status>FAILURE</status><message>Not provisioned</message></r>",
        "<r><message>Not provisioned</message><status>failure</status></r>",
    ] {
        assert_eq!(source_message(read_bulk(document)), "Not provisioned", "{document}");
    }
    let nested = "<r><head><status> Failure </status><x/><message>Not provisioned</message></head><customers/></r>";
    assert_eq!(source_message(read_bulk(nested)), "Not provisioned");
    assert_eq!(source_message(read_bulk("<r><status>FAILURE</status><message/></r>")), "FAILURE, without a message");
    assert_eq!(source_message(read_bulk("<status>FAILURE</status>")), "FAILURE, without a message");
}

#[test]
fn an_error_may_come_after_customers() {
    let document = bulk(&[customer("1").as_str(), "<error>Timed out</error>"].concat());
    let mut reader = DetailsReader::new(document.as_bytes(), Limits::default());
    assert_eq!(reader.next().unwrap().unwrap().source_id.as_deref(), Some("1"));
    assert_eq!(source_message(reader.next().unwrap()), "Timed out");
    assert!(reader.next().is_none());
    assert!(reader.next().is_none());
}

#[test]
fn the_sources_words_are_shown_on_one_line_and_cut() {
    let words = format!("<r><error>line one\nline two\u{1}\u{7f} {}</error></r>", "word ".repeat(300));
    let message = source_message(read_bulk(words));
    assert!(message.starts_with("line one line two word"), "{message}");
    assert!((196..=200).contains(&message.chars().count()), "{message}");
    assert!(!message.chars().any(char::is_control));
    let endless = format!("<r><error>{}</error></r>", "word ".repeat(100_000));
    assert!(source_message(read_bulk(endless)).chars().count() <= 200);
}

#[test]
fn an_error_within_a_customer_costs_that_customer() {
    let failed = "<custInfo><custId>2</custId><error>Locked by J. Doe</error></custInfo>";
    let details = read_bulk(bulk(&[customer("1").as_str(), failed, &customer("3")].concat())).unwrap();
    assert_eq!(ids(&details), [Some("1"), Some("2"), Some("3")]);
    let error = details[1].content.as_ref().unwrap_err().to_string();
    assert!(error.contains("the source answered with an error for this customer"), "{error}");
    assert!(error.contains("/custInfos/custInfo[2]") && !error.contains("Doe"), "{error}");
    assert!(details[0].content.is_ok() && details[2].content.is_ok());
    // The root of a bulk answer may be the customer.
    let details = read_bulk(failed).unwrap();
    assert_eq!(ids(&details), [Some("2")]);
    assert!(details[0].content.is_err());
}

#[test]
fn a_status_within_a_customer_is_data() {
    let details = read_bulk(bulk("<custInfo><custId>1</custId><status>FAILURE</status></custInfo>")).unwrap();
    assert!(details[0].content.as_ref().unwrap().attributes.contains_key("status"));
}

#[test]
fn one_customer_that_cannot_be_used_between_two_good_ones_costs_only_itself() {
    let long_id = format!("<custInfo><custId>{}</custId></custInfo>", "9".repeat(65));
    for (bad, why) in [
        ("<custInfo/>", "`custId` is missing"),
        ("<custInfo><name/></custInfo>", "`custId` is missing"),
        ("<custInfo><custId> </custId></custInfo>", "`custId` is empty"),
        ("<custInfo><custId>1</custId><custId>2</custId></custInfo>", "`custId` is given twice"),
        ("<custInfo><custId>1\u{1}2</custId></custInfo>", "control character"),
        (long_id.as_str(), "longer than id_bytes"),
    ] {
        let details = read_bulk(bulk(&[customer("1").as_str(), bad, &customer("3")].concat())).unwrap();
        assert_eq!(ids(&details), [Some("1"), None, Some("3")], "{bad}");
        let error = details[1].content.as_ref().unwrap_err().to_string();
        assert!(error.contains(why) && error.contains("/custInfos/custInfo[2]"), "{error}");
        assert_eq!(details[1].raw, bad);
        assert!(details[0].content.is_ok() && details[2].content.is_ok());
    }
}

#[test]
fn an_id_that_is_given_twice_alike_is_one_id() {
    let details = read_bulk(bulk("<custInfo><custId>1</custId><cust-id> 1 </cust-id></custInfo>")).unwrap();
    assert_eq!(ids(&details), [Some("1")]);
    assert!(details[0].content.is_ok());
}
