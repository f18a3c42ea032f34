//! What user space does with records, stage by stage, over records that are made from a seed.
//! `cargo xtask cost` counts its instructions, `cargo bench` takes its time.

#[path = "generate.rs"]
mod generate;

use std::{
    env,
    hint::black_box,
    io::{self, BufWriter, Write},
    mem::offset_of,
};

use nfs_trace::{
    decode::{decode, decode_whole},
    kernel::lookup_flags::LookupFlags,
    notice::Notice,
    pipeline::{Pipeline, Show},
    record::Recorder,
    recording::{Output, Parts},
    render::{Render, json::Json},
    row::Row,
    session::Session,
    sink::Sink,
    summary::{KernelCounts, Summary},
};
use nfs_trace_ebpf::abi::{self, RecordHeader, RecordKind};

use generate::Shape;

const SEED: u64 = 1;
/// Eight CPUs, and fewer files than a trace remembers.
const SHAPE: Shape = Shape {
    files: 100_000,
    threads: 1_000,
    cpus: 8,
};
/// Entries; about what a live trace takes at once under load.
const AT_ONCE: usize = 500;

/// Each does what the one before does, and one thing more; but for the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Looks at each entry.
    Look,
    /// Bytes to events.
    Decode,
    /// Events to open paths, judged and counted.
    Judge,
    /// Open paths to JSON.
    Json,
    /// Records into a recording.
    Record,
}

const STAGES: [(&str, Stage); 5] = [
    ("look", Stage::Look),
    ("decode", Stage::Decode),
    ("judge", Stage::Judge),
    ("json", Stage::Json),
    ("record", Stage::Record),
];

/// `stages STAGE EVENTS` prints how many records and opens it has worked on.
#[allow(dead_code, reason = "benches take the rest of this file")]
fn main() -> io::Result<()> {
    let wrong = || io::Error::other("usage: stages look|decode|judge|json|record EVENTS");
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [stage, events] = arguments.as_slice() else {
        return Err(wrong());
    };
    let named = STAGES.iter().find(|(name, _)| name == stage);
    let (_, stage) = named.ok_or_else(wrong)?;
    let records = Records::new(events.parse().map_err(|_| wrong())?)?;
    records.run(*stage)?;
    println!("{events} {}", records.opens);
    Ok(())
}

/// Records in memory.
pub(crate) struct Records {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    /// Opens that they are of.
    pub(crate) opens: u64,
}

impl Records {
    /// Makes so many.
    pub(crate) fn new(events: u64) -> io::Result<Self> {
        let mut records = Self {
            bytes: Vec::new(),
            ends: Vec::new(),
            opens: 0,
        };
        generate::entries_of(SHAPE, SEED, events, |entry| {
            records.bytes.extend_from_slice(entry);
            records.ends.push(records.bytes.len());
            for record in abi::records(entry) {
                let kind = record[offset_of!(RecordHeader, kind)];
                records.opens += u64::from(kind == RecordKind::FileOpen as u8);
            }
            Ok(())
        })?;
        Ok(records)
    }

    /// As they come, in entries.
    fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let mut at = 0;
        self.ends.iter().map(move |&end| {
            let entry = &self.bytes[at..end];
            at = end;
            entry
        })
    }

    /// Does with all of them what the stage does.
    pub(crate) fn run(&self, stage: Stage) -> io::Result<()> {
        match stage {
            Stage::Look => {
                for entry in self.iter() {
                    black_box(entry);
                }
                Ok(())
            }
            Stage::Decode => {
                for entry in self.iter() {
                    match decode_whole(entry, LookupFlags::BEFORE_6_15) {
                        Some(open) => drop(black_box(open)),
                        None => abi::records(entry).for_each(|record| {
                            let _ = black_box(decode(record, LookupFlags::BEFORE_6_15));
                        }),
                    }
                }
                Ok(())
            }
            Stage::Judge => self.pipe(Box::new(Nobody)),
            Stage::Json => self.pipe(Box::new(Json::new(out()))),
            Stage::Record => {
                let name = format!("nfs-trace-stages.{}", std::process::id());
                let file = env::temp_dir().join(name);
                let parts = Parts::create(Output::single(&file), generate::header(SEED));
                let recorder = Recorder::new(parts.map_err(io::Error::other)?, false);
                let outcome = self.drain(Box::new(recorder));
                std::fs::remove_file(&file).and(outcome)
            }
        }
    }

    fn pipe(&self, render: Box<dyn Render>) -> io::Result<()> {
        let session = generate::header(SEED).session;
        let pipeline = Pipeline::start(session, Show::default(), render)?;
        self.drain(Box::new(pipeline))
    }

    /// As a live trace does it.
    fn drain(&self, mut sink: Box<dyn Sink>) -> io::Result<()> {
        for (number, entry) in self.iter().enumerate() {
            sink.entry(entry, &mut ())?;
            if number % AT_ONCE == AT_ONCE - 1 {
                sink.flush()?;
            }
        }
        sink.finish(KernelCounts::default(), &mut ())
    }
}

/// As `-o FILE` has it, but that nothing is kept.
fn out() -> BufWriter<Box<dyn Write>> {
    BufWriter::with_capacity(1 << 16, Box::new(io::sink()))
}

/// Shows nothing.
struct Nobody;

impl Render for Nobody {
    fn start(&mut self, _session: &Session) -> io::Result<()> {
        Ok(())
    }

    fn row(&mut self, row: &Row) -> io::Result<()> {
        black_box(row);
        Ok(())
    }

    fn notice(&mut self, _notice: &Notice<'_>) -> io::Result<()> {
        Ok(())
    }

    fn end(&mut self, summary: &Summary) -> io::Result<()> {
        black_box(summary);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
