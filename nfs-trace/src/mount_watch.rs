//! Hears when something is mounted or unmounted, so that a mount is known also if it is gone by
//! the time that its opens are shown: poll(2) of /proc/self/mountinfo says so (mounts_poll(),
//! fs/proc_namespace.c).

use std::{fs::File, os::fd::OwnedFd};

use anyhow::Context as _;
use tokio::io::{Interest, unix::AsyncFd};

use crate::poll;

/// See the module.
pub struct MountWatch {
    mountinfo: AsyncFd<OwnedFd>,
}

impl MountWatch {
    /// Listens from now on.
    ///
    /// # Errors
    /// If /proc is not mounted.
    pub fn new() -> anyhow::Result<Self> {
        let path = "/proc/self/mountinfo";
        let file = File::open(path).with_context(|| format!("failed to open {path}"))?;
        let mountinfo =
            poll::exceptions(file.into()).with_context(|| format!("failed to poll {path}"))?;
        Ok(Self { mountinfo })
    }

    /// Waits until the mounts of this mount namespace are not those of before.
    ///
    /// # Errors
    /// If it cannot be waited for.
    pub async fn change(&self) -> anyhow::Result<()> {
        self.mountinfo
            .ready(Interest::PRIORITY)
            .await?
            .clear_ready();
        Ok(())
    }
}
