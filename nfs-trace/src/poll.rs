//! Waiting for a file descriptor in tokio: the one file with unsafe code.
//!
//! Registering takes a promise that tokio cannot check, that the descriptor stays open
//! for as long as it is registered. The types registered here own theirs.

#![expect(
    unsafe_code,
    reason = "AsyncFd::register is unsafe since tokio 1.54 (tokio#8587)"
)]

use std::{
    io,
    os::fd::{AsRawFd, OwnedFd},
};

use aya::maps::{MapData, RingBuf};
use tokio::io::{Interest, unix::AsyncFd};

/// The ring buffer, ready when it has records.
///
/// # Errors
/// If the runtime refuses it.
pub fn ring(ring: RingBuf<MapData>) -> io::Result<AsyncFd<RingBuf<MapData>>> {
    // SAFETY: the ring buffer owns its map's descriptor and never closes or changes it.
    unsafe { register(ring, Interest::READABLE) }
}

/// A descriptor, ready when it can be read.
///
/// # Errors
/// If the runtime refuses it.
pub fn descriptor(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an OwnedFd stays open until it is dropped.
    unsafe { register(fd, Interest::READABLE) }
}

/// A descriptor, ready when something exceptional happened to it (POLLPRI).
///
/// # Errors
/// If the runtime refuses it.
pub fn exceptions(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: as above.
    unsafe { register(fd, Interest::PRIORITY) }
}

/// # Safety
/// `inner`'s descriptor stays open, and the same, until `inner` is dropped.
unsafe fn register<T: AsRawFd>(inner: T, interest: Interest) -> io::Result<AsyncFd<T>> {
    // SAFETY: the caller promises it.
    unsafe { AsyncFd::register_with_interest(inner, interest) }.map_err(Into::into)
}
