//! The ways to check: a file, the rename-over, and looking on.

use std::{
    fs::File,
    process::{Child, Command},
};

use anyhow::{Context as _, Result, ensure};
use lab_contract::verdicts::Held;

use super::bench::Bench;
use crate::{checks::ground, workload::delegation};

/// Long enough to see whether the old file stays, and not as long as it does.
const REPRODUCED_WITHIN: &str = "12s";
/// Of the half a minute that a check may take. By itself it gives up after 10 s, which an emulated
/// guest beside others may need.
const DONE_WITHIN: &str = "25s";
/// Runs in which the server may refuse a delegation.
const RUNS_AT_MOST: usize = 5;
/// Renames on the server's own file system.
const ON_SERVER: &str = "mv -f /export{from_below} /export{to_below}";
/// The program that reopens what another one holds.
const READER: &str = "alpha";

pub(super) fn file(bench: &mut Bench<'_>) -> Result<()> {
    bench.ground.file("a")?;
    let path = bench.ground.name("a");
    bench.check("", &[&path, "--timeout", DONE_WITHIN])
}

/// nfsd may refuse a delegation where it has recalled another one lately: it tells files apart
/// by a hash only (block_delegations(), fs/nfsd/nfs4state.c). Then the run shows nothing of how
/// delegations are worked round, and is made again.
pub(super) fn with_delegation(
    bench: &mut Bench<'_>,
    run: impl Fn(&mut Bench<'_>) -> Result<()>,
) -> Result<()> {
    run(bench)?;
    for _ in 1..RUNS_AT_MOST {
        let says = |word: &str| bench.last_answer().contains(word);
        if !bench.delegations() || says("delegat") || !says("\"not_affected\"") {
            break;
        }
        bench.forget_last();
        run(bench)?;
    }
    Ok(())
}

pub(super) fn mount(bench: &mut Bench<'_>) -> Result<()> {
    bench.check("", &["/mnt", "--timeout", DONE_WITHIN])
}

pub(super) fn reproduce(bench: &mut Bench<'_>) -> Result<()> {
    bench.check("", &["/mnt", "--reproduce", "--timeout", REPRODUCED_WITHIN])
}

pub(super) fn rename_with(bench: &mut Bench<'_>) -> Result<()> {
    bench.check(
        "",
        &[
            "/mnt",
            "--reproduce",
            "--timeout",
            REPRODUCED_WITHIN,
            "--rename-with",
            ON_SERVER,
        ],
    )
}

/// The holder opens the file before the look begins. With delegations its own open is answered
/// with one, so that every reopen on a fixed client is served by it, from the first to the last.
pub(super) fn observe(bench: &mut Bench<'_>) -> Result<()> {
    bench.ground.file("held")?;
    let path = bench.ground.name("held");
    let before = delegation::delegations()?;
    let holder = Holder::of(&path)?;
    let granted = delegation::delegations()? > before;
    ensure!(
        granted == bench.delegations(),
        "the holder's open was answered {} a delegation",
        if granted { "with" } else { "without" }
    );
    bench.held(Held {
        path: path.clone(),
        holder: holder.0.id(),
        reader: READER.to_owned(),
    });
    let mut running = bench.start("", &["--observe", "3s"])?;
    while running.tool.is_running()? {
        ground::read(READER, 1, &path)?;
    }
    bench.finish(running)
}

/// A process that holds a file open for reading.
struct Holder(Child);

impl Holder {
    fn of(path: &str) -> Result<Self> {
        let file = File::open(path).with_context(|| format!("open {path}"))?;
        let child = Command::new("sleep").arg("1000").stdin(file).spawn();
        Ok(Self(child.context("start the holder")?))
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
