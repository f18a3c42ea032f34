//! The kernel said no: whose matter it is, and what of its reasons to show.

use anyhow::anyhow;
use aya::programs::ProgramError;
use rustix::{
    io::Errno,
    process::{Resource, getrlimit},
};

use crate::exit::ExitError;

/// The error to show for the kernel's: EPERM is the machine's matter, and so is EACCES where it is
/// not the verifier's; anything else (what the verifier has to say above all) is ours.
#[must_use]
pub fn refused(what: &str, error: impl Into<anyhow::Error>) -> anyhow::Error {
    let error = error.into();
    let mut cause = Some(error.as_ref() as &(dyn std::error::Error + 'static));
    let mut log = String::new();
    while let Some(current) = cause {
        let errno = current
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::raw_os_error);
        if errno == Some(Errno::PERM.raw_os_error()) {
            return ExitError::unavailable(format!(
                "the kernel does not allow {what}: run it as root, outside a container, and \
                 without kernel lockdown{}",
                locked_memory(getrlimit(Resource::Memlock).current)
            ))
            .into();
        }
        // perf_event_open(2), on Debian's kernels without CAP_SYS_ADMIN.
        if errno == Some(Errno::ACCESS.raw_os_error()) && log.is_empty() {
            return ExitError::unavailable(format!(
                "the kernel does not allow {what}: run it as root or with CAP_SYS_ADMIN; \
                 CAP_BPF and CAP_PERFMON are enough here only if the sysctl kernel.perf_event_paranoid \
                 is at most 2"
            ))
            .into();
        }
        if let Some(ProgramError::LoadError { verifier_log, .. }) = current.downcast_ref() {
            log = verifier_log.to_string();
        }
        cause = current.source();
    }
    if log.is_empty() {
        return error.context(format!("failed to load or attach {what}"));
    }
    by_verifier(what, &log)
}

/// What more is needed while locked memory is limited, to which maps counted before 5.11
/// (bpf_charge_memlock(), kernel/bpf/syscall.c). With CAP_SYS_RESOURCE it is not, by then.
fn locked_memory(bytes: Option<u64>) -> String {
    let before = |bytes| {
        format!("; before Linux 5.11 also with `ulimit -l unlimited` (it is {bytes} bytes)")
    };
    bytes.map(before).unwrap_or_default()
}

fn by_verifier(what: &str, log: &str) -> anyhow::Error {
    // Lockdown takes the helpers that read kernel memory away from programs; the second
    // wording is seen on 6.12.
    let refusals = ["unknown func", "cannot use helper"];
    if refusals
        .iter()
        .any(|words| log.contains(&format!("{words} bpf_probe_read#")))
    {
        return ExitError::unavailable(format!(
            "kernel lockdown is in confidentiality mode, which forbids {what} to read kernel \
             memory: boot without lockdown=confidentiality"
        ))
        .into();
    }
    let log = last_lines(log);
    anyhow!("the kernel's verifier refuses {what}; please report this with its last words:\n{log}")
}

/// The verifier's reason is at the end of a log that may have thousands of lines.
fn last_lines(log: &str) -> String {
    const KEPT: usize = 24;
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(KEPT)..].join("\n")
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::exit::{Exit, status_of};

    #[test]
    fn of_what_the_verifier_says_the_end_is_shown() {
        let lines: Vec<String> = (0..1000).map(|line| format!("{line}: (b7) r0")).collect();
        let error = by_verifier("the program x", &lines.join("\n"));
        let shown = error.to_string();
        assert!(shown.contains("refuses the program x"), "{shown}");
        assert!(shown.ends_with("999: (b7) r0"), "{shown}");
        assert_eq!(shown.lines().count(), 25);
        assert_eq!(status_of(&error), Exit::Failure);
    }

    #[test]
    fn what_is_not_allowed_is_the_machines_matter() {
        let error = io::Error::from_raw_os_error(Errno::PERM.raw_os_error());
        assert_eq!(status_of(&refused("a map", error)), Exit::Unavailable);
        assert_eq!(locked_memory(None), "");
        assert!(locked_memory(Some(65536)).contains("ulimit -l unlimited` (it is 65536 bytes)"));
        let error = io::Error::from_raw_os_error(Errno::ACCESS.raw_os_error());
        let error = refused("the probe", error);
        assert_eq!(status_of(&error), Exit::Unavailable);
        assert!(error.to_string().contains("perf_event_paranoid"), "{error}");
        let lockdown = "12: (85) call bpf_probe_read#4\nunknown func bpf_probe_read#4\n";
        assert_eq!(status_of(&by_verifier("it", lockdown)), Exit::Unavailable);
        let other = io::Error::from_raw_os_error(Errno::NOENT.raw_os_error());
        assert_eq!(status_of(&refused("it", other)), Exit::Failure);
    }
}
