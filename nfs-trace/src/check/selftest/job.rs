//! What the self-test's two processes say to each other, one JSON object a line.
//!
//! The child opens files, and may hang on a server that does not answer; the parent
//! watches, judges and gives up in time. The child reads [`Order`]s from its standard
//! input and ends, cleaning up, when that is closed.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// What the child is to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// A directory, or a regular file.
    #[serde(with = "path_bytes")]
    pub path: PathBuf,
    /// Whether `path` is a directory.
    pub directory: bool,
    /// Also have a file renamed over a held one.
    pub reproduce: bool,
    /// When to stop waiting for the new file, ns of CLOCK_MONOTONIC.
    pub until_ns: u64,
}

/// From the parent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// The first line.
    Job(Job),
    /// The probes are armed.
    Go,
    /// The answer to [`Said::Rename`]: the second client has renamed, or why not.
    Renamed(Result<(), String>),
}

/// How a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// O_RDONLY
    Read,
    /// O_WRONLY
    Write,
    /// O_RDWR
    ReadWrite,
}

impl Mode {
    /// The flag's name.
    #[must_use]
    pub fn flag(self) -> &'static str {
        match self {
            Self::Read => "O_RDONLY",
            Self::Write => "O_WRONLY",
            Self::ReadWrite => "O_RDWR",
        }
    }
}

/// Why a file was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// To hold it.
    Hold,
    /// Again, in the same mode, while it is held.
    Reopen,
    /// The same, after the client was made to return its delegation.
    ReopenUndelegated,
    /// The same, after another file was renamed over the name.
    ReopenRenamed,
}

/// One open(2) of the child.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opened {
    /// Why.
    pub purpose: Purpose,
    /// How.
    pub mode: Mode,
    /// Just before, ns of CLOCK_MONOTONIC.
    pub start_ns: u64,
    /// Just after.
    pub end_ns: u64,
    /// What was read; an errno's name if it could not be opened or read.
    pub read: Option<String>,
}

/// From the child.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Said {
    /// Opens follow of this file; what was done differently than announced, and why.
    File {
        /// The file.
        #[serde(with = "path_bytes")]
        path: PathBuf,
        /// It was made for this.
        own: bool,
        /// For the admin.
        remark: Option<String>,
    },
    /// A file was opened.
    Opened(Opened),
    /// Please have `from` renamed over `to`, by a second client with this uid and gid.
    Rename {
        /// The new file.
        #[serde(with = "path_bytes")]
        from: PathBuf,
        /// The held one.
        #[serde(with = "path_bytes")]
        to: PathBuf,
        /// Effective user of the child.
        uid: u32,
        /// Effective group of the child.
        gid: u32,
    },
    /// The child cannot go on.
    Failed(String),
    /// What could not be removed.
    LeftBehind(#[serde(with = "path_bytes")] PathBuf),
    /// All is done and tidied up.
    Done,
}

/// Text of the file that is held.
pub const OLD: &str = "old\n";
/// Text of the file that is renamed over it.
pub const NEW: &str = "new\n";

/// Paths as bytes: they need not be UTF-8.
pub mod path_bytes {
    use std::{
        ffi::OsString,
        os::unix::ffi::{OsStrExt as _, OsStringExt as _},
        path::{Path, PathBuf},
    };

    use serde::{Deserialize as _, Deserializer, Serializer};

    /// For `#[serde(with)]`.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(path: &Path, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(path.as_os_str().as_bytes())
    }

    /// For `#[serde(with)]`.
    ///
    /// # Errors
    /// Those of the deserializer.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<PathBuf, D::Error> {
        Ok(OsString::from_vec(Vec::deserialize(from)?).into())
    }
}

#[cfg(test)]
mod tests {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt as _};

    use super::*;

    #[test]
    fn orders_survive_the_way_whatever_the_path() {
        let job = Order::Job(Job {
            path: OsStr::from_bytes(b"/mnt/\xff\n").into(),
            directory: true,
            reproduce: false,
            until_ns: 1,
        });
        let line = serde_json::to_string(&job).unwrap();
        assert!(!line.contains('\n'));
        assert_eq!(serde_json::from_str::<Order>(&line).unwrap(), job);
    }
}
