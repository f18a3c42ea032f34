//! JSON in the making, piece by piece. Pieces of known length come without a call: half of a line
//! are names of fields, and a call for each of them would cost more than all the rest.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::Serializer;

use super::{
    Shown,
    digits::{self, FOUR, LIMIT},
};
use crate::names::is_plain;

/// See the module.
pub(super) struct Text {
    /// Longer than what is in it.
    room: Vec<u8>,
    len: usize,
}

impl Text {
    pub(super) fn new() -> Self {
        Self {
            room: vec![0; 1 << 10],
            len: 0,
        }
    }

    pub(super) fn clear(&mut self) {
        self.len = 0;
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.room[..self.len]
    }

    /// JSON as it stands here.
    #[inline(always)]
    pub(super) fn put<const N: usize>(&mut self, json: &[u8; N]) {
        let rest = self.room.get_mut(self.len..);
        match rest.and_then(|rest| rest.first_chunk_mut()) {
            Some(place) => {
                *place = *json;
                self.len += N;
            }
            None => self.add(json),
        }
    }

    /// The first bytes of a piece, as [`Self::put`]: all of it is copied, and so many bytes count.
    #[inline(always)]
    pub(super) fn begin_of<const N: usize>(&mut self, piece: &[u8; N], len: usize) {
        let rest = self.room.get_mut(self.len..);
        match rest.and_then(|rest| rest.first_chunk_mut()) {
            Some(place) => {
                *place = *piece;
                self.len += len;
            }
            None => self.add(&piece[..len]),
        }
    }

    /// What is in a string and has nothing to escape in it.
    #[inline]
    pub(super) fn word(&mut self, word: &str) {
        self.raw(word.as_bytes());
    }

    /// The same, of bytes.
    #[inline]
    pub(super) fn raw(&mut self, bytes: &[u8]) {
        let end = self.len + bytes.len();
        match self.room.get_mut(self.len..end) {
            Some(place) => {
                copy(place, bytes);
                self.len = end;
            }
            None => self.add(bytes),
        }
    }

    /// Where there is no room any more.
    #[cold]
    fn add(&mut self, bytes: &[u8]) {
        self.room.truncate(self.len);
        self.room.extend_from_slice(bytes);
        self.len = self.room.len();
        self.room.resize(2 * self.len, 0);
    }

    pub(super) fn number(&mut self, number: impl Into<u64>) {
        let number = number.into();
        if number < 10 {
            self.put(&[b'0' + number as u8]);
        } else if number < FOUR {
            let split = digits::split_four(number as u32);
            let zeroes = split.trailing_zeros() / u8::BITS;
            let digits = digits::text_of_four(split >> (zeroes * u8::BITS));
            self.begin_of(&digits, digits.len() - zeroes as usize);
        } else if number < LIMIT {
            self.first_digits(number);
        } else {
            self.long_number(number);
        }
    }

    fn long_number(&mut self, number: u64) {
        let (high, low) = (number / LIMIT, number % LIMIT);
        if high < LIMIT {
            self.first_digits(high);
        } else {
            self.first_digits(high / LIMIT);
            self.put(&digits::text(digits::split(high % LIMIT)));
        }
        self.put(&digits::text(digits::split(low)));
    }

    /// Those of a number below [`LIMIT`] that is not 0.
    #[inline]
    fn first_digits(&mut self, number: u64) {
        let split = digits::split(number);
        let zeroes = split.trailing_zeros() / u8::BITS;
        let digits = digits::text(split >> (zeroes * u8::BITS));
        self.begin_of(&digits, digits.len() - zeroes as usize);
    }

    pub(super) fn signed(&mut self, number: i32) {
        if number < 0 {
            self.put(b"-");
        }
        self.number(number.unsigned_abs());
    }

    pub(super) fn optional_number(&mut self, number: Option<impl Into<u64>>) {
        match number {
            Some(number) => self.number(number),
            None => self.put(b"null"),
        }
    }

    /// Any text, as a string.
    pub(super) fn string(&mut self, text: &str) -> io::Result<()> {
        if !is_plain(text.as_bytes()) {
            return self.value(text);
        }
        self.put(b"\"");
        self.word(text);
        self.put(b"\"");
        Ok(())
    }

    pub(super) fn optional_string(&mut self, text: Option<&str>) -> io::Result<()> {
        match text {
            Some(text) => self.string(text)?,
            None => self.put(b"null"),
        }
        Ok(())
    }

    /// Anything, by the general way.
    pub(super) fn value<T: Serialize + ?Sized>(&mut self, value: &T) -> io::Result<()> {
        Ok(value.serialize(&mut Serializer::with_formatter(self, Shown))?)
    }
}

/// The same as `copy_from_slice`, but that no function is called for a short piece.
#[inline]
fn copy(place: &mut [u8], bytes: &[u8]) {
    if bytes.len() > 32 {
        place.copy_from_slice(bytes);
    } else if !(twice::<16>(place, bytes) || twice::<8>(place, bytes) || twice::<4>(place, bytes)) {
        for (place, byte) in place.iter_mut().zip(bytes) {
            *place = *byte;
        }
    }
}

/// Copies the first and the last `N` bytes. Returns whether there are so many.
#[inline(always)]
fn twice<const N: usize>(place: &mut [u8], bytes: &[u8]) -> bool {
    let (Some(first), Some(last)) = (bytes.first_chunk::<N>(), bytes.last_chunk::<N>()) else {
        return false;
    };
    if let Some(place) = place.first_chunk_mut() {
        *place = *first;
    }
    if let Some(place) = place.last_chunk_mut() {
        *place = *last;
    }
    true
}

impl Write for Text {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.raw(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_standard_library() {
        let edges = (0..20).flat_map(|zeroes| {
            let power = 10_u64.pow(zeroes);
            [power - 1, power, power + 1, power.saturating_mul(10) - 1]
        });
        let mut rng = fastrand::Rng::with_seed(1);
        let random = std::iter::repeat_with(|| rng.u64(..) >> rng.u32(..64)).take(100_000);
        for number in edges.chain([u64::MAX]).chain(random) {
            let mut text = Text::new();
            text.number(number);
            assert_eq!(text.bytes(), number.to_string().as_bytes());
            let signed = number as i32;
            text.clear();
            text.signed(signed);
            assert_eq!(text.bytes(), signed.to_string().as_bytes());
        }
    }

    #[test]
    fn pieces_of_every_length_come_whole_wherever_room_ends() {
        let piece: [u8; 100] = std::array::from_fn(|at| at as u8);
        for before in [0, 900, 970, 1_000, 1_020] {
            for len in 0..=piece.len() {
                let mut text = Text::new();
                text.raw(&vec![b'x'; before]);
                text.raw(&piece[..len]);
                text.begin_of(&piece, len);
                text.put(b"end");
                let whole = [&piece[..len], &piece[..len], b"end"].concat();
                assert_eq!(text.bytes()[before..], whole, "{before} {len}");
            }
        }
    }
}
