//! Exit statuses, and the error that chooses one.

use std::{fmt, process::ExitCode};

/// What the exit status means; scripts rely on the numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Ok = 0,
    /// Something failed; for `diff`: the recordings differ.
    Failure = 1,
    /// `check`: an NFSv4 mount here is affected.
    Affected = 2,
    /// `check`, `diff`: not enough was seen to say.
    Inconclusive = 3,
    /// Wrong usage (EX_USAGE of sysexits.h).
    Usage = 64,
    /// `diff`: a recording cannot be read (EX_NOINPUT).
    NoInput = 66,
    /// This kernel or machine cannot (EX_UNAVAILABLE), with the remedy on stderr.
    Unavailable = 69,
    /// `diff`: its output cannot be written (EX_IOERR).
    Output = 74,
    /// `trace -- COMMAND`: the command cannot be run, as shells have it.
    CannotRun = 126,
    /// `trace -- COMMAND`: there is no such command, as shells have it.
    NoCommand = 127,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// An error with its own exit status; any other error is [`Exit::Failure`].
#[derive(Debug)]
pub struct ExitError {
    /// The status.
    pub exit: Exit,
    /// What to say.
    pub message: String,
}

impl ExitError {
    /// Wrong usage.
    pub fn usage(message: impl Into<String>) -> Self {
        Self {
            exit: Exit::Usage,
            message: message.into(),
        }
    }

    /// The machine cannot.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self {
            exit: Exit::Unavailable,
            message: message.into(),
        }
    }
}

impl fmt::Display for ExitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ExitError {}

/// The status for an error, wherever in its chain an [`ExitError`] is.
#[must_use]
pub fn status_of(error: &anyhow::Error) -> Exit {
    error
        .downcast_ref::<ExitError>()
        .map_or(Exit::Failure, |error| error.exit)
}
