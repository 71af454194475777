use std::hint::black_box;

use model::{Content, ExternalKey};
use wire::connector::{ShownLeadSource, ShownUser, limits, one, read_lead_source, read_staff, read_user};

use crate::{Target, budget};

pub(super) const USER: Target = Target {
    peak: budget::PEAK_OF_RECORDS,
    name: "connector-user",
    read: |input| {
        let _ = black_box(read_user(input, &limits()));
    },
    holds: |input| {
        if let Ok(push) = read_user(input, &limits()) {
            super::stored::read_again(&push.content.content);
            let shown = shown_again(&push.key, &push.content.content);
            let again = read_user(shown.as_bytes(), &limits()).expect("what we show of a user is a user's document");
            assert_eq!(push.key, again.key);
            same_person(&push.content.content, &again.content.content);
        }
    },
};

pub(super) const STAFF: Target = Target {
    peak: budget::PEAK_OF_RECORDS,
    name: "connector-staff",
    read: |input| {
        let _ = black_box(read_staff(input, &limits()));
    },
    holds: |input| {
        if let Ok(push) = read_staff(input, &limits()) {
            let shown = shown_again(&push.key, &push.content.0);
            let again = read_staff(shown.as_bytes(), &limits()).expect("what we show of staff is a user's document");
            assert_eq!(push.key, again.key);
            same_person(&push.content.0, &again.content.0);
        }
    },
};

fn shown_again(key: &ExternalKey, content: &Content) -> String {
    let at = || "2012-04-10T04:11:07.023Z".to_owned();
    one(&ShownUser { id: "681c3c33-16f6-89e7-9c25-72fc59421237", key, content, created: at(), modified: at() })
}

/// What we show of a person is read as that person, but for what only its sender's own document has.
fn same_person(pushed: &Content, again: &Content) {
    assert_eq!(pushed.name, again.name);
    assert_eq!((pushed.status, pushed.stage), (again.status, again.stage));
    assert_eq!((&pushed.birth_date, &pushed.gender), (&again.birth_date, &again.gender));
    assert_eq!((&pushed.emails, &pushed.phones), (&again.emails, &again.phones));
    assert_eq!((&pushed.addresses, &pushed.organization), (&again.addresses, &again.organization));
}

pub(super) const LEAD_SOURCE: Target = Target {
    peak: budget::PEAK_OF_RECORDS,
    name: "connector-lead-source",
    read: |input| {
        let _ = black_box(read_lead_source(input, &limits()));
    },
    holds: |input| {
        if let Ok(push) = read_lead_source(input, &limits()) {
            let shown = one(&ShownLeadSource {
                id: "681c3c33-16f6-89e7-9c25-72fc59421237",
                key: &push.key,
                content: &push.content,
            });
            let again = read_lead_source(shown.as_bytes(), &limits()).expect("what we show of a lead source is one");
            assert_eq!(push.key, again.key);
            assert_eq!((&push.content.name, push.content.active), (&again.content.name, again.content.active));
        }
    },
};
