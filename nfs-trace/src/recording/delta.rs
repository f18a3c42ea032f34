//! Packs records as what sets each apart from those before it in its block; docs/format.md says
//! how. Pure.
//!
//! Most of a record is as in the last one of its kind, and what is not differs in low bytes: so it
//! takes less than half, for a quarter of what looking for repetitions takes.

use nfs_trace_ebpf::abi::{
    Comm, Lookup, Name, Open, OpenTask, RecordHeader, RecordKind, Revalidate,
};

/// Bytes that each stored byte can stand for, at most: a Revalidate and its length from four.
pub(super) const MOST_A_BYTE: usize = 15;
/// What the encoder needs beyond the record's own bytes.
pub(super) const ROOM: usize = SHAPE + WORDS * WORD + WORD;

const WORD: usize = size_of::<u64>();
const HEADER_WORDS: usize = size_of::<RecordHeader>() / WORD;
/// Of the longest record, names aside.
const WORDS: usize = words::<Open>();
/// Bytes of the longest shape.
const SHAPE: usize = shape_len(WORDS);
/// In a shape's first four bits, beside the kind: there are bytes behind the words.
const TAIL: u64 = 8;
/// Stands in a shape's place: a length and a record as it is.
const AS_IT_IS: u8 = 0;

/// Words of a record with this payload.
const fn words<P>() -> usize {
    (size_of::<RecordHeader>() + size_of::<P>()) / WORD
}

/// Bytes of a shape: four bits for the kind, and four for each word.
const fn shape_len(words: usize) -> usize {
    (1 + words).div_ceil(2)
}

/// Does `$one::<N>` of the words of `$kind`, or else `$other`.
macro_rules! by_kind {
    ($kind:expr, $this:ident.$one:ident $arguments:tt, $other:expr) => {
        match $kind {
            Some(RecordKind::Revalidate) => $this.$one::<{ words::<Revalidate>() }> $arguments,
            Some(RecordKind::Lookup) => $this.$one::<{ words::<Lookup>() }> $arguments,
            Some(RecordKind::OpenTask) => $this.$one::<{ words::<OpenTask>() }> $arguments,
            Some(RecordKind::FileOpen | RecordKind::AtomicOpen) => {
                $this.$one::<{ words::<Open>() }> $arguments
            }
            Some(RecordKind::Name) => $this.$one::<{ words::<Name>() }> $arguments,
            Some(RecordKind::Comm) => $this.$one::<{ words::<Comm>() }> $arguments,
            None => $other,
        }
    };
}

/// The words of the records before: of the last one's header, and of the last payload of each
/// kind.
#[derive(Default)]
struct Last {
    header: [u64; HEADER_WORDS],
    payloads: [[u64; WORDS - HEADER_WORDS]; 8],
}

impl Last {
    /// The word before it in its place.
    fn word(&mut self, kind: u8, at: usize) -> &mut u64 {
        match at.checked_sub(HEADER_WORDS) {
            None => &mut self.header[at],
            Some(at) => &mut self.payloads[usize::from(kind & 7)][at],
        }
    }
}

/// The word that holds kind, flags, seq and dev, what changes most at its low end, and without the
/// kind, which the shape has.
const TURNED: usize = HEADER_WORDS - 1;
const KIND: u64 = 0xff;

/// Packs the records of a block.
#[derive(Default)]
pub(super) struct Encoder(Last);

impl Encoder {
    /// Writes the record to where `out` begins. Returns how many bytes that are.
    ///
    /// # Panics
    /// If `out` has not [`ROOM`] and the record's length.
    pub(super) fn encode(&mut self, record: &[u8], len: u16, out: &mut [u8]) -> usize {
        let kind = record
            .get(TURNED * WORD)
            .copied()
            .and_then(RecordKind::from_u8);
        by_kind!(
            kind,
            self.words(record, len, out),
            as_it_is(record, len, out)
        )
    }

    /// Not inlined: registers would be saved for it a second time.
    #[inline(never)]
    fn words<const N: usize>(&mut self, record: &[u8], len: u16, out: &mut [u8]) -> usize {
        let words = record.as_chunks::<WORD>().0.split_first_chunk::<N>();
        let tail = record.get(N * WORD..).unwrap_or_default();
        let (Some((words, _)), Ok(tail_len)) = (words, u8::try_from(tail.len())) else {
            return as_it_is(record, len, out);
        };
        let kind = words[TURNED][0];
        let room: &mut [u8; ROOM] = out.first_chunk_mut().expect("room for a record");
        let mut end = shape_len(N);
        let mut shape = u64::from(kind);
        for (at, word) in words.iter().enumerate() {
            let mut word = u64::from_le_bytes(*word);
            if at == TURNED {
                word = (word & !KIND).rotate_right(16);
            }
            let differs = word ^ std::mem::replace(self.0.word(kind, at), word);
            // The whole of it: the next one goes over the high bytes, which are 0.
            room[end..end + WORD].copy_from_slice(&differs.to_le_bytes());
            let len = (u64::BITS + 7 - differs.leading_zeros()) / 8;
            shape |= u64::from(len) << (4 + 4 * at);
            end += len as usize;
        }
        if tail_len > 0 {
            shape |= TAIL;
            out[end] = tail_len;
            end += 1;
            out[end..end + tail.len()].copy_from_slice(tail);
            end += tail.len();
        }
        out[..shape_len(N)].copy_from_slice(&shape.to_le_bytes()[..shape_len(N)]);
        end
    }
}

fn as_it_is(record: &[u8], len: u16, out: &mut [u8]) -> usize {
    let [low, high] = len.to_le_bytes();
    out[..3].copy_from_slice(&[AS_IT_IS, low, high]);
    out[3..3 + record.len()].copy_from_slice(record);
    3 + record.len()
}

/// Puts the records behind their lengths into `content`, `plain` bytes in all.
///
/// # Errors
/// If these are not what was made of so many bytes.
pub(super) fn decode(
    stored: &[u8],
    plain: usize,
    content: &mut Vec<u8>,
) -> Result<(), &'static str> {
    // Before there is room made for it.
    if plain > stored.len().saturating_mul(MOST_A_BYTE) {
        return Err("it cannot unpack to what it claims");
    }
    content.reserve(plain);
    let mut decoder = Decoder {
        last: Last::default(),
        rest: stored,
        content,
    };
    while let Some(first) = decoder.rest.first() {
        decoder.record(*first).ok_or("it does not unpack")?;
        if decoder.content.len() > plain {
            return Err("it unpacks to more than it claims");
        }
    }
    if decoder.content.len() == plain {
        Ok(())
    } else {
        Err("it does not unpack")
    }
}

struct Decoder<'a> {
    last: Last,
    rest: &'a [u8],
    content: &'a mut Vec<u8>,
}

impl Decoder<'_> {
    /// The next one; nothing if there is none.
    fn record(&mut self, first: u8) -> Option<()> {
        if first == AS_IT_IS {
            return self.as_it_is();
        }
        let kind = first & 7;
        by_kind!(RecordKind::from_u8(kind), self.words(kind), None)
    }

    fn as_it_is(&mut self) -> Option<()> {
        let (_, rest) = self.rest.split_first()?;
        let (len, rest) = rest.split_first_chunk()?;
        let (record, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes(*len)))?;
        self.content.extend_from_slice(len);
        self.content.extend_from_slice(record);
        self.rest = rest;
        Some(())
    }

    fn words<const N: usize>(&mut self, kind: u8) -> Option<()> {
        // At the end of a block there may be less than is looked at.
        let mut short = [0; ROOM];
        let room = match self.rest.first_chunk::<ROOM>() {
            Some(room) => room,
            None => {
                short[..self.rest.len()].copy_from_slice(self.rest);
                &short
            }
        };
        let shape = u64::from_le_bytes(*room.first_chunk()?);
        let mut end = shape_len(N);
        let mut record = [[0; WORD]; N];
        for (at, bytes) in record.iter_mut().enumerate() {
            let len = (shape >> (4 + 4 * at) & 15) as usize;
            let stored = room.get(end..)?.first_chunk()?;
            let differs = u64::from_le_bytes(*stored) & *MASKS.get(len)?;
            let last = self.last.word(kind, at);
            *last ^= differs;
            let mut word = *last;
            if at == TURNED {
                word = word.rotate_left(16) & !KIND | u64::from(kind);
            }
            *bytes = word.to_le_bytes();
            end += len;
        }
        let mut rest = self.rest.get(end..)?;
        let mut tail: &[u8] = &[];
        if shape & TAIL != 0 {
            let (len, behind) = rest.split_first()?;
            (tail, rest) = behind.split_at_checked(usize::from(*len))?;
        }
        let len = u16::try_from(N * WORD + tail.len()).ok()?;
        self.content.extend_from_slice(&len.to_le_bytes());
        self.content.extend_from_slice(record.as_flattened());
        self.content.extend_from_slice(tail);
        self.rest = rest;
        Some(())
    }
}

/// The low bytes of a word, by their number.
const MASKS: [u64; 1 + WORD] = {
    let mut masks = [u64::MAX; 1 + WORD];
    let mut len = 0;
    while len < WORD {
        masks[len] = (1 << (8 * len)) - 1;
        len += 1;
    }
    masks
};

#[cfg(test)]
mod tests;
