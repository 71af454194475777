//! How far destinations have come: one worker notes it, and a message that comes meanwhile is not forgotten.

use store::{Delivery, Departure, Witness};

use crate::Database;

fn came_to(delivery: &Delivery, sent: u64) -> Delivery {
    let mut delivery = delivery.clone();
    delivery.position = Some(delivery.position.unwrap_or_default());
    delivery.progress.counts.sent = sent;
    delivery
}

#[tokio::test]
async fn whoever_has_not_seen_the_last_note_notes_nothing() {
    let database = Database::new().await;
    let (deliveries, destination) = (&database.tables.deliveries, &database.connection);
    let unknown = deliveries.of(destination).await.unwrap();
    let (mut first, mut second) = (came_to(&unknown, 1), came_to(&unknown, 2));
    assert!(deliveries.note(destination, &mut first).await.unwrap());
    assert!(!deliveries.note(destination, &mut second).await.unwrap(), "both were the first");
    let seen = deliveries.of(destination).await.unwrap();
    assert_eq!(seen, first);
    let (mut one, mut other) = (came_to(&seen, 3), came_to(&seen, 4));
    assert!(deliveries.note(destination, &mut one).await.unwrap());
    assert!(!deliveries.note(destination, &mut other).await.unwrap());
    assert_eq!(deliveries.of(destination).await.unwrap(), one);
    assert!(deliveries.note(destination, &mut one).await.unwrap(), "whoever has noted goes on");
}

#[tokio::test]
async fn a_note_whose_answer_was_lost_is_found_to_be_ones_own() {
    let database = Database::new().await;
    let (deliveries, destination) = (&database.tables.deliveries, &database.connection);
    for turn in 0..3 {
        let seen = deliveries.of(destination).await.unwrap();
        let (mut sent, mut sent_again) = (came_to(&seen, turn + 1), came_to(&seen, turn + 1));
        assert!(deliveries.note(destination, &mut sent).await.unwrap());
        assert!(deliveries.note(destination, &mut sent_again).await.unwrap(), "turn {turn}");
        assert_eq!(sent, sent_again);
    }
}

#[tokio::test]
async fn the_latest_that_were_taken_are_remembered_each_once() {
    let witness = |id: &str, revision| Witness { id: id.to_owned(), revision };
    let mut delivery = Delivery::default();
    delivery.progress.remember(vec![witness("aa~2", 1), witness("aa~1", 1)]);
    delivery.progress.remember(vec![witness("aa~3", 7), witness("aa~2", 2)]);
    assert_eq!(delivery.progress.witnesses, [witness("aa~3", 7), witness("aa~2", 2), witness("aa~1", 1)]);
    delivery.progress.remember(vec![witness("aa~4", 1)]);
    assert_eq!(delivery.progress.witnesses, [witness("aa~4", 1), witness("aa~3", 7), witness("aa~2", 2)]);
}

#[tokio::test]
async fn whoever_holds_the_lease_learns_when_it_leaves_that_another_has_asked_it_to_look_again() {
    let database = Database::new().await;
    let (states, destination) = (&database.tables.states, &database.connection);
    let until = database.in_seconds(60);
    assert!(!states.ask_to_look_again(destination).await.unwrap(), "nobody holds it");
    for is_asked in [true, false] {
        let seen = states.lease(destination, "one", database.clock.now(), until).await.unwrap().unwrap();
        if is_asked {
            assert!(states.ask_to_look_again(destination).await.unwrap());
        }
        let departure = Departure { synced_as_of: Some(database.clock.now()), ..Departure::default() };
        assert_eq!(states.leave(destination, "one", &seen, &departure).await.unwrap(), is_asked);
        assert!(!states.ask_to_look_again(destination).await.unwrap(), "it has left");
    }
    assert_eq!(states.state(destination).await.unwrap().fresh_as_of, Some(database.clock.now()));
}
