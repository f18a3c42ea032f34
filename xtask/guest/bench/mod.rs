//! Opens under instruction counting: one held file is opened again and again by this process, with
//! nothing and with each way of watching it. The host started the guest so that a nanosecond is an
//! instruction, and sleeping costs nothing.

mod floor;
pub(crate) mod growth;
mod programs;
mod watcher;

use std::{
    fs::{self, File},
    path::Path,
    process::{Child, Command},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use lab_contract::{
    benched::{self, Benched, Way},
    protocol::{Job, Message, NfsVersion},
};

use self::watcher::Watcher;
use crate::{client, serial, server::EXPORT};

const OPENS: u64 = 2000;
const ROUNDS: usize = 5;
/// Background work that follows attaching adds up to half an open's instructions at first.
const SETTLE: Duration = Duration::from_secs(10);
/// After a round, for what is still on its way to the reader: what it does with that is counted.
const DRAIN: Duration = Duration::from_secs(1);
/// A mount on which nothing is opened.
const OTHER_MOUNT: &str = "/other";

/// What opens nothing, for filters that let nothing through.
struct Others {
    process: Child,
}

/// Every way of the job: exactly one result each.
pub(crate) fn all(job: &Job) -> Result<()> {
    let version = *job.versions.first().context("find an NFS version")?;
    client::mount(version)?;
    fs::write(Path::new(EXPORT).join("held"), "held").context("make the file")?;
    let path = Path::new(client::MOUNT).join("held");
    let _held = File::open(&path).context("hold the file open")?;
    let mut others = Others::new(version)?;
    for name in &job.scenarios {
        let way = benched::way(name).with_context(|| format!("find the way `{name}`"))?;
        let benched = one(way, &path, &others).unwrap_or_else(|error| Benched {
            way: name.clone(),
            error: Some(format!("{error:#}")),
            ..Benched::default()
        });
        serial::send(&Message::Benched(benched));
    }
    others.process.kill()?;
    others.process.wait()?;
    serial::send(&Message::Done);
    Ok(())
}

impl Others {
    fn new(version: NfsVersion) -> Result<Self> {
        fs::create_dir_all(OTHER_MOUNT).context("make a mount point")?;
        // A super block of its own.
        client::mount_with(version, "/", OTHER_MOUNT, ",nosharecache")?;
        let process = Command::new("busybox")
            .args(["sleep", "1000000"])
            .spawn()
            .context("start a process that opens nothing")?;
        Ok(Self { process })
    }

    /// The word that stands in for it in a way's arguments, replaced.
    fn replace(&self, word: &str) -> String {
        match word {
            "PID" => self.process.id().to_string(),
            "MOUNT" => OTHER_MOUNT.into(),
            word => word.into(),
        }
    }
}

fn one(way: &Way, path: &Path, others: &Others) -> Result<Benched> {
    serial::next("to be in place");
    let begun = Instant::now();
    let watcher = Watcher::start(&way.watch, |word| others.replace(word))?;
    let mut benched = Benched {
        way: way.name.into(),
        opens: OPENS,
        armed: nanos(begun),
        ..Benched::default()
    };
    // Before the rounds, and not between them: what the port is written with would be counted.
    serial::next("to open");
    thread::sleep(SETTLE);
    round(path)?;
    for _ in 0..ROUNDS {
        let (took, idle) = round(path)?;
        benched.rounds.push(took);
        benched.idle += idle;
    }
    if let Some(process) = watcher.with_programs() {
        // A round of its own: counting costs as well.
        serial::next("to count runs of programs");
        let counting = programs::Counting::start(process)?;
        round(path)?;
        (benched.hits, benched.hit_instructions) = counting.stop()?;
    }
    serial::next("to end");
    let begun = Instant::now();
    let ended = watcher.end()?;
    benched.ended = nanos(begun);
    (benched.events, benched.lost) = ended.read()?;
    Ok(benched)
}

/// Instructions that the opens and closes of a round take, with all that a reader does for them
/// afterwards, and how many went by besides, since the processor had nothing to do.
fn round(path: &Path) -> Result<(u64, u64)> {
    count(|| {
        for _ in 0..OPENS {
            File::open(path).with_context(|| format!("open {}", path.display()))?;
        }
        Ok(())
    })
}

/// Instructions of `work` and of what follows from it, and those that went by besides. A reader
/// gathers records for longer than a round may take: were only the time of `work` looked at, it would
/// have some of its own work done for nothing.
fn count(work: impl FnOnce() -> Result<()>) -> Result<(u64, u64)> {
    let idle = idle()?;
    let begun = Instant::now();
    work()?;
    thread::sleep(DRAIN);
    let went_by = nanos(begun);
    let idle = self::idle()? - idle;
    Ok((went_by.saturating_sub(idle), idle))
}

fn nanos(since: Instant) -> u64 {
    since.elapsed().as_nanos() as u64
}

/// Nanoseconds that the one processor was idle since boot.
fn idle() -> Result<u64> {
    /// What the scheduler's tick knows (print_cpu, kernel/time/timer_list.c).
    const LIST: &str = "/proc/timer_list";
    const FIELD: &str = ".idle_sleeptime";
    let text = fs::read_to_string(LIST).with_context(|| format!("read {LIST}"))?;
    let line = text.lines().find(|line| line.trim().starts_with(FIELD));
    let value = line.and_then(|line| line.split_whitespace().nth(2));
    let value = value.with_context(|| format!("find {FIELD} in {LIST}"))?;
    value.parse().with_context(|| format!("read {FIELD}"))
}
