//! `cargo xtask lab fetch`: gets a kernel and a client ready without booting them.

use anyhow::Result;
use clap::Args;

use super::{client, guest::Spec};

/// Get a kernel and a client ready, and print where they are
#[derive(Args)]
pub(crate) struct Options {
    #[command(flatten)]
    spec: Spec,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let kernel = options.spec.kernel()?;
    println!("release  {}", kernel.release);
    println!("version  {}", kernel.version);
    println!("vmlinuz  {}", kernel.vmlinuz.display());
    match &kernel.modules {
        Some(modules) => println!("modules  {}", modules.display()),
        None => println!("modules  none: all is built in"),
    }
    match client::build(&kernel, options.spec.client)? {
        Some(dir) => println!("client   {}", dir.display()),
        None => println!("client   the kernel's own"),
    }
    Ok(())
}
