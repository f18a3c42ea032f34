//! What keeps a check from finding out: no privilege, no answer, no mount, no module, lockdown.

use std::{fs, time::Duration};

use anyhow::{Context as _, Result, ensure};

use super::bench::{Bench, unmount_all};
use crate::{
    boot::command,
    checks::{
        modules::{is_module, load, unload},
        refusal::{LOCKDOWN, USER, lock_down},
    },
};

/// How long the check may wait for the server.
const TIMEOUT: &str = "5s";
/// What the tool had sent is carried out once the server is back.
const CARRIED_OUT_WITHIN: Duration = Duration::from_secs(3);

pub(super) fn non_root(bench: &mut Bench<'_>) -> Result<()> {
    bench.check_as(USER, "all", &[])?;
    bench.check_as(USER, "one", &["/mnt"])
}

pub(super) fn dead_server(bench: &mut Bench<'_>) -> Result<()> {
    bench.ground.file("a")?;
    let client = bench.ground.client.join("a");
    link("down")?;
    let one = bench.check("one", &["/mnt", "--timeout", TIMEOUT]);
    let all = one.and_then(|()| bench.check("all", &["--timeout", TIMEOUT]));
    link("up")?;
    // Waits until the client's TCP tries again, which it does after ever longer pauses.
    fs::metadata(&client).with_context(|| format!("look at {}", client.display()))?;
    all?;
    let left = bench.left(CARRIED_OUT_WITHIN)?;
    ensure!(left.is_empty(), "left once the server is back: {left:?}");
    Ok(())
}

fn link(state: &str) -> Result<()> {
    command("busybox", &["ip", "link", "set", "lo", state])
}

pub(super) fn no_mounts(bench: &mut Bench<'_>) -> Result<()> {
    unmount_all()?;
    bench.about.clear();
    bench.check("", &[])
}

pub(super) fn no_module(bench: &mut Bench<'_>) -> Result<()> {
    if !is_module("nfsv4")? {
        bench.skip("the client is built into this kernel".into());
        return Ok(());
    }
    unmount_all()?;
    bench.about.clear();
    for name in ["nfsv4", "nfs"] {
        unload(name)?;
    }
    let outcome = bench.check("", &[]);
    for name in ["nfs", "nfsv4"] {
        load(name)?;
    }
    outcome
}

pub(super) fn lockdown(bench: &mut Bench<'_>) -> Result<()> {
    if !lock_down()? {
        bench.skip(format!("this kernel has no {LOCKDOWN}"));
        return Ok(());
    }
    // The switch is in a file system of its own.
    bench.now_mounted()?;
    bench.check("", &[])
}
