//! Triggered by API Gateway. Lets the integrator's own UI read the shadow.
//!
//! | route | what |
//! |---|---|
//! | `GET /v1/customers/{id}` | one record, deleted or not |
//! | `GET /v1/customers?id=…` | the same, whatever characters the id holds |
//! | `POST /v1/customers/batch-get` | up to 500 records by id |
//! | `GET /v1/customers?connection=…&cursor=…&limit=…` | the customers of a connection, page by page, without deleted ones |
//! | `GET /v1/connections` | how the connections stand |
//! | `GET /v1/staff?connection=…`, `GET /v1/lead-sources?connection=…` | what a connector pushed, page by page |
//!
//! Reads the shadow, the configuration, and of the control table counts, staff and lead sources; writes nothing. The
//! tenant comes from the bearer token, never from the request. An answer has 4 MB at most: a list then ends with a
//! cursor, and a batch says what it leaves unanswered. Errors are problem documents (RFC 9457).

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod answer;
mod auth;
mod list_query;
mod problem;
mod routes;

use std::sync::Arc;

use api::Gate;
use lambda::{Clients, Environment, EnvironmentError, Function};
use model::{LeadSource, Staff};
use operations::status::StatusReader;
use store::{Clock, ConnectionRegistry, Random, ReferenceTable, Secrets, Shadow};

/// The function, with what its routes need.
#[derive(Debug)]
struct CustomersApi {
    registry: ConnectionRegistry,
    secrets: Secrets,
    /// Bearer tokens, and the tenant whose data each of them opens.
    readers: Gate<String>,
    random: Random,
    shadow: Shadow,
    staff: ReferenceTable<Staff>,
    lead_sources: ReferenceTable<LeadSource>,
    status: StatusReader,
    clock: Clock,
}

/// Builds the function with the tables that its environment names: `CONTROL_TABLE`, `SHADOW_TABLE`.
///
/// # Errors
/// If a variable is missing.
pub fn function(environment: &Environment, clients: Clients) -> Result<Function, EnvironmentError> {
    let tables = clients.tables(environment)?;
    let Clients { secrets, clock, random, metrics, .. } = clients;
    Ok(Function::Http(routes::router(Arc::new(CustomersApi {
        staff: tables.reference(),
        lead_sources: tables.reference(),
        shadow: tables.shadow(),
        registry: tables.registry(),
        secrets,
        readers: Gate::new(clock.clone(), metrics),
        random,
        status: StatusReader::new(&tables),
        clock,
    }))))
}
