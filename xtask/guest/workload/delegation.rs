//! A delegation is granted, used, and recalled by a rename on the server.

use std::{
    fs::{self, File},
    path::Path,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use lab_contract::scenario::{DELEGATED_OPENS, RECALLED_OPENS};

use super::{
    files::{self, Bench},
    rename_on_server,
};
use crate::server;

/// How long nfsd may take to find out that it can call the client back.
const GRANTED_WITHIN: Duration = Duration::from_secs(20);

pub(super) fn prepare(server: &Path, client: &Path) -> Result<()> {
    files::write(server, "test1.txt", "old")?;
    files::write(server, "test2.txt", "new")?;
    warm_up(server, client)
}

/// nfsd grants nothing before it has reached the client's callback service, and over v4.0 nothing
/// to an open owner that it has not seen before: so other files are opened, by the same user and
/// before anything is counted, until one of these opens was answered with a delegation.
pub(crate) fn warm_up(server: &Path, client: &Path) -> Result<()> {
    let before = delegations()?;
    let deadline = Instant::now() + GRANTED_WITHIN;
    for number in 0.. {
        let name = format!("warm{number}");
        files::write(server, &name, "old")?;
        let _held = File::open(client.join(&name)).with_context(|| format!("open {name}"))?;
        if delegations()? > before {
            return Ok(());
        }
        if Instant::now() > deadline {
            bail!("nfsd granted no delegation within {GRANTED_WITHIN:?}");
        }
        thread::sleep(Duration::from_millis(200));
    }
    Ok(())
}

pub(super) fn run(bench: &mut Bench) -> Result<()> {
    let before = delegations()?;
    drop(bench.open_read("test1.txt")?);
    ensure!(
        delegations()? > before,
        "the open of test1.txt was not answered with a delegation"
    );
    // Held by the delegation alone: the server knows of no open. Giving the delegation back, the
    // client has to tell it, by an OPEN that belongs to no open(2).
    let _held = bench.open_read("test1.txt")?;
    (1..DELEGATED_OPENS).for_each(|_| bench.cat("test1.txt"));
    // Without it, the first open of the new file would be answered with another delegation.
    server::leases(false)?;
    // Returns when the client has given the delegation back.
    rename_on_server(&bench.server, "test2.txt", "test1.txt")?;
    (0..RECALLED_OPENS).for_each(|_| bench.cat("test1.txt"));
    Ok(())
}

/// Delegations that nfsd says are out (5.3 and later: /proc/fs/nfsd/clients).
pub(crate) fn delegations() -> Result<usize> {
    let path = "/proc/fs/nfsd/clients";
    let mut count = 0;
    for client in fs::read_dir(path).with_context(|| format!("read {path}"))? {
        let states = fs::read_to_string(client?.path().join("states")).unwrap_or_default();
        count += states.matches("type: deleg").count();
    }
    Ok(count)
}
