//! Triggered by API Gateway. Lets others import customers, in the Sticky Street dialect.
//!
//! | route | what |
//! |---|---|
//! | `POST /api.php` with `type=customers_batch` | adds or updates up to 20,000 customers |
//!
//! Reads the accounts in the configuration, takes the connection's lease in the control table, and writes the shadow
//! and the import table. Answers are that dialect's, with HTTP 200 for errors too: its clients look at the body alone.
//!
//! An import is done in this order, so that it can end anywhere and be sent again:
//!
//! ```text
//!   lease ─► match rows ─► outcomes, images ─► import ─► claims ─► customers ─► import, finished ─► lease back
//!            (reads)                                  └─── a thousand customers at a time ───┘
//! ```
//!
//! The same request again within twelve hours is the same import. Rows that were taken over keep their customers, even
//! if the rows themselves have changed what they match; no amount is added twice, and the undo state stays as it was
//! before the first request. Rows that were not taken over wrote nothing, and are judged anew. So are those whose new
//! customers were not stored: another import may have brought them meanwhile. What others changed meanwhile is
//! overwritten again, if the request says so; its undo goes back to what they wrote. After that time, or once an undo
//! has begun, it is an import of its own.

mod auth;
mod claims;
mod import_tables;
mod importer;
mod password_hash;
mod plan;
mod routes;
mod turns;

use std::sync::Arc;

use api::Gate;
use lambda::{Clients, Environment, EnvironmentError, Function};
use operations::imports::ImportLease;
use store::{Secrets, Tables};
use tokio::sync::Semaphore;

use crate::auth::Account;
use crate::importer::Importer;

/// The function, with what its route needs.
struct ImportApi {
    tables: Tables,
    secrets: Secrets,
    /// Which users may import into which account.
    users: Gate<Arc<Account>>,
    /// Permits for requests that are read before their sender is known.
    readers: Semaphore,
    importer: Importer,
}

/// How many requests are read side by side, with up to 4.5 MB each, before their sender is known.
const READ_AT_ONCE: usize = 16;

/// Builds the function with the tables that its environment names: `CONTROL_TABLE`, `SHADOW_TABLE`, `IMPORT_TABLE`.
///
/// # Errors
/// If a variable is missing.
pub fn function(environment: &Environment, clients: Clients) -> Result<Function, EnvironmentError> {
    let tables = clients.tables(environment)?;
    let Clients { secrets, clock, metrics, .. } = clients;
    Ok(Function::Http(routes::router(Arc::new(ImportApi {
        secrets,
        users: Gate::new(clock, metrics.clone()),
        readers: Semaphore::new(READ_AT_ONCE),
        importer: Importer { lease: ImportLease::new(&tables), tables: tables.clone(), metrics },
        tables,
    }))))
}
