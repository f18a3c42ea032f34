//! `nfs-trace report`: what a recording shows, name by name, and in formats that others read.
//!
//! ```text
//! OpenPath, Row (../pipeline.rs) -> analysis.rs { evidence.rs, name.rs, hold.rs, latency.rs }
//!     -> model.rs (Report) -> text.rs | JSON | html.rs (page/)
//! OpenPath, Row -> kept.rs -> html.rs; perfetto.rs; csv.rs, in a second pass
//! ```
//!
//! Nothing but `run.rs` knows of files or terminals.

pub mod analysis;
pub mod csv;
pub mod evidence;
mod hold;
pub mod html;
pub mod kept;
mod latency;
pub mod model;
mod name;
pub mod perfetto;
pub mod run;
#[cfg(test)]
mod testing;
pub mod text;

pub use self::name::When;
