//! `cargo xtask bench`: what watching opens costs, in instructions, which no load of the machine
//! changes. Guests are emulated with one processor whose clock counts instructions.

use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use clap::Args;
use lab_contract::{
    benched::{Benched, WAYS},
    protocol::{Job, Message, Mode, NfsVersion},
};
use serde_json::json;

use crate::{
    cache,
    lab::{
        client::Client,
        guest::{self, Guest, Spec},
        qemu::{self, Accelerator, Serial},
        session::Session,
    },
    workspace,
};

const SILENT_AT_MOST: Duration = Duration::from_secs(300);

/// The kinds of open, and the client that answers so: no lease is given, one file is held.
const KINDS: &[(&str, Client)] = &[("cached", Client::WithoutSeries), ("wire", Client::Stock)];

/// Count the instructions that each way of watching opens adds
#[derive(Args)]
pub(crate) struct Options {
    /// The kernel, as `lab run` takes it
    #[arg(long, default_value = "debian:6.1")]
    kernel: String,
    /// Kinds of open: cached, wire [default: both]
    #[arg(long, value_delimiter = ',', value_parser = ["cached", "wire"])]
    kind: Vec<String>,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let mut kinds = serde_json::Map::new();
    for (kind, client) in KINDS {
        if !options.kind.is_empty() && !options.kind.iter().any(|asked| asked == kind) {
            continue;
        }
        let rows = guest(&options.kernel, *client)?;
        table(kind, &rows);
        kinds.insert((*kind).into(), json!(rows));
    }
    let path = workspace::root().join("target/bench.json");
    let figures = json!({ "kernel": options.kernel, "kinds": kinds });
    cache::write(&path, serde_json::to_vec_pretty(&figures)?)?;
    println!("figures of every round: {}", path.display());
    Ok(())
}

/// Runs one guest to its end.
fn guest(kernel: &str, client: Client) -> Result<Vec<Benched>> {
    let job = Job {
        mode: Mode::Bench,
        versions: vec![NfsVersion::V40],
        scenarios: WAYS.iter().map(|way| way.name.to_owned()).collect(),
        tracer: true,
        capture: false,
        transport: None,
        layout: None,
    };
    let Guest {
        kernel,
        initrd,
        console,
        ..
    } = guest::prepare(&Spec::new(kernel, client), &job)?;
    let started = Instant::now();
    let serial = Serial::Protocol(&console);
    let qemu = qemu::start(Accelerator::Counting, &kernel.vmlinuz, &initrd, &serial)?;
    let mut session = Session::new(qemu, &console)?;
    let mut rows: Vec<Benched> = Vec::new();
    while let Some(message) = session.next(SILENT_AT_MOST)? {
        match message {
            Message::Benched(row) => rows.push(row),
            Message::Log { text } => eprintln!("bench: {text}"),
            Message::Failed { error } => bail!("guest failed: {error}"),
            Message::Done => {
                let names: Vec<&str> = rows.iter().map(|row| &*row.way).collect();
                ensure!(names == job.scenarios, "guest measured {names:?} only");
                let seconds = started.elapsed().as_secs_f64();
                eprintln!("bench: Linux {} took {seconds:.0} s", kernel.release);
                return Ok(rows);
            }
            _ => {}
        }
    }
    bail!("guest ended before it was done")
}

fn table(kind: &str, rows: &[Benched]) {
    println!("{kind} opens, instructions each");
    println!(
        "  {:<40} {:>9} {:>9} {:>7} {:>9} {:>8} {:>7} {:>5}",
        "", "an open", "added", "spread", "hits/open", "a hit", "events", "lost"
    );
    let base = rows.first().map_or(0, Benched::per_open);
    for (row, way) in rows.iter().zip(WAYS) {
        println!(
            "  {:<40} {:>9} {:>9} {:>6.1}% {:>9.1} {:>8} {:>7} {:>5}",
            way.what,
            row.per_open(),
            row.per_open() as i64 - base as i64,
            row.spread(),
            row.hits as f64 / row.opens.max(1) as f64,
            row.hit_instructions.checked_div(row.hits).unwrap_or(0),
            row.events,
            row.lost,
        );
    }
}
