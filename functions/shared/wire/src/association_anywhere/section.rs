/// A part of a customer's details that a request asks for by name; a section that is not asked for does not come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[allow(missing_docs, reason = "each section is named by the source's own element, see `name`")]
#[serde(rename_all = "camelCase")]
pub enum Section {
    Roles,
    Addresses,
    Phones,
    Emails,
    Websites,
    Jobs,
    EmploymentAttributes,
    CommitteePositions,
    Memberships,
    Subscriptions,
    CommunicationPreferences,
    CustomerAttributes,
    CustDimAttrs,
    Bio,
    Aliases,
    CompanyAdmins,
    Certifications,
    Employees,
    ReferralInfo,
    Files,
}

/// Each section with the source's name of its element, and what a request adds to `include="true"`, so that nothing of
/// the section is held back.
const SECTIONS: [(Section, &str, &[&str]); 20] = [
    (Section::Roles, "roles", &[]),
    (Section::Addresses, "addresses", &["includeBad"]),
    (Section::Phones, "phones", &[]),
    (Section::Emails, "emails", &["includeBad"]),
    (Section::Websites, "websites", &["includeBad"]),
    (Section::Jobs, "jobs", &["includeInactive"]),
    (Section::EmploymentAttributes, "employmentAttributes", &["includeAll"]),
    (Section::CommitteePositions, "committeePositions", &["includeInactive"]),
    (Section::Memberships, "memberships", &["includeInactive", "includeInactiveSlots"]),
    (Section::Subscriptions, "subscriptions", &["includeExpired"]),
    (Section::CommunicationPreferences, "communicationPreferences", &[]),
    (Section::CustomerAttributes, "customerAttributes", &["includeAll"]),
    (Section::CustDimAttrs, "custDimAttrs", &["includeAll"]),
    (Section::Bio, "bio", &[]),
    (Section::Aliases, "aliases", &[]),
    (Section::CompanyAdmins, "companyAdmins", &[]),
    (Section::Certifications, "certifications", &[]),
    (Section::Employees, "employees", &[]),
    (Section::ReferralInfo, "referralInfo", &[]),
    (Section::Files, "files", &[]),
];

impl Section {
    /// Every section, in the order in which a request names them.
    pub const ALL: [Section; 20] = {
        let mut all = [Self::Roles; 20];
        let mut place = 0;
        while place < all.len() {
            all[place] = SECTIONS[place].0;
            // They are looked up by their places.
            assert!(all[place] as usize == place);
            place += 1;
        }
        all
    };

    /// The source's name of the section's element, such as `committeePositions`.
    pub fn name(self) -> &'static str {
        SECTIONS[self as usize].1
    }

    /// The section of that name, spelled as [`name`](Self::name) spells it.
    pub fn from_name(name: &str) -> Option<Section> {
        Self::ALL.into_iter().find(|section| section.name() == name)
    }

    /// The section with this `folded` element name: in lower case and without `-` and `_`.
    pub(crate) fn from_folded(folded: &str) -> Option<Section> {
        Self::ALL.into_iter().find(|section| section.name().eq_ignore_ascii_case(folded))
    }

    /// What a request adds to `include="true"`, so that nothing of the section is held back.
    pub(crate) fn further_flags(self) -> &'static [&'static str] {
        SECTIONS[self as usize].2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_section_is_found_by_its_own_name_and_by_no_other() {
        for section in Section::ALL {
            assert_eq!(Section::from_name(section.name()), Some(section));
            assert_eq!(Section::from_folded(&section.name().to_lowercase()), Some(section));
        }
        for name in ["", "Roles", "role", "committeepositions", "committee-positions"] {
            assert_eq!(Section::from_name(name), None, "{name:?}");
        }
    }
}
