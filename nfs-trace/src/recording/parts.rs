//! The files of a recording: made for their owner alone, never over another file, and with
//! `--rotate` one after the other.

use std::{
    collections::VecDeque,
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::{self, BufWriter, IsTerminal as _, Write},
    num::NonZeroUsize,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, ensure};
use lru::LruCache;
use nfs_trace_ebpf::abi::{Comm, Name, RecordHeader, RecordKind};
use zerocopy::FromBytes as _;

use super::{Header, Remark, Resumption, Stack, Writer};
use crate::{exit::ExitError, mounts::Mount, summary::KernelCounts};

/// Files to write, and how large they may get together.
#[derive(Debug, Clone)]
pub struct Output {
    /// The file, or what its parts are called before their number; `-` for stdout.
    pub path: PathBuf,
    /// Bytes of a part; nothing for a single file.
    pub rotate: Option<u64>,
    /// Parts to keep.
    pub max_files: Option<u32>,
}

impl Output {
    /// A single file, however large.
    #[must_use]
    pub fn single(path: &Path) -> Self {
        Self {
            path: path.into(),
            rotate: None,
            max_files: None,
        }
    }
}

/// Least for [`Output::rotate`], so that more than the names fit.
pub const LEAST_PART: u64 = 1 << 20;
/// Left free at the end of a part, for a block that packs badly and the footer.
const MARGIN: u64 = 300 << 10;
/// Names and threads that the next part begins with: as many as the programs remember.
const NAMES: NonZeroUsize = NonZeroUsize::new(65_536).expect("not zero");
const THREADS: NonZeroUsize = NonZeroUsize::new(16_384).expect("not zero");
/// Longest chain of parents that the programs follow.
const MAX_DEPTH: usize = 32;

/// A recording in the making.
pub struct Parts {
    output: Output,
    writer: Writer<BufWriter<Box<dyn Write>>>,
    header: Header,
    counts: KernelCounts,
    known: Known,
    /// Files there are, oldest first.
    files: VecDeque<PathBuf>,
    records: u64,
    bytes: u64,
    removed: u32,
}

/// What a whole recording came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Total {
    /// Records, those in removed parts too.
    pub records: u64,
    /// Bytes of the parts that are left.
    pub bytes: u64,
    /// Parts that were written.
    pub parts: u32,
    /// Those of them that were removed, the oldest ones.
    pub removed: u32,
}

impl Parts {
    /// Creates the file, or the first part.
    ///
    /// # Errors
    /// If it is there already, or cannot be written.
    pub fn create(output: Output, header: Header) -> anyhow::Result<Self> {
        let path = match output.rotate {
            Some(_) => {
                refuse_earlier_parts(&output.path)?;
                part_name(&output.path, 1)
            }
            None => output.path.clone(),
        };
        let file: Box<dyn Write> = if path.as_os_str() == "-" {
            ensure_no_terminal()?;
            Box::new(io::stdout())
        } else {
            Box::new(create(&path).with_context(|| failed_to_create(&path))?)
        };
        let writer = Writer::new(BufWriter::new(file), &header)
            .with_context(|| format!("failed to write to `{}`", path.display()))?;
        Ok(Self {
            output,
            writer,
            header,
            counts: KernelCounts::default(),
            known: Known::new(),
            files: VecDeque::from([path]),
            records: 0,
            bytes: 0,
            removed: 0,
        })
    }

    /// Begins the next part if this one is full. To be called before each record and what belongs
    /// to it.
    ///
    /// # Errors
    /// If the next part is there already, or one cannot be written or removed.
    pub fn make_room(&mut self) -> io::Result<()> {
        match self.output.rotate {
            Some(size) if self.writer.bytes() + MARGIN > size && self.writer.records() > 0 => {
                self.rotate(size)
            }
            _ => Ok(()),
        }
    }

    /// Adds a record, as it came.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn record(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.output.rotate.is_some() {
            self.known.learn(bytes);
        }
        self.writer.record(bytes)
    }

    /// The client's modules were unloaded: what was known of dentries is of no use any more.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn interruption(&mut self, counts: &KernelCounts) -> io::Result<()> {
        self.known.names.clear();
        self.writer.interruption(counts)
    }

    /// They are back.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn resumption(&mut self, resumption: Resumption) -> io::Result<()> {
        self.writer.resumption(&resumption)?;
        self.header.session = resumption.session;
        self.header.filters.shown_mounts = resumption.mounts;
        Ok(())
    }

    /// What is said between rows.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn remark(&mut self, remark: &Remark) -> io::Result<()> {
        self.writer.remark(remark)
    }

    /// From here on the mounts are these.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn mounts(&mut self, mounts: Vec<Mount>) -> io::Result<()> {
        self.writer.mounts(&mounts)?;
        self.header.session.mounts = mounts;
        Ok(())
    }

    /// The mounts as they were last told.
    #[must_use]
    pub fn known_mounts(&self) -> &[Mount] {
        &self.header.session.mounts
    }

    /// The stack that records from here on refer to.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn stack(&mut self, stack: &Stack) -> io::Result<()> {
        self.writer.stack(stack)
    }

    /// Which part is being written, from 1.
    #[must_use]
    pub fn part(&self) -> u32 {
        self.header.part
    }

    /// What was counted up to here.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn counts(&mut self, counts: KernelCounts) -> io::Result<()> {
        self.writer.counts(&counts)?;
        self.counts = counts;
        Ok(())
    }

    /// Pushes out what was added.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }

    /// Ends the recording.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn finish(self, counts: KernelCounts) -> io::Result<Total> {
        let records = self.records + self.writer.records();
        let last = self.writer.finish(counts, false)?;
        Ok(Total {
            records,
            bytes: self.bytes + last,
            parts: self.header.part,
            removed: self.removed,
        })
    }

    fn rotate(&mut self, size: u64) -> io::Result<()> {
        self.writer.flush()?;
        let path = part_name(&self.output.path, self.header.part + 1);
        let file: Box<dyn Write> = Box::new(create(&path).map_err(|error| {
            io::Error::new(
                error.kind(),
                format!("{}: {error}", failed_to_create(&path)),
            )
        })?);
        self.header.part += 1;
        let next = Writer::new(BufWriter::new(file), &self.header)?;
        let last = std::mem::replace(&mut self.writer, next);
        self.records += last.records();
        let bytes = last.finish(self.counts.clone(), true)?;
        self.bytes += bytes;
        self.writer
            .known(self.known.records(size / 4).into_iter())?;
        self.files.push_back(path);
        while let Some(most) = self.output.max_files
            && self.files.len() > most as usize
            && let Some(oldest) = self.files.pop_front()
        {
            // Somebody may have been faster.
            let size = fs::metadata(&oldest).map_or(0, |file| file.len());
            match fs::remove_file(&oldest) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => self.bytes = self.bytes.saturating_sub(size),
            }
            self.removed += 1;
        }
        Ok(())
    }
}

/// A part's file: the name and six digits, so that a shell's `*` has them in order.
#[must_use]
pub fn part_name(path: &Path, part: u32) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(format!(".{part:06}"));
    name.into()
}

/// For the owner alone, never over a file or through a link that is there.
fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
}

fn failed_to_create(path: &Path) -> String {
    format!("failed to create the recording `{}`", path.display())
}

/// They would look like parts of this recording, and stand in the way of it later.
fn refuse_earlier_parts(path: &Path) -> anyhow::Result<()> {
    let folder = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let entries = fs::read_dir(folder)
        .with_context(|| format!("failed to read the folder `{}`", folder.display()))?;
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    for entry in entries {
        let entry = entry.with_context(|| format!("failed to read `{}`", folder.display()))?;
        let found = entry.file_name();
        let is_part = found
            .as_encoded_bytes()
            .strip_prefix(name)
            .and_then(|end| end.strip_prefix(b"."))
            .is_some_and(|digits| digits.len() >= 6 && digits.iter().all(u8::is_ascii_digit));
        ensure!(
            !is_part,
            "`{}` is there already, a part of another recording: choose another name, or remove it",
            entry.path().display()
        );
    }
    Ok(())
}

fn ensure_no_terminal() -> anyhow::Result<()> {
    if io::stdout().is_terminal() {
        let message = "a recording is not for a terminal: `-o FILE`, or `-o - | COMMAND`";
        return Err(ExitError::usage(message).into());
    }
    Ok(())
}

/// The records of names that the programs have sent and will not send again.
struct Known {
    names: LruCache<u64, Box<[u8]>>,
    comms: LruCache<u32, Box<[u8]>>,
}

impl Known {
    fn new() -> Self {
        Self {
            names: LruCache::new(NAMES),
            comms: LruCache::new(THREADS),
        }
    }

    fn learn(&mut self, record: &[u8]) {
        let Ok((header, payload)) = RecordHeader::read_from_prefix(record) else {
            return;
        };
        match RecordKind::from_u8(header.kind) {
            Some(RecordKind::Name) => {
                if let Ok((name, _)) = Name::read_from_prefix(payload) {
                    self.names.put(name.dentry, record.into());
                    self.keep_above(name.parent);
                }
            }
            Some(RecordKind::Comm) if Comm::read_from_prefix(payload).is_ok() => {
                self.comms.put(header.tid, record.into());
            }
            _ => {}
        }
    }

    /// What is above a new name is as new.
    fn keep_above(&mut self, mut dentry: u64) {
        for _ in 0..MAX_DEPTH {
            let Some(record) = self.names.get(&dentry) else {
                return;
            };
            let payload = &record[size_of::<RecordHeader>()..];
            match Name::read_from_prefix(payload) {
                Ok((name, _)) if name.parent != dentry => dentry = name.parent,
                _ => return,
            }
        }
    }

    /// The newest of them in about so many bytes, the older ones first.
    fn records(&self, most: u64) -> Vec<&[u8]> {
        let mut records = newest(self.comms.iter().map(|(_, record)| &**record), most / 4);
        records.extend(newest(
            self.names.iter().map(|(_, record)| &**record),
            most / 4 * 3,
        ));
        records
    }
}

/// As many of the first as there is room for, in the opposite order.
fn newest<'a>(all: impl Iterator<Item = &'a [u8]>, most: u64) -> Vec<&'a [u8]> {
    let mut bytes = 0;
    let mut records: Vec<&[u8]> = all
        .take_while(|record| {
            bytes += record.len() as u64;
            bytes <= most
        })
        .collect();
    records.reverse();
    records
}
