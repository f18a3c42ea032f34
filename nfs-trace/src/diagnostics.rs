//! What is said on stderr besides errors: warnings, and with `-v` whatever the kernel refused
//! that something else could do without.

use std::io::{self, Write as _};

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

struct Stderr;

impl Log for Stderr {
    /// Details of our own, warnings of all.
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= Level::Info || metadata.target().starts_with("nfs_trace")
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            let line = format_args!("nfs-trace: {}: {}", record.level(), record.args());
            // Nobody may read it: no reason to end.
            let _ = writeln!(io::stderr(), "{line}");
        }
    }

    fn flush(&self) {}
}
