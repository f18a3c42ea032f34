//! Writes one file of a recording. What was flushed can be read, also while more is written.

use std::io::{self, Write};

use serde::Serialize;
use zerocopy::IntoBytes as _;

use super::{
    Footer, Header, Remark, Resumption, Stack,
    block::Block,
    frame::{Codec, Frame, Kind, LARGEST, PROLOGUE, Prologue, pack},
};
use crate::{mounts::Mount, summary::KernelCounts};

/// See the module.
pub struct Writer<W> {
    out: Out<W>,
    /// Records that are not written yet.
    block: Block,
    /// Records that are.
    records: u64,
}

/// Where blocks go.
struct Out<W> {
    /// Each block is one write, so it needs no buffer.
    file: W,
    /// The next block's number.
    number: u32,
    bytes: u64,
}

impl<W: Write> Out<W> {
    /// In one piece: where this ends suddenly, the file hardly ever ends inside a block.
    fn put(&mut self, framed: &[u8]) -> io::Result<()> {
        self.file.write_all(framed)?;
        self.number = self.number.wrapping_add(1);
        self.bytes += framed.len() as u64;
        Ok(())
    }
}

impl<W: Write> Writer<W> {
    /// Begins the file.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn new(mut file: W, header: &Header) -> io::Result<Self> {
        file.write_all(Prologue::new().as_bytes())?;
        let mut writer = Self {
            out: Out {
                file,
                number: 0,
                bytes: PROLOGUE as u64,
            },
            block: Block::new(),
            records: 0,
        };
        writer.json(Kind::Header, header)?;
        writer.out.file.flush()?;
        Ok(writer)
    }

    /// Adds a record, as it came.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn record(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.block.push(bytes)?;
        if self.block.is_full() {
            self.end_block()?;
        }
        Ok(())
    }

    /// Adds the records that name what is known as a later part begins.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn known<'a>(&mut self, records: impl Iterator<Item = &'a [u8]>) -> io::Result<()> {
        self.end_block()?;
        for record in records {
            self.block.push(record)?;
            if self.block.is_full() {
                self.put_block(Kind::Known)?;
            }
        }
        self.put_block(Kind::Known)?;
        self.out.file.flush()
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
        self.out.file.flush()
    }

    /// Records in the blocks that were written.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.records
    }

    /// Bytes written so far.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.out.bytes
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
        self.out.file.flush()
    }

    /// Rare, and kept out of what is done with each record.
    #[cold]
    fn end_block(&mut self) -> io::Result<()> {
        let records = self.block.records();
        self.put_block(Kind::Records)?;
        self.records += u64::from(records);
        Ok(())
    }

    /// Writes the records that are not written yet, if there are any.
    fn put_block(&mut self, kind: Kind) -> io::Result<()> {
        if self.block.records() > 0 {
            let put = self.out.put(self.block.framed(kind, self.out.number));
            // Also if that failed: a full one has no room for more.
            self.block.clear();
            return put;
        }
        Ok(())
    }

    /// What is true from here on comes behind the records before it.
    fn json(&mut self, kind: Kind, value: &impl Serialize) -> io::Result<()> {
        self.end_block()?;
        let plain = serde_json::to_vec(value)?;
        if plain.len() > LARGEST {
            let message = format!(
                "a block of {} bytes is too large for a recording",
                plain.len()
            );
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        let len = u32::try_from(plain.len()).map_err(io::Error::other)?;
        let (codec, stored) = match kind {
            // So that `strings` shows what a file is.
            Kind::Header => (Codec::Plain, plain),
            _ => pack(plain),
        };
        let frame = Frame::seal(kind as u8, codec, self.out.number, 0, len, &stored);
        self.out.put(&[frame.as_bytes(), &stored].concat())
    }
}
