//! The checks: nfs-trace itself, run as a user would run it, in a guest with two NFSv4 mounts.

mod busy_end;
mod ending;
pub(crate) mod ground;
pub(crate) mod kernel;
mod layout;
mod limits;
mod metrics;
pub(crate) mod modules;
mod not_allowed;
mod output;
mod pressure;
pub(crate) mod reader;
mod record;
mod record_end;
pub(crate) mod refusal;
mod reload;
mod selection;
mod signals;
mod sums;
mod terminal;
pub(crate) mod tool;
mod top;
mod tracefs;
mod unit;

use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use lab_contract::{
    check::{Checked, SWAP, Verdict},
    protocol::{Job, Message, NfsVersion},
};

use crate::serial;
use ground::Ground;

/// What a check that holds has to say.
enum Held {
    /// What was measured.
    Yes(String),
    /// Why it could not be tried.
    Skipped(String),
}

fn held(what: impl Into<String>) -> Result<Held> {
    Ok(Held::Yes(what.into()))
}

/// Every check of the job: exactly one outcome each, whatever happens.
pub(crate) fn all(job: &Job) -> Result<()> {
    let version = *job.versions.first().context("find an NFS version")?;
    ground::prepare(version)?;
    for name in &job.scenarios {
        let started = Instant::now();
        let outcome = Ground::new(name).and_then(|ground| one(name, &ground, version));
        // Whatever a check was about: nothing of nfs-trace stays in the kernel.
        let outcome = outcome.and_then(|held| kernel::nothing_left().map(|()| held));
        let verdict = match outcome {
            Ok(Held::Yes(text)) => Verdict::Pass(text),
            Ok(Held::Skipped(text)) => Verdict::Skip(text),
            Err(error) => Verdict::Fail(format!("{error:#}")),
        };
        serial::send(&Message::Checked(Checked {
            check: name.clone(),
            verdict,
            took_ms: started.elapsed().as_millis() as u64,
        }));
    }
    serial::send(&Message::Done);
    Ok(())
}

fn one(name: &str, ground: &Ground, version: NfsVersion) -> Result<Held> {
    match name {
        "command" => selection::command(ground),
        "no-command" => selection::no_command(),
        "mount" => selection::mount(ground),
        "remount" => selection::remount(ground, version),
        "pid" => selection::pid(ground),
        "filters" => selection::filters(ground),
        "count" => limits::count(ground),
        "duration" => limits::duration(ground),
        "signals" => ending::signals(ground),
        "kill-9" => ending::kill_9(ground),
        "tracefs" => tracefs::tracefs(ground),
        "record" => record::record(ground),
        "record-end" => record_end::ends(ground),
        "record-rotate" => record_end::rotate(ground),
        "metrics" => metrics::metrics(ground),
        "unit-capabilities" => unit::capabilities(ground),
        "second-instance" => limits::second_instance(ground),
        "wrong-usage" => refusal::wrong_usage(),
        "no-privilege" => refusal::no_privilege(),
        "full-disk" => ending::full_disk(ground),
        "closed-pipe" => ending::closed_pipe(ground),
        "stack" => output::stack(ground),
        "text" => output::text(ground),
        "top" => top::top(ground, version),
        "deep-path" => output::deep_path(ground),
        "bare" => refusal::bare(),
        "layout" => layout::layout(ground),
        "without-probe" => signals::withheld(ground),
        "overload" => pressure::overload(ground),
        "stopped" => sums::stopped(ground),
        "busy-end" => busy_end::ends(ground),
        "many-tasks" => pressure::many_tasks(ground),
        "not-allowed" => not_allowed::by_delegation(ground),
        "module-gone" => modules::gone(ground),
        "wait-module" => reload::wait_module(ground),
        SWAP => reload::swap(ground),
        "lockdown" => refusal::lockdown(),
        _ => bail!("no check `{name}`"),
    }
}
