//! A running receiver of webhooks, and a sender that signs.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use base64::{Engine, prelude::BASE64_STANDARD};
use hmac::{Hmac, Mac};
use jiff::Timestamp;
use reqwest::{RequestBuilder, Response};
use serde_json::{Value, json};
use sha2::Sha256;
use simulators::webhook::{WebhookReceiver, WebhookSettings, endpoint};
use tokio::{net::TcpListener, task::JoinHandle};

/// What the receiver's clock shows at first.
pub const NOW: i64 = 1_750_000_000;

pub struct Running {
    pub receiver: WebhookReceiver,
    pub base: String,
    pub clock: Arc<AtomicI64>,
    pub client: reqwest::Client,
    task: JoinHandle<std::io::Result<()>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub async fn start() -> Running {
    start_with(&WebhookSettings::default().secret, NOW).await
}

pub async fn start_with(secret: &str, now: i64) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let clock = Arc::new(AtomicI64::new(now));
    let followed = clock.clone();
    let receiver = WebhookReceiver::new(WebhookSettings {
        secret: secret.to_owned(),
        clock: Arc::new(move || Timestamp::from_second(followed.load(Ordering::Relaxed)).unwrap()),
        ..WebhookSettings::default()
    });
    let served = receiver.clone();
    let task = tokio::spawn(async move { served.serve(listener).await });
    let client = simulators::http_client().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    Running { receiver, base, clock, client, task }
}

pub fn event(action: &str, subject: &str, revision: u64) -> Value {
    let customer = if action == "deleted" { Value::Null } else { json!({ "id": subject, "revision": revision }) };
    json!({
        "specversion": "1.0",
        "id": "aa.17",
        "source": "/customer-sync/acme",
        "type": format!("com.example.customer.{action}"),
        "subject": subject,
        "time": "2025-06-15T15:06:40Z",
        "datacontenttype": "application/json",
        "data": {
            "id": subject,
            "action": action,
            "changed_at": "2025-06-15T15:06:40.123Z",
            "revision": revision,
            "customer": customer,
        },
    })
}

pub fn signature(secret: &str, id: &str, timestamp: i64, body: &str) -> String {
    let key = BASE64_STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
    mac.update(format!("{id}.{timestamp}.{body}").as_bytes());
    format!("v1,{}", BASE64_STANDARD.encode(mac.finalize().into_bytes()))
}

impl Running {
    pub fn request(&self, id: &str, timestamp: i64, signature: &str, body: &str) -> RequestBuilder {
        self.client
            .post(endpoint(&self.base))
            .header("Content-Type", "application/cloudevents+json; charset=utf-8")
            .header("webhook-id", id)
            .header("webhook-timestamp", timestamp.to_string())
            .header("webhook-signature", signature)
            .body(body.to_owned())
    }

    pub async fn send(&self, id: &str, event: &Value) -> reqwest::Result<Response> {
        let now = self.clock.load(Ordering::Relaxed);
        let body = event.to_string();
        let signature = signature(&WebhookSettings::default().secret, id, now, &body);
        self.request(id, now, &signature, &body).send().await
    }

    /// The status of the answer.
    pub async fn status(&self, id: &str, event: &Value) -> u16 {
        self.send(id, event).await.unwrap().status().as_u16()
    }

    pub async fn control(&self, command: &str) -> (u16, String) {
        let response = self.client.post(format!("{}/_simulator/{command}", self.base)).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    pub async fn read(&self, what: &str) -> Value {
        let url = format!("{}/_simulator/{what}", self.base);
        serde_json::from_str(&self.client.get(url).send().await.unwrap().text().await.unwrap()).unwrap()
    }
}
