//! What nfs-trace refuses, and what it needs no help for.

use std::{fs, os::unix::process::CommandExt as _, path::Path, process::Command};

use anyhow::{Context as _, Result, ensure};
use lab_contract::protocol::TRACER_PATH;

use super::{
    Held,
    ground::OTHER,
    held, kernel,
    tool::{Ended, Tool},
};
use crate::boot::{command, mount_at};

/// The kernel's own switch.
pub(crate) const LOCKDOWN: &str = "/sys/kernel/security/lockdown";
/// Nobody special.
pub(crate) const USER: u32 = 1000;

pub(super) fn wrong_usage() -> Result<Held> {
    Tool::run(&["trace", "--mount", "/"])?.refuses(64, &["`/`", "not NFSv4", "/mnt", OTHER])?;
    Tool::run(&["trace", "--mount", "/nonexistent"])?
        .refuses(64, &["/nonexistent", "No such file"])?;
    Tool::run(&["trace", "--pid", "4000000"])?.refuses(64, &["no process 4000000"])?;
    Tool::run(&["trace", "--path", "a["])?.refuses(64, &["--path", "a["])?;
    let wrong: [&[&str]; 5] = [
        &["trace", "--format", "xml"],
        &["trace", "--open-path", "cashed"],
        &["trace", "--count", "0"],
        &["trace", "--buffer", "5"],
        &["strace"],
    ];
    for arguments in wrong {
        let ended = Tool::run(arguments)?;
        ended.expect(64).with_context(|| format!("{arguments:?}"))?;
        ensure!(ended.out.is_empty(), "{arguments:?} prints {}", ended.out);
    }
    held("9 cases, status 64")
}

pub(super) fn no_privilege() -> Result<Held> {
    let run = |task| {
        Tool::spawn(&[task], |command, _| {
            command.uid(USER).gid(USER);
            Ok(())
        })?
        .end()
    };
    run("trace")?.refuses(69, &["no privilege", "run it as root"])?;
    says(
        &run("probes")?,
        &["cannot be traced", "no privilege", "run it as root"],
    )?;
    held("trace and probes: status 69 and why")
}

pub(super) fn lockdown() -> Result<Held> {
    if !lock_down()? {
        return Ok(Held::Skipped(format!("this kernel has no {LOCKDOWN}")));
    }
    Tool::run(&["trace"])?.refuses(69, &["lockdown", "confidentiality"])?;
    says(&Tool::run(&["probes"])?, &["cannot be traced", "lockdown"])?;
    // Where the file cannot be seen, the kernel's refusal must be enough.
    command("busybox", &["umount", "/sys/kernel/security"])?;
    Tool::run(&["trace"])?.refuses(69, &["lockdown"])?;
    held("trace and probes: status 69, with and without securityfs")
}

/// Locks the kernel down for good; false if it cannot be.
pub(crate) fn lock_down() -> Result<bool> {
    if !Path::new("/sys/kernel/security").exists() {
        return Ok(false);
    }
    mount_at("securityfs", "securityfs", "/sys/kernel/security")?;
    if !Path::new(LOCKDOWN).exists() {
        return Ok(false);
    }
    fs::write(LOCKDOWN, "confidentiality").with_context(|| format!("write {LOCKDOWN}"))?;
    Ok(true)
}

/// `probes` has the reason in its report.
pub(super) fn says(probes: &Ended, words: &[&str]) -> Result<()> {
    probes.expect(69)?;
    for word in words {
        ensure!(
            probes.out.contains(word),
            "probes does not say `{word}`: {}",
            probes.out
        );
    }
    Ok(())
}

pub(super) fn bare() -> Result<Held> {
    let root = Path::new("/tmp/bare");
    for folder in ["proc", "sys"] {
        let path = root.join(folder);
        fs::create_dir_all(&path).with_context(|| format!("create {}", path.display()))?;
    }
    fs::copy(TRACER_PATH, root.join("nfs-trace")).context("copy nfs-trace")?;
    let run = |arguments: &[&str]| -> Result<String> {
        let output = Command::new("chroot")
            .args(["/tmp/bare", "/nfs-trace"])
            .args(arguments)
            .output()
            .context("run chroot")?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        ensure!(
            output.status.success(),
            "{arguments:?} ended with {}: {text}{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(text)
    };
    // Nothing but the file.
    let version = run(&["--version"])?;
    mount_at("proc", "proc", "/tmp/bare/proc")?;
    mount_at("sysfs", "sysfs", "/tmp/bare/sys")?;
    if !kernel::uses_probe_pmu()? {
        mount_at("tracefs", "tracefs", "/tmp/bare/sys/kernel/tracing")?;
    }
    let probes = run(&["probes"])?;
    ensure!(probes.contains("can be traced"), "{probes}");
    run(&["trace", "--duration", "100ms"])?;
    for folder in ["/tmp/bare/sys", "/tmp/bare/proc"] {
        command("busybox", &["umount", "-l", folder])?;
    }
    held(format!("{}, probes, trace", version.trim()))
}
