//! The line of type `open`. There may be a million of them a second, so it is put together by hand:
//! no tree of values, no memory of its own, and names of fields that are not looked through for
//! what has to be escaped.

use std::io;

use jiff::Timestamp;

use super::text::Text;
use crate::row::{Device, OpenFlags, Row, Rpcs, StepRow};

/// Writes lines; remembers what the next one most likely has in common with this one.
pub(super) struct Lines {
    /// Of the last row: its second, and that as text, without what comes behind the second.
    second: u64,
    text: String,
}

impl Lines {
    pub(super) fn new() -> Self {
        let mut lines = Self {
            second: 0,
            text: String::new(),
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
            rpcs: Rpcs { open, lookup },
            result,
            latency_ns,
            complete,
            gaps,
            calls: _,
            counts_opens: _,
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
        out.put(br#","dev":"#);
        match dev {
            Some(dev) => device(out, *dev),
            None => out.put(b"null"),
        }
        out.put(br#","fileid":"#);
        out.optional_number(*fileid);
        out.put(br#","dentry":"#);
        out.optional_number(*dentry);
        if let Some(pointer) = dentry_pointer {
            out.put(br#","dentry_pointer":"#);
            out.string(&format!("{pointer:?}"))?;
        }
        out.put(br#","nfs_version":"#);
        out.optional_string(nfs_version.as_deref())?;
        out.put(br#","flags":"#);
        match flags {
            Some(flags) => open_flags(out, *flags),
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
        out.number(*stale_retries);
        out.put(br#","rpcs":{"open":"#);
        out.optional_number(*open);
        out.put(br#","lookup":"#);
        out.optional_number(*lookup);
        out.put(br#"},"result":"#);
        out.optional_number(*result);
        out.put(br#","latency_ns":"#);
        out.number(*latency_ns);
        out.put(br#","complete":"#);
        out.word(if *complete { "true" } else { "false" });
        if !gaps.is_empty() {
            out.put(br#","gaps":"#);
            out.value(&**gaps)?;
        }
        out.put(br#","steps":["#);
        for (at, shown) in row.steps().enumerate() {
            if at > 0 {
                out.put(b",");
            }
            out.put(br#"{"step":""#);
            step(out, &shown);
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
            let mut digits = *b".000000000";
            let mut rest = ns as u32;
            for digit in digits[1..].iter_mut().rev() {
                *digit += (rest % 10) as u8;
                rest /= 10;
            }
            let zeroes = digits.iter().rev().take_while(|it| **it == b'0').count();
            out.raw(&digits[..digits.len() - zeroes]);
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

/// What comes behind the name of its first field.
fn step(out: &mut Text, step: &StepRow) {
    let StepRow {
        step,
        at_ns,
        took_ns,
        walk,
        claim,
        sent,
        ret,
        meaning,
    } = step;
    out.word(step);
    out.put(br#"","at_ns":"#);
    out.number(*at_ns);
    out.put(br#","took_ns":"#);
    out.number(*took_ns);
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
    out.number(*ret);
    // Words of ours, with nothing to escape.
    out.put(br#","meaning":""#);
    out.word(meaning);
    out.put(b"\"}");
}

fn device(out: &mut Text, device: Device) {
    let (major, minor) = device.major_minor();
    out.put(b"\"");
    out.number(major);
    out.put(b":");
    out.number(minor);
    out.put(b"\"");
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
