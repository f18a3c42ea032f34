//! Pieces of lines as they were last written: most of what a line says, lines before it said too.

use super::text::Text;

/// Pieces that are kept. A trace has a few kinds of opens; of what a recording may hold, each
/// takes the place of another.
const PLACES: usize = 1 << PLACES_BITS;
const PLACES_BITS: u32 = 6;

/// What numbers say, kept by those numbers: pieces of up to `N` bytes.
pub(super) struct Pieces<K, const N: usize> {
    kept: Box<[Kept<K, N>]>,
}

#[derive(Clone)]
struct Kept<K, const N: usize> {
    /// All that decides what it says; nothing of none.
    key: Option<K>,
    text: [u8; N],
    len: usize,
}

impl<K: Copy + PartialEq, const N: usize> Pieces<K, N> {
    pub(super) fn new() -> Self {
        let none = Kept {
            key: None,
            text: [0; N],
            len: 0,
        };
        Self {
            kept: vec![none; PLACES].into(),
        }
    }

    /// Adds what `key` says, which `write` adds to a text. `number`: any that most keys have for
    /// themselves.
    #[inline]
    pub(super) fn add(
        &mut self,
        out: &mut Text,
        key: K,
        number: u64,
        write: impl FnOnce(&mut Text),
    ) {
        // The upper bits of a product depend on all of its factor (2^64 by the golden ratio).
        let place = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (u64::BITS - PLACES_BITS);
        let kept = &mut self.kept[place as usize];
        if kept.key == Some(key) {
            return out.begin_of(&kept.text, kept.len);
        }
        let begin = out.bytes().len();
        write(out);
        let written = &out.bytes()[begin..];
        // A longer one is written each time.
        if let Some(text) = kept.text.get_mut(..written.len()) {
            text.copy_from_slice(written);
            kept.len = written.len();
            kept.key = Some(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(pieces: &mut Pieces<u32, 8>, key: u32, number: u64) -> String {
        let mut out = Text::new();
        out.word("<");
        pieces.add(&mut out, key, number, |out| out.number(key));
        out.word(">");
        String::from_utf8_lossy(out.bytes()).into_owned()
    }

    #[test]
    fn what_is_kept_is_not_written_again() {
        let mut pieces = Pieces::<u32, 8>::new();
        assert_eq!(said(&mut pieces, 7, 0), "<7>");
        let mut out = Text::new();
        pieces.add(&mut out, 7, 0, |_| panic!("it is kept"));
        assert_eq!(out.bytes(), b"7");
    }

    #[test]
    fn of_keys_of_one_place_each_says_its_own() {
        let mut pieces = Pieces::<u32, 8>::new();
        // 123456789 is longer than what is kept, and leaves the one before where it is.
        for key in [1, 22, 1, 123_456_789, 1, 22, 123_456_789] {
            assert_eq!(said(&mut pieces, key, 0), format!("<{key}>"));
        }
    }

    #[test]
    fn there_are_no_more_than_places() {
        let mut pieces = Pieces::<u32, 8>::new();
        for key in 0..1_000 {
            said(&mut pieces, key, key.into());
        }
        assert_eq!(pieces.kept.len(), PLACES);
    }
}
