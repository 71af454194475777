//! Source text that is kept from the handler.

use std::ops::Range;

/// Which parts of the source text that has not been handed on yet are withheld. Positions are bytes of the document.
#[derive(Default)]
pub(crate) struct RedactedRanges {
    /// In order, without overlaps.
    ranges: Vec<Range<u64>>,
    /// The beginning of the part that has not ended yet.
    open_since: Option<u64>,
}

impl RedactedRanges {
    /// Withholds from here on, unless it does so already.
    pub(crate) fn begin(&mut self, position: u64) {
        self.open_since.get_or_insert(position);
    }

    /// Whether a part has begun that has not ended yet.
    pub(crate) fn is_open(&self) -> bool {
        self.open_since.is_some()
    }

    /// Ends the part here.
    pub(crate) fn end(&mut self, position: u64) {
        self.ranges.extend(self.open_since.take().map(|start| start..position));
    }

    /// Hands on what is left of the next piece of source text, from position `from` on.
    pub(crate) fn hand_on_rest(&mut self, piece: &str, piece_starts_at: u64, from: u64, mut hand_on: impl FnMut(&str)) {
        let index = |position: u64| usize::try_from(position.saturating_sub(piece_starts_at)).unwrap_or(usize::MAX);
        let mut next = index(from).min(piece.len());
        let open = self.open_since.map(|start| start..u64::MAX);
        for range in self.ranges.drain(..).chain(open) {
            let end = index(range.start).min(piece.len());
            if next < end {
                hand_on(&piece[next..end]);
            }
            next = next.max(index(range.end)).min(piece.len());
        }
        if next < piece.len() {
            hand_on(&piece[next..]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rest(withheld: &mut RedactedRanges, piece: &str, piece_starts_at: u64, from: u64) -> String {
        let mut rest = String::new();
        withheld.hand_on_rest(piece, piece_starts_at, from, |part| rest.push_str(part));
        rest
    }

    #[test]
    fn what_is_withheld_is_left_out_wherever_pieces_end() {
        let mut withheld = RedactedRanges::default();
        withheld.begin(102);
        withheld.end(104);
        withheld.begin(106);
        withheld.begin(107);
        assert_eq!(rest(&mut withheld, "01234567", 100, 101), "145");
        assert_eq!(rest(&mut withheld, "89", 108, 108), "");
        withheld.end(111);
        assert_eq!(rest(&mut withheld, "0123", 110, 110), "123");
        assert_eq!(rest(&mut withheld, "4567", 114, 114), "4567");
    }

    #[test]
    fn nothing_is_handed_on_before_it_is_wanted() {
        let mut withheld = RedactedRanges::default();
        withheld.begin(1);
        withheld.end(3);
        assert_eq!(rest(&mut withheld, "0123", 0, u64::MAX), "");
        assert_eq!(rest(&mut withheld, "4567", 4, 6), "67");
    }
}
