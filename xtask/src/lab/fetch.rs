//! `cargo xtask lab fetch`: gets a kernel and a client ready without booting them.

use anyhow::Result;
use clap::Args;

use super::{
    client::{self, Client},
    kernel,
};

/// Get a kernel and a client ready, and print where they are
#[derive(Args)]
pub(crate) struct Options {
    /// debian:5.10, debian:6.1, debian:6.12 or debian:7
    #[arg(long, default_value = "debian:6.1")]
    kernel: String,
    #[arg(long, value_enum, default_value = "stock")]
    client: Client,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let Options { kernel, client } = options;
    let kernel = kernel::fetch(kernel)?;
    println!("release  {}", kernel.release);
    println!("version  {}", kernel.version);
    println!("vmlinuz  {}", kernel.vmlinuz.display());
    println!("modules  {}", kernel.modules.display());
    println!("manifest {}", kernel.dir.join("manifest.json").display());
    match client::build(&kernel, *client)? {
        Some(dir) => println!("client   {}", dir.display()),
        None => println!("client   the kernel's own"),
    }
    Ok(())
}
