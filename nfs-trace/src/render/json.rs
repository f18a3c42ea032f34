//! JSON: one object a line, of type `start`, `open`, `module` or `end`.

mod digits;
mod open;
mod pieces;
mod text;

use std::{
    collections::BTreeMap,
    io::{self, Write},
};

use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};

use self::{open::Lines, text::Text};
use super::Render;
use crate::{
    mounts::Mount,
    names::is_obeyed,
    notice::Notice,
    row::Row,
    session::{Session, StartupMs, ToldBy},
    summary::{End, Summary},
};

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Line<'a> {
    Start(Start<'a>),
    Module(&'a Notice<'a>),
    End(End),
}

#[derive(Serialize)]
struct Start<'a> {
    version: &'a str,
    abi_version: u32,
    kernel: &'a str,
    transport: &'a str,
    layout: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    layout_why: &'a str,
    probes: &'a BTreeMap<String, String>,
    told_by: ToldBy,
    mounts: &'a [Mount],
    startup_ms: StartupMs,
}

/// As always, but with everything escaped that a terminal may obey.
pub(crate) struct Shown;

impl Formatter for Shown {
    fn write_string_fragment<W>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()>
    where
        W: ?Sized + Write,
    {
        if fragment.bytes().all(|byte| byte < 0x7f) {
            // The controls below come as escapes of their own.
            return writer.write_all(fragment.as_bytes());
        }
        for part in fragment.split_inclusive(is_obeyed) {
            match part.chars().next_back() {
                Some(last) if is_obeyed(last) => {
                    let before = &part[..part.len() - last.len_utf8()];
                    write!(writer, "{before}\\u{:04x}", u32::from(last))?;
                }
                _ => writer.write_all(part.as_bytes())?,
            }
        }
        Ok(())
    }
}

/// One line of JSON that is safe to show.
pub(crate) fn write_line(mut out: impl Write, value: &impl Serialize) -> io::Result<()> {
    value.serialize(&mut Serializer::with_formatter(&mut out, Shown))?;
    out.write_all(b"\n")
}

/// Writes to anything; buffering is the writer's.
pub struct Json<W> {
    out: W,
    lines: Lines,
    /// The line that is being put together.
    line: Text,
}

impl<W: Write> Json<W> {
    /// A renderer to this writer.
    pub fn new(out: W) -> Self {
        Self {
            out,
            lines: Lines::new(),
            line: Text::new(),
        }
    }

    fn line(&mut self, line: &Line<'_>) -> io::Result<()> {
        write_line(&mut self.out, line)
    }
}

impl<W: Write> Render for Json<W> {
    fn start(&mut self, session: &Session) -> io::Result<()> {
        let Session {
            version,
            abi_version,
            kernel,
            transport,
            layout,
            layout_why,
            probes,
            mounts,
            startup_ms,
            ..
        } = session;
        self.line(&Line::Start(Start {
            version,
            abi_version: *abi_version,
            kernel,
            transport,
            layout,
            layout_why,
            probes,
            told_by: session.signals().into(),
            mounts,
            startup_ms: *startup_ms,
        }))
    }

    fn row(&mut self, row: &Row<'_>) -> io::Result<()> {
        self.line.clear();
        self.lines.add(&mut self.line, row)?;
        self.out.write_all(self.line.bytes())
    }

    fn notice(&mut self, notice: &Notice<'_>) -> io::Result<()> {
        self.line(&Line::Module(notice))
    }

    fn end(&mut self, summary: &Summary) -> io::Result<()> {
        self.line(&Line::End(summary.end()))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
