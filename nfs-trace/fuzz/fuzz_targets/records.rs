//! Any bytes as records, through all of the pipeline: decoding, reconstruction, both formats, reports.

#![no_main]

use std::io;

use jiff::tz::TimeZone;
use libfuzzer_sys::fuzz_target;
use nfs_trace::{
    kernel::lookup_flags::LookupFlags,
    mounts::Mount,
    notice::Notice,
    pipeline::{Pipeline, Show},
    render::{
        Render,
        json::Json,
        text::{Style, Text},
    },
    report::{analysis::Analysis, html, kept::Kept, perfetto::Perfetto, text},
    row::Row,
    session::{ATTACHED, Session, StartupMs},
    sink::{Sink as _, Surroundings},
    summary::{KernelCounts, Summary},
    trace::OpenPath,
};

/// Each record behind one byte with its length, so that little has to be right.
fn records(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut records = Vec::new();
    while let Some((len, rest)) = bytes.split_first() {
        let (record, rest) = rest.split_at(rest.len().min(usize::from(*len)));
        records.push(record);
        bytes = rest;
    }
    records
}

struct Machine;

impl Surroundings for Machine {
    fn stack(&mut self, id: u32) -> Option<Vec<String>> {
        (id < 10).then(|| vec![format!("f{id}")])
    }

    fn mounts(&mut self) -> Option<Vec<Mount>> {
        None
    }
}

/// All that `report` makes.
#[derive(Default)]
struct Reports {
    analysis: Analysis,
    kept: Kept,
    perfetto: Option<Perfetto<io::Sink>>,
}

impl Render for Reports {
    fn start(&mut self, session: &Session) -> io::Result<()> {
        self.analysis.begin(session);
        self.perfetto = Some(Perfetto::start(io::sink(), session)?);
        Ok(())
    }

    fn row(&mut self, _row: &Row) -> io::Result<()> {
        Ok(())
    }

    fn path(&mut self, path: &OpenPath, row: &Row, mount: Option<&Mount>) -> io::Result<()> {
        let is_new = self.analysis.take(path, row, mount, true);
        self.kept.take(row, is_new);
        // What is proved is proved of what was taken.
        let _ = self.analysis.proof(path, mount);
        match &mut self.perfetto {
            Some(perfetto) => perfetto.take(path, row),
            None => Ok(()),
        }
    }

    fn notice(&mut self, _notice: &Notice<'_>) -> io::Result<()> {
        Ok(())
    }

    fn end(&mut self, summary: &Summary) -> io::Result<()> {
        let report = self.analysis.report(summary, 10);
        let style = text::Style {
            width: Some(100),
            colour: true,
            zone: TimeZone::UTC,
        };
        text::write(&mut io::sink(), &report, &style)?;
        html::write(&mut io::sink(), &report, &self.kept)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn session() -> Session {
    let probes = [
        "nfs4_open_done",
        "update_open_stateid",
        "_nfs4_proc_lookup",
        "nfs_check_verifier",
        "nfs_set_verifier",
    ];
    let probes = probes.map(|symbol| (symbol.to_owned(), ATTACHED.to_owned()));
    Session {
        abi_version: 1,
        version: "0".into(),
        kernel: "6.1".into(),
        transport: "ring".into(),
        layout: "btf".into(),
        layout_why: String::new(),
        probes: probes.into(),
        lookup_flags: LookupFlags::BEFORE_6_15,
        mounts: Vec::new(),
        clock_offset_ns: 1,
        armed_ns: 5,
        startup_ms: StartupMs::default(),
    }
}

fuzz_target!(|bytes: &[u8]| {
    let style = Style {
        width: Some(100),
        colour: true,
        steps: true,
        zone: TimeZone::UTC,
    };
    let renders: [Box<dyn Render>; 3] = [
        Box::new(Reports::default()),
        Box::new(Json::new(io::sink())),
        Box::new(Text::new(io::sink(), io::sink(), style)),
    ];
    for render in renders {
        let pipeline = Pipeline::start(session(), Show::default(), render).expect("a sink");
        let mut pipeline = Box::new(pipeline);
        for record in records(bytes) {
            // As a damaged recording has it.
            if record.is_empty() {
                pipeline.tear();
            }
            pipeline.record(record, &mut Machine).expect("a sink");
        }
        pipeline
            .finish(KernelCounts::default(), &mut Machine)
            .expect("a sink");
    }
});
