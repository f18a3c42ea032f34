//! Which opens of a recording are shown: what was asked for, or else what the recording says.

use std::path::PathBuf;

use anyhow::anyhow;
use clap::ValueEnum as _;

use crate::{
    cli::{FilterArgs, RecordedArgs},
    filter::Filter,
    names::escape,
    recording::Filters,
    show,
    trace::PathWord,
};

/// What was asked for, or what the recording has instead.
fn choose<T: Clone>(args: &RecordedArgs, asked: &[T], recorded: Vec<T>) -> Vec<T> {
    match asked {
        [] if args.all => Vec::new(),
        [] => recorded,
        asked => asked.to_vec(),
    }
}

pub(super) fn wanted_mounts(args: &RecordedArgs, recorded: Vec<PathBuf>) -> Vec<PathBuf> {
    choose(args, &args.mount, recorded)
}

/// The filters of the recording, each kind of them replaced by those of the command line.
pub(super) fn filter(args: &RecordedArgs, recorded: Filters) -> anyhow::Result<Filter> {
    let FilterArgs {
        path,
        comm,
        open_path,
    } = &args.filter;
    let words = recorded.open_path.iter().map(|word| {
        PathWord::from_str(word, false)
            .map_err(|_| anyhow!("`{}` is no open path", escape(word.as_bytes())))
    });
    let words = words.collect::<anyhow::Result<Vec<_>>>()?;
    let chosen = FilterArgs {
        path: choose(args, path, recorded.path),
        comm: choose(args, comm, recorded.comm),
        open_path: choose(args, open_path, words),
    };
    Ok(show::filter(&chosen)?.of(args.pid.clone()))
}
