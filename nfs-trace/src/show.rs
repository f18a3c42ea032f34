//! What the options about rows mean: which ones, and how they are printed.

use std::{
    fs::File,
    io::{self, BufWriter, IsTerminal as _, Write},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use jiff::tz::TimeZone;

use crate::{
    cli::{FilterArgs, Format, ShowArgs},
    exit::ExitError,
    filter::Filter,
    names::escape_path,
    pipeline::Show,
    render::{
        Render,
        json::Json,
        text::{Style, Text},
    },
};

/// The filters of user space.
///
/// # Errors
/// If a glob is malformed.
pub fn filter(args: &FilterArgs) -> anyhow::Result<Filter> {
    let FilterArgs {
        path,
        comm,
        open_path,
    } = args;
    let filter = Filter::new(path, comm.clone(), open_path.clone());
    Ok(filter.map_err(|error| ExitError::usage(format!("--path: {error}")))?)
}

/// Which rows, and what of them. `mounts`: see [`Show::mounts`].
#[must_use]
pub fn show(args: &ShowArgs, filter: Filter, mounts: Vec<PathBuf>) -> Show {
    Show {
        filter,
        mounts,
        count: args.count,
        raw_pointers: args.raw_pointers,
    }
}

/// Where rows go, and in which format; with the steps of each path or without (text).
///
/// # Errors
/// If the output cannot be created.
pub fn renderer(args: &ShowArgs, steps: bool) -> anyhow::Result<Box<dyn Render>> {
    let out = output(args.output.as_deref())?;
    Ok(match args.format {
        Format::Json => Box::new(Json::new(out)),
        Format::Text => {
            let terminal = args.output.is_none() && io::stdout().is_terminal();
            let style = Style {
                width: width().filter(|_| terminal),
                colour: terminal && colour(),
                steps,
                zone: TimeZone::system(),
            };
            Box::new(Text::new(out, io::stderr(), style))
        }
    })
}

/// This file, or stdout.
///
/// # Errors
/// If it cannot be created.
pub fn output(path: Option<&Path>) -> anyhow::Result<BufWriter<Box<dyn Write>>> {
    let file: Box<dyn Write> = match path {
        Some(path) => {
            let what = || format!("failed to create the output `{}`", escape_path(path));
            Box::new(File::create(path).with_context(what)?)
        }
        None => Box::new(io::stdout()),
    };
    Ok(BufWriter::with_capacity(1 << 16, file))
}

/// Columns of the terminal, if stdout is one.
#[must_use]
pub fn width() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
    // A serial line may not know.
    Some(usize::from(size.ws_col)).filter(|columns| *columns > 0)
}

/// Whether a terminal may be coloured.
#[must_use]
pub fn colour() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|it| it.is_empty())
}
