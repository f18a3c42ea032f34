//! `cargo xtask TASK`: everything around the program itself.

#![forbid(unsafe_code)]

mod apt;
mod bench;
mod browser;
mod build;
mod cache;
mod cost;
mod debian_tool;
mod demo;
mod dist;
mod exec;
mod fuzz;
mod generate;
mod lab;
mod matrix;
mod page;
mod setup;
mod test;
mod tidy;
mod workspace;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Everything around nfs-trace itself")]
enum Task {
    Setup(setup::Options),
    Dist(dist::Options),
    Demo(demo::Options),
    Test(test::Options),
    Tidy(tidy::Options),
    Bench(bench::Options),
    Fuzz(fuzz::Options),
    Generate(generate::Options),
    Cost(cost::Options),
    Page(page::Options),
    #[command(subcommand)]
    Lab(Box<Lab>),
}

/// Guests with real NFS clients and servers
#[derive(Subcommand)]
enum Lab {
    #[command(hide = true)]
    Fetch(lab::fetch::Options),
    Run(lab::run::Options),
    Diff(lab::diff::Options),
    Checks(lab::checks::Options),
    Verdicts(lab::verdicts::Options),
    Shell(lab::shell::Options),
    /// What can be asked of the lab
    List,
}

fn main() -> ExitCode {
    match run(&Task::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: &Task) -> Result<()> {
    match task {
        Task::Setup(options) => setup::run(options),
        Task::Dist(options) => dist::run(options),
        Task::Demo(options) => demo::run(options),
        Task::Test(options) => test::run(options),
        Task::Bench(options) => bench::run(options),
        Task::Tidy(options) => tidy::run(options),
        Task::Fuzz(options) => fuzz::run(options),
        Task::Generate(options) => generate::run(options),
        Task::Cost(options) => cost::run(options),
        Task::Page(options) => page::run(options),
        Task::Lab(task) => run_lab(task),
    }
}

fn run_lab(task: &Lab) -> Result<()> {
    match task {
        Lab::Fetch(options) => lab::fetch::run(options),
        Lab::Run(options) => lab::run::run(options),
        Lab::Diff(options) => lab::diff::run(options),
        Lab::Checks(options) => lab::checks::run(options),
        Lab::Verdicts(options) => lab::verdicts::run(options),
        Lab::Shell(options) => lab::shell::run(options),
        Lab::List => {
            lab::list::run();
            Ok(())
        }
    }
}
