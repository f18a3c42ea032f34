//! The records of a perf event array: a buffer for each CPU, read one after the other and
//! put into the order of time.
//!
//! The kernel wakes whoever waits at every sample (aya asks for that: its buffers have no
//! watermark). So that a busy kernel does not wake us each time, we wait only when nothing is
//! left to read and nothing is held back: the buffers are in an epoll of their own, which the
//! runtime knows only meanwhile.

use std::{
    io,
    ops::ControlFlow,
    os::fd::{AsFd as _, OwnedFd},
    time::Duration,
};

use anyhow::Context as _;
use aya::{
    maps::{
        MapData, PerfEventArray,
        perf::{PerfEvent, PerfEventArrayBuffer},
    },
    util::online_cpus,
};
use nfs_trace_ebpf::abi;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use tokio::time::sleep;

use crate::{
    clock::monotonic_ns,
    order::{HOLD_NS, Order, end_ns},
    poll,
};

/// What one CPU delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrived {
    /// The CPU.
    pub cpu: u32,
    /// Records that arrived.
    pub records: u64,
    /// Records that the kernel says found no room (PERF_RECORD_LOST). It says so with the
    /// next one that does.
    pub lost: u64,
}

struct Buffer {
    buffer: PerfEventArrayBuffer<MapData>,
    arrived: Arrived,
}

/// The buffers of all CPUs.
pub struct PerfReader {
    buffers: Vec<Buffer>,
    /// An epoll of them all: ready when one of them is.
    epoll: OwnedFd,
    order: Order,
}

/// The buffer size asked for is divided among so many CPUs at most. What has to fit between
/// two drains comes from each CPU by itself, so with more of them there is more in all.
const SHARED_BY: usize = 4;

impl PerfReader {
    /// Opens a buffer for each CPU; those of [`SHARED_BY`] of them have about `bytes`.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub fn new(mut array: PerfEventArray<MapData>, bytes: u32) -> anyhow::Result<Self> {
        let cpus = online_cpus()
            .map_err(|(file, error)| error_of(file, &error))
            .context("failed to list the CPUs")?;
        let share = bytes as usize / cpus.len().clamp(1, SHARED_BY);
        let pages = pages(share, rustix::param::page_size());
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let mut buffers = Vec::new();
        for cpu in cpus {
            let buffer = array
                .open(cpu, Some(pages))
                .with_context(|| format!("failed to open the perf buffer of CPU {cpu}"))?;
            epoll::add(
                &epoll,
                buffer.as_fd(),
                EventData::new_u64(0),
                EventFlags::IN,
            )?;
            let arrived = Arrived {
                cpu,
                records: 0,
                lost: 0,
            };
            buffers.push(Buffer { buffer, arrived });
        }
        Ok(Self {
            buffers,
            epoll,
            order: Order::default(),
        })
    }

    /// Waits until there is something to take.
    ///
    /// # Errors
    /// If the buffers cannot be polled.
    pub async fn ready(&mut self) -> io::Result<()> {
        if let Some(next_ns) = self.order.next_ns() {
            let wait = (next_ns + HOLD_NS).saturating_sub(monotonic_ns());
            sleep(Duration::from_nanos(wait)).await;
            return Ok(());
        }
        let waiting = poll::descriptor(self.epoll.try_clone()?)?;
        // Only what comes from here on is sure to wake us.
        if !self.buffers.iter().any(|one| one.buffer.readable()) {
            let _ = waiting.readable().await?;
        }
        Ok(())
    }

    /// Takes what is there, `most` records of each CPU, but for what has to wait for its
    /// turn. Returns whether there was anything.
    ///
    /// # Errors
    /// What `take` returns.
    pub fn drain(
        &mut self,
        most: usize,
        take: &mut dyn FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<bool> {
        let began_ns = monotonic_ns();
        let mut any = self.read(most);
        while let Some(record) = self.order.pop(began_ns) {
            any = true;
            take(&record)?;
        }
        Ok(any)
    }

    /// Takes all there is: nothing is added any more.
    ///
    /// # Errors
    /// What `take` returns.
    pub fn drain_rest(&mut self, take: &mut dyn FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        while self.read(usize::MAX) {}
        while let Some(record) = self.order.pop_any() {
            take(&record)?;
        }
        Ok(())
    }

    /// What each CPU delivered so far.
    #[must_use]
    pub fn arrived(&self) -> Vec<Arrived> {
        self.buffers.iter().map(|one| one.arrived).collect()
    }

    fn read(&mut self, most: usize) -> bool {
        let mut any = false;
        for Buffer { buffer, arrived } in &mut self.buffers {
            let (mut left, mut last_ns) = (most, 0);
            let end = buffer.try_fold((), |(), event| {
                match event {
                    PerfEvent::Lost { count } => arrived.lost += count,
                    PerfEvent::Sample { head, tail } => {
                        let record = unpadded([head, tail].concat());
                        last_ns = end_ns(&record);
                        arrived.records += 1;
                        any = true;
                        self.order.push(record);
                    }
                }
                left -= 1;
                if left > 0 {
                    ControlFlow::Continue(())
                } else {
                    ControlFlow::Break(())
                }
            });
            self.order.read(arrived.cpu, end.is_continue(), last_ns);
        }
        any
    }
}

fn error_of(file: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{file}: {error}"))
}

/// The record of a sample: the kernel pads samples to multiples of eight bytes, less four
/// (perf_prepare_sample(), kernel/events/core.c).
fn unpadded(mut sample: Vec<u8>) -> Box<[u8]> {
    let len = abi::records(&sample).next().map_or(0, <[u8]>::len);
    sample.truncate(len);
    sample.into()
}

/// Pages of a buffer of at most `bytes`, a power of two; one at least.
fn pages(bytes: usize, page: usize) -> usize {
    let pages = bytes / page;
    match pages.checked_ilog2() {
        Some(bits) => 1 << bits,
        None => 1,
    }
}

#[cfg(test)]
mod tests {
    use nfs_trace_ebpf::abi::{Lookup, RecordHeader, RecordKind};
    use zerocopy::{FromZeros as _, IntoBytes as _};

    use super::*;

    #[test]
    fn a_buffer_has_a_power_of_two_of_pages_and_never_none() {
        assert_eq!(pages(4 << 20, 4096), 1024);
        assert_eq!(pages((4 << 20) / 3, 4096), 256);
        assert_eq!(pages(4096, 4096), 1);
        assert_eq!(pages(1000, 4096), 1);
        assert_eq!(pages(0, 4096), 1);
    }

    #[test]
    fn a_sample_is_a_record_and_what_it_was_padded_with() {
        let mut header = RecordHeader::new_zeroed();
        header.kind = RecordKind::Lookup as u8;
        let record = [header.as_bytes(), Lookup::new_zeroed().as_bytes()].concat();
        let padded = [&*record, &[0; 4]].concat();
        assert_eq!(*unpadded(padded), *record);
        assert_eq!(*unpadded(record.clone()), *record);
        // What is none stays what it is.
        let odd = &record[..35];
        assert_eq!(*unpadded(odd.to_vec()), *odd);
        assert!(unpadded(Vec::new()).is_empty());
    }
}
