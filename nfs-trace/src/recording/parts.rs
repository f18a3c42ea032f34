//! The files of a recording: made for their owner alone, never over another file, and with
//! `--rotate` one after the other.

use std::{
    collections::VecDeque,
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::{self, IsTerminal as _},
    os::{fd::AsFd as _, unix::fs::OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, anyhow, ensure};

use super::{Header, Remark, Resumption, Stack, Writer, block::BLOCK, known::Known};
use crate::{exit::ExitError, mounts::Mount, names::escape_path, summary::KernelCounts};

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

    /// Whether it goes to stdout, which nothing else may write to then.
    #[must_use]
    pub fn is_stdout(&self) -> bool {
        self.path.as_os_str() == "-"
    }

    /// Sees, before a trace is begun for it, whether it can be made.
    ///
    /// # Errors
    /// If something is in its place, or it is not for this stdout.
    pub fn check(&self) -> anyhow::Result<()> {
        if !self.is_stdout() {
            return match self.rotate {
                Some(_) => refuse_earlier_parts(&self.path),
                None if self.path.symlink_metadata().is_ok() => Err(exists(&self.path)),
                None => Ok(()),
            };
        }
        if self.rotate.is_some() {
            let message = "--rotate makes files: `-o NAME`, not `-o -`";
            return Err(ExitError::usage(message).into());
        }
        if io::stdout().is_terminal() {
            let message = "a recording is not for a terminal: `-o FILE`, or `-o - | COMMAND`";
            return Err(ExitError::usage(message).into());
        }
        Ok(())
    }
}

/// Least for [`Output::rotate`], so that more than the names fit.
pub const LEAST_PART: u64 = 1 << 20;
/// Left free at the end of a part, for a block that packs badly and the footer.
const MARGIN: u64 = 300 << 10;
const _: () = assert!(MARGIN as usize > BLOCK + (32 << 10));

/// A recording in the making.
pub struct Parts {
    output: Output,
    writer: Writer<File>,
    header: Header,
    counts: KernelCounts,
    known: Known,
    /// Files there are, oldest first; the last is being written.
    files: VecDeque<PathBuf>,
    /// Records of the files before, and bytes of those of them that are left.
    records: u64,
    bytes: u64,
    removed: u32,
}

/// What a whole recording came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Total {
    /// Records that were written, those in removed parts too.
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
            Some(_) => part_name(&output.path, 1),
            None => output.path.clone(),
        };
        let writer = if output.is_stdout() {
            let out = io::stdout().as_fd().try_clone_to_owned();
            // Without the buffer for lines that the library's has.
            out.and_then(|out| Writer::new(File::from(out), &header))
                .context("failed to write to stdout")?
        } else {
            begin(&path, &header)?
        };
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
        self.known.forget();
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
    pub fn finish(&mut self, counts: KernelCounts) -> io::Result<()> {
        self.writer.finish(counts, false)
    }

    /// What it came to, up to here.
    #[must_use]
    pub fn total(&self) -> Total {
        Total {
            records: self.records + self.writer.records(),
            bytes: self.bytes + self.writer.bytes(),
            parts: self.header.part,
            removed: self.removed,
        }
    }

    /// The file that is being written.
    #[must_use]
    pub fn file(&self) -> &Path {
        self.files
            .back()
            .map_or(&self.output.path, PathBuf::as_path)
    }

    /// Rare, and kept out of what is done with each record.
    #[cold]
    fn rotate(&mut self, size: u64) -> io::Result<()> {
        self.writer.flush()?;
        let path = part_name(&self.output.path, self.header.part + 1);
        let header = Header {
            part: self.header.part + 1,
            ..self.header.clone()
        };
        let next = begin(&path, &header).map_err(|error| io::Error::other(format!("{error:#}")))?;
        if let Err(error) = self.writer.finish(self.counts.clone(), true) {
            let _ = fs::remove_file(&path);
            return Err(error);
        }
        self.records += self.writer.records();
        self.bytes += self.writer.bytes();
        self.writer = next;
        self.header = header;
        self.files.push_back(path);
        // Before more is written: there is never more than was asked for.
        self.remove_oldest()?;
        self.writer.known(self.known.records(size / 4).into_iter())
    }

    fn remove_oldest(&mut self) -> io::Result<()> {
        while let Some(most) = self.output.max_files
            && self.files.len() > most as usize
            && let Some(oldest) = self.files.pop_front()
        {
            // Somebody may have been faster.
            let size = fs::metadata(&oldest).map_or(0, |file| file.len());
            match fs::remove_file(&oldest) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    let what = format!("failed to remove `{}`: {error}", escape_path(&oldest));
                    return Err(io::Error::new(error.kind(), what));
                }
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

/// Creates a file and writes how it begins; one that cannot begin is not left behind.
fn begin(path: &Path, header: &Header) -> anyhow::Result<Writer<File>> {
    let name = escape_path(path);
    let file = match create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(exists(path));
        }
        file => file.with_context(|| format!("failed to create the recording `{name}`"))?,
    };
    Writer::new(file, header).map_err(|error| {
        let _ = fs::remove_file(path);
        anyhow::Error::from(error).context(format!("failed to write to `{name}`"))
    })
}

/// For the owner alone, never over a file or through a link that is there.
fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
}

fn exists(path: &Path) -> anyhow::Error {
    anyhow!(
        "`{}` exists, and is not written over: choose another name, or remove it",
        escape_path(path)
    )
}

/// They would look like parts of this recording, and stand in the way of it later.
fn refuse_earlier_parts(path: &Path) -> anyhow::Result<()> {
    let folder = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let entries = fs::read_dir(folder)
        .with_context(|| format!("failed to read the folder `{}`", escape_path(folder)))?;
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    for entry in entries {
        let entry = entry.with_context(|| format!("failed to read `{}`", escape_path(folder)))?;
        let found = entry.file_name();
        let is_part = found
            .as_encoded_bytes()
            .strip_prefix(name)
            .and_then(|end| end.strip_prefix(b"."))
            .is_some_and(|digits| digits.len() >= 6 && digits.iter().all(u8::is_ascii_digit));
        ensure!(
            !is_part,
            "`{}` exists, a part of another recording: choose another name, or remove it",
            escape_path(&entry.path())
        );
    }
    Ok(())
}
