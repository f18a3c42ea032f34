//! A reader that stands still under load, with room for one page of records: whatever it missed, what
//! was seen and what was lost are what the kernel says has happened.

use std::{
    fs::{self, File},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;

use super::{Held, ground::Ground, held, kernel, reader::Gated, tool::Tool};

const STOPPED: Duration = Duration::from_secs(5);
const STATS: &str = "/proc/sys/kernel/bpf_stats_enabled";
/// Opens after it goes on; the first of them shows what was missed.
const AFTER: u64 = 5;

/// Programs that send one record each time they run inside an open, and the step that it is.
const SENDERS: [(&str, &str); 3] = [
    ("nfst_task_out", "OPEN"),
    ("nfst_fopen_out", "nfs4_file_open"),
    ("nfst_atomic_out", "nfs_atomic_open"),
];

pub(super) fn stopped(ground: &Ground) -> Result<Held> {
    ground.file("a")?;
    let a = ground.name("a");
    let _held = File::open(&a).with_context(|| format!("hold {a} open"))?;
    let mut alpha = Gated::start("alpha")?;
    // Before the programs are loaded, so that the kernel counts every run of theirs.
    let counts = fs::write(STATS, "1").is_ok();
    let tool = Tool::armed(&["--format", "json", "--mount", "/mnt", "--buffer", "4"])?;
    alpha.opens(1, &a)?;
    thread::sleep(Duration::from_millis(200));
    let mut opens = 1;

    tool.signal(Signal::STOP)?;
    let begun = Instant::now();
    while begun.elapsed() < STOPPED {
        alpha.opens(20, &a)?;
        opens += 20;
    }
    tool.signal(Signal::CONT)?;
    thread::sleep(Duration::from_millis(500));
    for _ in 0..AFTER {
        alpha.opens(1, &a)?;
        thread::sleep(Duration::from_millis(50));
    }
    opens += AFTER;
    let runs = kernel::runs()?;
    let report = tool.report()?;
    if counts {
        fs::write(STATS, "0").with_context(|| format!("write {STATS}"))?;
    }

    let lost = report.number("/lost/records")?;
    ensure!(lost > 0, "nothing was lost: {}", report.end);
    let steps = |step: &str| {
        let rows = report.rows.iter().filter_map(|row| row["steps"].as_array());
        rows.flatten().filter(|it| it["step"] == step).count() as u64
    };
    let mut ended = 0;
    for (program, step) in SENDERS {
        let of = |what| report.number(&format!("/programs/{program}/{what}"));
        let (hits, seen, lost) = (of("hits")?, steps(step), of("lost")?);
        ensure!(
            seen + lost == hits,
            "{program}: {seen} seen and {lost} lost of {hits}: {}",
            report.end
        );
        if counts {
            let runs = runs.get(program).copied().unwrap_or(0);
            ensure!(
                runs == hits,
                "{program}: {hits} hits, the kernel says {runs}"
            );
        }
        if step != "OPEN" {
            ended += hits;
        }
    }
    ensure!(ended == opens, "{opens} opens, {ended} of them ended");
    let after = &report.rows[report.rows.len().saturating_sub(AFTER as usize - 1)..];
    for row in after {
        ensure!(
            row["complete"] == true && row["result"] == 0,
            "incomplete after it went on: {row}"
        );
    }
    held(format!(
        "{opens} opens, {} rows, {lost} records lost: what was seen and lost is what ran{}",
        report.rows.len(),
        if counts {
            ", by the kernel's own count"
        } else {
            ""
        }
    ))
}
