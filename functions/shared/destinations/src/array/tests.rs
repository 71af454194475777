use std::collections::BTreeSet;
use std::sync::Mutex;

use model::ChangeAction;

use super::*;
use crate::{MOST_BLAMED, Pace};

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
    asked: Mutex<Vec<Vec<String>>>,
}

impl TakesLists for Names {
    type Item = String;

    fn item(&self, change: &Outgoing) -> Result<String, Outcome> {
        if change.is_deletion() { Err(Outcome::LeftOut) } else { Ok(change.id.source_id.clone()) }
    }

    fn parts(&self, items: &[String]) -> Vec<Vec<usize>> {
        let places: Vec<usize> = (0..items.len()).collect();
        places.chunks(100).map(<[usize]>::to_vec).collect()
    }

    async fn send(&self, items: &[&String]) -> Result<Said, Trouble> {
        let mut asked = self.asked.lock().unwrap();
        asked.push(items.iter().map(|item| (*item).clone()).collect());
        if self.answers.is_some_and(|answers| asked.len() > answers) {
            return Err(Trouble::new("it is down"));
        }
        if asked.len() <= self.fails_first || items.iter().any(|item| self.failing.contains(*item)) {
            return Err(Trouble::new("500").of_content());
        }
        match self.is_closed || items.iter().any(|item| self.refused.contains(*item)) {
            false => Ok(Said::Taken),
            true => Ok(Said::Refused { reason: "no".to_owned(), answer: String::new(), has_some: false }),
        }
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

async fn deliver(names: Names, changes: &[Outgoing], witness: Option<&str>) -> (Delivered, usize) {
    deliver_after(names, changes, witness, 0).await
}

async fn deliver_after(names: Names, changes: &[Outgoing], witness: Option<&str>, attempts: u32) -> (Delivered, usize) {
    let (arrays, witnesses) = (Arrays::new(names), witness.map(change).into_iter().collect::<Vec<_>>());
    let clock = store::Clock::manual(jiff::Timestamp::UNIX_EPOCH);
    let pace = Pace::new(clock, 10.0, jiff::Timestamp::MAX);
    let context = Context { witnesses: &witnesses, attempts, most_blamed: MOST_BLAMED, pace: &pace };
    let delivered = arrays.deliver(changes, context).await;
    let asked = arrays.0.asked.lock().unwrap().len();
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
    assert_eq!(refused(&delivered), Vec::<usize>::new());
    assert!(delivered.trouble.is_some() && asked == MOST_REFUSED, "{asked} requests");
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

#[tokio::test]
async fn one_that_a_destination_fails_at_again_and_again_is_blamed_if_it_takes_another() {
    let failing = || Names { failing: BTreeSet::from(["0".to_owned()]), ..Names::default() };
    for (attempts, witness, is_blamed) in
        [(0, Some("known"), false), (3, Some("known"), true), (3, None, false), (3, Some("0"), false)]
    {
        let (delivered, _) = deliver_after(failing(), &changes(1), witness, attempts).await;
        assert_eq!(refused(&delivered).len(), usize::from(is_blamed), "{attempts}, {witness:?}");
        assert_eq!(delivered.trouble.is_none(), is_blamed, "{attempts}, {witness:?}");
    }
}

#[tokio::test]
async fn one_that_a_destination_fails_at_is_found_among_many_without_a_witness() {
    let failing =
        |names: &[&str]| Names { failing: names.iter().map(|name| (*name).to_owned()).collect(), ..Names::default() };
    let (delivered, asked) = deliver_after(failing(&["41"]), &changes(100), None, 4).await;
    assert_eq!((refused(&delivered), delivered.trouble), (vec![41], None));
    assert!(asked < 20, "{asked} requests");
    let everybody: Vec<String> = (0..100).map(|name| name.to_string()).collect();
    let everybody: Vec<&str> = everybody.iter().map(String::as_str).collect();
    let (delivered, asked) = deliver_after(failing(&everybody), &changes(100), None, 4).await;
    assert_eq!((refused(&delivered), asked), (vec![], MOST_FAILED));
    assert_eq!(delivered.trouble.unwrap().message, "500");
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
        let context = Context { witnesses: &witness, attempts: 0, most_blamed: MOST_BLAMED, pace: &pace };
        let delivered = Arrays::new(limited).deliver(&all[settled..], context).await;
        settled += delivered.outcomes.iter().take_while(|outcome| outcome.is_some()).count();
        rounds += 1;
        assert!(rounds < 100, "{settled} of {count} after {rounds} rounds");
    }
    rounds
}

/// Has time for so many requests.
struct Limited<'a> {
    names: &'a Names,
    until: usize,
}

impl TakesLists for Limited<'_> {
    type Item = String;

    fn item(&self, change: &Outgoing) -> Result<String, Outcome> {
        self.names.item(change)
    }

    fn parts(&self, items: &[String]) -> Vec<Vec<usize>> {
        self.names.parts(items)
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

#[tokio::test]
async fn one_that_it_failed_at_before_it_worked_again_is_sent_once_more() {
    let names = Names { fails_first: 2, ..Names::default() };
    let (delivered, asked) = deliver_after(names, &changes(2), None, NO_ACCIDENT).await;
    assert_eq!((delivered.outcomes, delivered.trouble), (vec![Some(Outcome::Taken); 2], None));
    assert_eq!(asked, 4, "both, the first, the second, and the first again");
}
