//! `check --observe`: the watch over what others open, with scans of who holds what.
//! Touches no file of the mounts.

use std::{
    collections::HashMap,
    io::{self, Write as _},
    time::Duration,
};

use tokio::{
    signal::unix::{SignalKind, signal},
    time::{Instant, sleep, sleep_until},
};

use super::{
    conclude::Mishaps,
    evidence::{Evidence, FixLevel},
    holders::{self, Cred, Scan},
    level,
    observe::{Observed, Observer, Watched},
    plan::Plan,
    run::{Checked, Ground, mount_facts},
    watch::{End, Watch},
};
use crate::{
    attach::KernelFilters, clock::monotonic_ns, event::Event, kernel::layout::Source,
    trace::OpenPath,
};

/// From one scan of the holders to the next, and at least so many times as long as a scan
/// takes: on a machine with many processes that is longer.
const SCAN_EVERY: Duration = Duration::from_secs(1);
const SCAN_TIMES: u32 = 20;
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
    for plan in plans {
        let point = plan.mount.point.shown().to_string();
        let text = format!("{point}: watches what others open, for {time:?}; touches nothing");
        let _ = writeln!(io::stderr(), "nfs-trace: {text}");
    }
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut devs: Vec<u32> = plans.iter().map(|plan| plan.mount.dev).collect();
    devs.sort_unstable();
    devs.dedup();
    let filters = KernelFilters {
        // Without a layout mounts cannot be told apart, and all are seen.
        devs: match ground.layout.source {
            Source::None => Vec::new(),
            Source::Btf | Source::Table => devs.clone(),
        },
        ..KernelFilters::default()
    };
    let watch = Watch::start(
        ground.facts.clone(),
        &ground.layout,
        &filters,
        ground.transport,
    )
    .await?;
    let watched = plans.iter().map(|plan| Watched {
        dev: plan.mount.dev,
        point: plan.mount.point.shown().to_string(),
        ground: level::Ground {
            atomic_open_v1: mount_facts(plan).and_then(|facts| facts.atomic_open_v1),
            // Whether that is true is known at the end.
            inode_check: true,
        },
    });
    let mut watching = Watching {
        observer: Observer::new(watched.collect(), watch.clock_offset_ns),
        watch,
        creds: HashMap::new(),
        devs,
        no_layout: (ground.layout.source == Source::None).then(|| ground.layout.why.clone()),
    };
    let started = Instant::now();
    let until = started + time;
    let mut next_scan = started;
    let mut interrupted = false;
    while !(plans.len() == 1 && watching.observer.first_cached().is_some()) {
        if watching.drain()? {
            sleep(GATHER).await;
        }
        tokio::select! {
            biased;
            _ = interrupt.recv() => { interrupted = true; break }
            _ = terminate.recv() => { interrupted = true; break }
            () = sleep_until(until) => break,
            () = sleep_until(next_scan) => {
                let begun = Instant::now();
                watching.scan()?;
                next_scan = begun + SCAN_EVERY.max(begun.elapsed() * SCAN_TIMES);
            }
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
    /// Why opens cannot be told apart by mount, if so.
    no_layout: Option<String>,
}

impl Watching {
    fn drain(&mut self) -> anyhow::Result<bool> {
        self.take(|watch, event, path| watch.drain(event, &mut |it| path(it)))
    }

    fn take<T>(
        &mut self,
        drain: impl FnOnce(&mut Watch, &mut dyn FnMut(&Event), &mut dyn FnMut(OpenPath)) -> T,
    ) -> T {
        let Self {
            watch,
            observer,
            creds,
            ..
        } = self;
        let mut paths: Vec<OpenPath> = Vec::new();
        let taken = drain(
            watch,
            &mut |event| {
                let tid = event.stamp.tid;
                creds.entry(tid).or_insert_with(|| holders::cred_of(tid));
            },
            &mut |path| paths.push(path),
        );
        for path in &paths {
            let opener = creds.remove(&path.tid).flatten();
            observer.open(path, opener.as_ref());
        }
        taken
    }

    fn scan(&mut self) -> anyhow::Result<()> {
        let begin_ns = monotonic_ns();
        let Scan { holders, .. } = holders::scan(&self.devs)?;
        let end_ns = monotonic_ns();
        // What ended before the scan did is in the buffer by now.
        self.take(|watch, event, path| watch.drain_until_now(event, &mut |it| path(it)))?;
        // A thread may change its user, and its number may go to another one.
        self.creds.clear();
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
        let End {
            lost, inode_checks, ..
        } = self.watch.end()?;
        let mut observed = self.observer.finish();
        let nowhere = observed.remove(&0);
        let unplaced = self.no_layout.map(|why| unplaced(&why, nowhere.as_ref()));
        Ok(plans
            .iter()
            .map(|plan| {
                let one = observed.get(&plan.mount.dev);
                let both = one.into_iter().chain(&nowhere);
                let mut evidence: Vec<_> =
                    one.map(|one| one.evidence.clone()).into_iter().collect();
                let by_filehandle = mount_facts(plan).and_then(|facts| facts.atomic_open_v1);
                if !inode_checks && by_filehandle != Some(false) {
                    // It rests on a program that never ran.
                    let full = |one: &&mut Evidence| one.fix_level == Some(FixLevel::Full);
                    evidence
                        .iter_mut()
                        .filter(full)
                        .for_each(|one| one.fix_level = None);
                }
                Checked {
                    mishaps: Mishaps {
                        interrupted,
                        lost: Some(lost),
                        incomplete: both.map(|one| one.incomplete).sum::<u64>() as usize,
                        ..Mishaps::default()
                    },
                    evidence,
                    remarks: unplaced.iter().cloned().collect(),
                    took,
                }
            })
            .collect())
    }
}

/// The remark where nothing tells the mount of an open. `nowhere`: what was seen all the same.
fn unplaced(why: &str, nowhere: Option<&Observed>) -> String {
    let seen = match nowhere {
        Some(one) => format!(
            "; on any of them, {} looked at: {}",
            one.evidence.looked_at, one.evidence.seen
        ),
        None => String::new(),
    };
    format!(
        "opens cannot be told apart by mount, because the layout of kernel structures is not \
         known ({why}): none counts for this mount{seen}"
    )
}
