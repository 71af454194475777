//! A running simulator, and a client of it that knows nothing but HTTP and the documents.
//!
//! A test file need not use all of it.
#![allow(dead_code)]

pub mod business_catalyst;
pub mod loyalty;
pub mod webhook;

use std::process::Child;

use quick_xml::{Reader, events::Event};
use simulators::association_anywhere::{AaSettings, AaSimulator, AaUrls, urls};
use tokio::{net::TcpListener, task::JoinHandle};

pub struct Running {
    pub simulator: AaSimulator,
    pub base: String,
    pub urls: AaUrls,
    pub client: reqwest::Client,
    task: JoinHandle<std::io::Result<()>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub async fn start(customers: u64) -> Running {
    start_with(AaSettings { customers, ..AaSettings::default() }).await
}

pub async fn start_with(settings: AaSettings) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let simulator = AaSimulator::new(settings);
    let served = simulator.clone();
    let task = tokio::spawn(async move { served.serve(listener).await });
    Running { simulator, urls: urls(&base), base, client: client(), task }
}

pub fn client() -> reqwest::Client {
    simulators::http_client().no_proxy().build().unwrap()
}

impl Running {
    pub async fn send(&self, url: &str, document: &str) -> reqwest::Result<reqwest::Response> {
        self.client.post(url).form(&[("p_input_xml_doc", document)]).send().await
    }

    /// The body of an answer with HTTP 200.
    pub async fn post(&self, url: &str, document: &str) -> String {
        let response = self.send(url, document).await.unwrap();
        assert_eq!(response.status(), 200);
        response.text().await.unwrap()
    }

    pub async fn get_queue(&self) -> String {
        self.post(&self.urls.queue, QUEUE_REQUEST).await
    }

    pub async fn get_queue_with_reasons(&self) -> String {
        self.post(&self.urls.queue_with_reasons, QUEUE_REQUEST_CAMEL).await
    }

    pub async fn get_details(&self, ids: &[u64]) -> String {
        self.post(&self.urls.details, &details_request(ids)).await
    }

    pub async fn purge(&self, number: u64) -> String {
        self.post(&self.urls.purge, &purge_request(number)).await
    }

    pub async fn stop(mut self) -> reqwest::Client {
        self.task.abort();
        let _ = (&mut self.task).await;
        self.client.clone()
    }
}

pub const QUEUE_REQUEST: &str =
    "<cust-request><vendor-id>demo</vendor-id><vendor-password>demo-password</vendor-password></cust-request>";
pub const QUEUE_REQUEST_CAMEL: &str =
    "<custRequest><vendorId>demo</vendorId><vendorPassword>demo-password</vendorPassword></custRequest>";

pub fn purge_request(number: u64) -> String {
    format!(
        "<purge-request><vendor-id>demo</vendor-id><vendor-password>demo-password</vendor-password>\
         <max-queue-num>{number}</max-queue-num></purge-request>"
    )
}

pub fn details_request(ids: &[u64]) -> String {
    details_request_for(ids, true, "<emails include=\"true\"/><memberships include=\"true\"/>")
}

pub fn details_request_for(ids: &[u64], bulk: bool, sections: &str) -> String {
    let ids: String = ids.iter().map(|id| format!("<custId>{id}</custId>")).collect();
    format!(
        "<custInfoRequest>{ids}<integratorUsername>demo</integratorUsername>\
         <integratorPassword>demo-password</integratorPassword><directoryId/><bulkRequest>{bulk}</bulkRequest>\
         <details includeCodeValues=\"true\">{sections}</details></custInfoRequest>"
    )
}

/// Ends the program even if an assertion fails.
pub struct Program(pub Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Every element of a well-formed document, as its name, depth and own text.
pub fn elements(document: &str) -> Result<Vec<(String, usize, String)>, String> {
    let mut reader = Reader::from_str(document);
    let mut elements: Vec<(String, usize, String)> = Vec::new();
    let mut open: Vec<usize> = Vec::new();
    loop {
        match reader.read_event().map_err(|error| error.to_string())? {
            Event::Start(start) => {
                elements.push((start.name().into_inner().to_owned(), open.len(), String::new()));
                open.push(elements.len() - 1);
            }
            Event::Empty(start) => elements.push((start.name().into_inner().to_owned(), open.len(), String::new())),
            Event::End(_) => {
                open.pop();
            }
            Event::Text(text) => {
                if let Some(&element) = open.last() {
                    elements[element].2.push_str(&text.xml10_content());
                }
            }
            Event::CData(text) => {
                if let Some(&element) = open.last() {
                    elements[element].2.push_str(&text.xml10_content());
                }
            }
            Event::GeneralRef(reference) => {
                let name = reference.xml10_content();
                let text = match name.as_ref() {
                    "amp" => "&",
                    "lt" => "<",
                    "gt" => ">",
                    other => return Err(format!("unknown entity {other}")),
                };
                if let Some(&element) = open.last() {
                    elements[element].2.push_str(text);
                }
            }
            Event::DocType(_) => return Err("a document type".to_owned()),
            Event::Eof => break,
            Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
        }
    }
    if open.is_empty() && !elements.is_empty() { Ok(elements) } else { Err("not closed".to_owned()) }
}

/// The texts of all elements of exactly this name.
pub fn texts(document: &str, name: &str) -> Vec<String> {
    let elements = elements(document).unwrap();
    elements.into_iter().filter(|(element, ..)| element == name).map(|(_, _, text)| text).collect()
}

pub fn numbers(document: &str, name: &str) -> Vec<u64> {
    texts(document, name).iter().map(|text| text.parse().unwrap()).collect()
}
