//! `check --observe`: the watch over what others open, with scans of who holds what.
//! Touches no file of the mounts.

use std::{collections::HashMap, time::Duration};

use tokio::{
    signal::unix::{SignalKind, signal},
    time::{Instant, MissedTickBehavior, interval_at, sleep, sleep_until},
};

use super::{
    conclude::Mishaps,
    holders::{self, Cred, Scan},
    level,
    observe::{Observer, Watched},
    plan::Plan,
    run::{Checked, Ground, mount_facts},
    watch::Watch,
};
use crate::{attach::KernelFilters, clock::monotonic_ns, names::escape, trace::OpenPath};

/// Between two scans of the holders.
const SCAN_EVERY: Duration = Duration::from_secs(1);
/// Openers are short-lived: who they are has to be read while they still are.
const GATHER: Duration = Duration::from_millis(1);

/// Observes for `time`, or until the one mount there is has been seen to be affected.
pub(super) async fn run(ground: &Ground, plans: &[Plan], time: Duration) -> Vec<Checked> {
    match watch(ground, plans, time).await {
        Ok(checked) => checked,
        Err(error) => {
            Checked::untraceable(plans, &format!("nothing can be traced here: {error:#}"))
        }
    }
}

async fn watch(ground: &Ground, plans: &[Plan], time: Duration) -> anyhow::Result<Vec<Checked>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut devs: Vec<u32> = plans.iter().map(|plan| plan.mount.dev).collect();
    devs.sort_unstable();
    devs.dedup();
    let filters = KernelFilters {
        // Without a layout mounts cannot be told apart, and all are seen.
        devs: match ground.layout.source() {
            "none" => Vec::new(),
            _ => devs.clone(),
        },
        ..KernelFilters::default()
    };
    let watch = Watch::start(ground.facts.clone(), &ground.layout, &filters).await?;
    let watched = plans.iter().map(|plan| Watched {
        dev: plan.mount.dev,
        point: escape(plan.mount.point.as_os_str().as_encoded_bytes()),
        ground: level::Ground {
            atomic_open_v1: mount_facts(plan).and_then(|facts| facts.atomic_open_v1),
            inode_check: watch.signals().inode_check,
        },
    });
    let mut watching = Watching {
        observer: Observer::new(watched.collect(), watch.clock_offset_ns),
        watch,
        creds: HashMap::new(),
        devs,
    };
    let started = Instant::now();
    let until = started + time;
    let mut scans = interval_at(started, SCAN_EVERY);
    scans.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut interrupted = false;
    while !(plans.len() == 1 && watching.observer.first_cached().is_some()) {
        if watching.drain() {
            sleep(GATHER).await;
        }
        tokio::select! {
            biased;
            _ = interrupt.recv() => { interrupted = true; break }
            _ = terminate.recv() => { interrupted = true; break }
            () = sleep_until(until) => break,
            _ = scans.tick() => watching.scan()?,
            ready = watching.watch.readable() => ready?,
        }
    }
    let took = started.elapsed();
    watching.scan()?;
    watching.end(plans, took, interrupted)
}

struct Watching {
    watch: Watch,
    observer: Observer,
    /// Who the threads are whose open has begun and not ended.
    creds: HashMap<u32, Option<Cred>>,
    devs: Vec<u32>,
}

impl Watching {
    fn drain(&mut self) -> bool {
        let Self {
            watch,
            observer,
            creds,
            ..
        } = self;
        let mut paths: Vec<OpenPath> = Vec::new();
        let any = watch.drain(
            |event| {
                let tid = event.stamp.tid;
                creds.entry(tid).or_insert_with(|| holders::cred_of(tid));
            },
            &mut |path| paths.push(path),
        );
        for path in &paths {
            let opener = creds.remove(&path.tid).flatten();
            observer.open(path, opener.as_ref());
        }
        any
    }

    fn scan(&mut self) -> anyhow::Result<()> {
        let begin_ns = monotonic_ns();
        let Scan { holders, .. } = holders::scan(&self.devs)?;
        let end_ns = monotonic_ns();
        // What ended before the scan did is in the buffer by now.
        while self.drain() {}
        self.observer.scan(begin_ns, end_ns, &holders);
        Ok(())
    }

    fn end(
        self,
        plans: &[Plan],
        took: Duration,
        interrupted: bool,
    ) -> anyhow::Result<Vec<Checked>> {
        // What is still in the buffer came after the last scan and proves nothing.
        let lost = self.watch.end()?.lost;
        let mut observed = self.observer.finish();
        let nowhere = observed.remove(&0);
        Ok(plans
            .iter()
            .map(|plan| {
                let one = observed.get(&plan.mount.dev);
                let both = one.into_iter().chain(&nowhere);
                Checked {
                    mishaps: Mishaps {
                        interrupted,
                        lost: Some(lost),
                        incomplete: both.map(|one| one.incomplete).sum::<u64>() as usize,
                        ..Mishaps::default()
                    },
                    evidence: one.map(|one| one.evidence.clone()).into_iter().collect(),
                    remarks: Vec::new(),
                    took,
                }
            })
            .collect())
    }
}
