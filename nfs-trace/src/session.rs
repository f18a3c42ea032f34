//! What is true for a whole trace: everything that judging and showing its records
//! needs to know about the machine. A recording carries it, so replay shows the same.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{kernel::lookup_flags::LookupFlags, mounts::Mount, trace::Signals};

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
    let attached = |symbol: &str| probes.get(symbol).is_some_and(|it| it == ATTACHED);
    Signals {
        verifier_check: attached("nfs_check_verifier"),
        verifier_set: attached("nfs_set_verifier"),
        inode_check: attached("nfs_lookup_verify_inode"),
    }
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

    #[test]
    fn a_signal_is_there_only_with_its_probe_in_place() {
        let none = Signals {
            verifier_check: false,
            verifier_set: false,
            inode_check: false,
        };
        assert_eq!(signals(&[]), none);
        let refused = ("nfs_lookup_verify_inode", "no such function in this kernel");
        assert_eq!(signals(&[refused]), none);
        for (symbol, expected) in [
            (
                "nfs_check_verifier",
                Signals {
                    verifier_check: true,
                    ..none
                },
            ),
            (
                "nfs_set_verifier",
                Signals {
                    verifier_set: true,
                    ..none
                },
            ),
            (
                "nfs_lookup_verify_inode",
                Signals {
                    inode_check: true,
                    ..none
                },
            ),
        ] {
            assert_eq!(signals(&[(symbol, ATTACHED)]), expected, "{symbol}");
        }
    }
}
