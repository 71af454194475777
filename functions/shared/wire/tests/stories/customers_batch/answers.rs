//! The answer to an import.

use super::*;

#[test]
fn a_form_that_can_not_be_used_is_answered_as_it_was_asked_for() {
    for (fields, expected) in [
        ("a=1&output=JSON&condensed=yes&A=2", Output { format: Format::Json, condensed: true }),
        ("callback=f&a=1&a=2", Output { format: Format::Jsonp("f".to_owned()), condensed: false }),
        ("a=1&a=2", Output { format: Format::Xml, condensed: false }),
    ] {
        let problem = Form::read(None, fields.as_bytes()).unwrap_err();
        assert_eq!((problem.to_string(), problem.output), ("the form has a field twice `a`".to_owned(), expected));
    }
    let (output, problem) = read_output(&Form::read(None, b"output=XML&callback=%ff").unwrap());
    assert_eq!((output.format, problem.unwrap_err().to_string()), (Format::Xml, "`callback`: is not UTF-8".to_owned()));
}

#[test]
fn a_script_has_no_characters_that_end_its_lines() {
    let error = Answer::Error("no `a\u{2028}b\u{2029}`".to_owned());
    let script = rendered(&error, Format::Jsonp("f".to_owned()), true);
    assert_eq!(script, r#"f({"status":"error","error":"no `a\u2028b\u2029`"});"#);
}

#[test]
fn secrets_do_not_show_in_what_a_program_prints_of_itself() {
    let form = form(&[("profiles_header_6", "customer_PIN")]);
    let (access, request) = (read_access(&form, None).unwrap(), read_request(&form).unwrap());
    let text = format!("{form:?} {access:?} {request:?}");
    assert!(!text.contains("1959caadac9b13dcb3") && !text.contains("555-5555") && !text.contains("jane"), "{text}");
}

fn imported() -> Answer {
    Answer::Imported(Imported {
        import: "0011223344556677-1".to_owned(),
        new: 2,
        updated: 1,
        ignored: 0,
        saves_undo: true,
        generated: vec![],
        ignored_rows: vec![],
        failures: vec![],
    })
}

fn rendered(answer: &Answer, format: Format, condensed: bool) -> String {
    answer.render(&Output { format, condensed }).1
}

#[test]
fn answers_are_the_sources_with_ours_beside_them() {
    let answer = imported();
    assert_eq!(
        rendered(&answer, Format::Xml, true),
        "<response status=\"success\"><batch status=\"imported\"><customers><new>2</new><updated>1</updated></customers>\
         <import><id>0011223344556677-1</id><ignored>0</ignored><failed>0</failed><undo>saved</undo></import></batch></response>"
    );
    let json = r#"{"status":"success","batch":{"status":"imported","customers":{"new":2,"updated":1},"import":{"id":"0011223344556677-1","ignored":0,"failed":0,"undo":"saved"}}}"#;
    assert_eq!(rendered(&answer, Format::Json, true), json);
    assert_eq!(rendered(&answer, Format::Jsonp("a.b".to_owned()), true), format!("a.b({json});"));
    let pretty = rendered(&answer, Format::Json, false);
    assert!(pretty.contains("\n  \"batch\": {\n"), "{pretty}");
    let same: serde_json::Value = serde_json::from_str(&pretty).unwrap();
    assert_eq!(same, serde_json::from_str::<serde_json::Value>(json).unwrap());

    let error = Answer::Error("a < b & c".to_owned());
    let xml = "<response status=\"error\"><error>a &lt; b &amp; c</error></response>";
    assert_eq!(rendered(&error, Format::Xml, false), xml);
    assert_eq!(rendered(&error, Format::Json, true), r#"{"status":"error","error":"a < b & c"}"#);
}

#[test]
fn what_was_generated_and_what_failed_is_told_row_by_row() {
    let Answer::Imported(imported) = imported() else { unreachable!() };
    let answer = Answer::Imported(Imported {
        generated: vec![
            GeneratedIds { row: 1, code: Some("1234567890123456".to_owned()), card_number: None },
            GeneratedIds { row: 2, code: None, card_number: Some("777".to_owned()) },
        ],
        ignored_rows: vec![RowProblem { row: 1, reason: "repeats the headers".to_owned() }],
        failures: vec![RowProblem { row: 3, reason: "has 1 columns".to_owned() }],
        saves_undo: false,
        ..imported
    });
    let xml = rendered(&answer, Format::Xml, false);
    assert!(xml.contains("<failed>1</failed><undo>none</undo></import>"), "{xml}");
    assert!(xml.contains("<generated><row>1</row><code>1234567890123456</code></generated>"), "{xml}");
    assert!(xml.contains("<generated><row>2</row><card_number>777</card_number></generated>"), "{xml}");
    let ignored = "<ignored_row><row>1</row><reason>repeats the headers</reason></ignored_row>";
    assert!(xml.contains(ignored), "{xml}");
    assert!(xml.contains("<failure><row>3</row><reason>has 1 columns</reason></failure></batch>"), "{xml}");
    let json = rendered(&answer, Format::Json, true);
    let expected = r#""generated":[{"row":1,"code":"1234567890123456"},{"row":2,"card_number":"777"}],"ignored_rows":[{"row":1,"reason":"repeats the headers"}],"failures":[{"row":3,"reason":"has 1 columns"}]}}"#;
    assert!(json.ends_with(expected), "{json}");
}

#[test]
fn the_answer_comes_as_it_is_wanted() {
    let output = |fields: &str| {
        let (output, problem) = read_output(&Form::read(None, fields.as_bytes()).unwrap());
        (output.format, output.condensed, problem.map_err(|problem| problem.to_string()))
    };
    let jsonp = || Format::Jsonp("a.b_1".to_owned());
    for (fields, format, condensed) in [
        ("", Format::Xml, false),
        ("output=xml", Format::Xml, false),
        ("output=XML&callback=a.b_1&condensed=yes", Format::Xml, true),
        ("output=JSON", Format::Json, false),
        ("output=json&condensed=yes", Format::Json, true),
        ("output=json&condensed=no", Format::Json, false),
        ("output=JSON&callback=a.b_1", jsonp(), false),
        ("callback=a.b_1", jsonp(), false),
    ] {
        assert_eq!(output(fields), (format, condensed, Ok(())), "{fields}");
    }
    let (format, _, problem) = output("output=YAML");
    assert_eq!((format, problem.unwrap_err().as_str()), (Format::Xml, "`output`: must be XML or JSON"));
    let (format, _, problem) = output("callback=alert(1)//&condensed=yes");
    assert_eq!(format, Format::Json);
    assert!(problem.unwrap_err().starts_with("`callback`: must be the name of a JavaScript function"));
}
