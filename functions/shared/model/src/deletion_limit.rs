//! The deletion limit: more deletions in one batch than are plausible wait for an operator.

/// So many customers may always be deleted in one batch: without it, a small connection could hardly delete any.
pub const ALWAYS_ALLOWED: u64 = 50;

/// How many of a connection's customers one batch may delete: `percent` of them, and never fewer than
/// [`ALWAYS_ALLOWED`]; with 100 percent all of them. `customers` counts those that are not deleted.
pub fn deletes_allowed(customers: u64, percent: u32) -> u64 {
    if percent >= 100 {
        return u64::MAX;
    }
    let share = u128::from(customers) * u128::from(percent) / 100;
    u64::try_from(share).unwrap_or(u64::MAX).max(ALWAYS_ALLOWED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_may_delete_its_share_of_the_customers_and_never_fewer_than_fifty() {
        for (customers, percent, allowed) in
            [(0, 5, 50), (1_000, 5, 50), (1_019, 5, 50), (1_020, 5, 51), (100_000, 5, 5_000), (100_000, 0, 50)]
        {
            assert_eq!(deletes_allowed(customers, percent), allowed, "{percent} % of {customers}");
        }
        assert_eq!(deletes_allowed(u64::MAX, 99), u64::MAX / 100 * 99 + u64::MAX % 100 * 99 / 100);
    }

    #[test]
    fn a_hundred_percent_is_no_limit() {
        assert_eq!(deletes_allowed(0, 100), u64::MAX);
        assert_eq!(deletes_allowed(10, u32::MAX), u64::MAX);
    }
}
