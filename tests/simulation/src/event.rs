//! What happens in a world, drawn by the seed.

use std::time::Duration;

use local_aws::Mishap;
use simulators::{association_anywhere as aa, business_catalyst as bc};

use crate::transport::Distortion;
use crate::weather::Trouble;
use crate::world::DestinationFault;

/// How many customers each source has at first.
pub const CUSTOMERS: u64 = 12;
/// The id of the first.
pub const FIRST: u64 = 1001;
/// How many more there are in a world with a crowd, and the id of their first: at the first and the last of [`POLLED`].
pub const CROWD: u64 = 64;
/// See [`CROWD`].
pub const CROWD_FIRST: u64 = 2001;
/// How many more customers `globex` has in a world in which it floods, from [`CROWD_FIRST`] on.
pub const FLOOD: u64 = 80;
/// How many people are pushed, and how many codes are imported.
pub const PUSHED: u64 = 6;
/// How many processes there are.
pub const PROCESSES: usize = 2;
/// The polled connections.
pub const POLLED: [(&str, &str); 3] = [("acme", "aa"), ("globex", "members"), ("acme", "bc")];

/// The destinations, in the worlds that have some.
pub const DESTINATIONS: [(&str, &str); 4] =
    [("acme", "site"), ("acme", "loyalty"), ("acme", "hook"), ("globex", "hook2")];

/// Something that happens at a time.
#[derive(Clone, Debug)]
pub struct Event {
    /// When, after the beginning.
    pub at: Duration,
    /// What.
    pub what: What,
}

/// Something that happens. `usize` is the index of a connection in [`POLLED`], of which the first two are Association
/// Anywhere, or of a process.
#[derive(Clone, Debug)]
pub enum What {
    /// A customer of Association Anywhere changes.
    AaChange(usize, u64),
    /// One is deleted.
    AaDelete(usize, u64),
    /// One is created, or comes back.
    AaCreate(usize, u64),
    /// Every customer is reported.
    AaAllDirty(usize),
    /// The environment is built anew: its queue is numbered from below, and holds every customer.
    AaRebuild(usize),
    /// A text that is no id stands in the queue.
    AaGarbage(usize, &'static str),
    /// An answer about this customer can't be read, or names it wrongly.
    AaPoison(usize, u64, aa::Poison),
    /// It can be read again.
    AaHeal(usize, u64),
    /// The next answers of a procedure go wrong.
    AaFault(usize, aa::Procedure, aa::Fault, u32),
    /// An answer holds at most so many customers, for some seconds.
    AaCap(usize, usize, u64),
    /// The queue writes ids with zeros before them, for some seconds.
    AaZeros(usize, u64),
    /// Nothing that is asked is answered, for some seconds.
    AaHangs(usize, u64),
    /// Two customers get the e-mail addresses of each other.
    AaSwap(usize, u64, u64),
    /// A contact of Business Catalyst changes.
    BcChange(u64),
    /// Its date changes alone.
    BcTouch(u64),
    /// It is deleted.
    BcDelete(u64),
    /// It is created, or comes back.
    BcCreate(u64),
    /// It changes while a listing stands at this contact.
    BcMoves(u64, u64),
    /// It changes right before a page is made, after so many other pages: those behind it move up.
    BcShifts(u64, u64),
    /// Every contact changes in the same second.
    BcAllAtOnce,
    /// A page holds so many contacts, for some seconds.
    BcPages(usize, u64),
    /// A page that holds it can't be read, or holds it wrongly.
    BcPoison(u64, bc::Poison),
    /// It can be read again.
    BcHeal(u64),
    /// The next answers go wrong.
    BcFault(bc::Fault, u32),
    /// The clock of the source is off by so many seconds, for some seconds.
    BcClock(i64, u64),
    /// A Connector pushes a person, perhaps twice at once.
    Push(u64, bool),
    /// An importer sends rows from this code on; `true` writes every field.
    Import(u64, u64, bool),
    /// An operator undoes one of the latest imports.
    Undo(usize),
    /// An operator asks for everything once more.
    Resync(usize),
    /// An operator has the failures fetched again.
    Redrive(usize),
    /// An operator pauses a connection for some seconds.
    Pause(usize, u64),
    /// An operator applies the file, with chunks of another size.
    Apply(u64),
    /// The password is changed at the source, and a while later in its secret.
    RotateSecret(usize, u64),
    /// The secret of a source is broken off, or removed, for some seconds, and no process has it any more.
    BreakSecret(usize, bool, u64),
    /// An operator applies a file with the wrong time zone, and the right one some seconds later.
    WrongZone(u64),
    /// So many of the crowd of a connection are deleted at once, and told of as such.
    CrowdGoes(usize, u64),
    /// All of them come back.
    CrowdComes(usize),
    /// All customers are told, in chunks of two, and each of the next answers about them takes so many seconds: what is
    /// told meanwhile overtakes them.
    AaBackfill(usize, u64),
    /// An operator confirms the deletions that wait.
    Confirm(usize),
    /// A listing ends after so many contacts, for some seconds, and says that there are no more.
    BcCap(usize, u64),
    /// An operator does something for a connection from a machine that dies at the call with this number.
    OperatorActs(OperatorAct, usize, u32),
    /// The clock of the operator is off by so many minutes.
    OperatorClock(i64),
    /// A minute passes without its tick.
    MissTick,
    /// A minute has two.
    DoubleTick,
    /// A process dies.
    Kill(usize),
    /// A call to AWS or to a source meets trouble, after so many that could have met it.
    Meet(Trouble, u32),
    /// A call to AWS meets trouble, and again as often as it is repeated, so many times in all.
    Burst(Trouble, u32, u32),
    /// The next answers of a source, by its index in [`POLLED`], come differently.
    Distort(usize, Distortion, usize),
    /// Calls are slow for some seconds.
    Slow(u64),
    /// The messages of a queue are lost.
    Lost(&'static str),
    /// They come twice.
    Doubled(&'static str),
    /// They come some seconds later.
    Late(&'static str, u64),
    /// The next messages that are sent to a queue meet these.
    Messages(&'static str, Vec<Mishap>),
    /// The next messages can't be sent.
    SendsFail(u32),
    /// The clock of a process is off by so many milliseconds from its next start on.
    ClockOff(usize, i64),
    /// What the ledger says of the last batch of a connection is lost, as after a restore.
    LoseLedger(usize),
    /// The tables are saved as they are.
    SaveTables,
    /// An operator stops the polls, copies the saved tables back, and has every polled connection resynced.
    RestoreTables,
    /// An importer sends one of the latest imports once more, as it was.
    ImportAgain(usize),
    /// A person of a polled connection asks to be forgotten.
    Erase(usize, u64),
    /// The next requests to a destination, by its index in [`DESTINATIONS`], go wrong.
    DestinationMeets(usize, DestinationFault, u32),
    /// A destination does not take a customer.
    DestinationRefuses(usize, u64),
    /// An operator pauses a destination, or has it go on.
    DestinationPaused(usize),
    /// An operator has everybody sent to it again.
    DestinationResync(usize),
    /// An operator has its failures sent again.
    DestinationRedrive(usize),
}

/// What an operator does while everything else goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperatorAct {
    /// Has everything asked for once more.
    Resync,
    /// Has failures fetched again.
    Redrive,
    /// Applies the file.
    Apply,
    /// Pauses the connection, and has it go on.
    Pause,
    /// Erases a customer.
    Erase(u64),
    /// Undoes one of the latest imports.
    Undo(usize),
}

impl What {
    /// What kind of event it is.
    pub fn name(&self) -> String {
        let text = format!("{self:?}");
        text.split('(').next().unwrap_or_default().to_owned()
    }

    /// Whether it is trouble of `globex` alone, or none.
    fn spares_acme(&self) -> bool {
        match self {
            Self::AaChange(..) | Self::AaDelete(..) | Self::AaCreate(..) => true,
            Self::BcChange(_) | Self::BcTouch(_) | Self::BcDelete(_) | Self::BcCreate(_) => true,
            Self::Push(..) | Self::Import(..) | Self::ImportAgain(_) | Self::Undo(_) => true,
            Self::AaAllDirty(of)
            | Self::AaRebuild(of)
            | Self::AaGarbage(of, _)
            | Self::AaPoison(of, ..)
            | Self::AaHeal(of, _)
            | Self::AaFault(of, ..)
            | Self::AaCap(of, ..)
            | Self::LoseLedger(of)
            | Self::Resync(of)
            | Self::Redrive(of)
            | Self::Pause(of, _)
            | Self::RotateSecret(of, _) => *of == FLOODING,
            _ => false,
        }
    }
}

/// One event in so many is a rare one.
const RARE: usize = 50;

/// The queues that functions are triggered by.
pub const QUEUES: [&str; 4] = ["QueuePolls", "ContactPolls", "WorkQueue", "ContactsQueue"];
const GARBAGE: [&str; 5] = ["", "12a", "-7", "99999999999999999999999", " "];

/// The events of a seed, in the order of their times.
pub fn draw(seed: u64, count: usize) -> Vec<Event> {
    let random = &mut fastrand::Rng::with_seed(seed ^ 0x5eed_0fe7_e775);
    // Some worlds are busier than others.
    let most_pause = [500, 1_500, 3_000][random.usize(0..3)];
    let mut at = Duration::ZERO;
    let mut draw_one = || {
        at += Duration::from_millis(random.u64(0..most_pause));
        Event { at, what: what(random) }
    };
    (0..count).map(|_| draw_one()).collect()
}

/// The same events with others among them, one to so many. They are drawn by themselves: a seed has the same events
/// without them.
fn with_some(
    seed: u64,
    events: Vec<Event>,
    one_in: usize,
    mut draw: impl FnMut(&mut fastrand::Rng) -> What,
) -> Vec<Event> {
    let random = &mut fastrand::Rng::with_seed(seed);
    let mut all = Vec::with_capacity(events.len() + events.len() / one_in);
    for event in events {
        if random.usize(0..one_in) == 0 {
            all.push(Event { at: event.at, what: draw(random) });
        }
        all.push(event);
    }
    all
}

/// The same events with rare ones among them.
pub fn with_rare(seed: u64, events: Vec<Event>) -> Vec<Event> {
    with_some(seed ^ 0x7a7e, events, RARE, rare)
}

/// One event in so many is an erasure, in the worlds that have some.
const ERASURES: usize = 80;

/// The same events with some erasures among them, in every fourth world.
pub fn with_erasures(seed: u64, events: Vec<Event>) -> Vec<Event> {
    if seed % 4 != 1 {
        return events;
    }
    with_some(seed ^ 0xe7a5e, events, ERASURES, |random| {
        What::Erase(random.usize(0..POLLED.len()), FIRST + random.u64(0..CUSTOMERS))
    })
}

/// One event in so many is of a kind that was thought of later.
const MORE: usize = 12;

/// The same events as they take more effect, and more kinds among them.
pub fn with_more(seed: u64, mut events: Vec<Event>) -> Vec<Event> {
    for Event { what, .. } in &mut events {
        match what {
            What::BcMoves(id, page) => *what = What::BcShifts(*id, *page + 1),
            What::AaPoison(_, _, aa::Poison::HugeText(length)) | What::BcPoison(_, bc::Poison::HugeText(length)) => {
                *length = LARGE;
            }
            _ => {}
        }
    }
    // Who is erased, and what a destination has, is looked for by address.
    let may_swap = seed % 4 != 1 && !has_destinations(seed);
    with_some(seed ^ 0x3a7_41f, events, MORE, |random| more(random, may_swap))
}

fn more(random: &mut fastrand::Rng, may_swap: bool) -> What {
    let aa = random.usize(0..2);
    let id = FIRST + random.u64(0..CUSTOMERS + 2);
    let other = FIRST + random.u64(0..CUSTOMERS + 2);
    let polled = random.usize(0..POLLED.len());
    let times = random.u32(1..4);
    match random.u8(0..100) {
        0..20 => What::Messages(QUEUES[random.usize(0..QUEUES.len())], mishaps(random)),
        20..32 => What::Burst(BURSTS[random.usize(0..BURSTS.len())], random.u32(0..30), random.u32(3..7)),
        32..55 => What::Distort(polled, Distortion::ALL[random.usize(0..Distortion::ALL.len())], times as usize),
        55..60 => What::AaFault(aa, aa::Procedure::ALL[random.usize(0..3)], aa::Fault::Status(busy(random)), times),
        60..63 => What::BcFault(bc::Fault::Status(busy(random)), times),
        63 => What::AaHangs(aa, random.u64(20..200)),
        64..70 => What::AaZeros(aa, random.u64(5..60)),
        70..78 if may_swap => What::AaSwap(aa, id, other),
        70..85 => What::BcPages(random.usize(1..5), random.u64(10..90)),
        85..91 => What::BcAllAtOnce,
        91..94 => What::WrongZone(random.u64(5..90)),
        _ => What::BreakSecret(polled, random.bool(), random.u64(1..60)),
    }
}

/// One event in so many concerns the crowd, in the worlds that have one.
const OF_CROWD: usize = 25;

/// Whether the world of a seed has a crowd: more customers than may be deleted at once.
pub fn has_crowd(seed: u64) -> bool {
    seed % 16 == 10
}

/// The same events with some of the crowd among them.
pub fn with_crowd(seed: u64, events: Vec<Event>) -> Vec<Event> {
    with_some(seed ^ 0xc20d, events, OF_CROWD, |random| {
        let connection = [0, 2][random.usize(0..2)];
        match random.u8(0..10) {
            0..4 => What::CrowdGoes(connection, random.u64(40..=CROWD)),
            4..6 => What::CrowdComes(connection),
            6 => What::Confirm(connection),
            _ => What::BcCap(random.usize(20..40), random.u64(5..90)),
        }
    })
}

/// One event in so many begins a backfill, in the worlds that have some.
const OF_BACKFILL: usize = 100;

/// Whether the world of a seed has backfills. It has a crowd as well, or there would be too few customers.
pub fn has_backfills(seed: u64) -> bool {
    seed % 32 == 10
}

/// The same events with a backfill before them, and some among them.
pub fn with_backfills(seed: u64, mut events: Vec<Event>) -> Vec<Event> {
    let backfill = |random: &mut fastrand::Rng| What::AaBackfill(0, random.u64(15..25));
    events.insert(0, Event { at: Duration::ZERO, what: backfill(&mut fastrand::Rng::with_seed(seed)) });
    with_some(seed ^ 0xbacf, events, OF_BACKFILL, backfill)
}

/// One event in so many begins a flood, in the worlds that have some.
const OF_FLOOD: usize = 40;
/// The connection of `globex`, by its index in [`POLLED`].
const FLOODING: usize = 1;

/// Whether in the world of a seed `globex` alone floods, hangs and answers badly, and `acme` must not suffer from it.
pub fn has_floods(seed: u64) -> bool {
    seed % 64 == 22
}

/// So many events of trouble that is of `globex` alone, and of what happens to customers every day.
pub fn of_neighbours(seed: u64, count: usize) -> Vec<Event> {
    let mut events = draw(seed, 3 * count);
    events.retain(|event| event.what.spares_acme());
    events.truncate(count);
    events.iter_mut().for_each(|event| event.at /= 2);
    with_some(seed ^ 0xf100d, events, OF_FLOOD, |random| match random.u8(0..3) {
        0 => What::AaHangs(FLOODING, random.u64(20..200)),
        1 => What::Resync(FLOODING),
        _ => What::AaBackfill(FLOODING, random.u64(0..25)),
    })
}

/// One event in so many is of an operator who is not alone.
const OF_OPERATOR: usize = 40;

/// The same events with some of an operator among them, whose machine may die, and whose clock may be wrong.
pub fn with_operator(seed: u64, events: Vec<Event>) -> Vec<Event> {
    with_some(seed ^ 0x09e2, events, OF_OPERATOR, |random| of_operator(random, seed % 4 == 1))
}

fn of_operator(random: &mut fastrand::Rng, erases: bool) -> What {
    let polled = random.usize(0..POLLED.len());
    let act = match random.u8(0..8) {
        0 => OperatorAct::Resync,
        1 => OperatorAct::Redrive,
        2 => OperatorAct::Apply,
        3 if erases => OperatorAct::Erase(FIRST + random.u64(0..CUSTOMERS)),
        4..6 => OperatorAct::Undo(random.usize(0..3)),
        _ => OperatorAct::Pause,
    };
    match random.u8(0..5) {
        0 => What::OperatorClock(random.i64(-9..10)),
        _ => What::OperatorActs(act, polled, random.u32(1..20)),
    }
}

/// What the SDK repeats, and what a product must bear if that is no help.
const BURSTS: [Trouble; 3] = [Trouble::Throttled, Trouble::ServerError, Trouble::SecretUnreadable];

/// A status that says *later*, and not when.
fn busy(random: &mut fastrand::Rng) -> u16 {
    [429, 408][random.usize(0..2)]
}

fn mishaps(random: &mut fastrand::Rng) -> Vec<Mishap> {
    let seconds = |random: &mut fastrand::Rng, most| Duration::from_secs(random.u64(1..most));
    match random.u8(0..4) {
        0 => vec![Mishap::Lost; random.usize(1..6)],
        1 => (0..random.usize(1..6)).map(|_| Mishap::Doubled(seconds(random, 60))).collect(),
        2 => vec![Mishap::Late(seconds(random, 120)); random.usize(1..4)],
        _ => (0..random.usize(3..12)).map(|_| Mishap::Overtaken(seconds(random, 31))).collect(),
    }
}

/// One event in so many concerns a destination, in the worlds that have some.
const OF_DESTINATIONS: usize = 12;

/// Whether the world of a seed has destinations: they cost time.
pub fn has_destinations(seed: u64) -> bool {
    seed % 8 == 3
}

/// The same events with some of destinations among them.
pub fn with_destinations(seed: u64, events: Vec<Event>) -> Vec<Event> {
    with_some(seed ^ 0xde57, events, OF_DESTINATIONS, of_destination)
}

fn of_destination(random: &mut fastrand::Rng) -> What {
    let destination = random.usize(0..DESTINATIONS.len());
    let fault = DestinationFault::ALL[random.usize(0..DestinationFault::ALL.len())];
    match random.u8(0..20) {
        0..9 => What::DestinationMeets(destination, fault, random.u32(1..4)),
        9..12 => What::DestinationRefuses(destination, FIRST + random.u64(0..CUSTOMERS)),
        12..14 => What::DestinationPaused(destination),
        14..16 => What::DestinationResync(destination),
        16..18 => What::DestinationRedrive(destination),
        18 => What::Lost(PUSHES),
        _ => What::Late(PUSHES, random.u64(1..120)),
    }
}

/// The queue of requests to look at destinations.
const PUSHES: &str = "PushRequests";

fn rare(random: &mut fastrand::Rng) -> What {
    let aa = random.usize(0..2);
    let id = FIRST + random.u64(0..CUSTOMERS + 2);
    match random.u8(0..24) {
        0..3 => What::SaveTables,
        // With everything resynced it hides what was lost before: so there are few.
        3 => What::RestoreTables,
        4..10 => What::ImportAgain(random.usize(0..3)),
        // No item holds it.
        10..17 => What::AaPoison(aa, id, aa::Poison::HugeText(HUGE)),
        _ => What::BcPoison(id, bc::Poison::HugeText(HUGE)),
    }
}

/// How many bytes are more than a parser takes in one text.
const HUGE: usize = 2 * 1024 * 1024;
/// How many bytes a parser takes, and DynamoDB does not take in one item.
const LARGE: usize = 450_000;

#[rustfmt::skip]
fn what(random: &mut fastrand::Rng) -> What {
    let aa = random.usize(0..2);
    let id = FIRST + random.u64(0..CUSTOMERS + 2);
    let polled = random.usize(0..POLLED.len());
    let queue = QUEUES[random.usize(0..QUEUES.len())];
    match random.u32(0..1000) {
        0..160 => What::AaChange(aa, id),
        160..200 => What::AaDelete(aa, id),
        200..240 => What::AaCreate(aa, id),
        240..250 => What::AaAllDirty(aa),
        250..260 => What::AaRebuild(aa),
        260..270 => What::AaGarbage(aa, GARBAGE[random.usize(0..GARBAGE.len())]),
        270..285 => What::AaPoison(aa, id, aa_poison(random)),
        285..300 => What::AaHeal(aa, id),
        300..370 => What::AaFault(aa, aa::Procedure::ALL[random.usize(0..4)], aa_fault(random), random.u32(1..4)),
        370..385 => What::AaCap(aa, random.usize(1..5), random.u64(1..30)),
        385..455 => What::BcChange(id),
        455..475 => What::BcTouch(id),
        475..495 => What::BcDelete(id),
        495..515 => What::BcCreate(id),
        515..535 => What::BcMoves(id, random.u64(0..3)),
        535..545 => What::BcPoison(id, bc_poison(random)),
        545..555 => What::BcHeal(id),
        555..595 => What::BcFault(bc_fault(random), random.u32(1..4)),
        595..600 => What::BcClock([-600, 600, 2_207_520_000][random.usize(0..3)], random.u64(5..60)),
        600..670 => What::Push(random.u64(0..PUSHED), random.u8(0..4) == 0),
        670..710 => What::Import(random.u64(0..PUSHED), random.u64(1..4), random.bool()),
        710..720 => What::Undo(random.usize(0..3)),
        720..730 => What::Resync(polled),
        730..740 => What::Redrive(polled),
        740..750 => What::Pause(polled, random.u64(5..60)),
        750..755 => What::Apply(random.u64(2..8)),
        755..765 => What::RotateSecret(random.usize(0..3), random.u64(1..40)),
        765..775 => What::MissTick,
        775..785 => What::DoubleTick,
        785..795 => What::Kill(random.usize(0..PROCESSES)),
        795..930 => What::Meet(Trouble::ALL[random.usize(0..Trouble::ALL.len())], random.u32(0..30)),
        930..935 => What::Slow(random.u64(1..10)),
        935..945 => What::Lost(queue),
        945..960 => What::Doubled(queue),
        960..970 => What::Late(queue, random.u64(1..120)),
        970..980 => What::SendsFail(random.u32(1..6)),
        980..990 => What::ClockOff(random.usize(0..PROCESSES), random.i64(-1_000..1_000)),
        _ => What::LoseLedger(random.usize(0..2)),
    }
}

fn aa_poison(random: &mut fastrand::Rng) -> aa::Poison {
    use aa::Poison::{BrokenXml, ErrorElement, NoCustId, ServerError, TooDeep};
    [NoCustId, BrokenXml, ServerError, ErrorElement, TooDeep][random.usize(0..5)]
}

fn aa_fault(random: &mut fastrand::Rng) -> aa::Fault {
    use aa::{AaFault, Fault};
    match random.u8(0..14) {
        0 => Fault::Delay(Duration::from_millis(random.u64(100..30_000))),
        1 => Fault::Delay(Duration::from_secs(100)),
        2 => Fault::Status([500, 502, 503, 404, 403][random.usize(0..5)]),
        3 => Fault::RetryAfter { status: [429, 503][random.usize(0..2)], seconds: random.u32(0..20) },
        4 => Fault::CutBody,
        5 => AaFault::ErrorDocument("ORA-01555: snapshot too old".to_owned()).into(),
        6 => AaFault::FailureStatus("no rows".to_owned()).into(),
        7 => AaFault::Empty.into(),
        8 => Fault::Malformed,
        9 => Fault::NotXml,
        10 => Fault::Doctype,
        11 => AaFault::Duplicates.into(),
        12 => AaFault::WrongDialect.into(),
        _ => Fault::WrongCredentials,
    }
}

fn bc_poison(random: &mut fastrand::Rng) -> bc::Poison {
    use bc::Poison::{BadDate, BrokenXml, Date, NoEntityId, TooDeep, UnknownEntity};
    [NoEntityId, BadDate, Date("2096-01-01T00:00:00"), UnknownEntity, BrokenXml, TooDeep][random.usize(0..6)]
}

fn bc_fault(random: &mut fastrand::Rng) -> bc::Fault {
    use bc::{BcFault, Fault};
    match random.u8(0..14) {
        0 => Fault::Delay(Duration::from_millis(random.u64(100..30_000))),
        1 => Fault::Delay(Duration::from_secs(100)),
        2 => Fault::Status([500, 502, 503, 404, 403][random.usize(0..5)]),
        3 => Fault::RetryAfter { status: [429, 503][random.usize(0..2)], seconds: random.u32(0..20) },
        4 => Fault::CutBody,
        5 => Fault::Malformed,
        6 => Fault::NotXml,
        7 => Fault::Doctype,
        8 => BcFault::SoapFault("time-out expired".to_owned()).into(),
        9 => BcFault::NoContactsFault.into(),
        10 => BcFault::EmptyResult.into(),
        11 => BcFault::NoResult.into(),
        12 => BcFault::RepeatPages.into(),
        _ => Fault::WrongCredentials,
    }
}
