use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::net::TcpListener;

use super::*;

/// Answers each look-up with the next of some lists of addresses, and with the last of them again and again.
#[derive(Debug)]
struct Changing {
    answers: Mutex<VecDeque<Vec<IpAddr>>>,
    lookups: AtomicUsize,
}

impl Changing {
    fn new(answers: &[&[&str]]) -> Arc<Self> {
        let parsed = answers.iter().map(|answer| answer.iter().map(|address| address.parse().unwrap()).collect());
        Arc::new(Self { answers: Mutex::new(parsed.collect()), lookups: AtomicUsize::new(0) })
    }
}

impl Resolve for Changing {
    fn resolve(&self, _: Name) -> Resolving {
        self.lookups.fetch_add(1, Ordering::SeqCst);
        let mut answers = self.answers.lock().unwrap();
        let answer = if answers.len() > 1 { answers.pop_front().unwrap() } else { answers[0].clone() };
        Box::pin(async move { Ok(Box::new(answer.into_iter().map(|address| SocketAddr::new(address, 0))) as Addrs) })
    }
}

async fn post(http: &DestinationHttp, url: &str, allows_private: bool) -> Result<Answer, Trouble> {
    http.post(url, HeaderMap::new(), String::new(), allows_private, Duration::from_secs(3)).await
}

/// A receiver on this machine, and whether it was reached since.
async fn listening() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

async fn is_reached(listener: &TcpListener) -> bool {
    let accepted = listener.accept();
    tokio::select! {
        biased;
        _ = accepted => true,
        () = tokio::task::yield_now() => false,
    }
}

#[tokio::test]
async fn a_name_with_a_private_address_is_refused_and_nothing_is_sent() {
    let (listener, port) = listening().await;
    for private in ["127.0.0.1", "::1", "10.0.0.1", "169.254.169.254", "::ffff:127.0.0.1"] {
        let http = DestinationHttp::resolving(Changing::new(&[&[private]]), Clock::system());
        let trouble = post(&http, &format!("http://hook.example:{port}/"), false).await.unwrap_err();
        assert_eq!(trouble.message, NotPublic.to_string(), "{private}");
    }
    assert!(!is_reached(&listener).await);
}

#[tokio::test]
async fn a_name_whose_address_becomes_private_after_it_was_looked_up_gains_nothing() {
    let (listener, port) = listening().await;
    let names = Changing::new(&[&["1.1.1.1"], &["127.0.0.1"]]);
    let http = DestinationHttp::resolving(names.clone(), Clock::system());
    let url = format!("http://hook.example:{port}/");
    // The first request goes to the address that was checked, wherever that leads: its end is not waited for.
    tokio::select! {
        biased;
        _ = post(&http, &url, false) => {}
        () = async { while names.lookups.load(Ordering::SeqCst) == 0 { tokio::task::yield_now().await } } => {}
    }
    assert_eq!(names.lookups.load(Ordering::SeqCst), 1);
    let trouble = post(&http, &url, false).await.unwrap_err();
    assert_eq!(trouble.message, NotPublic.to_string());
    assert!(!is_reached(&listener).await);
}

#[tokio::test]
async fn of_several_addresses_only_the_public_ones_are_used() {
    let guard = Guard(Changing::new(&[&["10.0.0.1", "1.1.1.1", "127.0.0.1"]]));
    let addresses: Vec<SocketAddr> = guard.resolve("hook.example".parse().unwrap()).await.unwrap().collect();
    assert_eq!(addresses, ["1.1.1.1:0".parse().unwrap()]);
}

#[tokio::test]
async fn an_address_in_place_of_a_name_is_checked_too_in_whatever_spelling() {
    let (listener, port) = listening().await;
    let http = DestinationHttp::new(Clock::system());
    for host in ["127.0.0.1", "2130706433", "0x7f000001", "0177.0.0.1", "127.1", "[::1]", "[::ffff:127.0.0.1]"] {
        let trouble = post(&http, &format!("http://{host}:{port}/"), false).await.unwrap_err();
        assert_eq!(trouble.message, NotPublic.to_string(), "{host}");
    }
    assert!(!is_reached(&listener).await);
}

#[tokio::test]
async fn a_private_address_that_is_allowed_is_reached() {
    let (listener, port) = listening().await;
    let app = axum::Router::new().route("/", axum::routing::post(async || "taken"));
    let serving = tokio::spawn(async move { axum::serve(listener, app).await });
    let http = DestinationHttp::resolving(Changing::new(&[&["127.0.0.1"]]), Clock::system());
    let answer = post(&http, &format!("http://hook.example:{port}/"), true).await.unwrap();
    assert_eq!((answer.status, answer.shown().as_str()), (StatusCode::OK, "taken"));
    serving.abort();
}

#[tokio::test]
async fn an_answer_that_never_ends_is_cut_off() {
    let (listener, port) = listening().await;
    let endless = || futures::stream::repeat_with(|| Ok::<_, std::io::Error>(vec![b'x'; 64 * 1024]));
    let app =
        axum::Router::new().route("/", axum::routing::post(async move || axum::body::Body::from_stream(endless())));
    let serving = tokio::spawn(async move { axum::serve(listener, app).await });
    let http = DestinationHttp::new(Clock::system());
    let answer = post(&http, &format!("http://127.0.0.1:{port}/"), true).await.unwrap();
    assert_eq!((answer.body.len(), answer.shown().len()), (MOST_BYTES, KEPT_BYTES));
    serving.abort();
}

#[tokio::test]
async fn requests_keep_their_pace_and_none_is_begun_too_late() {
    let now = Timestamp::UNIX_EPOCH;
    let clock = Clock::manual(now);
    let pace = Pace::new(clock.clone(), 10.0, now + Duration::from_secs(31));
    for request in 0..11 {
        pace.wait().await.unwrap();
        assert_eq!(clock.now(), now + Duration::from_millis(100 * request));
    }
    assert!(pace.wait().await.unwrap_err().is_out_of_time);
}

#[test]
fn what_can_depend_on_what_is_sent_blames_it_in_the_end() {
    let trouble = |status, retry_after: Option<u64>| {
        let status = StatusCode::from_u16(status).unwrap();
        let answer = Answer { status, retry_after: retry_after.map(Duration::from_secs), body: Vec::new() };
        let trouble = answer.into_trouble();
        (trouble.blames_after, trouble.stops_all)
    };
    for status in [302, 403, 404, 406, 500, 501, 502, 504, 520] {
        assert_eq!(trouble(status, None), (Some(NO_ACCIDENT), false), "{status}");
        assert_eq!(trouble(status, Some(7)), (Some(FOR_LONG), true), "{status}, and when to come back");
    }
    assert_eq!(trouble(503, None), (Some(FOR_LONG), false));
    assert_eq!(trouble(408, None), (Some(FOR_LONG), true));
    for status in [410, 425, 429] {
        assert_eq!(trouble(status, None), (None, true), "{status}");
        assert_eq!(trouble(status, Some(7)), (None, true), "{status}, and when to come back");
    }
    assert_eq!((trouble(401, None), trouble(401, Some(7))), ((None, false), (None, true)));
}
