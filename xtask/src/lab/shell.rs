//! `cargo xtask lab shell`: a prompt in a guest, with the server up and the export mounted.

use anyhow::{Result, bail};
use clap::Args;
use lab_contract::protocol::{Job, Message, Mode, NfsVersion};

use super::{
    guest::{self, Guest, Spec},
    qemu::{self, Serial},
};
use crate::cache;

/// Give a prompt in a guest with everything mounted
#[derive(Args)]
pub(crate) struct Options {
    #[command(flatten)]
    spec: Spec,
    /// The NFS version of /mnt
    #[arg(long, default_value = "4.0")]
    vers: NfsVersion,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let job = Job {
        mode: Mode::Shell,
        versions: vec![options.vers],
        scenarios: Vec::new(),
        tracer: !options.spec.no_tracer,
        capture: false,
        transport: options.spec.transport.clone(),
        layout: options.spec.layout.clone(),
    };
    let Guest {
        kernel,
        accelerator,
        initrd,
        console,
    } = guest::prepare(&options.spec, &job)?;
    eprintln!(
        "lab: booting Linux {} ({}), {accelerator:?}",
        kernel.release, kernel.version
    );
    let messages = console.with_file_name("messages.jsonl");
    let mut qemu = qemu::start(
        accelerator,
        &kernel.vmlinuz,
        &initrd,
        &Serial::Terminal(&messages),
    )?;
    let status = qemu.wait()?;
    // The prompt itself says nothing on the second port.
    for line in cache::read(&messages)?.lines() {
        if let Ok(Message::Failed { error }) = serde_json::from_str(line) {
            bail!("guest failed: {error}");
        }
    }
    if !status.success() {
        bail!("qemu ended with {status}");
    }
    Ok(())
}
