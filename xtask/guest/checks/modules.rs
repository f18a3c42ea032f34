//! The client's modules unloaded while they are traced, and gone altogether.

use std::{fs, time::Duration};

use anyhow::{Context as _, Result, ensure};
use lab_contract::protocol::{MODULES_PATH, NfsVersion};
use rustix::{
    io::Errno,
    mount::{UnmountFlags, unmount},
    system::delete_module,
};

use super::{
    Held,
    ground::{Ground, OTHER, mount_both, wait_for},
    held, kernel,
    refusal::says,
    tool::Tool,
};
use crate::{boot, client};

/// The client's threads end some time after the last mount.
const UNLOADED_WITHIN: Duration = Duration::from_secs(30);

pub(super) fn gone(ground: &Ground) -> Result<Held> {
    ground.opens("alpha", 1, "a")?;
    let json = Tool::armed(&["--format", "json"])?;
    let text = Tool::armed(&[])?;
    client::umount()?;
    unmount(OTHER, UnmountFlags::empty()).with_context(|| format!("unmount {OTHER}"))?;
    unload("nfsv4").context("while tracing")?;
    for tool in [json, text] {
        tool.end()?
            .refuses(1, &["nfsv4 was unloaded", "start again"])?;
    }
    kernel::nothing_left()?;

    Tool::run(&["trace"])?.refuses(69, &["(module nfsv4)", "modprobe nfsv4"])?;
    unload("nfs")?;
    Tool::run(&["trace"])?.refuses(69, &["(module nfs, nfsv4)", "modprobe nfsv4"])?;
    says(
        &Tool::run(&["probes"])?,
        &["cannot be traced", "modprobe nfsv4"],
    )?;

    for name in ["nfs", "nfsv4"] {
        load(name)?;
    }
    mount_both(NfsVersion::V41)?;
    let tool = Tool::armed(&["--format", "json"])?;
    ground.opens("alpha", 3, "a")?;
    tool.report()?.expect(3)?;
    held("said in one sentence, module free to go, tracing works when it is back")
}

pub(crate) fn unload(name: &str) -> Result<()> {
    let c_name = std::ffi::CString::new(name)?;
    wait_for(&format!("{name} unloaded"), UNLOADED_WITHIN, || {
        // O_NONBLOCK: fail where it is in use.
        match delete_module(&c_name, 0o4000) {
            Ok(()) => Ok(true),
            Err(Errno::AGAIN | Errno::BUSY) => Ok(false),
            Err(error) => Err(error).with_context(|| format!("unload {name}")),
        }
    })
}

pub(crate) fn load(name: &str) -> Result<()> {
    let list = fs::read_to_string(MODULES_PATH).with_context(|| format!("read {MODULES_PATH}"))?;
    let file = format!("/lab/{name}.ko");
    let line = list
        .lines()
        .find(|line| line.split(' ').next() == Some(&file));
    let line = line.with_context(|| format!("find {file} in {MODULES_PATH}"))?;
    let loaded = boot::load_module(line)?;
    ensure!(loaded == name, "loaded {loaded} instead of {name}");
    Ok(())
}
