//! Opens under instruction counting: one held file is opened again and again by this process, with
//! nothing and with each way of watching it. The host started the guest so that a nanosecond is an
//! instruction, and sleeping costs nothing.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use lab_contract::{
    benched::{Benched, WAYS, Way},
    protocol::{Job, Message},
    trace,
};
use rustix::process::{Pid, Signal, kill_process};

use crate::{client, serial, server::EXPORT, tracer};

const OPENS: u64 = 2000;
const ROUNDS: usize = 5;
/// Background work that follows attaching adds up to half an open's instructions at first.
const SETTLE: Duration = Duration::from_secs(10);
/// Between two rounds, for what is still on its way to the reader: not counted.
const DRAIN: Duration = Duration::from_secs(1);
const READY: &str = "/tmp/bench.ready";
const ROWS: &str = "/tmp/bench.json";
const STATS: &str = "/proc/sys/kernel/bpf_stats_enabled";

/// Every way of the job: exactly one result each.
pub(crate) fn all(job: &Job) -> Result<()> {
    let version = *job.versions.first().context("find an NFS version")?;
    client::mount(version)?;
    fs::write(Path::new(EXPORT).join("held"), "held").context("make the file")?;
    let path = Path::new(client::MOUNT).join("held");
    let _held = File::open(&path).context("hold the file open")?;
    let mut other = Command::new("busybox")
        .args(["sleep", "1000000"])
        .spawn()
        .context("start a process that opens nothing")?;
    for name in &job.scenarios {
        let way = WAYS.iter().find(|way| way.name == name);
        let way = way.with_context(|| format!("find the way `{name}`"))?;
        let benched = one(way, &path, other.id()).with_context(|| format!("measure {name}"))?;
        serial::send(&Message::Benched(benched));
    }
    other.kill()?;
    other.wait()?;
    serial::send(&Message::Done);
    Ok(())
}

fn one(way: &Way, path: &Path, other: u32) -> Result<Benched> {
    let mut tool = match way.arguments {
        Some(arguments) => Some(start(arguments, other)?),
        None => None,
    };
    thread::sleep(SETTLE);
    round(path)?;
    let rounds = (0..ROUNDS).map(|_| round(path)).collect::<Result<_>>()?;
    let mut benched = Benched {
        way: way.name.into(),
        opens: OPENS,
        rounds,
        hits: 0,
        hit_instructions: 0,
        events: 0,
        lost: 0,
    };
    if let Some(tool) = &mut tool {
        // A round of its own: counting costs as well.
        let before = program_stats(tool.id())?;
        fs::write(STATS, "1").with_context(|| format!("write {STATS}"))?;
        round(path)?;
        fs::write(STATS, "0").with_context(|| format!("write {STATS}"))?;
        let after = program_stats(tool.id())?;
        benched.hits = after.0 - before.0;
        benched.hit_instructions = after.1 - before.1;
        (benched.events, benched.lost) = stop(tool)?;
    }
    Ok(benched)
}

/// Instructions that pass while the file is opened and closed. Long enough that the reader, which
/// has the same processor, takes its share many times.
fn round(path: &Path) -> Result<u64> {
    let begun = Instant::now();
    for _ in 0..OPENS {
        File::open(path).with_context(|| format!("open {}", path.display()))?;
    }
    let took = begun.elapsed().as_nanos() as u64;
    thread::sleep(DRAIN);
    Ok(took)
}

fn start(arguments: &[&str], other: u32) -> Result<Child> {
    let _ = fs::remove_file(READY);
    let other = other.to_string();
    let arguments: Vec<&str> = arguments
        .iter()
        .map(|word| if *word == "PID" { &*other } else { word })
        .collect();
    let mut child = tracer::nfs_trace(&arguments)
        .args(["-o", ROWS, "--ready-file", READY])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .context("start nfs-trace")?;
    while !Path::new(READY).exists() {
        if let Some(status) = child.try_wait()? {
            bail!("nfs-trace ended with {status} before it was armed");
        }
        thread::sleep(Duration::from_millis(10));
    }
    Ok(child)
}

/// Ends it; opens that it reported, and what it lost.
fn stop(child: &mut Child) -> Result<(u64, u64)> {
    kill_process(Pid::from_child(child), Signal::INT).context("send SIGINT to nfs-trace")?;
    let status = child.wait()?;
    ensure!(status.success(), "nfs-trace ended with {status}");
    let rows = fs::read_to_string(ROWS).with_context(|| format!("read {ROWS}"))?;
    let trace = trace::summarise(&rows)?;
    Ok((trace.opens, trace.lost.values().sum()))
}

/// Runs of the programs that a process holds, and their nanoseconds.
fn program_stats(pid: u32) -> Result<(u64, u64)> {
    let mut programs = BTreeMap::new();
    let folder = format!("/proc/{pid}/fdinfo");
    for entry in fs::read_dir(&folder).with_context(|| format!("list {folder}"))? {
        // A descriptor may be closed meanwhile.
        let Ok(text) = fs::read_to_string(entry?.path()) else {
            continue;
        };
        let field = |name: &str| {
            let mut lines = text.lines().filter_map(|line| line.split_once(':'));
            let (_, value) = lines.find(|(key, _)| *key == name)?;
            value.trim().parse::<u64>().ok()
        };
        if let (Some(id), Some(runs), Some(time)) =
            (field("prog_id"), field("run_cnt"), field("run_time_ns"))
        {
            programs.insert(id, (runs, time));
        }
    }
    let sum = |of: fn(&(u64, u64)) -> u64| programs.values().map(of).sum();
    Ok((sum(|one| one.0), sum(|one| one.1)))
}
