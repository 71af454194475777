//! `poll-contacts` under Lambda.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    lambda::run(poll_contacts::function).await
}
