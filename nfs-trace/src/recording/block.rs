//! A block of records in the making: each is packed where it is written from.

use std::io;

use zerocopy::IntoBytes as _;

use super::{
    delta::{Encoder, ROOM},
    frame::{Codec, FRAME, Frame, Kind},
};

/// Bytes of records in a block, about, and bytes that it stores: a damaged block is lost whole, and
/// a part of a recording leaves so much free at its end.
pub(super) const BLOCK: usize = 1 << 18;

/// Bytes that a record's length takes.
const LEN: usize = size_of::<u16>();

/// See the module.
pub(super) struct Block {
    encoder: Encoder,
    /// Room for the frame, then what is stored, up to `end`.
    framed: Vec<u8>,
    end: usize,
    /// Bytes that it stands for.
    plain: u32,
    records: u32,
}

impl Block {
    pub(super) fn new() -> Self {
        Self {
            encoder: Encoder::default(),
            framed: vec![0; FRAME + BLOCK + usize::from(u16::MAX) + ROOM],
            end: FRAME,
            plain: 0,
            records: 0,
        }
    }

    /// Adds a record, unless it is full.
    ///
    /// # Errors
    /// If no record can be so long.
    pub(super) fn push(&mut self, record: &[u8]) -> io::Result<()> {
        let len = u16::try_from(record.len())
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "a record is too long"))?;
        self.end += self
            .encoder
            .encode(record, len, &mut self.framed[self.end..]);
        self.plain += u32::from(len) + LEN as u32;
        self.records += 1;
        Ok(())
    }

    /// Whether no more may be added.
    pub(super) fn is_full(&self) -> bool {
        self.plain as usize >= BLOCK || self.end >= FRAME + BLOCK
    }

    /// How many are in it.
    pub(super) fn records(&self) -> u32 {
        self.records
    }

    /// The block as it is written.
    pub(super) fn framed(&mut self, kind: Kind, number: u32) -> &[u8] {
        let (room, stored) = self.framed[..self.end].split_at_mut(FRAME);
        let (kind, codec) = (kind as u8, Codec::Delta);
        let frame = Frame::seal(kind, codec, number, self.records, self.plain, stored);
        room.copy_from_slice(frame.as_bytes());
        &self.framed[..self.end]
    }

    /// Begins the next one.
    pub(super) fn clear(&mut self) {
        self.encoder = Encoder::default();
        (self.end, self.plain, self.records) = (FRAME, 0, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pushes one after the other until it is full. Returns how many, and the bytes written.
    fn fill(block: &mut Block, record: &[u8]) -> (u32, usize) {
        while !block.is_full() {
            block.push(record).expect("a record");
        }
        (block.records(), block.framed(Kind::Records, 0).len())
    }

    fn unpacked(framed: &[u8]) -> Vec<u8> {
        let frame = Frame::parse(framed).expect("a frame");
        let mut content = Vec::new();
        frame.check(&framed[FRAME..]).expect("its bytes");
        frame
            .unpack(&framed[FRAME..], &mut content)
            .expect("records");
        content
    }

    #[test]
    fn it_is_full_by_what_it_stands_for_and_by_what_it_stores() {
        let mut block = Block::new();
        // Records that differ in nothing take four bytes: it ends by what they stand for.
        let mut same = [0; 56];
        same[24] = 1;
        let (records, len) = fill(&mut block, &same);
        assert_eq!(records as usize, BLOCK.div_ceil(58));
        assert!(len < BLOCK / 10);
        block.clear();
        // Records of no bytes take more than they are: it ends by what it stores.
        let (records, len) = fill(&mut block, b"");
        assert_eq!(records as usize, BLOCK.div_ceil(3));
        assert!(len < FRAME + BLOCK + 3);
    }

    #[test]
    fn the_longest_record_fits_behind_whatever_is_there() {
        let longest = vec![7; usize::from(u16::MAX)];
        let mut block = Block::new();
        while block.end < FRAME + BLOCK - 3 {
            block.push(b"").expect("a record");
        }
        assert!(!block.is_full());
        block.push(&longest).expect("a record");
        assert!(block.is_full());
        let content = unpacked(block.framed(Kind::Records, 5));
        assert!(content.ends_with(&longest));
        assert!(block.push(&[0; 1 << 16]).is_err());
    }

    #[test]
    fn each_block_is_unpacked_by_itself() {
        let mut block = Block::new();
        let record = [1; 56];
        let once = [&[56, 0], &record[..]].concat();
        for _ in 0..2 {
            block.push(&record).expect("a record");
            assert_eq!(unpacked(block.framed(Kind::Known, 0)), once);
            block.clear();
        }
    }
}
