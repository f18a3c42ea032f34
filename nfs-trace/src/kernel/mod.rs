//! What this kernel is and offers: facts only. The rules that follow from them are in
//! [`preflight`], the offsets in [`layout`] and [`table`].

pub mod btf;
pub mod candidates;
pub mod layout;
pub mod lookup_flags;
pub mod preflight;
pub mod symbols;
pub mod table;

use std::{
    fs,
    path::{Path, PathBuf},
};

use nfs_trace_ebpf::probes::{PROBES, Probe};

use self::{lookup_flags::LookupFlags, symbols::Symbols};

/// Everything that is asked of the machine before anything is loaded.
#[derive(Debug, Clone)]
pub struct Facts {
    /// `6.1.0-56-amd64`
    pub release: String,
    /// Effective capabilities; nothing if /proc does not tell.
    pub capabilities: Option<u64>,
    /// Kernel lockdown in force: `none`, `integrity`, `confidentiality`.
    pub lockdown: Option<String>,
    /// Kprobes can be attached: the perf PMU (4.17 and later) is there.
    pub kprobe_pmu: bool,
    /// Where tracefs is mounted.
    pub tracefs: Option<PathBuf>,
    /// Of the table of probes and of [`symbols::TELLING`], the functions that this kernel has.
    pub symbols: Symbols,
    /// LOOKUP_* numbers.
    pub lookup_flags: LookupFlags,
    /// Where those come from.
    pub lookup_flags_source: &'static str,
    /// Offset of child_pid in sched:sched_process_fork.
    pub fork_child_pid: Option<u32>,
}

impl Facts {
    /// Asks the running machine. Never fails: what cannot be read is not there.
    #[must_use]
    pub fn gather() -> Self {
        let release = rustix::system::uname()
            .release()
            .to_string_lossy()
            .into_owned();
        let tracefs = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"]
            .into_iter()
            .map(PathBuf::from)
            .find(|path| path.join("events").is_dir());
        let format = |event: &str| {
            let path = tracefs.as_ref()?.join("events").join(event).join("format");
            fs::read_to_string(path).ok()
        };
        let (lookup_flags, lookup_flags_source) = format("nfs/nfs_lookup_revalidate_enter")
            .and_then(|text| LookupFlags::from_format(&text))
            .map_or_else(
                || (LookupFlags::from_release(version(&release)), "release"),
                |flags| (flags, "tracepoint format"),
            );
        let symbols = Symbols::read(|name| {
            PROBES
                .iter()
                .any(|probe| probe.symbol == name || probe.fallbacks.contains(&name))
                || symbols::is_telling(name)
        });
        Self {
            capabilities: fs::read_to_string("/proc/self/status")
                .ok()
                .and_then(|text| capabilities(&text)),
            lockdown: fs::read_to_string("/sys/kernel/security/lockdown")
                .ok()
                .and_then(|text| chosen(&text)),
            kprobe_pmu: Path::new("/sys/bus/event_source/devices/kprobe/type").exists(),
            symbols: symbols.unwrap_or_default(),
            lookup_flags,
            lookup_flags_source,
            fork_child_pid: format("sched/sched_process_fork")
                .and_then(|text| field_offset(&text, "child_pid")),
            tracefs,
            release,
        }
    }

    /// The symbol to probe for a row of the table: its own, or the first fallback
    /// that is there.
    #[must_use]
    pub fn resolve(&self, probe: &Probe) -> Option<&'static str> {
        std::iter::once(probe.symbol)
            .chain(probe.fallbacks.iter().copied())
            .find(|symbol| self.symbols.get(symbol).is_some())
    }

    /// Position of the dentry in nfs4_lookup_revalidate's arguments by release, for
    /// kernels whose BTF does not tell: 2 since 5be1fa8abd7b ("Pass parent directory
    /// inode and expected name to ->d_revalidate()", 6.14), 0 before.
    #[must_use]
    pub fn revalidate_dentry_arg(&self) -> u32 {
        if self.version() >= (6, 14) { 2 } else { 0 }
    }

    /// (6, 1)
    #[must_use]
    pub fn version(&self) -> (u32, u32) {
        version(&self.release)
    }
}

/// `6.1.0-56-amd64` -> (6, 1)
fn version(release: &str) -> (u32, u32) {
    let mut numbers = release
        .split(['.', '-', '+'])
        .map_while(|part| part.parse().ok());
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

/// `CapEff:` of /proc/PID/status.
fn capabilities(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(line.trim(), 16).ok()
}

/// The word in brackets of `none [integrity] confidentiality`.
fn chosen(text: &str) -> Option<String> {
    let (_, after) = text.split_once('[')?;
    Some(after.split_once(']')?.0.to_string())
}

/// `field:pid_t child_pid;\toffset:44;\tsize:4;` -> 44
fn field_offset(format: &str, name: &str) -> Option<u32> {
    let line = format
        .lines()
        .find(|line| line.contains(&format!(" {name};")))?;
    let (_, after) = line.split_once("offset:")?;
    after.split_once(';')?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_files_of_the_kernel_are_read() {
        assert_eq!(version("6.1.0-56-amd64"), (6, 1));
        assert_eq!(version("6.12.117+deb12-amd64"), (6, 12));
        assert_eq!(version("7"), (7, 0));
        assert_eq!(version("odd"), (0, 0));
        assert_eq!(
            capabilities("Name:\tx\nCapEff:\t000001ffffffffff\n"),
            Some(0x1ff_ffff_ffff)
        );
        assert_eq!(
            chosen("none [integrity] confidentiality\n").as_deref(),
            Some("integrity")
        );
        let format = "\tfield:char child_comm[16];\toffset:28;\tsize:16;\tsigned:0;\n\
                      \tfield:pid_t child_pid;\toffset:44;\tsize:4;\tsigned:1;\n";
        assert_eq!(field_offset(format, "child_pid"), Some(44));
        assert_eq!(field_offset(format, "parent_pid"), None);
    }
}
