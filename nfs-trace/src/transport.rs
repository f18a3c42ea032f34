//! How records come from the programs: through a ring buffer, or where the kernel has none
//! (before 5.8), through perf event arrays. Which it is, nothing after this file knows.

use std::{io, thread, time::Duration};

use anyhow::Context as _;
use aya::{
    Ebpf,
    maps::{MapData, MapType, PerfEventArray, RingBuf},
    sys::is_map_supported,
};
use clap::ValueEnum;
use rustix::process::{Resource, Rlimit, setrlimit};
use tokio::io::unix::AsyncFd;

use crate::{
    exit::ExitError,
    order::HOLD_NS,
    perf::{Arrived, PerfReader},
    poll,
    refusal::refused,
};

/// Most entries of one drain (of one CPU), so that signals are heard under any load.
const AT_ONCE: usize = 1 << 16;

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Transport {
    /// A ring buffer (5.8 and later).
    Ring,
    /// A perf event array (4.4 and later).
    Perf,
}

impl Transport {
    /// Those to try, the better one first: what was asked for, or what this kernel has.
    ///
    /// # Errors
    /// If the kernel has not what was asked for, or does not let us ask.
    pub fn to_try(asked: Option<Self>) -> anyhow::Result<&'static [Self]> {
        allow_maps();
        match (asked, has_ring()?) {
            (Some(Self::Ring), true) => Ok(&[Self::Ring]),
            (Some(Self::Ring), false) => Err(ExitError::unavailable(
                "this kernel has no BPF ring buffer, which came with Linux 5.8: leave \
                 `--transport ring` out",
            )
            .into()),
            (Some(Self::Perf), _) | (None, false) => Ok(&[Self::Perf]),
            (None, true) => Ok(&[Self::Ring, Self::Perf]),
        }
    }

    /// Its name on the command line and in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ring => "ring",
            Self::Perf => "perf",
        }
    }
}

/// Whether the kernel makes ring buffers, found by making one.
fn has_ring() -> anyhow::Result<bool> {
    match is_map_supported(MapType::RingBuf) {
        Ok(true) => Ok(true),
        Ok(false) => {
            log::debug!("the kernel has no BPF ring buffer");
            Ok(false)
        }
        Err(error) if error.io_error.kind() == io::ErrorKind::PermissionDenied => {
            Err(refused("a BPF map", error))
        }
        // No answer that is known: as if there were none.
        Err(error) => {
            log::debug!("the kernel refuses a ring buffer: {error}");
            Ok(false)
        }
    }
}

/// Before 5.11 maps are charged to this limit.
pub fn allow_maps() {
    let unlimited = Rlimit {
        current: None,
        maximum: None,
    };
    if let Err(error) = setrlimit(Resource::Memlock, unlimited) {
        log::debug!("the limit of locked memory stays as it is: {error}");
    }
}

/// The end of the transport in user space.
pub enum Reader {
    /// Of [`Transport::Ring`].
    Ring(AsyncFd<RingBuf<MapData>>),
    /// Of [`Transport::Perf`].
    Perf(PerfReader),
}

impl Reader {
    /// Maps the buffers, of `bytes` in all; once.
    ///
    /// # Errors
    /// If it was done before, or the kernel refuses.
    pub fn open(ebpf: &mut Ebpf, transport: Transport, bytes: u32) -> anyhow::Result<Self> {
        let map = ebpf
            .take_map("EVENTS")
            .context("the buffer was already taken")?;
        Ok(match transport {
            Transport::Ring => {
                let ring = RingBuf::try_from(map).context("failed to map the ring buffer")?;
                Self::Ring(poll::ring(ring).context("failed to poll the ring buffer")?)
            }
            Transport::Perf => Self::Perf(PerfReader::new(PerfEventArray::try_from(map)?, bytes)?),
        })
    }

    /// Waits until there may be something to take.
    ///
    /// # Errors
    /// If the buffer cannot be polled.
    pub async fn ready(&mut self) -> io::Result<()> {
        match self {
            Self::Ring(ring) => {
                ring.readable_mut().await?.clear_ready();
                Ok(())
            }
            Self::Perf(perf) => perf.ready().await,
        }
    }

    /// Takes what is there, in the order of time; the last of it may have to wait. Returns
    /// whether there was anything. `take` gets entries, each of one record or of several
    /// ([`nfs_trace_ebpf::abi::records`]), and nothing else.
    ///
    /// # Errors
    /// What `take` returns.
    pub fn drain(&mut self, take: &mut dyn FnMut(&[u8]) -> io::Result<()>) -> io::Result<bool> {
        match self {
            Self::Ring(ring) => drain_ring(ring.get_mut(), take),
            Self::Perf(perf) => perf.drain(AT_ONCE, take),
        }
    }

    /// Takes all that was sent before now.
    ///
    /// # Errors
    /// What `take` returns.
    pub fn drain_until_now(
        &mut self,
        take: &mut dyn FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        if let Self::Perf(_) = self {
            thread::sleep(Duration::from_nanos(HOLD_NS));
        }
        while self.drain(take)? {}
        Ok(())
    }

    /// Takes all there is, and then what was `kept`: nothing is added any more.
    ///
    /// # Errors
    /// What `take` returns.
    pub fn drain_rest(
        &mut self,
        kept: &[Vec<u8>],
        take: &mut dyn FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        match self {
            Self::Ring(ring) => while drain_ring(ring.get_mut(), take)? {},
            Self::Perf(perf) => perf.drain_rest(take)?,
        }
        kept.iter().try_for_each(|record| take(record))
    }

    /// What each CPU delivered, where that is known.
    #[must_use]
    pub fn arrived(&self) -> Vec<Arrived> {
        match self {
            Self::Ring(_) => Vec::new(),
            Self::Perf(perf) => perf.arrived(),
        }
    }

    /// The same while more is on its way, which is not lost: as if all of it had arrived.
    #[must_use]
    pub fn arriving(&self) -> Vec<Arrived> {
        let arrived = self.arrived().into_iter();
        let all = u64::MAX;
        arrived
            .map(|one| Arrived {
                records: all,
                ..one
            })
            .collect()
    }
}

fn drain_ring(
    ring: &mut RingBuf<MapData>,
    take: &mut dyn FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<bool> {
    for number in 0..AT_ONCE {
        let Some(entry) = ring.next() else {
            return Ok(number > 0);
        };
        take(&entry)?;
    }
    Ok(true)
}
