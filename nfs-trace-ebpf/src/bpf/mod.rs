//! The programs themselves.
//!
//! Each program is a pair `name` / `try_name`, small and without bpf-to-bpf calls. Kernel
//! memory is read in `kread` only; maps live in `maps` and in the flavour; records leave
//! through `emit`. A record is sent when a call returns, so that one record holds entry and
//! return.
//!
//! There are two flavours, two objects from this one source: `modern` sends through a
//! ring buffer (5.8 and later), `legacy` through a perf event array and with nothing that
//! 4.4 does not have. They offer the same functions; everything else is shared, but for
//! `calibrate`, which only `legacy` has.
//!
//! What is unsafe here: reading kernel memory (bounded, and a bad address is an
//! error, not a fault) and writing map values through the pointer that the helper
//! returned (only the thread that a value belongs to, or the one CPU, writes it).

#![expect(
    clippy::needless_pass_by_value,
    reason = "aya's program macros pass the context by value"
)]

#[cfg(feature = "legacy")]
mod calibrate;
mod children;
mod emit;
mod instead;
mod kread;
#[cfg(feature = "legacy")]
mod legacy;
mod lookup;
mod maps;
#[cfg(not(feature = "legacy"))]
mod modern;
mod names;
mod opaque;
mod open;
mod opentask;
mod revalidate;
mod thread;

#[cfg(feature = "legacy")]
use legacy as flavour;
#[cfg(not(feature = "legacy"))]
use modern as flavour;
