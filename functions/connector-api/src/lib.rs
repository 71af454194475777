//! Triggered by API Gateway. Takes what an InTouch Connector pushes, and answers its requests for stored records.
//!
//! | route | what |
//! |---|---|
//! | `POST /connector/api/2011-11/user` | saves a prospect or a member; answers our id of it |
//! | `POST /connector/api/2011-11/staff` | saves a member of staff; likewise |
//! | `POST /connector/api/2011-11/leadsource` | saves a lead source; likewise |
//! | `GET` of the same | one record by `uuid`, `recordID` or `identifier`, or without any of these a page of them |
//!
//! Prospects and members go to the shadow, staff and lead sources to the control table. An answer comes when everything
//! is stored. A prospect may refer to staff or a lead source that is not known yet: `reference_resolution.rs` says how
//! it is completed. The connection, and with it the tenant, comes from the credentials, never from the request. Errors
//! are in the source's dialect.

mod auth;
mod error;
mod fetch;
mod origin;
mod query;
mod reference_resolution;
mod routes;
mod save;

use std::sync::Arc;

use api::Gate;
use lambda::{Clients, Environment, EnvironmentError, Function, Metrics};
use store::{Secrets, Tables};

use crate::auth::Sender;

/// The function, with what its routes need.
#[derive(Debug)]
struct ConnectorApi {
    tables: Tables,
    secrets: Secrets,
    /// Credentials, and the connections that they open.
    senders: Gate<Sender>,
    metrics: Metrics,
}

/// Builds the function with the tables that its environment names: `CONTROL_TABLE`, `SHADOW_TABLE`.
///
/// # Errors
/// If a variable is missing.
pub fn function(environment: &Environment, clients: Clients) -> Result<Function, EnvironmentError> {
    let tables = clients.tables(environment)?;
    let Clients { secrets, clock, metrics, .. } = clients;
    Ok(Function::Http(routes::router(Arc::new(ConnectorApi {
        tables,
        secrets,
        senders: Gate::new(clock, metrics.clone()),
        metrics,
    }))))
}
