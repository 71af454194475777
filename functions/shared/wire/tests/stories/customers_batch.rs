//! The form of a batch import and its answer, in both versions of the dialect and from both sides.

mod answers;
mod sending;

use std::time::Instant;

use model::import::{Field, Overwrite, Row};
use proptest::collection::vec;
use proptest::prelude::*;
use wire::customers_batch::{
    Answer, BatchRequest, Form, Format, GeneratedIds, Imported, Output, RowProblem, expect_batch, read_access,
    read_output, read_request,
};

/// The source's example, with the typo of its fifth header corrected.
const EXAMPLE: [(&str, &str); 14] = [
    ("user_id", "john1970"),
    ("user_password", "1959caadac9b13dcb3"),
    ("account_id", "greatwidgets"),
    ("type", "customers_batch"),
    ("delimiter", "pipe"),
    ("overwrite_duplicates", "update"),
    ("campaigns_to_include", "898989889|,|13234545|,|34534554"),
    ("profiles_header_1", "code"),
    ("profiles_header_2", "card_number"),
    ("profiles_header_3", "first_name"),
    ("profiles_header_4", "last_name"),
    ("profiles_header_5", "custom_date"),
    ("profiles_header_6", "phone"),
    (
        "Profiles_Data",
        "\n11223344|11223344|jane|doe|1970-07-14|555-5555\n22334455|22334455|jim|mcdoe|1966-07-28|555-5556\n\
         33445566|33445566|larry|smith|1980-02-05|555-5557\n",
    ),
];

/// The example, with these fields set to something else, added, or removed if the value is `-`.
fn example(changes: &[(&str, &str)]) -> Vec<(String, String)> {
    let mut fields: Vec<(String, String)> =
        EXAMPLE.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    for (name, value) in changes {
        fields.retain(|(known, _)| known != name);
        if *value != "-" {
            fields.push(((*name).to_owned(), (*value).to_owned()));
        }
    }
    fields
}

fn encoded(text: &[u8]) -> String {
    text.iter().map(|byte| format!("%{byte:02X}")).collect()
}

fn urlencoded(fields: &[(String, String)]) -> Vec<u8> {
    let pairs = fields.iter().map(|(name, value)| format!("{name}={}", encoded(value.as_bytes())));
    pairs.collect::<Vec<_>>().join("&").into_bytes()
}

fn multipart(boundary: &str, fields: &[(String, String)]) -> Vec<u8> {
    let mut body = String::from("a preamble that is no part\r\n");
    for (name, value) in fields {
        body.push_str(&format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"));
    }
    body.push_str(&format!("--{boundary}--\r\n"));
    body.into_bytes()
}

fn form(changes: &[(&str, &str)]) -> Form {
    Form::read(None, &urlencoded(&example(changes))).unwrap()
}

fn request(changes: &[(&str, &str)]) -> BatchRequest {
    read_request(&form(changes)).unwrap_or_else(|problem| panic!("{problem}"))
}

fn problem(changes: &[(&str, &str)]) -> String {
    read_request(&form(changes)).expect_err("nothing is wrong with it").to_string()
}

/// Why each row of some data failed, under the headers `code` and `email`.
fn failures(delimiter: &str, data: &str) -> Vec<(u32, String)> {
    failed_rows(delimiter, data.as_bytes()).into_iter().map(|failed| (failed.row, failed.reason)).collect()
}

fn failed_rows(delimiter: &str, data: &[u8]) -> Vec<RowProblem> {
    let head = format!(
        "delimiter={delimiter}&campaigns_to_include=1&profiles_header_1=code&profiles_header_2=email&profiles_data={}",
        encoded(data)
    );
    read_request(&Form::read(None, head.as_bytes()).unwrap()).unwrap().failed
}

#[test]
fn the_sources_example_is_read_as_it_is_meant() {
    let BatchRequest { import, ignored, failed, saves_undo } = request(&[]);
    assert_eq!((import.overwrite, import.card_digits, saves_undo), (Overwrite::Update, None, true));
    assert_eq!(import.campaigns, ["898989889", "13234545", "34534554"]);
    assert_eq!((failed, ignored, import.unreadable.len()), (vec![], vec![], 0));
    assert_eq!(import.rows.iter().map(|row| row.number).collect::<Vec<_>>(), [1, 2, 3]);
    let given: Vec<(Field, &str)> = import.rows[0].given().collect();
    let expected = [
        (Field::Code, "11223344"),
        (Field::CardNumber, "11223344"),
        (Field::FirstName, "jane"),
        (Field::LastName, "doe"),
        (Field::Phone, "555-5555"),
        (Field::CustomDate, "1970-07-14"),
    ];
    assert_eq!(given, expected);
    expect_batch(&form(&[])).unwrap();
}

#[test]
fn the_typo_of_the_sources_example_is_named() {
    let text = problem(&[("profiles_header_5", "custome_date")]);
    assert!(text.starts_with("`profiles_header_5`: there is no column `custome_date`; known are code, "), "{text}");
    assert!(text.contains(" custom_date, "), "{text}");
}

#[test]
fn urlencoded_and_multipart_say_the_same() {
    let fields = example(&[("custom", "a+b c%20ü")]);
    let expected = read_request(&Form::read(None, &urlencoded(&fields)).unwrap()).unwrap();
    for content_type in [
        "application/x-www-form-urlencoded",
        "Application/X-WWW-Form-Urlencoded; charset=UTF-8",
        "multipart/form-data; boundary=x-Y.7",
        "multipart/form-data; charset=utf-8; boundary=\"x-Y.7\"",
    ] {
        let is_multipart = content_type.starts_with("multipart");
        let body = if is_multipart { multipart("x-Y.7", &fields) } else { urlencoded(&fields) };
        assert_eq!(read_request(&Form::read(Some(content_type), &body).unwrap()).unwrap(), expected, "{content_type}");
    }
    let spaces = Form::read(None, b"user_id=a+b%2Bc&user_password=%zz%4&account_id=x").unwrap();
    let access = read_access(&spaces, None).unwrap();
    assert_eq!((access.user_id.as_str(), access.secret.as_str()), ("a b+c", "%zz%4"));
}

#[test]
fn what_is_no_form_is_refused() {
    for (content_type, body, expected) in [
        ("application/json", "{}", "the request must be a form: "),
        ("multipart/form-data", "x", "the multipart form names no usable boundary"),
        ("multipart/form-data; boundary=", "x", "the multipart form names no usable boundary"),
        ("multipart/form-data; boundary=b", "", "the multipart form is cut off"),
        (
            "multipart/form-data; boundary=b",
            "--b\r\nContent-Disposition: form-data; name=\"a\"",
            "the multipart form is cut",
        ),
        (
            "multipart/form-data; boundary=b",
            "--b\r\nX: y\r\n\r\n1\r\n--b--",
            "a part of the multipart form has no name",
        ),
        ("", "type=1&TYPE=2", "the form has a field twice `type`"),
        ("", "jane+doe=1&jane+doe=2", "the form has a field twice"),
    ] {
        let text = Form::read(Some(content_type), body.as_bytes()).unwrap_err().to_string();
        assert!(text.starts_with(expected) && !text.contains("jane"), "{content_type:?} {body:?}: {text}");
    }
    let many: Vec<String> = (0..501).map(|number| format!("f{number}=1")).collect();
    let text = Form::read(None, many.join("&").as_bytes()).unwrap_err().to_string();
    assert_eq!(text, "the form has more than 500 fields");
}

#[test]
fn what_must_be_there_is_named_where_it_is_missing() {
    for name in ["delimiter", "campaigns_to_include"] {
        assert_eq!(problem(&[(name, "-")]), format!("`{name}`: is missing"));
        assert_eq!(problem(&[(name, " ")]), format!("`{name}`: is missing"));
    }
    assert_eq!(problem(&[("Profiles_Data", "-")]), "`profiles_data`: is missing");
    assert_eq!(problem(&[("Profiles_Data", " \r\n\n ")]), "`profiles_data`: holds no row");
    for name in ["user_id", "user_password", "account_id"] {
        let text = read_access(&form(&[(name, "-")]), None).unwrap_err().to_string();
        assert_eq!(text, format!("`{name}`: is missing"));
    }
    assert_eq!(expect_batch(&form(&[("type", "-")])).unwrap_err().to_string(), "`type`: is missing");
    let unknown = expect_batch(&form(&[("type", "customer_info")])).unwrap_err().to_string();
    assert_eq!(unknown, "`type`: there is no `customer_info` here; known is `customers_batch`");
}

#[test]
fn a_value_that_is_none_of_the_possible_ones_is_named_by_its_field() {
    for (name, value) in [
        ("delimiter", "semicolon"),
        ("overwrite_duplicates", "never"),
        ("card_number_generate", "00"),
        ("card_number_generate", "31"),
        ("card_number_generate", "ten"),
        ("campaigns_to_include", "1|,||,|2"),
        ("campaigns_to_include", "1|,|"),
        ("API", "2.0"),
        ("user_id", "a\0b"),
    ] {
        let form = form(&[(name, value)]);
        let problem = read_access(&form, None).and_then(|_| read_request(&form).map(|_| ())).unwrap_err().to_string();
        assert!(problem.starts_with(&format!("`{name}`: ")) && !problem.contains(value), "{problem}");
    }
}

#[test]
fn the_versions_differ_in_secret_undo_campaigns_and_custom_columns() {
    let new = [("API", "1.5"), ("user_api_key", "the key"), ("campaigns_to_include", "1 , 2,3")];
    assert_eq!(request(&new).import.campaigns, ["1", "2", "3"]);
    assert_eq!(request(&[("campaigns_to_include", "1 , 2,3")]).import.campaigns, ["1 , 2,3"]);

    assert_eq!(read_access(&form(&new), None).unwrap().secret, "the key");
    assert_eq!(read_access(&form(&new), Some("the header")).unwrap().secret, "the header");
    assert_eq!(read_access(&form(&[]), Some("the header")).unwrap().secret, "1959caadac9b13dcb3");
    let text = read_access(&form(&[("API", "1.5")]), None).unwrap_err().to_string();
    assert_eq!(text, "`user_api_key`: is missing");

    let undo = |fields: &[(&str, &str)]| request(fields).saves_undo;
    assert!(undo(&[]) && undo(&[("no_undo", "no")]) && undo(&[("allow_undo", "yes")]));
    assert!(!undo(&[("no_undo", "yes")]));
    assert!(!undo(&[("API", "1.5")]) && !undo(&[("API", "1.5"), ("allow_undo", "no")]));
    assert!(
        undo(&[("API", "1.5"), ("allow_undo", "yes")])
            && undo(&[("API", "1.5"), ("allow_undo", "yes"), ("no_undo", "yes")])
    );

    let column = |version: &str, name: &str| {
        let form = form(&[("API", version), ("profiles_header_6", name)]);
        read_request(&form)
            .map(|request| request.import.rows[0].get(Field::from_name(name).unwrap()).unwrap().to_owned())
    };
    assert_eq!(column("", "custom_field").unwrap(), "555-5555");
    assert_eq!(column("1.5", "custom_field_12").unwrap(), "555-5555");
    assert!(column("", "custom_field_1").unwrap_err().to_string().contains("is a column of API=1.5"));
    assert!(column("1.5", "custom_field").unwrap_err().to_string().contains("with API=1.5 it is `custom_field_1`"));
}

#[test]
fn every_column_can_be_read() {
    let mut fields = example(&[("Profiles_Data", "-")]);
    fields.retain(|(name, _)| !name.starts_with("profiles_header"));
    let values: Vec<(Field, String)> = Field::all()
        .map(|field| match field {
            Field::CustomDate => (field, "2000-02-29".to_owned()),
            Field::Email => (field, "jane@example.org".to_owned()),
            _ => (field, format!("value of {field:?}")),
        })
        .collect();
    fields.extend(
        (1..)
            .zip(&values)
            .map(|(number, (field, _))| (format!("profiles_header_{number}"), field.name().to_uppercase())),
    );
    let line = values.iter().map(|(_, value)| value.as_str()).collect::<Vec<_>>().join("|");
    fields.push(("profiles_data".to_owned(), line));
    let request = read_request(&Form::read(None, &urlencoded(&fields)).unwrap()).unwrap();
    assert_eq!(request.import.rows, [Row::new(1, values)]);
}

#[test]
fn one_header_may_be_left_out_and_takes_no_column() {
    let moved = [("profiles_header_6", "-"), ("profiles_header_7", "phone")];
    assert_eq!(request(&moved).import, request(&[]).import);
    let first = [("profiles_header_1", "-"), ("Profiles_Data", "5|jane|doe|1970-07-14|555")];
    assert_eq!(request(&first).import.rows[0].get(Field::CardNumber), Some("5"));
    // A sender that counts the gap as a column has one too many, and gets an error.
    let counted = [moved[0], moved[1], ("Profiles_Data", "1|1|jane|doe|1970-07-14||555-5555")];
    assert_eq!(request(&counted).failed[0].reason, "has 7 columns, and the headers name 6");
}

#[test]
fn headers_that_are_no_plain_count_are_refused() {
    for (changes, expected) in [
        (
            &[("profiles_header_6", "-"), ("profiles_header_8", "phone")][..],
            "`profiles_header_8`: more than one number is left out before it, from 6",
        ),
        (
            &[("profiles_header_1", "-"), ("profiles_header_2", "-")],
            "`profiles_header_3`: more than one number is left out before it, from 1",
        ),
        (&[("profiles_header_6", "code")], "`profiles_header_6`: the column `code` is there already"),
        (&[("profiles_header_01", "email")], "`profiles_header_…`: headers are numbered from 1 to 200"),
        (&[("profiles_header_0", "email")], "`profiles_header_…`: headers are numbered from 1 to 200"),
        (&[("profiles_header_x", "email")], "`profiles_header_…`: headers are numbered from 1 to 200"),
        (&[("profiles_header_9999999999", "email")], "`profiles_header_…`: headers are numbered from 1 to 200"),
        (
            &[("profiles_header_6", "jane@example.org")],
            "`profiles_header_6`: there is no column of that name; known are ",
        ),
    ] {
        let text = problem(changes);
        assert!(text.starts_with(expected) && !text.contains("jane"), "{text}");
    }
    let none: Vec<(String, &str)> = (1..=6).map(|number| (format!("profiles_header_{number}"), "-")).collect();
    let none: Vec<(&str, &str)> = none.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    assert_eq!(problem(&none), "`profiles_header_1`: is missing");
}

#[test]
fn lines_end_with_either_or_both_and_delimiters_are_what_is_said() {
    for (delimiter, between) in [("pipe", "|"), ("comma", ","), ("tab", "\t")] {
        for end in ["\n", "\r", "\r\n", "\n\n", " \r\n"] {
            let line = |code: &str| format!("{code}{between} {code}@x {end}");
            let data = [end.to_owned(), line("1"), line("2"), "3".to_owned(), between.to_owned()].concat();
            let body = format!(
                "delimiter={delimiter}&campaigns_to_include=1&profiles_header_1=code&profiles_header_2=email&profiles_data={}",
                encoded(data.as_bytes())
            );
            let request = read_request(&Form::read(None, body.as_bytes()).unwrap()).unwrap();
            let given: Vec<Vec<&str>> =
                request.import.rows.iter().map(|row| row.given().map(|(_, value)| value).collect()).collect();
            assert_eq!(given, [vec!["1", "1@x"], vec!["2", "2@x"], vec!["3"]], "{delimiter} {end:?}");
            assert_eq!(request.failed, []);
        }
    }
}

#[test]
fn a_row_that_can_not_be_read_costs_itself_and_says_why_without_its_values() {
    let failed = failures("pipe", "1|a@x\n2\n3|b@x|c\n|\n4|not an address\n\n5|e@x\n6|a|b@x");
    assert_eq!(
        failed,
        [
            (2, "has 1 columns, and the headers name 2".to_owned()),
            (3, "has 3 columns, and the headers name 2".to_owned()),
            (4, "every column is blank".to_owned()),
            (5, "column `email`: is not an e-mail address".to_owned()),
            (7, "has 3 columns, and the headers name 2".to_owned()),
        ]
    );
    assert_eq!(failures("tab", "\t\n1\ta@x"), [(1, "every column is blank".to_owned())]);
    let bytes = failed_rows("pipe", b"1|a@x\n2\xff|b@x\n3\0|c@x\n4|d@x");
    let reasons: Vec<(u32, &str)> = bytes.iter().map(|failed| (failed.row, failed.reason.as_str())).collect();
    assert_eq!(reasons, [(2, "is not UTF-8"), (3, "column `code`: holds a control character")]);
    let dates = request(&[("Profiles_Data", "1|1|jane|doe|04-06-05|5\n2|2|jim|mcdoe|1966-07-28|6")]);
    assert_eq!(dates.failed[0].to_string(), "row 1: column `custom_date`: must be a date written as YYYY-MM-DD");
    assert_eq!(dates.import.rows.len(), 1);
}

#[test]
fn more_rows_than_fit_are_refused_with_a_way_to_split_them() {
    let data = |rows: usize| "1|1|a|b||\n".repeat(rows);
    assert_eq!(request(&[("Profiles_Data", &data(20_000))]).import.rows.len(), 20_000);
    let text = problem(&[("Profiles_Data", &data(40_001))]);
    assert_eq!(text, "`profiles_data`: has 40001 rows; one request takes at most 20000: send it as 3 requests");
}

#[test]
fn many_campaigns_are_read_in_a_moment_and_each_is_kept_once() {
    let began = Instant::now();
    let list: Vec<String> = (0..300_000).map(|number| (number % 200_000).to_string()).collect();
    let campaigns = request(&[("campaigns_to_include", &list.join("|,|"))]).import.campaigns;
    assert!(campaigns.len() == 200_000 && campaigns[..] == list[..200_000]);
    assert!(began.elapsed().as_secs() < 20, "{:?}", began.elapsed());
}

/// The rows of some data under the headers `code` and `email`, and the customer of each.
fn read(data: &[u8]) -> BatchRequest {
    let head = "delimiter=pipe&campaigns_to_include=1&profiles_header_1=code&profiles_header_2=email&profiles_data=";
    read_request(&Form::read(None, format!("{head}{}", encoded(data)).as_bytes()).unwrap()).unwrap()
}

#[test]
fn marks_that_nobody_sees_are_no_part_of_ids_and_addresses_and_names_keep_theirs() {
    let marked = read("\u{feff}7001|ann@x\n70\u{200b}02|\u{202a}bo@x\u{202c}\n\u{200e}|cy@x".as_bytes());
    let given: Vec<Vec<&str>> =
        marked.import.rows.iter().map(|row| row.given().map(|(_, value)| value).collect()).collect();
    assert_eq!(given, [vec!["7001", "ann@x"], vec!["7002", "bo@x"], vec!["cy@x"]]);
    assert_eq!(read("\u{feff}\r\n1|a@x".as_bytes()).import.rows[0].number, 1);
    let named = request(&[("Profiles_Data", "1|5\u{200d}5|j\u{200d}a|d|1970-07-14|5")]);
    assert_eq!(named.import.rows[0].get(Field::CardNumber), Some("55"));
    assert_eq!(named.import.rows[0].get(Field::FirstName), Some("j\u{200d}a"));
}

#[test]
fn a_first_row_that_repeats_the_headers_is_no_customer() {
    let request = read("\u{feff}Code| EMAIL\n1|a@x\ncode|email".as_bytes());
    assert_eq!(request.ignored, [RowProblem { row: 1, reason: "repeats the headers".to_owned() }]);
    assert_eq!(request.import.rows.iter().map(|row| row.number).collect::<Vec<_>>(), [2]);
    assert_eq!(request.failed.iter().map(|failed| failed.row).collect::<Vec<_>>(), [3], "`email` is no address");
    assert_eq!(read(b"email|code\n1|a@x").ignored, []);
}

#[test]
fn what_brings_no_customer_counts_for_whether_requests_are_the_same() {
    let unreadable = |data: &[u8]| read(data).import.unreadable;
    assert_eq!(unreadable(b"1|a@x\n2"), unreadable(b"1|a@x\n2"));
    assert_ne!(unreadable(b"1|a@x\n2"), unreadable(b"1|a@x\n3"));
    assert!(!format!("{:?}", read(b"1|jane|doe")).contains("jane"));
}

#[test]
fn more_secrets_than_are_hashed_in_time_are_refused_with_a_way_to_split_them() {
    let columns = [("profiles_header_5", "customer_password"), ("profiles_header_6", "customer_PIN")];
    let data = |rows: usize| [columns[0], columns[1], ("Profiles_Data", &*"1|1|a|b|p|1\n".repeat(rows).leak())];
    assert_eq!(request(&data(250)).import.rows.len(), 250);
    let text = problem(&data(501));
    let expected = "has 1002 passwords and PINs; one request takes at most 500: send it as 3 requests";
    assert_eq!(text, format!("`profiles_data`: {expected}"));
}

/// Fields of a request in any state, and data of any bytes.
fn any_request() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop::sample::select(vec![
        &b"1"[..],
        b"|",
        b",",
        b"\t",
        b"\n",
        b"\r\n",
        b"jane",
        b"a@x",
        b"2000-01-01",
        b" ",
        b"\0",
        b"\xff",
        b"\xc3\xbc",
    ]);
    let data = vec(piece, 0..60).prop_map(|pieces| pieces.concat());
    let delimiter = prop::sample::select(vec!["pipe", "comma", "tab"]);
    let headers = Just(Field::all().collect::<Vec<_>>()).prop_shuffle();
    (data, delimiter, headers, 1..6_usize).prop_map(|(data, delimiter, headers, count)| {
        let mut body = format!("delimiter={delimiter}&campaigns_to_include=1");
        for (number, field) in (1..).zip(headers.iter().take(count)) {
            body.push_str(&format!("&profiles_header_{number}={}", field.name()));
        }
        body.push_str(&format!("&profiles_data={}", encoded(&data)));
        body.into_bytes()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn no_bytes_make_the_form_reader_panic(bytes in vec(any::<u8>(), 0..400), boundary in "[a-z\"=; ]{0,10}") {
        for content_type in [String::new(), format!("multipart/form-data; boundary={boundary}")] {
            if let Ok(form) = Form::read(Some(&content_type), &bytes) {
                let _ = (read_output(&form), read_access(&form, None), expect_batch(&form), read_request(&form));
            }
        }
    }

    #[test]
    fn no_mutation_of_a_form_makes_its_reader_panic(
        as_multipart in any::<bool>(),
        changes in vec((any::<prop::sample::Index>(), any::<u8>(), 0..3_u8), 1..8)
    ) {
        let mut body = if as_multipart { multipart("b", &example(&[])) } else { urlencoded(&example(&[])) };
        for (position, byte, kind) in changes {
            let position = position.index(body.len());
            match kind {
                0 => body[position] = byte,
                1 => drop(body.remove(position)),
                _ => body.insert(position, byte),
            }
        }
        let content_type = as_multipart.then_some("multipart/form-data; boundary=b");
        if let Ok(form) = Form::read(content_type, &body) {
            let _ = (read_output(&form), read_access(&form, None), expect_batch(&form), read_request(&form));
        }
    }

    #[test]
    fn every_line_is_one_row_or_ignored_or_one_failure(body in any_request()) {
        if let Ok(request) = read_request(&Form::read(None, &body).unwrap()) {
            let mut numbers: Vec<u32> = request.import.rows.iter().map(|row| row.number).collect();
            numbers.extend(request.failed.iter().chain(&request.ignored).map(|line| line.row));
            prop_assert_eq!(request.import.unreadable.len(), request.failed.len() + request.ignored.len());
            numbers.sort_unstable();
            let all: Vec<u32> = (1..=u32::try_from(numbers.len()).unwrap()).collect();
            prop_assert_eq!(numbers, all);
        }
    }

    #[test]
    fn both_kinds_of_form_carry_any_value(value in "[^\\p{Cc}]{0,40}", other in "[^\\p{Cc}]{1,40}") {
        let fields = [("user_id", &other), ("user_password", &other), ("account_id", &other), ("x", &value)];
        let fields: Vec<(String, String)> = fields.map(|(name, value)| (name.to_owned(), value.clone())).into();
        let plain = Form::read(None, &urlencoded(&fields)).unwrap();
        let parts = Form::read(Some("multipart/form-data; boundary=b-7"), &multipart("b-7", &fields)).unwrap();
        prop_assert_eq!(read_access(&plain, None), read_access(&parts, None));
    }
}
