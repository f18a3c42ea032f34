//! The workloads: what each scenario does on the client, and behind its back on the server.
//!
//! No stat and no directory listing between the opens: both change what the client's caches hold,
//! and with it the path that the next open takes (which is what `workaround` measures).

pub(crate) mod delegation;
mod files;
mod git;
mod rename;
pub(crate) mod storm;
pub(crate) mod users;
mod workaround;

use std::{env, fs, io, path::Path};

use anyhow::{Context as _, Result, bail};

use files::Bench;
use lab_contract::scenario::{FIRST_OPENS, STORM_FILES};

/// What a scenario needs before nfs-trace starts: its files, written on the server, and whatever
/// the client must have done already.
pub(crate) fn prepare(name: &str, server: &Path, client: &Path) -> Result<()> {
    match name {
        "preflight" | "first-open" => files::many(server, "file", FIRST_OPENS),
        "reopen" | "truncate" | "other-mode" | "other-user" | "removed" | "unlinked" => {
            files::write(server, "test1.txt", "old")
        }
        "rename-over" => rename::prepare(server),
        "git-gc" => git::prepare(server),
        "delegation" => delegation::prepare(server, client),
        "create" => Ok(()),
        "storm" => files::many(server, "file", STORM_FILES),
        "workaround" => workaround::prepare(server),
        _ => bail!("no workload `{name}`"),
    }
}

/// Runs one workload and prints its report as JSON.
pub(crate) fn run(name: &str, client: &str, server: &str) -> Result<()> {
    // Inside the directory each open walks one name only: the one that is looked at.
    env::set_current_dir(client).with_context(|| format!("enter {client}"))?;
    let mut bench = Bench::new(server);
    match name {
        "preflight" => files::preflight(&mut bench)?,
        "reopen" => files::reopen(&mut bench)?,
        "rename-over" => rename::rename_over(&mut bench)?,
        "git-gc" => git::gc(&mut bench)?,
        "delegation" => delegation::run(&mut bench)?,
        "first-open" => files::first_open(&mut bench)?,
        "create" => files::create(&mut bench)?,
        "truncate" => files::truncate(&mut bench)?,
        "other-mode" => files::other_mode(&mut bench)?,
        "other-user" => users::other_user(&mut bench)?,
        "removed" => rename::removed(&mut bench)?,
        "unlinked" => rename::unlinked(&mut bench)?,
        "storm" => storm::run(&mut bench)?,
        "workaround" => workaround::run(&mut bench)?,
        _ => bail!("no workload `{name}`"),
    }
    serde_json::to_writer(io::stdout(), &bench.report()).context("print the report")
}

/// Renames on the server, behind the client's back.
fn rename_on_server(server: &Path, from: &str, to: &str) -> Result<()> {
    fs::rename(server.join(from), server.join(to))
        .with_context(|| format!("rename {from} over {to} on the server"))
}
