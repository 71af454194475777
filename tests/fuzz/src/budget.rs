//! What reading an input may cost.
//!
//! Time can't be measured in a test without chance. What is counted here instead is the same in every run: how often
//! memory is asked for, and how much in all. Both must stay within a multiple of the input.
//! `tests/fuzz/tests/growth.rs` measures real time too, on inputs of two sizes; a long run ends with an input that
//! takes 20 seconds.

use crate::Target;
use crate::meter::{Usage, measured};

/// The size of an input of which a part is repeated, in bytes.
pub const ENLARGED: usize = 256 * 1024;

/// Bytes that may be held at once, for each byte of the input and beside it.
pub const PEAK: (u64, u64) = (8, 1024 * 1024);
/// The same for readers of records. Their readers bound a record by the number of its elements, 20,000, and not by its
/// length: a record of as many elements that are all as short as can be takes this much.
pub const PEAK_OF_RECORDS: (u64, u64) = (8, 10 * 1024 * 1024);
/// The same for a batch, which is bounded by the number of its rows, 20,000.
pub const PEAK_OF_ROWS: (u64, u64) = (8, 5 * 1024 * 1024);
/// The same for an operator's own file, whose tokens, errors and tree are those of the crate `toml`.
pub const PEAK_OF_TOML: (u64, u64) = (128, 1024 * 1024);

/// Bytes that may be asked for in all.
const TOTAL: (u64, u64) = (200, 4 * 1024 * 1024);
/// How often memory may be asked for.
const COUNT: (u64, u64) = (2, 2_000);

/// Reads an input, and checks what that took.
pub fn check(target: &Target, input: &[u8]) -> Usage {
    let ((), usage) = measured(|| (target.read)(input));
    let length = input.len() as u64;
    for (what, used, (each, beside)) in [
        ("bytes held at once", usage.peak, target.peak),
        ("bytes asked for in all", usage.total, TOTAL),
        ("pieces of memory asked for", usage.count, COUNT),
    ] {
        let allowed = each * length + beside;
        assert!(
            used <= allowed,
            "{}: {used} {what} for an input of {length} bytes: {allowed} are allowed",
            target.name
        );
    }
    usage
}
