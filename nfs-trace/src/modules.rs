//! Hears when the client's modules come and go: their probes go with them, silently.
//!
//! The kernel announces `add@/module/NAME` and `remove@/module/NAME` on the kobject uevent
//! socket, so nothing has to be polled. Up to 5.11 a module is announced before its init
//! function runs, later once it is live (38dc717e9715, "module: delay kobject uevent until
//! after module init call"). Its symbols, its BTF and its tracepoints are there in either case
//! (load_module() calls the notifiers before mod_sysfs_setup()), and it can be probed.

use std::{fs, os::fd::OwnedFd};

use anyhow::Context as _;
use nfs_trace_ebpf::probes::PROBES;
use rustix::{
    io::Errno,
    net::{
        AddressFamily, RecvFlags, SocketFlags, SocketType, bind, netlink, recv, socket_with,
        sockopt::set_socket_recv_buffer_size_force,
    },
};
use tokio::io::unix::AsyncFd;

use crate::{
    kernel::{Facts, preflight},
    poll,
};

/// The client's modules.
const MODULES: [&str; 2] = ["nfs", "nfsv4"];
/// Kernel broadcasts (lib/kobject_uevent.c).
const KERNEL_GROUP: u32 = 1;
/// Bytes of events that may wait while nobody listens: as many as udev has. They take
/// memory only when they are there.
const BUFFER: usize = 128 << 20;

/// An announcement about a module of the client.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Heard {
    Added,
    Removed(&'static str),
    /// There were too many events of all kinds: any of the above.
    Missed,
}

/// Whether the functions to probe are there, and not about to go.
#[must_use]
pub fn are_loaded(facts: &Facts) -> bool {
    // Of a module that goes, kallsyms shows the symbols to the end (free_module()).
    let is_going = |module: &str| {
        let state = fs::read_to_string(format!("/sys/module/{module}/initstate"));
        state.map_or(true, |state| state.trim() == "going")
    };
    let mut holders: Vec<&str> = PROBES
        .iter()
        .flat_map(|probe| facts.resolve(probe))
        .filter_map(|symbol| facts.symbols.get(symbol)?.module.as_deref())
        .collect();
    holders.sort_unstable();
    holders.dedup();
    preflight::missing_modules(facts).is_empty() && !holders.into_iter().any(is_going)
}

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
        if let Err(error) = set_socket_recv_buffer_size_force(&socket, BUFFER) {
            log::debug!("the buffer for kernel events stays as it is: {error}");
        }
        bind(&socket, &netlink::SocketAddrNetlink::new(0, KERNEL_GROUP))
            .context("failed to listen to kernel events")?;
        let socket = poll::descriptor(socket).context("failed to poll the uevent socket")?;
        Ok(Self { socket })
    }

    /// Waits until a module of the client is unloaded. Nothing: it may have been, some events
    /// were missed.
    ///
    /// # Errors
    /// If the socket fails.
    pub async fn removal(&self) -> anyhow::Result<Option<&'static str>> {
        loop {
            match self.next().await? {
                Heard::Added => {}
                Heard::Removed(module) => return Ok(Some(module)),
                Heard::Missed => return Ok(None),
            }
        }
    }

    /// Waits until there is a reason to look whether the client is there.
    ///
    /// # Errors
    /// If the socket fails.
    pub async fn change(&self) -> anyhow::Result<()> {
        self.next().await.map(drop)
    }

    /// Leaves out everything that was announced up to now: whoever looks afterwards sees what
    /// came of it.
    ///
    /// # Errors
    /// If the socket fails.
    pub fn catch_up(&self) -> anyhow::Result<()> {
        while self.receive()?.is_some() {}
        Ok(())
    }

    async fn next(&self) -> anyhow::Result<Heard> {
        loop {
            let mut guard = self.socket.readable().await?;
            match self.receive()? {
                Some(Some(heard)) => return Ok(heard),
                Some(None) => {}
                None => guard.clear_ready(),
            }
        }
    }

    /// The next event, if there is one, and what it says of the client.
    fn receive(&self) -> anyhow::Result<Option<Option<Heard>>> {
        let mut buffer = [0; 4096];
        match recv(self.socket.get_ref(), &mut buffer, RecvFlags::empty()) {
            Ok((_, len)) => Ok(Some(heard(&buffer[..len.min(buffer.len())]))),
            Err(Errno::NOBUFS) => Ok(Some(Some(Heard::Missed))),
            Err(Errno::AGAIN) => Ok(None),
            Err(Errno::INTR) => Ok(Some(None)),
            Err(error) => Err(error).context("failed to read kernel events"),
        }
    }
}

/// `remove@/module/nfsv4\0ACTION=remove\0...`
fn heard(message: &[u8]) -> Option<Heard> {
    let head = message.split(|&byte| byte == 0).next()?;
    let (action, module) = std::str::from_utf8(head).ok()?.split_once("@/module/")?;
    let module = MODULES.into_iter().find(|name| *name == module)?;
    match action {
        "add" => Some(Heard::Added),
        "remove" => Some(Heard::Removed(module)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_clients_modules_are_heard() {
        assert_eq!(
            heard(b"remove@/module/nfsv4\0ACTION=remove\0"),
            Some(Heard::Removed("nfsv4"))
        );
        assert_eq!(heard(b"add@/module/nfs\0ACTION=add\0"), Some(Heard::Added));
        for other in [
            &b"add@/module/nfsd\0ACTION=add\0"[..],
            b"change@/module/nfs\0",
            b"remove@/devices/x\0",
            b"remove@/module/nfs/holders\0",
            b"",
            b"\xff\xff",
        ] {
            assert_eq!(heard(other), None, "{other:?}");
        }
    }
}
