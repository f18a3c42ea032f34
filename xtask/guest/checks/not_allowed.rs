//! An open that the client itself refuses: a delegation stands for the file, not for every user.

use std::{
    fs::{self, File, Permissions},
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use rustix::io::Errno;

use super::{
    Held,
    ground::{Ground, program, read},
    held,
    tool::Tool,
};
use crate::{client, server, workload::delegation};

const USER: u32 = 1000;
const TRIES: usize = 3;

pub(super) fn by_delegation(ground: &Ground) -> Result<Held> {
    ground.file("private")?;
    fs::set_permissions(ground.server.join("private"), Permissions::from_mode(0o600))
        .context("make the file private")?;
    delegate(ground, "private")?;
    let name = ground.name("private");

    let tool = Tool::armed(&["--format", "json", "--mount", "/mnt"])?;
    let sent = opens_sent()?;
    read("alpha", 1, &name)?;
    for _ in 0..TRIES {
        let output = Command::new(program("beta"))
            .args(["reader", "1", &name])
            .uid(USER)
            .gid(USER)
            .output()
            .context("run beta")?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(said.contains("Permission denied"), "beta said: {said}");
    }
    ensure!(opens_sent()? == sent, "an OPEN was sent");

    let report = tool.report()?;
    report.expect(1 + TRIES)?;
    for row in &report.rows {
        let (word, result) = match row["comm"].as_str() {
            Some("alpha") => ("delegated", 0),
            _ => ("failed", -Errno::ACCESS.raw_os_error()),
        };
        ensure!(row["open_path"] == word && row["result"] == result, "{row}");
    }
    held(format!(
        "root delegated, uid {USER} failed {TRIES} times, no OPEN sent"
    ))
}

/// Has an open of a file answered with a delegation, and none after it.
pub(super) fn delegate(ground: &Ground, name: &str) -> Result<()> {
    server::leases(true)?;
    delegation::warm_up(&ground.server, &ground.client)?;
    let before = delegation::delegations()?;
    drop(File::open(ground.client.join(name)).with_context(|| format!("open {name}"))?);
    server::leases(false)?;
    ensure!(
        delegation::delegations()? > before,
        "the open was not answered with a delegation"
    );
    Ok(())
}

/// OPENs that the kernel says it has sent for the mount.
pub(super) fn opens_sent() -> Result<u64> {
    let counters = client::counters()?;
    let names = ["OPEN", "OPEN_NOATTR"];
    Ok(names
        .iter()
        .filter_map(|name| counters.get(*name))
        .map(|count| count.ops)
        .sum())
}
