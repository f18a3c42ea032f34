//! Runs of programs that the kernel skipped while opens were recorded, and only then.
//!
//! A kernel does not run a program on a CPU on which another is running, nor one on which a
//! task is at a map in bpf(2) (bpf_disable_instrumentation(), include/linux/bpf.h): if that task
//! is preempted there, whoever runs meanwhile is not seen. So with CONFIG_PREEMPT what this
//! process reads at the end, thousands of values, costs runs that were not to record anything.

use std::{
    fs,
    os::fd::{AsFd as _, AsRawFd as _},
};

use aya::{Ebpf, programs::Program};

/// Which of the runs that were skipped count. At first nothing is recorded.
#[derive(Debug, Default)]
pub struct Skips {
    recording: bool,
    /// Skipped while nothing was recorded.
    idle: u64,
    /// All that were skipped up to when recording last ended.
    ended: u64,
}

impl Skips {
    /// From here on they count. `all`: see [`all`].
    pub fn begin(&mut self, all: u64) {
        if !self.recording {
            self.recording = true;
            self.idle += all.saturating_sub(self.ended);
        }
    }

    /// From here on they do not.
    pub fn end(&mut self, all: u64) {
        if self.recording {
            self.recording = false;
            self.ended = all;
        }
    }

    /// Those that count.
    #[must_use]
    pub fn counted(&self, all: u64) -> u64 {
        let until = if self.recording { all } else { self.ended };
        until.saturating_sub(self.idle)
    }
}

/// Runs of all programs that were skipped since they were loaded: recursion_misses of their
/// fdinfo (bpf_prog_show_fdinfo(), kernel/bpf/syscall.c, 5.12 and later), 0 where there is none.
#[must_use]
pub fn all(ebpf: &Ebpf) -> u64 {
    let programs = ebpf.programs();
    programs.filter_map(|(_, program)| of(program)).sum()
}

fn of(program: &Program) -> Option<u64> {
    let fd = program.fd().ok()?.as_fd().as_raw_fd();
    let text = fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("recursion_misses:"))?;
    line.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_skipped_while_recording_counts() {
        let mut skips = Skips::default();
        assert_eq!(skips.counted(3), 0, "attaching");
        skips.begin(3);
        assert_eq!(skips.counted(3), 0);
        assert_eq!(skips.counted(5), 2);
        skips.end(5);
        assert_eq!(skips.counted(900), 2, "what is kept is read");
        skips.begin(900);
        assert_eq!(skips.counted(901), 3);
        // The client's modules go, and children of a command are followed on.
        skips.begin(902);
        assert_eq!(skips.counted(902), 4);
        skips.end(902);
        skips.end(950);
        assert_eq!(skips.counted(999), 4);
    }
}
