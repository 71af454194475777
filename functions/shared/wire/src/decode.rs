//! Decodes bytes in a stated encoding to UTF-8, strictly: an invalid byte is an error, never a replacement character.

use std::io::{self, ErrorKind, Read};

use encoding_rs::{Decoder, DecoderResult, Encoding, UTF_8, UTF_16BE, UTF_16LE};

use crate::charset::{self, Charset};

/// How many bytes are read from the input at once: a reader is ahead of what it has handed on by no more.
pub(crate) const CHUNK_BYTES: usize = 32 * 1024;

/// The encoding of an XML declaration that is longer than this is not looked for.
const DECLARATION_BYTES: usize = 1024;

/// A document's bytes, read as text.
pub(crate) struct Utf8Source<R> {
    input: R,
    /// The charset in the header of the answer.
    charset: Option<Charset>,
    /// `None` until the first bytes have shown the encoding.
    decoder: Option<Decoder>,
    /// A chunk, of which the first `filled` bytes have come.
    bytes: Vec<u8>,
    filled: usize,
    /// An error that came after bytes, which are handed on first.
    late_error: Option<io::Error>,
    ended: bool,
}

/// Why there is no more text.
#[derive(Debug)]
pub(crate) enum DecodeError {
    /// The input failed, or has no more for the moment: in that case reading may continue later.
    Io(io::Error),
    /// The bytes are not text in the encoding that the message names, or that encoding is not supported.
    Encoding(String),
    /// The input ended within a character.
    InsideCharacter,
}

impl<R: Read> Utf8Source<R> {
    pub(crate) fn new(input: R, charset: Option<Charset>) -> Self {
        Self { input, charset, decoder: None, bytes: Vec::new(), filled: 0, late_error: None, ended: false }
    }

    /// Appends the next piece of text. `false`: there is none, the input has ended.
    pub(crate) fn read_more(&mut self, text: &mut String) -> Result<bool, DecodeError> {
        let length_before = text.len();
        while text.len() == length_before {
            if self.ended {
                return Ok(false);
            }
            self.fill_bytes()?;
            self.ended = self.filled == 0;
            let decoded = self.decode(text);
            self.filled = 0;
            decoded?;
        }
        Ok(true)
    }

    /// Reads until the chunk is full, so that small reads do not make tokens that are scanned again and again. A chunk
    /// in part is kept if the input has no more for the moment.
    fn fill_bytes(&mut self) -> Result<(), DecodeError> {
        if let Some(error) = self.late_error.take() {
            return Err(DecodeError::Io(error));
        }
        self.bytes.resize(CHUNK_BYTES, 0);
        while self.filled < CHUNK_BYTES {
            match self.input.read(&mut self.bytes[self.filled..]) {
                Ok(0) => break,
                Ok(count) => self.filled += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if self.filled == 0 || error.kind() == ErrorKind::WouldBlock => {
                    return Err(DecodeError::Io(error));
                }
                Err(error) => {
                    self.late_error = Some(error);
                    break;
                }
            }
        }
        Ok(())
    }

    fn decode(&mut self, text: &mut String) -> Result<(), DecodeError> {
        let mut bytes = &self.bytes[..self.filled];
        let decoder = match &mut self.decoder {
            Some(decoder) => decoder,
            None => {
                let (encoding, mark_length) = detect(bytes, self.charset).map_err(DecodeError::Encoding)?;
                bytes = &bytes[mark_length..];
                self.decoder.insert(encoding.new_decoder_without_bom_handling())
            }
        };
        let name = decoder.encoding().name();
        let Some(needed) = decoder.max_utf8_buffer_length_without_replacement(bytes.len()) else {
            return Err(DecodeError::Encoding(format!("a piece of {name} is too long")));
        };
        text.reserve(needed);
        match decoder.decode_to_string_without_replacement(bytes, text, self.ended) {
            (DecoderResult::InputEmpty, _) => Ok(()),
            (DecoderResult::Malformed(..), _) if self.ended => Err(DecodeError::InsideCharacter),
            (DecoderResult::Malformed(..), _) => {
                Err(DecodeError::Encoding(format!("the document has bytes that are not valid {name}")))
            }
            (DecoderResult::OutputFull, _) => Err(DecodeError::Encoding(format!("a piece of {name} did not fit"))),
        }
    }
}

/// The encoding of a document that begins with these bytes, and the length of its byte order mark. A mark has
/// precedence, then the bytes of `<`, then the header, then the declaration.
fn detect(head: &[u8], charset: Option<Charset>) -> Result<(&'static Encoding, usize), String> {
    match head {
        [0xEF, 0xBB, 0xBF, ..] => return Ok((UTF_8, 3)),
        [0xFE, 0xFF, ..] => return Ok((UTF_16BE, 2)),
        [0xFF, 0xFE, ..] => return Ok((UTF_16LE, 2)),
        [0x00, b'<', ..] => return Ok((UTF_16BE, 0)),
        [b'<', 0x00, ..] => return Ok((UTF_16LE, 0)),
        _ => {}
    }
    let (encoding, who) = match (charset, declared_label(head)) {
        // The header is right: a gateway may have converted the document and left its declaration as it was.
        (Some(charset), _) => (charset.encoding(), "the encoding that the header states"),
        (None, None) => return Ok((UTF_8, 0)),
        (None, Some(label)) => match charset::encoding_of(label) {
            Some(encoding) => (encoding, "the declared encoding"),
            None => return Err(format!("the declared encoding {} is not known", shown(label))),
        },
    };
    if encoding == UTF_16LE || encoding == UTF_16BE {
        // What can be read byte by byte is not in UTF-16, whatever is declared: systems that build the document as a
        // string declare so. Strict UTF-8 can't misread anything.
        return Ok((UTF_8, 0));
    }
    if encoding == UTF_8 || encoding.is_single_byte() {
        return Ok((encoding, 0));
    }
    Err(format!("{who}, {}, is not supported", encoding.name()))
}

/// The `encoding="…"` of an XML declaration at the beginning, after white space at most.
fn declared_label(head: &[u8]) -> Option<&[u8]> {
    let head = &head[..head.len().min(DECLARATION_BYTES)];
    let declaration = head.trim_ascii_start().strip_prefix(b"<?xml")?;
    let end = declaration.windows(2).position(|pair| pair == b"?>")?;
    let declaration = &declaration[..end];
    let keyword = b"encoding";
    let start = declaration.windows(keyword.len()).position(|window| window == keyword)? + keyword.len();
    let after_equals = declaration[start..].trim_ascii_start().strip_prefix(b"=")?.trim_ascii_start();
    let (quote, rest) = after_equals.split_first()?;
    if !matches!(quote, b'"' | b'\'') {
        return None;
    }
    let length = rest.iter().position(|byte| byte == quote)?;
    Some(&rest[..length])
}

/// A label for an error text: at most forty printable characters.
fn shown(label: &[u8]) -> String {
    let printable = label.iter().filter(|byte| byte.is_ascii_graphic()).take(40);
    format!("{:?}", printable.map(|byte| char::from(*byte)).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<String, DecodeError> {
        read_in(bytes, None)
    }

    fn read_in(bytes: &[u8], content_type: Option<&str>) -> Result<String, DecodeError> {
        let mut source = Utf8Source::new(bytes, content_type.and_then(Charset::of_content_type));
        let mut text = String::new();
        while source.read_more(&mut text)? {}
        Ok(text)
    }

    fn encoding_error(bytes: &[u8]) -> String {
        match read(bytes) {
            Err(DecodeError::Encoding(message)) => message,
            other => panic!("expected an encoding error, got {other:?}"),
        }
    }

    fn utf16(text: &str, to_bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(to_bytes).collect()
    }

    #[test]
    fn a_document_is_read_in_the_encoding_that_it_declares() {
        let latin = b"<?xml version='1.0' encoding = 'ISO-8859-1'?><a>M\xFCller</a>";
        assert!(read(latin).unwrap().ends_with("<a>Müller</a>"));
        let windows = b"<?xml version=\"1.0\" encoding=\"Windows-1252\"?><a>\x80</a>";
        assert!(read(windows).unwrap().ends_with("<a>€</a>"));
        let utf8 = "<?xml version=\"1.0\" encoding=\"utf-8\"?><a>Müller 😀</a>";
        assert_eq!(read(utf8.as_bytes()).unwrap(), utf8);
        assert_eq!(read("<a>ü</a>".as_bytes()).unwrap(), "<a>ü</a>");
    }

    #[test]
    fn utf_16_is_told_by_its_mark_or_by_its_first_character() {
        let text = "<?xml version=\"1.0\" encoding=\"UTF-16\"?><a>Müller 😀</a>";
        for to_bytes in [u16::to_le_bytes, u16::to_be_bytes] {
            assert_eq!(read(&utf16(text, to_bytes)).unwrap(), text);
            assert_eq!(read(&utf16(&format!("\u{feff}{text}"), to_bytes)).unwrap(), text);
        }
        assert_eq!(read("\u{feff}<a>ü</a>".as_bytes()).unwrap(), "<a>ü</a>");
    }

    #[test]
    fn a_declaration_that_is_readable_as_ascii_is_not_utf_16_whatever_it_says() {
        let text = "<?xml version=\"1.0\" encoding=\"UTF-16\"?><a>Müller</a>";
        assert_eq!(read(text.as_bytes()).unwrap(), text);
    }

    #[test]
    fn invalid_bytes_are_an_error_that_names_the_encoding() {
        assert!(encoding_error(b"<a>M\xFCller</a>").contains("UTF-8"));
        let lone_surrogate = utf16("\u{feff}<a>", u16::to_le_bytes).into_iter().chain([0x00, 0xD8, b'x', 0]);
        assert!(encoding_error(&lone_surrogate.collect::<Vec<u8>>()).contains("UTF-16LE"));
    }

    #[test]
    fn an_unknown_encoding_is_an_error_that_names_it() {
        let message = encoding_error(b"<?xml version='1.0' encoding='EBCDIC-\x07X'?><a/>");
        assert!(message.contains("\"EBCDIC-X\""), "{message}");
        assert!(encoding_error(b"<?xml version='1.0' encoding='ISO-2022-JP'?><a/>").contains("not supported"));
    }

    #[test]
    fn a_document_that_ends_inside_a_character_is_told_from_one_with_invalid_bytes() {
        assert!(matches!(read(b"<a>\xC3"), Err(DecodeError::InsideCharacter)));
    }

    #[test]
    fn characters_that_are_split_between_chunks_come_whole() {
        let text = "a".repeat(CHUNK_BYTES - 1) + &"ü😀".repeat(CHUNK_BYTES);
        assert_eq!(read(text.as_bytes()).unwrap(), text);
    }

    #[test]
    fn bytes_that_came_before_an_error_are_handed_on_first() {
        struct Failing(bool);
        impl Read for Failing {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                if std::mem::replace(&mut self.0, true) {
                    return Err(ErrorKind::ConnectionReset.into());
                }
                buffer[..3].copy_from_slice(b"<a>");
                Ok(3)
            }
        }
        let mut source = Utf8Source::new(Failing(false), None);
        let mut text = String::new();
        assert!(source.read_more(&mut text).unwrap());
        assert_eq!(text, "<a>");
        assert!(matches!(source.read_more(&mut text), Err(DecodeError::Io(_))));
    }

    #[test]
    fn the_header_counts_more_than_the_declaration_and_a_mark_more_than_both() {
        let declared = |encoding: &str, name: &[u8]| {
            [format!("<?xml version='1.0' encoding='{encoding}'?><a>").as_bytes(), name, b"</a>"].concat()
        };
        let latin = Some("text/xml; charset=ISO-8859-1");
        assert!(read_in(b"<a>M\xFCller</a>", latin).unwrap().contains("Müller"));
        assert!(read_in(&declared("UTF-8", b"M\xFCller"), latin).unwrap().contains("Müller"));
        let utf8 = Some("text/xml;charset=\"utf-8\"");
        assert!(read_in(&declared("ISO-8859-1", "Müller".as_bytes()), utf8).unwrap().contains("Müller"));
        assert!(read_in("\u{feff}<a>Müller</a>".as_bytes(), latin).unwrap().contains("Müller"));
        assert!(read_in(&utf16("<a>Müller</a>", u16::to_le_bytes), latin).unwrap().contains("Müller"));
    }

    #[test]
    fn a_header_that_names_no_known_encoding_leaves_it_to_the_declaration() {
        let latin = b"<?xml version='1.0' encoding='ISO-8859-1'?><a>M\xFCller</a>";
        for header in ["text/xml", "text/xml; charset=EBCDIC-X", "text/xml; charset=", "", "; charset"] {
            assert!(read_in(latin, Some(header)).unwrap().contains("Müller"), "{header}");
        }
        match read_in(latin, Some("text/xml; charset=Shift_JIS")) {
            Err(DecodeError::Encoding(message)) => assert!(message.contains("header states, Shift_JIS"), "{message}"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn oracles_names_of_encodings_are_known() {
        for (name, byte, expected) in [
            ("WE8MSWIN1252", 0x80, "€"),
            ("we8iso8859p1", 0xFC, "ü"),
            ("WE8ISO8859P15", 0xA4, "€"),
            ("EE8ISO8859P2", 0xA3, "Ł"),
            ("CL8MSWIN1251", 0xC6, "Ж"),
            ("US7ASCII", b'u', "u"),
        ] {
            let document =
                [format!("<?xml version='1.0' encoding='{name}'?><a>").as_bytes(), &[byte], b"</a>"].concat();
            assert!(read(&document).unwrap().ends_with(&format!("<a>{expected}</a>")), "{name}");
            let header = format!("text/xml; charset={name}");
            assert!(
                read_in(&[b"<a>", &[byte][..], b"</a>"].concat(), Some(&header)).unwrap().contains(expected),
                "{name}"
            );
        }
        for name in ["AL32UTF8", "UTF8", "utf8"] {
            let document = format!("<?xml version='1.0' encoding='{name}'?><a>ü😀</a>");
            assert_eq!(read(document.as_bytes()).unwrap(), document);
        }
    }

    #[test]
    fn an_input_that_has_no_more_for_the_moment_is_read_on_later() {
        struct Halting<'a>(&'a [u8], bool);
        impl Read for Halting<'_> {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                self.1 = !self.1;
                if self.1 && !self.0.is_empty() {
                    return Err(ErrorKind::WouldBlock.into());
                }
                let length = buffer.len().min(7);
                self.0.read(&mut buffer[..length])
            }
        }
        // None of the first seven bytes shows the encoding: the declaration does, once it has come.
        let document = b"<?xml version='1.0' encoding='ISO-8859-1'?><a>M\xFCller</a>";
        let mut source = Utf8Source::new(Halting(document, false), None);
        let mut text = String::new();
        loop {
            match source.read_more(&mut text) {
                Ok(true) => {}
                Ok(false) => break,
                Err(DecodeError::Io(error)) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
                Err(other) => panic!("{other:?}"),
            }
        }
        assert!(text.ends_with("<a>Müller</a>"));
    }
}
