/// No number, time or boolean of the source is longer.
const SHORT_BYTES: usize = 64;

/// A text that is short, or wrong.
#[derive(Default)]
pub(super) struct ShortText {
    text: String,
    is_too_long: bool,
}

impl ShortText {
    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.is_too_long = false;
    }

    pub(super) fn push(&mut self, piece: &str) {
        // White space before it may be of any length.
        let piece = if self.text.is_empty() { piece.trim_start() } else { piece };
        self.is_too_long |= self.text.len() + piece.len() > SHORT_BYTES;
        if !self.is_too_long {
            self.text.push_str(piece);
        }
    }

    /// The text without white space at its ends; `None` if it was too long.
    pub(super) fn get(&self) -> Option<&str> {
        (!self.is_too_long).then(|| self.text.trim())
    }
}
