//! `upsert-customers` under Lambda.

use aws_lambda_events::event::sqs::SqsEvent;
use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use upsert_customers::UpsertCustomers;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    lambda::start(|environment, clients| async move {
        let function = &UpsertCustomers::new(&environment, clients)?;
        run(service_fn(|event: LambdaEvent<SqsEvent>| async move {
            Ok::<_, Error>(Box::pin(function.run(event.payload, lambda::deadline_of(&event.context))).await)
        }))
        .await
    })
    .await
}
