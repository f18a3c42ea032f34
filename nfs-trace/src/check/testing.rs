//! The self-tests of all mounts at once, and the watch beside them. A mount that hangs
//! holds up no other.

use std::{
    io::{self, Write as _},
    time::Duration,
};

use anyhow::Context as _;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep},
};

use super::{
    conclude::Mishaps,
    level::{Ground as LevelGround, level_shown},
    options::{self, MountFacts},
    plan::{self, Plan},
    run::{Checked, Ground, mount_facts},
    selftest::{
        job::Job,
        judge::judge,
        parent::{Ran, Second, SelfTest},
        second,
    },
    watch::Watch,
};
use crate::{
    attach::KernelFilters, cli::CheckArgs, clock::monotonic_ns, mounts, names::escape_path,
    summary::Lost, trace::OpenPath,
};

/// Of the time for a mount, what is kept for tidying up.
const TIDY_UP: Duration = Duration::from_secs(2);
/// After a drain, records gather this long before the next one.
const GATHER: Duration = Duration::from_millis(5);

/// Runs them; one result for each plan.
pub(super) async fn run(ground: &Ground, plans: &[Plan], args: &CheckArgs) -> Vec<Checked> {
    match all(ground, plans, args).await {
        Ok(checked) => checked,
        Err(error) => {
            Checked::untraceable(plans, &format!("nothing can be traced here: {error:#}"))
        }
    }
}

async fn all(ground: &Ground, plans: &[Plan], args: &CheckArgs) -> anyhow::Result<Vec<Checked>> {
    let mut signals = [
        signal(SignalKind::interrupt())?,
        signal(SignalKind::terminate())?,
    ];
    let deadline = ground.started + args.timeout - TIDY_UP.min(args.timeout / 4);
    let mut tests = Vec::new();
    for plan in plans {
        let second = second_client(plan, args);
        let text = plan::announce(plan, args.reproduce, &who(&second));
        let _ = writeln!(io::stderr(), "nfs-trace: {text}");
        tests.push(start(plan, second, args, deadline).await);
    }
    let filters = KernelFilters {
        tgids: tests.iter().flatten().filter_map(SelfTest::pid).collect(),
        ..KernelFilters::default()
    };
    let watch = Watch::start(
        ground.facts.clone(),
        &ground.layout,
        &filters,
        ground.transport,
    )
    .await?;

    let before: Vec<_> = plans.iter().map(mount_facts).collect();

    let (stop, stopped) = watch::channel(false);
    let mut running = JoinSet::new();
    let mut ended: Vec<Result<Ended, Mishaps>> = Vec::new();
    for (index, test) in tests.into_iter().enumerate() {
        ended.push(test.map(|test| {
            let (pid, stopped) = (test.pid().unwrap_or(0), stopped.clone());
            running.spawn(async move {
                let start = Instant::now();
                let ran = test.run(deadline, stopped).await;
                let took = start.elapsed();
                (index, Ended { pid, ran, took })
            });
            Ended::default()
        }));
    }
    let mut followed = follow(watch, running, &stop, &mut signals).await?;
    for (index, one) in std::mem::take(&mut followed.ended) {
        ended[index] = Ok(one);
    }
    let weigh = |((plan, one), before): ((&Plan, Result<Ended, Mishaps>), _)| match one {
        Err(mishaps) => Checked::not_done(mishaps),
        Ok(one) => {
            let facts = [before, mount_facts(plan)];
            weigh(one, &followed, facts, args.timeout)
        }
    };
    Ok(plans.iter().zip(ended).zip(before).map(weigh).collect())
}

/// A self-test that has ended.
#[derive(Default)]
struct Ended {
    pid: u32,
    ran: Ran,
    took: Duration,
}

/// All self-tests, and what was seen of them.
struct Followed {
    ended: Vec<(usize, Ended)>,
    paths: Vec<OpenPath>,
    lost: Lost,
    inode_checks: bool,
}

/// Drains the watch while the tests run. A signal ends them; they tidy up first.
async fn follow(
    mut watch: Watch,
    mut running: JoinSet<(usize, Ended)>,
    stop: &watch::Sender<bool>,
    [interrupt, terminate]: &mut [tokio::signal::unix::Signal; 2],
) -> anyhow::Result<Followed> {
    let (mut ended, mut paths) = (Vec::new(), Vec::new());
    loop {
        if watch.drain(|_| {}, &mut |path| paths.push(path))? {
            sleep(GATHER).await;
        }
        tokio::select! {
            ready = watch.readable() => ready?,
            one = running.join_next() => match one {
                Some(one) => ended.push(one.context("a self-test broke down")?),
                None => break,
            },
            _ = interrupt.recv() => { stop.send_replace(true); }
            _ = terminate.recv() => { stop.send_replace(true); }
        }
    }
    let end = watch.end()?;
    paths.extend(end.paths);
    Ok(Followed {
        ended,
        paths,
        lost: end.lost,
        inode_checks: end.inode_checks,
    })
}

fn second_client(plan: &Plan, args: &CheckArgs) -> Second {
    match &args.rename_with {
        Some(command) => Second::Command(command.clone()),
        None => Second::Mount {
            source: plan.mount.source.clone(),
            attempts: second::attempts(
                plan.mount.nfs_version.as_deref().unwrap_or("4.2"),
                &mounts::super_options(&plan.mount.point).unwrap_or_default(),
            ),
        },
    }
}

fn who(second: &Second) -> String {
    match second {
        Second::Command(command) => format!("the command `{command}`"),
        Second::Mount { source, .. } => {
            format!("a second mount of {source}, which nobody else sees,")
        }
    }
}

/// Starts the process of a self-test, unless the server is known not to answer.
async fn start(
    plan: &Plan,
    second: Second,
    args: &CheckArgs,
    deadline: Instant,
) -> Result<SelfTest, Mishaps> {
    if plan.unanswered {
        return Err(Mishaps {
            unanswered: Some(args.timeout),
            ..Mishaps::default()
        });
    }
    let left = deadline.saturating_duration_since(Instant::now());
    // The child stops looking a little before it is stopped.
    let look = u64::try_from(left.as_nanos()).unwrap_or(u64::MAX) / 8 * 7;
    let job = Job {
        path: plan.path.clone(),
        directory: plan.directory,
        reproduce: args.reproduce,
        until_ns: monotonic_ns().saturating_add(look),
    };
    let started = SelfTest::start(job, plan.mount.point.to_path_buf(), second).await;
    started.map_err(|error| Mishaps {
        failed: Some(format!("{error:#}")),
        ..Mishaps::default()
    })
}

/// `facts`: of the mount, before and after.
fn weigh(
    ended: Ended,
    followed: &Followed,
    facts: [Option<MountFacts>; 2],
    timeout: Duration,
) -> Checked {
    let Ended { pid, ran, took } = ended;
    let of_child = followed.paths.iter().filter(|path| path.tgid == pid);
    let paths: Vec<OpenPath> = of_child.cloned().collect();
    let [before, after] = facts;
    let level = LevelGround {
        atomic_open_v1: after.as_ref().and_then(|facts| facts.atomic_open_v1),
        inode_check: followed.inode_checks,
    };
    let outcome = judge(&ran.said, &paths, |path| level_shown(path, level));
    let mut remarks = outcome.remarks;
    if let Some(second) = &ran.second {
        remarks.push(format!("the second client was {second}"));
    }
    if let Some(path) = &outcome.left_behind {
        remarks.push(format!(
            "{} could not be removed: the next check there will do it",
            escape_path(path)
        ));
    }
    if let (Some(before), Some(after)) = (before, after)
        && let Some(remark) = options::unchecked(&after, before.getattrs, outcome.cached)
    {
        remarks.push(remark);
    }
    Checked {
        evidence: outcome.evidence,
        mishaps: Mishaps {
            untraceable: None,
            unanswered: ran.timed_out.then_some(timeout),
            interrupted: ran.interrupted,
            failed: outcome.failed,
            lost: Some(followed.lost),
            incomplete: outcome.missed,
        },
        remarks,
        took,
    }
}
