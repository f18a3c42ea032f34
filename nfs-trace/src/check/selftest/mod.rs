//! The active self-test: a child that opens files, a second client, and the judgement over
//! what the probes saw of it.

pub mod child;
pub mod job;
pub mod judge;
pub mod own_dir;
pub mod parent;
pub mod second;
