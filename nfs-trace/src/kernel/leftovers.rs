//! Some probes are lines of tracefs' kprobe_events ([`Facts::kprobe_events`]), which do not go
//! with their owner: they are removed at the end, and what was left by one that was killed, at
//! the next start.

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    path::{Path, PathBuf},
    process,
};

use nfs_trace_ebpf::probes::{EXIT_FUNCTION, LAYOUT_SYMBOLS, PROBES, Probe};

use super::Facts;

/// Sees to the lines of this process, and of nfs-trace processes that are no more. Is to be
/// dropped after what holds the probes: aya (0.14) asks for a line's removal before it lets go
/// of the probe, which the kernel refuses (EBUSY).
pub struct Lines(Option<PathBuf>);

impl Lines {
    /// Removes what others have left. What is in use the kernel does not let go, and what
    /// remains does no harm: failures are for `-v` alone.
    #[must_use]
    pub fn of(facts: &Facts) -> Self {
        let this = Self(facts.kprobe_events());
        this.remove(|pid| Path::new("/proc").join(pid).exists());
        this
    }

    /// Removes those of this process that hold no probe any more.
    pub fn let_go(&self) {
        let own = process::id().to_string();
        self.remove(|pid| pid != own);
    }

    fn remove(&self, keep: impl Fn(&str) -> bool) {
        let Self(Some(path)) = self else {
            return;
        };
        let Ok(text) = fs::read_to_string(path) else {
            return;
        };
        for event in left(&text, keep) {
            let removed = OpenOptions::new()
                .append(true)
                .open(path)
                .and_then(|mut file| file.write_all(format!("-:{event}\n").as_bytes()));
            if let Err(error) = removed {
                log::debug!("the probe {event} stays in kprobe_events: {error}");
            }
        }
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        self.let_go();
    }
}

/// The events (`group/name`) of our functions whose owner's pid is not to be kept. The loader
/// calls them `kprobes/aya_PID_p_FUNCTION_0x0_N`.
fn left(text: &str, keep: impl Fn(&str) -> bool) -> Vec<&str> {
    let ours = |function: &str| {
        PROBES
            .iter()
            .flat_map(Probe::names)
            .chain(LAYOUT_SYMBOLS)
            .chain([EXIT_FUNCTION])
            .any(|name| function.starts_with(name))
    };
    text.lines()
        .filter_map(|line| {
            let (head, _) = line.split_once(' ')?;
            let (_, event) = head.split_once(':')?;
            let (pid, rest) = event.strip_prefix("kprobes/aya_")?.split_once('_')?;
            let function = rest
                .strip_prefix("p_")
                .or_else(|| rest.strip_prefix("r_"))?;
            (ours(function) && !keep(pid)).then_some(event)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_dead_processes_left_of_ours_goes() {
        let text = "p:kprobes/aya_100_p_nfs4_file_open_0x0_3 nfs4_file_open\n\
            r:kprobes/aya_100_r_nfs4_file_open_0x0_2 nfs4_file_open\n\
            p:kprobes/aya_200_p_nfs4_open_done_0x0_0 nfs4_open_done\n\
            p:kprobes/aya_100_p_vfs_read_0x0_0 vfs_read\n\
            r8:kprobes/aya_100_r_nfs_check_verifier_isra_0_0x0_1 nfs_check_verifier.isra.0\n\
            p:kprobes/myprobe nfs4_file_open\n\
            p:mine/aya_100_p_nfs4_file_open_0x0_3 nfs4_file_open\n\
            odd\n";
        assert_eq!(
            left(text, |pid| pid == "200"),
            [
                "kprobes/aya_100_p_nfs4_file_open_0x0_3",
                "kprobes/aya_100_r_nfs4_file_open_0x0_2",
                "kprobes/aya_100_r_nfs_check_verifier_isra_0_0x0_1",
            ]
        );
    }
}
