//! A running loyalty service, and the batches that are sent to it.

use std::collections::BTreeMap;

use reqwest::Response;
use serde_json::Value;
use simulators::loyalty::{LoyaltySettings, LoyaltySimulator, endpoint};
use tokio::{net::TcpListener, task::JoinHandle};

use super::{client, texts};

pub struct Running {
    pub simulator: LoyaltySimulator,
    pub base: String,
    pub client: reqwest::Client,
    task: JoinHandle<std::io::Result<()>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub async fn start() -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let simulator = LoyaltySimulator::new(LoyaltySettings::default());
    let served = simulator.clone();
    let task = tokio::spawn(async move { served.serve(listener).await });
    Running { simulator, base, client: client(), task }
}

pub type Form = Vec<(String, String)>;

pub fn form(fields: &[(&str, &str)]) -> Form {
    fields.iter().map(|&(name, text)| (name.to_owned(), text.to_owned())).collect()
}

/// A batch of the legacy version with these columns.
pub fn batch(columns: &[&str], data: &str) -> Form {
    let mut form = form(&[
        ("user_id", "demo"),
        ("user_password", "demo-password"),
        ("account_id", "greatwidgets"),
        ("type", "customers_batch"),
        ("delimiter", "pipe"),
        ("overwrite_duplicates", "update"),
        ("campaigns_to_include", "898989889"),
        ("Profiles_Data", data),
    ]);
    form.extend(headers(columns));
    form
}

/// The same of version 1.5.
pub fn batch_1_5(columns: &[&str], data: &str) -> Form {
    let form = without(batch(columns, data), &["user_password", "Profiles_Data"]);
    with(form, &[("API", "1.5"), ("user_api_key", "demo-api-key"), ("profiles_data", data)])
}

pub fn headers(columns: &[&str]) -> Form {
    let numbered = (1..).zip(columns);
    numbered.map(|(number, column)| (format!("profiles_header_{number}"), (*column).to_owned())).collect()
}

/// With these fields in place of those of the same names.
pub fn with(form: Form, fields: &[(&str, &str)]) -> Form {
    let names: Vec<&str> = fields.iter().map(|&(name, _)| name).collect();
    without(form, &names).into_iter().chain(self::form(fields)).collect()
}

pub fn without(form: Form, names: &[&str]) -> Form {
    form.into_iter().filter(|(name, _)| !names.contains(&name.as_str())).collect()
}

impl Running {
    pub async fn try_send(&self, form: &Form) -> reqwest::Result<Response> {
        self.client.post(endpoint(&self.base)).form(form).send().await
    }

    pub async fn send(&self, form: &Form) -> String {
        let response = self.try_send(form).await.unwrap();
        assert_eq!(response.status(), 200);
        response.text().await.unwrap()
    }

    /// Sends a batch, which must be imported; returns how many customers it says are new and updated.
    pub async fn import(&self, form: &Form) -> (u64, u64) {
        let answer = self.send(form).await;
        assert!(answer.starts_with("<response status=\"success\"><batch status=\"imported\"><customers>"), "{answer}");
        (number(&answer, "new"), number(&answer, "updated"))
    }

    /// Sends a batch, which must be refused.
    pub async fn refusal(&self, form: &Form) -> String {
        let answer = self.send(form).await;
        assert!(answer.starts_with("<response status=\"error\"><error>"), "{answer}");
        texts(&answer, "error").concat()
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

pub fn number(answer: &str, name: &str) -> u64 {
    texts(answer, name).concat().parse().unwrap()
}

pub fn columns(columns: &[(&str, &str)]) -> Option<BTreeMap<String, String>> {
    Some(columns.iter().map(|&(name, text)| (name.to_owned(), text.to_owned())).collect())
}
