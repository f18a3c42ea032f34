//! `cargo xtask TASK`: everything around the program itself.

use clap::Parser;

#[derive(Parser)]
#[command(name = "cargo xtask", about)]
enum Task {}

fn main() -> anyhow::Result<()> {
    match Task::parse() {}
}
