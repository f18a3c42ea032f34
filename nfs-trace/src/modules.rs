//! Hears when a kernel module goes: its probes go with it, silently.
//!
//! The kernel announces `remove@/module/NAME` on the kobject uevent socket, so nothing
//! has to be polled.

use std::os::fd::OwnedFd;

use anyhow::Context as _;
use rustix::net::{
    AddressFamily, RecvFlags, SocketFlags, SocketType, bind, netlink, recv, socket_with,
};
use tokio::io::unix::AsyncFd;

use crate::poll;

/// Kernel broadcasts (lib/kobject_uevent.c).
const KERNEL_GROUP: u32 = 1;

/// The announcements.
pub struct ModuleWatch {
    socket: AsyncFd<OwnedFd>,
}

impl ModuleWatch {
    /// Starts to listen.
    ///
    /// # Errors
    /// If the kernel has no such socket.
    pub fn new() -> anyhow::Result<Self> {
        let socket = socket_with(
            AddressFamily::NETLINK,
            SocketType::DGRAM,
            SocketFlags::NONBLOCK | SocketFlags::CLOEXEC,
            Some(netlink::KOBJECT_UEVENT),
        )
        .context("failed to open a uevent socket")?;
        bind(&socket, &netlink::SocketAddrNetlink::new(0, KERNEL_GROUP))
            .context("failed to listen to kernel events")?;
        let socket = poll::descriptor(socket).context("failed to poll the uevent socket")?;
        Ok(Self { socket })
    }

    /// Waits until one of these modules is unloaded.
    ///
    /// # Errors
    /// If the socket fails.
    pub async fn removal_of(&self, modules: &[&str]) -> anyhow::Result<String> {
        let mut buffer = [0; 4096];
        loop {
            let mut guard = self.socket.readable().await?;
            let read = guard
                .try_io(|socket| Ok(recv(socket.get_ref(), &mut buffer, RecvFlags::empty())?.1));
            match read {
                Ok(Ok(len)) => {
                    if let Some(module) = removed(&buffer[..len.min(buffer.len())])
                        && modules.contains(&module)
                    {
                        return Ok(module.to_string());
                    }
                }
                // Too many events at once (ENOBUFS): some were missed, listen on.
                Ok(Err(error)) if error.raw_os_error() == Some(105) => {}
                Ok(Err(error)) => return Err(error).context("failed to read kernel events"),
                Err(_would_block) => {}
            }
        }
    }
}

/// `remove@/module/nfsv4\0ACTION=remove\0...`
fn removed(message: &[u8]) -> Option<&str> {
    let head = message.split(|&byte| byte == 0).next()?;
    std::str::from_utf8(head)
        .ok()?
        .strip_prefix("remove@/module/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_removals_of_modules_are_heard() {
        assert_eq!(
            removed(b"remove@/module/nfsv4\0ACTION=remove\0"),
            Some("nfsv4")
        );
        assert_eq!(removed(b"add@/module/nfsv4\0ACTION=add\0"), None);
        assert_eq!(removed(b"remove@/devices/x\0"), None);
        assert_eq!(removed(b""), None);
        assert_eq!(removed(b"\xff\xff"), None);
    }
}
