//! Which recording is read, and which of its opens are wanted.

use std::{
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use anyhow::anyhow;
use clap::ValueEnum as _;

use crate::{
    cli::FilterArgs,
    exit::ExitError,
    filter::Filter,
    names::{escape, escape_path},
    recording::Filters,
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

/// Rows are never written over the recording that they come from.
///
/// # Errors
/// If they would be.
pub(super) fn not_over(files: &[PathBuf], output: &Path) -> anyhow::Result<()> {
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
