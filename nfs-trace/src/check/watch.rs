//! The probes beside a check: attached, armed, and the open paths that come out.

use std::io;

use nfs_trace_ebpf::{
    abi,
    probes::{Id, PROBES},
};
use tokio::time::{Duration, sleep};

use crate::{
    attach::{Attached, KernelFilters, Options},
    clock::{monotonic_ns, realtime_offset_ns},
    decode::decode,
    event::Event,
    kernel::{Facts, layout::Layout},
    session::signals,
    summary::Lost,
    trace::{ARMING_NS, OpenPath, Tracer},
    transport::{Reader, Transport},
};

/// Bytes of the buffer.
const BUFFER: u32 = 4 << 20;

/// A trace without rows.
pub struct Watch {
    attached: Attached,
    reader: Reader,
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
        transport: Option<Transport>,
    ) -> anyhow::Result<Self> {
        let options = Options {
            transport,
            buffer: BUFFER,
            stacks: false,
            // Tells the fix level over v4.1 and later.
            detail: true,
        };
        let mut attached = Attached::new(&facts, layout, filters, &options)?;
        let reader = attached.take_reader()?;
        attached.arm()?;
        let tracer = Tracer::new(signals(&attached.probes), monotonic_ns());
        sleep(Duration::from_nanos(ARMING_NS)).await;
        Ok(Self {
            attached,
            reader,
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
        Ok(self.reader.ready().await?)
    }

    /// Takes what is in the buffer. `event` sees every record, `path` every open that
    /// ends. Returns whether there was anything.
    pub fn drain(
        &mut self,
        event: impl FnMut(&Event),
        path: &mut impl FnMut(OpenPath),
    ) -> anyhow::Result<bool> {
        self.take(Reader::drain, event, path)
    }

    /// Takes all that was sent before now.
    pub fn drain_until_now(
        &mut self,
        event: impl FnMut(&Event),
        path: &mut impl FnMut(OpenPath),
    ) -> anyhow::Result<()> {
        self.take(Reader::drain_until_now, event, path)
    }

    fn take<T>(
        &mut self,
        drain: impl FnOnce(&mut Reader, &mut dyn FnMut(&[u8]) -> io::Result<()>) -> io::Result<T>,
        mut event: impl FnMut(&Event),
        path: &mut impl FnMut(OpenPath),
    ) -> anyhow::Result<T> {
        let Self {
            reader,
            tracer,
            facts,
            undecodable,
            ..
        } = self;
        let taken = drain(reader, &mut |entry| {
            for record in abi::records(entry) {
                match decode(record, facts.lookup_flags) {
                    Ok(decoded) => {
                        event(&decoded);
                        tracer.push(decoded, &mut |ended| path(ended.clone()));
                    }
                    Err(_) => *undecodable += 1,
                }
            }
            Ok(())
        })?;
        self.attached.flush_log();
        Ok(taken)
    }

    /// Disarms and takes the rest.
    ///
    /// # Errors
    /// If the counters cannot be read.
    pub fn end(mut self) -> anyhow::Result<End> {
        self.attached.disarm()?;
        let mut paths = Vec::new();
        let kept = self.attached.kept()?;
        self.take(
            |reader, take| reader.drain_rest(&kept, take),
            |_| {},
            &mut |path| paths.push(path),
        )?;
        let counts = self.attached.counts(&self.reader.arrived())?;
        let lost = counts.lost(self.undecodable);
        self.tracer
            .finish(!lost.is_nothing(), &mut |path| paths.push(path.clone()));
        let hits = |program| counts.programs.get(program).map_or(0, |it| it.hits);
        let inode_checks = hits(PROBES[Id::InodeCheck as usize].program) > 0;
        Ok(End {
            paths,
            lost,
            inode_checks,
        })
    }
}
