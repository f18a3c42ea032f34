//! From the kernel's hand-over to a guest with devices, modules and a network; and its end.

use std::{
    fs,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use lab_contract::protocol::{Job, MODULES_PATH, Mode, Ready};
use rustix::{
    mount::{MountFlags, mount},
    system::{RebootCommand, finit_module, reboot},
};

use crate::{client, serial};

/// File system, where to.
const MOUNTS: &[(&str, &str)] = &[
    ("proc", "/proc"),
    ("sysfs", "/sys"),
    ("devtmpfs", "/dev"),
    ("devpts", "/dev/pts"),
    ("tmpfs", "/run"),
    ("tmpfs", "/tmp"),
    ("tracefs", "/sys/kernel/tracing"),
    ("bpf", "/sys/fs/bpf"),
];

pub(crate) fn mount_table() -> Result<()> {
    for (kind, target) in MOUNTS {
        mount_at(kind, kind, target)?;
    }
    // rpcbind keeps its lock and its saved registrations here.
    fs::create_dir_all("/run/rpcbind").context("create /run/rpcbind")
}

/// Mounts debugfs, whose list of kprobes tells what is in place. A kernel may lack it, for a job
/// that does not look there.
pub(crate) fn mount_debugfs(mode: Mode) -> Result<()> {
    let known = fs::read_to_string("/proc/filesystems").context("read /proc/filesystems")?;
    let has = known.lines().any(|line| line.ends_with("\tdebugfs"));
    match mode {
        _ if has => mount_at("debugfs", "debugfs", "/sys/kernel/debug"),
        Mode::Run | Mode::Probe | Mode::Shell => Ok(()),
        Mode::Check | Mode::Verdicts | Mode::Bench | Mode::Growth => bail!(
            "this kernel has no debugfs (CONFIG_DEBUG_FS), where it is seen which probes are in \
             place: only `lab run`, `lab diff` and `lab shell` do without"
        ),
    }
}

/// Mounts one file system, creating the mount point if the parent allows it.
pub(crate) fn mount_at(source: &str, kind: &str, target: &str) -> Result<()> {
    // sysfs makes its own mount points; everywhere else the directory may be missing.
    let _ = fs::create_dir_all(target);
    mount(source, target, kind, MountFlags::empty(), None)
        .with_context(|| format!("mount {kind} at {target}"))
}

/// Loads the modules in the order the host wrote down and returns their names.
pub(crate) fn load_modules() -> Result<Vec<String>> {
    let list = fs::read_to_string(MODULES_PATH).with_context(|| format!("read {MODULES_PATH}"))?;
    list.lines().map(load_module).collect()
}

/// Loads one line of the list: path and parameters.
pub(crate) fn load_module(line: &str) -> Result<String> {
    let (path, parameters) = line.split_once(' ').unwrap_or((line, ""));
    let file = fs::File::open(path).with_context(|| format!("open {path}"))?;
    let parameters = std::ffi::CString::new(parameters)?;
    finit_module(&file, &parameters, 0).with_context(|| format!("load {path}"))?;
    let name = path.rsplit('/').next().unwrap_or(path);
    Ok(name.trim_end_matches(".ko").to_owned())
}

pub(crate) fn network() -> Result<()> {
    // SIOCSIFFLAGS would need unsafe code; busybox is there anyway.
    command("busybox", &["ip", "link", "set", "lo", "up"])
}

/// What the guest is, for the host.
pub(crate) fn ready(modules: Vec<String>) -> Result<Ready> {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").context("read the release")?;
    let uptime = fs::read_to_string("/proc/uptime").context("read /proc/uptime")?;
    let seconds: f64 = uptime.split(' ').next().unwrap_or_default().parse()?;
    let uptime_ms = Duration::from_secs_f64(seconds).as_millis() as u64;
    Ok(Ready {
        release: release.trim().to_owned(),
        modules,
        uptime_ms,
    })
}

/// Runs one program to its end; what it printed is part of the error.
pub(crate) fn command(program: &str, arguments: &[&str]) -> Result<()> {
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("run {program}"))?;
    if !output.status.success() {
        let (out, err) = (
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
        bail!(
            "`{program} {}` ended with {}: {out}{err}",
            arguments.join(" "),
            output.status
        );
    }
    Ok(())
}

/// Mounts the first version asked for and gives a prompt on the kernel's console.
pub(crate) fn shell(job: &Job) -> Result<()> {
    command("busybox", &["--install", "-s", "/usr/bin"])?;
    let version = *job
        .versions
        .first()
        .context("find an NFS version in the job")?;
    client::mount(version)?;
    println!("\nNFSv{version} at /mnt, the server's own view of it at /export, fs.leases-enable=0");
    println!("`nfs-trace` is on the PATH if it was built; `exit` powers the guest off\n");
    // cttyhack makes the console the controlling terminal, so that Ctrl-C reaches programs.
    Command::new("busybox")
        .args(["setsid", "busybox", "cttyhack", "busybox", "sh", "-l"])
        .env("PS1", "lab # ")
        .env("HOME", "/root")
        .current_dir("/mnt")
        .status()
        .context("run the shell")?;
    Ok(())
}

/// Powers the guest off, which ends qemu.
pub(crate) fn power_off() -> ! {
    // The serial port is emulated byte by byte: give it time to drain.
    thread::sleep(Duration::from_millis(100));
    if let Err(error) = reboot(RebootCommand::PowerOff) {
        serial::log(format!("cannot power off: {error}"));
    }
    loop {
        thread::sleep(Duration::from_secs(1));
    }
}
