//! `nfs-trace check`: is this kernel affected, per mount, with evidence.

pub mod advice;
pub mod conclude;
pub mod evidence;
pub mod explain;
pub mod holders;
pub mod image;
pub mod level;
pub mod observe;
mod observing;
pub mod options;
pub mod plan;
pub mod release;
pub mod report;
pub mod run;
#[cfg(test)]
mod samples;
pub mod selftest;
mod testing;
pub mod text;
pub mod verdict;
pub mod watch;
