//! Can this machine trace, and if not: why, and what to do. Pure rules over [`Facts`].

use nfs_trace_ebpf::probes::{Need, PROBES};
use serde::Serialize;

use super::{Facts, Kprobes};

/// CAP_* numbers (include/uapi/linux/capability.h).
const CAP_SYS_ADMIN: u64 = 1 << 21;
const CAP_PERFMON: u64 = 1 << 38;
const CAP_BPF: u64 = 1 << 39;

/// One reason why tracing is not possible.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub remedy: String,
}

/// Everything that stands in the way; nothing if tracing can begin.
#[must_use]
pub fn problems(facts: &Facts) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut problem = |what: String, remedy: &str| {
        problems.push(Problem {
            what,
            remedy: remedy.to_string(),
        });
    };
    let has = |bits: u64| facts.capabilities.is_none_or(|held| held & bits == bits);
    let privileged = has(CAP_SYS_ADMIN) || has(CAP_BPF | CAP_PERFMON);
    if !privileged {
        problem(
            "no privilege to load BPF programs".into(),
            "run it as root, or with CAP_BPF and CAP_PERFMON",
        );
    }
    if facts.lockdown.as_deref() == Some("confidentiality") {
        problem(
            "kernel lockdown is in confidentiality mode, which forbids kprobes".into(),
            "boot without lockdown=confidentiality",
        );
    }
    match facts.kprobes {
        Kprobes::Pmu | Kprobes::Tracefs => {}
        // It cannot be looked into.
        Kprobes::NoTracefs if !privileged => {}
        Kprobes::NoTracefs => problem(
            "on this kernel kprobes are reached through tracefs, which is not mounted".into(),
            "run `mount -t debugfs debugfs /sys/kernel/debug`, which brings tracefs along",
        ),
        Kprobes::None => problem(
            "this kernel offers no kprobes".into(),
            "use a kernel built with CONFIG_KPROBES and CONFIG_KPROBE_EVENTS",
        ),
    }
    let missing: Vec<_> = PROBES
        .iter()
        .filter(|probe| probe.need == Need::Required && facts.resolve(probe).is_empty())
        .collect();
    let gone = missing_modules(facts);
    if !gone.is_empty() {
        problem(
            format!(
                "the kernel's NFSv4 client is not loaded (module {})",
                gone.join(", ")
            ),
            "mount an NFSv4 file system or run `modprobe nfsv4`, then start again \
             (`nfs-trace trace --wait-module` waits for it)",
        );
    }
    let mut symbols: Vec<&str> = missing
        .iter()
        .filter(|probe| !gone.contains(&probe.module))
        .map(|probe| probe.symbol)
        .collect();
    symbols.dedup();
    if !symbols.is_empty() {
        problem(
            format!("this kernel has no function {}", symbols.join(", ")),
            "report the kernel's version: nfs-trace does not know this build yet",
        );
    }
    problems
}

/// Whether all would be well with the client's modules loaded.
#[must_use]
pub fn only_modules_are_missing(facts: &Facts) -> bool {
    problems(facts).len() == 1 && !missing_modules(facts).is_empty()
}

/// The client's modules that are not there, neither loaded nor built in.
#[must_use]
pub fn missing_modules(facts: &Facts) -> Vec<&'static str> {
    // None of the module's functions is there, needed or not.
    let is_missing = |module: &&str| {
        let mut probes = PROBES.iter().filter(|probe| probe.module == *module);
        probes.all(|probe| facts.resolve(probe).is_empty())
    };
    ["nfs", "nfsv4"].into_iter().filter(is_missing).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::{lookup_flags::LookupFlags, symbols::Symbols};

    fn kallsyms(leave_out: impl Fn(&str) -> bool) -> Symbols {
        let text: String = PROBES
            .iter()
            .filter(|probe| !leave_out(probe.symbol))
            .map(|probe| format!("ffffffffc0000000 t {}\t[{}]\n", probe.symbol, probe.module))
            .collect();
        Symbols::parse(&text, |_| true)
    }

    fn able() -> Facts {
        Facts {
            release: "6.1.0".into(),
            capabilities: Some(CAP_SYS_ADMIN),
            lockdown: Some("none".into()),
            kprobes: Kprobes::Pmu,
            withheld: Vec::new(),
            tracefs: None,
            symbols: kallsyms(|_| false),
            lookup_flags: LookupFlags::BEFORE_6_15,
            lookup_flags_source: "release",
            fork_child_pid: None,
        }
    }

    /// Exercises one fact at a time: each gives exactly its own problem.
    #[test]
    fn each_obstacle_is_named_alone() {
        assert_eq!(problems(&able()), []);
        let what = |facts: &Facts| {
            let found = problems(facts);
            assert_eq!(found.len(), 1, "{found:?}");
            assert!(!found[0].remedy.is_empty());
            found[0].what.clone()
        };
        assert!(
            what(&Facts {
                capabilities: Some(0),
                ..able()
            })
            .contains("privilege")
        );
        let perfmon = Some(CAP_PERFMON);
        assert!(
            what(&Facts {
                capabilities: perfmon,
                ..able()
            })
            .contains("privilege")
        );
        let lockdown = Some("confidentiality".into());
        assert!(what(&Facts { lockdown, ..able() }).contains("lockdown"));
        assert!(
            what(&Facts {
                kprobes: Kprobes::None,
                ..able()
            })
            .contains("no kprobes")
        );
        let none = Symbols::default();
        assert!(
            what(&Facts {
                symbols: none,
                ..able()
            })
            .contains("(module nfs, nfsv4)")
        );
        let symbols = kallsyms(|name| name == "nfs4_run_open_task");
        assert_eq!(
            what(&Facts { symbols, ..able() }),
            "this kernel has no function nfs4_run_open_task"
        );
        assert!(
            what(&Facts {
                kprobes: Kprobes::NoTracefs,
                ..able()
            })
            .contains("tracefs, which is not mounted")
        );
        // Who may not look into tracefs is told of the privilege alone.
        assert!(
            what(&Facts {
                kprobes: Kprobes::NoTracefs,
                capabilities: Some(0),
                ..able()
            })
            .contains("no privilege")
        );
    }

    #[test]
    fn modules_are_waited_for_only_if_nothing_else_is_in_the_way() {
        assert!(!only_modules_are_missing(&able()));
        let of_nfs = |name: &str| {
            PROBES
                .iter()
                .any(|it| it.symbol == name && it.module == "nfs")
        };
        for (symbols, missing) in [
            (Symbols::default(), &["nfs", "nfsv4"][..]),
            (kallsyms(of_nfs), &["nfs"]),
            (kallsyms(|name| !of_nfs(name)), &["nfsv4"]),
        ] {
            let facts = Facts { symbols, ..able() };
            assert_eq!(missing_modules(&facts), missing);
            assert!(only_modules_are_missing(&facts));
            let lockdown = Some("confidentiality".into());
            assert!(!only_modules_are_missing(&Facts { lockdown, ..facts }));
        }
        // The other module is there, and will not do.
        let symbols = kallsyms(|name| of_nfs(name) || name == "nfs4_file_open");
        assert!(!only_modules_are_missing(&Facts { symbols, ..able() }));
    }

    #[test]
    fn what_is_only_helpful_is_no_obstacle() {
        let capabilities = Some(CAP_BPF | CAP_PERFMON);
        let symbols = kallsyms(|name| name == "nfs_set_verifier" || name == "nfs_check_verifier");
        let lockdown = Some("integrity".into());
        assert_eq!(
            problems(&Facts {
                capabilities,
                lockdown,
                symbols,
                ..able()
            }),
            []
        );
    }

    #[test]
    fn another_function_is_enough_where_it_tells_the_same() {
        let text: String = PROBES
            .iter()
            .map(|probe| probe.names().last().unwrap_or(probe.symbol))
            .map(|symbol| format!("ffffffffc0000000 t {symbol}\t[nfsv4]\n"))
            .collect();
        let facts = Facts {
            symbols: Symbols::parse(&text, |_| true),
            ..able()
        };
        assert_eq!(problems(&facts), []);
        let lookup = PROBES
            .iter()
            .find(|probe| probe.symbol == "_nfs4_proc_lookup")
            .unwrap();
        assert_eq!(facts.resolve(lookup), ["nfs4_proc_lookup"]);
        let verifier = PROBES
            .iter()
            .find(|probe| probe.symbol == "nfs_set_verifier")
            .unwrap();
        assert_eq!(facts.resolve(verifier), [""; 0], "6.1 asks otherwise");
        let facts = Facts {
            release: "4.14.67".into(),
            ..facts
        };
        assert_eq!(facts.resolve(verifier), ["nfs4_have_delegation"]);
        let facts = facts.without(&["nfs4_have_delegation".into()]);
        assert_eq!(facts.resolve(verifier), [""; 0], "withheld");
    }
}
