use super::*;
use crate::ContentHash;
use crate::Name;

const MODES: [Overwrite; 3] = [Overwrite::Yes, Overwrite::Update, Overwrite::Ignore];

/// Every column that is a field of the customer: the code is its id, and amounts are added to its account.
fn fields() -> impl Iterator<Item = Field> {
    let custom = [1, 12].map(Field::CustomField);
    Field::all().filter(|field| !matches!(field, Field::Code | Field::AutoAdd)).chain(custom)
}

fn row(number: u32, values: &[(Field, &str)]) -> Row {
    Row::new(number, values.iter().map(|(field, value)| (*field, (*value).to_owned())))
}

/// What a customer is after a row of the import `i-1`, with every secret sealed as `sealed(…)`.
fn applied(base: Option<&Content>, overwrite: Overwrite, row: &Row) -> Content {
    let sealed = row.given().filter(|(field, _)| field.is_secret());
    let sealed = sealed.map(|(field, value)| (field, format!("sealed({value})"))).collect();
    let campaigns = ["c-1".to_owned(), "c-2".to_owned()];
    let application = Application { overwrite, campaigns: &campaigns, import: "i-1" };
    let extras = RowExtras { card_number: None, origin: None, sealed: &sealed };
    apply_rows(base, [(row, extras)], &application)
}

/// A customer's value in a column, as the reader of the shadow finds it.
fn value_of(content: &Content, field: Field) -> Option<String> {
    let address = content.addresses.first();
    let attribute = |name: &str| match content.attributes.get(name) {
        Some(Attribute::Text(text)) => Some(text.clone()),
        _ => None,
    };
    match field {
        Field::Code | Field::AutoAdd => None,
        Field::CardNumber => content.external_id.clone(),
        Field::FirstName => content.name.first.clone(),
        Field::LastName => content.name.last.clone(),
        Field::Email => content.emails.first().map(|email| email.address.clone()),
        Field::Phone => content.phones.first().map(|phone| phone.number.clone()),
        Field::Street1 if attribute("street2").is_some() => None,
        Field::Street1 => address?.lines.first().cloned(),
        Field::Street2 => attribute("street2").or_else(|| address?.lines.get(1).cloned()),
        Field::City => address?.city.clone(),
        Field::State => address?.region.clone(),
        Field::PostalCode => address?.postal_code.clone(),
        Field::Country => address?.country.clone(),
        Field::CustomDate | Field::CustomField(_) | Field::CustomerUsername => attribute(&field.name()),
        Field::CustomerPassword | Field::CustomerPin => content.hidden.get(&*field.name()).cloned(),
    }
}

/// A value of this column, as it is stored.
fn stored(field: Field, value: &str) -> Option<String> {
    Some(if field.is_secret() { format!("sealed({value})") } else { value.to_owned() })
}

/// A customer with `old` in every column.
fn full() -> Content {
    let values: Vec<(Field, &str)> = fields().map(|field| (field, "old")).collect();
    applied(None, Overwrite::Update, &row(1, &values))
}

#[test]
fn the_modes_by_given_blank_and_absent_for_new_and_matched_customers() {
    let full = full();
    for field in fields() {
        // Another column is always given, so that the row says something.
        let other = if field == Field::City { Field::Country } else { Field::City };
        let given = row(2, &[(field, "new"), (other, "x")]);
        let blank = row(2, &[(field, ""), (other, "x")]);
        let absent = row(2, &[(other, "x")]);
        let (old, new) = (stored(field, "old"), stored(field, "new"));
        for mode in MODES {
            // A new customer has what is given, whatever the mode.
            assert_eq!(value_of(&applied(None, mode, &given), field), new, "{field:?} {mode:?} new, given");
            assert_eq!(value_of(&applied(None, mode, &blank), field), None, "{field:?} {mode:?} new, blank");
            assert_eq!(value_of(&applied(None, mode, &absent), field), None, "{field:?} {mode:?} new, absent");
        }
        // A matched customer that is ignored never comes here; see the matching.
        for (mode, row, expected, case) in [
            (Overwrite::Yes, &given, &new, "given"),
            (Overwrite::Yes, &blank, &None, "blank"),
            (Overwrite::Yes, &absent, &None, "absent"),
            (Overwrite::Update, &given, &new, "given"),
            (Overwrite::Update, &blank, &old, "blank"),
            (Overwrite::Update, &absent, &old, "absent"),
        ] {
            let after = applied(Some(&full), mode, row);
            assert_eq!(&value_of(&after, field), expected, "{field:?} {mode:?} matched, {case}");
            assert_eq!(value_of(&after, other), stored(other, "x"), "{field:?} {mode:?} matched, {case}");
        }
    }
}

#[test]
fn an_update_of_one_column_changes_no_other() {
    let full = full();
    for changed in fields() {
        let after = applied(Some(&full), Overwrite::Update, &row(2, &[(changed, "new")]));
        for field in fields() {
            let expected = stored(field, if field == changed { "new" } else { "old" });
            assert_eq!(value_of(&after, field), expected, "{field:?} after an update of {changed:?}");
        }
    }
}

#[test]
fn street_lines_come_in_any_order_and_none_replaces_the_other() {
    let second = applied(None, Overwrite::Update, &row(1, &[(Field::Street2, "Flat 4")]));
    assert_eq!(second.addresses[0].lines, ["Flat 4"]);
    let both = applied(Some(&second), Overwrite::Update, &row(2, &[(Field::Street1, "1 Main St")]));
    assert_eq!(both.addresses[0].lines, ["1 Main St", "Flat 4"]);
    let moved = applied(Some(&both), Overwrite::Update, &row(3, &[(Field::Street2, "Flat 5")]));
    assert_eq!(moved.addresses[0].lines, ["1 Main St", "Flat 5"]);
    assert!(!moved.attributes.contains_key("street2"));
}

#[test]
fn a_name_is_shown_as_what_is_left_of_it() {
    let jane = applied(None, Overwrite::Update, &row(1, &[(Field::FirstName, "Jane"), (Field::LastName, "Doe")]));
    assert_eq!(jane.name.display.as_deref(), Some("Jane Doe"));
    let married = applied(Some(&jane), Overwrite::Update, &row(2, &[(Field::LastName, "Roe")]));
    assert_eq!(married.name.display.as_deref(), Some("Jane Roe"));
    let blanked = applied(Some(&jane), Overwrite::Yes, &row(3, &[(Field::City, "x")]));
    assert_eq!(blanked.name, Name::default());
}

#[test]
fn an_amount_is_there_once_per_import_and_row_and_no_overwrite_takes_it_back() {
    let first = row(1, &[(Field::AutoAdd, "25")]);
    let entry = |amount: &str, row: &str| {
        let parts = [("campaign", "c-1"), ("amount", amount), ("import", "i-1"), ("row", row)];
        Attribute::Object(parts.map(|(name, text)| (name.to_owned(), Attribute::Text(text.to_owned()))).into())
    };
    let once = applied(None, Overwrite::Update, &first);
    assert_eq!(once.attributes["auto_add"], Attribute::List(vec![entry("25", "1")]));
    for mode in [Overwrite::Update, Overwrite::Yes] {
        assert_eq!(applied(Some(&once), mode, &first).attributes["auto_add"], once.attributes["auto_add"], "{mode:?}");
        let more = applied(Some(&once), mode, &row(2, &[(Field::AutoAdd, "25")]));
        assert_eq!(more.attributes["auto_add"], Attribute::List(vec![entry("25", "1"), entry("25", "2")]), "{mode:?}");
        let none = applied(Some(&once), mode, &row(3, &[(Field::City, "x")]));
        assert_eq!(none.attributes["auto_add"], once.attributes["auto_add"], "{mode:?}");
    }
}

#[test]
fn an_update_adds_to_the_campaigns_and_an_overwrite_replaces_them() {
    let texts =
        |texts: &[&str]| Attribute::List(texts.iter().map(|text| Attribute::Text((*text).to_owned())).collect());
    let mut base = full();
    base.attributes.insert("campaigns".to_owned(), texts(&["c-0", "c-2"]));
    let row = row(2, &[(Field::City, "x")]);
    let updated = applied(Some(&base), Overwrite::Update, &row);
    assert_eq!(updated.attributes["campaigns"], texts(&["c-0", "c-2", "c-1"]));
    assert_eq!(applied(Some(&base), Overwrite::Yes, &row).attributes["campaigns"], texts(&["c-1", "c-2"]));
}

#[test]
fn the_same_row_twice_is_the_row_once() {
    let values: Vec<(Field, &str)> = fields().chain([Field::AutoAdd]).map(|field| (field, "v")).collect();
    let row = row(1, &values);
    for mode in MODES {
        let once = applied(None, mode, &row);
        let hashes =
            [&once, &applied(Some(&once), mode, &row)].map(|content| ContentHash::of(&content.canonical_json()));
        assert_eq!(hashes[0], hashes[1], "{mode:?}");
    }
}

#[test]
fn secrets_are_nowhere_in_clear() {
    let row = row(1, &[(Field::CustomerPassword, "hunter2"), (Field::CustomerPin, "4711"), (Field::City, "x")]);
    let sealed =
        BTreeMap::from([(Field::CustomerPassword, "hash-a".to_owned()), (Field::CustomerPin, "hash-b".to_owned())]);
    let application = Application { overwrite: Overwrite::Yes, campaigns: &[], import: "i-1" };
    let extras = RowExtras { card_number: None, origin: None, sealed: &sealed };
    let content = apply_rows(None, [(&row, extras)], &application).canonical_json();
    for text in [content, format!("{row:?}")] {
        assert!(!text.contains("hunter2") && !text.contains("4711"), "{text}");
    }
}

/// Invariant: rows of one customer together have the same result as one after the other.
#[test]
fn rows_together_are_rows_in_turn() {
    let rows = [
        row(1, &[(Field::FirstName, "jane"), (Field::AutoAdd, "5"), (Field::Street2, "Flat 4")]),
        row(2, &[(Field::LastName, "doe"), (Field::AutoAdd, "5")]),
        row(1, &[(Field::City, "Anytown"), (Field::AutoAdd, "5")]),
    ];
    let sealed = BTreeMap::new();
    let campaigns = ["c-9".to_owned(), "c-2".to_owned()];
    for overwrite in MODES {
        for base in [None, Some(full())] {
            let application = Application { overwrite, campaigns: &campaigns, import: "i-2" };
            let extras = RowExtras { card_number: None, origin: None, sealed: &sealed };
            let together = apply_rows(base.as_ref(), rows.iter().map(|row| (row, extras)), &application);
            let in_turn = rows
                .iter()
                .fold(base.clone(), |base, row| Some(apply_rows(base.as_ref(), [(row, extras)], &application)));
            assert_eq!(Some(together), in_turn, "{overwrite:?}");
        }
    }
}
