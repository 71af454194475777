//! The way to the sources.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http;
use futures::FutureExt;
use futures::future::BoxFuture;
use local_aws::{Call, Interference};
use reqwest::{Request, Response};
use sources::Transport;
use tower::ServiceExt;

use crate::weather::{ProcessWeather, SOURCE};

/// The sources by host.
#[derive(Clone, Default)]
pub struct Sources(Arc<BTreeMap<String, Router>>);

impl Sources {
    /// Sources by host.
    pub fn new(routers: impl IntoIterator<Item = (String, Router)>) -> Self {
        Self(Arc::new(routers.into_iter().collect()))
    }

    /// The sources as a process reaches them.
    pub fn of_process(&self, weather: Arc<ProcessWeather>) -> ProcessSources {
        ProcessSources { sources: self.clone(), weather }
    }
}

/// The sources as one process reaches them.
#[derive(Clone)]
pub struct ProcessSources {
    sources: Sources,
    weather: Arc<ProcessWeather>,
}

impl fmt::Debug for ProcessSources {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.sources.0.keys()).finish()
    }
}

impl Transport for ProcessSources {
    fn send(&self, request: Request) -> BoxFuture<'static, Result<Response, String>> {
        let Self { sources, weather } = self.clone();
        async move {
            let host = request.url().host_str().unwrap_or_default().to_owned();
            let call = Call { service: SOURCE, operation: &host, body: b"" };
            if weather.before(call).await.is_some() {
                return Err("the source could not be reached".to_owned());
            }
            let Some(router) = sources.0.get(&host) else { return Err(format!("there is no host {host}")) };
            let body = request.body().and_then(reqwest::Body::as_bytes).unwrap_or_default().to_vec();
            let mut asked = http::Request::builder().method(request.method()).uri(request.url().as_str());
            for (name, value) in request.headers() {
                asked = asked.header(name, value);
            }
            let asked = asked.body(Body::from(body)).map_err(|error| error.to_string())?;
            let (head, body) = match router.clone().oneshot(asked).await {
                Ok(answer) => answer.into_parts(),
            };
            if weather.after(call, &(200, String::new())).await.is_some() {
                return Err("the connection broke".to_owned());
            }
            let body = reqwest::Body::wrap_stream(body.into_data_stream());
            Ok(http::Response::from_parts(head, body).into())
        }
        .boxed()
    }
}
