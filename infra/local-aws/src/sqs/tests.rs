use aws_sdk_sqs::operation::send_message_batch::{SendMessageBatchError, SendMessageBatchOutput};
use aws_sdk_sqs::types::SendMessageBatchRequestEntry;

use super::*;

const WORK: &str = "Work";
const DEAD: &str = "Dead";
const VISIBILITY: Duration = Duration::from_secs(30);
const RETENTION: Duration = Duration::from_secs(3_600);
const ONE_SECOND: Duration = Duration::from_secs(1);

/// A work queue with messages that become dead letters after three deliveries, and a clock that only the story moves.
fn queues() -> (LocalSqs, Clock) {
    let clock = Clock::manual(Timestamp::UNIX_EPOCH);
    let work = Queue {
        name: WORK.to_owned(),
        visibility_timeout: VISIBILITY,
        retention: RETENTION,
        dead_letter: Some((DEAD.to_owned(), 3)),
    };
    let dead = Queue { name: DEAD.to_owned(), dead_letter: None, retention: RETENTION * 24, ..work.clone() };
    (LocalSqs::new(&[work, dead], clock.clone()), clock)
}

async fn send_to(
    queues: &LocalSqs,
    queue: &str,
    entries: &[(&str, &str)],
) -> Result<SendMessageBatchOutput, SendMessageBatchError> {
    let entries = entries
        .iter()
        .map(|(id, body)| SendMessageBatchRequestEntry::builder().id(*id).message_body(*body).build().unwrap());
    let answer = queues.client().send_message_batch().queue_url(queue).set_entries(Some(entries.collect()));
    answer.send().await.map_err(aws_sdk_sqs::error::SdkError::into_service_error)
}

async fn send(queues: &LocalSqs, bodies: &[&str]) {
    for body in bodies {
        let answer = send_to(queues, WORK, &[("0", *body)]).await.unwrap();
        assert_eq!(answer.successful().len(), 1);
    }
}

fn bodies(messages: &[ReceivedMessage]) -> Vec<&str> {
    messages.iter().map(|message| message.body.as_str()).collect()
}

#[tokio::test]
async fn a_message_is_received_once_while_its_visibility_timeout_runs() {
    let (queues, clock) = queues();
    send(&queues, &["a", "b"]).await;
    let received = queues.receive(WORK, 10);
    assert_eq!(bodies(&received), ["a", "b"]);
    assert_eq!(received[0].receives, 1);
    assert_ne!(received[0].message_id, received[1].message_id);
    clock.advance(VISIBILITY - ONE_SECOND);
    assert!(queues.receive(WORK, 10).is_empty());
    assert_eq!(queues.depth(WORK), 2);
}

#[tokio::test]
async fn a_message_that_is_not_deleted_comes_back() {
    let (queues, clock) = queues();
    send(&queues, &["a"]).await;
    let first = queues.receive(WORK, 10);
    clock.advance(VISIBILITY);
    let second = queues.receive(WORK, 10);
    assert_eq!(second[0].message_id, first[0].message_id);
    assert_eq!((second[0].body.as_str(), second[0].receives), ("a", 2));
}

#[tokio::test]
async fn a_deleted_message_stays_away() {
    let (queues, clock) = queues();
    send(&queues, &["a", "b"]).await;
    let received = queues.receive(WORK, 10);
    queues.delete(WORK, &received[0]);
    assert_eq!(queues.depth(WORK), 1);
    clock.advance(VISIBILITY);
    assert_eq!(bodies(&queues.receive(WORK, 10)), ["b"]);
}

#[tokio::test]
async fn a_late_delete_with_an_old_receipt_does_nothing() {
    let (queues, clock) = queues();
    send(&queues, &["a"]).await;
    let first = queues.receive(WORK, 10);
    clock.advance(VISIBILITY);
    let second = queues.receive(WORK, 10);
    queues.delete(WORK, &first[0]);
    assert_eq!(queues.depth(WORK), 1, "it is in other hands now");
    queues.delete(WORK, &second[0]);
    assert_eq!(queues.depth(WORK), 0);
}

#[tokio::test]
async fn no_more_is_received_than_was_asked_for() {
    let (queues, _) = queues();
    send(&queues, &["a", "b", "c"]).await;
    assert!(queues.receive(WORK, 0).is_empty());
    assert_eq!(bodies(&queues.receive(WORK, 2)), ["a", "b"]);
    assert_eq!(bodies(&queues.receive(WORK, 2)), ["c"]);
    assert!(queues.receive("NoSuchQueue", 10).is_empty());
}

#[tokio::test]
async fn a_message_that_was_received_too_often_goes_to_the_dead_letters() {
    let (queues, clock) = queues();
    send(&queues, &["poison", "good"]).await;
    for receives in 1..=3 {
        let received = queues.receive(WORK, 10);
        assert_eq!(received[0].receives, receives);
        for message in received.iter().filter(|message| message.body == "good") {
            queues.delete(WORK, message);
        }
        assert_eq!(queues.depth(DEAD), 0);
        clock.advance(VISIBILITY);
    }
    assert!(queues.receive(WORK, 10).is_empty());
    assert_eq!((queues.depth(WORK), queues.depth(DEAD)), (0, 1));
    assert_eq!(bodies(&queues.receive(DEAD, 10)), ["poison"]);
}

#[tokio::test]
async fn without_dead_letters_a_message_comes_back_forever() {
    let (queues, clock) = queues();
    send_to(&queues, DEAD, &[("0", "a")]).await.unwrap();
    for receives in 1..=20 {
        assert_eq!(queues.receive(DEAD, 10)[0].receives, receives);
        clock.advance(VISIBILITY);
    }
}

#[tokio::test]
async fn a_message_is_kept_for_its_retention_and_no_longer() {
    let (queues, clock) = queues();
    send(&queues, &["old"]).await;
    clock.advance(RETENTION - ONE_SECOND);
    send(&queues, &["young"]).await;
    let received = queues.receive(WORK, 1);
    assert_eq!(bodies(&received), ["old"], "in its last second");
    clock.advance(ONE_SECOND);
    assert_eq!(bodies(&queues.receive(WORK, 10)), ["young"]);
    clock.advance(RETENTION);
    assert!(queues.receive(WORK, 10).is_empty());
    assert_eq!((queues.depth(WORK), queues.depth(DEAD)), (0, 0));
}

#[tokio::test]
async fn a_message_that_came_back_behind_younger_ones_is_not_kept_longer_for_it() {
    let (queues, clock) = queues();
    send(&queues, &["old"]).await;
    clock.advance(RETENTION - VISIBILITY - ONE_SECOND);
    queues.receive(WORK, 10);
    send(&queues, &["young", "youngest"]).await;
    clock.advance(VISIBILITY);
    assert_eq!(bodies(&queues.receive(WORK, 1)), ["young"], "the old one stands behind now");
    clock.advance(ONE_SECOND);
    assert_eq!(bodies(&queues.receive(WORK, 10)), ["youngest"]);
}

#[tokio::test]
async fn a_purge_takes_everything() {
    let (queues, clock) = queues();
    send(&queues, &["a", "b"]).await;
    queues.receive(WORK, 1);
    queues.purge(WORK);
    assert_eq!(queues.depth(WORK), 0);
    clock.advance(VISIBILITY);
    assert!(queues.receive(WORK, 10).is_empty());
}

#[tokio::test]
async fn ten_entries_of_one_mebibyte_together_are_taken_in_their_order() {
    let (queues, _) = queues();
    let ids: Vec<String> = (0..10).map(|number| number.to_string()).collect();
    let body = "x".repeat(MOST_BYTES / 16);
    let last = "y".repeat(MOST_BYTES - 9 * body.len());
    let entries: Vec<(&str, &str)> =
        ids.iter().map(|id| (id.as_str(), if id == "9" { last.as_str() } else { body.as_str() })).collect();
    let answer = send_to(&queues, WORK, &entries).await.unwrap();
    let sent: Vec<&str> = answer.successful().iter().map(|entry| entry.id()).collect();
    assert_eq!(sent, ids);
    assert!(answer.failed().is_empty());
    let received = queues.receive(WORK, 100);
    assert_eq!(received.len(), 10);
    assert_eq!(received[9].body, last);
}

#[tokio::test]
async fn what_sqs_refuses_is_refused_as_a_whole() {
    let (queues, _) = queues();
    let eleven: Vec<String> = (0..11).map(|number| number.to_string()).collect();
    let eleven: Vec<(&str, &str)> = eleven.iter().map(|id| (id.as_str(), "a")).collect();
    let error = send_to(&queues, WORK, &eleven).await.unwrap_err();
    assert!(error.is_too_many_entries_in_batch_request(), "{error:?}");

    let error = send_to(&queues, WORK, &[("1", "a"), ("2", "b"), ("1", "c")]).await.unwrap_err();
    assert!(error.is_batch_entry_ids_not_distinct(), "{error:?}");

    let half = "x".repeat(MOST_BYTES / 2);
    let error = send_to(&queues, WORK, &[("1", &half), ("2", &half), ("3", "x")]).await.unwrap_err();
    assert!(error.is_batch_request_too_long(), "{error:?}");

    let error = send_to(&queues, WORK, &[]).await.unwrap_err();
    assert!(error.is_empty_batch_request(), "{error:?}");

    let error = send_to(&queues, "NoSuchQueue", &[("1", "a")]).await.unwrap_err();
    assert!(error.is_queue_does_not_exist(), "{error:?}");

    assert_eq!((queues.depth(WORK), queues.depth(DEAD)), (0, 0));
}

#[tokio::test]
async fn an_operation_that_is_not_served_is_refused() {
    let (queues, _) = queues();
    let error = queues.client().receive_message().queue_url(WORK).send().await.unwrap_err().into_service_error();
    assert_eq!(error.meta().message(), Some("ReceiveMessage is not served on one machine"));
}

#[tokio::test]
async fn a_send_fails_in_part_where_it_is_told_to() {
    let (queues, _) = queues();
    queues.fail_entries(2);
    let answer = send_to(&queues, WORK, &[("1", "a"), ("2", "b"), ("3", "c")]).await.unwrap();
    let failed: Vec<(&str, bool)> = answer.failed().iter().map(|entry| (entry.id(), entry.sender_fault())).collect();
    assert_eq!(failed, [("1", false), ("2", false)]);
    let sent: Vec<&str> = answer.successful().iter().map(|entry| entry.id()).collect();
    assert_eq!(sent, ["3"]);
    assert_eq!(bodies(&queues.receive(WORK, 10)), ["c"]);
    let answer = send_to(&queues, WORK, &[("1", "a"), ("2", "b")]).await.unwrap();
    assert_eq!((answer.successful().len(), answer.failed().len()), (2, 0));
}

#[tokio::test]
async fn a_delayed_message_is_received_after_its_delay_and_not_before() {
    let (queues, clock) = queues();
    let entry = |id: &str, delay: i32| {
        let entry = SendMessageBatchRequestEntry::builder().id(id).message_body(id).delay_seconds(delay);
        entry.build().unwrap()
    };
    let send = queues.client().send_message_batch().queue_url(WORK);
    let sent = send.clone().entries(entry("late", 5)).entries(entry("now", 0)).send().await.unwrap();
    assert_eq!(sent.successful().len(), 2);
    let bodies =
        |queues: &LocalSqs| queues.receive(WORK, 10).into_iter().map(|message| message.body).collect::<Vec<_>>();
    assert_eq!((bodies(&queues), queues.depth(WORK)), (vec!["now".to_owned()], 2));
    clock.advance(ONE_SECOND * 5 - Duration::from_millis(1));
    assert_eq!(bodies(&queues), [""; 0]);
    clock.advance(Duration::from_millis(1));
    assert_eq!(bodies(&queues), ["late"]);
    assert!(send.entries(entry("too late", 901)).send().await.is_err(), "15 minutes are the most");
}
