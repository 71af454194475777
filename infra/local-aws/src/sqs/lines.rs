//! The messages of one queue that wait to be received, in a fair order.

use std::collections::{BTreeSet, HashMap, VecDeque};

use jiff::Timestamp;

use crate::sqs::message::Message;

/// One line for each group of messages. The next message comes from the group with the fewest messages in flight, and
/// of those from the one with its last turn the longest ago. So a group with many or slow messages delays no other. SQS
/// does about the same on a standard queue if messages have a `MessageGroupId`.
#[derive(Debug, Default)]
pub(super) struct Lines {
    lines: HashMap<Group, Line>,
    /// The groups with a waiting message, in the order of their turns: in flight, last turn, group.
    ready: BTreeSet<(usize, u64, Group)>,
    turns: u64,
    len: usize,
    /// No message was sent before this.
    oldest: Option<Timestamp>,
}

/// A message group, or a message without one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Group {
    Nobody(u64),
    Named(String),
}

#[derive(Debug, Default)]
struct Line {
    messages: VecDeque<Message>,
    in_flight: usize,
    last_turn: u64,
}

impl Group {
    fn of(message: &Message) -> Self {
        message.group.clone().map_or(Self::Nobody(message.id), Self::Named)
    }
}

impl Lines {
    /// How many messages wait.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The messages that wait, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Message> {
        self.lines.values().flat_map(|line| &line.messages)
    }

    /// Adds a message at the end of its line.
    pub(super) fn add(&mut self, message: Message) {
        self.oldest = Some(self.oldest.map_or(message.sent_at, |oldest| oldest.min(message.sent_at)));
        self.len += 1;
        let group = Group::of(&message);
        // A new group stands behind those that wait already.
        self.turns += 1;
        let newcomer = || Line { last_turn: self.turns, ..Line::default() };
        let line = self.lines.entry(group.clone()).or_insert_with(newcomer);
        line.messages.push_back(message);
        if line.messages.len() == 1 {
            self.ready.insert((line.in_flight, line.last_turn, group));
        }
    }

    /// Takes the next message; it is in flight until [`Lines::done`].
    pub(super) fn take(&mut self) -> Option<Message> {
        let (_, _, group) = self.ready.pop_first()?;
        self.turns += 1;
        let line = self.lines.get_mut(&group)?;
        let message = line.messages.pop_front()?;
        self.len -= 1;
        line.in_flight += 1;
        line.last_turn = self.turns;
        if !line.messages.is_empty() {
            self.ready.insert((line.in_flight, line.last_turn, group));
        }
        Some(message)
    }

    /// A message is no longer in flight: it was deleted, or comes back.
    pub(super) fn done(&mut self, message: &Message) {
        let group = Group::of(message);
        let Some(line) = self.lines.get_mut(&group) else { return };
        let was_ready = self.ready.remove(&(line.in_flight, line.last_turn, group.clone()));
        line.in_flight = line.in_flight.saturating_sub(1);
        if was_ready {
            self.ready.insert((line.in_flight, line.last_turn, group));
        } else if line.in_flight == 0 {
            self.lines.remove(&group);
        }
    }

    /// Drops the messages that were sent at `time` or before.
    pub(super) fn drop_sent_by(&mut self, time: Timestamp) {
        if self.oldest.is_none_or(|oldest| oldest > time) {
            return;
        }
        for line in self.lines.values_mut() {
            line.messages.retain(|message| message.sent_at > time);
        }
        self.lines.retain(|_, line| !line.messages.is_empty() || line.in_flight > 0);
        let waiting = self.lines.iter().filter(|(_, line)| !line.messages.is_empty());
        self.ready = waiting.map(|(group, line)| (line.in_flight, line.last_turn, group.clone())).collect();
        self.len = self.lines.values().map(|line| line.messages.len()).sum();
        self.oldest = self.lines.values().flat_map(|line| &line.messages).map(|message| message.sent_at).min();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Event {
        /// A message arrives, of this group or without a group.
        Add(Option<u8>),
        Take,
        /// One that is in flight is deleted, or comes back.
        Done(usize, bool),
    }

    fn event() -> impl Strategy<Value = Event> {
        let flood = (0..10_u8).prop_map(|group| Event::Add((group < 9).then_some(group / 4)));
        prop_oneof![
            3 => flood,
            3 => Just(Event::Take),
            2 => (0..20_usize, any::<bool>()).prop_map(|(which, back)| Event::Done(which, back)),
        ]
    }

    fn message(id: u64, group: Option<String>) -> Message {
        Message { id, group, body: String::new(), sent_at: Timestamp::UNIX_EPOCH, receives: 0 }
    }

    proptest! {
        /// Invariant 7: the next group has no more in flight than any other that waits, and of those with as few the
        /// one that waited longest comes first. And no message is lost or comes twice.
        #[test]
        fn a_turn_is_given_to_whoever_has_the_fewest_in_flight_and_waited_longest(
            events in prop::collection::vec(event(), 1..200),
        ) {
            let mut lines = Lines::default();
            let (mut waiting, mut in_flight): (Vec<(Group, u64)>, Vec<Message>) = Default::default();
            let mut last_turn: HashMap<Group, usize> = HashMap::new();
            for (time, event) in events.into_iter().enumerate() {
                let add = |lines: &mut Lines, waiting: &mut Vec<(Group, u64)>, message: Message| {
                    waiting.push((Group::of(&message), message.id));
                    lines.add(message);
                };
                match event {
                    Event::Add(group) => {
                        let new = message(time as u64, group.map(|group| group.to_string()));
                        if !waiting.iter().any(|(group, _)| *group == Group::of(&new))
                            && !in_flight.iter().any(|other| Group::of(other) == Group::of(&new))
                        {
                            last_turn.insert(Group::of(&new), time);
                        }
                        add(&mut lines, &mut waiting, new);
                    }
                    Event::Take => {
                        let Some(taken) = lines.take() else {
                            prop_assert!(waiting.is_empty());
                            continue;
                        };
                        let rank = |group: &Group| {
                            let busy = in_flight.iter().filter(|other| Group::of(other) == *group).count();
                            (busy, last_turn[group])
                        };
                        let group = Group::of(&taken);
                        let best = waiting.iter().map(|(group, _)| rank(group)).min();
                        prop_assert_eq!(Some(rank(&group)), best);
                        // Within a group the first comes first.
                        let first = waiting.iter().position(|(other, _)| *other == group).unwrap();
                        prop_assert_eq!(waiting.remove(first).1, taken.id);
                        last_turn.insert(group, time);
                        in_flight.push(taken);
                    }
                    Event::Done(which, comes_back) if !in_flight.is_empty() => {
                        let message = in_flight.remove(which % in_flight.len());
                        lines.done(&message);
                        if comes_back {
                            let group = Group::of(&message);
                            let is_known = waiting.iter().any(|(other, _)| *other == group)
                                || in_flight.iter().any(|other| Group::of(other) == group);
                            if !is_known {
                                last_turn.insert(group, time);
                            }
                            add(&mut lines, &mut waiting, message);
                        }
                    }
                    Event::Done(..) => {}
                }
                prop_assert_eq!(lines.len(), waiting.len());
            }
            while lines.take().is_some() {
                waiting.pop();
            }
            prop_assert!(waiting.is_empty());
        }
    }

    #[test]
    fn one_message_of_a_quiet_group_passes_a_flood() {
        let mut lines = Lines::default();
        for id in 0..10_000 {
            lines.add(message(id, Some("flood".to_owned())));
        }
        for _ in 0..50 {
            lines.take().unwrap();
        }
        lines.add(message(10_000, Some("quiet".to_owned())));
        assert_eq!(lines.take().unwrap().id, 10_000);
        assert_eq!(lines.take().unwrap().id, 50);
    }

    #[test]
    fn a_group_that_is_gone_leaves_nothing_behind() {
        let mut lines = Lines::default();
        for id in 0..100 {
            lines.add(message(id, (id % 2 == 0).then(|| id.to_string())));
        }
        while let Some(message) = lines.take() {
            lines.done(&message);
        }
        assert_eq!((lines.lines.len(), lines.ready.len(), lines.len()), (0, 0, 0));
    }
}
