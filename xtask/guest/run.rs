//! Runs the scenarios of a job: fresh directory, tracer, counters, workload, counters, report.

use std::{
    fs,
    path::PathBuf,
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context as _, Result, bail};
use lab_contract::{
    mountstats,
    protocol::{Job, Message, NfsVersion, Outcome, Workload},
    scenario::{self, Scenario},
};

use crate::{
    client, serial,
    server::{self, EXPORT},
    tracer::Tracer,
    workload,
};

/// Every scenario on every version: exactly one outcome each, whatever happens.
pub(crate) fn all(job: &Job) -> Result<()> {
    for &version in &job.versions {
        if let Some(why) = client::lacks(version)? {
            skip(job, version, &why);
            continue;
        }
        let started = Instant::now();
        client::mount(version)?;
        serial::log(format!(
            "NFSv{version} mounted in {} ms",
            started.elapsed().as_millis()
        ));
        let mut mounted = "";
        for name in &job.scenarios {
            let options = scenario::find(name).map_or("", |it| it.options);
            if options != mounted {
                client::umount()?;
                client::mount_with(version, "/", client::MOUNT, options)?;
                mounted = options;
            }
            let scenario = name.clone();
            serial::send(&Message::Begin { scenario, version });
            let mut outcome = Outcome::default();
            if let Err(error) = one(name, version, job, &mut outcome) {
                outcome.error = Some(format!("{error:#}"));
            }
            outcome.scenario.clone_from(name);
            outcome.version = Some(version);
            serial::send(&Message::Outcome(Box::new(outcome)));
        }
        client::umount()?;
    }
    serial::send(&Message::Done);
    Ok(())
}

fn skip(job: &Job, version: NfsVersion, why: &str) {
    for scenario in &job.scenarios {
        let scenario = scenario.clone();
        serial::send(&Message::Begin {
            scenario: scenario.clone(),
            version,
        });
        serial::send(&Message::Outcome(Box::new(Outcome {
            scenario,
            version: Some(version),
            skipped: Some(why.to_owned()),
            ..Outcome::default()
        })));
    }
}

fn one(name: &str, version: NfsVersion, job: &Job, outcome: &mut Outcome) -> Result<()> {
    let scenario = scenario::find(name).with_context(|| format!("find scenario `{name}`"))?;
    // A directory of its own: what one scenario leaves in the caches is not seen by the next.
    let own = format!("{name}-{}", String::from(version).replace('.', ""));
    let directory = PathBuf::from(EXPORT).join(&own);
    fs::create_dir(&directory).with_context(|| format!("create {}", directory.display()))?;
    server::leases(scenario.leases)?;
    workload::prepare(name, &directory, &PathBuf::from(client::MOUNT).join(&own))?;

    let started = Instant::now();
    let tracer = job.tracer.then(|| Tracer::start(job.capture)).transpose()?;
    let before = client::counters()?;
    let begun = Instant::now();
    outcome.workload = run_workload(scenario, &own)?;
    outcome.workload_ms = begun.elapsed().as_millis() as u64;
    outcome.mountstats = mountstats::difference(&before, &client::counters()?);
    outcome.trace = tracer.map(Tracer::stop).transpose()?;
    // The way out is slow: small ones only.
    if job.capture
        && outcome
            .trace
            .as_ref()
            .is_some_and(|trace| !trace.rows.is_empty())
    {
        outcome.capture = Some(Tracer::captured()?);
    }
    outcome.total_ms = started.elapsed().as_millis() as u64;
    server::leases(false)
}

/// The workload is a process of its own, so that it can be traced by pid or as a command, and so
/// that all it holds open is closed when it ends.
fn run_workload(scenario: &Scenario, own: &str) -> Result<Workload> {
    let client_dir = format!("{}/{own}", client::MOUNT);
    let server_dir = format!("{EXPORT}/{own}");
    let output = Command::new("/init")
        .args(["workload", scenario.name, &client_dir, &server_dir])
        .stdin(Stdio::null())
        .output()
        .context("run the workload")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!(
            "workload {} ended with {}: {}",
            scenario.name,
            output.status,
            said.trim()
        );
    }
    serde_json::from_slice(&output.stdout).context("read the report of the workload")
}
