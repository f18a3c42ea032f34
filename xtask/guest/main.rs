//! The guest's init. As process 1 it brings the guest up and does the job; as `/init workload NAME`
//! it is the program whose opens are traced.

#![forbid(unsafe_code)]

mod bench;
mod boot;
mod checks;
mod client;
mod run;
mod serial;
mod server;
mod tracer;
mod verdicts;
mod workload;

use std::{env, process::ExitCode};

use anyhow::{Context as _, Result, bail};
use lab_contract::protocol::{JOB_PATH, Job, Message, Mode};

fn main() -> ExitCode {
    if std::process::id() == 1 {
        init();
    }
    match workload() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Process 1 must not return: the kernel would panic.
fn init() -> ! {
    let failed = serve().err().map(|error| format!("{error:#}"));
    if let Some(error) = failed {
        eprintln!("lab-init: {error}");
        serial::send(&Message::Failed { error });
    }
    boot::power_off()
}

fn serve() -> Result<()> {
    boot::mount_table()?;
    let job = std::fs::read_to_string(JOB_PATH).with_context(|| format!("read {JOB_PATH}"))?;
    let job: Job = serde_json::from_str(&job).with_context(|| format!("parse {JOB_PATH}"))?;
    boot::mount_debugfs(job.mode)?;
    if job.mode == Mode::Probe {
        serial::send(&Message::Ready(boot::ready(Vec::new())?));
        return Ok(());
    }
    tracer::ask_for(&job)?;
    let modules = boot::load_modules()?;
    boot::network()?;
    server::start()?;
    serial::send(&Message::Ready(boot::ready(modules)?));
    match job.mode {
        Mode::Shell => boot::shell(&job),
        Mode::Bench => bench::all(&job),
        Mode::Growth => bench::growth::all(&job),
        Mode::Check => checks::all(&job),
        Mode::Verdicts => verdicts::all(&job),
        Mode::Run | Mode::Probe => run::all(&job),
    }
}

fn workload() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["workload", name, client_dir, server_dir] => workload::run(name, client_dir, server_dir),
        ["reader", times, ref files @ ..] => checks::reader::read(times.parse()?, files),
        ["gated"] => checks::reader::gated(),
        ["opener", name, times] => workload::users::opener(name, times.parse()?),
        ["storm", number] => workload::storm::process(number.parse()?),
        _ => bail!("run as `init workload NAME CLIENT_DIR SERVER_DIR` or as process 1"),
    }
}
