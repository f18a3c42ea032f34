//! Records that are finished and were not sent: see [`nfs_trace_ebpf::state::Thread::keeps`].

use anyhow::{Context as _, anyhow};
use aya::{Ebpf, maps::Array};
use nfs_trace_ebpf::state::{KEEPS_REVALIDATE, KEEPS_TASK, THREAD_SIZE, Thread};
use zerocopy::{FromBytes as _, IntoBytes as _};

/// Reads those of all threads, but for what was kept when the client's modules were loaded before.
///
/// # Errors
/// If the map cannot be read.
pub(super) fn read(ebpf: &Ebpf, generation: u32) -> anyhow::Result<Vec<Vec<u8>>> {
    let map = ebpf.map("SLOTS").context("no map SLOTS")?;
    let map: Array<_, [u8; THREAD_SIZE]> = Array::try_from(map)?;
    let mut records = Vec::new();
    for index in 0..map.len() {
        let slot = map.get(&index, 0).context("failed to read the map SLOTS")?;
        let slot = Thread::read_from_bytes(&slot).map_err(|_| anyhow!("a slot of another size"))?;
        if slot.owner != 0 && slot.generation == generation {
            records.extend(of(&slot));
        }
    }
    Ok(records)
}

/// What one thread keeps.
fn of(thread: &Thread) -> impl Iterator<Item = Vec<u8>> {
    let Thread {
        keeps,
        revalidate,
        task,
        ..
    } = thread;
    let revalidate = (keeps & KEEPS_REVALIDATE != 0)
        .then(|| [revalidate.header.as_bytes(), revalidate.payload.as_bytes()].concat());
    let task = (keeps & KEEPS_TASK != 0)
        .then(|| [task.header.as_bytes(), task.payload.as_bytes()].concat());
    revalidate.into_iter().chain(task)
}
