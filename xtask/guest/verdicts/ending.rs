//! A check that is told to end, or killed, in the middle of its experiment.

use std::{thread, time::Duration};

use anyhow::{Context as _, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};

use super::bench::{Bench, Running, own_files, tools};
use crate::checks::ground::wait_for;

/// From the start of the tool to its first file on the server.
const BEGUN_WITHIN: Duration = Duration::from_secs(30);
/// So that the signals do not all come right after the first step.
const LITTLE_LATER: Duration = Duration::from_millis(50);

pub(super) fn nothing_left(bench: &mut Bench<'_>) -> Result<()> {
    for (label, signal) in [
        ("SIGINT", Signal::INT),
        ("SIGTERM", Signal::TERM),
        ("SIGKILL", Signal::KILL),
    ] {
        let running = in_the_middle(bench, label)?;
        running.tool.signal(signal)?;
        bench.finish(running)?;
    }
    let running = in_the_middle(bench, "SIGKILL to all")?;
    // Stopped first: each would clean up after the other.
    for signal in [Signal::STOP, Signal::KILL] {
        for pid in tools()? {
            let pid = Pid::from_raw(pid).context("read the number of a process")?;
            kill_process(pid, signal).with_context(|| format!("send {signal:?} to {pid:?}"))?;
        }
    }
    bench.finish(running)?;
    bench.forgive();
    ensure!(
        !own_files()?.is_empty(),
        "nothing was left, so the next run has nothing to remove"
    );
    bench.check("next", &["/mnt"])
}

/// The tool once it has something on the server.
fn in_the_middle(bench: &mut Bench<'_>, label: &str) -> Result<Running> {
    let mut running = bench.start(label, &["/mnt", "--reproduce", "--timeout", "30s"])?;
    wait_for("the experiment begins", BEGUN_WITHIN, || {
        let begun = !own_files()?.is_empty();
        ensure!(
            begun || running.tool.is_running()?,
            "it ended before it had begun the experiment"
        );
        Ok(begun)
    })?;
    thread::sleep(LITTLE_LATER);
    ensure!(
        running.tool.is_running()?,
        "it was over before the signal came"
    );
    Ok(running)
}
