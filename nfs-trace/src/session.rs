//! What is true for a whole trace: everything that judging and showing its records
//! needs to know about the machine. A recording carries it, so replay shows the same.

use std::collections::BTreeMap;

use nfs_trace_ebpf::probes::{CACHED, Id, PROBES};
use serde::{Deserialize, Serialize};

use crate::{
    kernel::{lookup_flags::LookupFlags, symbols::is_made_of},
    mounts::Mount,
    trace::{Delegated, Sent, Signals},
};

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Version of the records ([`nfs_trace_ebpf::abi::ABI_VERSION`]).
    pub abi_version: u32,
    /// Version of this program.
    pub version: String,
    /// Kernel release.
    pub kernel: String,
    /// `ring` or `perf`.
    pub transport: String,
    /// Where the layout of kernel structures came from: `btf`, `table` or `none`.
    pub layout: String,
    /// From which files, or why not from elsewhere; empty for the kernel's own BTF.
    #[serde(default)]
    pub layout_why: String,
    /// Probed symbol -> `attached`, or why not.
    pub probes: BTreeMap<String, String>,
    /// LOOKUP_* numbers in force.
    pub lookup_flags: LookupFlags,
    /// NFSv4 mounts.
    pub mounts: Vec<Mount>,
    /// CLOCK_REALTIME minus CLOCK_MONOTONIC, ns.
    pub clock_offset_ns: i64,
    /// When the programs were armed, ns of CLOCK_MONOTONIC.
    pub armed_ns: u64,
    /// What it took from the start to there.
    pub startup_ms: StartupMs,
}

/// Milliseconds of each part of the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartupMs {
    /// Asking the machine: symbols, BTF, tracefs.
    pub facts: u64,
    /// Loading and attaching the programs.
    pub attach: u64,
    /// Of these, in the verifier and the compiler of the kernel.
    pub verify: u64,
}

/// Which function tells what, of several that could; nothing if none does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ToldBy {
    /// Whether an OPEN was sent.
    pub sent: Option<&'static str>,
    /// A delegated open from a cached one.
    pub delegated: Option<&'static str>,
}

impl From<Signals> for ToldBy {
    fn from(signals: Signals) -> Self {
        Self {
            sent: signals.sent.symbol(),
            delegated: signals.delegated.symbol(),
        }
    }
}

/// Value of [`Session::probes`] for a probe in place.
pub const ATTACHED: &str = "attached";

impl Session {
    /// What the probes in place can tell apart.
    #[must_use]
    pub fn signals(&self) -> Signals {
        signals(&self.probes)
    }

    /// The mount of a super block; the first one where there are several.
    #[must_use]
    pub fn mount(&self, dev: u32) -> Option<&Mount> {
        self.mounts
            .iter()
            .find(|mount| dev != 0 && mount.dev == dev)
    }
}

/// What the probes in place (see [`Session::probes`]) can tell apart.
#[must_use]
pub fn signals(probes: &BTreeMap<String, String>) -> Signals {
    let has = |id| in_place(probes, id);
    let (_, _, event) = CACHED;
    let event = probes.get(event).is_some_and(|it| it == ATTACHED);
    Signals {
        verifier_check: has(Id::VerifierCheck),
        verifier_set: has(Id::VerifierSet),
        inode_check: has(Id::InodeCheck),
        lookups: has(Id::LookupIn),
        sent: match () {
            () if has(Id::OpenDone) => Sent::OpenDone,
            () if has(Id::TryCached) => Sent::TryCached,
            () if has(Id::Encode) && has(Id::EncodeFh) => Sent::Encode,
            () if event => Sent::CachedEvent,
            () => Sent::Nothing,
        },
        delegated: match () {
            () if has(Id::StateidUpdate) => Delegated::StateidUpdate,
            () if event && has(Id::Prepare) => Delegated::CachedEvent,
            () => Delegated::Nothing,
        },
    }
}

/// Whether a row's program is in place: on all that there is of its function, or of the first of
/// the others that is there.
#[must_use]
pub fn in_place(probes: &BTreeMap<String, String>, id: Id) -> bool {
    PROBES[id as usize].names().any(|name| {
        let mut states = probes
            .iter()
            .filter(|(symbol, _)| is_made_of(symbol, name))
            .map(|(_, state)| state)
            .peekable();
        states.peek().is_some() && states.all(|state| state == ATTACHED)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signals(probes: &[(&str, &str)]) -> Signals {
        let probes = probes
            .iter()
            .map(|(symbol, state)| ((*symbol).into(), (*state).into()));
        Session {
            abi_version: 1,
            version: String::new(),
            kernel: String::new(),
            transport: String::new(),
            layout: String::new(),
            layout_why: String::new(),
            probes: probes.collect(),
            lookup_flags: LookupFlags::BEFORE_6_15,
            mounts: Vec::new(),
            clock_offset_ns: 0,
            armed_ns: 0,
            startup_ms: StartupMs::default(),
        }
        .signals()
    }

    const NONE: Signals = Signals {
        verifier_check: false,
        verifier_set: false,
        inode_check: false,
        lookups: false,
        sent: Sent::Nothing,
        delegated: Delegated::Nothing,
    };

    #[test]
    fn a_signal_is_there_only_with_its_probe_in_place() {
        assert_eq!(signals(&[]), NONE);
        let refused = ("nfs_lookup_verify_inode", "no such function in this kernel");
        assert_eq!(signals(&[refused]), NONE);
        type Has = fn(&mut Signals);
        let cases: [(&str, Has); 10] = [
            ("nfs_check_verifier", |it| it.verifier_check = true),
            ("nfs_set_verifier", |it| it.verifier_set = true),
            ("nfs4_have_delegation", |it| it.verifier_set = true),
            ("nfs_lookup_verify_inode", |it| it.inode_check = true),
            ("_nfs4_proc_lookup", |it| it.lookups = true),
            ("nfs4_proc_lookup", |it| it.lookups = true),
            ("nfs4_open_done", |it| it.sent = Sent::OpenDone),
            ("nfs4_try_open_cached", |it| it.sent = Sent::TryCached),
            ("nfs4_cached_open", |it| it.sent = Sent::CachedEvent),
            ("update_open_stateid", |it| {
                it.delegated = Delegated::StateidUpdate;
            }),
        ];
        for (symbol, has) in cases {
            let mut expected = NONE;
            has(&mut expected);
            assert_eq!(signals(&[(symbol, ATTACHED)]), expected, "{symbol}");
        }
    }

    #[test]
    fn of_several_signals_the_better_one_is_used() {
        let encode = [
            ("nfs4_xdr_enc_open", ATTACHED),
            ("nfs4_xdr_enc_open_noattr", ATTACHED),
        ];
        assert_eq!(signals(&encode).sent, Sent::Encode);
        assert_eq!(signals(&encode[..1]).sent, Sent::Nothing, "one of two");
        let event = [
            ("nfs4_cached_open", ATTACHED),
            ("nfs4_open_prepare", ATTACHED),
        ];
        assert_eq!(signals(&event).delegated, Delegated::CachedEvent);
        let all = [
            encode[0],
            encode[1],
            event[0],
            event[1],
            ("nfs4_open_done", ATTACHED),
            ("nfs4_try_open_cached", ATTACHED),
            ("update_open_stateid", ATTACHED),
        ];
        assert_eq!(signals(&all).sent, Sent::OpenDone);
        assert_eq!(signals(&all).delegated, Delegated::StateidUpdate);
    }

    #[test]
    fn a_function_of_which_a_part_is_not_probed_tells_nothing() {
        let probes = [
            ("update_open_stateid", ATTACHED),
            ("update_open_stateid.isra.0", "refused"),
        ];
        assert_eq!(signals(&probes).delegated, Delegated::Nothing);
        assert_eq!(
            signals(&[("update_open_stateid.isra.0", ATTACHED)]).delegated,
            Delegated::StateidUpdate
        );
        let other = [
            ("_nfs4_proc_lookup", "withheld"),
            ("nfs4_proc_lookup", ATTACHED),
        ];
        assert!(signals(&other).lookups);
    }
}
