//! The report for people: one line a mount first, evidence under it, then what to do.

use std::io::{self, Write};

use super::{
    evidence::{Evidence, FixLevel, Kind},
    options::LookupCache,
    report::{MountReport, Report},
    verdict::Verdict,
};

/// Where lines are wrapped if the terminal does not say.
const WIDTH: usize = 100;
/// Holders that are listed.
const HOLDERS: usize = 10;

/// Prints the report. `width` of the terminal, if it is one; `colour` it.
///
/// # Errors
/// If it cannot be written.
pub fn print(
    report: &Report,
    width: Option<usize>,
    colour: bool,
    out: &mut impl Write,
) -> io::Result<()> {
    let page = Page {
        width: width.unwrap_or(WIDTH).clamp(60, 120),
        colour,
    };
    let longest = |of: fn(&MountReport) -> usize| report.mounts.iter().map(of).max().unwrap_or(0);
    let [mount, server] = [
        longest(|mount| mount.mount.chars().count()),
        longest(|mount| mount.server.chars().count()),
    ];
    for one in &report.mounts {
        let version = one.nfs_version.as_deref().unwrap_or("4");
        writeln!(
            out,
            "{:mount$}  {:server$}  NFSv{version}  {}  {}",
            one.mount,
            one.server,
            page.verdict(one.verdict),
            level(one.fix_level),
        )?;
    }
    if report.mounts.is_empty() {
        writeln!(out, "{}", page.verdict(report.verdict))?;
        page.item(out, "", &report.why)?;
    }
    for one in &report.mounts {
        page.mount(one, out)?;
    }
    let kernel = match &report.distribution {
        Some(distribution) => format!("kernel {} ({distribution})", report.kernel),
        None => format!("kernel {}", report.kernel),
    };
    writeln!(out, "\n{kernel}")?;
    for evidence in &report.evidence {
        page.evidence(evidence, out)?;
    }
    page.advice(&report.advice, out)
}

/// Of the mount, those that matter to the answer.
fn options(mount: &MountReport) -> Option<String> {
    let mut words = vec![if mount.atomic_open_v1? {
        "OPEN by filehandle (ATOMIC_OPEN_V1)".to_string()
    } else {
        "OPEN by name (no ATOMIC_OPEN_V1)".to_string()
    }];
    if mount.nocto == Some(true) {
        words.push("nocto".into());
    }
    match mount.lookupcache {
        Some(LookupCache::None) => words.push("lookupcache=none".into()),
        Some(LookupCache::Positive) => words.push("lookupcache=positive".into()),
        Some(LookupCache::All) | None => {}
    }
    match (mount.ac, mount.acdirmin, mount.acdirmax) {
        (Some(false), ..) => words.push("noac".into()),
        (_, Some(min), Some(max)) => words.push(format!("acdirmin={min}, acdirmax={max}")),
        _ => {}
    }
    Some(words.join(", "))
}

fn level(level: Option<FixLevel>) -> String {
    level.map_or_else(
        || "fix level unknown".into(),
        |level| format!("fix level {}", level.word()),
    )
}

struct Page {
    width: usize,
    colour: bool,
}

impl Page {
    fn mount(&self, mount: &MountReport, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "\n{}", mount.mount)?;
        for also in &mount.also_mounted_at {
            self.item(out, "also mounted at", also)?;
        }
        self.item(out, "verdict", &mount.why)?;
        if let Some(options) = options(mount) {
            self.item(out, "options", &options)?;
        }
        for evidence in &mount.evidence {
            self.evidence(evidence, out)?;
        }
        for remark in &mount.remarks {
            self.item(out, "note", remark)?;
        }
        for holder in mount.holders.iter().take(HOLDERS) {
            let text = format!(
                "{} (pid {}) has {} open",
                holder.command, holder.pid, holder.path
            );
            self.item(out, "holder", &text)?;
        }
        if let more @ 1.. = mount.holders.len().saturating_sub(HOLDERS) {
            self.item(out, "holder", &format!("and {more} more"))?;
        }
        self.advice(&mount.advice, out)
    }

    fn evidence(&self, evidence: &Evidence, out: &mut impl Write) -> io::Result<()> {
        let kind = match evidence.kind {
            Kind::Observed => "observed",
            Kind::SelfTest => "self-test",
            Kind::Image => "image",
            Kind::Release => "release",
        };
        self.item(out, kind, &evidence.looked_at)?;
        self.item(out, "", &format!("saw: {}", evidence.seen))?;
        self.item(out, "", &format!("so: {}", evidence.means))
    }

    fn advice(&self, advice: &[String], out: &mut impl Write) -> io::Result<()> {
        for (index, line) in advice.iter().enumerate() {
            self.item(
                out,
                if index == 0 { "what to do" } else { "" },
                &format!("- {line}"),
            )?;
        }
        Ok(())
    }

    /// A word on the left, wrapped text on the right.
    fn item(&self, out: &mut impl Write, word: &str, text: &str) -> io::Result<()> {
        const LEFT: usize = 18;
        let mut word = word;
        let mut line = String::new();
        let hang = if text.starts_with("- ") { "  " } else { "" };
        let room = self.width - LEFT;
        for part in text.split(' ') {
            if !line.is_empty() && line.chars().count() + 1 + part.chars().count() > room {
                writeln!(out, "  {word:16}{line}")?;
                word = "";
                line = format!("{hang}{part}");
            } else {
                if !line.is_empty() {
                    line.push(' ');
                }
                line.push_str(part);
            }
        }
        writeln!(out, "  {word:16}{line}")
    }

    fn verdict(&self, verdict: Verdict) -> String {
        let (word, colour) = match verdict {
            Verdict::NotAffected => ("not affected", "32"),
            Verdict::Affected => ("AFFECTED", "1;31"),
            Verdict::Inconclusive => ("inconclusive", "33"),
        };
        if self.colour {
            format!("\x1b[{colour}m{word:12}\x1b[0m")
        } else {
            format!("{word:12}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{conclude::Mishaps, evidence::Finding, samples::concluded};

    fn printed(width: usize, colour: bool) -> String {
        let none = Mishaps::default();
        let mut affected = concluded(Finding::Affected, &none, true);
        affected.advice =
            vec!["close the holder, which is a sentence that has to be wrapped".into()];
        let mut other = concluded(Finding::NotAffected, &none, false);
        other.mount = "/mnt".into();
        let report = Report {
            version: "0",
            kernel: "6.1.0".into(),
            distribution: Some("Debian".into()),
            verdict: Verdict::Affected,
            why: "why".into(),
            evidence: Vec::new(),
            mounts: vec![affected, other],
            advice: Vec::new(),
        };
        let mut out = Vec::new();
        print(&report, Some(width), colour, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn one_line_a_mount_comes_first() {
        let text = printed(100, false);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(
            lines[..4],
            [
                "/mnt/data  srv:/export  NFSv4.1  AFFECTED      fix level none",
                "/mnt       srv:/export  NFSv4.1  not affected  fix level full",
                "",
                "/mnt/data",
            ]
        );
        let options =
            "\n  options         OPEN by name (no ATOMIC_OPEN_V1), acdirmin=30, acdirmax=60\n";
        assert!(text.contains(options), "{text}");
        assert!(text.contains("\n  self-test       what was looked at\n"));
        assert!(text.contains("\n                  saw: what was seen\n"));
        assert!(text.contains("\nkernel 6.1.0 (Debian)\n"));
    }

    #[test]
    fn lines_fit_the_terminal_and_go_on_below_their_text() {
        let text = printed(60, false);
        assert!(
            text.lines().skip(2).all(|line| line.chars().count() <= 60),
            "{text}"
        );
        let wrapped = "  what to do      - close the holder, which is a sentence\n\
                       \x20                   that has to be wrapped\n";
        assert!(text.contains(wrapped), "{text}");
    }

    #[test]
    fn colour_is_for_terminals() {
        assert!(!printed(80, false).contains('\x1b'));
        assert!(printed(80, true).contains("\x1b[1;31mAFFECTED"));
    }
}
