use std::io::{self, Read};

use reqwest::header::CONTENT_TYPE;
use reqwest::header::HeaderMap;
use wire::Charset;

use crate::coding::{Coding, Decoded};
use crate::feed::Feed;

/// The body of an answer as a reader of its document takes it.
pub struct Body {
    decoded: Decoded,
    charset: Option<Charset>,
}

impl Body {
    /// The body whose bytes come through `feed`, in the coding and the character set that `headers` state.
    pub fn new(feed: Feed, coding: Coding, headers: &HeaderMap) -> Self {
        let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        Self { decoded: coding.decoded(feed), charset: content_type.and_then(Charset::of_content_type) }
    }

    /// The character set that the header states, if it is known.
    pub fn charset(&self) -> Option<Charset> {
        self.charset
    }
}

impl Read for Body {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.decoded.read(buffer)
    }
}
