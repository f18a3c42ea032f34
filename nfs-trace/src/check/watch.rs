//! The probes beside a check: attached, armed, and the open paths that come out.

use anyhow::Context as _;
use aya::maps::{MapData, RingBuf};
use nfs_trace_ebpf::probes::{Id, PROBES};
use tokio::{
    io::unix::AsyncFd,
    time::{Duration, sleep},
};

use crate::{
    attach::{Attached, KernelFilters, Options},
    clock::{monotonic_ns, realtime_offset_ns},
    decode::decode,
    event::Event,
    kernel::{Facts, layout::Layout},
    poll,
    session::signals,
    summary::Lost,
    trace::{ARMING_NS, OpenPath, Tracer},
};

/// Bytes of the ring buffer.
const BUFFER: u32 = 4 << 20;
/// Most records of one drain, so that signals are heard under any load.
const AT_ONCE: usize = 1 << 16;

/// A trace without rows.
pub struct Watch {
    attached: Attached,
    ring: AsyncFd<RingBuf<MapData>>,
    tracer: Tracer,
    facts: Facts,
    undecodable: u64,
    /// CLOCK_REALTIME minus CLOCK_MONOTONIC, ns.
    pub clock_offset_ns: i64,
}

/// What the end of a watch brings.
pub struct End {
    /// Paths that were still pending.
    pub paths: Vec<OpenPath>,
    /// What is missing.
    pub lost: Lost,
    /// The program on nfs_lookup_verify_inode ran, for whomever: so that it did not run for
    /// an open means something. (A compiler may have inlined the function.)
    pub inode_checks: bool,
}

impl Watch {
    /// Attaches and arms; when it returns, every open from then on is seen.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub async fn start(
        facts: Facts,
        layout: &Layout,
        filters: &KernelFilters,
    ) -> anyhow::Result<Self> {
        let options = Options {
            buffer: BUFFER,
            stacks: false,
            // Tells the fix level over v4.1 and later.
            detail: true,
        };
        let mut attached = Attached::new(&facts, layout, filters, &options)?;
        let ring = poll::ring(attached.take_ring()?).context("failed to poll the ring buffer")?;
        attached.arm(true)?;
        let tracer = Tracer::new(signals(&attached.probes), monotonic_ns());
        sleep(Duration::from_nanos(ARMING_NS)).await;
        Ok(Self {
            attached,
            ring,
            tracer,
            facts,
            undecodable: 0,
            clock_offset_ns: realtime_offset_ns(),
        })
    }

    /// Waits until there is something to drain.
    ///
    /// # Errors
    /// If the buffer cannot be polled.
    pub async fn readable(&mut self) -> anyhow::Result<()> {
        self.ring.readable_mut().await?.clear_ready();
        Ok(())
    }

    /// Takes what is in the buffer. `event` sees every record, `path` every open that
    /// ends. Returns whether there was anything.
    pub fn drain(
        &mut self,
        mut event: impl FnMut(&Event),
        path: &mut impl FnMut(OpenPath),
    ) -> bool {
        let mut any = false;
        for _ in 0..AT_ONCE {
            let Some(record) = self.ring.get_mut().next() else {
                break;
            };
            any = true;
            match decode(&record, self.facts.lookup_flags) {
                Ok(decoded) => {
                    event(&decoded);
                    self.tracer.push(decoded, path);
                }
                Err(_) => self.undecodable += 1,
            }
        }
        if any {
            self.attached.flush_log();
        }
        any
    }

    /// Disarms and takes the rest.
    ///
    /// # Errors
    /// If the counters cannot be read.
    pub fn end(mut self) -> anyhow::Result<End> {
        self.attached.arm(false)?;
        let mut paths = Vec::new();
        while self.drain(|_| {}, &mut |path| paths.push(path)) {}
        let counts = self.attached.counts()?;
        let lost = counts.lost(self.undecodable);
        self.tracer
            .finish(!lost.is_nothing(), &mut |path| paths.push(path));
        let hits = |program| counts.programs.get(program).map_or(0, |it| it.hits);
        let inode_checks = hits(PROBES[Id::InodeCheck as usize].program) > 0;
        Ok(End {
            paths,
            lost,
            inode_checks,
        })
    }
}
