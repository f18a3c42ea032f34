//! The report for people, in the words and columns of a trace.

use std::{
    collections::BTreeMap,
    io::{self, Write},
};

use jiff::{Timestamp, tz::TimeZone};

use super::model::{Busiest, Command, Latency, Moment, Name, Opener, Openers, Report, Run};
use crate::{
    names::errno_name,
    render::{
        footer::count,
        text::{DIM, PLAIN, RED, duration, keep_end, keep_start, open_path},
    },
    trace::PathWord,
};

mod changes;
mod holds;

/// How the text is to look.
#[derive(Debug, Clone)]
pub struct Style {
    /// Columns of the terminal; nothing for a file or a pipe, where paths are never cut.
    pub width: Option<usize>,
    /// Use colour.
    pub colour: bool,
    /// For the clock times.
    pub zone: TimeZone,
}

/// Width without a terminal, and the least.
const WIDTH: usize = 100;
/// Columns for the counts of opens by open path.
const WORDS: [(PathWord, &str); 6] = [
    (PathWord::Cached, "CACHED"),
    (PathWord::Wire, "WIRE"),
    (PathWord::Atomic, "ATOMIC"),
    (PathWord::Delegated, "DELEG."),
    (PathWord::Failed, "FAILED"),
    (PathWord::Unknown, "?"),
];

/// Writes the report.
///
/// # Errors
/// If it cannot be written.
pub fn write(out: &mut dyn Write, report: &Report, style: &Style) -> io::Result<()> {
    Text { out, style }.report(report)
}

struct Text<'a> {
    out: &'a mut dyn Write,
    style: &'a Style,
}

impl Text<'_> {
    fn report(&mut self, report: &Report) -> io::Result<()> {
        let Report {
            latency,
            names,
            commands,
            holds,
            delegations,
            left_out,
            ..
        } = report;
        self.summary(report)?;
        if report.end.opens == 0 {
            return Ok(());
        }
        self.latency(latency)?;
        self.names(names, report)?;
        self.more(left_out.names, "name", "names")?;
        let forgotten = left_out.names_forgotten;
        self.forgotten(forgotten, "name was forgotten", "names were forgotten")?;
        self.commands(commands)?;
        self.more(left_out.commands, "command", "commands")?;
        let forgotten = left_out.processes_forgotten;
        self.forgotten(
            forgotten,
            "process was forgotten",
            "processes were forgotten",
        )?;
        changes::write(self, names)?;
        holds::holds(self, holds)?;
        self.more(left_out.holds, "hold", "holds")?;
        holds::delegations(self, delegations)?;
        self.more(left_out.delegations, "delegation", "delegations")?;
        let forgotten = left_out.files_forgotten;
        self.forgotten(forgotten, "file was forgotten", "files were forgotten")?;
        self.history(names)
    }

    fn summary(&mut self, report: &Report) -> io::Result<()> {
        let Report {
            first,
            last,
            names,
            left_out,
            end,
            ..
        } = report;
        let names = names.len() as u64 + left_out.names + left_out.names_forgotten;
        let mut line = format!(
            "{} of {}",
            count(end.opens, "open", "opens"),
            count(names, "name", "names"),
        );
        if let (Some(first), Some(last)) = (first, last) {
            let date = first.time.to_zoned(self.style.zone.clone());
            let took = last.ts_ns.saturating_sub(first.ts_ns);
            line += &format!(
                ", {} from {} on",
                duration(took),
                date.strftime("%F %T%.3f")
            );
        }
        writeln!(self.out, "{line}")
    }

    fn latency(&mut self, latency: &BTreeMap<PathWord, Latency>) -> io::Result<()> {
        self.title(&format!(
            "{:<12} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9}",
            "OPEN PATH", "OPENS", "P50", "P90", "P99", "P99.9", "MAX"
        ))?;
        for (word, latency) in latency {
            let times = [
                latency.p50_ns,
                latency.p90_ns,
                latency.p99_ns,
                latency.p999_ns,
                latency.max_ns,
            ];
            let times = times.map(|ns| format!(" {:>9}", duration(ns))).concat();
            let word = open_path(*word, None);
            let (on, off) = self.red(word == "CACHED");
            let opens = latency.opens;
            writeln!(self.out, "{on}{word:<12}{off} {opens:>9}{times}")?;
        }
        Ok(())
    }

    fn names(&mut self, names: &[Name], report: &Report) -> io::Result<()> {
        let stale = (report.proved_stale > 0).then_some("STALE");
        let columns = self.columns(stale);
        let width = self.path_width(stale.is_some());
        self.title(&format!("{:width$} {columns}", "NAME"))?;
        for name in names {
            let counts = self.counts(name.opens, &name.by_open_path);
            let stale = match stale {
                Some(_) if name.proved_stale > 0 => {
                    let (on, off) = self.red(true);
                    format!(" {on}{:>7}{off}", name.proved_stale)
                }
                _ => String::new(),
            };
            let path = self.path(&name.path, width);
            writeln!(self.out, "{path:width$} {counts}{stale}")?;
        }
        Ok(())
    }

    fn commands(&mut self, commands: &[Command]) -> io::Result<()> {
        let columns = self.columns(None);
        let width = self.path_width(false);
        self.title(&format!("{:width$} {columns}", "COMMAND"))?;
        for command in commands {
            let counts = self.counts(command.opens, &command.by_open_path);
            let Busiest { pid, opens } = command.busiest;
            let comm = keep_start(&command.comm, 16);
            let of = match command.processes {
                1 => format!("{comm} ({pid})"),
                n if opens == 1 => format!("{comm} ({n} processes)"),
                n => format!("{comm} ({n} processes, most by {pid}: {opens})"),
            };
            writeln!(self.out, "{of:width$} {counts}")?;
        }
        Ok(())
    }

    fn history(&mut self, names: &[Name]) -> io::Result<()> {
        self.title("HISTORY")?;
        for name in names {
            writeln!(self.out, "{}", name.path)?;
            let mut changes = name.changes.iter().peekable();
            let gap = name.history.len().min(super::name::RUNS);
            for (number, run) in name.history.iter().enumerate() {
                if number == gap {
                    self.gap(name)?;
                }
                self.run(run)?;
                let until = name.history.get(number + 1).map(|next| next.first.ts_ns);
                while let Some(change) =
                    changes.next_if(|it| until.is_none_or(|until| it.before.replied.ts_ns <= until))
                {
                    let (on, off) = self.red(change.between.opens + change.afterwards.opens > 0);
                    let line = changes::headline(change, self);
                    writeln!(self.out, "  {on}^ {line}{off}")?;
                }
            }
            if name.history.len() == gap {
                self.gap(name)?;
            }
        }
        Ok(())
    }

    fn gap(&mut self, name: &Name) -> io::Result<()> {
        if name.history_left_out > 0 {
            let opens = count(name.history_left_out, "open is", "opens are");
            writeln!(self.out, "  ... {opens} left out here")?;
        }
        Ok(())
    }

    fn run(&mut self, run: &Run) -> io::Result<()> {
        let from = self.time(run.first);
        let to = match run.opens {
            1 => String::new(),
            _ => self.time(run.last),
        };
        let (on, off) = self.red(run.open_path == PathWord::Cached);
        let file = run.fileid.map_or("?".into(), |id| id.to_string());
        let mut line = format!(
            "  {from:12} {to:12} {:>6} x {on}{:11}{off} {:10} file {file:8} {}",
            run.opens,
            open_path(run.open_path, run.claim),
            run.name_check.word(),
            some(&run.openers),
        );
        match run.result {
            Some(0) => {}
            Some(ret) => line += &format!(": {}", errno_name(ret)),
            None => line += ": end not seen",
        }
        if run.stale_retries > 0 {
            line += ", ";
            line += &count(run.stale_retries, "stale retry", "stale retries");
        }
        writeln!(self.out, "{line}")
    }

    fn title(&mut self, title: &str) -> io::Result<()> {
        writeln!(self.out, "\n{}", title.trim_end())
    }

    fn more(&mut self, n: u64, one: &str, many: &str) -> io::Result<()> {
        if n > 0 {
            let (dim, plain) = self.dim();
            let what = count(n, one, many);
            writeln!(self.out, "{dim}... and {what} more (--top N){plain}")?;
        }
        Ok(())
    }

    fn forgotten(&mut self, n: u64, one: &str, many: &str) -> io::Result<()> {
        if n > 0 {
            let what = count(n, one, many);
            writeln!(
                self.out,
                "... and {what}, the least recently used, so that memory stays bounded"
            )?;
        }
        Ok(())
    }

    fn columns(&self, last: Option<&str>) -> String {
        let words = WORDS.map(|(_, title)| format!(" {title:>7}")).concat();
        let last = last.map(|it| format!(" {it:>7}")).unwrap_or_default();
        format!("{:>8}{words}{last}", "OPENS")
    }

    fn counts(&self, opens: u64, words: &BTreeMap<PathWord, u64>) -> String {
        let counts = WORDS.map(|(word, _)| match words.get(&word) {
            Some(n) => {
                let (on, off) = self.red(word == PathWord::Cached);
                format!(" {on}{n:>7}{off}")
            }
            None => format!(" {:>7}", "-"),
        });
        format!("{opens:>8}{}", counts.concat())
    }

    fn path_width(&self, stale: bool) -> usize {
        let width = self.style.width.unwrap_or(WIDTH).max(WIDTH);
        width - 9 - 8 * (WORDS.len() + usize::from(stale))
    }

    fn path(&self, path: &str, width: usize) -> String {
        match self.style.width {
            Some(_) => keep_end(path, width),
            None => path.to_owned(),
        }
    }

    fn time(&self, at: Moment) -> String {
        clock(at.time, &self.style.zone)
    }

    fn red(&self, on: bool) -> (&'static str, &'static str) {
        if on && self.style.colour {
            (RED, PLAIN)
        } else {
            ("", "")
        }
    }

    fn dim(&self) -> (&'static str, &'static str) {
        if self.style.colour {
            (DIM, PLAIN)
        } else {
            ("", "")
        }
    }
}

fn clock(time: Timestamp, zone: &TimeZone) -> String {
    let zoned = time.to_zoned(zone.clone());
    zoned.strftime("%H:%M:%S%.3f").to_string()
}

fn who(opener: &Opener) -> String {
    format!("{} ({})", keep_start(&opener.comm, 16), opener.pid)
}

/// `cat (12, 14), sh (3), ...`
fn some(openers: &Openers) -> String {
    let mut commands: Vec<(&str, Vec<String>)> = Vec::new();
    for Opener { pid, comm } in &openers.first {
        let pid = pid.to_string();
        match commands.iter_mut().find(|(it, _)| it == comm) {
            Some((_, pids)) => pids.push(pid),
            None => commands.push((comm, vec![pid])),
        }
    }
    let all = commands
        .iter()
        .map(|(comm, pids)| format!("{} ({})", keep_start(comm, 16), pids.join(", ")));
    let more = openers.more.then(|| "...".to_owned());
    all.chain(more).collect::<Vec<_>>().join(", ")
}
