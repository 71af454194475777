use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_secretsmanager::config::{BehaviorVersion, Region};
use lambda::timeouts;
use serde::Deserialize;
use serde_json::json;

use crate::interference::{Answer, Interference};
use crate::sdk::{InProcess, REGION, steady_retries};

/// Secrets Manager in this process, in memory.
#[derive(Clone, Debug, Default)]
pub struct LocalSecrets(Arc<Mutex<BTreeMap<String, String>>>);

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GetSecretValue {
    secret_id: String,
}

impl LocalSecrets {
    /// Writes a secret; the one that had the name before is replaced.
    pub fn put(&self, name: &str, content: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), content.to_owned());
    }

    /// Removes a secret.
    pub fn remove(&self, name: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
    }

    /// A client, whose calls meet an interference.
    pub fn client_through(&self, interference: Arc<dyn Interference>) -> aws_sdk_secretsmanager::Client {
        let secrets = self.clone();
        let in_process = InProcess::new(move |operation, body| std::future::ready(secrets.answer(&operation, &body)));
        let config = aws_sdk_secretsmanager::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::from_static(REGION))
            .endpoint_url("http://secrets.local")
            .allow_no_auth()
            .timeout_config(timeouts())
            .retry_config(steady_retries())
            .http_client(in_process.through("Secrets Manager", interference))
            .build();
        aws_sdk_secretsmanager::Client::from_conf(config)
    }

    fn answer(&self, operation: &str, body: &[u8]) -> Answer {
        let request = match (operation, serde_json::from_slice::<GetSecretValue>(body)) {
            ("GetSecretValue", Ok(request)) => request,
            _ => return (400, json!({ "__type": "InvalidRequestException" }).to_string()),
        };
        let secrets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match secrets.get(&request.secret_id) {
            Some(content) => (200, json!({ "Name": request.secret_id, "SecretString": content }).to_string()),
            None => (400, json!({ "__type": "ResourceNotFoundException" }).to_string()),
        }
    }
}
