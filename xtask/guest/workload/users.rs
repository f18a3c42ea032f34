//! Opens by another user: another open owner, so the open state of the first is not his.

use std::{os::unix::process::CommandExt as _, process::Command};

use anyhow::{Context as _, Result, ensure};
use lab_contract::scenario::OTHER_USER_OPENS;

use super::files::Bench;

const USER: u32 = 1000;

pub(super) fn other_user(bench: &mut Bench) -> Result<()> {
    let _held = bench.open_read("test1.txt")?;
    let output = Command::new("/init")
        .args(["opener", "test1.txt", &OTHER_USER_OPENS.to_string()])
        .uid(USER)
        .gid(USER)
        .output()
        .context("run the opener")?;
    ensure!(
        output.status.success(),
        "opener ended with {}",
        output.status
    );
    bench.add_opens(OTHER_USER_OPENS);
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .for_each(|line| bench.note(line));
    Ok(())
}

/// The child: opens the name again and again and prints what it read.
pub(crate) fn opener(name: &str, times: u64) -> Result<()> {
    let mut bench = Bench::new("");
    (0..times).for_each(|_| bench.cat(name));
    for run in bench.report().reads {
        (0..run.times).for_each(|_| println!("{}", run.what));
    }
    Ok(())
}
