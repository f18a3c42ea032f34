//! Text for people: one line an open in 100 columns, details on request, and a footer.

use std::io::{self, Write};

use jiff::tz::TimeZone;

use super::{
    Render,
    footer::{count, footer},
    header::header,
};
use crate::{
    names::errno_name,
    notice::Notice,
    row::{Row, StepRow},
    session::Session,
    summary::Summary,
    trace::{Gap, PathWord},
};

/// Columns of everything but the path, and the spaces between.
const FIXED: usize = 12 + 7 + 10 + 10 + 11 + 6 + 8 + 7;
/// Width without a terminal, and the least.
const WIDTH: usize = 100;

/// For what is the bug.
pub(crate) const RED: &str = "\x1b[1;31m";
/// For what stands out.
pub(crate) const BOLD: &str = "\x1b[1m";
/// For what matters less.
pub(crate) const DIM: &str = "\x1b[2m";
/// Ends the others.
pub(crate) const PLAIN: &str = "\x1b[0m";

/// How the text is to look.
#[derive(Debug, Clone)]
pub struct Style {
    /// Columns of the terminal; nothing for a file or a pipe, where paths are never cut.
    pub width: Option<usize>,
    /// Use colour on stdout.
    pub colour: bool,
    /// Show the steps of each path.
    pub steps: bool,
    /// For the clock times.
    pub zone: TimeZone,
}

/// Rows to `out`, header and footer to `notes`.
pub struct Text<W, N> {
    out: W,
    notes: N,
    style: Style,
    path_width: usize,
}

impl<W: Write, N: Write> Text<W, N> {
    /// A renderer to these writers.
    pub fn new(out: W, notes: N, style: Style) -> Self {
        let width = style.width.unwrap_or(WIDTH).max(WIDTH);
        Self {
            out,
            notes,
            path_width: width - FIXED,
            style,
        }
    }

    fn line(&self, row: &Row) -> String {
        let zoned = row.time().to_zoned(self.style.zone.clone());
        let path = match self.style.width {
            Some(_) => keep_end(&row.full_path(), self.path_width),
            None => row.full_path(),
        };
        let open_path = open_path(row.open_path, row.claim);
        let (on, off) = match row.open_path {
            PathWord::Cached if self.style.colour => (RED, PLAIN),
            _ => ("", ""),
        };
        let result = match row.result {
            Some(0) => "ok".to_string(),
            Some(ret) => errno_name(ret),
            None => "?".to_string(),
        };
        format!(
            "{:12} {:<7} {:10} {path:width$} {:10} {on}{open_path:11}{off} {result:6} {:>8}",
            zoned.strftime("%H:%M:%S%.3f"),
            row.pid,
            keep_start(&row.comm, 10),
            row.name_check.word(),
            duration(row.latency_ns),
            width = self.path_width,
        )
    }

    /// What is unusual about a row, one remark a line.
    fn remarks(row: &Row) -> Vec<String> {
        let mut remarks = Vec::new();
        if row.stale_retries > 0 {
            remarks.push(format!(
                "{} (EOPENSTALE): the server no longer had that file under that name",
                count(u64::from(row.stale_retries), "stale retry", "stale retries"),
            ));
        }
        for gap in row.gaps.iter() {
            remarks.push(format!("incomplete: {}", gap_text(*gap)));
        }
        remarks
    }
}

impl<W: Write, N: Write> Render for Text<W, N> {
    fn start(&mut self, session: &Session) -> io::Result<()> {
        writeln!(self.notes, "{}", header(session))?;
        writeln!(
            self.out,
            "{:12} {:7} {:10} {:width$} {:10} {:11} {:6} {:>8}",
            "TIME",
            "PID",
            "COMMAND",
            "PATH",
            "NAME CHECK",
            "OPEN PATH",
            "RESULT",
            "LATENCY",
            width = self.path_width,
        )
    }

    fn row(&mut self, row: &Row) -> io::Result<()> {
        let (dim, plain) = if self.style.colour {
            (DIM, PLAIN)
        } else {
            ("", "")
        };
        writeln!(self.out, "{}", self.line(row))?;
        for remark in Self::remarks(row) {
            writeln!(self.out, "{:13}{dim}^ {remark}{plain}", "")?;
        }
        if self.style.steps {
            for step in row.steps() {
                writeln!(self.out, "{dim}{}{plain}", step_line(&step))?;
            }
        }
        for frame in row.stack.iter().flatten() {
            writeln!(self.out, "{:13}{dim}at {frame}{plain}", "")?;
        }
        Ok(())
    }

    /// Said on stderr, whatever the format.
    fn notice(&mut self, _notice: &Notice<'_>) -> io::Result<()> {
        Ok(())
    }

    fn end(&mut self, summary: &Summary) -> io::Result<()> {
        self.out.flush()?;
        for line in footer(summary) {
            writeln!(self.notes, "{line}")?;
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()?;
        self.notes.flush()
    }
}

fn step_line(step: &StepRow) -> String {
    let name = match (step.walk, step.claim) {
        (Some("rcu"), _) => format!("{} (RCU walk)", step.step),
        (Some("ref"), _) => format!("{} (ref-walk)", step.step),
        (Some(_), _) => format!("{} (LOOKUP_REVAL)", step.step),
        (None, Some(claim)) => format!("{} CLAIM_{claim}", step.step),
        (None, None) => step.step.to_string(),
    };
    format!(
        "{:13}+{:>8} {name:26} {} ({})",
        "",
        duration(step.at_ns),
        step.meaning,
        duration(step.took_ns),
    )
}

fn gap_text(gap: Gap) -> &'static str {
    match gap {
        Gap::RecordLost => "a record of this thread was lost",
        Gap::ReturnMissed => "a return was missed, the kernel had no free kretprobe instance",
        Gap::Unjoined => "too many OPENs in flight to tell whether it was sent",
        Gap::BeganBefore => "it may have begun before tracing did",
        Gap::EndNotSeen => "its end was not seen, the VFS ended it (permission, O_EXCL, ...)",
    }
}

/// The word for an open path, with the claim of its OPEN.
pub(crate) fn open_path(word: PathWord, claim: Option<&str>) -> String {
    match (word, claim) {
        // Capitals, so that it stands out without colour too.
        (PathWord::Cached, _) => "CACHED".to_string(),
        (word, Some(claim)) => format!("{} {claim}", word.word()),
        (word, None) => word.word().to_string(),
    }
}

/// Three digits and a unit: `850 ns`, `12.3 us`, `1.20 ms`.
pub(crate) fn duration(ns: u64) -> String {
    let (value, unit) = match ns {
        0..1_000 => return format!("{ns} ns"),
        1_000..1_000_000 => (ns as f64 / 1e3, "us"),
        1_000_000..1_000_000_000 => (ns as f64 / 1e6, "ms"),
        _ => (ns as f64 / 1e9, "s"),
    };
    match value {
        ..10.0 => format!("{value:.2} {unit}"),
        10.0..100.0 => format!("{value:.1} {unit}"),
        _ => format!("{value:.0} {unit}"),
    }
}

/// The last `width` characters, marked if some were cut: the end of a path tells most.
pub(crate) fn keep_end(text: &str, width: usize) -> String {
    let length = text.chars().count();
    if length <= width {
        return text.to_string();
    }
    let kept: String = text.chars().skip(length - width + 1).collect();
    format!("\u{2026}{kept}")
}

pub(crate) fn keep_start(text: &str, width: usize) -> String {
    text.chars().take(width).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_keep_three_digits() {
        for (ns, text) in [
            (0, "0 ns"),
            (999, "999 ns"),
            (1_000, "1.00 us"),
            (12_345, "12.3 us"),
            (123_456, "123 us"),
            (1_200_000, "1.20 ms"),
            (61_000_000_000, "61.0 s"),
        ] {
            assert_eq!(duration(ns), text);
        }
    }

    #[test]
    fn a_long_path_keeps_its_end() {
        assert_eq!(keep_end("/mnt/short", 10), "/mnt/short");
        assert_eq!(keep_end("/mnt/longer", 10), "\u{2026}nt/longer");
    }
}
