//! What the API says of itself: OpenAPI 3.1, made of the routes, of the types that they read and write, and of real
//! answers as examples.

use serde_json::{Value, json};
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::Operation;
use utoipa::openapi::schema::{Object, Ref, Type};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{Content, Header, OpenApi, RefOr, Response};
use utoipa::{Modify, OpenApi as _, ToSchema};

use crate::problem::ProblemDocument;
use crate::{changes, connections, customers, failures, imports, reference_data, routes, whereabouts};

/// What an operation's security names: the scope that a token needs.
pub(crate) const BEARER: &str = "bearer";

/// The routes, and what none of them says.
#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "customer-sync",
        description = "Reads the shadow of an organisation's customers, follows what changes, and operates the \
            connections. The tenant comes from the token, never from the request. An answer has at most 4 MB: a page \
            ends there, with the cursor of what fitted. The routes of the InTouch Connector and of batch imports \
            speak the dialects of those systems, and are not described here.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    servers((url = "/", description = "The API Gateway of a stack, or the port of `customer-sync local`.")),
    tags(
        (name = "customers", description = "The shadow."),
        (name = "changes", description = "The change feed."),
        (name = "connections", description = "How the connections stand, and operating them."),
        (name = "failures", description = "Customers that could not be fetched or stored."),
        (name = "imports", description = "Batch imports, and their undo."),
        (name = "reference data", description = "What a Connector brought beside customers."),
        (name = "description", description = "This document."),
    ),
    paths(
        customers::by_path,
        customers::batch_get,
        customers::by_query,
        customers::search_by_body,
        whereabouts::whereabouts,
        changes::changes,
        connections::list,
        connections::pause,
        connections::resume,
        connections::resync,
        failures::list,
        failures::raw_document,
        failures::redrive,
        failures::drop,
        imports::list,
        imports::undo,
        reference_data::staff,
        reference_data::lead_sources,
        routes::document,
    ),
    components(schemas(ProblemDocument)),
    modifiers(&Credentials),
)]
struct Base;

struct Credentials;

impl Modify for Credentials {
    fn modify(&self, document: &mut OpenApi) {
        let mut bearer = Http::new(HttpAuthScheme::Bearer);
        bearer.description = Some(
            "The token of a reader of `connections.toml`. What operates needs one whose `scope` is `operate`.".into(),
        );
        let components = document.components.get_or_insert_default();
        components.add_security_scheme(BEARER, SecurityScheme::Http(bearer));
    }
}

/// What the routes take and answer. `examples` are answers of a simulated world, by the ids of operations: for each of
/// them its `request`, if it has a body, and its `answers` by status.
pub fn openapi(examples: &Value) -> OpenApi {
    let mut document = Base::openapi();
    for (path, item) in std::mem::take(&mut document.paths.paths) {
        document.paths.paths.insert(path.replace("{*", "{"), item);
    }
    for item in document.paths.paths.values_mut() {
        for operation in [&mut item.get, &mut item.post].into_iter().flatten() {
            add_errors(operation);
            let id = operation.operation_id.clone().unwrap_or_default();
            add_examples(operation, &examples[id]);
        }
    }
    document
}

/// Errors are problem documents, and some of them any route has that asks for a token.
fn add_errors(operation: &mut Operation) {
    let responses = &mut operation.responses.responses;
    let throttled = "API Gateway takes no more requests now, and answers that itself: a body without `status` and \
        `detail`, and no `Retry-After`. Wait for a second.";
    responses.insert("429".to_owned(), RefOr::T(Response::new(throttled)));
    let mut not_acceptable = Response::new("The request's `Accept` rules JSON out.");
    not_acceptable.content.insert(PROBLEM.to_owned(), RefOr::T(problem()));
    responses.insert("406".to_owned(), RefOr::T(not_acceptable));
    let Some(security) = &operation.security else { return };
    let operates = json!(security).to_string().contains("operate");
    let mut errors = vec![
        ("400", "A parameter or the body is not as it should be: `detail` names it."),
        ("401", "The request has no valid token."),
        ("500", "The answer can't be written. A 500 of API Gateway itself is `{\"message\"}` and no problem document."),
        (
            "503",
            "The store, or a token's secret, can't be read now: send the request again. A 503 of API Gateway itself is \
             `{\"message\"}` and no problem document.",
        ),
    ];
    if operates {
        errors.push(("403", "The token's scope is `read`."));
    }
    if operation.request_body.is_some() {
        errors.push(("413", "The body has more than a megabyte."));
    }
    for (status, description) in errors {
        let mut response = Response::new(description);
        if status == "401" {
            response.headers.insert("WWW-Authenticate".to_owned(), RefOr::T(header("Always `Bearer`.")));
        }
        responses.insert(status.to_owned(), RefOr::T(response));
    }
    if let Some(RefOr::T(known)) = responses.get_mut("304") {
        known.headers.insert("ETag".to_owned(), RefOr::T(header("The tag that you have.")));
        known.headers.insert("Fresh-As-Of".to_owned(), RefOr::T(header("How fresh it is now.")));
    }
    for (status, response) in responses.iter_mut().filter(|(status, _)| status.as_str() >= "400") {
        let RefOr::T(response) = response else { continue };
        if status == "429" {
            continue;
        }
        response.content.insert(PROBLEM.to_owned(), RefOr::T(problem()));
    }
}

/// The media type of errors.
const PROBLEM: &str = "application/problem+json";

fn problem() -> Content {
    Content::new(Some(Ref::from_schema_name(ProblemDocument::name())))
}

fn header(description: &str) -> Header {
    let text = Object::with_type(Type::String);
    HeaderBuilder::new().schema(Some(text)).description(Some(description)).build()
}

fn add_examples(operation: &mut Operation, examples: &Value) {
    if let Some(RefOr::T(body)) = &mut operation.request_body
        && !examples["request"].is_null()
    {
        show(body.content.values_mut(), &examples["request"]);
    }
    let answers = examples["answers"].as_object().into_iter().flatten();
    for (status, answer) in answers {
        if let Some(RefOr::T(response)) = operation.responses.responses.get_mut(status) {
            show(response.content.values_mut(), answer);
        }
    }
}

fn show<'a>(contents: impl Iterator<Item = &'a mut RefOr<Content>>, example: &Value) {
    for content in contents {
        if let RefOr::T(content) = content {
            content.example = Some(example.clone());
        }
    }
}
