//! A file of raw records, for tests that replay them: the session as one line of JSON,
//! then each record behind its length (u32, little endian).

use std::io::{self, Write};

use anyhow::{Context as _, ensure};
use bytes::{Buf as _, Bytes};
use nfs_trace_ebpf::abi::{ABI_VERSION, NAME_MAX};

use crate::session::Session;

/// No record is longer.
const LONGEST: usize = 64 + NAME_MAX + 1;

/// Writes a capture.
pub struct Writer<W> {
    out: W,
}

impl<W: Write> Writer<W> {
    /// Begins the file.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn new(mut out: W, session: &Session) -> io::Result<Self> {
        serde_json::to_writer(&mut out, session)?;
        out.write_all(b"\n")?;
        Ok(Self { out })
    }

    /// Adds a record.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn record(&mut self, bytes: &[u8]) -> io::Result<()> {
        let len = u32::try_from(bytes.len()).map_err(io::Error::other)?;
        self.out.write_all(&len.to_le_bytes())?;
        self.out.write_all(bytes)
    }

    /// Pushes out what is buffered.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Reads a capture: the session, then every record.
///
/// # Errors
/// If the file is damaged, cut short, or of another ABI version.
pub fn read(mut file: Bytes) -> anyhow::Result<(Session, Vec<Bytes>)> {
    let end = file
        .iter()
        .position(|&byte| byte == b'\n')
        .context("the capture has no header")?;
    let session: Session =
        serde_json::from_slice(&file.split_to(end)).context("the capture's header is damaged")?;
    file.advance(1);
    ensure!(
        session.abi_version == ABI_VERSION,
        "the capture has ABI version {}, this program reads {ABI_VERSION}",
        session.abi_version
    );
    let mut records = Vec::new();
    while file.has_remaining() {
        let len = file.try_get_u32_le().context("the capture is cut short")? as usize;
        ensure!(
            len <= LONGEST,
            "record {} claims {len} bytes",
            records.len()
        );
        ensure!(len <= file.remaining(), "the capture is cut short");
        records.push(file.split_to(len));
    }
    Ok((session, records))
}
