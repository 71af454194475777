//! Triggered by API Gateway. Lets the integrator's own UI read the shadow.
//!
//! | route | what |
//! |---|---|
//! | `GET /v1/customers/{id}` | one record, deleted or not |
//! | `GET /v1/customers?id=…` | the same, whatever characters the id holds |
//! | `POST /v1/customers/batch-get` | up to 500 records by id |
//! | `GET /v1/customers?connection=…&cursor=…&limit=…` | the customers of a connection, page by page, without deleted ones |
//! | `GET /v1/customers?email=…` | the customers with an e-mail address, without deleted ones |
//! | `POST /v1/customers/search` | the same, with the address in the body |
//! | `POST /v1/customers/where` | what is known of a customer but its content |
//! | `GET /v1/changes?cursor=…&limit=…&connection=…&wait=…` | the change feed, oldest first |
//! | `GET /v1/connections` | how the connections stand |
//! | `POST /v1/connections/{id}/pause`, `…/resume`, `…/resync` | as the command, with a token of the scope `operate` |
//! | `POST /v1/failures/redrive`, `…/drop` | likewise |
//! | `POST /v1/failures/list`, `…/raw-document` | the failures of a connection; what was sent of one customer |
//! | `GET /v1/imports?connection=…` | the batch imports of a connection |
//! | `POST /v1/imports/{id}/undo` | as the command |
//! | `GET /` | the status page |
//! | `GET /openapi.json` | what all of these take and answer, as OpenAPI 3.1 |
//! | `GET /v1/staff?connection=…`, `GET /v1/lead-sources?connection=…` | what a connector pushed, page by page |
//!
//! Reads the shadow, the feed table, the configuration, and of the control table counts, staff and lead sources; writes
//! what an operator asks for: into the states of connections, failure records, and with an undo into the shadow and the
//! import table. The tenant comes from the bearer
//! token, never from the request. An answer has 4 MB at most: a list then ends with a cursor, and a batch says what it
//! leaves unanswered. Errors are problem documents (RFC 9457).

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod accept;
mod answer;
mod auth;
mod changes;
mod connections;
mod cursor;
mod customers;
mod etag;
mod failures;
mod freshness;
mod imports;
mod openapi;
mod page;
mod problem;
mod reference_data;
mod request;
mod routes;
mod whereabouts;

use std::sync::Arc;

use api::Gate;
use lambda::{Clients, Environment, EnvironmentError, Function};
use operations::imports::Undo;
use operations::resync::Resyncs;
use operations::status::StatusReader;
use operations::whereabouts::Finder;
use store::{Secrets, Tables};

pub use crate::openapi::openapi;

use crate::auth::Access;
use crate::freshness::Freshness;

/// The function, with what its routes need.
#[derive(Debug)]
struct CustomersApi {
    tables: Tables,
    secrets: Secrets,
    /// Bearer tokens, and what each of them opens.
    readers: Gate<Access>,
    freshness: Freshness,
    status: StatusReader,
    finder: Finder,
    undo: Undo,
    resyncs: Resyncs,
}

/// Builds the function with what its environment names: the tables, and in `ALLOWED_ORIGINS` the web pages that may
/// ask.
///
/// # Errors
/// If a variable is missing.
pub fn function(environment: &Environment, clients: Clients) -> Result<Function, EnvironmentError> {
    let tables = clients.tables(environment)?;
    let Clients { secrets, clock, metrics, .. } = clients;
    let origins = environment.optional("ALLOWED_ORIGINS").and_then(routes::origins);
    let api = CustomersApi {
        secrets,
        readers: Gate::new(clock, metrics),
        freshness: Freshness::new(&tables),
        status: StatusReader::new(&tables),
        finder: Finder::new(&tables),
        undo: Undo::new(&tables),
        resyncs: Resyncs::new(&tables),
        tables,
    };
    Ok(Function::Http(routes::router(Arc::new(api), origins)))
}
