//! Whatever is imported, sent again, interrupted and undone, in any order: an undo restores exactly what held before
//! its import, or leaves a customer and says so; counts add up; a card number is one customer's.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use model::{Content, Status};
use operations::imports::UndoReport;
use proptest::collection::vec;
use proptest::prelude::*;
use tests::AssociationAnywhereFixture;
use tokio::runtime::Builder;

use super::support::{Answer, Form, all_customers, connection, customer, post, record, undo, world};

const HEADERS: [&str; 5] = ["code", "card_number", "email", "first_name", "auto_add"];

#[derive(Clone, Debug, PartialEq)]
struct Request {
    mode: &'static str,
    rows: Vec<String>,
    card_digits: bool,
}

#[derive(Clone, Debug)]
enum Step {
    /// Sends one of the requests.
    Send(usize),
    /// Sends it, and the function dies after so many requests to the store.
    Die(usize, i64),
    /// Takes an import back that was begun before: one that is not yet taken back, or one that is.
    Undo(prop::sample::Index, bool),
}

fn any_row() -> impl Strategy<Value = String> {
    let value = |values: &'static [&'static str]| prop::sample::select(values);
    let columns = (
        value(&["", "1", "1", "1", "2", "2"]),
        value(&["", "", "", "500", "600"]),
        value(&["", "", "a@x.org", "A@X.org", "b@x.org", "no address"]),
        value(&["", "jane", "jim", "janet", "larry", "mary"]),
        value(&["", "", "", "5"]),
    );
    columns.prop_map(|(code, card, email, name, amount)| [code, card, email, name, amount].join("|"))
}

fn any_request() -> impl Strategy<Value = Request> {
    let mode = prop::sample::select(vec!["yes", "update", "update", "update", "ignore"]);
    (mode, vec(any_row(), 1..4), prop::bool::weighted(0.2)).prop_map(|(mode, rows, card_digits)| Request {
        mode,
        rows,
        card_digits,
    })
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..3_usize).prop_map(Step::Send),
        2 => (0..3_usize, 4..16_i64).prop_map(|(request, after)| Step::Die(request, after)),
        3 => (any::<prop::sample::Index>(), prop::bool::weighted(0.2)).prop_map(|(import, again)| Step::Undo(import, again)),
    ]
}

/// What is known of one import: which request it carries out, and its id once anything tells it.
#[derive(Clone, Debug)]
struct Import {
    request: Request,
    id: String,
    is_undone: bool,
}

/// The writer of a customer, by place among the imports, and the content before; `None` for a customer that was gone.
type Written = (Option<usize>, Option<Content>);

/// A world, and what must hold in it.
struct History {
    world: AssociationAnywhereFixture,
    imports: Vec<Import>,
    /// The writers of each customer, the first at the bottom, without what was undone.
    written: BTreeMap<String, Vec<Written>>,
    has_died: bool,
}

impl History {
    async fn now(&self) -> BTreeMap<String, Option<Content>> {
        let mut ids: BTreeSet<String> = all_customers(&self.world).await.into_iter().collect();
        ids.extend(self.written.keys().cloned());
        let mut now = BTreeMap::new();
        for source_id in ids {
            let content = customer(&self.world, &source_id).await.map(|customer| customer.content);
            now.insert(source_id, content.filter(|content| content.status != Status::Deleted));
        }
        now
    }

    fn top(&self, source_id: &str) -> Option<Content> {
        self.written.get(source_id).and_then(|written| written.last()).and_then(|(_, content)| content.clone())
    }

    /// Sends a request; `None` if its function died.
    async fn send(&mut self, request: &Request, dies_after: Option<i64>) -> Option<Answer> {
        let mut form = Form::rows(request.mode, &HEADERS, &request.rows.iter().map(String::as_str).collect::<Vec<_>>());
        if request.card_digits {
            form = form.with("card_number_generate", "6");
        }
        self.world.store_budget.set(dies_after.unwrap_or(i64::MAX));
        let answer = post(&self.world, &form).await;
        self.world.store_budget.set(i64::MAX);
        self.world.clock.advance(Duration::from_secs(if dies_after.is_some() { 30 } else { 1 }));
        self.has_died |= dies_after.is_some();
        let import = self.import_of(request).await;
        for (source_id, content) in self.now().await {
            if content != self.top(&source_id) {
                let import = import.unwrap();
                let bottom = vec![(None, None)];
                self.written.entry(source_id).or_insert(bottom).push((Some(import), content));
            }
        }
        (!answer.text.contains("\"error\"")).then_some(answer)
    }

    /// The import that a request is now, if it has come so far.
    async fn import_of(&mut self, request: &Request) -> Option<usize> {
        let known = self.imports.iter().position(|import| import.request == *request && !import.is_undone);
        if known.is_some() {
            return known;
        }
        let listed = self.world.imports().list(&connection()).await.unwrap();
        let new = listed.into_iter().find(|record| self.imports.iter().all(|import| import.id != record.id))?;
        self.imports.push(Import { request: request.clone(), id: new.id, is_undone: false });
        Some(self.imports.len() - 1)
    }

    async fn check_answer(&self, request: &Request, answer: &Answer) {
        assert_eq!(answer.counts().iter().sum::<u64>(), request.rows.len() as u64);
        let record = record(&self.world, &answer.import()).await;
        assert_eq!(record.counts.by_name().map(|(_, count)| count), answer.counts());
        assert!(record.finished_at.is_some() && record.undo_began_at.is_none());
    }

    /// Undoes an import: customers that it wrote last get back what was there before, and all others stay.
    async fn undo(&mut self, import: usize) {
        let before = self.now().await;
        let report = undo(&self.world, &self.imports[import].id).await;
        self.imports[import].is_undone = true;
        self.world.clock.advance(Duration::from_secs(1));
        let now = self.now().await;
        let rivals = cards(&now);
        for (source_id, written) in &mut self.written {
            let is_its_own = |written: &Written| written.0 == Some(import);
            let wrote = written.iter().any(is_its_own);
            let was_last = written.last().is_some_and(is_its_own);
            if report.card_taken.contains(source_id) {
                assert!(was_last, "{source_id} {report:?}");
                assert_eq!(now[source_id], before[source_id], "{source_id} is left alone");
                let mut back = written.clone();
                while back.last().is_some_and(is_its_own) {
                    back.pop();
                }
                let card = back.last().and_then(|(_, content)| content.clone()?.external_id).unwrap();
                assert!(rivals.get(&card).is_some_and(|holders| !holders.contains(source_id)), "{source_id} {card}");
                continue;
            }
            while written.last().is_some_and(is_its_own) {
                written.pop();
            }
            let expected = written.last().and_then(|(_, content)| content.clone());
            assert_eq!(now[source_id], expected, "{source_id} after the undo of {import}: {report:?}");
            assert_eq!(is_named_as_back(&report, source_id), was_last, "{source_id} {report:?}");
            assert!(!wrote || was_last || is_named(&report, source_id), "{source_id} {report:?}");
        }
    }

    async fn check_cards(&self) {
        // Until it is sent again, an import that died may have given a customer a card number that it did not yet take
        // from another.
        if !self.has_died {
            let now = self.now().await;
            let shared: Vec<_> = cards(&now).into_iter().filter(|(_, holders)| holders.len() > 1).collect();
            assert_eq!(shared, []);
        }
    }
}

/// Which customers have which card number.
fn cards(now: &BTreeMap<String, Option<Content>>) -> HashMap<String, BTreeSet<String>> {
    let mut cards: HashMap<String, BTreeSet<String>> = HashMap::new();
    for (source_id, content) in now {
        if let Some(card) = content.as_ref().and_then(|content| content.external_id.clone()) {
            cards.entry(card).or_default().insert(source_id.clone());
        }
    }
    cards
}

fn is_named_as_back(report: &UndoReport, source_id: &String) -> bool {
    report.restored.contains(source_id) || report.removed.contains(source_id)
}

fn is_named(report: &UndoReport, source_id: &String) -> bool {
    [&report.changed_since, &report.already_back, &report.card_taken].iter().any(|group| group.contains(source_id))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, max_shrink_iters: 100, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn an_undo_restores_what_held_before_its_import_or_leaves_it(
        requests in vec(any_request(), 3),
        steps in vec(any_step(), 6..12)
    ) {
        Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
            let mut history =
                History { world: world().await, imports: Vec::new(), written: BTreeMap::new(), has_died: false };
            for step in steps {
                match step {
                    Step::Send(request) => {
                        let answer = history.send(&requests[request], None).await.unwrap();
                        history.check_answer(&requests[request], &answer).await;
                    }
                    Step::Die(request, after) => drop(history.send(&requests[request], Some(after)).await),
                    Step::Undo(import, again) => {
                        let begun = history.imports.iter().enumerate();
                        let begun: Vec<usize> =
                            begun.filter(|(_, import)| again || !import.is_undone).map(|(place, _)| place).collect();
                        if !begun.is_empty() {
                            history.undo(begun[import.index(begun.len())]).await;
                        }
                    }
                }
                history.check_cards().await;
            }
        });
    }
}
