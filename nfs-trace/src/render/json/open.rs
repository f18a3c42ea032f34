//! The line of type `open`. There may be a million of them a second, so it is put together by hand:
//! no tree of values, no memory of its own, and names of fields that are not looked through for
//! what has to be escaped.

use std::io;

use jiff::Timestamp;

use super::{digits, pieces::Pieces, text::Text};
use crate::{
    row::{Device, Looks, OpenFlags, Row, Rpcs, StepRow},
    trace::{NameCheck, PathWord, Step, StepKind},
};

/// Writes lines; remembers what the next one most likely has in common with this one.
pub(super) struct Lines {
    /// Of the last row: its second, and that as text, without what comes behind the second.
    second: u64,
    text: String,
    devices: Pieces<Option<Device>, 48>,
    verdicts: Pieces<Verdict, 192>,
    /// Of steps, what comes behind their times.
    steps: Pieces<Looks, 96>,
}

/// What is in the middle of a line, and much the same in most of them.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Verdict {
    flags: Option<OpenFlags>,
    name_check: NameCheck,
    open_path: PathWord,
    claim: Option<&'static str>,
    stale_retries: u32,
    rpcs: Rpcs,
    result: Option<i32>,
}

impl Lines {
    pub(super) fn new() -> Self {
        let mut lines = Self {
            second: 0,
            text: String::new(),
            devices: Pieces::new(),
            verdicts: Pieces::new(),
            steps: Pieces::new(),
        };
        lines.see(0);
        lines
    }

    /// Adds the line.
    pub(super) fn add(&mut self, out: &mut Text, row: &Row<'_>) -> io::Result<()> {
        let Row {
            ts_ns,
            clock_offset_ns: _,
            pid,
            tid,
            comm,
            mount,
            path,
            dev,
            fileid,
            dentry,
            dentry_pointer,
            nfs_version,
            flags,
            name_check,
            open_path,
            claim,
            stale_retries,
            rpcs,
            result,
            latency_ns,
            complete,
            gaps,
            calls,
            counts_opens,
            stack,
        } = row;
        out.put(br#"{"type":"open","ts_ns":"#);
        out.number(*ts_ns);
        out.put(br#","time":""#);
        self.time(out, row);
        out.put(br#"","pid":"#);
        out.number(*pid);
        out.put(br#","tid":"#);
        out.number(*tid);
        out.put(br#","comm":"#);
        out.string(comm)?;
        out.put(br#","mount":"#);
        out.optional_string(mount.as_deref())?;
        out.put(br#","path":"#);
        out.optional_string(path.as_deref())?;
        let number = dev.map_or(0, |dev| dev.0.into());
        self.devices.add(out, *dev, number, |out| device(out, *dev));
        out.optional_number(*fileid);
        out.put(br#","dentry":"#);
        out.optional_number(*dentry);
        if let Some(pointer) = dentry_pointer {
            out.put(br#","dentry_pointer":"#);
            out.string(&format!("{pointer:?}"))?;
        }
        out.put(br#","nfs_version":"#);
        out.optional_string(nfs_version.as_deref())?;
        let verdict = Verdict {
            flags: *flags,
            name_check: *name_check,
            open_path: *open_path,
            claim: *claim,
            stale_retries: *stale_retries,
            rpcs: *rpcs,
            result: *result,
        };
        let number = verdict.number();
        self.verdicts
            .add(out, verdict, number, |out| verdict.add(out));
        out.number(*latency_ns);
        if *complete {
            out.put(br#","complete":true"#);
        } else {
            out.put(br#","complete":false"#);
        }
        if !gaps.is_empty() {
            out.put(br#","gaps":"#);
            out.value(&**gaps)?;
        }
        out.put(br#","steps":["#);
        for (at, call) in calls.iter().enumerate() {
            if at > 0 {
                out.put(b",");
            }
            begin_step(out, call);
            out.number(StepRow::at_ns(call, *ts_ns));
            out.put(br#","took_ns":"#);
            out.number(StepRow::took_ns(call));
            let looks = Looks::of(call, *counts_opens);
            self.steps.add(out, looks, looks.number(), |out| {
                behind_times(out, &StepRow::new(call, *ts_ns, *counts_opens));
            });
        }
        out.put(b"]");
        if let Some(stack) = stack {
            out.put(br#","stack":"#);
            out.value(stack)?;
        }
        out.put(b"}\n");
        Ok(())
    }

    fn time(&mut self, out: &mut Text, row: &Row<'_>) {
        const SECOND: u64 = 1_000_000_000;
        let Some(wall) = row.wall_ns() else {
            return out.word(&row.time().to_string());
        };
        let (second, ns) = (wall / SECOND, wall % SECOND);
        if second != self.second {
            self.see(second);
        }
        out.word(&self.text);
        if ns > 0 {
            // As many digits as it takes.
            let eight = digits::split(ns / 10);
            let mut shown = *b".000000000";
            shown[1..9].copy_from_slice(&digits::text(eight));
            shown[9] += (ns % 10) as u8;
            let zeroes = match ns % 10 {
                0 => 1 + eight.leading_zeros() / u8::BITS,
                _ => 0,
            };
            out.begin_of(&shown, shown.len() - zeroes as usize);
        }
        out.put(b"Z");
    }

    /// Takes note of a second.
    fn see(&mut self, second: u64) {
        let since_1970 = i64::try_from(second).unwrap_or_default();
        let whole = Timestamp::from_second(since_1970).unwrap_or_default();
        self.second = second;
        self.text = whole.to_string();
        self.text.pop();
    }
}

impl Verdict {
    /// See [`Pieces::add`].
    fn number(&self) -> u64 {
        let flags = self.flags.map_or(u32::MAX, |flags| flags.0);
        let result = self.result.unwrap_or(1) as u32;
        let words = (self.open_path as u32) << 8 | self.name_check as u32;
        let sent = self.rpcs.open.unwrap_or(0) ^ self.rpcs.lookup.unwrap_or(0) << 16;
        u64::from(flags ^ words << 16) << 32 | u64::from(result ^ sent)
    }

    fn add(&self, out: &mut Text) {
        let Self {
            flags,
            name_check,
            open_path,
            claim,
            stale_retries,
            rpcs: Rpcs { open, lookup },
            result,
        } = *self;
        out.put(br#","flags":"#);
        match flags {
            Some(flags) => open_flags(out, flags),
            None => out.put(b"null"),
        }
        out.put(br#","name_check":""#);
        out.word(name_check.word());
        out.put(br#"","open_path":""#);
        out.word(open_path.word());
        out.put(br#"","claim":"#);
        match claim {
            Some(claim) => {
                out.put(b"\"");
                out.word(claim);
                out.put(b"\"");
            }
            None => out.put(b"null"),
        }
        out.put(br#","stale_retries":"#);
        out.number(stale_retries);
        out.put(br#","rpcs":{"open":"#);
        out.optional_number(open);
        out.put(br#","lookup":"#);
        out.optional_number(lookup);
        out.put(br#"},"result":"#);
        match result {
            Some(result) => out.signed(result),
            None => out.put(b"null"),
        }
        out.put(br#","latency_ns":"#);
    }
}

/// A step up to its times.
#[inline(always)]
fn begin_step(out: &mut Text, call: &Step) {
    match call.kind {
        StepKind::Revalidate(_) => out.put(br#"{"step":"revalidate","at_ns":"#),
        StepKind::Lookup(_) => out.put(br#"{"step":"LOOKUP","at_ns":"#),
        StepKind::OpenTask(_) => out.put(br#"{"step":"OPEN","at_ns":"#),
        StepKind::FileOpen(_) => out.put(br#"{"step":"nfs4_file_open","at_ns":"#),
        StepKind::AtomicOpen(_) => out.put(br#"{"step":"nfs_atomic_open","at_ns":"#),
    }
}

/// What a step says behind its times.
fn behind_times(out: &mut Text, step: &StepRow) {
    let StepRow {
        step: _,
        at_ns: _,
        took_ns: _,
        walk,
        claim,
        sent,
        ret,
        meaning,
    } = step;
    if let Some(walk) = walk {
        out.put(br#","walk":""#);
        out.word(walk);
        out.put(b"\"");
    }
    if let Some(claim) = claim {
        out.put(br#","claim":""#);
        out.word(claim);
        out.put(b"\"");
    }
    if let Some(sent) = sent {
        out.put(br#","sent":"#);
        out.number(*sent);
    }
    out.put(br#","ret":"#);
    out.signed(*ret);
    // Words of ours, with nothing to escape.
    out.put(br#","meaning":""#);
    out.word(meaning);
    out.put(b"\"}");
}

/// Up to what comes behind it.
fn device(out: &mut Text, device: Option<Device>) {
    out.put(br#","dev":"#);
    match device.map(Device::major_minor) {
        Some((major, minor)) => {
            out.put(b"\"");
            out.number(major);
            out.put(b":");
            out.number(minor);
            out.put(b"\"");
        }
        None => out.put(b"null"),
    }
    out.put(br#","fileid":"#);
}

fn open_flags(out: &mut Text, flags: OpenFlags) {
    let (mut names, rest) = flags.names();
    if rest != 0 {
        out.put(b"\"");
        out.word(&flags.to_string());
        out.put(b"\"");
        return;
    }
    out.put(b"\"");
    out.word(names.next().unwrap_or_default());
    for name in names {
        out.put(b"|");
        out.word(name);
    }
    out.put(b"\"");
}

#[cfg(test)]
mod tests;
