//! The verdicts: `nfs-trace check` as an admin would run it, in each case of the table. What is
//! right is for the host to say; here fails what is wrong on every client.

mod bench;
mod ending;
mod kinds;
mod places;
mod trouble;

use std::{fs, time::Instant};

use anyhow::{Context as _, Result, bail};
use lab_contract::{
    protocol::{Job, Message, NfsVersion},
    verdicts::{CASES, Measured, Scope, cells},
};

use crate::{
    checks::{ground, kernel},
    client, serial,
    server::{self, EXPORT},
    workload::delegation,
};
use bench::Bench;

/// Version of the mount, and whether delegations are handed out.
type Ready = Option<(NfsVersion, bool)>;

/// Every cell of the job: exactly one outcome each, whatever happens.
pub(crate) fn all(job: &Job) -> Result<()> {
    ground::install()?;
    let file = format!("{EXPORT}/readable.txt");
    fs::write(&file, "old\n").with_context(|| format!("write {file}"))?;
    places::export_squashed()?;
    let mut ready = None;
    for cell in cells(&job.scenarios, &job.versions) {
        let started = Instant::now();
        let mut measured = Measured::new(cell);
        if let Some(why) = client::lacks(measured.cell.version)? {
            measured.skipped = Some(why);
        } else if let Err(error) = measure(&mut ready, &mut measured) {
            measured.error = Some(format!("{error:#}"));
            ready = None;
        }
        measured.took_ms = started.elapsed().as_millis() as u64;
        serial::send(&Message::Measured(Box::new(measured)));
    }
    serial::send(&Message::Done);
    Ok(())
}

fn measure(ready: &mut Ready, measured: &mut Measured) -> Result<()> {
    let cell = measured.cell.clone();
    let wanted = (cell.version, cell.delegations);
    let shares = CASES
        .iter()
        .any(|case| case.name == cell.case && case.scope == Scope::Every);
    if *ready != Some(wanted) || !shares {
        *ready = None;
        bench::unmount_all()?;
        client::mount(cell.version)?;
    }
    let mut bench = Bench::new(measured)?;
    if cell.delegations {
        server::leases(true)?;
        delegation::warm_up(&bench.ground.server, &bench.ground.client)?;
    }
    let outcome = one(&mut bench);
    server::leases(false)?;
    outcome?;
    kernel::nothing_left()?;
    *ready = shares.then_some(wanted);
    Ok(())
}

fn one(bench: &mut Bench<'_>) -> Result<()> {
    match bench.case() {
        "file" => kinds::file(bench),
        "mount" => kinds::with_delegation(bench, kinds::mount),
        "reproduce" => kinds::with_delegation(bench, kinds::reproduce),
        "rename-with" => kinds::with_delegation(bench, kinds::rename_with),
        "observe" => kinds::observe(bench),
        "observe-idle" => bench.check("", &["--observe", "1s"]),
        "read-only" => places::read_only(bench),
        "root-squash" => places::root_squash(bench, ""),
        "root-squash-root-dir" => places::root_squash(bench, places::ROOT_DIR),
        "non-root" => trouble::non_root(bench),
        "below" => places::below(bench),
        "several" => places::several(bench),
        "symlink-trap" => places::symlink_trap(bench),
        "nothing-left" => ending::nothing_left(bench),
        "dead-server" => trouble::dead_server(bench),
        "not-nfs" => bench.check("", &["/tmp"]),
        "no-mounts" => trouble::no_mounts(bench),
        "no-module" => trouble::no_module(bench),
        "lockdown" => trouble::lockdown(bench),
        name => bail!("no case `{name}`"),
    }
}
