//! Opens that are counted, and the scenarios that need nothing else.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use lab_contract::{
    cure::Cured,
    protocol::Workload,
    scenario::{CREATES, FIRST_OPENS, OTHER_MODE_OPENS, PREFLIGHT_OPENS, REOPENS, TRUNCATES},
};

/// Counts every open(2) on the mount and notes what was read.
pub(super) struct Bench {
    /// The scenario's directory on the server's own file system.
    pub(super) server: PathBuf,
    opens: Option<u64>,
    report: Workload,
}

impl Bench {
    pub(super) fn new(server: &str) -> Self {
        Self {
            server: server.into(),
            opens: Some(0),
            report: Workload::default(),
        }
    }

    pub(super) fn report(self) -> Workload {
        Workload {
            opens: self.opens,
            ..self.report
        }
    }

    /// Opens a name in the current directory, which is the scenario's directory on the mount.
    pub(super) fn open(&mut self, name: &str, options: &OpenOptions) -> io::Result<File> {
        self.add_opens(1);
        options.open(name)
    }

    pub(super) fn open_read(&mut self, name: &str) -> io::Result<File> {
        self.open(name, OpenOptions::new().read(true))
    }

    /// What an open shows: what is read, or the error.
    pub(super) fn look(&mut self, name: &str, options: &OpenOptions) -> String {
        match self.open(name, options) {
            Ok(file) => content(file),
            Err(error) => error_name(&error),
        }
    }

    /// What `cat NAME` would show, noted.
    pub(super) fn cat(&mut self, name: &str) {
        let seen = self.look(name, OpenOptions::new().read(true));
        self.note(&seen);
    }

    pub(super) fn note(&mut self, what: &str) {
        self.report.push(what);
    }

    /// What came of a cure; its reopen counts as one of the things read.
    pub(super) fn note_cure(&mut self, cured: Cured) {
        self.note(&cured.reads);
        self.report.cures.push(cured);
    }

    /// Opens that child processes made.
    pub(super) fn add_opens(&mut self, count: u64) {
        self.opens = self.opens.map(|opens| opens + count);
    }

    /// From here on a foreign program opens files: nobody counts.
    pub(super) fn stop_counting(&mut self) {
        self.opens = None;
    }
}

/// The first word of a file. One read(2) and no fstat(2), which could send a GETATTR.
pub(super) fn content(mut file: File) -> String {
    let mut bytes = [0; 16];
    match file.read(&mut bytes) {
        Ok(length) => String::from_utf8_lossy(&bytes[..length]).trim().to_owned(),
        Err(error) => format!("read:{}", error_name(&error)),
    }
}

pub(super) fn error_name(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(2) => "ENOENT".to_owned(),
        Some(13) => "EACCES".to_owned(),
        Some(116) => "ESTALE".to_owned(),
        Some(number) => format!("errno {number}"),
        None => error.to_string(),
    }
}

/// Writes a file on the server.
pub(super) fn write(server: &Path, name: &str, text: &str) -> Result<()> {
    let path = server.join(name);
    fs::write(&path, format!("{text}\n")).with_context(|| format!("write {}", path.display()))
}

/// Writes files with a number in their names on the server.
pub(super) fn many(server: &Path, stem: &str, count: u64) -> Result<()> {
    (0..count).try_for_each(|number| write(server, &format!("{stem}{number}"), "old"))
}

pub(super) fn preflight(bench: &mut Bench) -> Result<()> {
    (0..PREFLIGHT_OPENS).for_each(|number| bench.cat(&format!("file{number}")));
    Ok(())
}

pub(super) fn reopen(bench: &mut Bench) -> Result<()> {
    let _held = bench.open_read("test1.txt")?;
    (0..REOPENS).for_each(|_| bench.cat("test1.txt"));
    Ok(())
}

pub(super) fn first_open(bench: &mut Bench) -> Result<()> {
    (0..FIRST_OPENS).for_each(|number| bench.cat(&format!("file{number}")));
    Ok(())
}

pub(super) fn create(bench: &mut Bench) -> Result<()> {
    for number in 0..CREATES {
        let mut options = OpenOptions::new();
        bench.open(&format!("new{number}"), options.write(true).create(true))?;
    }
    Ok(())
}

pub(super) fn truncate(bench: &mut Bench) -> Result<()> {
    let _held = bench.open("test1.txt", OpenOptions::new().write(true))?;
    for _ in 0..TRUNCATES {
        bench.open("test1.txt", OpenOptions::new().write(true).truncate(true))?;
    }
    Ok(())
}

pub(super) fn other_mode(bench: &mut Bench) -> Result<()> {
    let _held = bench.open_read("test1.txt")?;
    for _ in 0..OTHER_MODE_OPENS {
        bench.open("test1.txt", OpenOptions::new().read(true).write(true))?;
    }
    Ok(())
}
