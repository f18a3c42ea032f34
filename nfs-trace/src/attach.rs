//! Loads the programs, attaches every row of the table of probes, then arms them.
//!
//! Everything is held by file descriptors, so it goes with this process, however that ends; but
//! for the names of some probes on older kernels, see [`crate::kernel::leftovers`].

mod again;
mod kept;

use std::{collections::BTreeMap, thread, time::Duration};

use anyhow::Context as _;
use aya::{
    Ebpf,
    maps::{Array, HashMap, MapData, StackTraceMap},
};
use aya_log::EbpfLogger;
use nfs_trace_ebpf::config::{
    ABSENT, ARMED, CONFIG_MAP, CONFIG_SECTION, CONFIG_SIZE, Config, FILTER_DEV, FILTER_TGID,
    FILTER_TID, OFF,
};
use rustix::thread::{MembarrierCommand, membarrier};
use zerocopy::IntoBytes;

use crate::{
    counts,
    exit::{Exit, ExitError, status_of},
    kernel::{Facts, layout::Layout, leftovers::Lines, symbols::RENAME_LOCK},
    object,
    perf::Arrived,
    place::{self, Links, Placed},
    skips::{self, Skips},
    summary::KernelCounts,
    transport::{Reader, Transport},
};

/// No program runs for so long, but on a CPU that a hypervisor has stopped.
const GRACE: Duration = Duration::from_millis(20);

/// What the programs are to look at.
#[derive(Debug, Clone, Default)]
pub struct KernelFilters {
    /// Super blocks; empty for all.
    pub devs: Vec<u32>,
    /// Processes; empty for all.
    pub tgids: Vec<u32>,
    /// The first thread of a command that is to be followed.
    pub command: Option<u32>,
}

/// How to attach.
#[derive(Debug, Clone)]
pub struct Options {
    /// How records come to user space; what the kernel offers if nothing is asked for.
    pub transport: Option<Transport>,
    /// Bytes of the buffer; of those of up to four CPUs together where each has its own.
    pub buffer: u32,
    /// Take kernel stacks.
    pub stacks: bool,
    /// Attach the rows of [`nfs_trace_ebpf::probes::Need::Detail`] too.
    pub detail: bool,
}

/// The programs in place.
pub struct Attached {
    ebpf: Ebpf,
    links: Links,
    config: Config,
    options: Options,
    /// The generation of the configuration whose kept records were taken.
    kept_of: Option<u32>,
    skips: Skips,
    log: Option<EbpfLogger<&'static dyn log::Log>>,
    /// How records come to user space.
    pub transport: Transport,
    /// Probed symbol -> [`crate::session::ATTACHED`], or why not.
    pub probes: BTreeMap<String, String>,
    /// Time that the kernel took to verify and compile the programs.
    pub verify: Duration,
    /// Goes last.
    lines: Lines,
}

impl Attached {
    /// Loads and attaches; nothing is recorded yet.
    ///
    /// # Errors
    /// If the kernel refuses a required program or probe.
    pub fn new(
        facts: &Facts,
        layout: &Layout,
        filters: &KernelFilters,
        options: &Options,
    ) -> anyhow::Result<Self> {
        let mut to_try = Transport::to_try(options.transport)?.to_vec();
        if options.stacks {
            to_try.retain(|transport| *transport == Transport::Ring);
        }
        let mut refusal = None;
        for transport in to_try {
            match Self::through(transport, facts, layout, filters, options) {
                Err(error) if status_of(&error) == Exit::Failure => {
                    log::debug!("not through {}: {error:#}", transport.name());
                    refusal.get_or_insert(error);
                }
                // What the machine does not allow it allows no other way.
                done => return done,
            }
        }
        Err(refusal.unwrap_or_else(|| {
            ExitError::unavailable(
                "kernel stacks (--stack) come with the ring buffer alone, which came with Linux \
                 5.8: leave --stack out",
            )
            .into()
        }))
    }

    fn through(
        transport: Transport,
        facts: &Facts,
        layout: &Layout,
        filters: &KernelFilters,
        options: &Options,
    ) -> anyhow::Result<Self> {
        let lines = Lines::of(facts);
        let mut ebpf = object::load(transport, options.buffer, filters.command.is_some())?;
        let log = match transport {
            Transport::Ring => {
                Some(EbpfLogger::init(&mut ebpf).context("failed to open the programs' log")?)
            }
            Transport::Perf => None,
        };
        let Placed {
            probes,
            verify,
            links,
        } = place::all(&mut ebpf, facts, options.detail)?;
        // Without it, returns that are missed of threads that end then count as still running.
        if let Err(error) = place::exit(&mut ebpf, transport) {
            log::debug!("the ends of threads are not seen: {error:#}");
        }
        let mut config = config(facts, layout, options);
        if let Some(tid) = filters.command {
            place::fork(&mut ebpf, facts)?;
            config.filters |= FILTER_TID;
            insert(&mut ebpf, "TIDS", &[tid])?;
        }
        if !filters.tgids.is_empty() {
            config.filters |= FILTER_TGID;
            config.only_tgid = only(&filters.tgids);
            insert(&mut ebpf, "TGIDS", &filters.tgids)?;
        }
        if !filters.devs.is_empty() {
            config.filters |= FILTER_DEV;
            config.only_dev = only(&filters.devs);
            insert(&mut ebpf, "DEVS", &filters.devs)?;
        }
        Ok(Self {
            ebpf,
            links,
            config,
            options: options.clone(),
            kept_of: None,
            skips: Skips::default(),
            log,
            transport,
            probes,
            verify,
            lines,
        })
    }

    /// The way that records take to user space; can be taken once.
    ///
    /// # Errors
    /// If it was taken, or cannot be mapped.
    pub fn take_reader(&mut self) -> anyhow::Result<Reader> {
        Reader::open(&mut self.ebpf, self.transport, self.options.buffer)
    }

    /// From now on every open is recorded.
    ///
    /// # Errors
    /// If the map refuses.
    pub fn arm(&mut self) -> anyhow::Result<()> {
        self.skips.begin(skips::all(&self.ebpf));
        self.set(ARMED)
    }

    /// From now on none is, and no program that began before is still running: whatever was sent
    /// can be read, and the counters stand still.
    ///
    /// # Errors
    /// If the map refuses.
    pub fn disarm(&mut self) -> anyhow::Result<()> {
        self.set(OFF)?;
        // Programs run with preemption disabled, and this waits until every CPU has left such a
        // stretch (kernel/sched/membarrier.c, 4.3 and later). Refused with nohz_full.
        if membarrier(MembarrierCommand::Global).is_err() {
            thread::sleep(GRACE);
        }
        self.skips.end(skips::all(&self.ebpf));
        Ok(())
    }

    fn set(&mut self, armed: u32) -> anyhow::Result<()> {
        self.config.armed = armed;
        let name = match self.transport {
            Transport::Ring => CONFIG_SECTION,
            Transport::Perf => CONFIG_MAP,
        };
        let map = self.ebpf.map_mut(name);
        let map = map.with_context(|| format!("no map {name}"))?;
        let mut map: Array<_, [u8; CONFIG_SIZE]> = Array::try_from(map)?;
        let bytes: [u8; CONFIG_SIZE] = self
            .config
            .as_bytes()
            .try_into()
            .context("size of the configuration")?;
        map.set(0, bytes, 0)
            .context("failed to write the configuration")
    }

    /// From now on opens on these super blocks are recorded, where the kernel sorts them out.
    ///
    /// # Errors
    /// If the map refuses.
    pub fn want_devs(&mut self, devs: &[u32]) -> anyhow::Result<()> {
        if self.config.filters & FILTER_DEV == 0 {
            return Ok(());
        }
        self.config.only_dev = only(devs);
        // First what is new: nothing that is wanted goes unseen meanwhile.
        insert(&mut self.ebpf, "DEVS", devs)?;
        let map = self.ebpf.map_mut("DEVS").context("no map DEVS")?;
        let mut map: HashMap<_, u32, u8> = HashMap::try_from(map)?;
        let known = map.keys().collect::<Result<Vec<_>, _>>()?;
        for dev in known.iter().filter(|dev| !devs.contains(dev)) {
            map.remove(dev).context("failed to empty the map DEVS")?;
        }
        self.set(self.config.armed)
    }

    /// Passes rare diagnostics of the programs on to the log.
    pub fn flush_log(&mut self) {
        if let Some(log) = &mut self.log {
            log.flush();
        }
    }

    /// Addresses of a kernel stack, innermost first.
    #[must_use]
    pub fn stack(&self, id: u32) -> Option<Vec<u64>> {
        let map: StackTraceMap<&MapData> = self.ebpf.map("STACKS")?.try_into().ok()?;
        let stack = map.get(&id, 0).ok()?;
        Some(stack.frames().iter().map(|frame| frame.ip).collect())
    }

    /// Finished records that threads keep until their open ends, each thread's in their order.
    /// The programs must not be armed any more. Each is told once.
    ///
    /// # Errors
    /// If the map cannot be read.
    pub fn kept(&mut self) -> anyhow::Result<Vec<Vec<u8>>> {
        let generation = self.config.generation;
        if self.transport == Transport::Perf || self.kept_of == Some(generation) {
            return Ok(Vec::new());
        }
        self.kept_of = Some(generation);
        kept::read(&self.ebpf, generation)
    }

    /// What the programs counted, and what never arrived of it.
    ///
    /// # Errors
    /// If a map cannot be read.
    pub fn counts(&self, arrived: &[Arrived]) -> anyhow::Result<KernelCounts> {
        counts::read(&self.ebpf, self.options.detail, &self.skips, arrived)
    }
}

fn config(facts: &Facts, layout: &Layout, options: &Options) -> Config {
    let rename_lock = facts.symbols.get(RENAME_LOCK);
    Config {
        rename_lock: rename_lock.map_or(0, |lock| lock.address),
        stacks: u32::from(options.stacks),
        revalidate_dentry_arg: layout
            .revalidate_dentry_arg
            .unwrap_or_else(|| facts.revalidate_dentry_arg()),
        lookup_open: facts.lookup_flags.open,
        fork_child_pid: facts.fork_child_pid.unwrap_or(ABSENT),
        offsets: layout.for_programs(),
        ..Config::NONE
    }
}

/// The only one there is, which takes programs no look-up; 0 if there are several.
fn only(keys: &[u32]) -> u32 {
    match keys {
        [one] => *one,
        _ => 0,
    }
}

fn insert(ebpf: &mut Ebpf, name: &str, keys: &[u32]) -> anyhow::Result<()> {
    let map = ebpf
        .map_mut(name)
        .with_context(|| format!("no map {name}"))?;
    let mut map: HashMap<_, u32, u8> = HashMap::try_from(map)?;
    for key in keys {
        map.insert(key, 1, 0)
            .with_context(|| format!("failed to fill the map {name}"))?;
    }
    Ok(())
}
