//! Scenarios in which the server takes the name away from the file that the client holds.

use std::{fs, path::Path};

use anyhow::{Context as _, Result};
use lab_contract::scenario::{RENAME_OPENS, UNLINKED_OPENS};

use super::{
    files::{self, Bench},
    rename_on_server,
};

pub(super) fn prepare(server: &Path) -> Result<()> {
    files::write(server, "test1.txt", "old")?;
    files::write(server, "test2.txt", "new")
}

/// The experiment of the GitLab story.
pub(super) fn rename_over(bench: &mut Bench) -> Result<()> {
    let _held = bench.open_read("test1.txt")?;
    rename_on_server(&bench.server, "test2.txt", "test1.txt")?;
    (0..RENAME_OPENS).for_each(|_| bench.cat("test1.txt"));
    Ok(())
}

/// The name is gone; the file lives on because it is held.
pub(super) fn unlinked(bench: &mut Bench) -> Result<()> {
    let _held = bench.open_read("test1.txt")?;
    fs::remove_file(bench.server.join("test1.txt")).context("remove test1.txt on the server")?;
    (0..UNLINKED_OPENS).for_each(|_| bench.cat("test1.txt"));
    Ok(())
}
