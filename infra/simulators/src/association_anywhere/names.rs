//! Memberships, jobs and committees of the simulated customers. Texts may need escaping.

/// Id and name of chapters.
pub(super) const CHAPTERS: [(&str, &str); 6] = [
    ("NATL", "National"),
    ("VA", "Virginia Chapter"),
    ("MD", "Maryland Chapter"),
    ("MIDW", "Midwest Section"),
    ("R&D", "Research & Development Division"),
    ("STUD", "Student Section"),
];

/// Code and description of classes of members.
pub(super) const MEMBER_CLASSES: [(&str, &str); 5] =
    [("REG", "Regular"), ("STU", "Student"), ("RET", "Retired"), ("FEL", "Fellow"), ("COR", "Corporate")];

/// Id and name of publications.
pub(super) const PUBLICATIONS: [(&str, &str); 5] = [
    ("JRNL", "Journal"),
    ("NEWS", "Monthly Newsletter"),
    ("ANNL", "Annual Review & Directory"),
    ("WEBN", "Webinar Series"),
    ("LIBR", "Online Library"),
];

/// Job titles.
pub(super) const JOB_TITLES: [&str; 8] = [
    "Director of R&D",
    "Senior Engineer",
    "Professor",
    "Chief Executive Officer",
    "Nurse Practitioner",
    "Attorney at Law",
    "Student",
    "Librarian",
];

/// Id and name of committees.
pub(super) const COMMITTEES: [(&str, &str); 4] = [
    ("BOD", "Board of Directors"),
    ("EDU", "Education & Outreach"),
    ("NOM", "Nominating Committee"),
    ("ETH", "Ethics Committee"),
];

/// Code and description of positions in a committee.
pub(super) const POSITIONS: [(&str, &str); 3] = [("CHR", "Chair"), ("MBR", "Member"), ("SEC", "Secretary")];

/// Type, its name, code and the code's description of attributes.
pub(super) const ATTRIBUTES: [(&str, &str, &str, &str); 4] = [
    ("SPEC", "Specialty", "PED", "Pediatrics"),
    ("SPEC", "Specialty", "STR", "Structures & Materials"),
    ("LANG", "Language", "ES", "Español"),
    ("DIET", "Dietary needs", "VEG", "Vegetarian"),
];
