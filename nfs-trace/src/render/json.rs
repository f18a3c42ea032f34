//! JSON: one object a line, of type `start`, `open`, `module` or `end`.

use std::{
    collections::BTreeMap,
    io::{self, Write},
};

use serde::Serialize;

use super::Render;
use crate::{
    mounts::Mount,
    notice::Notice,
    row::Row,
    session::{Session, StartupMs, ToldBy},
    summary::{End, Summary},
};

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Line<'a> {
    Start(Start<'a>),
    Open(&'a Row),
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

/// Writes to anything; buffering is the writer's.
pub struct Json<W> {
    out: W,
}

impl<W: Write> Json<W> {
    /// A renderer to this writer.
    pub fn new(out: W) -> Self {
        Self { out }
    }

    fn line(&mut self, line: &Line<'_>) -> io::Result<()> {
        serde_json::to_writer(&mut self.out, line)?;
        self.out.write_all(b"\n")
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

    fn row(&mut self, row: &Row) -> io::Result<()> {
        self.line(&Line::Open(row))
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
