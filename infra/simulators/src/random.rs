//! Random choices that only a seed decides.
//!
//! Each part of an invented record draws from its own sequence, so that a part is the same whichever others are
//! requested with it.

/// The random sequence of one part of one record in one revision.
pub(crate) fn sequence(seed: u64, id: u64, part: u8, revision: u32) -> fastrand::Rng {
    let part_and_revision = (u64::from(revision) << 8) | u64::from(part);
    fastrand::Rng::with_seed(mixed(mixed(mixed(seed) ^ id) ^ part_and_revision))
}

/// The finishing step of SplitMix64: neighbouring numbers come out unlike each other.
fn mixed(number: u64) -> u64 {
    let number = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    number ^ (number >> 31)
}

pub(crate) fn percent(random: &mut fastrand::Rng, percent: u8) -> bool {
    random.u8(0..100) < percent
}

pub(crate) fn pick<T: Copy>(random: &mut fastrand::Rng, list: &[T]) -> T {
    list[random.usize(0..list.len())]
}

/// This many of a list, chosen at random; all of it if there are fewer.
pub(crate) fn choose_some<T>(random: &mut fastrand::Rng, mut list: Vec<T>, count: usize) -> Vec<T> {
    let count = count.min(list.len());
    for place in 0..count {
        let other = random.usize(place..list.len());
        list.swap(place, other);
    }
    list.truncate(count);
    list
}
