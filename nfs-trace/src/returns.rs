//! Kretprobes with as many instances as opens may wait at the same time. By itself the kernel
//! gives them one for each CPU (before 6.2, without CONFIG_PREEMPT). The perf PMU takes no number;
//! kprobe_events of tracefs does since 4.12 (696ced4fb1d7), but aya does not give one.

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    os::fd::{AsFd as _, AsRawFd as _},
    path::Path,
    process,
    sync::atomic::{AtomicU32, Ordering},
};

use anyhow::Context as _;
use aya::programs::KProbe;
use perf_event::{Builder, Counter, events::Tracepoint};

/// Calls of one function at the same time; the kernel takes up to 4096.
const INSTANCES: u32 = 1024;

/// Whether the kernel takes a number, as the README of tracefs says.
#[must_use]
pub fn takes_number(tracefs: &Path) -> bool {
    fs::read_to_string(tracefs.join("README")).is_ok_and(|text| text.contains("r[maxactive]"))
}

/// Attaches a loaded program to the returns of a function. It is there for as long as what is
/// returned; its line in kprobe_events is named as aya's are, see [`crate::kernel::leftovers`].
///
/// # Errors
/// If the kernel refuses.
pub fn attach(program: &KProbe, tracefs: &Path, symbol: &str) -> anyhow::Result<Counter> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let event = format!(
        "aya_{}_r_{}_0x0_m{}",
        process::id(),
        symbol.replace('.', "_"),
        NUMBER.fetch_add(1, Ordering::Relaxed)
    );
    let path = tracefs.join("kprobe_events");
    OpenOptions::new()
        .append(true)
        .open(&path)
        .and_then(|mut file| {
            file.write_all(format!("r{INSTANCES}:kprobes/{event} {symbol}\n").as_bytes())
        })
        .with_context(|| format!("failed to write {}", path.display()))?;
    let path = tracefs.join("events/kprobes").join(event).join("id");
    let id = fs::read_to_string(&path)
        .with_context(|| format!("failed to read {}", path.display()))?
        .trim()
        .parse()
        .with_context(|| format!("{} is odd", path.display()))?;
    // Programs run on every CPU: the kernel looks at the event's own list of them.
    let mut counter = Builder::new(Tracepoint::with_id(id))
        .any_pid()
        .one_cpu(0)
        .build()
        .context("perf_event_open failed")?;
    counter
        .set_bpf(program.fd()?.as_fd().as_raw_fd())
        .context("PERF_EVENT_IOC_SET_BPF failed")?;
    counter.enable().context("PERF_EVENT_IOC_ENABLE failed")?;
    Ok(counter)
}
