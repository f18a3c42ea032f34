//! JSON in the making, piece by piece. Pieces of known length come without a call: half of a line
//! are names of fields, and a call for each of them would cost more than all the rest.

use std::io::{self, Write};

use itoa::Integer;
use serde::Serialize;
use serde_json::ser::Serializer;

use super::Shown;
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
                place.copy_from_slice(bytes);
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

    pub(super) fn number(&mut self, number: impl Integer) {
        self.word(itoa::Buffer::new().format(number));
    }

    pub(super) fn optional_number(&mut self, number: Option<impl Integer>) {
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

impl Write for Text {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.raw(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
