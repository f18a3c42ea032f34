//! KVM or emulation? Asked of the machine, by booting a guest that only says that it lives.

use std::{fs::OpenOptions, path::Path, time::Duration};

use anyhow::{Context as _, Result};
use lab_contract::protocol::{Job, Message, Mode};

use super::{
    image,
    qemu::{self, Accelerator, Serial},
    session::Session,
};
use crate::cache;

/// A guest on KVM says `ready` in a second. Where /dev/kvm opens, creates a VM, and the guest then
/// never gets anywhere (seen in nested set-ups), only time tells.
const ALIVE_WITHIN: Duration = Duration::from_secs(15);

/// The fastest accelerator that was seen to work here. Asked once per boot of this machine.
pub(crate) fn choose(vmlinuz: &Path, init: &Path) -> Result<Accelerator> {
    if OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/kvm")
        .is_err()
    {
        return Ok(Accelerator::Tcg);
    }
    let dir = cache::root()?.join("accelerator");
    let boot = cache::read(Path::new("/proc/sys/kernel/random/boot_id"))?;
    let verdict = dir.join("verdict");
    cache::make(&dir, boot.trim(), |partial| {
        eprintln!("lab: trying whether KVM runs a guest here (at most {ALIVE_WITHIN:?}, once)");
        let alive = probe(partial, vmlinuz, init)?;
        eprintln!(
            "lab: KVM {}",
            if alive {
                "works"
            } else {
                "does not work: emulating"
            }
        );
        cache::write(&partial.join("verdict"), if alive { "kvm" } else { "tcg" })
    })?;
    Ok(if cache::read(&verdict)? == "kvm" {
        Accelerator::Kvm
    } else {
        Accelerator::Tcg
    })
}

fn probe(dir: &Path, vmlinuz: &Path, init: &Path) -> Result<bool> {
    let job = Job {
        mode: Mode::Probe,
        versions: Vec::new(),
        scenarios: Vec::new(),
        tracer: false,
        capture: false,
        transport: None,
        layout: None,
    };
    let initrd = dir.join("initrd.cpio");
    cache::write(&initrd, image::overlay(&job, init, None)?)?;
    let console = dir.join("console.log");
    cache::write(&console, "")?;
    let guest = qemu::try_start(
        Accelerator::Kvm,
        vmlinuz,
        &initrd,
        &Serial::Protocol(&console),
    )
    .context("start the probe guest")?;
    let mut session = Session::new(guest, &console)?;
    Ok(matches!(
        session.next(ALIVE_WITHIN),
        Ok(Some(Message::Ready(_)))
    ))
}
