use std::collections::{BTreeSet, VecDeque};

use proptest::prelude::*;

use super::*;

const WATCH_EVERY: Duration = Duration::from_secs(1);
const LEASE: Duration = Duration::from_secs(60);
/// As many chunks as a look at the ledger returns.
const FRONT: usize = 100;

/// The ledger, the messages and the workers of one connection.
struct Connection {
    now: Timestamp,
    ledger: BTreeMap<u32, ChunkState>,
    messages: VecDeque<u32>,
    leased: Vec<u32>,
    sent: usize,
    window: SendWindow,
}

/// What may happen next.
#[derive(Clone, Debug)]
enum Event {
    Look,
    /// A worker takes the first message.
    Take,
    /// A worker is done with its chunk.
    Settle(usize),
    /// A worker gives its chunk back for so many seconds: it only waited, or it failed.
    GiveBack(usize, u64, bool),
    /// A worker dies with its lease.
    Die(usize),
    LoseMessage,
    /// Another process polls from now on.
    NewPoller,
    Pass(u64),
}

impl Connection {
    fn with_chunks(chunks: u32) -> Self {
        let now = Timestamp::UNIX_EPOCH;
        let chunk = |chunk| ChunkState { chunk, due_at: now, leased: false, attempts: 0, unverified: false };
        Self {
            now,
            ledger: (0..chunks).map(|number| (number, chunk(number))).collect(),
            messages: VecDeque::new(),
            leased: Vec::new(),
            sent: 0,
            window: SendWindow::default(),
        }
    }

    fn look(&mut self) -> Look {
        let front: Vec<ChunkState> = self.ledger.values().take(FRONT).copied().collect();
        let look = self.window.look(7, &front, self.now, FIRST, WATCH_EVERY);
        self.sent += look.send.len();
        self.messages.extend(&look.send);
        look
    }

    fn take(&mut self) {
        let Some(number) = self.messages.pop_front() else { return };
        let now = self.now;
        let Some(chunk) = self.ledger.get_mut(&number).filter(|chunk| !chunk.leased || chunk.due_at <= now) else {
            return;
        };
        chunk.due_at = now + LEASE;
        chunk.leased = true;
        chunk.attempts += 1;
        self.leased.retain(|other| *other != number);
        self.leased.push(number);
    }

    fn taken(&mut self, which: usize) -> Option<u32> {
        (!self.leased.is_empty()).then(|| self.leased.remove(which % self.leased.len()))
    }

    fn happens(&mut self, event: Event) {
        match event {
            Event::Look => drop(self.look()),
            Event::Take => self.take(),
            Event::Settle(which) => {
                if let Some(number) = self.taken(which) {
                    self.ledger.remove(&number);
                }
            }
            Event::GiveBack(which, seconds, failed) => {
                if let Some(number) = self.taken(which)
                    && let Some(chunk) = self.ledger.get_mut(&number)
                {
                    chunk.leased = false;
                    chunk.due_at = self.now + Duration::from_secs(seconds);
                    chunk.attempts -= u64::from(!failed);
                }
            }
            Event::Die(which) => drop(self.taken(which)),
            Event::LoseMessage => drop(self.messages.pop_front()),
            Event::NewPoller => self.window = SendWindow::default(),
            Event::Pass(milliseconds) => self.now += Duration::from_millis(milliseconds),
        }
    }

    /// Chunks that a worker or a message has.
    fn under_way(&self) -> usize {
        let held = self.ledger.values().filter(|chunk| chunk.leased && chunk.due_at > self.now);
        let told = self.messages.iter().copied().filter(|chunk| self.ledger.contains_key(chunk));
        held.map(|chunk| chunk.chunk).chain(told).collect::<BTreeSet<u32>>().len()
    }

    /// From now on nothing fails. Returns the seconds until all is done.
    fn finish(&mut self) -> u64 {
        let began = self.now;
        while !self.ledger.is_empty() {
            let look = self.look();
            while !self.messages.is_empty() {
                self.take();
            }
            while let Some(number) = self.taken(0) {
                self.ledger.remove(&number);
            }
            self.now += look.again_after;
            assert!(self.now < began + Duration::from_secs(3_600), "{} chunks are never sent", self.ledger.len());
        }
        self.now.duration_since(began).as_secs().unsigned_abs()
    }
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => Just(Event::Look),
        12 => Just(Event::Take),
        8 => (0..50_usize).prop_map(Event::Settle),
        2 => (0..50_usize, 0..20_u64, any::<bool>()).prop_map(|(which, pause, fails)| Event::GiveBack(which, pause, fails)),
        1 => (0..50_usize).prop_map(Event::Die),
        1 => Just(Event::LoseMessage),
        1 => Just(Event::NewPoller),
        4 => (0..5_000_u64).prop_map(Event::Pass),
    ]
}

proptest! {
    /// Invariants 7 and 9: one connection never has more than its share under way, and gets through all the same.
    #[test]
    fn no_more_than_the_window_is_under_way_and_every_chunk_is_sent_in_the_end(
        chunks in 1..400_u32,
        events in prop::collection::vec(event(), 0..300),
    ) {
        let mut connection = Connection::with_chunks(chunks);
        let mut pollers = 1;
        for event in events {
            pollers += usize::from(matches!(event, Event::NewPoller));
            connection.happens(event);
            let under_way = connection.under_way();
            // A new poller does not know which messages still wait, and may send so many beside them.
            prop_assert!(under_way <= MOST + (pollers - 1) * FIRST.max(MOST / 2), "{under_way} under way");
        }
        let seconds = connection.finish();
        // A lease that runs out, a message that was lost again and again, and a second for each of the windows.
        prop_assert!(seconds <= 400, "{seconds} s");
    }
}

#[test]
fn a_source_that_has_not_answered_yet_has_few_chunks_under_way_and_one_that_answers_many() {
    let mut connection = Connection::with_chunks(1_000);
    assert_eq!(connection.look().send, [0, 1, 2, 3]);
    let mut most = 0;
    for _ in 0..10 {
        while !connection.messages.is_empty() {
            connection.take();
        }
        while let Some(number) = connection.taken(0) {
            connection.ledger.remove(&number);
        }
        let look = connection.look();
        most = most.max(look.send.len());
        assert!(look.again_after <= SOON, "there is more to send");
    }
    assert_eq!(most, MOST);
}

#[test]
fn the_end_of_a_batch_is_soon_seen_and_one_that_stands_still_is_seldom_looked_at() {
    let mut connection = Connection::with_chunks(FIRST as u32);
    assert_eq!(connection.look().again_after, SOON, "the last chunks were sent and may soon be done");
    let mut looks = 0;
    while connection.now < Timestamp::UNIX_EPOCH + Duration::from_secs(15) {
        let look = connection.look();
        connection.now += look.again_after;
        looks += 1;
    }
    assert!(looks <= 20, "{looks} looks in 15 s at chunks on which workers are slow");
}

#[test]
fn a_source_that_fails_keeps_two_chunks_under_way_and_one_that_only_waits_for_its_slot_all() {
    for (fails, expected) in [(true, LEAST), (false, FIRST)] {
        let mut connection = Connection::with_chunks(100);
        for _ in 0..5 {
            connection.look();
            while !connection.messages.is_empty() {
                connection.take();
            }
            while !connection.leased.is_empty() {
                connection.happens(Event::GiveBack(0, 3, fails));
            }
            connection.now += Duration::from_secs(4);
        }
        assert_eq!(connection.look().send.len(), expected, "fails: {fails}");
    }
}

#[test]
fn a_chunk_whose_message_waits_is_sent_again_ever_more_seldom() {
    let mut connection = Connection::with_chunks(FIRST as u32);
    for _ in 0..3_600 {
        connection.look();
        connection.now += WATCH_EVERY;
    }
    assert!((2 * FIRST..=15 * FIRST).contains(&connection.sent), "{} messages in an hour", connection.sent);
}

#[test]
fn who_waits_for_another_customers_sake_takes_nobodys_place() {
    let mut connection = Connection::with_chunks(50);
    let later = connection.now + Duration::from_secs(10);
    for chunk in connection.ledger.values_mut().take(45) {
        (chunk.unverified, chunk.due_at) = (true, later);
    }
    assert_eq!(connection.look().send, [45, 46, 47, 48]);
}
