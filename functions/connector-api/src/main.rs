//! `connector-api` under Lambda.

use lambda_http::{Error, run};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    lambda::start(|environment, clients| async move { run(connector_api::router(&environment, clients)?).await }).await
}
