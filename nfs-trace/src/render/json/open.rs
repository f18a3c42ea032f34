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
    second: i64,
    text: String,
}

impl Lines {
    pub(super) fn new() -> Self {
        let mut lines = Self {
            second: 0,
            text: String::new(),
        };
        lines.see(Timestamp::UNIX_EPOCH);
        lines
    }

    /// Adds the line.
    pub(super) fn add(&mut self, out: &mut Text, row: &Row<'_>) -> io::Result<()> {
        let Row {
            ts_ns,
            time,
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
        self.time(out, *time);
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
        out.optional_string(*claim)?;
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

    fn time(&mut self, out: &mut Text, time: Timestamp) {
        if time < Timestamp::UNIX_EPOCH {
            // Only a recording can hold it; its parts are negative.
            return out.word(&time.to_string());
        }
        if time.as_second() != self.second {
            self.see(time);
        }
        out.word(&self.text);
        if let fraction @ 1.. = time.subsec_nanosecond() {
            // As many digits as it takes.
            let mut digits = *b".000000000";
            let mut rest = fraction.unsigned_abs();
            for digit in digits[1..].iter_mut().rev() {
                *digit += (rest % 10) as u8;
                rest /= 10;
            }
            let zeroes = digits.iter().rev().take_while(|it| **it == b'0').count();
            out.word(str::from_utf8(&digits[..digits.len() - zeroes]).unwrap_or_default());
        }
        out.put(b"Z");
    }

    /// Takes note of the second of a time.
    fn see(&mut self, time: Timestamp) {
        self.second = time.as_second();
        let whole = Timestamp::from_second(self.second).unwrap_or_default();
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
