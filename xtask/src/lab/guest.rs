//! Everything a guest is started from, brought together: kernel, client, image, programs, and the
//! folder that keeps its logs.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use clap::Args;
use lab_contract::{
    benched::{self, Watch},
    check,
    protocol::{Job, Mode},
};

use super::{
    accel,
    client::{self, Client},
    cpio::Archive,
    guest_tool::{BPFTOOL, BPFTRACE, TRACE_CMD},
    image,
    kernel::{self, Kernel},
    like, own_kernel,
    qemu::Accelerator,
};
use crate::{apt::Apt, build, cache, workspace};

/// The suite of the guest's programs: one for all kernels, so that only the kernel differs.
const SUITES: &[&str] = &["bookworm", "bookworm-updates", "bookworm-security"];

/// Scripts of the guests for `bench`.
const SCRIPTS: [(&str, &str); 2] = [
    ("opens.bt", include_str!("../../bench/opens.bt")),
    ("steps.bt", include_str!("../../bench/steps.bt")),
];

/// Which guest
#[derive(Args, Clone)]
pub(crate) struct Spec {
    /// debian:5.10, debian:6.1, debian:6.12, debian:7, like:4.4, like:4.14, or the path of a bzImage
    #[arg(long, default_value = "debian:6.1")]
    pub(crate) kernel: String,
    /// Modules of that bzImage, as `make modules_install INSTALL_MOD_PATH=DIR` leaves them
    #[arg(long, value_name = "DIR")]
    pub(crate) modules: Option<PathBuf>,
    /// Take the kernel and the modules of this build tree
    #[arg(long, value_name = "DIR", conflicts_with_all = ["kernel", "modules"])]
    pub(crate) tree: Option<PathBuf>,
    /// The kernel's own NFS client, or one with a fix taken out
    #[arg(long, value_enum, default_value = "stock")]
    pub(crate) client: Client,
    /// Leave nfs-trace out of the guest
    #[arg(long)]
    pub(crate) no_tracer: bool,
    /// Take this static nfs-trace instead of building one
    #[arg(long, value_name = "FILE", conflicts_with = "no_tracer")]
    pub(crate) tracer: Option<PathBuf>,
    /// How nfs-trace gets its records [default: as it finds best]
    #[arg(long, conflicts_with = "no_tracer", value_parser = ["ring", "perf"])]
    pub(crate) transport: Option<String>,
    /// Where nfs-trace takes the layout of kernel structures from [default: the first that fits]
    #[arg(long, conflicts_with = "no_tracer", value_parser = ["btf", "table", "none"])]
    pub(crate) layout: Option<String>,
}

impl Spec {
    /// A kernel of the lab with one of its clients.
    pub(crate) fn new(kernel: &str, client: Client) -> Self {
        Self {
            kernel: kernel.into(),
            modules: None,
            tree: None,
            client,
            no_tracer: false,
            tracer: None,
            transport: None,
            layout: None,
        }
    }

    /// What to call it in a line.
    pub(crate) fn name(&self) -> String {
        match &self.tree {
            Some(tree) => tree.display().to_string(),
            None => self.kernel.trim_start_matches("debian:").to_owned(),
        }
    }

    /// The client that the guest really has: what is expected follows from it.
    pub(crate) fn judged_as(&self) -> Client {
        match self.client {
            Client::Stock if like::is_spec(&self.kernel) => Client::Before418,
            client => client,
        }
    }

    /// Makes its kernel ready.
    pub(crate) fn kernel(&self) -> Result<Kernel> {
        if let Some(tree) = &self.tree {
            return own_kernel::tree(tree);
        }
        let like = like::is_spec(&self.kernel);
        if !like && !self.kernel.starts_with("debian:") {
            return own_kernel::image(Path::new(&self.kernel), self.modules.as_deref());
        }
        ensure!(
            self.modules.is_none(),
            "--modules is for the path of a bzImage: {} has its own",
            self.kernel
        );
        if like {
            like::fetch(&self.kernel)
        } else {
            kernel::fetch(&self.kernel)
        }
    }
}

/// What one guest's folder is called; two that run at a time have two.
fn folder(spec: &Spec, job: &Job, release: &str) -> String {
    let mut words = vec![release.to_owned(), spec.client.name().to_owned()];
    words.extend(spec.transport.clone());
    words.extend(spec.layout.clone());
    words.extend(job.versions.iter().map(|version| format!("v{version}")));
    words.push(match job.mode {
        Mode::Check => format!("{}-checks", job.scenarios.len()),
        Mode::Verdicts => format!("{}-verdicts", job.scenarios.len()),
        Mode::Bench => "bench".into(),
        Mode::Growth => "growth".into(),
        _ => format!("{}-scenarios", job.scenarios.len()),
    });
    words.join("-")
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
    let kernel = spec.kernel()?;
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

    let dir = workspace::root()
        .join("target/lab")
        .join(folder(spec, job, &kernel.release));
    cache::create_dir(&dir)?;
    let initrd = dir.join("initrd.cpio");
    let mut bytes = std::fs::read(&base)?;
    if matches!(job.mode, Mode::Check | Mode::Verdicts) {
        bytes.extend(BPFTOOL.archive(SUITES)?);
    }
    if job.mode == Mode::Bench {
        bytes.extend(bench_tools(job)?);
    }
    if job.scenarios.iter().any(|name| name == check::SWAP) {
        bytes.extend(client::swap(&kernel, spec.client)?.unwrap_or_default());
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

/// What `bench` compares with, where it was asked for, and the scripts for it.
fn bench_tools(job: &Job) -> Result<Vec<u8>> {
    let watches = || {
        job.scenarios
            .iter()
            .filter_map(|name| benched::way(name))
            .map(|way| way.watch)
    };
    let mut bytes = Vec::new();
    if watches().any(|watch| matches!(watch, Watch::Bpftrace(_))) {
        bytes.extend(BPFTRACE.archive(SUITES)?);
    }
    if watches().any(|watch| matches!(watch, Watch::TraceCmd(_))) {
        bytes.extend(TRACE_CMD.archive(SUITES)?);
    }
    let mut scripts = Archive::default();
    for (name, text) in SCRIPTS {
        scripts.file(&format!("lab/{name}"), 0o644, text.as_bytes());
    }
    bytes.extend(scripts.finish());
    Ok(bytes)
}
