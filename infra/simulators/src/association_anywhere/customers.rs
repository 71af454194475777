//! What a customer is made of, worked out from seed, id and revision each time it is asked for.
//!
//! Every part draws from a random sequence of its own, so that a part is the same whichever others are asked for beside
//! it. What people keep (names, where they live) hangs on seed and id; what renewals change hangs on the revision too.

use super::documents::write_or_ignore;
use crate::names::{self, Name};

/// One customer in one revision.
#[derive(Clone, Copy)]
pub(super) struct Identity {
    seed: u64,
    pub(super) id: u64,
    revision: u32,
    pub(super) is_company: bool,
    pub(super) first_name: Name,
    pub(super) last_name: Name,
    company_ending: &'static str,
    pub(super) email_domain: &'static str,
    /// Some customers' dates are `MM/DD/YYYY`, the others' `YYYY-MM-DD`.
    pub(super) american_dates: bool,
    /// Some customers' names come as CDATA.
    pub(super) as_cdata: bool,
    /// Some customers' records lack the descriptions beside the codes.
    pub(super) with_descriptions: bool,
}

/// Tells the random sequences of one customer apart.
#[derive(Clone, Copy)]
pub(super) enum Part {
    Identity,
    Titles,
    Roles,
    Addresses,
    Phones,
    Emails,
    Websites,
    Jobs,
    Committees,
    Memberships,
    Renewals,
    Subscriptions,
    Preferences,
    Attributes,
    Bio,
    Aliases,
}

impl Identity {
    pub(super) fn new(seed: u64, id: u64, revision: u32) -> Self {
        let mut random = sequence(seed, id, Part::Identity, 0);
        Self {
            seed,
            id,
            revision,
            is_company: percent(&mut random, 8),
            first_name: pick(&mut random, &names::FIRST_NAMES),
            last_name: pick(&mut random, &names::LAST_NAMES),
            company_ending: pick(&mut random, &names::COMPANY_ENDINGS),
            email_domain: pick(&mut random, &["example.org", "example.com", "example.net"]),
            american_dates: percent(&mut random, 15),
            as_cdata: percent(&mut random, 15),
            with_descriptions: percent(&mut random, 35),
        }
    }

    /// People get a middle initial, and companies the number of a branch, that no other revision has.
    pub(super) fn display_name(&self) -> String {
        if self.is_company {
            let mut name = format!("{}{}", self.last_name.written, self.company_ending);
            if self.revision > 1 {
                write_or_ignore(&mut name, format_args!(" No. {}", self.revision));
            }
            return name;
        }
        match self.middle_name() {
            Some(middle) => format!("{} {middle} {}", self.first_name.written, self.last_name.written),
            None => format!("{} {}", self.first_name.written, self.last_name.written),
        }
    }

    /// None at first, then `B.` to `Z.`, then `AA.`, and so on.
    pub(super) fn middle_name(&self) -> Option<String> {
        if self.revision <= 1 {
            return None;
        }
        let mut letters = Vec::new();
        let mut number = self.revision;
        while number > 0 {
            letters.push(char::from(b'A' + ((number - 1) % 26) as u8));
            number = (number - 1) / 26;
        }
        Some(letters.iter().rev().chain(&['.']).collect())
    }

    pub(super) fn email(&self) -> String {
        let mut address = if self.is_company {
            format!("office.{}.{}", self.last_name.plain, self.id)
        } else {
            format!("{}.{}.{}", self.first_name.plain, self.last_name.plain, self.id)
        };
        if self.revision > 1 {
            write_or_ignore(&mut address, format_args!(".{}", self.revision));
        }
        address.push('@');
        address.push_str(self.email_domain);
        address
    }

    pub(super) fn sequence(&self, part: Part) -> fastrand::Rng {
        sequence(self.seed, self.id, part, 0)
    }

    pub(super) fn sequence_of_revision(&self, part: Part) -> fastrand::Rng {
        sequence(self.seed, self.id, part, self.revision)
    }
}

fn sequence(seed: u64, id: u64, part: Part, revision: u32) -> fastrand::Rng {
    let part_and_revision = (u64::from(revision) << 8) | part as u64;
    fastrand::Rng::with_seed(mixed(mixed(mixed(seed) ^ id) ^ part_and_revision))
}

/// The finishing step of SplitMix64: neighbouring numbers come out unlike each other.
fn mixed(number: u64) -> u64 {
    let number = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    number ^ (number >> 31)
}

pub(super) fn percent(random: &mut fastrand::Rng, percent: u8) -> bool {
    random.u8(0..100) < percent
}

pub(super) fn pick<T: Copy>(random: &mut fastrand::Rng, list: &[T]) -> T {
    list[random.usize(0..list.len())]
}
