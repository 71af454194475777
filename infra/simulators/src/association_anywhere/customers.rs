//! The content of a customer, computed from seed, id and revision at each request.
//!
//! Every part draws from its own random sequence, so that a part is the same whichever others are requested with it.
//! Names and addresses depend on seed and id; what renewals change depends on the revision too.

use crate::{
    names::{self, Name},
    random::{percent, pick, sequence},
};

/// One customer in one revision.
#[derive(Clone, Copy)]
pub(super) struct Identity {
    seed: u64,
    pub(super) id: u64,
    revision: u32,
    /// Whose e-mail address it has, if it is not its own: as that customer was in this revision.
    email_of: Option<(u64, u32)>,
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
        let mut random = sequence(seed, id, Part::Identity as u8, 0);
        Self {
            seed,
            id,
            revision,
            email_of: None,
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
        let (first, last) = (self.first_name.written, self.last_name.written);
        match self.middle_name() {
            Some(_) if self.is_company => format!("{last}{} No. {}", self.company_ending, self.revision),
            None if self.is_company => format!("{last}{}", self.company_ending),
            Some(middle) => format!("{first} {middle} {last}"),
            None => format!("{first} {last}"),
        }
    }

    pub(super) fn middle_name(&self) -> Option<String> {
        names::revision_initial(self.revision)
    }

    /// The same, with the e-mail address of another customer.
    pub(super) fn with_email_of(self, other: Option<(u64, u32)>) -> Self {
        Self { email_of: other, ..self }
    }

    pub(super) fn email(&self) -> String {
        if let Some((id, revision)) = self.email_of {
            return Self::new(self.seed, id, revision).email();
        }
        let Self { id, revision, email_domain, .. } = self;
        let first = if self.is_company { "office" } else { self.first_name.plain };
        let last = self.last_name.plain;
        match revision {
            0 | 1 => format!("{first}.{last}.{id}@{email_domain}"),
            _ => format!("{first}.{last}.{id}.{revision}@{email_domain}"),
        }
    }

    pub(super) fn sequence(&self, part: Part) -> fastrand::Rng {
        sequence(self.seed, self.id, part as u8, 0)
    }

    pub(super) fn sequence_of_revision(&self, part: Part) -> fastrand::Rng {
        sequence(self.seed, self.id, part as u8, self.revision)
    }
}
