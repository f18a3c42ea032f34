//! The NFS server: an ext4 on a ram disk, exported over loopback.

use std::{
    fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};

use crate::boot::{command, mount_at};

/// The exported directory. What happens here happens on the server, behind the client's back.
pub(crate) const EXPORT: &str = "/export";
/// Y or N; writing 1 ends the grace period.
const GRACE_ENDED: &str = "/proc/fs/nfsd/v4_end_grace";
/// It lasts 90 s where nothing ends it.
const GRACE_ENDED_WITHIN: Duration = Duration::from_secs(120);

pub(crate) fn start() -> Result<()> {
    needs()?;
    command("mke2fs", &["-q", "-F", "-t", "ext4", "/dev/ram0"])?;
    mount_at("/dev/ram0", "ext4", EXPORT)?;
    // mke2fs leaves lost+found; nobody needs to find it in the demo.
    let _ = fs::remove_dir(format!("{EXPORT}/lost+found"));
    mount_at("rpc_pipefs", "rpc_pipefs", "/var/lib/nfs/rpc_pipefs")?;
    mount_at("nfsd", "nfsd", "/proc/fs/nfsd")?;
    leases(false)?;
    // 4.4 hangs without rpcbind -w; later kernels do not mind.
    command("rpcbind", &["-w"])?;
    let options = "rw,no_root_squash,fsid=0,insecure,no_subtree_check";
    command("exportfs", &["-o", options, "127.0.0.1:/export"])?;
    command("rpc.mountd", &["-N", "3", "-N", "2"])?;
    // Keeps the list of clients. Debian's 7.x has no other way left
    // (CONFIG_NFSD_LEGACY_CLIENT_TRACKING), and without one the grace period cannot be ended.
    command("nfsdcld", &[])?;
    command("rpc.nfsd", &["-N", "3", "2"])?;
    end_grace()
}

/// In the grace period OPENs are answered with NFS4ERR_GRACE and sent again, which the counters
/// would show.
///
/// nfsd may have ended it by itself: with no client on the list there is nothing to wait for.
/// Newer kernels refuse to end it twice (EBUSY), and end it some time after they were told
/// (nfsd4_force_end_grace, fs/nfsd/nfs4state.c, 6.19, in 5.10.262 too); only reading tells.
fn end_grace() -> Result<()> {
    let begun = Instant::now();
    let mut told = Ok(());
    while !read_grace_ended()? {
        ensure!(
            begun.elapsed() < GRACE_ENDED_WITHIN,
            "nfsd's grace period did not end; {GRACE_ENDED} says {told:?}"
        );
        told = fs::write(GRACE_ENDED, "1");
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

fn read_grace_ended() -> Result<bool> {
    let text = fs::read_to_string(GRACE_ENDED).with_context(|| format!("read {GRACE_ENDED}"))?;
    Ok(text.trim() == "Y")
}

/// Whether nfsd may hand out delegations.
pub(crate) fn leases(enabled: bool) -> Result<()> {
    fs::write(
        "/proc/sys/fs/leases-enable",
        if enabled { "1" } else { "0" },
    )
    .context("set fs.leases-enable")
}

/// A developer's own kernel may lack something, or its modules may not have been given.
fn needs() -> Result<()> {
    let path = "/proc/filesystems";
    let text = fs::read_to_string(path).with_context(|| format!("read {path}"))?;
    let known = |name: &str| text.lines().any(|line| line.trim_end().ends_with(name));
    let mut missing: Vec<&str> = ["ext4", "nfsd", "nfs4"]
        .into_iter()
        .filter(|name| !known(&format!("\t{name}")))
        .collect();
    if !Path::new("/dev/ram0").exists() {
        missing.push("a ram disk (CONFIG_BLK_DEV_RAM)");
    }
    ensure!(
        missing.is_empty(),
        "this kernel lacks {}: build it in, or give its modules with --modules DIR",
        missing.join(", ")
    );
    Ok(())
}
