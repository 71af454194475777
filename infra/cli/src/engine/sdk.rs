//! The AWS SDK's way out, turned inwards: requests are answered in this process.

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

/// An answer: HTTP status and JSON body.
pub(crate) type Answer = (u16, String);
type AnswerFuture = Pin<Box<dyn Future<Output = Answer> + Send>>;
type Answerer = dyn Fn(String, Vec<u8>) -> AnswerFuture + Send + Sync;

/// Answers the SDK's requests: the operation (`X-Amz-Target` without its prefix) and the JSON body go in.
#[derive(Clone)]
pub(crate) struct InProcess(Arc<Answerer>);

impl InProcess {
    pub(crate) fn new<F>(answer: impl Fn(String, Vec<u8>) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Answer> + Send + 'static,
    {
        Self(Arc::new(move |operation, body| Box::pin(answer(operation, body))))
    }
}

impl std::fmt::Debug for InProcess {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("InProcess")
    }
}

impl HttpConnector for InProcess {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
        let Some(body) = request.body().bytes().map(<[u8]>::to_vec) else {
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
