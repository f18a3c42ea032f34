//! `nfs-trace check`: is this kernel affected, per mount, with evidence.

pub mod evidence;
pub mod selftest;
pub mod explain;
pub mod image;
pub mod options;
pub mod release;
pub mod holders;
pub mod level;
pub mod observe;
pub mod verdict;
pub mod watch;
