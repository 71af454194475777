use std::sync::Arc;

use api::{Lookup, request_id};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, FromRequest, Request, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use wire::customers_batch::{
    Answer, Form, FormProblem, Imported, Output, Problem, expect_batch, read_access, read_output, read_request,
};

use crate::ImportApi;
use crate::auth::Account;
use crate::importer::ImportError;

/// Bytes of a request: Lambda takes 6 MB, in which API Gateway sends a form as base64, with its headers beside it.
const MOST_BYTES: usize = 4_500_000;
/// The header of version 1.5 that wins over `user_api_key`.
const ACCESS_KEY: &str = "api_access_key";

pub(crate) fn router(api: Arc<ImportApi>) -> Router {
    Router::new().route("/api.php", post(take)).layer(DefaultBodyLimit::max(MOST_BYTES)).with_state(api)
}

async fn take(State(api): State<Arc<ImportApi>>, request: Request) -> Response {
    let (answer, output) = match taken(&api, request).await {
        Ok((imported, output)) => (Answer::Imported(imported), output),
        Err(FormProblem { problem, output }) => (Answer::Error(problem.to_string()), output),
    };
    response(&answer, &output)
}

async fn taken(api: &ImportApi, request: Request) -> Result<(Imported, Output), FormProblem> {
    let cut_off = || Problem("the request is cut off".to_owned());
    let headers = request.headers().clone();
    let request_id = request_id(request.extensions(), &api.tables.random);
    // The sender of a request stands in its body: this bounds the memory that unknown senders can take.
    let turn = api.readers.acquire().await.map_err(|_| cut_off())?;
    let body = Bytes::from_request(request, &()).await.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            Problem(format!("the request has more than {MOST_BYTES} bytes: split its rows over several requests"))
        }
        _ => cut_off(),
    })?;
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let form = Form::read(content_type, &body)?;
    let (output, problem) = read_output(&form);
    let importing = async {
        problem?;
        let account = api.account_of(&headers, &form, &request_id).await?;
        drop(turn);
        imported(api, &account, &form).await
    };
    match importing.await {
        Ok(imported) => Ok((imported, output)),
        Err(problem) => Err(FormProblem { problem, output }),
    }
}

impl ImportApi {
    /// The account that a request opens.
    async fn account_of(&self, headers: &HeaderMap, form: &Form, request_id: &str) -> Result<Arc<Account>, Problem> {
        expect_batch(form)?;
        let access = read_access(form, headers.get(ACCESS_KEY).and_then(|value| value.to_str().ok()))?;
        let later = || Problem("who may import can't be checked now: send the request again".to_owned());
        let opened = self.opened(&access, request_id).await.map_err(|error| {
            tracing::error!(%error, "the accounts can't be read");
            later()
        })?;
        match opened {
            // They are all the same.
            Lookup::These(accounts) => accounts.into_iter().next().ok_or_else(later),
            // One text for all: it does not reveal which accounts and users exist.
            Lookup::Nothing => Err(Problem("the user, the password or the account is wrong".to_owned())),
            Lookup::Unknown => Err(later()),
        }
    }
}

async fn imported(api: &ImportApi, account: &Account, form: &Form) -> Result<Imported, Problem> {
    let request = read_request(form)?;
    let unknown = request.import.campaigns.iter().find(|campaign| !account.campaigns.contains(campaign));
    if let Some(unknown) = unknown {
        let unknown: String = unknown.chars().take(40).collect();
        return Err(Problem(format!("`campaigns_to_include`: the account has no campaign `{unknown}`")));
    }
    api.importer.import(&account.key, request).await.map_err(|error| {
        tracing::error!(connection = %account.key, %error, "an import failed");
        Problem(match error {
            ImportError::Busy => "another import of this account is under way: send the request again".to_owned(),
            ImportError::Paused => {
                "imports of this account are paused, and nothing was imported: send the request again later".to_owned()
            }
            ImportError::Store(_) | ImportError::Secrets(_) => {
                "the import could not be done now: send the same request again".to_owned()
            }
        })
    })
}

/// Always with status 200: clients of this dialect take any other status for a failure on the way.
fn response(answer: &Answer, output: &Output) -> Response {
    let (media_type, text) = answer.render(output);
    let headers = [
        (header::CONTENT_TYPE, media_type),
        (header::CACHE_CONTROL, "no-store"),
        (HeaderName::from_static("x-content-type-options"), "nosniff"),
    ];
    (headers, text).into_response()
}
