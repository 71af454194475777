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

impl Section {
    /// Every section, in the order in which a request names them.
    pub const ALL: [Section; 20] = [
        Self::Roles,
        Self::Addresses,
        Self::Phones,
        Self::Emails,
        Self::Websites,
        Self::Jobs,
        Self::EmploymentAttributes,
        Self::CommitteePositions,
        Self::Memberships,
        Self::Subscriptions,
        Self::CommunicationPreferences,
        Self::CustomerAttributes,
        Self::CustDimAttrs,
        Self::Bio,
        Self::Aliases,
        Self::CompanyAdmins,
        Self::Certifications,
        Self::Employees,
        Self::ReferralInfo,
        Self::Files,
    ];

    /// The source's name of the section's element, such as `committeePositions`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Roles => "roles",
            Self::Addresses => "addresses",
            Self::Phones => "phones",
            Self::Emails => "emails",
            Self::Websites => "websites",
            Self::Jobs => "jobs",
            Self::EmploymentAttributes => "employmentAttributes",
            Self::CommitteePositions => "committeePositions",
            Self::Memberships => "memberships",
            Self::Subscriptions => "subscriptions",
            Self::CommunicationPreferences => "communicationPreferences",
            Self::CustomerAttributes => "customerAttributes",
            Self::CustDimAttrs => "custDimAttrs",
            Self::Bio => "bio",
            Self::Aliases => "aliases",
            Self::CompanyAdmins => "companyAdmins",
            Self::Certifications => "certifications",
            Self::Employees => "employees",
            Self::ReferralInfo => "referralInfo",
            Self::Files => "files",
        }
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
        match self {
            Self::Addresses | Self::Emails | Self::Websites => &["includeBad"],
            Self::Jobs | Self::CommitteePositions => &["includeInactive"],
            Self::EmploymentAttributes | Self::CustomerAttributes | Self::CustDimAttrs => &["includeAll"],
            Self::Memberships => &["includeInactive", "includeInactiveSlots"],
            Self::Subscriptions => &["includeExpired"],
            Self::Roles
            | Self::Phones
            | Self::CommunicationPreferences
            | Self::Bio
            | Self::Aliases
            | Self::CompanyAdmins
            | Self::Certifications
            | Self::Employees
            | Self::ReferralInfo
            | Self::Files => &[],
        }
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
