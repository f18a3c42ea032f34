//! Everything a guest is started from, brought together: kernel, client, image, programs, and the
//! folder that keeps its logs.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use lab_contract::protocol::{Job, Mode};

use super::{
    accel, bpftool,
    client::{self, Client},
    image,
    kernel::{self, Kernel},
    qemu::Accelerator,
};
use crate::{apt::Apt, build, cache, workspace};

/// The suite of the guest's programs: one for all kernels, so that only the kernel differs.
const SUITES: &[&str] = &["bookworm", "bookworm-updates", "bookworm-security"];

/// Which guest
#[derive(Args, Clone)]
pub(crate) struct Spec {
    /// debian:5.10, debian:6.1, debian:6.12 or debian:7
    #[arg(long, default_value = "debian:6.1")]
    pub(crate) kernel: String,
    /// The kernel's own NFS client, or one with a fix taken out
    #[arg(long, value_enum, default_value = "stock")]
    pub(crate) client: Client,
    /// Leave nfs-trace out of the guest
    #[arg(long)]
    pub(crate) no_tracer: bool,
    /// Take this static nfs-trace instead of building one
    #[arg(long, value_name = "FILE", conflicts_with = "no_tracer")]
    pub(crate) tracer: Option<PathBuf>,
}

/// A guest that can be started.
pub(crate) struct Guest {
    pub(crate) kernel: Kernel,
    pub(crate) accelerator: Accelerator,
    /// Base and overlay, one after the other.
    pub(crate) initrd: PathBuf,
    pub(crate) console: PathBuf,
}

/// Downloads and builds what is missing. Says what it does where that takes long.
pub(crate) fn prepare(spec: &Spec, job: &Job) -> Result<Guest> {
    let kernel = kernel::fetch(&spec.kernel)?;
    let client_dir = client::build(&kernel, spec.client)?;
    let debs = Apt::open()?
        .pool(SUITES)?
        .fetch_with_dependencies(image::PACKAGES)?;
    let init = build::static_binary("xtask", "lab-init")?;
    let tracer = match &spec.tracer {
        _ if !job.tracer => None,
        Some(tracer) => Some(tracer.clone()),
        None => Some(build::static_binary("nfs-trace", "nfs-trace")?),
    };
    let base = image::base(&kernel, client_dir.as_deref(), &debs)?;
    let accelerator = accel::choose(&kernel.vmlinuz, &init)?;

    let run = format!("{}-{}", kernel.release, spec.client.name());
    let dir = workspace::root().join("target/lab").join(run);
    cache::create_dir(&dir)?;
    let initrd = dir.join("initrd.cpio");
    let mut bytes = std::fs::read(&base)?;
    if matches!(job.mode, Mode::Check | Mode::Verdicts) {
        bytes.extend(bpftool::archive(SUITES)?);
    }
    bytes.extend(image::overlay(job, &init, tracer.as_deref())?);
    cache::write(&initrd, bytes)?;
    let console = dir.join("console.log");
    cache::write(&console, "")?;
    Ok(Guest {
        kernel,
        accelerator,
        initrd,
        console,
    })
}
