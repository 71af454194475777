use jiff::Timestamp;

use super::*;
use std::collections::BTreeMap;

use crate::import::{Application, IdSecret, RowExtras, apply_rows};
use crate::{ConnectionKey, Content, Version};

/// A store that answers reads, and that rows are written to.
#[derive(Default)]
struct Store {
    customers: BTreeMap<String, Content>,
    claims: BTreeMap<Claim, Claimants>,
    looks: usize,
}

const CODE: Field = Field::Code;
const CARD: Field = Field::CardNumber;
const EMAIL: Field = Field::Email;
const NAME: Field = Field::FirstName;

fn request(overwrite: Overwrite, card_digits: Option<u8>, rows: &[&[(Field, &str)]]) -> Request {
    let rows = (1..)
        .zip(rows)
        .map(|(number, values)| Row::new(number, values.iter().map(|(field, value)| (*field, (*value).to_owned()))));
    Request { overwrite, campaigns: vec!["c-1".into()], card_digits, rows: rows.collect(), unreadable: Vec::new() }
}

impl Store {
    /// Imports rows as an update; returns the outcome of each.
    fn import(&mut self, rows: &[&[(Field, &str)]]) -> Vec<RowOutcome> {
        self.carry_out(&request(Overwrite::Update, None, rows))
    }

    fn carry_out(&mut self, request: &Request) -> Vec<RowOutcome> {
        self.carry_out_again(request, &[])
    }

    /// Imports a request again whose rows came to these ends before.
    fn carry_out_again(&mut self, request: &Request, before: &[RowOutcome]) -> Vec<RowOutcome> {
        let connection = ConnectionKey::new("acme", "imports");
        let fingerprint = request.fingerprint(&connection, &IdSecret::new([1; 32]));
        let mut known = Known::default();
        let outcomes = loop {
            let mut matching = Matching::new(request, &fingerprint, before, &known);
            while matching.go_on(3) {}
            match matching.end() {
                Ok(outcomes) => break outcomes,
                Err(missing) => {
                    self.looks += 1;
                    assert_ne!(missing, Missing::default());
                    for claim in missing.claims {
                        let stored = self.claims.get(&claim).cloned().unwrap_or_default();
                        let read = known.claimants.get(&claim).map(|claimants| claimants.pages.len());
                        assert!(read.is_none_or(|read| read < stored.page_count), "asked twice");
                        let pages = stored.pages[..stored.page_count.min(read.unwrap_or(0) + 1)].to_vec();
                        known.claimants.insert(claim, Claimants { pages, ..stored });
                    }
                    for source_id in missing.customers {
                        let stored = self.customers.get(&source_id).map(|content| Customer {
                            connection: connection.clone(),
                            source_id: source_id.clone(),
                            content: content.clone(),
                            first_seen_at: Timestamp::UNIX_EPOCH,
                            changed_at: Timestamp::UNIX_EPOCH,
                            revision: 1,
                            version: Version::from_stored("v"),
                            named_state: None,
                        });
                        assert!(known.customers.insert(source_id, stored).is_none(), "asked twice");
                    }
                }
            }
        };
        assert_eq!(outcomes.len(), request.rows.len());
        for (row, outcome) in request.rows.iter().zip(&outcomes) {
            if let RowOutcome::Taken(matched) = outcome {
                let origin = fingerprint.origin(row.number);
                let application =
                    Application { overwrite: request.overwrite, campaigns: &request.campaigns, import: "i-1" };
                let extras = RowExtras {
                    card_number: matched.card_number.as_deref(),
                    origin: matched.is_new.then_some(origin.as_str()),
                    sealed: &BTreeMap::new(),
                };
                let base = self.customers.get(&matched.source_id).filter(|content| content.status != Status::Deleted);
                if base.is_some() && request.overwrite == Overwrite::Ignore {
                    continue;
                }
                let content = apply_rows(base, [(row, extras)], &application);
                for claim in Claim::of(&content) {
                    self.claims.entry(claim).or_default().add([matched.source_id.as_str()]);
                }
                self.customers.insert(matched.source_id.clone(), content);
            }
        }
        outcomes
    }

    fn delete(&mut self, source_id: &str) {
        let tombstone = Content::tombstone_of(self.customers.get(source_id));
        self.customers.insert(source_id.to_owned(), tombstone);
    }
}

/// The customer of a row, and whether it is new.
#[track_caller]
fn taken(outcome: &RowOutcome) -> (&str, bool) {
    match outcome {
        RowOutcome::Taken(matched) => (&matched.source_id, matched.is_new),
        other => panic!("not taken: {other:?}"),
    }
}

#[track_caller]
fn reason(outcome: &RowOutcome) -> &str {
    match outcome {
        RowOutcome::Failed(reason) => reason,
        other => panic!("not failed: {other:?}"),
    }
}

#[test]
fn a_code_names_a_customer_who_is_there_or_a_new_one() {
    let mut store = Store::default();
    assert_eq!(taken(&store.import(&[&[(CODE, "1"), (EMAIL, "a@x")]])[0]), ("1", true));
    assert_eq!(taken(&store.import(&[&[(CODE, "1"), (NAME, "jane")]])[0]), ("1", false));
    // One address, two people: a code that no customer has is a new customer.
    assert_eq!(taken(&store.import(&[&[(CODE, "2"), (EMAIL, "a@x")]])[0]), ("2", true));
}

#[test]
fn without_a_code_the_card_number_decides_and_without_that_the_address() {
    let mut store = Store::default();
    store.import(&[&[(CODE, "1"), (CARD, "500"), (EMAIL, "Jane@Example.org")], &[(CODE, "2"), (CARD, "600")]]);
    assert_eq!(taken(&store.import(&[&[(CARD, "600"), (NAME, "jim")]])[0]), ("2", false));
    assert_eq!(taken(&store.import(&[&[(EMAIL, "jane@example.ORG"), (NAME, "jane")]])[0]), ("1", false));
    // A card number that no customer has is a new customer, though the address is another's.
    let outcomes = store.import(&[&[(CARD, "700"), (EMAIL, "jane@example.org")]]);
    let (source_id, is_new) = taken(&outcomes[0]);
    assert!(is_new && source_id.len() == 16, "{source_id}");
}

#[test]
fn a_row_that_matches_two_customers_fails_alone() {
    let mut store = Store::default();
    store.import(&[&[(CODE, "1"), (CARD, "500"), (EMAIL, "a@x")], &[(CODE, "2"), (CARD, "600"), (EMAIL, "a@x")]]);
    let outcomes = store.import(&[
        &[(CODE, "1"), (CARD, "600")],
        &[(CODE, "3"), (CARD, "600")],
        &[(EMAIL, "A@x"), (NAME, "whose")],
        &[(CODE, "1"), (CARD, "501"), (EMAIL, "b@x")],
    ]);
    assert!(reason(&outcomes[0]).contains("two customers") && reason(&outcomes[0]).contains("`card_number`"));
    assert!(reason(&outcomes[1]).contains("two customers"));
    assert!(reason(&outcomes[2]).contains("two customers") && reason(&outcomes[2]).contains("`email`"));
    assert_eq!(taken(&outcomes[3]), ("1", false));
    // What a customer had is free for another, and so is an address that only one still has.
    let outcomes = store.import(&[&[(CODE, "3"), (CARD, "500")], &[(EMAIL, "a@x"), (NAME, "jim")]]);
    assert_eq!((taken(&outcomes[0]), taken(&outcomes[1])), (("3", true), ("2", false)));
}

#[test]
fn rows_see_what_the_rows_before_them_made() {
    let mut store = Store::default();
    let outcomes = store.import(&[
        &[(EMAIL, "a@x"), (NAME, "jane")],
        &[(EMAIL, "A@X"), (NAME, "janet")],
        &[(CODE, "7"), (CARD, "500")],
        &[(CARD, "500"), (NAME, "jim")],
        &[(CODE, "8"), (CARD, "500")],
        &[(CODE, "7"), (CARD, "501")],
        &[(CODE, "8"), (CARD, "500")],
    ]);
    let (first, is_new) = taken(&outcomes[0]);
    assert!(is_new);
    assert_eq!(taken(&outcomes[1]), (first, false));
    assert_eq!((taken(&outcomes[2]), taken(&outcomes[3])), (("7", true), ("7", false)));
    assert!(reason(&outcomes[4]).contains("two customers"));
    assert_eq!((taken(&outcomes[5]), taken(&outcomes[6])), (("7", false), ("8", true)));
}

#[test]
fn a_match_that_is_to_be_ignored_changes_nothing() {
    let mut store = Store::default();
    store.import(&[&[(CODE, "1"), (EMAIL, "a@x"), (NAME, "jane")]]);
    let before = store.customers.clone();
    let rows: &[&[(Field, &str)]] = &[&[(CODE, "1"), (NAME, "no")], &[(EMAIL, "a@x"), (NAME, "no")]];
    let outcomes = store.carry_out(&request(Overwrite::Ignore, Some(10), rows));
    assert!(
        outcomes.iter().all(|outcome| matches!(outcome, RowOutcome::Ignored(matched) if matched.source_id == "1")),
        "{outcomes:?}"
    );
    assert_eq!(store.customers, before);
    let outcomes = store.carry_out(&request(Overwrite::Ignore, None, &[&[(CODE, "2"), (NAME, "jim")]]));
    assert_eq!(taken(&outcomes[0]), ("2", true));
}

#[test]
fn the_same_request_again_makes_nobody_twice() {
    for overwrite in [Overwrite::Yes, Overwrite::Update, Overwrite::Ignore] {
        let rows: &[&[(Field, &str)]] =
            &[&[(NAME, "jane")], &[(EMAIL, "a@x"), (NAME, "jim")], &[(CARD, "500")], &[(CODE, "9")]];
        let request = request(overwrite, Some(4), rows);
        let mut store = Store::default();
        let first = store.carry_out(&request);
        let customers = store.customers.clone();
        let again = store.carry_out(&request);
        assert_eq!(store.customers, customers, "{overwrite:?}");
        for (first, again) in first.iter().zip(&again) {
            let (RowOutcome::Taken(again) | RowOutcome::Ignored(again)) = again else { panic!("{again:?}") };
            assert_eq!(*first, RowOutcome::Taken(Matched { is_new: true, ..again.clone() }), "{overwrite:?}");
            assert!(!again.is_new);
        }
        assert_eq!(store.customers.len(), 4);
    }
}

#[test]
fn generated_card_numbers_are_nobody_elses() {
    let mut store = Store::default();
    let rows: Vec<Vec<(Field, &str)>> = (0..9).map(|_| vec![(NAME, "jane")]).collect();
    let rows: Vec<&[(Field, &str)]> = rows.iter().map(Vec::as_slice).collect();
    let outcomes = store.carry_out(&request(Overwrite::Update, Some(1), &rows));
    let mut cards = BTreeSet::new();
    for outcome in &outcomes {
        match outcome {
            RowOutcome::Taken(matched) => {
                assert!(cards.insert(matched.card_number.clone().unwrap()), "{outcomes:?}")
            }
            other => assert!(reason(other).contains("no free card number of 1 digits"), "{other:?}"),
        }
    }
    assert!(cards.len() >= 6, "{cards:?}");
    // A customer with a card keeps it.
    let outcomes =
        store.carry_out(&request(Overwrite::Update, Some(10), &[&[(CODE, "1"), (CARD, "500")], &[(CODE, "1")]]));
    let RowOutcome::Taken(matched) = &outcomes[1] else { panic!("{outcomes:?}") };
    assert_eq!(matched.card_number, None);
    assert_eq!(store.customers["1"].external_id.as_deref(), Some("500"));
    // Unless every field is blanked.
    let outcomes = store.carry_out(&request(Overwrite::Yes, Some(10), &[&[(CODE, "1"), (NAME, "jane")]]));
    let RowOutcome::Taken(matched) = &outcomes[0] else { panic!("{outcomes:?}") };
    assert_eq!(store.customers["1"].external_id, matched.card_number);
    assert_eq!(matched.card_number.as_ref().map(String::len), Some(10));
}

#[test]
fn who_is_deleted_is_not_there_and_can_come_back() {
    let mut store = Store::default();
    store.import(&[&[(CODE, "1"), (CARD, "500"), (EMAIL, "a@x")]]);
    store.delete("1");
    let outcomes = store.import(&[&[(CARD, "500"), (EMAIL, "a@x")], &[(CODE, "1"), (NAME, "jane")]]);
    assert!(taken(&outcomes[0]).1 && taken(&outcomes[0]).0 != "1");
    assert_eq!(taken(&outcomes[1]), ("1", true));
}

/// Rows of one code each, with this address.
fn import_all(store: &mut Store, codes: std::ops::Range<u32>, address: impl Fn(u32) -> String) -> Vec<RowOutcome> {
    let values: Vec<[String; 2]> = codes.map(|code| [code.to_string(), address(code)]).collect();
    let rows: Vec<[(Field, &str); 2]> =
        values.iter().map(|[code, email]| [(CODE, &**code), (EMAIL, &**email)]).collect();
    store.import(&rows.iter().map(<[_; 2]>::as_slice).collect::<Vec<_>>())
}

/// Invariant: a claim is a hint; a customer that does not have an address does not count, however many once had it.
#[test]
fn an_address_finds_who_has_it_however_many_once_had_it() {
    let mut store = Store::default();
    assert!(import_all(&mut store, 0..450, |_| "no@x".to_owned()).iter().all(|outcome| taken(outcome).1));
    let pages = &store.claims[&Claim::email("no@x")].pages;
    assert!(pages.len() > 1 && pages.iter().all(|page| page.len() <= Claimants::PAGE));
    assert!(reason(&store.import(&[&[(EMAIL, "no@x"), (NAME, "jane")]])[0]).contains("two customers"));
    assert_eq!(taken(&store.import(&[&[(CODE, "7"), (EMAIL, "no@x")]])[0]), ("7", false));
    // All but one change theirs, in the same request that looks for it.
    import_all(&mut store, 0..200, |code| format!("{code}@x"));
    let values: Vec<[String; 2]> = (200..449)
        .map(|code| [code.to_string(), format!("{code}@x")])
        .chain([[String::new(), "no@x".into()]])
        .collect();
    let rows: Vec<[(Field, &str); 2]> =
        values.iter().map(|[code, email]| [(CODE, &**code), (EMAIL, &**email)]).collect();
    let outcomes = store.import(&rows.iter().map(<[_; 2]>::as_slice).collect::<Vec<_>>());
    assert_eq!(taken(&outcomes[249]), ("449", false));
    // Then no customer has it.
    store.delete("449");
    assert!(taken(&store.import(&[&[(EMAIL, "NO@x")]])[0]).1);
}

#[test]
fn claimants_that_the_release_before_did_not_remember_all_decide_nothing() {
    let mut store = Store::default();
    store.claims.insert(Claim::email("no@x"), Claimants { is_cut: true, ..Claimants::default() });
    let outcomes = store.import(&[&[(EMAIL, "no@x")], &[(CODE, "1"), (EMAIL, "no@x")]]);
    assert!(reason(&outcomes[0]).contains("two customers and more"), "{outcomes:?}");
    assert_eq!(taken(&outcomes[1]), ("1", true));
}

/// Invariant 11: an address that a release before folded differently finds its customers.
#[test]
fn who_was_stored_by_the_release_before_is_found_by_the_same_address() {
    let mut store = Store::default();
    let decomposed = "jose\u{301}@x";
    store.import(&[&[(CODE, "1"), (EMAIL, decomposed)]]);
    let claimants = store.claims.remove(&Claim::email(decomposed)).unwrap();
    store.claims.insert(Claim::Lowercase(decomposed.to_owned()), claimants);
    assert_eq!(taken(&store.import(&[&[(EMAIL, decomposed), (NAME, "jose")]])[0]), ("1", false));
}

#[test]
fn addresses_match_whatever_their_case_and_encoding() {
    let mut store = Store::default();
    store.import(&[&[(CODE, "1"), (EMAIL, "jos\u{e9}@x")], &[(CODE, "2"), (EMAIL, "stra\u{df}e@x")]]);
    let outcomes = store.import(&[&[(EMAIL, "JOSE\u{301}@x")], &[(EMAIL, "STRASSE@x")]]);
    assert_eq!((taken(&outcomes[0]), taken(&outcomes[1])), (("1", false), ("2", false)));
}

/// Invariant: rows that wrote nothing are judged anew, and rows that wrote keep their outcome.
#[test]
fn a_row_that_failed_goes_through_once_its_cause_is_gone() {
    let mut store = Store::default();
    store.import(&[&[(CODE, "1"), (CARD, "500"), (EMAIL, "a@x")], &[(CODE, "2"), (EMAIL, "a@x")]]);
    let rows: &[&[(Field, &str)]] =
        &[&[(EMAIL, "a@x"), (NAME, "jim")], &[(CODE, "3"), (CARD, "500")], &[(NAME, "new")], &[(CARD, "600")]];
    let request = request(Overwrite::Update, None, rows);
    let first = store.carry_out(&request);
    assert!(reason(&first[0]).contains("two customers") && reason(&first[1]).contains("two customers"));
    store.import(&[&[(CODE, "2"), (EMAIL, "b@x")], &[(CODE, "1"), (CARD, "501")]]);
    let again = store.carry_out_again(&request, &first);
    assert_eq!((taken(&again[0]), taken(&again[1])), (("1", false), ("3", true)));
    assert_eq!(again[2..], first[2..]);
    assert_eq!(store.carry_out_again(&request, &again), again);
}

/// Invariant: one customer per identity, also if a request is repeated after others changed customers.
#[test]
fn a_card_number_of_another_by_now_is_not_given_again() {
    let mut store = Store::default();
    let request = request(Overwrite::Update, None, &[&[(CODE, "1"), (CARD, "500")], &[(CODE, "2"), (NAME, "jim")]]);
    let first = store.carry_out(&request);
    store.import(&[&[(CODE, "1"), (CARD, "501")], &[(CODE, "3"), (CARD, "500")]]);
    let again = store.carry_out_again(&request, &first);
    assert!(reason(&again[0]).contains("that of another"), "{again:?}");
    assert_eq!(again[1], first[1]);
    assert_eq!(store.customers["1"].external_id.as_deref(), Some("501"));
}

/// Invariant: a row that did not bring its customer, because it was not stored in time, does not take it for its own.
#[test]
fn who_was_brought_by_another_meanwhile_is_not_new() {
    let rows: &[&[(Field, &str)]] = &[&[(CODE, "1"), (NAME, "jane")]];
    let matched = Matched { source_id: "1".into(), ..Matched::default() };
    for (overwrite, outcome) in
        [(Overwrite::Update, RowOutcome::Taken(matched.clone())), (Overwrite::Ignore, RowOutcome::Ignored(matched))]
    {
        let request = request(overwrite, Some(10), rows);
        let first = Store::default().carry_out(&request);
        assert_eq!(taken(&first[0]), ("1", true));
        let mut store = Store::default();
        store.import(&[&[(CODE, "1"), (CARD, "777")]]);
        assert_eq!(store.carry_out_again(&request, &first), [outcome]);
        assert_eq!(store.customers["1"].external_id.as_deref(), Some("777"));
        // One that it did bring stays new, and keeps the card number that it got since.
        let mut store = Store::default();
        store.carry_out(&request);
        store.import(&[&[(CODE, "1"), (CARD, "777")]]);
        assert_eq!(store.carry_out_again(&request, &first), first);
        assert_eq!(store.customers["1"].external_id.as_deref(), Some("777"));
    }
}

#[test]
fn who_was_ignored_is_looked_at_again() {
    let mut store = Store::default();
    store.import(&[&[(CODE, "1"), (NAME, "jane")]]);
    let request = request(Overwrite::Ignore, None, &[&[(CODE, "1"), (NAME, "janet")], &[(CODE, "2"), (NAME, "jim")]]);
    let first = store.carry_out(&request);
    assert!(matches!(first[0], RowOutcome::Ignored(_)));
    store.delete("1");
    let again = store.carry_out_again(&request, &first);
    assert_eq!((taken(&again[0]), taken(&again[1])), (("1", true), ("2", true)));
}

#[test]
fn more_rows_of_one_customer_than_can_be_one_record_fail_by_number() {
    let mut store = Store::default();
    let amounts: Vec<String> = (0..502).map(|amount| amount.to_string()).collect();
    let rows: Vec<[(Field, &str); 2]> =
        amounts.iter().map(|amount| [(CODE, "1"), (Field::AutoAdd, &**amount)]).collect();
    let outcomes = store.import(&rows.iter().map(<[_; 2]>::as_slice).collect::<Vec<_>>());
    assert!(outcomes[..500].iter().all(|outcome| matches!(outcome, RowOutcome::Taken(_))));
    assert!(
        outcomes[500..]
            .iter()
            .all(|outcome| reason(outcome).starts_with("500 rows before it change the same customer"))
    );
}

#[test]
fn a_whole_request_is_matched_in_few_looks_into_the_store() {
    let mut store = Store::default();
    let values: Vec<[String; 2]> = (0..500).map(|number| [format!("{number}"), format!("{number}@x")]).collect();
    let rows: Vec<Vec<(Field, &str)>> =
        values.iter().map(|[card, email]| vec![(CARD, card.as_str()), (EMAIL, email.as_str())]).collect();
    let rows: Vec<&[(Field, &str)]> = rows.iter().map(Vec::as_slice).collect();
    store.import(&rows);
    assert_eq!(store.looks, 2, "claims, then the generated ids");
    store.looks = 0;
    store.import(&rows);
    assert_eq!(store.looks, 2, "claims, then who has them");
}

/// The processor time of this thread alone, without that of others on the machine: so a ratio of two is reliable.
fn worked(work: impl FnOnce()) -> std::time::Duration {
    let on_cpu = || {
        let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
        text.split(' ').next()?.parse().ok().map(std::time::Duration::from_nanos)
    };
    let (began, before) = (std::time::Instant::now(), on_cpu());
    work();
    match (before, on_cpu()) {
        (Some(before), Some(after)) => after - before,
        _ => began.elapsed(),
    }
}

/// Invariant: work is in proportion to the input. Twice the rows take twice the work, not four times.
#[track_caller]
fn expect_linear(work: impl Fn(u32)) {
    work(1_000);
    let least = |rows| (0..3).map(|_| worked(|| work(rows))).min().unwrap();
    let (once, twice) = (least(4_000), least(8_000));
    assert!(twice < once * 3, "{once:?} for 4,000 rows, {twice:?} for 8,000");
}

#[test]
fn twice_the_rows_of_one_customer_take_twice_the_work() {
    expect_linear(|rows| {
        let rows: Vec<Row> = (1..=rows)
            .map(|number| Row::new(number, [(CODE, "1".to_owned()), (Field::AutoAdd, number.to_string())]))
            .collect();
        let sealed = BTreeMap::new();
        let extras = RowExtras { card_number: None, origin: None, sealed: &sealed };
        let application = Application { overwrite: Overwrite::Update, campaigns: &["c".to_owned()], import: "i" };
        let content = apply_rows(None, rows.iter().map(|row| (row, extras)), &application);
        let again = apply_rows(Some(&content), rows.iter().map(|row| (row, extras)), &application);
        assert_eq!(content.hash(), again.hash());
    });
}

/// What becomes of rows if there is no customer.
fn matched_by_nobody(request: &Request) -> Vec<RowOutcome> {
    let fingerprint = request.fingerprint(&ConnectionKey::new("acme", "imports"), &IdSecret::new([1; 32]));
    let mut known = Known::default();
    loop {
        let mut matching = Matching::new(request, &fingerprint, &[], &known);
        while matching.go_on(256) {}
        match matching.end() {
            Ok(outcomes) => return outcomes,
            Err(Missing { claims, customers }) => {
                known.claimants.extend(claims.into_iter().map(|claim| (claim, Claimants::default())));
                known.customers.extend(customers.into_iter().map(|source_id| (source_id, None)));
            }
        }
    }
}

#[test]
fn twice_the_rows_of_one_address_take_twice_the_work() {
    // Half of the customers get an address and give it up again; then the others are looked up by it.
    expect_linear(|rows| {
        let third = rows / 3;
        let moved = (0..third).map(|code| vec![(CODE, code.to_string()), (EMAIL, "no@x".to_owned())]);
        let gone = (0..third).map(|code| vec![(CODE, code.to_string()), (EMAIL, format!("{code}@x"))]);
        let sought = (0..third).map(|_| vec![(EMAIL, "no@x".to_owned())]);
        let rows =
            (1..).zip(moved.chain(gone).chain(sought)).map(|(number, values)| Row::new(number, values)).collect();
        let request = Request {
            overwrite: Overwrite::Update,
            campaigns: vec!["c".to_owned()],
            card_digits: None,
            rows,
            unreadable: Vec::new(),
        };
        let outcomes = matched_by_nobody(&request);
        assert!(taken(&outcomes[2 * third as usize]).1);
        assert!(
            outcomes
                .iter()
                .all(|outcome| !matches!(outcome, RowOutcome::Failed(reason) if reason.contains("two customers")))
        );
    });
}
