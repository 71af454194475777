//! Whether a queue is still the one that a batch was made of.
//!
//! A purge names a number, and clears what was queued up to it. A source that rebuilds an environment numbers anew:
//! there the same number stands for entries that were never read. So the queue is asked before every purge. It is
//! purged only if it still holds every customer of a sample of the batch, up to a number that is not below the batch's.
//! Otherwise it is left alone: what is not purged is reported again.
//!
//! What can't be seen: a queue that was rebuilt since the batch began, that holds all of the batch's customers again,
//! and whose numbers have already passed the batch's, as when every customer was queued anew during a first sync. Its
//! answer is the same as that of the queue before. Nor can one that is rebuilt between the answer and the purge: so an
//! answer that took long is asked for again.

use std::cmp::Ordering;

use crate::PlantedFault;

/// What to do with a queue, once all customers of a batch have come to an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueueVerdict {
    /// It is to be purged with the batch's number.
    Purge,
    /// It holds no customer of the batch any more: a purge was carried out, and its answer was lost. Nothing is left to
    /// purge.
    NothingLeft,
    /// It may be another queue, for this reason: it must not be purged, and is asked again.
    Doubtful(&'static str),
}

/// Judges a queue by its answer: `number` is the batch's, `number_now` the queue's, and of `sampled` customers of the
/// batch it still holds `found`.
pub fn judge_queue(number: &str, number_now: Option<&str>, sampled: usize, found: usize) -> QueueVerdict {
    if PlantedFault::PurgesAnotherQueue.is_planted() {
        return QueueVerdict::Purge;
    }
    if found == 0 {
        return QueueVerdict::NothingLeft;
    }
    if found < sampled {
        return QueueVerdict::Doubtful("the queue holds only some of the batch's customers");
    }
    match number_now.map(|now| compare_numbers(now, number)) {
        None => QueueVerdict::Doubtful("the queue holds customers, and gives no number"),
        Some(Ordering::Less) => QueueVerdict::Doubtful("the queue's numbers are below the batch's: it was built anew"),
        Some(Ordering::Equal | Ordering::Greater) => QueueVerdict::Purge,
    }
}

/// Compares numbers of any length by their digits.
fn compare_numbers(one: &str, other: &str) -> Ordering {
    let (one, other) = (one.trim_start_matches('0'), other.trim_start_matches('0'));
    one.len().cmp(&other.len()).then_with(|| one.cmp(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_is_purged_only_where_it_holds_all_of_the_batch_up_to_its_number() {
        for now in ["4711", "4712", "10000", "0004711", "123456789012345678901234567890"] {
            assert_eq!(judge_queue("4711", Some(now), 9, 9), QueueVerdict::Purge, "{now}");
        }
        for now in ["1", "4710", "999", "0"] {
            assert!(matches!(judge_queue("4711", Some(now), 9, 9), QueueVerdict::Doubtful(_)), "{now}");
        }
        assert!(matches!(judge_queue("4711", None, 9, 9), QueueVerdict::Doubtful(_)));
        assert!(matches!(judge_queue("4711", Some("5000"), 9, 8), QueueVerdict::Doubtful(_)));
    }

    #[test]
    fn where_nobody_of_the_batch_is_left_there_is_nothing_to_purge() {
        assert_eq!(judge_queue("4711", Some("5000"), 9, 0), QueueVerdict::NothingLeft);
        assert_eq!(judge_queue("4711", None, 9, 0), QueueVerdict::NothingLeft);
        assert_eq!(judge_queue("4711", Some("4711"), 0, 0), QueueVerdict::NothingLeft);
    }
}
