use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::QueryRejection;
use axum::extract::{DefaultBodyLimit, FromRequest, Query, Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use model::{LeadSource, Staff};
use wire::connector::Reason;

use crate::ConnectorApi;
use crate::auth::SentBy;
use crate::error::ApiError;
use crate::query::FetchQuery;
use crate::save::ReferenceResource;

/// The largest document that is taken.
const LARGEST_BODY: usize = 1024 * 1024;
/// The largest request that API Gateway takes. Up to this size the error is in the source's dialect.
const LARGEST_REQUEST: usize = 10 * 1024 * 1024;

type Api = State<Arc<ConnectorApi>>;
type Parameters = Result<Query<Vec<(String, String)>>, QueryRejection>;

pub(crate) fn router(api: Arc<ConnectorApi>) -> Router {
    Router::new()
        .route("/connector/api/2011-11/user", get(get_user).post(post_user))
        .route("/connector/api/2011-11/staff", get(get_staff).post(post_reference::<Staff>))
        .route("/connector/api/2011-11/leadsource", get(get_lead_source).post(post_reference::<LeadSource>))
        .method_not_allowed_fallback(async |State(api): Api| {
            let message = "this route knows POST and GET";
            api.answer(Err(ApiError::new(StatusCode::METHOD_NOT_ALLOWED, Reason::Validation, message)))
        })
        .fallback(async |State(api): Api| api.answer(Err(ApiError::not_found())))
        .layer(DefaultBodyLimit::max(LARGEST_REQUEST))
        .with_state(api)
}

async fn post_user(SentBy(senders): SentBy, State(api): Api, request: Request) -> Response {
    let saved = async { api.save_user(&senders, &document(request).await?).await };
    api.answer(saved.await)
}

async fn post_reference<T: ReferenceResource>(SentBy(senders): SentBy, State(api): Api, request: Request) -> Response {
    let saved = async { api.save_reference::<T>(&senders, &document(request).await?).await };
    api.answer(saved.await)
}

async fn get_user(SentBy(senders): SentBy, State(api): Api, parameters: Parameters) -> Response {
    let fetched = async { api.fetch_users(&senders, query(parameters)?).await };
    api.answer(fetched.await)
}

async fn get_staff(SentBy(senders): SentBy, State(api): Api, parameters: Parameters) -> Response {
    let fetched = async { api.fetch_reference::<Staff>(&senders, query(parameters)?).await };
    api.answer(fetched.await)
}

async fn get_lead_source(SentBy(senders): SentBy, State(api): Api, parameters: Parameters) -> Response {
    let fetched = async { api.fetch_lead_sources(&senders, query(parameters)?).await };
    api.answer(fetched.await)
}

/// Reads the document that is pushed. It is read only if the request has valid credentials: see [`SentBy`].
async fn document(request: Request) -> Result<Bytes, ApiError> {
    let too_large = || ApiError::too_large(format!("the body has more than {LARGEST_BODY} bytes"));
    match Bytes::from_request(request, &()).await {
        Ok(bytes) if bytes.len() <= LARGEST_BODY && has_lost_characters(&bytes) => Err(ApiError::invalid(
            "the document is not UTF-8 and has lost characters on its way: it must come as `application/octet-stream`",
        )),
        Ok(bytes) if bytes.len() <= LARGEST_BODY => Ok(bytes),
        Ok(_) => Err(too_large()),
        Err(rejection) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => Err(too_large()),
        Err(_) => Err(ApiError::invalid("the body could not be read to its end")),
    }
}

/// Whether a document in another encoding was taken for UTF-8 before it came here, as API Gateway does with the types
/// `application/xml` and `text/…`: then its characters beyond ASCII are lost without an error.
fn has_lost_characters(document: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(document) else { return false };
    if !text.contains(char::REPLACEMENT_CHARACTER) {
        return false;
    }
    let declaration = text.split("?>").next().unwrap_or_default().to_ascii_lowercase();
    let declares_another = declaration.contains("encoding") && !declaration.contains("utf-8");
    // The byte order mark of UTF-16 is lost first; without one, its zero bytes stay.
    declares_another || text.starts_with(char::REPLACEMENT_CHARACTER) || text.contains('\0')
}

fn query(parameters: Parameters) -> Result<FetchQuery, ApiError> {
    let Query(parameters) = parameters.map_err(|_| ApiError::invalid("the query can't be read"))?;
    FetchQuery::read(parameters)
}
