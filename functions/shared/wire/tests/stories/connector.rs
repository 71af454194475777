//! What the Connector pushes, and the answers to it.

use std::time::Instant;

use model::{Attribute, Attributes, Content, ExternalKey, LeadSource};
use wire::connector::{
    Lead, PushError, Reason, ShownLeadSource, ShownUser, error, limits, listed, page, read_lead_source, read_staff,
    read_user, response,
};
use wire::{Limits, ReadError};

/// As the source's guide shows it.
const PROVIDER_INFO: &str = "<providerInfo> <identifier>PROVIDER_ID</identifier> <clientID>c-1</clientID> \
                             <clubID>k-1</clubID> <recordID>r-1</recordID> </providerInfo>";

fn key() -> ExternalKey {
    ExternalKey {
        identifier: "PROVIDER_ID".into(),
        client_id: "c-1".into(),
        club_id: "k-1".into(),
        record_id: "r-1".into(),
    }
}

fn user(info: &str, beside: &str) -> String {
    format!(
        "<user>{PROVIDER_INFO}<userInfo><firstname>Foo</firstname><lastname>Bar</lastname>\
         <userStatus>ACTIVE</userStatus><userType>PROSPECT</userType>{info}</userInfo>{beside}</user>"
    )
}

fn problems(result: Result<impl std::fmt::Debug, PushError>) -> (Vec<String>, Option<ExternalKey>) {
    match result {
        Err(PushError::Invalid { problems, sender }) => (problems, sender),
        other => panic!("expected problems, got {other:?}"),
    }
}

#[test]
fn a_user_of_the_mandatory_elements_alone_is_read() {
    let push = read_user(user("", "").as_bytes(), &limits()).unwrap();
    assert_eq!((push.key, push.content.lead), (key(), None));
    let content = push.content.content;
    assert_eq!(
        content.canonical_json(),
        r#"{"type":"person","status":"active","name":{"display":"Foo Bar","first":"Foo","last":"Bar"},"stage":"prospect"}"#
    );
}

#[test]
fn what_only_prospects_have_may_stand_in_or_beside_the_user_info() {
    let lead =
        "<leadInfo><trialStartDate>2026-01-02</trialStartDate><OwnerId> s-1 </OwnerId><leadSourceID/></leadInfo>";
    let (within, beside) = (user(lead, ""), user("", lead));
    let within = read_user(within.as_bytes(), &limits()).unwrap();
    assert_eq!(within, read_user(beside.as_bytes(), &limits()).unwrap());
    assert_eq!(within.content.lead, Some(Lead { owner: Some("s-1".into()), lead_source: None }));
    let text = |text: &str| Attribute::Text(text.into());
    let lead_info =
        Attributes::from([("ownerID".to_owned(), text("s-1")), ("trialStartDate".to_owned(), text("2026-01-02"))]);
    let attributes = within.content.content.attributes;
    assert_eq!(attributes, Attributes::from([("leadInfo".to_owned(), Attribute::Object(lead_info))]));
}

#[test]
fn an_element_that_is_empty_says_nothing() {
    let empty = "<birthdate/><gender></gender><country> </country><mobile/><email/><address1/><company/>";
    let plain = read_user(user("", "").as_bytes(), &limits()).unwrap();
    assert_eq!(read_user(user(empty, "").as_bytes(), &limits()).unwrap(), plain);
}

#[test]
fn words_that_stand_for_something_are_known_in_any_case() {
    let capital = read_user(user("<gender>F</gender><country>US</country>", "").as_bytes(), &limits()).unwrap();
    let small = user("<gender>f</gender><country>us</country>", "").replace("ACTIVE", "active");
    let small = small.replace("PROSPECT", "Prospect").replace("userStatus", "UserStatus");
    assert_eq!(read_user(small.as_bytes(), &limits()).unwrap(), capital);
}

#[test]
fn everything_that_is_wrong_is_told_at_once_with_who_sent_it_and_without_what_it_says() {
    let document = user("<birthdate>soon-secret</birthdate><gender>secret</gender><country>secret</country>", "");
    let document = document.replace("<firstname>Foo</firstname>", "").replace("ACTIVE", "secret");
    let result = read_user(document.as_bytes(), &limits());
    let text = result.as_ref().unwrap_err().to_string();
    assert!(!text.contains("secret"), "{text}");
    let (problems, sender) = problems(result);
    assert_eq!((problems.len(), sender), (5, Some(key())), "{text}");
    let (problems, sender) = self::problems(read_user(document.replace("r-1", "").as_bytes(), &limits()));
    assert_eq!((problems.len(), sender), (6, None), "a part of who sent it is missing");
}

#[test]
fn staff_have_a_users_document_and_need_no_type() {
    let untyped = user("", "").replace("<userType>PROSPECT</userType>", "");
    assert_eq!(problems(read_user(untyped.as_bytes(), &limits())).0, ["`userInfo/userType` is missing"]);
    let staff = read_staff(untyped.as_bytes(), &limits()).unwrap();
    assert_eq!(staff.content.0.stage, None);
    let named_otherwise = untyped.replace("<user>", "<staff>").replace("</user>", "</staff>");
    assert_eq!(read_staff(named_otherwise.as_bytes(), &limits()).unwrap(), staff);
    let wrong = user("", "").replace("PROSPECT", "TRAINER");
    let (problems, _) = problems(read_staff(wrong.as_bytes(), &limits()));
    assert_eq!(problems, ["`userInfo/userType` must be PROSPECT or MEMBER"], "where it says one, it must be right");
}

#[test]
fn a_lead_source_that_does_not_say_whether_it_is_active_is() {
    let document = |active: &str| {
        format!("<leadSource>{PROVIDER_INFO} <leadInfo> <name> Facebook </name>{active}</leadInfo> </leadSource>")
    };
    for (active, expected) in [("", true), ("<active>true</active>", true), ("<active>FALSE</active>", false)] {
        let push = read_lead_source(document(active).as_bytes(), &limits()).unwrap();
        let content = LeadSource { name: "Facebook".into(), active: expected, attributes: Attributes::new() };
        assert_eq!((push.key, push.content), (key(), content), "{active}");
    }
}

#[test]
fn a_document_of_another_kind_is_refused_by_the_name_that_it_should_have() {
    let lead_source = format!("<leadSource>{PROVIDER_INFO}</leadSource>");
    for (result, expected) in [
        (read_user(lead_source.as_bytes(), &limits()).map(drop), "`user`"),
        (read_staff(lead_source.as_bytes(), &limits()).map(drop), "`user`"),
        (read_lead_source(user("", "").as_bytes(), &limits()).map(drop), "`leadSource`"),
    ] {
        let error = result.unwrap_err();
        assert!(matches!(error, PushError::Unreadable(ReadError::Unexpected { .. })), "{error}");
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[test]
fn every_limit_ends_the_reading() {
    let small = Limits { depth: 5, text_bytes: 50, document_bytes: 10_000, elements_per_customer: 20, ..limits() };
    read_user(user("", "").as_bytes(), &small).unwrap();
    for (info, limit) in [
        ("<a><b><c/></b></a><a><b><c><d/></c></b></a>".to_owned(), "depth"),
        (format!("<company>{}</company>", "x".repeat(51)), "text_bytes"),
        (format!("<company a='{}'/>", "x".repeat(51)), "text_bytes"),
        ("<a/>".repeat(20), "elements_per_customer"),
        ("<!-- -->".repeat(2_000), "document_bytes"),
    ] {
        let error = read_user(user(&info, "").as_bytes(), &small).unwrap_err();
        assert!(error.to_string().contains(limit), "{limit}: {error}");
    }
}

#[test]
fn hostile_documents_are_done_with_quickly() {
    let began = Instant::now();
    for document in [
        format!("<user>{}", "<a>".repeat(1_000_000)),
        format!("<user {}/>", (0..100_000).map(|number| format!("a{number}='' ")).collect::<String>()),
        format!("<user>{}</user>", "<a/>".repeat(700_000)),
        format!("<user>{}</user>", "&#65;".repeat(500_000)),
        format!("<user><!--{}--></user>", "-".repeat(2_000_000)),
    ] {
        assert!(read_user(document.as_bytes(), &limits()).is_err());
    }
    assert!(began.elapsed().as_secs() < 20, "{:?}", began.elapsed());
}

#[test]
fn answers_are_the_sources_byte_for_byte_and_escaped() {
    assert_eq!(
        response("cf912bbd-7d10-41a5-b37e-1e11beff4e0c"),
        "<response xmlns=\"http://www.intouchfollowup.com/api/2011-11\">\
         <uuid>cf912bbd-7d10-41a5-b37e-1e11beff4e0c</uuid></response>"
    );
    assert_eq!(
        error(Reason::Database, "e-1", "a < b & \"c\""),
        "<error xmlns=\"http://www.intouchfollowup.com/api/2011-11\"><reason>DATABASE</reason>\
         <errorUUID>e-1</errorUUID><message>a &lt; b &amp; &quot;c&quot;</message></error>"
    );
    assert!(error(Reason::Unknown, "", "").contains("<reason>UNKNOWN</reason>"));
}

#[test]
fn a_page_says_where_to_go_on() {
    let (key, content) = (ExternalKey { record_id: "<1>".into(), ..key() }, Content::default());
    let shown = || ShownUser {
        id: "u-1",
        key: &key,
        content: &content,
        created: "2012-04-10T04:11:07.023Z".into(),
        modified: "2012-04-11T04:11:07.023Z".into(),
    };
    let users = page::<ShownUser>(&[listed(&shown()), listed(&shown())].concat(), Some("a&b"));
    let begin = "<users xmlns=\"http://www.intouchfollowup.com/api/2011-11\" cursor=\"a&amp;b\"><user><uuid>u-1</uuid>";
    assert!(users.starts_with(begin) && users.ends_with("</user></users>"), "{users}");
    assert!(users.contains("<recordID>&lt;1&gt;</recordID>"), "{users}");
    assert!(
        users.contains("<createdDate>2012-04-10T04:11:07.023Z</createdDate><modifiedBy>PROVIDER_ID</modifiedBy>"),
        "{users}"
    );
    assert_eq!(users.matches("<user>").count(), 2);
    let empty = "<leadSources xmlns=\"http://www.intouchfollowup.com/api/2011-11\"></leadSources>";
    assert_eq!(page::<ShownLeadSource>("", None), empty);
}
