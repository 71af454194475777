//! The way to the sources.

use std::collections::BTreeMap;
use std::fmt;
use std::future::poll_fn;
use std::io::Write;
use std::sync::{Arc, LazyLock, Mutex, OnceLock, PoisonError};

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::http;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures::FutureExt;
use futures::future::BoxFuture;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, StatusCode};
use local_aws::{Call, Interference};
use reqwest::{Request, Response};
use sources::Transport;
use tower::ServiceExt;

use crate::audit::Audit;
use crate::met::Met;
use crate::weather::{ProcessWeather, SOURCE};

/// The sources by host.
#[derive(Clone, Default)]
pub struct Sources(Arc<Shared>);

#[derive(Default)]
struct Shared {
    routers: BTreeMap<String, Router>,
    /// What becomes of the next answers, by host.
    distortions: Mutex<Vec<(&'static str, Distortion)>>,
    met: Met,
    /// Looks at what an answer has done.
    audit: OnceLock<Audit>,
}

/// What becomes of an answer with the status 200 on its way, as gateways and caches do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Distortion {
    /// It begins with a byte order mark.
    ByteOrderMark,
    /// It comes in UTF-16, with a byte order mark.
    Utf16,
    /// It comes compressed, and its header says so.
    Gzip,
    /// It is no XML, as its header says.
    OtherMediaType,
    /// It holds a byte that is not valid.
    InvalidByte,
    /// It is compressed, and cut short.
    GzipCut,
    /// Its header names a coding that nobody knows.
    UnknownCoding,
    /// It is small, and becomes huge where it is unpacked.
    GzipBomb,
    /// It does not arrive: come back at this time, says the header.
    RetryAfterDate,
}

impl Distortion {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::ByteOrderMark,
        Self::Utf16,
        Self::Gzip,
        Self::OtherMediaType,
        Self::InvalidByte,
        Self::GzipCut,
        Self::UnknownCoding,
        Self::GzipBomb,
        Self::RetryAfterDate,
    ];

    fn distort(self, head: &mut http::response::Parts, body: Bytes, retry_at: &str) -> Vec<u8> {
        head.headers.remove(CONTENT_LENGTH);
        let coded = |head: &mut http::response::Parts, coding| {
            head.headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding));
        };
        match self {
            Self::ByteOrderMark => [b"\xEF\xBB\xBF", body.as_ref()].concat(),
            Self::Utf16 => {
                let text = String::from_utf8_lossy(&body).into_owned();
                let units = std::iter::once(0xFEFF).chain(text.encode_utf16());
                units.flat_map(u16::to_le_bytes).collect()
            }
            Self::Gzip => {
                coded(head, "gzip");
                gzip(&body)
            }
            Self::OtherMediaType => {
                head.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
                body.into()
            }
            Self::InvalidByte => {
                let (first, last) = body.split_at(body.len() / 2);
                [first, b"\xFF", last].concat()
            }
            Self::GzipCut => {
                coded(head, "gzip");
                let mut bytes = gzip(&body);
                bytes.truncate(bytes.len() / 2);
                bytes
            }
            Self::UnknownCoding => {
                coded(head, "br");
                body.into()
            }
            Self::GzipBomb => {
                coded(head, "gzip");
                BOMB.clone()
            }
            Self::RetryAfterDate => {
                head.status = StatusCode::SERVICE_UNAVAILABLE;
                head.headers.extend(HeaderValue::from_str(retry_at).map(|date| (RETRY_AFTER, date)));
                Vec::new()
            }
        }
    }
}

/// An answer that never comes to its end, of more bytes than any answer about customers may have.
static BOMB: LazyLock<Vec<u8>> = LazyLock::new(|| {
    gzip(&[b"<custInfoResponse>".as_slice(), &b"<remark>nothing</remark>".repeat(512 * 1024)].concat())
});

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

impl Sources {
    /// Sources by host.
    pub fn new(routers: impl IntoIterator<Item = (String, Router)>) -> Self {
        Self(Arc::new(Shared { routers: routers.into_iter().collect(), ..Shared::default() }))
    }

    /// Has an audit look at what every answer has done.
    pub fn audit(&self, audit: Audit) {
        // There is one for each world.
        let _ = self.0.audit.set(audit);
    }

    /// The next answers of a host with the status 200 come like this.
    pub fn distort(&self, host: &'static str, distortion: Distortion, times: usize) {
        self.distortions().extend(std::iter::repeat_n((host, distortion), times));
    }

    /// From now on answers come as they were sent.
    pub fn clear(&self) {
        self.distortions().clear();
    }

    /// What became of answers.
    pub fn met(&self) -> BTreeMap<String, u64> {
        self.0.met.all()
    }

    fn next_distortion(&self, host: &str) -> Option<Distortion> {
        let mut distortions = self.distortions();
        let index = distortions.iter().position(|(of, _)| *of == host)?;
        Some(distortions.remove(index).1)
    }

    fn distortions(&self) -> std::sync::MutexGuard<'_, Vec<(&'static str, Distortion)>> {
        self.0.distortions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The sources as a process reaches them.
    pub fn of_process(&self, weather: Arc<ProcessWeather>) -> ProcessSources {
        ProcessSources { sources: self.clone(), weather }
    }
}

/// How long a source wants to be left alone that names a date.
const RETRY_SECONDS: i64 = 9;

/// The sources as one process reaches them.
#[derive(Clone)]
pub struct ProcessSources {
    sources: Sources,
    weather: Arc<ProcessWeather>,
}

impl fmt::Debug for ProcessSources {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.sources.0.routers.keys()).finish()
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
            let Some(router) = sources.0.routers.get(&host) else { return Err(format!("there is no host {host}")) };
            let body = request.body().and_then(reqwest::Body::as_bytes).unwrap_or_default().to_vec();
            let mut asked = http::Request::builder().method(request.method()).uri(request.url().as_str());
            for (name, value) in request.headers() {
                asked = asked.header(name, value);
            }
            let asked = asked.body(Body::from(body)).map_err(|error| error.to_string())?;
            let mut answering = router.clone().oneshot(asked);
            // What a purge has taken is looked at before any time passes, whether its answer arrives or not.
            let answering = poll_fn(|context| {
                let answer = answering.poll_unpin(context);
                if let Some(audit) = sources.0.audit.get() {
                    audit.look(&host);
                }
                answer
            });
            let (mut head, mut body) = match answering.await {
                Ok(answer) => answer.into_parts(),
            };
            if head.status == StatusCode::OK
                && let Some(distortion) = sources.next_distortion(&host)
            {
                let Ok(bytes) = to_bytes(body, usize::MAX).await else { return Err("the connection broke".to_owned()) };
                sources.0.met.happened(format!("answer {distortion:?}"));
                let retry_at = weather.http_date_in(RETRY_SECONDS);
                body = Body::from(distortion.distort(&mut head, bytes, &retry_at));
            }
            if weather.after(call, &(200, String::new())).await.is_some() {
                return Err("the connection broke".to_owned());
            }
            let body = reqwest::Body::wrap_stream(body.into_data_stream());
            Ok(http::Response::from_parts(head, body).into())
        }
        .boxed()
    }
}
