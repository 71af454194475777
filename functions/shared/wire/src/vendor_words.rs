//! A vendor's own words, as an error text may show them.

/// How many bytes of them are looked at.
const CAPTURE_BYTES: usize = 4096;

/// How many characters of them are shown.
const MESSAGE_CHARACTERS: usize = 200;

/// What has been heard of a text so far; what is beyond any sane length is not kept.
#[derive(Default)]
pub(crate) struct VendorWords(String);

impl VendorWords {
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    pub(crate) fn push(&mut self, piece: &str) {
        let room = CAPTURE_BYTES.saturating_sub(self.0.len());
        self.0.push_str(&piece[..piece.floor_char_boundary(room)]);
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// A vendor's words on one line, of bounded length, without control characters.
pub(crate) fn presentable(words: &str) -> String {
    let mut shown = String::new();
    for word in
        words.split(|letter: char| letter.is_whitespace() || letter.is_control()).filter(|word| !word.is_empty())
    {
        if !shown.is_empty() {
            shown.push(' ');
        }
        shown.push_str(word);
    }
    shown.chars().take(MESSAGE_CHARACTERS).collect()
}
