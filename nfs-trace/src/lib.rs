//! nfs-trace shows which path every NFSv4 open takes.
//!
//! Data flows one way, and a module uses only what stands before it:
//!
//! ```text
//! kernel -> programs -> transport (or a recording) -> decode -> Event -> trace -> OpenPath -> Row -> text | JSON
//!                                    (event)           (trace)           (row)  (render)
//! ```
//!
//! `kernel`, `calibrate`, `attach`, `modules`, `launch`, `live` are the live side; `run` composes.
//! Nothing from `event` to `render` knows of aya, tokio, files or terminals.

#![deny(unsafe_code)]

pub mod attach;
pub mod calibrate;
pub mod check;
pub mod cli;
pub mod clock;
pub mod completions;
pub mod counts;
pub mod decode;
pub mod diagnostics;
pub mod diff;
pub mod event;
pub mod exit;
pub mod filter;
pub mod kernel;
pub mod known_mounts;
pub mod launch;
pub mod live;
pub mod manual;
pub mod metrics;
pub mod modules;
pub mod mount_watch;
pub mod mounts;
pub mod names;
pub mod notice;
pub mod object;
pub mod order;
pub mod perf;
pub mod pipeline;
pub mod place;
pub mod poll;
pub mod probes;
pub mod record;
pub mod recording;
pub mod refusal;
pub mod render;
pub mod replay;
pub mod report;
pub mod returns;
pub mod row;
pub mod run;
pub mod session;
pub mod show;
pub mod sink;
pub mod skips;
pub mod startup;
pub mod summary;
#[cfg(test)]
mod testing;
pub mod top;
pub mod trace;
pub mod transport;
