//! What is said on stderr besides errors: warnings, and with `-v` whatever the kernel refused
//! that something else could do without.

use std::{
    fmt::Display,
    io::{self, Write as _},
};

use log::{Level, LevelFilter, Log, Metadata, Record};

/// From now on they are said.
pub fn init(verbose: bool) {
    log::set_logger(&Stderr).ok();
    log::set_max_level(if verbose {
        LevelFilter::Debug
    } else {
        LevelFilter::Info
    });
}

/// Says something that is no warning. Nobody may read it: no reason to end.
pub fn say(what: &impl Display) {
    let _ = writeln!(io::stderr(), "nfs-trace: {what}");
}

struct Stderr;

impl Log for Stderr {
    /// Details of our own, warnings of all; but that aya does not know a kernel's version is
    /// none of the user's business, it can do without.
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let target = metadata.target();
        target.starts_with("nfs_trace")
            || (metadata.level() <= Level::Info && !target.starts_with("aya::util"))
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            say(&format_args!("{}: {}", record.level(), record.args()));
        }
    }

    fn flush(&self) {}
}
