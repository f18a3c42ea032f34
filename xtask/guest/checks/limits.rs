//! Where a trace begins and ends by itself, and two of them at once.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::Value;

use super::{Held, ground::Ground, held, tool::Tool};

pub(super) fn count(ground: &Ground) -> Result<Held> {
    let tool = Tool::armed(&["--format", "json", "--mount", "/mnt", "--count", "5"])?;
    ground.opens("alpha", 11, "a")?;
    let ended = tool.end()?;
    ended.expect(0)?;
    ended.report()?.expect(5)?;
    held("5 rows of 11 opens")
}

pub(super) fn duration(ground: &Ground) -> Result<Held> {
    ground.file("a")?;
    let tool = Tool::armed(&["--format", "json", "--mount", "/mnt", "--duration", "1s"])?;
    // Ready means ready: the very next open is seen, and seen whole.
    let armed = Instant::now();
    ground.opens("alpha", 7, "a")?;
    let ended = tool.end()?;
    let took = armed.elapsed();
    ended.expect(0)?;
    let report = ended.report()?;
    report.expect(7)?;
    ensure!(report.end["running_at_start"] == 0, "{}", report.end);
    ensure!(
        (Duration::from_millis(800)..Duration::from_secs(5)).contains(&took),
        "ended after {took:?}"
    );

    let ready = "/tmp/never-ready";
    Tool::run(&["trace", "--mount", "/nonexistent", "--ready-file", ready])?.expect(64)?;
    ensure!(
        !std::path::Path::new(ready).exists(),
        "ready though refused"
    );
    Tool::run(&["trace", "--ready-file", "/nonexistent/ready"])?
        .refuses(1, &["/nonexistent/ready", "No such file"])?;
    held(format!("ended {} ms after it was ready", took.as_millis()))
}

pub(super) fn second_instance(ground: &Ground) -> Result<Held> {
    let arguments = ["--format", "json", "--mount", "/mnt"];
    let (one, two) = (Tool::armed(&arguments)?, Tool::armed(&arguments)?);
    ground.opens("alpha", 17, "a")?;
    let (one, two) = (one.report()?, two.report()?);
    one.expect(17)?;
    two.expect(17)?;
    let seen = |rows: &[Value]| -> Vec<String> {
        let keys = ["tid", "path", "name_check", "open_path", "rpcs"];
        let row = |row: &Value| keys.map(|key| row[key].to_string()).join(" ");
        rows.iter().map(row).collect()
    };
    ensure!(
        seen(&one.rows) == seen(&two.rows),
        "they differ: {:?} {:?}",
        seen(&one.rows),
        seen(&two.rows)
    );
    held("17 equal rows each")
}
