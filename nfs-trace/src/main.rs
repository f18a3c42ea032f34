//! Parses the command line, runs, and turns the outcome into an exit status.

#![forbid(unsafe_code)]

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use clap::{Parser as _, error::ErrorKind};
use nfs_trace::{
    check::{self, selftest},
    cli::{Cli, Command},
    completions, diff,
    exit::{Exit, status_of},
    launch, manual, probes, record, replay, report, run,
};

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return match error.kind() {
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Exit::Ok.into(),
                _ => Exit::Usage.into(),
            };
        }
    };
    let outcome = match cli.command {
        Command::Trace(args) => run::trace(&args),
        Command::Record(args) => record::run(&args),
        Command::Replay(args) => replay::run(&args),
        Command::Report(args) => report::run::run(&args),
        Command::Diff(args) => diff::run(&args),
        Command::Check(args) => check::run::run(&args),
        Command::Probes(args) => probes::run(&args).map(ExitCode::from),
        Command::Completions(args) => completions::run(args.shell).map(ExitCode::from),
        Command::Man(args) => manual::run(&args).map(ExitCode::from),
        Command::Launch(args) => launch::run(&args).map(|never| match never {}),
        Command::SelfTest => selftest::child::run().map(|()| ExitCode::SUCCESS),
        Command::Rename => selftest::second::run().map(|()| ExitCode::SUCCESS),
    };
    outcome.unwrap_or_else(|error| {
        // Where nobody reads it, the status tells; eprintln would panic.
        let _ = writeln!(io::stderr(), "nfs-trace: {error:#}");
        status_of(&error).into()
    })
}
