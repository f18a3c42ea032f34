//! `nfs-trace diff`: two recordings of one scenario, compared open by open.
//!
//! ```text
//! replay -> Row -> side (answers of each name, in order) -> align -> compare -> text | JSON
//! ```

pub mod align;
pub mod answer;
pub mod compare;
mod conclude;
mod input;
mod json;
pub mod side;
mod text;

use std::{
    cell::RefCell,
    io::{self, IsTerminal as _, Write as _},
    process::ExitCode,
    rc::Rc,
};

use anyhow::Context as _;

use self::{
    compare::{Comparison, Verdict},
    side::{Answers, Collector, Side},
    text::Style,
};
use crate::{
    cli::{DiffArgs, FilterArgs, Format},
    exit::{Exit, ExitError},
    names::escape_path,
    replay::{self, Limits, Source},
    trace::PathWord,
};

/// Compares.
///
/// # Errors
/// With the exit status to use; see [`crate::exit`].
pub fn run(args: &DiffArgs) -> anyhow::Result<ExitCode> {
    let paths = [&args.before, &args.after];
    if paths.iter().all(|path| path.as_os_str() == "-") {
        return Err(ExitError::usage("only one of the two can be stdin (`-`)").into());
    }
    crate::show::filter(&args.filter)?;
    let answers = Rc::default();
    let before = read(args, 0, &answers).map_err(|error| failed(Exit::NoInput, &error))?;
    let after = read(args, 1, &answers).map_err(|error| failed(Exit::NoInput, &error))?;
    let sides = [before, after];
    let comparison = Comparison::new(&sides, &answers.borrow(), &args.filter.open_path);
    let names = paths.map(|path| escape_path(path));
    let names = [names[0].as_str(), names[1].as_str()];
    let document = match args.format {
        Format::Json => json::json(&comparison, &sides, names, args.all)?,
        Format::Text => {
            let terminal = io::stdout().is_terminal();
            let style = Style {
                width: crate::show::width().filter(|_| terminal),
                colour: terminal && crate::show::colour(),
                all: args.all,
            };
            text::text(&comparison, &sides, names, style).into_bytes()
        }
    };
    match io::stdout()
        .write_all(&document)
        .and_then(|()| io::stdout().flush())
    {
        // Whoever read it has seen enough; the status still tells.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            let error = anyhow::Error::from(error).context("failed to write to stdout");
            return Err(failed(Exit::Output, &error));
        }
        _ => {}
    }
    Ok(match comparison.verdict() {
        Verdict::Same => Exit::Ok,
        Verdict::Different => Exit::Failure,
        Verdict::Inconclusive => Exit::Inconclusive,
    }
    .into())
}

/// 1 is not a failure here, so that every failure has a status of its own.
fn failed(exit: Exit, error: &anyhow::Error) -> anyhow::Error {
    let message = format!("{error:#}");
    ExitError { exit, message }.into()
}

fn read(args: &DiffArgs, index: usize, answers: &Rc<RefCell<Answers>>) -> anyhow::Result<Side> {
    let path = [&args.before, &args.after][index];
    let files = input::files(path)?;
    let side: Rc<RefCell<Side>> = Rc::default();
    let collector = Collector::new(Rc::clone(&side), Rc::clone(answers));
    // Which opens took a path is for the comparison to look at: both sides of a pair belong to it.
    let filter = FilterArgs {
        open_path: PathWord::ALL.to_vec(),
        ..args.filter.clone()
    };
    let source = Source {
        files: &files,
        mount: &args.mount,
        pid: &[],
        filter: &filter,
        all: args.unfiltered,
    };
    let begin = Box::new(|_: &_| Ok(Box::new(collector) as Box<_>));
    replay::through(source, Limits::default(), begin)?;
    Rc::try_unwrap(side)
        .ok()
        .map(RefCell::into_inner)
        .context("the recording is still being read")
}

#[cfg(test)]
mod tests;
