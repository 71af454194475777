//! The answers to queue, purge and force enqueue.

use model::QueuedCustomer;
use wire::association_anywhere::{QueueReader, UnusableEntry};
use wire::{Limits, ReadError};

use crate::sample::{read_queue, read_status};

fn read(document: &str) -> Result<(Option<String>, Vec<QueuedCustomer>), ReadError> {
    let mut customers = Vec::new();
    let number = read_queue(document.as_bytes(), &Limits::default(), |customer| customers.push(customer))?;
    Ok((number, customers))
}

/// The ids in an answer, those that are deleted with a minus.
fn queued(customers: &str) -> Vec<String> {
    let (number, customers) = read(&format!("<q><max-queue-num>1</max-queue-num>{customers}</q>")).unwrap();
    assert_eq!(number.as_deref(), Some("1"));
    let sign = |deleted: bool| if deleted { "-" } else { "" };
    customers.into_iter().map(|customer| sign(customer.deleted).to_owned() + &customer.source_id).collect()
}

fn unexpected(document: &str) -> String {
    match read(document) {
        Err(error @ ReadError::Unexpected { .. }) => error.to_string(),
        other => panic!("{document}: {other:?}"),
    }
}

#[test]
fn both_dialects_are_read() {
    let hyphen = "<queued-custs><status>SUCCESS</status><max-queue-num>4711</max-queue-num>\
                  <customers><cust-id>1001</cust-id><cust-id>1002</cust-id></customers></queued-custs>";
    let camel = "<queuedCusts><status>SUCCESS</status><maxQueueNum>4711</maxQueueNum>\
                 <customer><custId>1001</custId><action>UPDATE</action><reason>moved</reason></customer>\
                 <customer><custId>1002</custId><action>UPDATE</action><reason>joined</reason></customer></queuedCusts>";
    let expected = ["1001", "1002"].map(|id| QueuedCustomer { source_id: id.to_owned(), deleted: false });
    for document in [hyphen, camel] {
        let (number, customers) = read(document).unwrap();
        assert_eq!(number.as_deref(), Some("4711"));
        assert_eq!(customers, expected);
    }
}

#[test]
fn an_empty_queue_may_come_with_a_number_or_without() {
    assert_eq!(read("<q/>").unwrap(), (None, vec![]));
    assert_eq!(read("<q><status>SUCCESS</status><customers/><max-queue-num/></q>").unwrap(), (None, vec![]));
    assert_eq!(read("<q><max-queue-num> 12 </max-queue-num></q>").unwrap(), (Some("12".into()), vec![]));
}

/// A document that is no answer of a queue never makes a connection look fresh (6: nothing is dropped in silence).
#[test]
fn another_document_is_no_empty_queue() {
    for document in [
        "<Fault><faultcode>x</faultcode><faultstring>gateway</faultstring></Fault>",
        "<Fault/>",
        "<soap:Envelope xmlns:soap='s'><soap:Body/></soap:Envelope>",
        "<string>Service unavailable</string>",
        "<page><head/><body>Down for maintenance</body></page>",
        "<hugeAnswer><filler>x</filler></hugeAnswer>",
    ] {
        assert!(unexpected(document).contains("queue"), "{document}");
    }
    assert!(unexpected("<html><body/></html>").contains("HTML"));
    for document in [
        "<r/>",
        "<r> </r>",
        "<r><!-- nobody --></r>",
        "<r><status>SUCCESS</status></r>",
        "<r><customers/></r>",
        "<queue><none/></queue>",
        "<cust-response><none/></cust-response>",
        "<r><message/></r>",
        "<r><error/></r>",
    ] {
        assert_eq!(read(document).unwrap(), (None, vec![]), "{document}");
    }
}

#[test]
fn customers_without_a_number_could_never_be_purged() {
    assert!(unexpected("<q><cust-id>1</cust-id></q>").contains("max-queue-num"));
    assert!(unexpected("<cust-id>1</cust-id>").contains("max-queue-num"));
}

#[test]
fn a_number_is_one_to_thirty_digits() {
    let of = |number: &str| format!("<q><max-queue-num>{number}</max-queue-num></q>");
    let thirty = "9".repeat(30);
    assert_eq!(read(&of(&thirty)).unwrap().0, Some(thirty));
    for number in [&"9".repeat(31), "-1", "1.5", "1 2", "0x1", "１"] {
        assert!(unexpected(&of(number)).contains("max-queue-num"), "{number}");
    }
    let twice = "<q><max-queue-num>1</max-queue-num><maxQueueNum>2</maxQueueNum></q>";
    assert!(unexpected(twice).contains("max-queue-num"));
}

#[test]
fn a_delete_counts_for_the_id_beside_it() {
    assert_eq!(
        queued(
            "<c><custId>1</custId><action>DELETE</action></c><c><action> delete </action><custId>2</custId></c>\
             <c><custId>3</custId><reason>x</reason><action>DELETE</action></c><c><custId>4</custId></c>"
        ),
        ["-1", "-2", "-3", "4"]
    );
}

#[test]
fn in_a_flat_list_an_action_follows_its_id() {
    assert_eq!(
        queued("<custId>1</custId><action>DELETE</action><custId>2</custId><custId>3</custId><action>UPDATE</action>"),
        ["-1", "2", "3"]
    );
}

#[test]
fn an_action_never_leaks_into_another_group() {
    assert_eq!(
        queued(
            "<c><action>DELETE</action></c><c><custId>1</custId></c><c><custId>2</custId><x><action>DELETE</action></x></c>\
             <c><custId>3</custId></c><action>DELETE</action>"
        ),
        ["1", "2", "3"]
    );
}

#[test]
fn ids_are_read_whatever_they_are_wrapped_in() {
    assert_eq!(
        queued("<a><b><x:cust-id>1</x:cust-id></b></a><custId><![CDATA[ 2 ]]></custId><CUST_ID>&#51;</CUST_ID>"),
        ["1", "2", "3"]
    );
}

#[test]
fn an_id_that_is_none_costs_that_entry_alone() {
    let (long, longer) = ("7".repeat(65), "7".repeat(300_000));
    for id in ["", " ", "1\u{2}", "1\u{85}2", "1<x/>2", "1<cust-id>5</cust-id>2", &long, &longer] {
        let document = format!(
            "<q><c><cust-id>8</cust-id><action>DELETE</action></c><c><cust-id>{id}</cust-id><action>DELETE</action></c>\
             <c><cust-id>9</cust-id></c><max-queue-num>1</max-queue-num></q>"
        );
        let mut customers = Vec::new();
        let limits = Limits { text_bytes: 100_000, ..Limits::default() };
        let mut reader = QueueReader::new(document.as_bytes(), None, limits, |customer: QueuedCustomer| {
            customers.push((customer.source_id, customer.deleted));
        });
        assert_eq!(reader.read().unwrap().as_deref(), Some("1"), "{id:.20}");
        let unusable = reader.unusable();
        drop(reader);
        assert_eq!(customers, [("8".to_owned(), true), ("9".to_owned(), false)], "{id:.20}");
        assert_eq!(unusable.len(), 1, "{id:.20}");
        assert!(unusable[0].name.starts_with(UnusableEntry::PREFIX) && unusable[0].name.len() == 21);
        assert!(unusable[0].raw.len() <= 1_000 && !unusable[0].raw.chars().any(char::is_control), "{unusable:?}");
    }
    assert!(read("<q><cust-id>1</cust-id><cust-id/><cust-id/><max-queue-num>1</max-queue-num></q>").is_ok());
    assert!(unexpected("<q><cust-id/></q>").contains("max-queue-num"), "an entry all the same");
}

#[test]
fn too_many_entries_end_the_reading() {
    let limits = Limits { queue_entries: 2, ..Limits::default() };
    let document =
        "<q><max-queue-num>1</max-queue-num><cust-id>1</cust-id><cust-id>2</cust-id><cust-id>3</cust-id></q>";
    let result = read_queue(document.as_bytes(), &limits, |_| {});
    assert!(matches!(result, Err(ReadError::Limit { limit: "queue_entries", value: 2, .. })));
}

#[test]
fn a_failure_is_the_sources_answer() {
    for document in [
        "<q><status>FAILURE</status><message>Bad password</message></q>",
        "<q><error>Bad password</error></q>",
        "<q><max-queue-num>1</max-queue-num><cust-id>1</cust-id><error>Bad password</error></q>",
    ] {
        for result in [read(document).map(|_| ()), read_status(document.as_bytes(), &Limits::default())] {
            assert!(matches!(result, Err(ReadError::Source { message }) if message == "Bad password"), "{document}");
        }
    }
}

#[test]
fn only_success_is_success() {
    let status = |document: &str| read_status(document.as_bytes(), &Limits::default());
    assert!(status("<purge-status><status>SUCCESS</status><message/></purge-status>").is_ok());
    assert!(status("<enqueueStatus><Status> success </Status></enqueueStatus>").is_ok());
    assert!(status("<status>SUCCESS</status>").is_ok());
    for document in [
        "<purge-status/>",
        "<purge-status><status/></purge-status>",
        "<purge-status><status>PENDING</status></purge-status>",
    ] {
        match status(document) {
            Err(error @ ReadError::Unexpected { .. }) => assert!(error.to_string().contains("`status`"), "{error}"),
            other => panic!("{document}: {other:?}"),
        }
    }
    let both = "<s><status>SUCCESS</status><status>FAILURE</status></s>";
    assert!(matches!(status(both), Err(ReadError::Source { .. })));
}
