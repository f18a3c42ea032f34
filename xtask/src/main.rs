//! `cargo xtask TASK`: everything around the program itself.

#![forbid(unsafe_code)]

mod apt;
mod cache;
mod debian_tool;
mod exec;
mod lab;
mod workspace;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about)]
enum Task {
    #[command(subcommand)]
    Lab(Lab),
}

/// Guests with real NFS clients and servers
#[derive(Subcommand)]
enum Lab {
    #[command(hide = true)]
    Fetch(lab::fetch::Options),
}

fn main() -> anyhow::Result<()> {
    match Task::parse() {
        Task::Lab(Lab::Fetch(options)) => lab::fetch::run(&options),
    }
}
