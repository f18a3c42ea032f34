//! The end of a trace while files are being opened. A task at a map in bpf(2) keeps programs from
//! running on its CPU, also while it is preempted: see the module `skips` of nfs-trace.

use std::{
    process::{Child, Command},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};

use super::{
    Held,
    ground::{Ground, program},
    held,
    tool::{Report, Tool},
};

const ROUNDS: u64 = 2;
/// One for each CPU, which take them away from nfs-trace.
const OPENERS: usize = 2;
/// How long opens are recorded in each round.
const RECORDED: Duration = Duration::from_millis(300);

pub(super) fn ends(ground: &Ground) -> Result<Held> {
    ground.file("a")?;
    let (mut opens, mut skipped) = (0, 0);
    for round in 1..=ROUNDS {
        // Started without them: attaching takes ten times as long beside them.
        let tool = Tool::armed(&["--format", "json", "--mount", "/mnt"])?;
        let mut openers = (0..OPENERS)
            .map(|_| start_opener(ground))
            .collect::<Result<Vec<_>>>()?;
        thread::sleep(RECORDED);
        let report = tool.report();
        end(&mut openers)?;
        let report: Report = report?;
        ensure!(!report.rows.is_empty(), "round {round} saw no open");
        opens += report.rows.len() as u64;
        skipped += report.number("/lost/skipped")?;
    }
    ensure!(
        skipped == 0,
        "{skipped} program runs skipped in {ROUNDS} traces of {opens} opens"
    );
    held(format!("{opens} opens in {ROUNDS} traces, no run skipped"))
}

fn start_opener(ground: &Ground) -> Result<Child> {
    let mut command = Command::new(program("beta"));
    command.args(["reader", &u64::MAX.to_string(), &ground.name("a")]);
    command.spawn().context("start an opener")
}

fn end(openers: &mut [Child]) -> Result<()> {
    for opener in openers {
        opener.kill().context("end an opener")?;
        opener.wait().context("wait for an opener")?;
    }
    Ok(())
}
