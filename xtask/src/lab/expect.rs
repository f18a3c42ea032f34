//! What each client should answer.

use std::collections::BTreeMap;

use lab_contract::protocol::{NfsVersion, Run};

use super::client::Client;

/// How many of each word.
pub(crate) type Counts = BTreeMap<String, u64>;

/// What is certain of one scenario; what is not, is not judged.
#[derive(Debug, Default)]
pub(crate) struct Expected {
    pub(crate) open_path: Option<Counts>,
    pub(crate) name_check: Option<Counts>,
    /// Words are counted for rows of this file only.
    pub(crate) only: Option<&'static str>,
    /// OPEN and OPEN_NOATTR together, as the kernel counts them.
    pub(crate) open_rpcs: Option<u64>,
    pub(crate) reads: Option<Vec<Run>>,
}

pub(crate) fn expected(_scenario: &str, _client: Client, _version: NfsVersion) -> Expected {
    Expected::default()
}
