//! What a site's administrators have set up: kinds of customers, and the forms that visitors fill in. Texts may need
//! escaping.

pub(super) const CUSTOMER_TYPES: [&str; 4] = ["Customer", "Prospect", "Member & Volunteer", "Supplier"];
pub(super) const INDUSTRY_TYPES: [&str; 4] = ["Retail", "Health & Fitness", "Education", "Hospitality"];
pub(super) const LEAD_SOURCE_TYPES: [&str; 4] = ["Web form", "Trade show", "Word of mouth", "Newsletter <2011"];
pub(super) const RATING_TYPES: [&str; 3] = ["Hot", "Warm", "Cold"];

/// A form, with what visitors answer.
pub(super) struct FormTemplate {
    pub(super) id: i64,
    pub(super) name: &'static str,
    pub(super) fields: &'static [FieldTemplate],
}

/// One question of a form.
pub(super) struct FieldTemplate {
    pub(super) id: i64,
    pub(super) type_id: i64,
    pub(super) name: &'static str,
    pub(super) answers: &'static [&'static str],
}

const fn field(id: i64, type_id: i64, name: &'static str, answers: &'static [&'static str]) -> FieldTemplate {
    FieldTemplate { id, type_id, name, answers }
}

/// Between them they hold every type of field: 1 text, 2 number, 3 boolean, 4 date-time, 5 dropdown, 6 checkbox list, 7
/// radio list, 8 image, 9 multiline, 10 listbox, 11 hyperlink.
pub(super) static FORMS: [FormTemplate; 4] = [
    FormTemplate {
        id: 10401,
        name: "Newsletter & Offers",
        fields: &[
            field(70101, 6, "Interests", &["Wine,Food & Travel", "Music", "Books,Music,Theatre", ""]),
            field(70102, 7, "How often?", &["Weekly", "Monthly"]),
        ],
    },
    FormTemplate {
        id: 10402,
        name: "Contact us",
        fields: &[
            field(70201, 1, "Subject", &["PageRequest", "Größe & Farbe", "Opening hours"]),
            field(70202, 9, "Message", &["Hello,\nplease call me back.\nThank you", "Is 5 < 6 & 7 > 6?", "\"Quoted\""]),
            field(70203, 3, "Call me", &["true", "false"]),
        ],
    },
    FormTemplate {
        id: 10403,
        name: "Membership",
        fields: &[
            field(70301, 2, "Member number", &["4711", "12", "90210"]),
            field(70302, 4, "Expires", &["2027-06-30T00:00:00", "9999-12-31T23:59:59", "0001-01-01T00:00:00"]),
            field(70303, 5, "Branch", &["Sydney", "Melbourne", "Perth"]),
            field(70304, 10, "Languages", &["English", "English,Deutsch", "中文"]),
        ],
    },
    FormTemplate {
        id: 10404,
        name: "Profile",
        fields: &[
            field(70401, 8, "Photo", &["/CustomerPhotos/1.jpg", ""]),
            field(70402, 11, "Web page", &["https://www.example.org/?a=1&b=2", ""]),
        ],
    },
];
