//! The loyalty service: what a batch makes of its customers, what goes wrong on purpose, and the program.

#![allow(clippy::unwrap_used)]

mod support;

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use simulators::loyalty::{
    ApiVersion, Delimiter, DuplicateHandling, Fault, LoyaltyFault, Poison, RequestCounts, endpoint,
};
use support::loyalty::*;
use support::{Program, client, elements, texts};

/// Long enough that only a broken simulator exceeds it.
const PATIENCE: Duration = Duration::from_secs(20);

const NAMES: [&str; 3] = ["code", "first_name", "last_name"];

#[tokio::test]
async fn a_batch_is_imported_and_answered_as_the_documents_say() {
    let running = start().await;
    // The vendor's own example, its misspelt column put right.
    let example = ["code", "card_number", "first_name", "last_name", "custom_date", "phone"];
    let data = "\n11223344|11223344|jane|doe|1970-07-14|555-5555\n22334455|22334455|jim|mcdoe|1966-07-28|555-5556\n\
                33445566|33445566|larry|smith|1980-02-05|555-5557\n";
    let form = with(batch(&example, data), &[("campaigns_to_include", "898989889|,|13234545")]);
    let response = running.try_send(&form).await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/xml; charset=utf-8");
    assert_eq!(
        response.text().await.unwrap(),
        "<response status=\"success\"><batch status=\"imported\"><customers><new>3</new><updated>0</updated>\
         </customers></batch></response>\n"
    );
    assert_eq!(
        running.simulator.customer("22334455"),
        columns(&[
            ("code", "22334455"),
            ("card_number", "22334455"),
            ("first_name", "jim"),
            ("last_name", "mcdoe"),
            ("custom_date", "1966-07-28"),
            ("phone", "555-5556"),
        ])
    );
    assert_eq!(running.import(&batch(&NAMES, "1|a|b\n11223344|j|d")).await, (1, 1));
    assert_eq!(running.simulator.codes(), ["1", "11223344", "22334455", "33445566"]);
    assert_eq!(running.simulator.times_written("11223344"), 2);
    assert_eq!(running.simulator.times_written("nobody"), 0);
    assert_eq!(running.simulator.customers().len(), 4);
    let expected = RequestCounts { batches: 2, rows: 5, new: 4, updated: 1, ..RequestCounts::default() };
    assert_eq!(running.simulator.requests(), expected);

    let batches = running.simulator.batches();
    assert_eq!(batches[0].codes, ["11223344", "22334455", "33445566"]);
    assert_eq!(batches[0].campaigns, ["898989889", "13234545"]);
    assert_eq!(batches[1].codes, ["1", "11223344"]);
    assert_eq!(batches[1].columns, NAMES);
    assert_eq!(
        (batches[1].version, batches[1].delimiter, batches[1].overwrite_duplicates, batches[1].undo_saved),
        (ApiVersion::Legacy, Delimiter::Pipe, DuplicateHandling::Update, true)
    );
    assert!(batches.iter().all(|batch| batch.imported));
}

#[tokio::test]
async fn news_is_what_was_written_since_it_was_last_asked_for() {
    let running = start().await;
    running.import(&batch(&NAMES, "2|a|b\n1|a|b\n2|c|d\ntoo|few")).await;
    assert_eq!(running.simulator.take_news(), ["2", "1"]);
    assert!(running.simulator.take_news().is_empty());
    running.import(&batch(&NAMES, "2|e|f\n")).await;
    let ignored = with(batch(&NAMES, "1|e|f\n"), &[("overwrite_duplicates", "ignore")]);
    running.import(&ignored).await;
    assert_eq!(running.simulator.take_news(), ["2"]);
}

#[tokio::test]
async fn a_duplicate_is_blanked_updated_or_ignored() {
    let running = start().await;
    let first = batch(&["code", "first_name", "email", "phone"], "1|Ann|ann@example.org|555-0100");
    running.import(&first).await;
    let first = [("code", "1"), ("first_name", "Ann"), ("email", "ann@example.org"), ("phone", "555-0100")];

    let then = |overwrite| {
        with(batch(&["code", "first_name", "phone"], "1|Bea|\n2|Cy|555-0101"), &[("overwrite_duplicates", overwrite)])
    };
    assert_eq!(running.import(&then("ignore")).await, (1, 0));
    assert_eq!(running.simulator.customer("1"), columns(&first));
    assert_eq!(running.simulator.times_written("1"), 1);

    // A column that is given empties what was there; one that is not given stays.
    assert_eq!(running.import(&then("update")).await, (0, 2));
    let updated = [("code", "1"), ("first_name", "Bea"), ("email", "ann@example.org")];
    assert_eq!(running.simulator.customer("1"), columns(&updated));

    assert_eq!(running.import(&then("yes")).await, (0, 2));
    assert_eq!(running.simulator.customer("1"), columns(&[("code", "1"), ("first_name", "Bea")]));

    let requests = running.simulator.requests();
    assert_eq!((requests.rows, requests.new, requests.updated, requests.ignored), (7, 2, 4, 1));
}

#[tokio::test]
async fn rows_end_with_either_end_of_line_or_both_and_know_no_quotes() {
    let running = start().await;
    for (delimiter, data, named) in [
        ("pipe", "1|\"a|b\"\n2|a,b\r3|a\tb\r\n\r\n4|d", Delimiter::Pipe),
        ("comma", "1,x,y\n5,a|b\n", Delimiter::Comma),
        ("tab", "6\t\"a\"\n1\tx\ty\r\n", Delimiter::Tab),
    ] {
        running.import(&with(batch(&["code", "last_name"], data), &[("delimiter", delimiter)])).await;
        assert_eq!(running.simulator.batches().last().unwrap().delimiter, named);
    }
    let names: Vec<(String, String)> = running
        .simulator
        .customers()
        .into_iter()
        .map(|(code, mut columns)| (code, columns.remove("last_name").unwrap()))
        .collect();
    assert_eq!(names, form(&[("2", "a,b"), ("3", "a\tb"), ("4", "d"), ("5", "a|b"), ("6", "\"a\"")]));
}

#[tokio::test]
async fn a_row_that_cannot_be_used_is_left_out_and_not_counted() {
    let running = start().await;
    let columns = ["code", "last_name", "custom_date"];
    let data = "1|a|1980-02-05\n2|a\n3|a|1980-02-05|x\n4|a|04-03-2010\n5|a|1980-02-30\n6|a|\n7|a|19800205\n";
    assert_eq!(running.import(&batch(&columns, data)).await, (2, 0));
    assert_eq!(running.simulator.codes(), ["1", "6"]);
    let requests = running.simulator.requests();
    assert_eq!((requests.rows, requests.new, requests.dropped), (7, 2, 5));
    // What was sent shows all the same.
    assert_eq!(running.simulator.batches()[0].codes, ["1", "2", "3", "4", "5", "6", "7"]);
}

#[tokio::test]
async fn a_code_and_a_card_number_are_made_where_they_are_missing() {
    let running = start().await;
    let form = with(batch(&["card_number", "last_name"], "123|a\n|b\n"), &[("card_number_generate", "10")]);
    let answer = running.send(&form).await;
    let codes = texts(&answer, "code");
    assert_eq!((number(&answer, "new"), codes.len()), (2, 2));
    assert!(codes.iter().all(|code| code.len() == 16 && code.chars().all(|digit| digit.is_ascii_digit())));
    assert_eq!(running.simulator.customer(&codes[0]).unwrap()["card_number"], "123");
    let card_number = running.simulator.customer(&codes[1]).unwrap()["card_number"].clone();
    assert!(card_number.len() == 10 && card_number.chars().all(|digit| digit.is_ascii_digit()), "{card_number}");
    assert_eq!(running.simulator.batches()[0].codes, ["", ""]);

    // A card number that is there already stays.
    let again = format!("{}|c\n", codes[0]);
    running.import(&with(batch(&["code", "last_name"], &again), &[("card_number_generate", "10")])).await;
    assert_eq!(running.simulator.customer(&codes[0]).unwrap()["card_number"], "123");
}

#[tokio::test]
async fn version_1_5_has_its_own_secret_fields_and_separators() {
    let running = start().await;
    let columns = ["code", "custom_field_1", "custom_field_12"];
    let form = with(batch_1_5(&columns, "1|a|b"), &[("campaigns_to_include", "898989889 , 13234545")]);
    assert_eq!(running.import(&form).await, (1, 0));
    let seen = &running.simulator.batches()[0];
    assert_eq!((seen.version, seen.undo_saved), (ApiVersion::V1_5, false));
    assert_eq!(seen.campaigns, ["898989889", "13234545"]);
    running.import(&with(form.clone(), &[("allow_undo", "yes")])).await;
    running.import(&with(batch(&NAMES, "1|a|b"), &[("no_undo", "yes")])).await;
    let undo_saved: Vec<bool> = running.simulator.batches().iter().map(|batch| batch.undo_saved).collect();
    assert_eq!(undo_saved, [false, true, false]);

    // The header wins, whichever way it decides.
    let with_header = async |form: &Form, key: &str| {
        let request = running.client.post(endpoint(&running.base)).header("api_access_key", key).form(form);
        request.send().await.unwrap().text().await.unwrap()
    };
    assert!(with_header(&without(form.clone(), &["user_api_key"]), "demo-api-key").await.contains("success"));
    assert!(with_header(&with(form.clone(), &[("user_api_key", "x")]), "demo-api-key").await.contains("success"));
    assert!(with_header(&form, "x").await.contains("error"));
    // The legacy version knows neither.
    assert!(with_header(&batch(&NAMES, "1|a|b"), "x").await.contains("success"));

    let legacy_in_1_5 = [
        with(form.clone(), &[("campaigns_to_include", "898989889|,|13234545")]),
        with(without(form.clone(), &["profiles_data"]), &[("Profiles_Data", "1|a|b")]),
        batch_1_5(&["code", "custom_field"], "1|a"),
        with(without(form.clone(), &["user_api_key"]), &[("user_password", "demo-password")]),
        with(form.clone(), &[("API", "2.0")]),
    ];
    let legacy = batch(&["code", "custom_field"], "1|a");
    running.import(&legacy).await;
    let new_in_legacy = [
        with(legacy.clone(), &[("campaigns_to_include", "898989889, 13234545")]),
        with(without(legacy.clone(), &["Profiles_Data"]), &[("profiles_data", "1|a")]),
        batch(&["code", "custom_field_1"], "1|a"),
        with(without(legacy, &["user_password"]), &[("user_api_key", "demo-api-key")]),
    ];
    for form in legacy_in_1_5.iter().chain(&new_in_legacy) {
        running.refusal(form).await;
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_an_error_with_http_200_and_imports_nothing() {
    let running = start().await;
    let good = batch(&NAMES, "1|a|b");
    let refused = [
        (with(good.clone(), &[("type", "customer_add")]), "type"),
        (without(good.clone(), &["delimiter"]), "delimiter"),
        (with(good.clone(), &[("delimiter", "|")]), "delimiter"),
        (without(good.clone(), &["overwrite_duplicates"]), "overwrite_duplicates"),
        (with(good.clone(), &[("overwrite_duplicates", "no")]), "overwrite_duplicates"),
        (without(good.clone(), &["campaigns_to_include"]), "campaigns_to_include"),
        (with(good.clone(), &[("campaigns_to_include", "898989889|,|1")]), "campaigns_to_include"),
        (with(good.clone(), &[("card_number_generate", "many")]), "card_number_generate"),
        (without(good.clone(), &["Profiles_Data"]), "Profiles_Data"),
        (without(good.clone(), &["profiles_header_1"]), "profiles_header_1"),
        (batch(&["code", "custome_date"], "1|a"), "profiles_header_2"),
        (batch(&["code", "email", "code"], "1|a|b"), "profiles_header_3"),
        (with(batch(&["code"], "1|a"), &[("profiles_header_4", "email")]), "profiles_header_4"),
        (with(good.clone(), &[("profiles_header_x", "email")]), "profiles_header_x"),
    ];
    for (form, named) in &refused {
        let message = running.refusal(form).await;
        assert!(message.contains(named), "{named}: {message}");
    }
    // One number may be skipped.
    assert_eq!(running.import(&with(batch(&["code"], "1|a"), &[("profiles_header_3", "email")])).await, (1, 0));

    let no_form = running.client.post(endpoint(&running.base)).body("type=customers_batch").send().await.unwrap();
    assert_eq!(no_form.status(), 200);
    assert!(no_form.text().await.unwrap().contains("error"));
    let requests = running.simulator.requests();
    assert_eq!((requests.batches, requests.refused, requests.rows), (16, 15, 1));
    assert_eq!(running.simulator.batches().len(), 1);
}

#[tokio::test]
async fn wrong_credentials_are_refused() {
    let running = start().await;
    for field in ["user_id", "user_password", "account_id"] {
        let form = with(batch(&NAMES, "1|a|b"), &[(field, "wrong")]);
        assert_eq!(running.refusal(&form).await, "Invalid user or password", "{field}");
        running.refusal(&without(form, &[field])).await;
    }
    assert_eq!((running.simulator.requests().unauthorized, running.simulator.requests().refused), (6, 6));
    assert!(running.simulator.codes().is_empty());
    assert!(running.simulator.batches().iter().all(|batch| !batch.imported));
}

#[tokio::test]
async fn json_comes_if_it_is_asked_for_without_the_wrapper() {
    let running = start().await;
    let form = with(batch(&NAMES, "1|a|b\n2|a|b"), &[("output", "JSON")]);
    let response = running.try_send(&form).await.unwrap();
    assert_eq!(response.headers()["content-type"], "application/json; charset=utf-8");
    let answer = response.text().await.unwrap();
    assert!(answer.contains("\n  "), "{answer}");
    let expected =
        json!({ "status": "success", "batch": { "status": "imported", "customers": { "new": 2, "updated": 0 } } });
    assert_eq!(serde_json::from_str::<Value>(&answer).unwrap(), expected);

    let answer = running.send(&with(form.clone(), &[("condensed", "yes")])).await;
    let expected =
        json!({ "status": "success", "batch": { "status": "imported", "customers": { "new": 0, "updated": 2 } } });
    assert_eq!(answer, expected.to_string());
    let answer = running.send(&with(form, &[("campaigns_to_include", "\"&")])).await;
    let expected = json!({ "status": "error", "error": "campaigns_to_include: there is no campaign \"\"&\"" });
    assert_eq!(serde_json::from_str::<Value>(&answer).unwrap(), expected);

    running.simulator.fault_times(LoyaltyFault::UnescapedAmpersand.into(), 1);
    let answer = running.send(&with(batch(&NAMES, "1|a|b"), &[("output", "JSON")])).await;
    assert_eq!(serde_json::from_str::<Value>(&answer).unwrap()["account"], "Smith & Sons");
}

#[tokio::test]
async fn a_batch_whose_answer_is_spoiled_is_imported_and_others_are_not() {
    let spoiled = [
        Fault::Delay(Duration::ZERO),
        Fault::CutBody,
        Fault::Malformed,
        LoyaltyFault::UnescapedAmpersand.into(),
        LoyaltyFault::WrongCounts(1).into(),
    ];
    let refused = [
        Fault::Status(500),
        Fault::RetryAfter { status: 503, seconds: 1 },
        Fault::NotXml,
        Fault::Doctype,
        Fault::Huge(1000),
        LoyaltyFault::ErrorAnswer("no".to_owned()).into(),
        Fault::WrongCredentials,
    ];
    let cases = spoiled.into_iter().map(|fault| (fault, 1)).chain(refused.into_iter().map(|fault| (fault, 0)));
    for (fault, imported) in cases {
        let running = start().await;
        running.simulator.fault_times(fault.clone(), 1);
        if let Ok(response) = running.try_send(&batch(&NAMES, "1|a|b")).await {
            let _ = response.text().await;
        }
        assert_eq!(running.simulator.codes().len(), imported, "{fault:?}");
        assert_eq!(running.simulator.batches()[0].imported, imported == 1, "{fault:?}");
        let requests = running.simulator.requests();
        assert_eq!((requests.batches, requests.faulted, requests.refused), (1, 1, 0), "{fault:?}");
        running.import(&batch(&NAMES, "1|a|b")).await;
    }
}

#[tokio::test]
async fn every_spoiled_answer_is_spoiled_as_announced() {
    let running = start().await;
    let simulator = &running.simulator;
    let form = batch(&NAMES, "1|a|b\n2|a|b");
    running.import(&form).await;

    simulator.fault(Some(Fault::RetryAfter { status: 429, seconds: 7 }));
    let response = running.try_send(&form).await.unwrap();
    assert_eq!((response.status().as_u16(), response.headers()["retry-after"].to_str().unwrap()), (429, "7"));

    simulator.fault(Some(LoyaltyFault::ErrorAnswer("a & b".to_owned()).into()));
    assert_eq!(running.refusal(&form).await, "a & b");
    simulator.fault(Some(Fault::WrongCredentials));
    assert_eq!(running.refusal(&form).await, "Invalid user or password");

    simulator.fault(Some(LoyaltyFault::UnescapedAmpersand.into()));
    let answer = running.send(&form).await;
    assert!(answer.contains("<updated>2</updated></customers></batch><account>Smith & Sons</account>"), "{answer}");
    assert!(elements(&answer).is_err());

    simulator.fault(Some(Fault::Malformed));
    assert!(elements(&running.send(&form).await).is_err());
    simulator.fault(Some(Fault::Doctype));
    assert!(running.send(&form).await.contains("<!DOCTYPE bomb ["));
    simulator.fault(Some(Fault::NotXml));
    let response = running.try_send(&form).await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/html; charset=UTF-8");
    simulator.fault(Some(Fault::Huge(500_000)));
    let answer = running.send(&form).await;
    assert_eq!(answer.len(), 500_000);
    elements(&answer).unwrap();

    simulator.fault(Some(Fault::CutBody));
    let response = running.try_send(&form).await.unwrap();
    assert!(response.content_length().is_some() && response.bytes().await.is_err());

    for (difference, counts) in [(3, (4, 2)), (-1, (0, 2)), (-2, (0, 1)), (-9, (0, 0))] {
        let fresh = start().await;
        fresh.import(&form).await;
        fresh.simulator.fault(Some(LoyaltyFault::WrongCounts(difference).into()));
        assert_eq!(fresh.import(&batch(&NAMES, "1|c|d\n2|c|d\n3|c|d")).await, counts, "{difference}");
        assert_eq!(fresh.simulator.requests().rows, 5);
    }
}

#[tokio::test]
async fn a_delayed_answer_comes_late_and_one_that_hangs_once_the_fault_is_cleared() {
    let running = start().await;
    running.simulator.fault_times(Fault::Delay(Duration::from_millis(300)), 1);
    let begun = Instant::now();
    running.import(&batch(&NAMES, "1|a|b")).await;
    assert!(begun.elapsed() >= Duration::from_millis(300));

    running.simulator.fault(Some(Fault::Hang));
    let clear = async {
        while running.simulator.requests().faulted < 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(running.simulator.codes(), ["1"]);
        running.simulator.fault(None);
    };
    let second = batch(&NAMES, "2|a|b");
    let both = async { tokio::join!(running.import(&second), clear) };
    assert_eq!(tokio::time::timeout(PATIENCE, both).await.unwrap().0, (1, 0));
}

#[tokio::test]
async fn a_poisoned_customer_costs_its_row_or_its_batch() {
    let running = start().await;
    let simulator = &running.simulator;
    simulator.poison("2", Poison::RowDropped);
    assert_eq!(running.import(&batch(&NAMES, "1|a|b\n2|a|b\n3|a|b")).await, (2, 0));
    assert_eq!(simulator.codes(), ["1", "3"]);

    simulator.poison("2", Poison::WholeBatchError);
    let message = running.refusal(&batch(&NAMES, "4|a|b\n2|a|b")).await;
    assert!(!message.contains('2'), "{message}");
    assert_eq!(simulator.codes(), ["1", "3"]);
    assert_eq!(running.import(&batch(&NAMES, "4|a|b")).await, (1, 0));

    simulator.heal("2");
    assert_eq!(running.import(&batch(&NAMES, "2|a|b")).await, (1, 0));
    let imported: Vec<bool> = simulator.batches().iter().map(|batch| batch.imported).collect();
    assert_eq!(imported, [true, false, true, true]);
    let requests = simulator.requests();
    assert_eq!((requests.rows, requests.new, requests.dropped, requests.refused), (5, 4, 1, 1));
}

#[tokio::test]
async fn everything_a_story_does_can_be_done_over_http() {
    let running = start().await;
    for fault in [
        "delay&value=1",
        "hang",
        "status&value=500",
        "retry-after&value=429:1",
        "cut-body",
        "not-xml",
        "malformed",
        "doctype",
        "huge&value=1000",
        "error-answer&value=e",
        "unescaped-ampersand",
        "wrong-counts&value=-1",
        "wrong-credentials",
        "none",
        "status&value=503&times=1",
    ] {
        assert_eq!(running.control(&format!("fault?fault={fault}")).await.0, 200, "{fault}");
    }
    assert_eq!(running.try_send(&batch(&NAMES, "1|a|b")).await.unwrap().status(), 503);
    assert_eq!(running.control("poison?code=aa~1&kind=row-dropped").await.0, 200);
    assert_eq!(running.import(&batch(&NAMES, "aa~1|a|b\n2|a|b")).await, (1, 0));
    assert_eq!(running.control("poison?code=aa~1&kind=whole-batch-error").await.0, 200);
    running.refusal(&batch(&NAMES, "aa~1|a|b")).await;
    assert_eq!(running.control("heal?code=aa~1").await, (200, json!({ "done": true }).to_string()));
    assert_eq!(running.import(&batch(&NAMES, "aa~1|a|")).await, (1, 0));
    assert_eq!(running.control("take-news").await, (200, json!({ "codes": ["2", "aa~1"] }).to_string()));

    let customer = json!({
        "code": "aa~1",
        "exists": true,
        "times_written": 1,
        "columns": { "code": "aa~1", "first_name": "a" },
    });
    assert_eq!(running.read("customer?code=aa~1").await, customer);
    assert_eq!(running.read("customer?code=9").await["exists"], false);
    let state = running.read("state").await;
    assert_eq!(
        (&state["customers"], &state["batches"], &state["requests"]["faulted"]),
        (&json!(2), &json!(4), &json!(1))
    );
    let last = &running.read("batches").await[3];
    assert_eq!((&last["version"], &last["delimiter"]), (&json!("legacy"), &json!("pipe")));
    assert_eq!((&last["overwrite_duplicates"], &last["codes"]), (&json!("update"), &json!(["aa~1"])));

    for command in ["poison?code=1", "poison?kind=row-dropped", "heal", "fault?fault=bad", "fault?fault=status"] {
        assert_eq!(running.control(command).await.0, 400, "{command}");
    }
    assert_eq!(running.control("explode").await.0, 404);
}

#[tokio::test]
async fn the_program_prints_what_to_paste() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_loyalty-simulator"));
    command.args(["--port", "0", "--user-password", "it's", "--campaign", "c1", "--campaign", "c2"]);
    let mut started = Program(command.stdout(Stdio::piped()).spawn().unwrap());
    let mut lines = BufReader::new(started.0.stdout.take().unwrap()).lines().map(Result::unwrap);
    let base = lines.next().unwrap().rsplit(' ').next().unwrap().to_owned();
    let printed: Vec<String> = lines.by_ref().take_while(|line| !line.contains("demo-api-key")).collect();
    let url = format!("url = \"{base}/api.php\"");
    for expected in [
        "[[destination]]",
        "kind = \"customers-batch\"",
        &url,
        "campaigns = [\"c1\"]",
        "api = \"legacy\"",
        "allow_private_addresses = true",
        r#"export LOYALTY_CREDENTIALS='{"account_id":"greatwidgets","user_id":"demo","user_password":"it'\''s"}'"#,
    ] {
        assert!(printed.iter().any(|line| line == expected), "{expected} is not in {printed:#?}");
    }
    let form = with(batch(&NAMES, "1|a|b"), &[("user_password", "it's"), ("campaigns_to_include", "c1|,|c2")]);
    let answer = client().post(endpoint(&base)).form(&form).send().await.unwrap().text().await.unwrap();
    assert_eq!(texts(&answer, "new"), ["1"]);

    let help = Command::new(env!("CARGO_BIN_EXE_loyalty-simulator")).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    assert!(help.contains("[default: 8793]") && help.contains("/_simulator/poison?code="), "{help}");
}
