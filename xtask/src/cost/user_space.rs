//! User space, stage by stage, under callgrind: instructions for each record and each open.

use std::{fs, path::Path, process::Command};

use anyhow::{Context as _, Result};

use super::Measured;
use crate::{build, debian_tool, exec, setup::Tools, workspace};

/// Records that each run makes and works on.
const EVENTS: u64 = 200_000;

/// The stages of nfs-trace/examples/stages.rs: what each adds to the one before it, and whether
/// for each record or for each open.
const STAGES: [(&str, &str, &str, Per); 4] = [
    ("look", "decode", "a record decoded", Per::Record),
    (
        "decode",
        "judge",
        "a record reconstructed, judged and counted",
        Per::Record,
    ),
    ("judge", "json", "an open written as JSON", Per::Open),
    ("look", "record", "a record recorded", Per::Record),
];

#[derive(Clone, Copy)]
enum Per {
    Record,
    Open,
}

/// Valgrind's instructions of one run, and the records and opens in it.
struct Run {
    instructions: u64,
    records: u64,
    opens: u64,
}

pub(super) fn measure(tools: &Tools) -> Result<Measured> {
    let valgrind = match debian_tool::VALGRIND.path() {
        Ok(program) => program,
        Err(error) => return Ok(Measured::Impossible(format!("{error:#}"))),
    };
    let program = build::example(tools, "nfs-trace", "stages")?;
    let folder = workspace::root().join("target/cost");
    fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
    let mut runs = std::collections::BTreeMap::new();
    for stage in ["look", "decode", "judge", "json", "record"] {
        runs.insert(stage, count(&valgrind, &program, &folder, stage)?);
    }
    let figure = |(before, stage, name, per): (&str, &str, &str, Per)| {
        let run = &runs[stage];
        let added = run.instructions.saturating_sub(runs[before].instructions) as f64;
        let of = match per {
            Per::Record => run.records,
            Per::Open => run.opens,
        };
        // A tenth of an instruction is noise.
        (name.to_owned(), (added / of as f64 * 10.0).round() / 10.0)
    };
    Ok(Measured::Figures(STAGES.map(figure).into()))
}

fn count(valgrind: &Path, program: &Path, folder: &Path, stage: &str) -> Result<Run> {
    let counts = folder.join(format!("{stage}.callgrind"));
    let tools = valgrind.with_file_name("usr").join("libexec/valgrind");
    let mut command = Command::new(valgrind);
    command
        .env("VALGRIND_LIB", tools)
        .args(["--tool=callgrind", "--quiet"])
        .arg(format!("--callgrind-out-file={}", counts.display()))
        .arg(program)
        .args([stage, &EVENTS.to_string()]);
    let printed = exec::output(&mut command).context("count instructions")?;
    let counted = fs::read_to_string(&counts)
        .with_context(|| format!("read what {} has counted", valgrind.display()))?;
    let total = counted
        .lines()
        .find_map(|line| line.strip_prefix("totals: "));
    let mut numbers = printed.split_whitespace().map(str::parse);
    let mut number = || {
        numbers
            .next()
            .context("understand what it printed")?
            .map_err(anyhow::Error::from)
    };
    Ok(Run {
        instructions: total
            .context("find the total of instructions")?
            .trim()
            .parse()?,
        records: number()?,
        opens: number()?,
    })
}
