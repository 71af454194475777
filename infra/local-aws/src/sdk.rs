//! An HTTP client for the AWS SDK that answers the requests in this process.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::http::{Response, StatusCode};
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::retry::RetryConfig;

use crate::interference::{Answer, Call, Interference};

/// The region of the clients: in one that the SDK does not know, each call would look through the patterns of all.
pub(crate) const REGION: &str = "eu-central-1";

type AnswerFuture = Pin<Box<dyn Future<Output = Answer> + Send>>;
type Answerer = dyn Fn(String, Arc<[u8]>) -> AnswerFuture + Send + Sync;

/// Answers the SDK's requests: takes the operation (`X-Amz-Target` without its prefix) and the JSON body.
#[derive(Clone)]
pub(crate) struct InProcess(Arc<Answerer>);

impl InProcess {
    pub(crate) fn new<F>(answer: impl Fn(String, Arc<[u8]>) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Answer> + Send + 'static,
    {
        Self(Arc::new(move |operation, body| Box::pin(answer(operation, body))))
    }

    /// The same, but requests and answers meet an interference.
    pub(crate) fn through(self, service: &'static str, interference: Arc<dyn Interference>) -> Self {
        Self::new(move |operation, body| {
            let (inner, interference) = (self.0.clone(), interference.clone());
            async move {
                let call = Call { service, operation: &operation, body: &body };
                if let Some(instead) = interference.before(call).await {
                    return instead;
                }
                let answer = inner(operation.clone(), body.clone()).await;
                interference.after(call, &answer).await.unwrap_or(answer)
            }
        })
    }
}

impl std::fmt::Debug for InProcess {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("InProcess")
    }
}

/// The SDK repeats what fails as it does on AWS, but its pauses are not drawn by chance: a run can be repeated.
pub(crate) fn steady_retries() -> RetryConfig {
    RetryConfig::standard().with_use_static_exponential_base(true)
}

impl HttpConnector for InProcess {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
        let Some(body) = request.body().bytes().map(Arc::<[u8]>::from) else {
            let error = ConnectorError::user("the request has no body in memory".into());
            return HttpConnectorFuture::ready(Err(error));
        };
        let answer = (self.0)(operation, body);
        HttpConnectorFuture::new(async move {
            let (status, body) = answer.await;
            let status = StatusCode::try_from(status).map_err(|error| ConnectorError::other(error.into(), None))?;
            Ok(Response::new(status, SdkBody::from(body)))
        })
    }
}

impl HttpClient for InProcess {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::config::{AsyncSleep, BehaviorVersion, Region, SharedAsyncSleep, Sleep};
    use aws_sdk_dynamodb::error::SdkError;
    use jiff::Timestamp;
    use store::Clock;

    use super::*;

    /// Time-outs of the SDK on a clock that only the test moves.
    #[derive(Debug)]
    struct OnClock(Clock);

    impl AsyncSleep for OnClock {
        fn sleep(&self, duration: std::time::Duration) -> Sleep {
            let clock = self.0.clone();
            Sleep::new(async move { clock.sleep(duration).await })
        }
    }

    /// Invariant 9: a dead connection costs a step, not the lease that is renewed beside it.
    #[tokio::test]
    async fn a_call_of_aws_that_never_answers_ends_before_a_lease_does() {
        let clock = Clock::manual(Timestamp::UNIX_EPOCH);
        let config = aws_sdk_dynamodb::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::from_static(REGION))
            .endpoint_url("http://dynamodb.local")
            .allow_no_auth()
            .timeout_config(lambda::timeouts())
            .sleep_impl(SharedAsyncSleep::new(OnClock(clock.clone())))
            .http_client(InProcess::new(|_, _| std::future::pending()))
            .build();
        let client = aws_sdk_dynamodb::Client::from_conf(config);
        let call = client.list_tables().send();
        let time_passes = async {
            loop {
                for _ in 0..20 {
                    tokio::task::yield_now().await;
                }
                clock.advance(std::time::Duration::from_millis(500));
                assert!(clock.now() < Timestamp::from_second(15).unwrap(), "still waiting");
            }
        };
        let answer = tokio::select! {
            answer = call => answer,
            () = time_passes => unreachable!("it fails instead"),
        };
        assert!(matches!(answer, Err(SdkError::TimeoutError(_))), "{answer:?}");
        assert!(clock.now() >= Timestamp::from_second(4).unwrap());
    }
}
