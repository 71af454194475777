//! `schedule-polls` under Lambda.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    lambda::run(schedule_polls::function).await
}
