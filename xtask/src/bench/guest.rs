//! One guest under instruction counting, from start to end.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Error, Result, bail, ensure};
use lab_contract::{
    benched::Benched,
    grown::Shape,
    protocol::{Job, Message, Mode, NfsVersion},
};

use crate::lab::{
    client::Client,
    guest::{self, Guest, Spec},
    qemu::{self, Accelerator, Serial},
    session::Session,
};

/// All of bpftrace's part at wire opens took 43 s beside two other guests.
const SILENT_AT_MOST: Duration = Duration::from_secs(300);

/// The kernel's release, and a row for each of `names`, or of each of `shapes` where what is opened
/// grows. A way that hangs takes its guest along: it is tried once more in another one (bpftrace
/// 0.17 hung now and then), and where it hangs again the others go on without it.
pub(super) fn run(
    kernel: &str,
    client: Client,
    tracer: Option<&Path>,
    names: &[String],
    shapes: &[Shape],
) -> Result<(String, Vec<Benched>)> {
    let mut rows = Vec::new();
    let mut hung_before = None;
    loop {
        let (release, more, hung) = one(kernel, client, tracer, &names[rows.len()..], shapes)?;
        rows.extend(more);
        let Some(error) = hung else {
            return Ok((release, rows));
        };
        if !shapes.is_empty() {
            return Err(error);
        }
        let said = format!("{error:#}");
        let said = said.lines().next().unwrap_or_default();
        let way = &names[rows.len()];
        if hung_before == Some(way) {
            rows.push(Benched {
                way: way.clone(),
                error: Some(said.to_owned()),
                ..Benched::default()
            });
            if rows.len() == names.len() {
                return Ok((release, rows));
            }
        } else {
            eprintln!("bench: {way} is tried again: {said}");
            hung_before = Some(way);
        }
    }
}

/// One guest: see [`run`]; and why it fell silent, if it did.
fn one(
    kernel: &str,
    client: Client,
    tracer: Option<&Path>,
    names: &[String],
    shapes: &[Shape],
) -> Result<(String, Vec<Benched>, Option<Error>)> {
    let job = Job {
        mode: if shapes.is_empty() {
            Mode::Bench
        } else {
            Mode::Growth
        },
        versions: vec![NfsVersion::V40],
        scenarios: names
            .iter()
            .cloned()
            .chain(shapes.iter().map(Shape::name))
            .collect(),
        tracer: true,
        capture: false,
        transport: None,
        layout: None,
    };
    let growing: Vec<String> = shapes.iter().map(Shape::name).collect();
    // Without growth there is one shape, which has no name.
    let each = if growing.is_empty() {
        vec![""]
    } else {
        growing.iter().map(String::as_str).collect()
    };
    let owed: Vec<(&str, &str)> = names
        .iter()
        .flat_map(|name| each.iter().map(|shape| (&**name, *shape)))
        .collect();
    let spec = Spec {
        tracer: tracer.map(Path::to_path_buf),
        ..Spec::new(kernel, client)
    };
    let Guest {
        kernel,
        initrd,
        console,
        ..
    } = guest::prepare(&spec, &job)?;
    let started = Instant::now();
    let serial = Serial::Protocol(&console);
    let qemu = qemu::start(Accelerator::Counting, &kernel.vmlinuz, &initrd, &serial)?;
    let mut session = Session::new(qemu, &console)?;
    let mut rows: Vec<Benched> = Vec::new();
    let mut next = "to boot".to_owned();
    loop {
        let message = match session.next(SILENT_AT_MOST) {
            Ok(Some(message)) => message,
            Ok(None) => bail!("guest ended before it was done"),
            Err(error) => {
                let error = error.context(format!("it was {next}"));
                return Ok((kernel.release, rows, Some(error)));
            }
        };
        match message {
            Message::Next { what } => next = what,
            Message::Benched(row) => {
                let seconds = started.elapsed().as_secs_f64();
                let what = match &row.error {
                    Some(error) => error.clone(),
                    None => format!("{} instructions an open", row.per_open()),
                };
                eprintln!("bench: {seconds:>4.0} s  {} {}: {what}", row.way, row.shape);
                rows.push(row);
            }
            Message::Log { text } => eprintln!("bench: {text}"),
            Message::Failed { error } => bail!("guest failed: {error}"),
            Message::Done => {
                let measured: Vec<(&str, &str)> =
                    rows.iter().map(|row| (&*row.way, &*row.shape)).collect();
                ensure!(measured == owed, "guest measured {measured:?} only");
                return Ok((kernel.release, rows, None));
            }
            _ => {}
        }
    }
}
