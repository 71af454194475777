//! Sends what a Connector sends.

use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;
use tests::{AssociationAnywhereFixture, CONNECTOR_LOGIN, TOKEN};

pub const NAMESPACE: &str = "http://www.intouchfollowup.com/api/2011-11";

/// An answer with everything that belongs to it.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answer {
    /// The id that a save was answered with: the answer is the source's, byte for byte.
    #[track_caller]
    pub fn uuid(&self) -> String {
        assert_eq!(self.status, StatusCode::OK, "{}", self.text);
        assert_eq!(self.headers["content-type"], "application/xml; charset=utf-8");
        let uuid = self
            .text
            .strip_prefix("<response xmlns=\"http://www.intouchfollowup.com/api/2011-11\"><uuid>")
            .and_then(|rest| rest.strip_suffix("</uuid></response>"));
        let uuid = uuid.unwrap_or_else(|| panic!("not a save's answer: {}", self.text));
        assert!(is_uuid(uuid), "{uuid}");
        uuid.to_owned()
    }

    /// An error in the source's dialect; returns its message.
    #[track_caller]
    pub fn error(&self, status: StatusCode, reason: &str) -> String {
        assert_eq!(self.status, status, "{}", self.text);
        assert_eq!(self.headers["content-type"], "application/xml; charset=utf-8");
        let begin = format!("<error xmlns=\"{NAMESPACE}\"><reason>{reason}</reason><errorUUID>");
        let rest = self.text.strip_prefix(begin.as_str());
        let (uuid, rest) = rest.and_then(|rest| rest.split_once("</errorUUID><message>")).unwrap_or_else(|| {
            panic!("not an error with the reason {reason}: {}", self.text);
        });
        assert!(is_uuid(uuid), "{uuid}");
        rest.strip_suffix("</message></error>").unwrap().to_owned()
    }

    /// What is wrong with the document.
    #[track_caller]
    pub fn invalid(&self) -> String {
        self.error(StatusCode::BAD_REQUEST, "VALIDATION")
    }
}

fn is_uuid(text: &str) -> bool {
    let groups: Vec<usize> = text.split('-').map(str::len).collect();
    groups == [8, 4, 4, 4, 12] && text.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit())
}

/// The header of HTTP Basic authentication.
pub fn basic(username: &str, password: &str) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(format!("{username}:{password}")))
}

pub fn authorized() -> String {
    basic(CONNECTOR_LOGIN.0, CONNECTOR_LOGIN.1)
}

pub fn path(resource: &str) -> String {
    format!("/connector/api/2011-11/{resource}")
}

/// Sends exactly this.
pub async fn send(
    world: &AssociationAnywhereFixture,
    method: &str,
    path: &str,
    authorization: Option<&str>,
    body: Vec<u8>,
) -> Answer {
    let mut request = Request::builder().method(method).uri(path).header("Content-Type", "application/xml");
    if let Some(authorization) = authorization {
        request = request.header("Authorization", authorization);
    }
    let (status, headers, text) = world.request(request.body(Body::from(body)).unwrap()).await;
    Answer { status, headers, text }
}

/// Pushes a document as the connection `intouch`.
pub async fn push(world: &AssociationAnywhereFixture, resource: &str, document: impl Into<Vec<u8>>) -> Answer {
    send(world, "POST", &path(resource), Some(&authorized()), document.into()).await
}

/// Fetches as the connection `intouch`: its provider, client and first club are added to the query.
pub async fn fetch(world: &AssociationAnywhereFixture, resource: &str, query: &str) -> Answer {
    let path = format!("{}?provider=INTOUCH&client_id=c-1&club_id=k-1{query}", path(resource));
    send(world, "GET", &path, Some(&authorized()), Vec::new()).await
}

pub fn provider_info(record_id: &str) -> String {
    provider_info_of("INTOUCH", "c-1", "k-1", record_id)
}

pub fn provider_info_of(identifier: &str, client_id: &str, club_id: &str, record_id: &str) -> String {
    format!(
        "<providerInfo><identifier>{identifier}</identifier><clientID>{client_id}</clientID>\
         <clubID>{club_id}</clubID><recordID>{record_id}</recordID></providerInfo>"
    )
}

/// A user with these elements in its `userInfo` beside the mandatory ones, and these beside its `userInfo`.
pub fn user(record_id: &str, user_type: &str, info: &str, beside: &str) -> String {
    format!(
        "<user>{}<userInfo><firstname>Foo</firstname><lastname>Bar</lastname><userStatus>ACTIVE</userStatus>\
         <userType>{user_type}</userType>{info}</userInfo>{beside}</user>",
        provider_info(record_id)
    )
}

pub fn prospect(record_id: &str) -> String {
    user(record_id, "PROSPECT", "", "")
}

/// A prospect that names an owner, and a lead source.
pub fn referring(record_id: &str, owner: &str, lead_source: &str) -> String {
    let lead = format!("<leadInfo><ownerID>{owner}</ownerID><leadSourceID>{lead_source}</leadSourceID></leadInfo>");
    user(record_id, "PROSPECT", "", &lead)
}

/// A member of staff of the first club, with an e-mail address unless it is empty.
pub fn staff(record_id: &str, first_name: &str, email: &str) -> String {
    format!(
        "<user>{}<userInfo><firstname>{first_name}</firstname><lastname>Staff</lastname><userStatus>ACTIVE</userStatus>\
         <email>{email}</email></userInfo></user>",
        provider_info(record_id)
    )
}

pub fn lead_source(record_id: &str, name: &str) -> String {
    format!(
        "<leadSource>{}<leadInfo><name>{name}</name><active>true</active></leadInfo></leadSource>",
        provider_info(record_id)
    )
}

/// What the read API answers.
pub async fn read(world: &AssociationAnywhereFixture, path: &str) -> Value {
    let (status, answer) = world.api("GET", path, Some(TOKEN), "").await;
    assert_eq!(status, StatusCode::OK, "{path}: {answer}");
    answer
}

/// One customer, as the read API shows it.
pub async fn customer(world: &AssociationAnywhereFixture, uuid: &str) -> Value {
    read(world, &format!("/v1/customers/intouch~{uuid}")).await
}

/// Every customer of the connection.
pub async fn customers(world: &AssociationAnywhereFixture) -> Vec<Value> {
    let answer = read(world, "/v1/customers?connection=intouch&limit=500").await;
    answer["customers"].as_array().unwrap().clone()
}

/// The staff of the connection.
pub async fn all_staff(world: &AssociationAnywhereFixture) -> Vec<Value> {
    read(world, "/v1/staff?connection=intouch").await["staff"].as_array().unwrap().clone()
}

/// The lead sources of the connection.
pub async fn all_lead_sources(world: &AssociationAnywhereFixture) -> Vec<Value> {
    read(world, "/v1/lead-sources?connection=intouch").await["lead_sources"].as_array().unwrap().clone()
}
