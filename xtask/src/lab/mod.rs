//! The VM lab: real kernels, real NFS clients and servers, in guests of our own.

mod accel;
mod bpftool;
pub(crate) mod checks;
pub(crate) mod client;
mod console;
mod cpio;
mod cures;
mod devel;
pub(crate) mod diff;
mod elf;
mod expect;
pub(crate) mod fetch;
pub(crate) mod guest;
mod image;
pub(crate) mod judge;
mod kernel;
pub(crate) mod list;
mod modules;
mod natural;
mod qemu;
pub(crate) mod run;
mod session;
pub(crate) mod shell;
pub(crate) mod sides;
pub(crate) mod table;
pub(crate) mod verdicts;
mod vmlinux;
