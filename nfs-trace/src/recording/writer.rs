//! Writes one file of a recording. What was flushed can be read, also while more is written.

use std::io::{self, Write};

use serde::Serialize;
use zerocopy::IntoBytes as _;

use super::{
    Footer, Header, Remark, Resumption, Stack,
    frame::{Codec, Frame, Kind, LARGEST, PROLOGUE, Prologue, pack},
};
use crate::{mounts::Mount, summary::KernelCounts};

/// Bytes of records in a block, about: more pack hardly better, and a damaged block is lost whole.
const BLOCK: usize = 1 << 18;

/// See the module. Each block is one write, so `out` needs no buffer.
pub struct Writer<W> {
    out: W,
    block: Vec<u8>,
    in_block: u32,
    room: Vec<u8>,
    /// A block with its frame, as it is written.
    framed: Vec<u8>,
    number: u32,
    records: u64,
    bytes: u64,
}

impl<W: Write> Writer<W> {
    /// Begins the file.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn new(mut out: W, header: &Header) -> io::Result<Self> {
        out.write_all(Prologue::new().as_bytes())?;
        let mut writer = Self {
            out,
            block: Vec::with_capacity(BLOCK + 512),
            in_block: 0,
            room: Vec::new(),
            framed: Vec::new(),
            number: 0,
            records: 0,
            bytes: PROLOGUE as u64,
        };
        writer.json(Kind::Header, header)?;
        writer.out.flush()?;
        Ok(writer)
    }

    /// Adds a record, as it came.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn record(&mut self, bytes: &[u8]) -> io::Result<()> {
        push(&mut self.block, bytes)?;
        self.in_block += 1;
        if self.block.len() >= BLOCK {
            self.end_block()?;
        }
        Ok(())
    }

    /// Adds the records that name what is known as a later part begins.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn known<'a>(&mut self, records: impl Iterator<Item = &'a [u8]>) -> io::Result<()> {
        let mut block = Vec::new();
        let mut count = 0;
        for record in records {
            push(&mut block, record)?;
            count += 1;
            if block.len() >= BLOCK {
                self.put(Kind::Known, count, &block)?;
                block.clear();
                count = 0;
            }
        }
        if count > 0 {
            self.put(Kind::Known, count, &block)?;
        }
        self.out.flush()
    }

    /// The client's modules were unloaded; so much was counted.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn interruption(&mut self, counts: &KernelCounts) -> io::Result<()> {
        self.json(Kind::Interruption, counts)
    }

    /// They are back.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn resumption(&mut self, resumption: &Resumption) -> io::Result<()> {
        self.json(Kind::Resumption, resumption)
    }

    /// What is said between rows.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn remark(&mut self, remark: &Remark) -> io::Result<()> {
        self.json(Kind::Remark, remark)
    }

    /// From here on the mounts are these.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn mounts(&mut self, mounts: &[Mount]) -> io::Result<()> {
        self.json(Kind::Mounts, &mounts)
    }

    /// The stack that records from here on refer to by its id.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn stack(&mut self, stack: &Stack) -> io::Result<()> {
        self.json(Kind::Stack, stack)
    }

    /// What was counted up to here.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn counts(&mut self, counts: &KernelCounts) -> io::Result<()> {
        self.json(Kind::Counts, counts)
    }

    /// Pushes out what was added.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn flush(&mut self) -> io::Result<()> {
        self.end_block()?;
        self.out.flush()
    }

    /// Records in the blocks that were written.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.records
    }

    /// Bytes written so far.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Ends the file: nothing may follow.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn finish(&mut self, counts: KernelCounts, continues: bool) -> io::Result<()> {
        self.end_block()?;
        let footer = Footer {
            records: self.records,
            continues,
            counts,
        };
        self.json(Kind::Footer, &footer)?;
        self.out.flush()
    }

    fn end_block(&mut self) -> io::Result<()> {
        if self.in_block > 0 {
            let block = std::mem::take(&mut self.block);
            let count = std::mem::take(&mut self.in_block);
            self.put(Kind::Records, count, &block)?;
            self.records += u64::from(count);
            self.block = block;
            self.block.clear();
        }
        Ok(())
    }

    /// What is true from here on comes behind the records before it.
    fn json(&mut self, kind: Kind, value: &impl Serialize) -> io::Result<()> {
        self.end_block()?;
        self.put(kind, 0, &serde_json::to_vec(value)?)
    }

    fn put(&mut self, kind: Kind, records: u32, plain: &[u8]) -> io::Result<()> {
        if plain.len() > LARGEST {
            let message = format!(
                "a block of {} bytes is too large for a recording",
                plain.len()
            );
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        let (codec, stored) = match kind {
            // So that `strings` shows what a file is.
            Kind::Header => (Codec::Plain, plain),
            _ => pack(plain, &mut self.room),
        };
        let len = u32::try_from(plain.len()).map_err(io::Error::other)?;
        let frame = Frame::seal(kind as u8, codec, self.number, records, len, stored);
        self.framed.clear();
        self.framed.extend_from_slice(frame.as_bytes());
        self.framed.extend_from_slice(stored);
        // In one piece: where this ends suddenly, the file hardly ever ends inside a block.
        self.out.write_all(&self.framed)?;
        self.number = self.number.wrapping_add(1);
        self.bytes += self.framed.len() as u64;
        Ok(())
    }
}

fn push(block: &mut Vec<u8>, record: &[u8]) -> io::Result<()> {
    let len = u16::try_from(record.len())
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "a record is too long"))?;
    block.extend_from_slice(&len.to_le_bytes());
    block.extend_from_slice(record);
    Ok(())
}
