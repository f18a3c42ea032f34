//! What is said on stderr besides errors: warnings, and with `-v` whatever the kernel refused
//! that something else could do without. While `--top` has the terminal it is held back.

use std::{
    fmt::Display,
    io::{self, Write as _},
    sync::{Mutex, MutexGuard, PoisonError},
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
    match &mut *holding() {
        Some(held) if held.len() < HELD_AT_MOST => held.push(format!("nfs-trace: {what}")),
        Some(_) => {}
        None => {
            let _ = writeln!(io::stderr(), "nfs-trace: {what}");
        }
    }
}

/// Between two pictures.
const HELD_AT_MOST: usize = 1_000;

static HELD: Mutex<Option<Vec<String>>> = Mutex::new(None);

fn holding() -> MutexGuard<'static, Option<Vec<String>>> {
    HELD.lock().unwrap_or_else(PoisonError::into_inner)
}

/// From now on nothing goes to stderr: it would end up in the picture.
pub fn hold() {
    holding().get_or_insert_default();
}

/// What was said since the last call.
#[must_use]
pub fn held() -> Vec<String> {
    holding().as_mut().map(std::mem::take).unwrap_or_default()
}

/// From now on it goes to stderr again. Returns what was not asked for by then.
#[must_use]
pub fn release() -> Vec<String> {
    holding().take().unwrap_or_default()
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
