//! Customers as a batch to be sent, and what the receiver answers.

use std::borrow::Cow;

use model::{Address, Content, CustomerType, Email, Name, Phone, without_marks};
use wire::customers_batch::{
    Access, BatchAnswer, BatchToSend, Dialect, RowError, RowToSend, SENT_COLUMNS, Version, batches_of,
    read_batch_answer,
};
use wire::{Limits, ReadError};

use super::*;
use crate::sample::record;

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn access() -> Access {
    Access { user_id: "john1970".to_owned(), secret: "hunter2".to_owned(), account_id: "greatwidgets".to_owned() }
}

fn dialect(version: Version) -> Dialect {
    Dialect { version, overwrite: Overwrite::Update, campaigns: vec!["1".to_owned(), "2".to_owned()] }
}

fn row(source_id: &str, content: Content) -> RowToSend {
    RowToSend::of(&record(source_id, content)).unwrap()
}

fn in_city(source_id: &str, city: &str) -> RowToSend {
    row(
        source_id,
        Content { addresses: vec![Address { city: some(city), ..Address::default() }], ..Content::default() },
    )
}

fn jane() -> Content {
    let email = |address: &str, primary, bad| Email { address: address.to_owned(), primary, bad, kind: None };
    let phone = |number: &str, primary| Phone { number: number.to_owned(), primary, kind: None };
    Content {
        name: Name { display: some("Dr. Jane Doe"), first: some(" Jane "), last: some("Doe"), ..Name::default() },
        emails: vec![email("old@example.org", false, true), email("jane@example.org", false, false)],
        phones: vec![phone("555-0199", false), phone("555-0100", true)],
        addresses: vec![
            Address { city: some("Elsewhere"), ..Address::default() },
            Address {
                lines: vec!["1 Main St".to_owned(), "Floor 2".to_owned(), "Door 3".to_owned()],
                city: some("Anytown"),
                region: some("VA"),
                postal_code: some("22000"),
                country: some("US"),
                primary: true,
                ..Address::default()
            },
        ],
        birth_date: some("1980-02-29"),
        ..Content::default()
    }
}

/// The text of a form's field.
fn field<'a>(form: &'a [(Cow<'static, str>, String)], name: &str) -> Option<&'a str> {
    form.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

/// The lines of the data in a batch of all these rows.
fn lines(rows: &[RowToSend]) -> Vec<String> {
    let [batch] = &batches_of(rows)[..] else { panic!("more than one batch") };
    let form = batch.form(rows, &access(), &dialect(Version::Legacy));
    field(&form, "Profiles_Data").unwrap().lines().map(str::to_owned).collect()
}

/// The request that a batch is, as our own receiving side reads it.
fn received(batch: &BatchToSend, rows: &[RowToSend], dialect: &Dialect) -> BatchRequest {
    let form = batch.form(rows, &access(), dialect);
    let fields: Vec<(String, String)> = form.into_iter().map(|(name, value)| (name.into_owned(), value)).collect();
    let form = Form::read(None, &urlencoded(&fields)).unwrap();
    expect_batch(&form).unwrap();
    assert_eq!(read_output(&form).0.format, Format::Xml);
    assert_eq!(read_access(&form, None).unwrap(), access());
    read_request(&form).unwrap_or_else(|problem| panic!("{problem}"))
}

#[test]
fn a_batch_is_a_form_of_either_version() {
    let rows = [row("7", jane()), row("8", Content::default())];
    let columns = [
        "code",
        "first_name",
        "last_name",
        "email",
        "phone",
        "custom_date",
        "street1",
        "street2",
        "city",
        "state",
        "postal_code",
        "country",
    ];
    let data = "aa~7|Jane|Doe|jane@example.org|555-0100|1980-02-29|1 Main St|Floor 2, Door 3|Anytown|VA|22000|US\n\
                aa~8|||||||||||\n";
    let common = [
        ("type", "customers_batch"),
        ("output", "XML"),
        ("user_id", "john1970"),
        ("account_id", "greatwidgets"),
        ("delimiter", "pipe"),
        ("overwrite_duplicates", "update"),
    ];
    let legacy = [("user_password", "hunter2"), ("campaigns_to_include", "1|,|2"), ("no_undo", "yes")];
    let newer = [("API", "1.5"), ("user_api_key", "hunter2"), ("campaigns_to_include", "1,2")];
    for (version, own, data_name) in
        [(Version::Legacy, legacy, "Profiles_Data"), (Version::V1_5, newer, "profiles_data")]
    {
        let [batch] = &batches_of(&rows)[..] else { panic!("more than one batch") };
        let mut expected: Vec<(String, String)> =
            common.iter().chain(&own).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        expected
            .extend((1..).zip(columns).map(|(number, name)| (format!("profiles_header_{number}"), name.to_owned())));
        expected.push((data_name.to_owned(), data.to_owned()));
        let form = batch.form(&rows, &access(), &dialect(version));
        let form: Vec<(String, String)> = form.into_iter().map(|(name, value)| (name.into_owned(), value)).collect();
        assert_eq!(form, expected);

        let request = received(batch, &rows, &dialect(version));
        assert_eq!((request.import.overwrite, request.saves_undo), (Overwrite::Update, false));
        assert_eq!(request.import.campaigns, ["1", "2"]);
        assert_eq!((request.import.rows.len(), request.failed, request.ignored), (2, vec![], vec![]));
    }
}

#[test]
fn each_overwrite_is_sent_by_its_name() {
    let rows = [row("7", jane())];
    for overwrite in [Overwrite::Yes, Overwrite::Update, Overwrite::Ignore] {
        let dialect = Dialect { overwrite, ..dialect(Version::Legacy) };
        assert_eq!(received(&batches_of(&rows)[0], &rows, &dialect).import.overwrite, overwrite);
    }
}

#[test]
fn every_row_has_every_column_so_that_what_became_empty_is_sent_as_empty() {
    let nobody = Content::tombstone_of(Some(&jane()));
    assert_eq!(lines(&[row("7", nobody)]), [format!("aa~7{}", "|".repeat(SENT_COLUMNS.len() - 1))]);
}

#[test]
fn who_has_only_a_display_name_has_it_as_the_last_name() {
    let acme = Content {
        kind: CustomerType::Company,
        name: Name { display: some("Acme Ltd"), first: some(" "), ..Name::default() },
        ..Content::default()
    };
    let first_only =
        Content { name: Name { display: some("J"), first: some("Jo"), ..Name::default() }, ..acme.clone() };
    assert_eq!(lines(&[row("1", acme), row("2", first_only)]), ["aa~1||Acme Ltd|||||||||", "aa~2|Jo||||||||||"]);
}

#[test]
fn what_a_column_can_not_hold_by_its_form_is_left_empty() {
    let email = |address: &str| Email { address: address.to_owned(), ..Email::default() };
    let content = Content {
        emails: vec![Email { primary: true, ..email("n/a") }, email("\u{200b}jo@example.org ")],
        phones: vec![Phone { primary: true, ..Phone::default() }, Phone { number: "5".to_owned(), ..Phone::default() }],
        birth_date: some("29.02.1980"),
        ..Content::default()
    };
    assert_eq!(lines(&[row("1", content)]), ["aa~1|||jo@example.org|5|||||||"]);
}

#[test]
fn what_can_not_be_a_row_is_refused_by_the_name_of_its_column() {
    let with_city = |city: &str| {
        let addresses = vec![Address { city: some(city), ..Address::default() }];
        RowToSend::of(&record("7", Content { addresses, ..Content::default() })).unwrap_err()
    };
    for city in ["Any\ntown", "Any\rtown", "Any\r\ntown"] {
        let error = with_city(city);
        assert_eq!(error, RowError::LineEnd { column: "city".into() });
        assert_eq!(error.to_string(), "column `city`: holds a line end, which would end the row");
    }
    assert_eq!(with_city("Any\0town").to_string(), "column `city`: holds a control character");
    assert_eq!(with_city(&"x".repeat(2_001)).to_string(), "column `city`: has 2001 bytes; at most 2000 are taken");
    let error = with_city("a|b,c\td");
    assert_eq!(error, RowError::NoDelimiter);
    assert!(error.to_string().starts_with("its values hold a pipe, a comma and a tab"), "{error}");
    // White space at the ends is no part of a value, line ends included.
    assert_eq!(lines(&[in_city("7", " \r\nAnytown\t\n")]), ["aa~7||||||||Anytown|||"]);
}

#[test]
fn the_delimiter_stands_in_no_value() {
    for (cities, delimiter) in [
        (["a", "b", "c"], "pipe"),
        (["a,b\tc", "b", "c"], "pipe"),
        (["a|b", "b", "c"], "comma"),
        (["a|b", "b\tc", "c"], "comma"),
        (["a|b", "b,c", "c|,d"], "tab"),
    ] {
        let rows: Vec<RowToSend> = (1..).zip(cities).map(|(id, city)| in_city(&id.to_string(), city)).collect();
        let batches = batches_of(&rows);
        assert_eq!(batches.len(), 1, "{cities:?}");
        assert_eq!(batches[0].places, [0, 1, 2]);
        let form = batches[0].form(&rows, &access(), &dialect(Version::Legacy));
        assert_eq!(field(&form, "delimiter"), Some(delimiter), "{cities:?}");
    }
}

#[test]
fn rows_without_a_delimiter_in_common_go_in_as_few_batches_as_they_can() {
    let places = |cities: &[&str]| {
        let rows: Vec<RowToSend> = (1..).zip(cities).map(|(id, city)| in_city(&id.to_string(), city)).collect();
        let batches: Vec<Vec<usize>> = batches_of(&rows).into_iter().map(|batch| batch.places).collect();
        batches
    };
    assert_eq!(places(&["a|,", "b|\tb", "c"]), [vec![1, 2], vec![0]]);
    // The first could have a comma, and would need a batch more.
    assert_eq!(places(&["a|", "b|,", "c,\tc"]), [vec![2], vec![0, 1]]);
    assert_eq!(places(&["a|,", "b|\tb", "c,\tc"]), [vec![2], vec![1], vec![0]]);
    assert!(places(&[]).is_empty());
}

#[test]
fn a_batch_has_no_more_rows_or_bytes_than_a_request_can_take() {
    let short: Vec<RowToSend> = (0..20_001).map(|id| in_city(&id.to_string(), "")).collect();
    let lengths: Vec<usize> = batches_of(&short).iter().map(|batch| batch.places.len()).collect();
    assert_eq!(lengths, [20_000, 1]);
    assert_eq!(received(&batches_of(&short)[0], &short, &dialect(Version::V1_5)).import.rows.len(), 20_000);

    let long: Vec<RowToSend> = (0..1_100).map(|id| in_city(&id.to_string(), &"x".repeat(2_000))).collect();
    let batches = batches_of(&long);
    let places: Vec<usize> = batches.iter().flat_map(|batch| batch.places.clone()).collect();
    assert!(places.into_iter().eq(0..1_100) && batches.len() == 3);
    for batch in batches {
        let form = batch.form(&long, &access(), &dialect(Version::Legacy));
        assert!(field(&form, "Profiles_Data").unwrap().len() <= 1024 * 1024);
    }
}

#[test]
fn a_row_does_not_show_what_it_holds() {
    assert_eq!(format!("{:?}", row("7", jane())), "RowToSend { .. }");
}

fn answered(document: &str) -> Result<BatchAnswer, ReadError> {
    read_batch_answer(document.as_bytes(), &Limits::of_batch_answer())
}

#[test]
fn our_own_answer_is_read() {
    let imported = Imported {
        import: "1-1".to_owned(),
        new: 2,
        updated: 1,
        ignored: 0,
        saves_undo: false,
        generated: vec![],
        ignored_rows: vec![],
        failures: vec![RowProblem { row: 3, reason: "has 1 columns & more".to_owned() }],
    };
    let output = Output { format: Format::Xml, condensed: false };
    let (_, document) = Answer::Imported(imported).render(&output);
    assert_eq!(answered(&document).unwrap(), BatchAnswer { new: 2, updated: 1 });
    let (_, document) = Answer::Error("`campaigns_to_include`: is missing".to_owned()).render(&output);
    let ReadError::Source { message } = answered(&document).unwrap_err() else { panic!("another error") };
    assert_eq!(message, "`campaigns_to_include`: is missing");
}

#[test]
fn what_real_receivers_write_is_read() {
    let counts = "<customers><new> 2 </new><updated>1</updated></customers>";
    for document in [
        format!("<response status=\"success\"><batch status=\"imported\">{counts}</batch></response>"),
        format!("\n<?xml version=\"1.0\"?><Response Status='Success'>\n{}</Response>\n", counts.to_uppercase()),
        format!("<response status=\"success\"><name>Tom & Jerry</name><x>R&D; a & b; &c</x>{counts}</response>"),
        format!("<response status=\"success\"><error/>{counts}<row><error>a</error><new>9</new></row></response>"),
    ] {
        assert_eq!(answered(&document).unwrap(), BatchAnswer { new: 2, updated: 1 }, "{document}");
    }
    let only_new = "<response status=\"success\"><customers><new>3</new></customers></response>";
    assert_eq!(answered(only_new).unwrap(), BatchAnswer { new: 3, updated: 0 });
}

#[test]
fn an_error_is_one_whatever_else_the_answer_says_and_repeats_nobodys_data() {
    for (document, expected) in [
        ("<response status=\"error\"><error>Invalid user_password</error></response>", "Invalid user_password"),
        (
            "<response status=\"error\"><error>Campaign & account not found</error></response>",
            "Campaign … account not found",
        ),
        ("<response status=\"error\"><error>Duplicate jane@example.org</error></response>", "Duplicate …"),
        ("<response status=\"error\"/>", "an error without a message"),
        ("<response status=\"error\"><error> </error></response>", "an error without a message"),
        ("<response status=\"success\"><error>no access</error><new>1</new></response>", "no access"),
        ("<error>no access</error>", "no access"),
    ] {
        match answered(document) {
            Err(ReadError::Source { message }) => assert_eq!(message, expected, "{document}"),
            other => panic!("{document}: {other:?}"),
        }
    }
}

#[test]
fn what_does_not_say_that_the_batch_was_imported_is_no_answer() {
    for document in [
        "<response status=\"success\"/>",
        "<response><new>1</new></response>",
        "<response status=\"maybe\"><new>1</new></response>",
        "<other status=\"success\"><new>1</new></other>",
        "<response status=\"success\"><new>one</new></response>",
        "<response status=\"success\"><new>-1</new></response>",
        "<response status=\"success\"><new/></response>",
        "<html/>",
    ] {
        assert!(matches!(answered(document), Err(ReadError::Unexpected { .. })), "{document}");
    }
    let doctype = "<!DOCTYPE r [<!ENTITY a \"b\">]><response status=\"success\"><new>1</new></response>";
    assert!(matches!(answered(doctype), Err(ReadError::Doctype { .. })));
    for document in ["", "{\"status\":\"success\"}", "<response status=\"success\"><new>1</new>"] {
        assert!(matches!(answered(document), Err(ReadError::Malformed { .. })), "{document}");
    }
    let deep = "<a>".repeat(100) + &"</a>".repeat(100);
    assert!(matches!(answered(&deep), Err(ReadError::Limit { limit: "depth", .. })));
    let long = format!("<response status=\"success\"><new>{}</new></response>", "1".repeat(9 * 1024 * 1024));
    assert!(matches!(answered(&long), Err(ReadError::Limit { .. })));
}

/// Texts of any kind, often with what a row is made of.
fn any_text() -> impl Strategy<Value = String> {
    let piece =
        prop::sample::select(vec!["|", ",", "\t", " ", "\u{a0}", "\u{200b}", "\u{85}", "é", "a", "\0", "\r", "\n"]);
    prop_oneof![
        6 => "[^\\p{Cc}|,]{0,12}",
        2 => "\\PC{0,12}",
        1 => vec(piece, 0..6).prop_map(|pieces| pieces.concat()),
    ]
}

/// The content of a customer with one entry of each kind and any texts, and what its columns are expected to hold.
fn any_content() -> impl Strategy<Value = (Content, Vec<(Field, String)>)> {
    let email = prop_oneof![2 => "[a-z\u{200b}]{0,3}@[a-z.\u{200b}]{0,5} ?", 1 => any_text()];
    let date = prop_oneof![2 => "19[0-9]{2}-[01][0-9]-[0-3][0-9]", 1 => any_text()];
    (vec(any_text(), 9), email, date).prop_map(|(texts, email, date)| {
        let [first, last, phone, line1, line2, city, region, postal_code, country] = &texts[..] else { unreachable!() };
        let content = Content {
            name: Name { first: some(first), last: some(last), ..Name::default() },
            emails: vec![Email { address: email.clone(), ..Email::default() }],
            phones: vec![Phone { number: phone.clone(), ..Phone::default() }],
            addresses: vec![Address {
                lines: vec![line1.clone(), line2.clone()],
                city: some(city),
                region: some(region),
                postal_code: some(postal_code),
                country: some(country),
                ..Address::default()
            }],
            birth_date: some(&date),
            ..Content::default()
        };
        let (line1, line2) = if line1.trim().is_empty() { (line2, line1) } else { (line1, line2) };
        let email = without_marks(&email);
        let expected = [
            (Field::FirstName, first.as_str()),
            (Field::LastName, last),
            (Field::Email, if Field::Email.check(email.trim()).is_ok() { &email } else { "" }),
            (Field::Phone, phone),
            (Field::CustomDate, if Field::CustomDate.check(&date).is_ok() { &date } else { "" }),
            (Field::Street1, line1),
            (Field::Street2, line2),
            (Field::City, city),
            (Field::State, region),
            (Field::PostalCode, postal_code),
            (Field::Country, country),
        ];
        (content, expected.map(|(field, value)| (field, value.trim().to_owned())).into())
    })
}

/// What a document is made of, in any order.
fn any_answer() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "<response status=\"success\">",
        "<response status=\"error\">",
        "</response>",
        "<error>",
        "</error>",
        "<new>",
        "</new>",
        "<updated>",
        "</updated>",
        "<customers>",
        "</customers>",
        "1",
        "&",
        "&amp;",
        ";",
        "a",
        "<!--",
        "-->",
        "<![CDATA[",
        "]]>",
        "<!DOCTYPE",
        " ",
    ]);
    vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn a_row_that_was_sent_reads_back_with_the_same_values(
        contents in vec(any_content(), 1..8), is_legacy in any::<bool>()
    ) {
        let mut rows = Vec::new();
        let mut expected = Vec::new();
        for (id, (content, values)) in (1..).zip(contents) {
            let holds_control = |value: &str| value.chars().any(|letter| letter.is_control() && letter != '\t');
            match RowToSend::of(&record(&id.to_string(), content)) {
                Ok(row) => {
                    rows.push(row);
                    let code = (Field::Code, format!("aa~{id}"));
                    expected.push([vec![code], values].concat());
                }
                Err(RowError::NoDelimiter) => {
                    let all: String = values.into_iter().map(|(_, value)| value).collect();
                    prop_assert!(['|', ',', '\t'].iter().all(|delimiter| all.contains(*delimiter)));
                }
                Err(RowError::LineEnd { column } | RowError::Value { column, .. }) => {
                    let value = values.iter().find(|(field, _)| field.name() == column).unwrap();
                    prop_assert!(holds_control(&value.1), "{column}");
                }
            }
        }
        let dialect = dialect(if is_legacy { Version::Legacy } else { Version::V1_5 });
        let batches = batches_of(&rows);
        let mut places: Vec<usize> = batches.iter().flat_map(|batch| batch.places.clone()).collect();
        places.sort_unstable();
        prop_assert!(places.into_iter().eq(0..rows.len()));
        for batch in batches {
            let request = received(&batch, &rows, &dialect);
            prop_assert_eq!((request.failed, request.ignored), (vec![], vec![]));
            let sent = (1..).zip(&batch.places).map(|(number, place)| Row::new(number, expected[*place].clone()));
            prop_assert_eq!(request.import.rows, sent.collect::<Vec<_>>());
        }
    }

    #[test]
    fn no_order_of_markup_makes_the_reader_of_answers_panic(document in any_answer()) {
        let _ = answered(&document);
        let _ = answered(&format!("<response status=\"success\">{document}</response>"));
    }
}
