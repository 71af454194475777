//! A connection with a pace, a slow source, and workers: in steps of a tenth of a second.

use std::collections::VecDeque;

use proptest::prelude::*;
use store::ChunkState;

use super::*;
use crate::send_window::{FIRST, MOST, SendWindow};

const STEP: Duration = Duration::from_millis(100);
/// How long a worker works on one chunk, and how long it holds it.
const WORK_FOR: Duration = Duration::from_secs(45);
const LEASE: Duration = Duration::from_secs(60);

#[derive(Clone, Copy)]
enum Doing {
    Nothing,
    WaitingForSlot { slot: Timestamp, deadline: Timestamp },
    Asking { answered_at: Timestamp, deadline: Timestamp },
}

#[derive(Debug, Default)]
struct Figures {
    requests: usize,
    cut_off: usize,
    longest_wait: Duration,
    most_at_once: usize,
    seconds: f64,
}

/// Works on `chunks` at a pace of `per_second`; each answer takes `latency`.
fn work(per_second: f64, latency: Duration, chunks: u32, workers: usize) -> Figures {
    let began = Timestamp::UNIX_EPOCH;
    let interval = Duration::from_secs_f64(1.0 / per_second);
    let chunk = |chunk| ChunkState { chunk, due_at: began, leased: false, attempts: 0, unverified: false };
    let mut ledger: Vec<(ChunkState, Doing)> = (0..chunks).map(|number| (chunk(number), Doing::Nothing)).collect();
    let (mut messages, mut window, mut figures) = (VecDeque::new(), SendWindow::default(), Figures::default());
    let (mut now, mut next_slot, mut next_look) = (began, began, began);
    while !ledger.is_empty() {
        for (chunk, doing) in &mut ledger {
            match *doing {
                Doing::WaitingForSlot { slot, deadline } if slot <= now => {
                    figures.requests += 1;
                    *doing = Doing::Asking { answered_at: now + latency, deadline };
                }
                Doing::Asking { deadline, .. } if deadline <= now => {
                    figures.cut_off += 1;
                    (chunk.leased, chunk.due_at, *doing) = (false, now, Doing::Nothing);
                }
                _ => {}
            }
        }
        ledger.retain(|(_, doing)| !matches!(doing, Doing::Asking { answered_at, .. } if *answered_at <= now));
        if next_look <= now {
            let front: Vec<ChunkState> = ledger.iter().take(100).map(|(chunk, _)| *chunk).collect();
            let look = window.look(1, &front, now, FIRST, Duration::from_secs(1));
            messages.extend(look.send);
            next_look = now + look.again_after;
        }
        let mut busy = ledger.iter().filter(|(_, doing)| !matches!(doing, Doing::Nothing)).count();
        while busy < workers
            && let Some(number) = messages.pop_front()
        {
            let found = ledger.iter_mut().find(|(chunk, _)| chunk.chunk == number && !chunk.leased);
            let Some((chunk, doing)) = found else { continue };
            let deadline = now + WORK_FOR;
            let latest = latest_slot(now, deadline).unwrap();
            let slot = next_slot.max(now);
            if slot < latest {
                figures.longest_wait = figures.longest_wait.max(Duration::try_from(slot.duration_since(now)).unwrap());
                next_slot = slot + interval;
                (chunk.leased, chunk.due_at) = (true, now + LEASE);
                chunk.attempts += 1;
                *doing = Doing::WaitingForSlot { slot, deadline };
                busy += 1;
            } else {
                chunk.due_at = come_back_at(now, next_slot);
            }
        }
        figures.most_at_once = figures.most_at_once.max(busy);
        now += STEP;
        assert!(now < began + Duration::from_secs(100_000), "it never ends: {figures:?}");
    }
    figures.seconds = now.duration_since(began).as_secs_f64();
    figures
}

/// The case that made 845 requests of 400, and cut 301 of them off.
#[test]
fn answers_in_fifteen_seconds_at_a_pace_of_one_a_second_are_never_cut_off_and_never_asked_for_twice() {
    let figures = work(1.0, Duration::from_secs(15), 400, 200);
    assert_eq!((figures.requests, figures.cut_off), (400, 0));
    assert!(figures.seconds < 500.0, "415 s would be ideal: {figures:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Invariants 7 and 9: whatever pace and source, our own deadline never throws an answer away, no worker waits long
    /// for a slot, and the pace is used.
    #[test]
    fn no_answer_is_thrown_away_for_our_own_haste(
        per_second in prop_oneof![0.1..1.0, 1.0..10.0_f64],
        latency in 0..24_000_u64,
        chunks in 1..150_u32,
        workers in 20..100_usize,
    ) {
        let latency = Duration::from_millis(latency);
        let figures = work(per_second, latency, chunks, workers);
        prop_assert_eq!((figures.requests, figures.cut_off), (chunks as usize, 0));
        prop_assert!(figures.longest_wait <= LONGEST_WAIT, "{:?}", figures);
        prop_assert!(figures.most_at_once <= MOST);
        let at_once = workers.min(MOST) as f64;
        let ideal = f64::from(chunks) * (1.0 / per_second).max(latency.as_secs_f64() / at_once) + latency.as_secs_f64();
        // The window opens with the answers: 4, 8, 16, 20 at once.
        prop_assert!(figures.seconds <= 1.2 * ideal + 5.0 * latency.as_secs_f64() + 15.0, "{:?}, ideal {}", figures, ideal);
    }
}
