//! Which recording is read, and which of its opens are wanted.

use std::{
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use anyhow::anyhow;
use clap::ValueEnum as _;

use crate::{
    cli::{FilterArgs, RecordedArgs},
    diagnostics,
    exit::ExitError,
    filter::Filter,
    names::{escape, escape_path},
    recording::{Filters, Header},
    render::Render,
    show,
    trace::PathWord,
};

/// A recording, and which of its opens.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// It, or its parts in their order; `-` for stdin.
    pub files: &'a [PathBuf],
    /// Only opens on the mounts that hold these paths; empty for those that were recorded.
    pub mount: &'a [PathBuf],
    /// Only these processes; empty for all.
    pub pid: &'a [u32],
    /// Instead of the recording's filters, each kind that is not empty.
    pub filter: &'a FilterArgs,
    /// Without the recording's filters.
    pub all: bool,
}

impl<'a> From<&'a RecordedArgs> for Source<'a> {
    fn from(args: &'a RecordedArgs) -> Self {
        let RecordedArgs {
            files,
            mount,
            pid,
            filter,
            all,
        } = args;
        Self {
            files,
            mount,
            pid,
            filter,
            all: *all,
        }
    }
}

impl Source<'_> {
    /// What was asked for, or what the recording has instead.
    fn choose<T: Clone>(&self, asked: &[T], recorded: Vec<T>) -> Vec<T> {
        match asked {
            [] if self.all => Vec::new(),
            [] => recorded,
            asked => asked.to_vec(),
        }
    }

    /// The mounts to show, of those that the recording names; with none, all.
    pub(super) fn mounts(&self, recorded: Vec<PathBuf>) -> Vec<PathBuf> {
        self.choose(self.mount, recorded)
    }

    /// The filters of the recording, each kind of them replaced by those of the command line.
    ///
    /// # Errors
    /// If one of them means nothing.
    pub(super) fn filter(&self, recorded: Filters) -> anyhow::Result<Filter> {
        let FilterArgs {
            path,
            comm,
            open_path,
        } = self.filter;
        let words = recorded.open_path.iter().map(|word| {
            PathWord::from_str(word, false)
                .map_err(|_| anyhow!("`{}` is no open path", escape(word.as_bytes())))
        });
        let words = words.collect::<anyhow::Result<Vec<_>>>()?;
        let chosen = FilterArgs {
            path: self.choose(path, recorded.path),
            comm: self.choose(comm, recorded.comm),
            open_path: self.choose(open_path, words),
        };
        Ok(show::filter(&chosen)?.of(self.pid.to_vec()))
    }
}

/// See [`crate::pipeline::Show`].
#[derive(Debug, Clone, Copy, Default)]
#[expect(missing_docs, reason = "the same as there")]
pub struct Limits {
    pub count: Option<u64>,
    pub raw_pointers: bool,
    /// What is wrong with the recording was said before.
    pub quiet: bool,
}

/// Makes what takes the rows of a recording that begins with this header.
pub type Begin<'a> = Box<dyn FnOnce(&Header) -> anyhow::Result<Box<dyn Render>> + 'a>;

/// Says where a recording comes from.
pub fn say_origin(header: &Header) {
    let command = header.command_line.join(" ");
    let by = format!("recorded on {} by: {command}", header.architecture);
    diagnostics::say(&escape(by.as_bytes()));
}

/// Rows are never written over the recording that they come from.
///
/// # Errors
/// If they would be.
pub fn not_over(files: &[PathBuf], output: &Path) -> anyhow::Result<()> {
    let id = |path: &Path| {
        let file = path.metadata().ok().filter(std::fs::Metadata::is_file)?;
        Some((file.dev(), file.ino()))
    };
    let output_id = id(output);
    if output_id.is_some() && files.iter().any(|file| id(file) == output_id) {
        let message = format!("-o {}: that is the recording", escape_path(output));
        return Err(ExitError::usage(message).into());
    }
    Ok(())
}
