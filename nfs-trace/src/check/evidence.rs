//! What a check found out, and what each finding is worth.
//!
//! Only behaviour decides: opens that were seen, of others or of our own. What the kernel
//! image and its release tell can point one way and never decides, because backports make
//! both wrong in both directions.

use serde::Serialize;

/// Which part of the series of 4.20 an NFSv4 client behaves like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FixLevel {
    /// Ordinary opens of a file that is already open are served from cached open state.
    None,
    /// be189f7e7f03: an OPEN is always sent; over v4.0 names are still accepted unchecked.
    Be189f7e,
    /// The whole series: the name is checked too, on every version.
    Full,
}

impl FixLevel {
    /// The word for it, the same in text and JSON.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Be189f7e => "be189f7e",
            Self::Full => "full",
        }
    }
}

/// Where a piece of evidence comes from, the strongest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Opens that other processes made, with the probes attached.
    Observed,
    /// Opens that this program made, with the probes attached.
    SelfTest,
    /// The running kernel's symbols and types.
    Image,
    /// The kernel's version.
    Release,
}

/// What a piece of evidence says about the question "affected?".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Finding {
    /// Proves it.
    Affected,
    /// Proves the contrary.
    NotAffected,
    /// Makes it likely, and never decides.
    PointsToAffected,
    /// Makes the contrary likely, and never decides.
    PointsToNotAffected,
    /// Says nothing.
    Nothing,
}

/// One item: what was looked at, what was seen, and what that means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Evidence {
    /// Where it comes from.
    pub kind: Kind,
    /// What was looked at, as `kallsyms` or `6 reopens of a file of our own`.
    pub looked_at: String,
    /// What was seen there.
    pub seen: String,
    /// What that says.
    pub finding: Finding,
    /// The fix level that it shows, if it shows one.
    pub fix_level: Option<FixLevel>,
    /// What it proves, or why it proves nothing, in a sentence for an admin.
    pub means: String,
}
