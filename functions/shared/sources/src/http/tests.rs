//! How long an answer may take, and what of it is read: 9 (progress), 7 (no connection stops the others).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use futures::stream;
use wire::Limits;
use wire::association_anywhere::{QueueReader, StatusReader};

use super::*;

type Piece = Result<Vec<u8>, io::Error>;

fn response(headers: &[(&'static str, &str)], body: impl Stream<Item = Piece> + Send + 'static) -> Response {
    let mut response = http::Response::builder();
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response.body(reqwest::Body::wrap_stream(body)).unwrap().into()
}

fn pieces(pieces: Vec<&'static [u8]>) -> impl Stream<Item = Piece> + Send {
    stream::iter(pieces.into_iter().map(|piece| Ok(piece.to_vec())))
}

struct Reading {
    clock: Clock,
    http: SourceHttp,
}

impl Reading {
    fn new() -> Self {
        let clock = Clock::manual(Timestamp::UNIX_EPOCH);
        Self { http: SourceHttp::new(clock.clone()), clock }
    }

    async fn status(&self, response: Response) -> Result<Result<(), ReadError>, RequestError> {
        let deadline = self.clock.now() + Patience::USUAL.ends_within;
        self.http
            .read(response, deadline, |body| {
                let charset = body.charset();
                let mut reader = StatusReader::new(body, charset, Limits::of_status());
                move || reader.read()
            })
            .await
    }
}

#[tokio::test]
async fn an_answer_of_which_a_byte_comes_now_and_then_ends_at_its_deadline() {
    for seconds in [1, 5, 20] {
        let reading = Reading::new();
        let clock = reading.clock.clone();
        let sent = Arc::new(AtomicUsize::new(0));
        let count = sent.clone();
        let drip = stream::repeat_with(move || {
            count.fetch_add(1, Ordering::SeqCst);
            clock.advance(Duration::from_secs(seconds));
            Ok(b"x".to_vec())
        });
        let answer = reading.status(response(&[], stream::iter([Ok(b"<a>".to_vec())]).chain(drip))).await;
        let error = answer.unwrap().unwrap_err();
        assert!(error.is_interrupted() && error.to_string().contains("in time"), "{error}");
        let took = sent.load(Ordering::SeqCst) as u64 * seconds;
        assert!((60..=60 + seconds).contains(&took), "{took} s");
    }
}

#[tokio::test]
async fn a_source_that_is_silent_within_its_answer_is_given_up() {
    let reading = Reading::new();
    let hang = stream::iter([Ok(b"<a>".to_vec())]).chain(stream::pending());
    let advance = async {
        tokio::task::yield_now().await;
        reading.clock.advance(Duration::from_secs(26));
    };
    let (answer, ()) = tokio::join!(reading.status(response(&[], hang)), advance);
    assert!(answer.unwrap().unwrap_err().to_string().contains("silent for 25 s"));
}

/// The reader and the body are on no thread of their own: nothing of them is left.
#[tokio::test]
async fn whoever_gives_an_answer_up_ends_all_of_it() {
    struct Held(Arc<AtomicBool>);
    impl Drop for Held {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }
    let reading = Reading::new();
    let (body_gone, reader_gone) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let held = Held(body_gone.clone());
    let body = stream::repeat_with(move || {
        let _ = &held;
        Ok(b" ".to_vec())
    });
    let held = Held(reader_gone.clone());
    let deadline = reading.clock.now() + Patience::QUEUE.ends_within;
    let mut answer = Box::pin(reading.http.read(response(&[], body), deadline, move |body| {
        let mut reader = QueueReader::new(body, None, Limits::of_queue(), move |_| {
            let _ = &held;
        });
        move || reader.read()
    }));
    for _ in 0..100 {
        assert!(futures::poll!(&mut answer).is_pending());
    }
    drop(answer);
    assert!(body_gone.load(Ordering::SeqCst) && reader_gone.load(Ordering::SeqCst));
}

#[tokio::test]
async fn an_answer_that_never_ends_is_read_to_its_limit_and_others_have_their_turn() {
    let reading = Reading::new();
    let turns = AtomicUsize::new(0);
    let endless = stream::repeat_with(|| Ok(b"<filler>0123456789</filler>".repeat(1_000)));
    let body = stream::iter([Ok(b"<r>".to_vec())]).chain(endless);
    tokio::select! {
        answer = reading.status(response(&[], body)) => {
            let error = answer.unwrap().unwrap_err();
            assert!(matches!(error, ReadError::Limit { limit: "document_bytes", .. }) && error.is_no_answer(), "{error}");
        }
        () = async {
            loop {
                turns.fetch_add(1, Ordering::SeqCst);
                tokio::task::yield_now().await;
            }
        } => {}
    }
    assert!(turns.load(Ordering::SeqCst) >= 10, "{turns:?}");
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_read_as_far_as_it_came() {
    let reading = Reading::new();
    let broken = stream::iter([Ok(b"<r><error>not".to_vec()), Err(io::Error::other("reset"))]);
    assert!(reading.status(response(&[], broken)).await.unwrap().unwrap_err().is_interrupted());
    let told = stream::iter([Ok(b"<r><error>not found</error>".to_vec()), Err(io::Error::other("reset"))]);
    let error = reading.status(response(&[], told)).await.unwrap().unwrap_err();
    assert!(error.to_string().contains("not found"), "{error}");
}

#[tokio::test]
async fn a_coding_that_nobody_reads_is_an_error_that_names_it() {
    let answer = response(&[("content-encoding", "br")], pieces(vec![b"\x0b\x02\x80"]));
    let Err(RequestError::InvalidResponse(message)) = Reading::new().status(answer).await else { panic!("no error") };
    assert!(message.contains("Content-Encoding is `br`"), "{message}");
}

#[tokio::test]
async fn a_reader_that_panics_costs_its_answer() {
    let reading = Reading::new();
    let deadline = reading.clock.now() + Patience::USUAL.ends_within;
    let answer = reading
        .http
        .read(response(&[], pieces(vec![b"<r/>"])), deadline, |_| || -> Result<(), ReadError> { panic!("a defect") })
        .await;
    assert!(matches!(answer, Err(RequestError::Panicked)));
}

/// Oracle's gateway sends nothing before a page is whole: a million customers take it a while.
#[test]
fn a_queue_may_take_longer_to_begin_than_any_other_answer() {
    assert!(Patience::QUEUE.begins_within >= 4 * Patience::USUAL.begins_within);
    assert!(Patience::USUAL.ends_within <= Duration::from_secs(60));
    // The function in the template that calls it has a time-out of 300 s.
    assert!(Patience::QUEUE.ends_within < Duration::from_secs(240));
}
