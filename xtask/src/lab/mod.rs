//! The VM lab: real kernels, real NFS clients and servers, in guests of our own.

pub(crate) mod client;
mod devel;
pub(crate) mod fetch;
pub(crate) mod kernel;
mod natural;
mod vmlinux;
