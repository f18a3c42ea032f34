//! What this kernel is and offers: facts only. The rules that follow from them are in
//! [`preflight`], the offsets in [`layout`] and [`table`].

pub mod btf;
pub mod candidates;
pub mod layout;
pub mod leftovers;
pub mod lookup_flags;
pub mod preflight;
pub mod symbols;
pub mod table;

use std::{
    fs,
    path::{Path, PathBuf},
};

use aya::util::KernelVersion;
use nfs_trace_ebpf::probes::{Other, PROBES, Probe};

use self::{lookup_flags::LookupFlags, symbols::Symbols};

/// How kprobes are attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kprobes {
    /// Through the perf PMU (e12f03d7031a, 4.17).
    Pmu,
    /// Through kprobe_events of tracefs, before there was the PMU.
    Tracefs,
    /// The same, and tracefs is not mounted or may not be looked into.
    NoTracefs,
    /// There are none.
    None,
}

/// Everything that is asked of the machine before anything is loaded.
#[derive(Debug, Clone)]
pub struct Facts {
    /// `6.1.0-56-amd64`
    pub release: String,
    /// Effective capabilities; nothing if /proc does not tell.
    pub capabilities: Option<u64>,
    /// Kernel lockdown in force: `none`, `integrity`, `confidentiality`.
    pub lockdown: Option<String>,
    /// How kprobes are attached.
    pub kprobes: Kprobes,
    /// Where tracefs is mounted.
    pub tracefs: Option<PathBuf>,
    /// Of the table of probes and of [`symbols::TELLING`], the functions that this kernel has.
    pub symbols: Symbols,
    /// LOOKUP_* numbers.
    pub lookup_flags: LookupFlags,
    /// Names of [`PROBES`], and of [`nfs_trace_ebpf::probes::CACHED`], that are to be taken as
    /// not there.
    pub withheld: Vec<String>,
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
        let symbols = Symbols::read(|symbol| {
            let made_of = |name| symbols::is_made_of(symbol, name);
            PROBES.iter().flat_map(Probe::names).any(made_of)
                || symbols::is_telling(symbol)
                || symbol == symbols::RENAME_LOCK
        });
        let kprobes = kprobes(tracefs.as_deref());
        Self {
            capabilities: fs::read_to_string("/proc/self/status")
                .ok()
                .and_then(|text| capabilities(&text)),
            lockdown: fs::read_to_string("/sys/kernel/security/lockdown")
                .ok()
                .and_then(|text| chosen(&text)),
            kprobes,
            symbols: symbols.unwrap_or_default(),
            lookup_flags,
            lookup_flags_source,
            fork_child_pid: format("sched/sched_process_fork")
                .and_then(|text| field_offset(&text, "child_pid")),
            withheld: Vec::new(),
            tracefs,
            release,
        }
    }

    /// The same machine without these probes.
    #[must_use]
    pub fn without(self, withheld: &[String]) -> Self {
        let withheld = withheld.to_vec();
        Self { withheld, ..self }
    }

    /// The symbols to probe for a row of the table: its own function's, or those of the first
    /// of the others that is there. Several where the compiler has made clones of it.
    #[must_use]
    pub fn resolve(&self, probe: &Probe) -> Vec<&str> {
        let own = Other {
            symbol: probe.symbol,
            before: None,
        };
        std::iter::once(&own)
            .chain(probe.others)
            .filter(|other| other.before.is_none_or(|before| self.version() < before))
            .filter(|other| !self.withheld.iter().any(|name| name == other.symbol))
            .map(|other| self.symbols.as_good_as(other.symbol, probe.takes))
            .find(|symbols| !symbols.is_empty())
            .unwrap_or_default()
    }

    /// Where probes are lines of a file, all of them or those on returns: kprobe_events.
    #[must_use]
    pub fn kprobe_events(&self) -> Option<PathBuf> {
        let by_line = self.kprobes == Kprobes::Tracefs || self.gives_returns_few_instances();
        let path = self.tracefs.as_ref()?.join("kprobe_events");
        (by_line && path.exists()).then_some(path)
    }

    /// By release: whether a kretprobe that is not told otherwise has one instance for each CPU,
    /// if the kernel is built without CONFIG_PREEMPT (register_kretprobe(), kernel/kprobes.c,
    /// before 3b7ddab8a19a in 6.2 and 6.1.3).
    fn gives_returns_few_instances(&self) -> bool {
        self.version() < (6, 1)
    }

    /// Whether there is a tracepoint of this category and name, and it is not withheld.
    #[must_use]
    pub fn has_event(&self, category: &str, name: &str) -> bool {
        let events = self.tracefs.as_ref().map(|path| path.join("events"));
        !self.withheld.iter().any(|it| it == name)
            && events.is_some_and(|path| path.join(category).join(name).join("id").exists())
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

/// aya (0.14) goes through tracefs where it knows the kernel to be older than 4.17, and where it
/// cannot read its version (seen: Debian's `7.3~rc7-1~exp1`).
fn kprobes(tracefs: Option<&Path>) -> Kprobes {
    let first = KernelVersion::new(4, 17, 0);
    if KernelVersion::current().is_ok_and(|version| version >= first) {
        if Path::new("/sys/bus/event_source/devices/kprobe/type").exists() {
            return Kprobes::Pmu;
        }
        return Kprobes::None;
    }
    match tracefs {
        Some(path) if path.join("kprobe_events").exists() => Kprobes::Tracefs,
        Some(_) => Kprobes::None,
        None => Kprobes::NoTracefs,
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
