//! The HTTP side: one path, for SOAP and for the description of the service.

use axum::{
    body::Bytes,
    extract::State,
    http::{HeaderMap, Method, Uri},
    response::{IntoResponse, Response},
};

use quick_xml::escape::escape;

use super::{
    operations,
    soap::SoapVersion,
    types::{BcSimulator, ENDPOINT_PATH, endpoint},
};
use crate::server::{Document, media_type, plain_status};

pub(super) async fn call(
    State(simulator): State<BcSimulator>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if !uri.path().eq_ignore_ascii_case(ENDPOINT_PATH) {
        return plain_status(404).into_response();
    }
    if method == Method::GET && uri.query().is_some_and(|query| query.eq_ignore_ascii_case("wsdl")) {
        return description(&headers);
    }
    if method != Method::POST {
        return plain_status(405).into_response();
    }
    let Some(version) = SoapVersion::of_media_type(&media_type(&headers)) else {
        return plain_status(415).into_response();
    };
    match version.read(&body, header_text(&headers, "soapaction")) {
        Ok((operation, request)) => operations::answer(&simulator, version, operation, &request).await,
        Err(answer) => answer.into_response(),
    }
}

fn header_text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// The description gives the address that the client used.
fn description(headers: &HeaderMap) -> Response {
    let host = header_text(headers, "host").unwrap_or("localhost");
    let address = endpoint(&format!("http://{host}"));
    let document = include_str!("service.wsdl").replace("{address}", &escape(address));
    Document::ok("text/xml; charset=utf-8", document).into_response()
}
