//! What comes over the wire, through the deployed functions: a source behind a socket that answers byte for byte what a
//! story says.

#![allow(clippy::unwrap_used, reason = "a story that fails may panic")]

use std::io::Write;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use model::{ConnectionKey, Customer};
use operations::status::{Condition, ConnectionStatus};
use tests::{TestDeployment, WORK_QUEUE};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What a source sends, and whether it leaves it at that.
struct Answer {
    bytes: Vec<u8>,
    hangs: bool,
}

/// An answer with this body.
fn answer(headers: &str, body: impl AsRef<[u8]>) -> Answer {
    let body = body.as_ref();
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n{headers}\r\n", body.len());
    Answer { bytes: [head.as_bytes(), body].concat(), hangs: false }
}

fn xml(body: impl AsRef<[u8]>) -> Answer {
    answer("Content-Type: text/xml\r\n", body)
}

/// A deployment with one connection, `acme/aa`, to a source that answers a request for `queue`, `details` or `purge` as
/// the story says.
struct Wire {
    deployment: TestDeployment,
    asked: Arc<AtomicUsize>,
    /// How many connections, of those that were left hanging, the functions have closed.
    closed: Arc<AtomicUsize>,
    serving: JoinHandle<()>,
}

impl Deref for Wire {
    type Target = TestDeployment;

    fn deref(&self) -> &TestDeployment {
        &self.deployment
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Wire {
    async fn to(answers: impl Fn(&str, &str) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let (asked, closed) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let answers = Arc::new(answers);
        let serving = tokio::spawn({
            let (asked, closed) = (asked.clone(), closed.clone());
            async move {
                while let Ok((socket, _)) = listener.accept().await {
                    asked.fetch_add(1, Ordering::SeqCst);
                    tokio::spawn(serve(socket, answers.clone(), closed.clone()));
                }
            }
        });
        let deployment = TestDeployment::new(7).await;
        let login = serde_json::json!({ "username": "integrator-1", "password": "R&d<7713>secret" });
        let credentials = deployment.secret("aa.json", &login);
        deployment
            .configure(&format!(
                "[[connection]]\nid = 'aa'\ntenant = 'acme'\nkind = 'association-anywhere'\nqueue_url = '{base}/queue'\n\
                 details_url = '{base}/details'\npurge_url = '{base}/purge'\ncredentials = '{credentials}'\n\
                 max_requests_per_second = 1000\npoll_seconds = 1\n"
            ))
            .await;
        Self { deployment, asked, closed, serving }
    }

    /// A source with these ids in its queue until it is purged, and with these details.
    async fn with_customers(
        ids: &'static [&'static str],
        details: impl Fn(&str) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let purged = AtomicUsize::new(0);
        Self::to(move |procedure, document| match procedure {
            "queue" if purged.load(Ordering::SeqCst) > 0 => xml("<r><status>SUCCESS</status></r>"),
            "queue" => {
                let ids: String = ids.iter().map(|id| format!("<cust-id>{id}</cust-id>")).collect();
                xml(format!("<r>{ids}<max-queue-num>7</max-queue-num></r>"))
            }
            "purge" => {
                purged.fetch_add(1, Ordering::SeqCst);
                xml("<r><status>SUCCESS</status></r>")
            }
            _ => details(document),
        })
        .await
    }

    async fn status(&self) -> ConnectionStatus {
        self.statuses().await.remove(0)
    }

    async fn message(&self) -> String {
        self.status().await.error.map(|error| error.message).unwrap_or_default()
    }

    async fn customer(&self, id: &str) -> Option<Customer> {
        self.shadow().get(&ConnectionKey::new("acme", "aa"), id).await.unwrap()
    }

    async fn run_for(&self, seconds: u64) {
        for _ in 0..seconds {
            self.poll().await;
            self.work_on(WORK_QUEUE).await;
            self.clock.advance(Duration::from_secs(1));
        }
    }

    /// Lets time pass until the work is done, for a source that leaves it hanging.
    async fn advance_until_done(&self, work: impl Future<Output = ()>) -> u64 {
        let mut work = std::pin::pin!(work);
        let mut seconds = 0;
        loop {
            // The work has its turns, over the socket too, before the next second passes.
            for _ in 0..200 {
                tokio::select! {
                    biased;
                    () = &mut work => return seconds,
                    () = tokio::task::yield_now() => {}
                }
            }
            if self.asked.load(Ordering::SeqCst) > 0 {
                self.clock.advance(Duration::from_secs(1));
                seconds += 1;
            }
            assert!(seconds < 400, "it waits for ever");
        }
    }

    /// Until the source has seen so many of the connections that it left hanging be closed.
    async fn until_closed(&self, connections: usize) {
        while self.closed.load(Ordering::SeqCst) < connections {
            tokio::task::yield_now().await;
        }
    }
}

async fn serve(mut socket: TcpStream, answers: Arc<impl Fn(&str, &str) -> Answer>, closed: Arc<AtomicUsize>) {
    let mut request = Vec::new();
    let (head, length) = loop {
        if socket.read_buf(&mut request).await.unwrap_or(0) == 0 {
            return;
        }
        if let Some(end) = request.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&request[..end]).to_ascii_lowercase();
            assert!(head.contains("accept-encoding: identity"), "{head}");
            let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next()?.parse().ok());
            break (head, end + 4 + length.unwrap_or(0));
        }
    };
    while request.len() < length {
        if socket.read_buf(&mut request).await.unwrap_or(0) == 0 {
            return;
        }
    }
    let procedure = head.split(' ').nth(1).unwrap().trim_start_matches('/').to_owned();
    let answer = answers(&procedure, &String::from_utf8_lossy(&request));
    let _ = socket.write_all(&answer.bytes).await;
    if answer.hangs {
        // Nothing more comes until the other side has closed.
        while socket.read(&mut [0; 64]).await.unwrap_or(0) > 0 {}
        closed.fetch_add(1, Ordering::SeqCst);
    }
}

fn info(id: &str, first: &str) -> String {
    format!("<custInfo><custId>{id}</custId><name><firstName>{first}</firstName></name></custInfo>")
}

fn first_name(customer: Option<Customer>) -> Option<String> {
    customer?.content.name.first
}

/// 9: progress. 7: no tenant stops the others.
#[tokio::test]
async fn a_source_that_hangs_after_the_head_of_its_answer_is_given_up_and_its_connection_closed() {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n<a>\r\n";
    let wire = Wire::to(move |_, _| Answer { bytes: head.into(), hangs: true }).await;
    let seconds = wire.advance_until_done(wire.poll()).await;
    assert!((25..=60).contains(&seconds), "{seconds} s");
    assert!(wire.message().await.contains("silent for 25 s"), "{}", wire.message().await);
    wire.until_closed(1).await;
}

/// 9: progress. A million customers take Oracle's gateway a while, and it sends nothing meanwhile.
#[tokio::test]
async fn a_queue_is_waited_for_longer_than_details_are() {
    let wire = Wire::to(|_, _| Answer { bytes: Vec::new(), hangs: true }).await;
    let seconds = wire.advance_until_done(wire.poll()).await;
    assert!((100..=180).contains(&seconds), "{seconds} s");
    wire.until_closed(1).await;
    let wire = Wire::with_customers(&["1"], |_| Answer { bytes: Vec::new(), hangs: true }).await;
    wire.poll().await;
    let seconds = wire.advance_until_done(wire.work_on(WORK_QUEUE)).await;
    assert!((20..=60).contains(&seconds), "{seconds} s");
    wire.until_closed(1).await;
}

/// 9: progress. Answers that are none do not keep us busy.
#[tokio::test]
async fn a_source_that_answers_with_rubbish_is_asked_less_and_less_often() {
    let wire = Wire::to(|_, _| xml("<html><body>The page that you look for is not here</body></html>")).await;
    wire.run_for(60).await;
    assert_ne!(wire.status().await.condition, Condition::InSync);
    let asked = wire.asked.load(Ordering::SeqCst);
    assert!((4..=20).contains(&asked), "{asked} requests in a minute");
}

/// 6: nothing is dropped in silence.
#[tokio::test]
async fn another_document_than_a_queues_makes_no_connection_fresh() {
    let wire = Wire::to(|_, _| xml("<Fault><faultstring>no route</faultstring></Fault>")).await;
    wire.run_for(3).await;
    let status = wire.status().await;
    assert_ne!(status.condition, Condition::InSync);
    assert!(status.error.unwrap().message.contains("nothing that the answer of a queue says"));
}

/// A connection that the source gave up while it was kept, or while the function was frozen.
#[tokio::test]
async fn a_connection_that_ends_before_any_byte_of_the_answer_costs_no_failure() {
    let cut_off = AtomicUsize::new(1);
    let wire = Wire::to(move |_, _| {
        match cut_off.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)) {
            Ok(_) => Answer { bytes: Vec::new(), hangs: false },
            Err(_) => xml("<r><status>SUCCESS</status></r>"),
        }
    })
    .await;
    wire.poll().await;
    assert_eq!((wire.status().await.condition, wire.message().await), (Condition::InSync, String::new()));
    assert_eq!(wire.asked.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_source_that_ends_every_connection_is_failing() {
    let wire = Wire::to(|_, _| Answer { bytes: Vec::new(), hangs: false }).await;
    wire.poll().await;
    assert_eq!(wire.status().await.condition, Condition::Failing);
    assert_eq!(wire.asked.load(Ordering::SeqCst), 2);
}

/// 4: one bad record costs one record, and here not even that.
#[tokio::test]
async fn characters_that_xml_forbids_are_left_out_and_everybody_is_taken_over() {
    let details = [info("1", "A&#x1F;nn"), info("2", "B\u{1}ob"), info("3", "Cid &#xD83D;"), info("4", "Dee")].concat();
    let wire = Wire::with_customers(&["1", "2", "3", "4"], move |_| xml(format!("<list>{details}</list>"))).await;
    wire.run_for(3).await;
    for (id, name) in [("1", "Ann"), ("2", "Bob"), ("3", "Cid"), ("4", "Dee")] {
        assert_eq!(first_name(wire.customer(id).await).as_deref(), Some(name));
    }
    assert_eq!(wire.status().await.failures, 0);
}

#[tokio::test]
async fn an_answer_that_comes_compressed_or_in_the_headers_character_set_is_read() {
    let document = format!("<?xml version='1.0' encoding='UTF-8'?><list>{}</list>", info("1", "Ren\u{e9}e"));
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(document.as_bytes()).unwrap();
    let gzip = gzip.finish().unwrap();
    let latin: Vec<u8> = document.chars().map(|letter| u8::try_from(u32::from(letter)).unwrap()).collect();
    for (headers, body) in [
        ("Content-Encoding: gzip\r\nContent-Type: text/xml\r\n", gzip),
        ("Content-Type: text/xml; charset=ISO-8859-1\r\n", latin.clone()),
        ("Content-Type: text/xml; charset=WE8ISO8859P1\r\n", latin),
        ("Content-Type: text/xml; charset=nobodys\r\n", document.clone().into_bytes()),
    ] {
        let wire = Wire::with_customers(&["1"], move |_| answer(headers, &body)).await;
        wire.run_for(3).await;
        assert_eq!(first_name(wire.customer("1").await).as_deref(), Some("Ren\u{e9}e"), "{headers}");
    }
    let wire = Wire::to(|_, _| answer("Content-Encoding: br\r\n", b"\x0b\x02\x80")).await;
    wire.run_for(1).await;
    assert!(wire.message().await.contains("`br`"), "{}", wire.message().await);
}

/// 8: secrets and personal data never reach a log or an error text.
#[tokio::test]
async fn a_source_that_quotes_us_or_speaks_of_people_is_shown_without_either() {
    let wire = Wire::to(|_, request| {
        let quoted = request.rsplit("\r\n\r\n").next().unwrap();
        xml(format!(
            "<r><error><![CDATA[ORA-20001: duplicate key: Jane Roe, jane.roe@example.org, card 4111222233334444 in {quoted} \
             for R&amp;d&lt;7713&gt;secret or R&d<7713>sec]]></error></r>"
        ))
    })
    .await;
    wire.run_for(1).await;
    let message = wire.message().await;
    assert!(message.contains("ORA-20001: duplicate key:"), "{message}");
    for told in ["Jane", "Roe", "example", "4111", "7713", "secr", "integrator-1"] {
        assert!(!message.contains(told), "{message}");
    }
}

/// 5: no false delete. 9: memory in proportion to what was asked for.
#[tokio::test]
async fn an_answer_about_a_crowd_that_nobody_asked_for_deletes_nobody() {
    let crowd: String = (0..500).map(|id| info(&format!("x{id}"), "Nobody")).collect();
    let wire = Wire::with_customers(&["1", "2"], move |_| xml(format!("<list>{crowd}</list>"))).await;
    wire.run_for(5).await;
    let status = wire.status().await;
    assert_eq!((status.counts.ends.tombstoned, status.counts.ends.written, status.failures), (0, 0, 0));
    assert!(wire.message().await.contains("customers = 10"), "{}", wire.message().await);
}
