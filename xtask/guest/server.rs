//! The NFS server: an ext4 on a ram disk, exported over loopback.

use std::fs;

use anyhow::{Context as _, Result};

use crate::boot::{command, mount_at};

/// The exported directory. What happens here happens on the server, behind the client's back.
pub(crate) const EXPORT: &str = "/export";

pub(crate) fn start() -> Result<()> {
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
    command("rpc.nfsd", &["-N", "3", "2"])?;
    // In the grace period OPENs are answered with NFS4ERR_GRACE and sent again, which the
    // counters would show.
    fs::write("/proc/fs/nfsd/v4_end_grace", "1").context("end the grace period of nfsd")
}

/// Whether nfsd may hand out delegations.
pub(crate) fn leases(enabled: bool) -> Result<()> {
    fs::write(
        "/proc/sys/fs/leases-enable",
        if enabled { "1" } else { "0" },
    )
    .context("set fs.leases-enable")
}
