//! `poll-contacts` under Lambda.

use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use poll_contacts::PollContacts;
use serde_json::Value;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    lambda::start(|environment, clients| async move {
        let function = &PollContacts::new(&environment, clients)?;
        run(service_fn(|tick: LambdaEvent<Value>| async move {
            Box::pin(function.run(lambda::deadline_of(&tick.context))).await.map_err(Error::from)
        }))
        .await
    })
    .await
}
