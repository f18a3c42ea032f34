//! What the lab's host and guest must agree on: job, messages, scenarios, cures, checks, cases, the
//! unit, and how the two oracles (mountstats and nfs-trace's JSON) are read.

pub mod benched;
pub mod check;
pub mod cure;
pub mod grown;
pub mod mountstats;
pub mod protocol;
pub mod scenario;
pub mod trace;
pub mod unit;
pub mod verdicts;
