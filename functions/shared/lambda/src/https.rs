//! HTTPS to AWS, by the client that asks the other systems: every function holds one implementation of HTTP and TLS,
//! and none of HTTP/2, which no service that is asked here needs.

use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use reqwest::{Body, Client, Request};
use sources::exchange::LazyClient;

use crate::environment::CONNECT_TIMEOUT;

/// How long a connection waits for its next request.
const IDLE_TIMEOUT: Duration = Duration::from_secs(90);

/// HTTPS for the SDK. All its clients share it; it is built when one of them is first used.
#[derive(Clone, Debug)]
pub(crate) struct Https(LazyClient);

impl Default for Https {
    fn default() -> Self {
        Self(LazyClient::new(|client| client.connect_timeout(CONNECT_TIMEOUT).pool_idle_timeout(IDLE_TIMEOUT)))
    }
}

impl HttpClient for Https {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Https {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let client = self.0.clone();
        HttpConnectorFuture::new(async move { send(&client, request).await })
    }
}

/// Sends a request, and reads the whole answer: of all that is asked here, none is larger than a page. How long that
/// may take is up to the SDK, and so is whether it is tried again.
async fn send(client: &Client, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
    let request = request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?;
    let request = Request::try_from(request.map(Body::wrap)).map_err(|error| ConnectorError::user(error.into()))?;
    let mut answer = client.execute(request).await.map_err(unanswered)?;
    let mut response = http::Response::new(());
    *response.status_mut() = answer.status();
    *response.headers_mut() = std::mem::take(answer.headers_mut());
    let body = answer.bytes().await.map_err(unanswered)?;
    let response = response.map(|()| SdkBody::from(body));
    HttpResponse::try_from(response).map_err(|error| ConnectorError::other(error.into(), None))
}

/// Why there is no answer: each may pass by itself, and the SDK tries again.
fn unanswered(error: reqwest::Error) -> ConnectorError {
    let error = error.without_url();
    if error.is_timeout() { ConnectorError::timeout(error.into()) } else { ConnectorError::io(error.into()) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that fails may panic")]

    use std::collections::HashMap;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use aws_sdk_secretsmanager::Client;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::task::JoinHandle;
    use tracing::{Event, Level, Subscriber};
    use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

    use super::*;
    use crate::Environment;

    const ANSWER: &str =
        "HTTP/1.1 200 OK\r\nx-amzn-requestid: r-1\r\nContent-Length: 23\r\n\r\n{\"SecretString\":\"text\"}";

    /// A client of AWS as a function has it, of an AWS that is played here.
    async fn aws() -> (TcpListener, Client) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let variables = [
            ("AWS_REGION", "eu-central-1"),
            ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", "a-key"),
            ("AWS_SESSION_TOKEN", "a-token"),
            ("AWS_ENDPOINT_URL", &endpoint),
        ];
        let variables: HashMap<_, _> = variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        let config = crate::aws::config(&Environment::of(variables)).unwrap();
        let soon = config.retry_config().unwrap().clone().with_initial_backoff(Duration::from_millis(1));
        (listener, Client::new(&config.into_builder().retry_config(soon).build()))
    }

    async fn heard(connection: &mut TcpStream) -> String {
        let mut request = Vec::new();
        while !request.ends_with(b"}") {
            assert_ne!(connection.read_buf(&mut request).await.unwrap(), 0, "a request that ends within");
        }
        String::from_utf8(request).unwrap().to_ascii_lowercase()
    }

    fn ask(client: &Client) -> JoinHandle<String> {
        let request = client.get_secret_value().secret_id("a-secret");
        tokio::spawn(async move { request.send().await.unwrap().secret_string.unwrap() })
    }

    #[tokio::test]
    async fn a_request_of_the_sdk_is_sent_as_it_was_signed() {
        let (listener, client) = aws().await;
        let asked = ask(&client);
        let (mut connection, _) = listener.accept().await.unwrap();
        let request = heard(&mut connection).await;
        assert!(request.starts_with("post / http/1.1\r\n"), "{request}");
        assert!(request.contains("\r\nx-amz-target: secretsmanager.getsecretvalue\r\n"), "{request}");
        assert!(request.contains("\r\nx-amz-security-token: a-token\r\n"), "{request}");
        assert!(request.contains(&format!("\r\nhost: {}\r\n", listener.local_addr().unwrap())), "{request}");
        assert!(request.contains("signedheaders=") && request.contains(";host;"), "{request}");
        connection.write_all(ANSWER.as_bytes()).await.unwrap();
        assert_eq!(asked.await.unwrap(), "text");
    }

    #[tokio::test]
    async fn a_connection_that_is_kept_serves_again_and_one_that_has_ended_is_replaced() {
        let (listener, client) = aws().await;
        let first = ask(&client);
        let (mut kept, _) = listener.accept().await.unwrap();
        heard(&mut kept).await;
        kept.write_all(ANSWER.as_bytes()).await.unwrap();
        assert_eq!(first.await.unwrap(), "text");
        let second = ask(&client);
        heard(&mut kept).await;
        // As after a function was frozen: the other side gave it up.
        drop(kept);
        let (mut next, _) = listener.accept().await.unwrap();
        heard(&mut next).await;
        next.write_all(&ANSWER.as_bytes()[..ANSWER.len() - 5]).await.unwrap();
        drop(next);
        let (mut last, _) = listener.accept().await.unwrap();
        heard(&mut last).await;
        last.write_all(ANSWER.as_bytes()).await.unwrap();
        assert_eq!(second.await.unwrap(), "text", "neither half an answer nor none is the end");
    }

    /// Counts errors that are logged.
    #[derive(Clone, Default)]
    struct Errors(Arc<AtomicUsize>);

    impl<S: Subscriber> Layer<S> for Errors {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            self.0.fetch_add(usize::from(*event.metadata().level() == Level::ERROR), Ordering::SeqCst);
        }
    }

    /// An error in a log is an alarm.
    #[tokio::test]
    async fn a_failure_of_aws_that_passes_by_itself_is_no_error_in_the_log() {
        let errors = Errors::default();
        let _logs = tracing::subscriber::set_default(tracing_subscriber::registry().with(errors.clone()));
        let (listener, client) = aws().await;
        let asked = ask(&client);
        let (mut connection, _) = listener.accept().await.unwrap();
        heard(&mut connection).await;
        connection.write_all(b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 2\r\n\r\n{}").await.unwrap();
        heard(&mut connection).await;
        connection.write_all(ANSWER.as_bytes()).await.unwrap();
        assert_eq!(asked.await.unwrap(), "text");
        assert_eq!(errors.0.load(Ordering::SeqCst), 0);
    }
}
