//! What has no field is kept, by the source's own names.

use model::Attribute;
use wire::Section;

use crate::sample::{JANE, content, content_with, list, object, text};

#[test]
fn what_is_not_typed_of_an_entry_stands_beside_it_in_the_same_order() {
    let content = content(JANE);
    assert_eq!(content.phones[0].number, "555-0100");
    assert_eq!(
        content.attributes["phones"],
        list([
            object([
                ("best", text("false")),
                ("ext", text("12")),
                ("phoneSerno", text("2")),
                ("preferred", text("true")),
            ]),
            object([("best", text("true")), ("phoneSerno", text("1")), ("preferred", text("false"))]),
        ])
    );
    assert_eq!(
        content.attributes["emails"],
        list([object([("best", text("true")), ("preferred", text("false"))]), object([])])
    );
    assert_eq!(content.attributes["subscriptions"], list([object([("copies", text("2"))])]));
    assert_eq!(content.attributes["loginId"], text("jdoe"));
    assert!(!content.attributes.contains_key("custId"));
    assert!(!content.attributes.contains_key("custType"));
    assert!(!content.attributes.contains_key("roles"));
    assert!(!content.attributes.contains_key("name"));
}

#[test]
fn a_section_without_leftovers_has_no_key() {
    let content = content_with("<emails><email><address>a@x.org</address></email></emails>");
    assert!(content.attributes.is_empty());
}

#[test]
fn every_section_is_kept_whether_known_or_not() {
    for section in Section::ALL {
        let name = section.name();
        let document = format!("<{name}><entry><secret>s-1</secret></entry></{name}>");
        let json = content_with(&document).canonical_json();
        assert!(json.contains("s-1"), "{name}: {json}");
    }
    let json = content_with("<neverHeardOf a=\"1\"><b>2</b>three</neverHeardOf>").attributes;
    assert_eq!(json["neverHeardOf"], object([("@a", text("1")), ("b", text("2")), ("#text", text("three"))]));
}

#[test]
fn an_empty_section_is_the_same_as_none() {
    for section in Section::ALL {
        let name = section.name();
        assert_eq!(content_with(&format!("<{name}/>")), content_with(""), "{name}");
        assert_eq!(content_with(&format!("<{name}>\n</{name}>")), content_with(""), "{name}");
    }
}

#[test]
fn a_list_has_one_shape_however_long_it_is() {
    let websites =
        |entries: &str| content_with(&format!("<websites>{entries}</websites>")).attributes["websites"].clone();
    assert_eq!(websites("<website>a</website>"), list([text("a")]));
    assert_eq!(websites("<website>a</website><website>b</website>"), list([text("a"), text("b")]));
    let aliases = content_with("<aliases><alias>a</alias></aliases>").attributes["aliases"].clone();
    assert_eq!(aliases, list([text("a")]));
    let companies = content_with("<companies><company>a</company></companies>").attributes["companies"].clone();
    assert_eq!(companies, list([text("a")]));
}

#[test]
fn a_wrapper_with_more_than_its_entries_is_an_object() {
    let of = |document: &str| content_with(document).attributes["websites"].clone();
    assert_eq!(
        of("<websites count=\"1\"><website>a</website></websites>"),
        object([("@count", text("1")), ("website", text("a"))])
    );
    assert_eq!(
        of("<websites><website>a</website><note>n</note></websites>"),
        object([("website", text("a")), ("note", text("n"))])
    );
    assert_eq!(
        of("<websites><website>a</website>t</websites>"),
        object([("website", text("a")), ("#text", text("t"))])
    );
}

#[test]
fn what_is_repeated_becomes_a_list_in_the_sources_order() {
    let of = |document: &str| content_with(document).attributes["bio"].clone();
    assert_eq!(
        of("<bio><line>b</line><photo/><line>a</line><line>c</line></bio>"),
        object([("line", list([text("b"), text("a"), text("c")])), ("photo", text(""))])
    );
    assert_eq!(of("<bio>one</bio><bio>two</bio>"), list([text("one"), text("two")]));
    // Two lists are a list of lists, not one list.
    assert_eq!(
        content_with("<files><file>a</file></files><files><file>b</file></files>").attributes["files"],
        list([list([text("a")]), list([text("b")])])
    );
}

#[test]
fn a_typed_child_that_comes_twice_or_with_attributes_is_kept_beside_its_field() {
    let content = content_with(
        "<emails><email><address>a@x.org</address><address>b@x.org</address>\
         <emailType code=\"W\">Work</emailType><badAddress>perhaps</badAddress></email></emails>",
    );
    assert_eq!(content.emails[0].address, "a@x.org");
    assert_eq!(content.emails[0].kind.as_deref(), Some("Work"));
    assert!(!content.emails[0].bad);
    assert_eq!(
        content.attributes["emails"],
        list([object([
            ("address", text("b@x.org")),
            ("badAddress", text("perhaps")),
            ("emailType", object([("@code", text("W")), ("#text", text("Work"))])),
        ])])
    );
}

#[test]
fn what_stands_beside_the_entries_of_a_typed_section_is_kept() {
    let content = content_with("<phones total=\"1\"><phone><number>1</number></phone><note>n</note></phones>");
    assert_eq!(content.phones.len(), 1);
    assert_eq!(content.attributes["phones#section"], object([("@total", text("1")), ("note", text("n"))]));
}

#[test]
fn two_sections_of_one_name_are_read_as_one() {
    let content = content_with("<roles><role>B</role></roles><roles><role>A</role><role/></roles>");
    assert_eq!(content.roles, ["A", "B"]);
}

#[test]
fn an_unknown_part_of_the_name_and_an_unknown_type_are_kept() {
    let content = content_with("<custType>X</custType><name><firstName>J</firstName><nick a=\"1\">N</nick></name>");
    assert_eq!(content.attributes["custType"], text("X"));
    assert_eq!(content.attributes["name"], object([("nick", object([("@a", text("1")), ("#text", text("N"))]))]));
}

#[test]
fn attributes_of_the_customer_are_kept_and_namespaces_are_not() {
    let content = content(
        "<custInfo xmlns=\"urn:a\" xmlns:x=\"urn:x\" changed=\"today\" x:by=\"me\"><custId>1</custId>\
         <bio xmlns=\"urn:b\">text</bio></custInfo>",
    );
    assert_eq!(content.attributes["@changed"], text("today"));
    assert_eq!(content.attributes["@x:by"], text("me"));
    assert_eq!(content.attributes["bio"], text("text"));
    assert_eq!(content.attributes.len(), 3);
}

#[test]
fn an_element_of_a_foreign_namespace_is_kept_and_never_matched() {
    let content = content_with(
        "<x:custId>2</x:custId><x:roles><role>R</role></x:roles><roles><x:role>F</x:role><role>A</role></roles>",
    );
    assert_eq!(content.roles, ["A"]);
    assert_eq!(content.attributes["x:custId"], text("2"));
    assert_eq!(content.attributes["x:roles"], list([text("R")]));
    assert_eq!(content.attributes["roles#section"], object([("x:role", text("F"))]));
}

#[test]
fn a_document_in_a_namespace_of_its_own_is_read_as_one_without() {
    let qualified = content(
        "<a:custInfo xmlns:a=\"urn:a\"><a:custId>1</a:custId><a:roles><a:role>R</a:role></a:roles><a:bio>b</a:bio></a:custInfo>",
    );
    let outer_only = content("<a:custInfo><custId>1</custId><roles><role>R</role></roles><bio>b</bio></a:custInfo>");
    let plain = content_with("<roles><role>R</role></roles><bio>b</bio>");
    assert_eq!(qualified, plain);
    assert_eq!(outer_only, plain);
}

#[test]
fn text_around_children_is_kept_whole() {
    let bio = content_with("<bio> Since <b>1970</b>, with\r\n<b>care</b>. </bio>").attributes["bio"].clone();
    let Attribute::Object(bio) = bio else { panic!("an object") };
    assert_eq!(bio["b"], list([text("1970"), text("care")]));
    assert_eq!(bio["#text"], text("Since , with\n."));
}

#[test]
fn unknown_sections_keep_the_sources_order() {
    let titles = content(JANE).attributes["jobs"].clone();
    let Attribute::List(jobs) = titles else { panic!("a list") };
    let employers: Vec<&Attribute> = jobs
        .iter()
        .map(|job| match job {
            Attribute::Object(job) => &job["employerName"],
            other => other,
        })
        .collect();
    assert_eq!(employers, [&text("Old Co"), &text("Acme")]);
}
