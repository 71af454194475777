//! Counts what a thread allocates.

#![allow(unsafe_code, reason = "an allocator can't be written without")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// What was allocated while something ran.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// The most bytes that were held at once, beyond those that were held before.
    pub peak: u64,
    /// All bytes that were ever asked for.
    pub total: u64,
    /// How often.
    pub count: u64,
}

#[derive(Clone, Copy)]
struct Counts {
    live: i64,
    peak: i64,
    total: u64,
    count: u64,
}

thread_local! {
    // Constant and without a destructor: reading it allocates nothing.
    static COUNTS: Cell<Counts> = const { Cell::new(Counts { live: 0, peak: 0, total: 0, count: 0 }) };
}

/// The system's allocator, with a count for each thread.
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn took(bytes: usize) {
    let mut counts = COUNTS.get();
    counts.live += bytes as i64;
    counts.peak = counts.peak.max(counts.live);
    counts.total += bytes as u64;
    counts.count += 1;
    COUNTS.set(counts);
}

fn gave_back(bytes: usize) {
    let mut counts = COUNTS.get();
    counts.live -= bytes as i64;
    COUNTS.set(counts);
}

// SAFETY: every call is passed on to the system's allocator as it came; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        took(layout.size());
        // SAFETY: the caller's promise about `layout` holds for this call too.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        took(layout.size());
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        gave_back(layout.size());
        // SAFETY: the pointer came from the system's allocator with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // The old and the new piece may be held at once, as when it is copied.
        took(size);
        gave_back(layout.size());
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

/// Runs something on this thread, and returns what it allocated on it.
pub fn measured<T>(run: impl FnOnce() -> T) -> (T, Usage) {
    let before = COUNTS.get();
    COUNTS.set(Counts { peak: before.live, ..before });
    let result = run();
    let after = COUNTS.get();
    COUNTS.set(Counts { peak: after.peak.max(before.peak), ..after });
    let usage = Usage {
        peak: u64::try_from(after.peak - before.live).unwrap_or(0),
        total: after.total - before.total,
        count: after.count - before.count,
    };
    (result, usage)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_at_once_and_what_is_asked_for_in_all_are_counted() {
        let (kept, usage) = measured(|| {
            for _ in 0..10 {
                drop(std::hint::black_box(vec![1_u8; 1_000]));
            }
            std::hint::black_box(vec![1_u8; 500])
        });
        assert_eq!(usage, Usage { peak: 1_000, total: 10_500, count: 11 });
        let ((), usage) = measured(|| drop(kept));
        assert_eq!(usage, Usage::default());
    }
}
