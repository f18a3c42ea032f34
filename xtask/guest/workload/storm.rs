//! Many processes open many files while the server renames new ones over them.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Read as _, Write as _},
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use lab_contract::{
    protocol::Workload,
    scenario::{STORM_FILES, STORM_HELD, STORM_OPENS, STORM_PROCESSES},
};

use super::files::{self, Bench};

/// Processes belong to this many users: open owners. Over v4.0 the opens of one owner queue up
/// behind one another (its seqid: 113 s for one owner, 46 s for four), so one owner would be no
/// storm; and with one owner each, no process would meet the open state of another.
const USERS: u64 = 2;

/// Between two renames on the server.
const RENAME_EVERY: Duration = Duration::from_millis(50);

pub(super) fn run(bench: &mut Bench) -> Result<()> {
    let processes: Vec<Child> = (0..STORM_PROCESSES).map(start).collect::<Result<_>>()?;
    let over = AtomicBool::new(false);
    let server = bench.server.clone();
    let sums = thread::scope(|scope| {
        let renamer = scope.spawn(|| rename_until(&server, &over));
        let sums = finish(processes);
        over.store(true, Ordering::Relaxed);
        let renames = renamer
            .join()
            .map_err(|_| anyhow::anyhow!("the renaming thread failed"))??;
        ensure!(renames > 0, "the storm was over before the first rename");
        sums
    })?;
    bench.add_opens(STORM_OPENS);
    for (what, times) in sums {
        (0..times).for_each(|_| bench.note(&what));
    }
    Ok(())
}

fn start(number: u64) -> Result<Child> {
    let user = match number % USERS {
        0 => 0,
        other => 1000 + other as u32,
    };
    Command::new("/init")
        .args(["storm", &number.to_string()])
        .uid(user)
        .gid(user)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("start process {number} of the storm"))
}

/// Lets all processes go at once (they wait for a byte) and adds up what they read.
fn finish(mut processes: Vec<Child>) -> Result<BTreeMap<String, u64>> {
    for process in &mut processes {
        let input = process
            .stdin
            .as_mut()
            .context("reach a process of the storm")?;
        input.write_all(b"g").context("start the storm")?;
    }
    let mut sums = BTreeMap::new();
    for process in processes {
        let output = process
            .wait_with_output()
            .context("wait for a process of the storm")?;
        ensure!(
            output.status.success(),
            "a process of the storm ended with {}",
            output.status
        );
        let report: Workload = serde_json::from_slice(&output.stdout)?;
        let expected = STORM_OPENS / STORM_PROCESSES;
        ensure!(
            report.opens == Some(expected),
            "{:?} opens, not {expected}",
            report.opens
        );
        for run in report.reads {
            *sums.entry(run.what).or_default() += run.times;
        }
    }
    Ok(sums)
}

fn rename_until(server: &Path, over: &AtomicBool) -> Result<u64> {
    let mut random = Random(97);
    for renames in 0.. {
        if over.load(Ordering::Relaxed) {
            return Ok(renames);
        }
        files::write(server, "next", "new")?;
        let target = server.join(format!("file{}", random.below(STORM_FILES)));
        fs::rename(server.join("next"), target).context("rename on the server")?;
        thread::sleep(RENAME_EVERY);
    }
    Ok(0)
}

/// One process of the storm.
pub(crate) fn process(number: u64) -> Result<()> {
    io::stdin()
        .read_exact(&mut [0])
        .context("wait for the start")?;
    let mut bench = Bench::new("");
    let mut random = Random(number + 1);
    let mut name = || format!("file{}", random.below(STORM_FILES));
    let held: io::Result<Vec<_>> = (0..STORM_HELD).map(|_| bench.open_read(&name())).collect();
    let _held = held.context("open a file to hold")?;
    for _ in STORM_HELD..STORM_OPENS / STORM_PROCESSES {
        bench.cat(&name());
    }
    serde_json::to_writer(io::stdout(), &bench.report()).context("print the report")
}

/// The same order of files in each run (xorshift64).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}
