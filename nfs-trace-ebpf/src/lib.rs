//! What the programs and the loader agree on: records, configuration, what
//! a thread's state looks like, and the table of probes.
//!
//! Compiled for the host and for BPF. Nothing here may depend on aya-ebpf: it
//! exports `memcpy`, `memmove` and `memset`, which in a host binary replace libc's.

#![no_std]
#![forbid(unsafe_code)]

pub mod abi;
pub mod calibration;
pub mod config;
pub mod probes;
pub mod state;
