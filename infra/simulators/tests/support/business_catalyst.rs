//! A running Business Catalyst, and a client of it that knows nothing but HTTP and the documents.

use reqwest::Response;
use simulators::business_catalyst::{BcSettings, BcSimulator, NAMESPACE, endpoint};
use tokio::{net::TcpListener, task::JoinHandle};

use super::{client, texts};

/// A listing from here on holds everything.
pub const BEGINNING: &str = "0001-01-01T00:00:00";
pub const CREDENTIALS: &str =
    "<username>demo@example.com</username><password>demo-password</password><siteId>12345</siteId>";

pub const SOAP_11: &str = "http://schemas.xmlsoap.org/soap/envelope/";
pub const SOAP_12: &str = "http://www.w3.org/2003/05/soap-envelope";

pub struct Running {
    pub simulator: BcSimulator,
    pub base: String,
    pub endpoint: String,
    pub client: reqwest::Client,
    task: JoinHandle<std::io::Result<()>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub async fn start(contacts: u64) -> Running {
    start_with(BcSettings { contacts, ..BcSettings::default() }).await
}

pub async fn start_with(settings: BcSettings) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let simulator = BcSimulator::new(settings);
    let served = simulator.clone();
    let task = tokio::spawn(async move { served.serve(listener).await });
    Running { simulator, endpoint: endpoint(&base), base, client: client(), task }
}

impl Running {
    /// An operation with these parameters, in SOAP 1.1.
    pub async fn send(&self, operation: &str, parameters: &str) -> reqwest::Result<Response> {
        self.client
            .post(&self.endpoint)
            .header("Content-Type", "text/xml; charset=utf-8")
            .header("SOAPAction", format!("\"{NAMESPACE}/{operation}\""))
            .body(envelope(SOAP_11, operation, parameters))
            .send()
            .await
    }

    /// The same in SOAP 1.2.
    pub async fn send_12(&self, operation: &str, parameters: &str) -> reqwest::Result<Response> {
        self.client
            .post(&self.endpoint)
            .header("Content-Type", "application/soap+xml; charset=utf-8")
            .body(envelope(SOAP_12, operation, parameters))
            .send()
            .await
    }

    pub async fn send_retrieve(&self, since: &str, record_start: usize) -> reqwest::Result<Response> {
        self.send("ContactList_Retrieve", &listing(CREDENTIALS, since, record_start)).await
    }

    /// The body of a page that comes with HTTP 200.
    pub async fn retrieve(&self, since: &str, record_start: usize) -> String {
        let response = self.send_retrieve(since, record_start).await.unwrap();
        let status = response.status();
        let document = response.text().await.unwrap();
        assert_eq!(status, 200, "{document}");
        document
    }

    /// The ids of a whole listing, page by page as the source's guide says, with the documents.
    pub async fn retrieve_all(&self, since: &str) -> (Vec<u64>, Vec<String>) {
        let mut ids = Vec::new();
        let mut documents = Vec::new();
        loop {
            let document = self.retrieve(since, documents.len() * 100).await;
            ids.extend(record_ids(&document));
            let more_records = texts(&document, "moreRecords");
            documents.push(document);
            if more_records == ["false"] {
                return (ids, documents);
            }
        }
    }

    /// Writes contacts, which must be accepted.
    pub async fn write(&self, records: &str) -> String {
        let parameters = format!("{CREDENTIALS}<contactsList>{records}</contactsList>");
        let response = self.send("ContactList_UpdateInsert", &parameters).await.unwrap();
        let status = response.status();
        let document = response.text().await.unwrap();
        assert_eq!(status, 200, "{document}");
        document
    }

    /// A command of the control surface.
    pub async fn control(&self, command: &str) -> (u16, String) {
        let response = self.client.post(format!("{}/_simulator/{command}", self.base)).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }
}

pub fn envelope(soap: &str, operation: &str, parameters: &str) -> String {
    format!(
        "<soap:Envelope xmlns:soap=\"{soap}\" xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"><soap:Body>\
         <{operation} xmlns=\"{NAMESPACE}\">{parameters}</{operation}></soap:Body></soap:Envelope>"
    )
}

pub fn listing(credentials: &str, since: &str, record_start: usize) -> String {
    format!(
        "{credentials}<lastUpdateDate>{since}</lastUpdateDate><recordStart>{record_start}</recordStart>\
         <moreRecords>false</moreRecords>"
    )
}

/// The parts of a document that each hold one contact.
pub fn records(document: &str) -> Vec<&str> {
    document
        .split("<ContactRecord>")
        .skip(1)
        .map(|rest| rest.split("</ContactRecord>").next().unwrap_or_default())
        .collect()
}

/// The ids of the contacts of a page, in order.
pub fn record_ids(document: &str) -> Vec<u64> {
    let id = |record: &str| record.strip_prefix("<entityId>")?.split('<').next()?.parse().ok();
    records(document).into_iter().map(|record| id(record).unwrap()).collect()
}

/// The record of one contact as a document of its own.
pub fn record(document: &str, id: u64) -> String {
    let start = format!("<entityId>{id}</entityId>");
    let record = records(document).into_iter().find(|record| record.starts_with(&start)).unwrap();
    format!("<ContactRecord xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\">{record}</ContactRecord>")
}
