//! Inputs that are made of others, the same ones in every run.

/// Where documents of all kinds are cut into parts.
const SEAMS: &[u8] = b"<>&=\n,[]{}\"|:;%~/ ";

/// Parts that parsers often trip over.
const PARTS: &[&[u8]] = &[
    b"<",
    b">",
    b"</",
    b"/>",
    b"&",
    b";",
    b"&amp;",
    b"&#0;",
    b"&#xD800;",
    b"&#55357;&#56832;",
    b"&nbsp;",
    b"<![CDATA[",
    b"]]>",
    b"<!--",
    b"-->",
    b"<?",
    b"?>",
    b"<!DOCTYPE a>",
    b"xmlns=\"",
    b" xsi:nil=\"true\"",
    b"\0",
    b"\xff",
    b"\xc3",
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b"\xfe\xff",
    b"\r\n",
    b"\r",
    b"\t",
    b"%",
    b"%00",
    b"%zz",
    b"+",
    b"\\",
    b"\\u0000",
    b"\\ud800",
    b"{",
    b"}",
    b"[",
    b"]",
    b"\"",
    b"'",
    b",",
    b":",
    b"null",
    b"true",
    b"-1",
    b"0",
    b"1e999",
    b"18446744073709551616",
    b"9999-12-31T23:59:59.9999999Z",
    b"0000-00-00",
    b"\xe2\x80\x8b",
    b"\xe2\x80\xae",
    b"\xcc\x80",
    b"\xc4\xb0",
    b"\xf0\x9f\x98\x80",
    b"~",
    b"|",
    b"|,|",
    b"\r\n--",
];

/// A generator of numbers that a seed decides (SplitMix64).
#[derive(Clone, Debug)]
pub struct Numbers(u64);

impl Numbers {
    /// The numbers of this seed.
    pub fn of(seed: u64) -> Self {
        Self(seed)
    }

    /// The next one.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// The next one below `end`; 0 if there is none.
    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.draw() % (end.max(1) as u64)).unwrap()
    }
}

/// A number that an input decides (FNV-1a, mixed).
pub fn hash(input: &[u8]) -> u64 {
    let folded = input
        .iter()
        .fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01B3));
    Numbers::of(folded).draw()
}

/// An input made of seeds: one of them with up to eight changes.
pub fn mutated(seeds: &[Vec<u8>], numbers: &mut Numbers) -> Vec<u8> {
    const LONGEST: usize = 64 * 1024;
    let any = |numbers: &mut Numbers| seeds.get(numbers.below(seeds.len())).cloned().unwrap_or_default();
    let mut input = any(numbers);
    for _ in 0..=numbers.below(8) {
        match numbers.below(8) {
            0 if !input.is_empty() => {
                let at = numbers.below(input.len());
                input[at] ^= 1 << numbers.below(8);
            }
            1 if !input.is_empty() => {
                let at = numbers.below(input.len());
                input[at] = numbers.draw() as u8;
            }
            2 => {
                let (begin, end) = part(&input, numbers);
                input.drain(begin..end);
            }
            3 => {
                let (begin, end) = part(&input, numbers);
                let piece = input[begin..end].repeat(1 + numbers.below(40));
                let at = seam(&input, numbers);
                input.splice(at..at, piece);
            }
            4 => {
                let other = any(numbers);
                let (begin, end) = part(&other, numbers);
                let at = seam(&input, numbers);
                input.splice(at..at, other[begin..end].iter().copied());
            }
            5 => input.truncate(numbers.below(input.len() + 1)),
            _ => {
                let at = if numbers.below(2) == 0 { seam(&input, numbers) } else { numbers.below(input.len() + 1) };
                input.splice(at..at, PARTS[numbers.below(PARTS.len())].iter().copied());
            }
        }
        input.truncate(LONGEST);
    }
    input
}

/// The input with a part of it repeated until it has about `length` bytes: as it is, or with another number in each.
pub fn enlarged(input: &[u8], seed: u64, length: usize) -> Vec<u8> {
    let mut numbers = Numbers::of(seed);
    let (begin, end) = part(input, &mut numbers);
    let piece = &input[begin..end];
    let times = if piece.is_empty() { 1 } else { 1 + length.saturating_sub(input.len()) / piece.len() };
    let mut large = Vec::with_capacity(input.len() + piece.len() * times);
    large.extend_from_slice(&input[..begin]);
    large.extend(piece.repeat(times));
    // Where the number stands in each: letters or digits that stand there already.
    const DIGITS: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    let at = numbers.below(piece.len());
    if numbers.below(2) == 0 && piece.len() >= at + 3 && piece[at..at + 3].iter().all(u8::is_ascii_alphanumeric) {
        for (number, copy) in large[begin..].chunks_exact_mut(piece.len()).enumerate() {
            for (power, byte) in copy[at..at + 3].iter_mut().enumerate() {
                *byte = DIGITS[number / DIGITS.len().pow(power as u32) % DIGITS.len()];
            }
        }
    }
    large.extend_from_slice(&input[end..]);
    large
}

/// A part of the input between two seams.
fn part(input: &[u8], numbers: &mut Numbers) -> (usize, usize) {
    let (one, other) = (seam(input, numbers), seam(input, numbers));
    // Short parts, such as one tag, are as interesting as long ones, and would be rare.
    if numbers.below(2) == 0 {
        let end = (one + 1..=input.len()).find(|at| is_seam(input, *at)).unwrap_or(input.len());
        return (one, end);
    }
    (one.min(other), one.max(other))
}

/// A place in the input at which a part of it begins, from a random place on.
fn seam(input: &[u8], numbers: &mut Numbers) -> usize {
    let from = numbers.below(input.len() + 1);
    (from..=input.len()).find(|at| is_seam(input, *at)).unwrap_or(input.len())
}

fn is_seam(input: &[u8], at: usize) -> bool {
    at == 0 || input.get(at).is_none_or(|byte| SEAMS.contains(byte)) || SEAMS.contains(&input[at - 1])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_repeated_between_what_stands_before_and_after_it() {
        let input = b"<a><b/></a>";
        for seed in 0..100 {
            let large = enlarged(input, seed, 1_000);
            assert!(large.len() <= 1_000 && (large.len() > 900 || large == input), "{}", large.len());
            assert!(large.len() == input.len() || large.first() == Some(&b'<'));
        }
    }

    #[test]
    fn the_same_seed_makes_the_same_inputs() {
        let seeds = [b"<a>1</a>".to_vec(), b"x=1&y=2".to_vec()];
        let some = |seed| (0..50).map(|_| 0).scan(Numbers::of(seed), |numbers, _| Some(mutated(&seeds, numbers)));
        assert!(some(1).eq(some(1)) && !some(1).eq(some(2)));
    }
}
