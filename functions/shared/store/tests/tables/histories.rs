//! The totals of a day: what is kept of them, and what that costs.

use std::time::Duration;

use crate::Database;

const HOUR: Duration = Duration::from_secs(3_600);

#[tokio::test]
async fn a_day_of_snapshots_is_kept_and_the_first_of_an_hour_counts() {
    let database = Database::new().await;
    let (histories, key) = (&database.tables.histories, &database.connection);
    assert_eq!(histories.of(key, database.clock.now()).await.unwrap(), []);
    let began = database.clock.now();
    for hour in 0..60 {
        let now = began + HOUR * hour;
        histories.note(key, now + Duration::from_secs(40), &[u64::from(hour), 7]).await.unwrap();
        histories.note(key, now + Duration::from_secs(100), &[1_000, 1_000]).await.unwrap();
    }
    let now = began + HOUR * 59 + Duration::from_secs(200);
    let kept = histories.of(key, now).await.unwrap();
    assert_eq!(kept.iter().map(|snapshot| snapshot.total(0)).collect::<Vec<_>>(), (35..60).collect::<Vec<u64>>());
    assert!(kept.iter().all(|snapshot| snapshot.total(1) == 7 && snapshot.total(2) == 0), "{kept:?}");
    assert_eq!((kept[0].hour, kept[24].hour), (began + HOUR * 35, began + HOUR * 59));

    let [(_, _, item)] = &database.entries("history").await[..] else { panic!("one item") };
    let bytes: usize = item.iter().map(|(name, value)| name.len() + format!("{value:?}").len()).sum();
    assert!(bytes < 1_024, "a snapshot costs one write: {bytes}");
}

#[tokio::test]
async fn what_is_older_than_a_day_is_not_told_however_long_nothing_was_noted() {
    let database = Database::new().await;
    let (histories, key) = (&database.tables.histories, &database.connection);
    let began = database.clock.now();
    for hour in [0, 1, 2, 20] {
        histories.note(key, began + HOUR * hour, &[u64::from(hour)]).await.unwrap();
    }
    let totals = async |hour: u32| {
        let kept = histories.of(key, began + HOUR * hour).await.unwrap();
        kept.iter().map(|snapshot| snapshot.total(0)).collect::<Vec<_>>()
    };
    assert_eq!(totals(20).await, [0, 1, 2, 20]);
    assert_eq!(totals(26).await, [2, 20]);
    assert!(totals(45).await.is_empty());
    // A clock that is behind takes nothing back.
    histories.note(key, began + HOUR * 19, &[1_000]).await.unwrap();
    assert_eq!(totals(20).await, [0, 1, 2, 20]);
}
