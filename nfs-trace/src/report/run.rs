//! `nfs-trace report`: from the command line to the exit status.

use std::{
    cell::RefCell,
    fs,
    io::{self, IsTerminal as _, Write as _},
    path::Path,
    process::ExitCode,
    rc::Rc,
};

use anyhow::Context as _;
use jiff::tz::TimeZone;

use super::{
    analysis::Analysis,
    csv::Csv,
    html,
    kept::Kept,
    perfetto::Perfetto,
    text::{self, Style},
};
use crate::{
    cli::{Format, ReportArgs},
    exit::ExitError,
    mounts::Mount,
    names::escape_path,
    notice::{Notice, What},
    render::{Render, footer::footer, header::header, json::write_line},
    replay::{Begin, Limits, exit, not_over, say_origin, through},
    row::Row,
    session::Session,
    show,
    summary::{Summary, Unread},
    trace::OpenPath,
};

/// Names and processes in the text, and in what is not read from top to bottom.
const TOP: (usize, usize) = (10, 1_000);

/// Reports.
///
/// # Errors
/// With the exit status to use; see [`crate::exit`].
pub fn run(args: &ReportArgs) -> anyhow::Result<ExitCode> {
    exit(report(args))
}

type Output = io::BufWriter<Box<dyn io::Write>>;

/// Everything that one pass over the recording collects.
#[derive(Default)]
struct Collected {
    analysis: Rc<RefCell<Analysis>>,
    /// The opens of the page, if there is to be one.
    kept: Option<Kept>,
    /// The trace, if there is to be one.
    perfetto: Option<Perfetto<Output>>,
    /// Where it is to go, until it begins.
    trace: Option<Output>,
    header: String,
    summary: Option<Summary>,
}

/// The end of the pipeline.
struct Collector(Rc<RefCell<Collected>>);

fn report(args: &ReportArgs) -> anyhow::Result<Unread> {
    if args.csv {
        can_be_read_twice(args)?;
    }
    for output in [&args.output, &args.html, &args.perfetto]
        .into_iter()
        .flatten()
    {
        not_over(&args.recorded.files, output)?;
    }
    // Whether it can be written is known before a long recording is read.
    let out = show::output(args.output.as_deref())?;
    let page = create(args.html.as_deref())?;
    let collected = Rc::new(RefCell::new(Collected {
        kept: page.is_some().then(Kept::default),
        trace: create(args.perfetto.as_deref())?,
        ..Collected::default()
    }));
    let collector = Collector(Rc::clone(&collected));
    let begin: Begin<'_> = Box::new(|header| {
        say_origin(header);
        Ok(Box::new(collector))
    });
    let outcome = through((&args.recorded).into(), Limits::default(), begin);
    let mut collected = collected.borrow_mut();
    let Some(summary) = collected.summary.take() else {
        return outcome;
    };
    // As far as it could be read.
    let written = files(args, page, &mut collected, &summary)
        .and_then(|()| write(args, out, &collected, &summary));
    let outcome = outcome?;
    written.context("failed to write")?;
    Ok(outcome)
}

/// Writes what goes to files of its own.
fn files(
    args: &ReportArgs,
    page: Option<Output>,
    collected: &mut Collected,
    summary: &Summary,
) -> anyhow::Result<()> {
    let Collected { analysis, kept, .. } = collected;
    if let (Some(mut page), Some(kept)) = (page, kept) {
        let top = args.top.map_or(TOP.1, |top| top as usize);
        let report = analysis.borrow_mut().report(summary, top);
        html::write(&mut page, &report, kept)?;
        page.flush()?;
    }
    Ok(())
}

fn create(path: Option<&Path>) -> anyhow::Result<Option<Output>> {
    path.map(|path| show::output(Some(path))).transpose()
}

fn write(
    args: &ReportArgs,
    mut out: Output,
    collected: &Collected,
    summary: &Summary,
) -> anyhow::Result<()> {
    let analysis = &collected.analysis;
    let top = |default: usize| args.top.map_or(default, |top| top as usize);
    if args.csv {
        return csv(args, out, analysis);
    }
    if args.format.is_none() && (args.html.is_some() || args.perfetto.is_some()) {
        return Ok(());
    }
    match args.format {
        Some(Format::Json) => {
            let report = analysis.borrow_mut().report(summary, top(TOP.1));
            write_line(&mut out, &report)?;
        }
        Some(Format::Text) | None => {
            let report = analysis.borrow_mut().report(summary, top(TOP.0));
            let terminal = args.output.is_none() && io::stdout().is_terminal();
            let style = Style {
                width: show::width().filter(|_| terminal),
                colour: terminal && show::colour(),
                zone: TimeZone::system(),
            };
            writeln!(io::stderr(), "{}", collected.header)?;
            text::write(&mut out, &report, &style)?;
            out.flush()?;
            for line in footer(summary) {
                writeln!(io::stderr(), "{line}")?;
            }
        }
    }
    Ok(out.flush()?)
}

/// What proves an open stale comes after it: the second time it is known.
fn csv(args: &ReportArgs, out: Output, analysis: &Rc<RefCell<Analysis>>) -> anyhow::Result<()> {
    analysis.borrow_mut().first_epoch();
    let begin: Begin<'_> = Box::new(|_| Ok(Box::new(Csv::new(out, Rc::clone(analysis)))));
    let limits = Limits {
        quiet: true,
        ..Limits::default()
    };
    through((&args.recorded).into(), limits, begin)?;
    Ok(())
}

fn can_be_read_twice(args: &ReportArgs) -> anyhow::Result<()> {
    for path in &args.recorded.files {
        let is_pipe = path.as_os_str() == "-"
            || fs::metadata(path).is_ok_and(|file| !file.is_file() && !file.is_dir());
        if is_pipe {
            let name = escape_path(path);
            return Err(ExitError::usage(format!(
                "--csv reads the recording twice, and `{name}` is no file: write it to one first"
            ))
            .into());
        }
    }
    Ok(())
}

impl Render for Collector {
    fn start(&mut self, session: &Session) -> io::Result<()> {
        let mut collected = self.0.borrow_mut();
        collected.header = header(session);
        collected.analysis.borrow_mut().begin(session);
        if let Some(out) = collected.trace.take() {
            collected.perfetto = Some(Perfetto::start(out, session)?);
        }
        Ok(())
    }

    /// See [`Self::path`].
    fn row(&mut self, _row: &Row) -> io::Result<()> {
        Ok(())
    }

    fn path(&mut self, path: &OpenPath, row: &Row, mount: Option<&Mount>) -> io::Result<()> {
        let mut collected = self.0.borrow_mut();
        let is_new = collected.analysis.borrow_mut().take(path, row, mount, true);
        if let Some(kept) = &mut collected.kept {
            kept.take(row, is_new);
        }
        if let Some(perfetto) = &mut collected.perfetto {
            perfetto.take(path, row)?;
        }
        Ok(())
    }

    fn hidden(&mut self, path: &OpenPath, row: &Row, mount: Option<&Mount>) {
        let collected = self.0.borrow_mut();
        collected
            .analysis
            .borrow_mut()
            .take(path, row, mount, false);
    }

    fn notice(&mut self, notice: &Notice<'_>) -> io::Result<()> {
        if let What::Gone { .. } = notice.what {
            self.0.borrow_mut().analysis.borrow_mut().gone();
        }
        Ok(())
    }

    fn end(&mut self, summary: &Summary) -> io::Result<()> {
        let mut collected = self.0.borrow_mut();
        collected.summary = Some(summary.clone());
        match &mut collected.perfetto {
            Some(perfetto) => perfetto.flush(),
            None => Ok(()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
