use std::collections::BTreeSet;
use std::sync::Mutex;

use model::ChangeAction;

use super::*;
use crate::Pace;

/// Takes lists of names, but for those that it refuses.
#[derive(Default)]
struct Names {
    refused: BTreeSet<String>,
    /// Whether it refuses everybody.
    is_closed: bool,
    /// After so many requests it answers no more.
    answers: Option<usize>,
    /// It fails at these.
    failing: BTreeSet<String>,
    /// It fails at its first requests, whatever they hold.
    fails_first: usize,
    /// It takes this one alone.
    knows_only: Option<String>,
    /// It refuses every second request, from this one on.
    refuses_every_second_from: Option<usize>,
    /// By chance it refuses one request of so many.
    refuses_one_in: Option<u64>,
    /// It refuses these once alone, by accident.
    accidents: Mutex<BTreeSet<String>>,
    /// It takes those of a list that it does not refuse.
    counts: bool,
    /// A request holds one.
    one_by_one: bool,
    /// After so many requests it is busy.
    busy_after: Option<usize>,
    asked: Mutex<Vec<Vec<String>>>,
}

impl Takes for Names {
    type Item = String;

    const AT_ONCE: usize = 1;

    fn item(&self, change: &Outgoing) -> Result<String, Outcome> {
        if change.is_deletion() { Err(Outcome::LeftOut) } else { Ok(change.id.source_id.clone()) }
    }

    fn lists(&self, items: &[String]) -> Vec<Vec<usize>> {
        let places: Vec<usize> = (0..items.len()).collect();
        places.chunks(if self.one_by_one { 1 } else { 100 }).map(<[usize]>::to_vec).collect()
    }

    async fn send(&self, items: &[&String]) -> Result<Said, Trouble> {
        let mut asked = self.asked.lock().unwrap();
        asked.push(items.iter().map(|item| (*item).clone()).collect());
        if self.answers.is_some_and(|answers| asked.len() > answers) {
            return Err(Trouble::new("it is down"));
        }
        if self.busy_after.is_some_and(|taken| asked.len() > taken) {
            return Err(Trouble { blames_after: Some(FOR_LONG), ..Trouble::new("503").of_all() });
        }
        if asked.len() <= self.fails_first || items.iter().any(|item| self.failing.contains(*item)) {
            return Err(Trouble::new("500").of_content());
        }
        let is_accident = matches!(items, [item] if self.accidents.lock().unwrap().remove(*item));
        let is_unknown = |item: &&String| self.knows_only.as_ref().is_some_and(|known| known != *item);
        // Which is the same in every run: a step of splitmix64.
        let chance = |number: usize| {
            let mixed = (number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed ^ (mixed >> 27)
        };
        let is_ill = self.refuses_every_second_from.is_some_and(|first| (asked.len() + first).is_multiple_of(2))
            || self.refuses_one_in.is_some_and(|requests| chance(asked.len()).is_multiple_of(requests));
        let refused = items.iter().filter(|item| self.refused.contains(**item) || is_unknown(item)).count();
        if refused == 0 && !self.is_closed && !is_ill && !is_accident {
            return Ok(Said::Taken);
        }
        let has_some = self.counts && refused < items.len();
        Ok(Said::Refused { reason: "no".to_owned(), answer: String::new(), has_some, may_be_us: false })
    }
}

fn change(name: &str) -> Outgoing {
    Outgoing {
        id: format!("aa~{name}").parse().unwrap(),
        action: ChangeAction::Updated,
        changed_at: jiff::Timestamp::UNIX_EPOCH,
        revision: 1,
        customer: None,
        occasion: String::new(),
    }
}

fn changes(count: usize) -> Vec<Outgoing> {
    (0..count).map(|number| change(&number.to_string())).collect()
}

fn refusing(names: &[&str]) -> Names {
    Names { refused: names.iter().map(|name| (*name).to_owned()).collect(), ..Names::default() }
}

const NO_TIME: Duration = Duration::ZERO;

async fn deliver(names: Names, changes: &[Outgoing], witness: Option<&str>) -> (Delivered, usize) {
    deliver_after(names, changes, witness, NO_TIME, Some(0)).await
}

/// Delivers to a destination that has been failing for so long, and that so many were blamed for.
async fn deliver_after(
    names: Names,
    changes: &[Outgoing],
    witness: Option<&str>,
    failing_for: Duration,
    blamed: Option<usize>,
) -> (Delivered, usize) {
    let witnesses = witness.map(change).into_iter().collect::<Vec<_>>();
    let pace = Pace::new(store::Clock::manual(jiff::Timestamp::UNIX_EPOCH), 10.0, jiff::Timestamp::MAX);
    let context = Context { witnesses: &witnesses, attempts: 0, failing_for, unsteady_for: None, blamed, pace: &pace };
    let delivered = super::deliver(&names, changes, context).await;
    let asked = names.asked.lock().unwrap().len();
    (delivered, asked)
}

fn refused(delivered: &Delivered) -> Vec<usize> {
    let is_refused = |place: &usize| matches!(delivered.outcomes[*place], Some(Outcome::Refused { .. }));
    (0..delivered.outcomes.len()).filter(is_refused).collect()
}

#[tokio::test]
async fn a_list_that_is_taken_is_one_request() {
    let (delivered, asked) = deliver(Names::default(), &changes(100), None).await;
    assert!(delivered.outcomes.iter().all(|outcome| *outcome == Some(Outcome::Taken)));
    assert_eq!((asked, delivered.trouble), (1, None));
}

#[tokio::test]
async fn those_that_are_refused_are_found_and_the_others_taken() {
    let (delivered, asked) = deliver(refusing(&["3", "77"]), &changes(100), Some("known")).await;
    assert_eq!((refused(&delivered), delivered.trouble.clone()), (vec![3, 77], None));
    assert_eq!(delivered.outcomes.iter().filter(|outcome| **outcome == Some(Outcome::Taken)).count(), 98);
    assert!(asked < 35, "{asked} requests");
}

#[tokio::test]
async fn one_that_is_refused_alone_is_blamed_if_the_destination_takes_another() {
    let (delivered, _) = deliver(refusing(&["0"]), &changes(1), Some("known")).await;
    assert_eq!((refused(&delivered), delivered.trouble), (vec![0], None));
}

#[tokio::test]
async fn a_destination_that_refuses_everybody_is_in_trouble_and_asked_little() {
    let closed = || Names { is_closed: true, ..Names::default() };
    let (delivered, asked) = deliver(closed(), &changes(100), Some("known")).await;
    assert_eq!((refused(&delivered), asked), (vec![], 2));
    assert_eq!(delivered.trouble.unwrap().message, "it takes nobody: no");
    let (delivered, asked) = deliver(closed(), &changes(100), None).await;
    assert_eq!((refused(&delivered), asked), (vec![], 1));
    assert_eq!(delivered.trouble.unwrap().message, "it takes nobody: no");
}

#[tokio::test]
async fn what_was_taken_before_the_trouble_is_known() {
    for answers in 0..10 {
        let names = Names { answers: Some(answers), ..refusing(&["60"]) };
        let (delivered, _) = deliver(names, &changes(100), Some("known")).await;
        assert!(delivered.trouble.is_some(), "{answers}");
        let known = delivered.outcomes.iter().flatten();
        assert!(known.clone().all(|it| *it == Outcome::Taken), "{answers}: {known:?}");
        assert_eq!(delivered.outcomes[60], None, "{answers}");
    }
}

#[tokio::test]
async fn what_is_not_sent_is_an_outcome_too() {
    let mut all = changes(3);
    all[1].action = ChangeAction::Deleted;
    let (delivered, _) = deliver(Names::default(), &all, None).await;
    assert_eq!(delivered.outcomes, [Some(Outcome::Taken), Some(Outcome::LeftOut), Some(Outcome::Taken)]);
}

fn failing(names: impl IntoIterator<Item = usize>) -> Names {
    Names { failing: names.into_iter().map(|name| name.to_string()).collect(), ..Names::default() }
}

#[tokio::test]
async fn one_that_a_destination_fails_at_for_long_is_blamed_if_it_takes_another() {
    for (failing_for, witness, is_blamed) in [
        (NO_ACCIDENT / 2, Some("known"), false),
        (NO_ACCIDENT, Some("known"), true),
        (NO_ACCIDENT, None, false),
        (NO_ACCIDENT, Some("0"), false),
    ] {
        let (delivered, _) = deliver_after(failing([0]), &changes(1), witness, failing_for, Some(0)).await;
        assert_eq!(refused(&delivered).len(), usize::from(is_blamed), "{failing_for:?}, {witness:?}");
        assert_eq!(delivered.trouble.is_none(), is_blamed, "{failing_for:?}, {witness:?}");
        assert_eq!(delivered.has_failed, is_blamed, "{failing_for:?}, {witness:?}");
    }
}

#[tokio::test]
async fn one_that_a_destination_fails_at_is_found_among_many() {
    let (delivered, asked) = deliver_after(failing([41]), &changes(100), Some("known"), NO_ACCIDENT, Some(0)).await;
    assert_eq!((refused(&delivered), delivered.trouble), (vec![41], None));
    assert!(asked < 20, "{asked} requests");
}

#[tokio::test]
async fn one_that_fails_at_everybody_is_asked_twice_and_blames_nobody() {
    let everybody = Names { fails_first: usize::MAX, ..Names::default() };
    let (delivered, asked) = deliver_after(everybody, &changes(100), Some("known"), NO_ACCIDENT, Some(0)).await;
    assert_eq!((refused(&delivered), asked), (vec![], 2));
    assert_eq!(delivered.trouble.unwrap().message, "500");
}

#[tokio::test]
async fn one_that_fails_at_many_while_it_takes_others_may_be_down_in_part_and_blames_few() {
    let (delivered, _) = deliver_after(failing(0..50), &changes(100), Some("known"), NO_ACCIDENT, Some(0)).await;
    assert_eq!(refused(&delivered), [0, 1, 2, 3]);
    assert_eq!(delivered.trouble.unwrap().message, "500");
    let (delivered, _) = deliver_after(failing(0..50), &changes(100), Some("known"), NO_ACCIDENT, None).await;
    assert_eq!((refused(&delivered).len(), delivered.trouble), (50, None));
}

#[tokio::test]
async fn one_that_takes_what_it_knows_and_nothing_new_blames_few_at_first_and_then_more() {
    for (before, failing_for, blamed) in
        [(0, NO_TIME, 4), (36, NO_ACCIDENT, 4), (0, FOR_LONG, 4), (36, FOR_LONG, 36), (144, FOR_LONG, 100)]
    {
        let names = Names { knows_only: Some("known".to_owned()), ..Names::default() };
        let (delivered, _) = deliver_after(names, &changes(100), Some("known"), failing_for, Some(before)).await;
        assert_eq!(refused(&delivered), (0..blamed).collect::<Vec<_>>(), "{before} before");
        assert_eq!((delivered.blamed.len(), delivered.trouble.is_some()), (blamed, true), "{before} before");
    }
    // What was refused before is redriven.
    let names = Names { knows_only: Some("known".to_owned()), ..Names::default() };
    let (delivered, _) = deliver_after(names, &changes(100), Some("known"), NO_TIME, None).await;
    assert_eq!((refused(&delivered).len(), delivered.trouble), (100, None));
}

#[tokio::test]
async fn one_after_the_other_that_is_refused_while_nobody_is_taken_is_trouble_in_the_end() {
    for (before, is_trouble) in [(0, false), (3, false), (4, true)] {
        let (delivered, _) = deliver_after(refusing(&["0"]), &changes(1), Some("known"), NO_TIME, Some(before)).await;
        assert_eq!((refused(&delivered), delivered.trouble.is_some()), (vec![0], is_trouble), "{before} before");
    }
}

#[tokio::test]
async fn one_of_two_machines_that_refuses_everybody_blames_nobody() {
    for (first, count) in [(0, 1), (1, 1), (0, 100), (1, 100), (0, 3), (1, 2)] {
        let names = Names { refuses_every_second_from: Some(first), ..Names::default() };
        let (delivered, _) = deliver(names, &changes(count), Some("known")).await;
        assert_eq!(refused(&delivered), Vec::<usize>::new(), "{count} from the {first}th");
    }
}

#[tokio::test]
async fn one_of_several_machines_that_refuses_everybody_blames_hardly_anybody_however_long_it_is_ill() {
    let names = Names { refuses_one_in: Some(4), one_by_one: true, ..Names::default() };
    let (all, witnesses) = (changes(2_000), [change("known")]);
    let (mut settled, mut blamed, mut deliveries) = (0, 0, 0);
    while settled < all.len() {
        let pace = Pace::new(store::Clock::manual(jiff::Timestamp::UNIX_EPOCH), 10.0, jiff::Timestamp::MAX);
        let context = Context {
            witnesses: &witnesses,
            attempts: 1,
            failing_for: NO_TIME,
            unsteady_for: Some(NO_ACCIDENT),
            blamed: Some(0),
            pace: &pace,
        };
        let page = &all[settled..all.len().min(settled + 100)];
        let delivered = super::deliver(&names, page, context).await;
        blamed += refused(&delivered).len();
        settled += delivered.outcomes.iter().take_while(|outcome| outcome.is_some()).count();
        deliveries += 1;
        assert!(deliveries < 200, "{settled} settled");
    }
    assert_eq!(blamed, 0);
}

#[tokio::test]
async fn one_that_takes_what_it_did_not_take_just_before_blames_nobody_at_first() {
    let ill = || Names { accidents: Mutex::new(BTreeSet::from(["0".to_owned()])), ..refusing(&["1"]) };
    let (delivered, _) = deliver(ill(), &changes(2), Some("known")).await;
    assert_eq!((refused(&delivered), delivered.outcomes[0].clone()), (vec![], Some(Outcome::Taken)));
    assert!(delivered.trouble.is_some() && delivered.is_unsteady);
    for (unsteady_for, blamed) in [(NO_TIME, vec![]), (NO_ACCIDENT / 2, vec![]), (NO_ACCIDENT, vec![1])] {
        let pace = Pace::new(store::Clock::manual(jiff::Timestamp::UNIX_EPOCH), 10.0, jiff::Timestamp::MAX);
        let (unsteady_for, witnesses) = (Some(unsteady_for), [change("known")]);
        let context = Context {
            witnesses: &witnesses,
            attempts: 0,
            failing_for: NO_TIME,
            unsteady_for,
            blamed: Some(0),
            pace: &pace,
        };
        let delivered = super::deliver(&refusing(&["1"]), &changes(2), context).await;
        assert_eq!(refused(&delivered), blamed, "{unsteady_for:?}");
    }
}

#[tokio::test]
async fn one_of_a_list_that_it_took_proves_more_than_a_witness_that_it_takes_no_more() {
    let names = Names { counts: true, ..refusing(&["0", "known"]) };
    let (delivered, _) = deliver(names, &changes(2), Some("known")).await;
    assert_eq!((refused(&delivered), delivered.trouble), (vec![0], None));
}

/// Delivers what a delivery before it has left, each with so many requests, until everything is settled.
async fn rounds(names: &Names, count: usize, requests: usize) -> usize {
    let all = changes(count);
    let (mut settled, mut rounds) = (0, 0);
    while settled < count {
        let asked = names.asked.lock().unwrap().len();
        let limited = Limited { names, until: asked + requests };
        let clock = store::Clock::manual(jiff::Timestamp::UNIX_EPOCH);
        let pace = Pace::new(clock, 10.0, jiff::Timestamp::MAX);
        let witness = [change("known")];
        let context = Context {
            witnesses: &witness,
            attempts: 0,
            failing_for: NO_TIME,
            unsteady_for: None,
            blamed: Some(0),
            pace: &pace,
        };
        let delivered = super::deliver(&limited, &all[settled..], context).await;
        settled += delivered.outcomes.iter().take_while(|outcome| outcome.is_some()).count();
        rounds += 1;
        assert!(rounds < 100, "{settled} of {count} after {rounds} rounds");
    }
    rounds
}

#[tokio::test]
async fn one_at_the_front_is_settled_before_those_behind_it_though_each_is_a_request_of_its_own() {
    let names = Names { one_by_one: true, ..refusing(&["0"]) };
    let rounds = rounds(&names, 200, 80).await;
    assert!(rounds <= 3, "{rounds} rounds");
}

#[tokio::test]
async fn one_that_wants_to_be_left_alone_is_not_sent_the_others() {
    let names = Names { one_by_one: true, busy_after: Some(20), ..Names::default() };
    let witnesses = Some("known");
    let (delivered, asked) = deliver_after(names, &changes(100), witnesses, FOR_LONG, Some(0)).await;
    assert_eq!(refused(&delivered), Vec::<usize>::new());
    assert!(delivered.trouble.is_some() && asked < 30, "{asked} requests");
}

/// Has time for so many requests.
struct Limited<'a> {
    names: &'a Names,
    until: usize,
}

impl Takes for Limited<'_> {
    type Item = String;

    const AT_ONCE: usize = 1;

    fn item(&self, change: &Outgoing) -> Result<String, Outcome> {
        self.names.item(change)
    }

    fn lists(&self, items: &[String]) -> Vec<Vec<usize>> {
        self.names.lists(items)
    }

    async fn send(&self, items: &[&String]) -> Result<Said, Trouble> {
        if self.names.asked.lock().unwrap().len() == self.until {
            return Err(Trouble { is_out_of_time: true, ..Trouble::new("out of time") });
        }
        self.names.send(items).await
    }
}

#[tokio::test]
async fn what_time_was_enough_for_is_at_the_front_and_the_next_delivery_goes_on_after_it() {
    let every_fifth: Vec<String> = (0..200).step_by(5).map(|name| name.to_string()).collect();
    let names = Names { refused: every_fifth.iter().cloned().collect(), ..Names::default() };
    let rounds = rounds(&names, 200, 80).await;
    assert!(rounds <= 9, "{rounds} rounds");
}
