//! What a replay of a hundred million records of a million files takes of memory at most.

use std::{
    fs,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};

use crate::{build, setup::Tools};

const EVENTS: u64 = 100_000_000;
const FILES: u64 = 1_000_000;
/// Most, in KiB.
const PEAK_KIB: u64 = 64 << 10;
/// A process's peak is its own until it ends: it is looked at this often.
const EVERY: Duration = Duration::from_millis(50);

/// Takes some minutes. Tests do it with fewer records (nfs-trace/tests/recording/memory.rs).
pub(super) fn check(tools: &Tools) -> Result<()> {
    let program = build::static_binary("nfs-trace", "nfs-trace")?;
    let generate = build::example(tools, "nfs-trace", "generate")?;
    let mut generator = Command::new(generate)
        .args(["1", &EVENTS.to_string(), "-", &FILES.to_string()])
        .stdout(Stdio::piped())
        .spawn()
        .context("run the generator")?;
    let recording = generator.stdout.take().context("take what it makes")?;
    let mut replay = Command::new(program)
        .args(["replay", "-", "--format", "json", "-o", "/dev/null"])
        .stdin(recording)
        .spawn()
        .context("run the replay")?;
    let mut peak = 0;
    let status = loop {
        if let Some(status) = replay.try_wait()? {
            break status;
        }
        peak = peak.max(peak_kib(&replay).unwrap_or(0));
        thread::sleep(EVERY);
    };
    ensure!(generator.wait()?.success(), "the generator failed");
    ensure!(status.success(), "the replay failed with {status}");
    println!("{EVENTS} records of {FILES} files: at most {peak} KiB");
    ensure!(peak < PEAK_KIB, "{peak} KiB are more than {PEAK_KIB}");
    Ok(())
}

fn peak_kib(process: &Child) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", process.id())).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse().ok()
}
