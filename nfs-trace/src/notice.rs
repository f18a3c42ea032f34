//! What a trace has to say between its rows: the client's modules went, and are back. In words
//! for stderr, and as the JSON line of type `module`.

use std::{collections::BTreeMap, fmt};

use jiff::Timestamp;
use serde::Serialize;

use crate::{
    mounts::Mount,
    session::{ATTACHED, Session, StartupMs, ToldBy},
};

/// See the module.
#[derive(Debug, Clone, Serialize)]
pub struct Notice<'a> {
    /// When, ns of CLOCK_MONOTONIC.
    pub ts_ns: u64,
    /// The same as wall-clock time.
    pub time: Timestamp,
    /// What.
    #[serde(flatten)]
    pub what: What<'a>,
}

/// What happened.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub enum What<'a> {
    /// A module was unloaded; the trace goes on when it is back.
    Gone {
        /// Nothing: kernel events were missed, and one may have been.
        module: Option<&'a str>,
    },
    /// They are back, and cannot be traced.
    Refused {
        /// Why not.
        why: String,
    },
    /// They are back, and traced.
    Attached(Attached<'a>),
}

/// What may be another way than the line of type `start` has it.
#[derive(Debug, Clone, Serialize)]
pub struct Attached<'a> {
    /// From the news that they are back until every open was seen.
    pub unseen_ms: u64,
    /// Where the layout of kernel structures comes from.
    pub layout: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    layout_why: &'a str,
    probes: &'a BTreeMap<String, String>,
    told_by: ToldBy,
    mounts: &'a [Mount],
    startup_ms: StartupMs,
}

impl<'a> Attached<'a> {
    /// What is true from now on.
    #[must_use]
    pub fn new(session: &'a Session, unseen_ms: u64) -> Self {
        Self {
            unseen_ms,
            layout: &session.layout,
            layout_why: &session.layout_why,
            probes: &session.probes,
            told_by: session.signals().into(),
            mounts: &session.mounts,
            startup_ms: session.startup_ms,
        }
    }
}

impl fmt::Display for What<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone {
                module: Some(module),
            } => write!(
                f,
                "module {module} was unloaded: waiting until it is back (Ctrl-C ends)"
            ),
            Self::Gone { module: None } => f.write_str(
                "kernel events were missed, a module of the client may have been loaded again: \
                 attaching again",
            ),
            Self::Refused { why } => {
                write!(f, "{why}: waiting until the modules are loaded again")
            }
            Self::Attached(attached) => {
                let states = attached.probes;
                let (there, missing): (Vec<_>, Vec<_>) =
                    states.iter().partition(|(_, state)| *state == ATTACHED);
                write!(
                    f,
                    "attached again after {} ms: opens before that were not seen ({} functions \
                     probed, names from {}",
                    attached.unseen_ms,
                    there.len(),
                    attached.layout,
                )?;
                if !missing.is_empty() {
                    let names: Vec<&str> = missing.iter().map(|(name, _)| name.as_str()).collect();
                    write!(f, ", without {}", names.join(", "))?;
                }
                f.write_str(")")
            }
        }
    }
}
