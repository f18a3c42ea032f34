//! Where the layout of kernel structures comes from: whatever it is, the paths are the same, and
//! names are right or not shown at all.

use std::{fs, path::Path};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::{
    Held,
    ground::Ground,
    held,
    tool::{Report, Tool},
};
use crate::workload;

/// Opens of `rename-over` together with the held one.
const ROWS: usize = 12;
/// Where the kernel shows its BTF.
const BTF: &str = "/sys/kernel/btf";
/// A table that is right but for one field.
const WRONG: &str = "/tmp/wrong-layout.json";

/// One way to get at a layout, and what has to come of it.
struct Way {
    arguments: Vec<String>,
    source: &'static str,
    /// In the start line's reason; empty if there must be none.
    why: &'static str,
}

fn way(arguments: &str, source: &'static str, why: &'static str) -> Way {
    Way {
        arguments: arguments.split_whitespace().map(Into::into).collect(),
        source,
        why,
    }
}

pub(super) fn layout(ground: &Ground) -> Result<Held> {
    if !Path::new(BTF).join("vmlinux").exists() {
        return Ok(Held::Skipped(
            "this kernel has no BTF to compare with".into(),
        ));
    }
    wrong_table()?;
    let wrong = format!("--layout table --layout-table {WRONG}");
    let ways = [
        way("", "btf", ""),
        way(&files()?, "btf", "from /tmp/vmlinux.btf"),
        way("--layout table", "table", "as asked for"),
        way("--layout none", "none", "as asked for"),
        way(&wrong, "none", "wrong for a known file: inode number"),
    ];
    traces(ground, &ways)?;
    checks(&ways)?;
    refusals()?;
    held("5 layouts: the same 12 paths and verdicts, the same names by BTF, files and table")
}

/// Copies of the kernel's BTF, as options.
fn files() -> Result<String> {
    let mut options = String::new();
    // A module need not have any.
    for name in ["vmlinux", "nfs", "nfsv4"] {
        let of_kernel = Path::new(BTF).join(name);
        if of_kernel.exists() {
            let copy = format!("/tmp/{name}.btf");
            fs::copy(&of_kernel, &copy).with_context(|| format!("copy the BTF of {name}"))?;
            options += &format!(" --btf {copy}");
        }
    }
    Ok(options)
}

/// As on a kernel without CONFIG_SECURITY, where i_ino is not where it usually is.
fn wrong_table() -> Result<()> {
    let ended = Tool::run(&["probes", "--format", "json"])?;
    ended.expect(0)?;
    let mut report: Value = serde_json::from_str(&ended.out).context("read the probes")?;
    let table = report["offsets"].take();
    let mut table = table.as_object().context("find the offsets")?.clone();
    let ino = table["inode.i_ino"].as_u64().context("find i_ino")?;
    table.insert("inode.i_ino".into(), (ino - 8).into());
    fs::write(WRONG, serde_json::to_vec(&table)?).with_context(|| format!("write {WRONG}"))
}

/// The same opens seen by all of them at once.
fn traces(ground: &Ground, ways: &[Way]) -> Result<()> {
    workload::prepare("rename-over", &ground.server, &ground.client)?;
    let mut tools = Vec::new();
    for way in ways {
        let options = way.arguments.iter().map(String::as_str);
        let all: Vec<&str> = ["--format", "json"].into_iter().chain(options).collect();
        tools.push(Tool::armed(&all)?);
    }
    ground.rename_over()?;
    let mut reports = Vec::new();
    for (way, tool) in ways.iter().zip(tools) {
        let report = tool.report()?;
        let Way {
            arguments, source, ..
        } = way;
        explained(way, &report.start).with_context(|| format!("{arguments:?}"))?;
        report
            .expect(ROWS)
            .with_context(|| format!("{arguments:?}"))?;
        reports.push((report, *source));
    }
    let (first, _) = &reports[0];
    for (report, source) in &reports[1..] {
        same(
            first,
            report,
            &["open_path", "name_check", "result", "rpcs"],
        )?;
        if *source == "none" {
            for key in ["path", "mount", "fileid", "claim"] {
                let shown = report.count(|row| !row[key].is_null());
                ensure!(shown == 0, "{shown} rows show a {key} without a layout");
            }
        } else {
            same(
                first,
                report,
                &["path", "mount", "fileid", "claim", "flags"],
            )?;
        }
    }
    let named = first.count(|row| row["path"] == "layout/test1.txt" && row["mount"] == "/mnt");
    ensure!(named == ROWS, "{named} of {ROWS} rows have the right name");
    let claims = first.count(|row| row["claim"].is_null() && row["rpcs"]["open"] != 0);
    ensure!(claims == 0, "{claims} rows with an OPEN have no claim");
    Ok(())
}

fn explained(way: &Way, start: &Value) -> Result<()> {
    ensure!(
        start["layout"] == way.source,
        "layout {} instead of {}: {}",
        start["layout"],
        way.source,
        start["layout_why"]
    );
    let why = start["layout_why"].as_str().unwrap_or_default();
    ensure!(
        why.contains(way.why) && why.is_empty() == way.why.is_empty(),
        "it says `{why}`, and nothing of `{}`",
        way.why
    );
    Ok(())
}

fn same(one: &Report, other: &Report, keys: &[&str]) -> Result<()> {
    for (one, other) in one.rows.iter().zip(&other.rows) {
        for key in keys {
            ensure!(
                one[key] == other[key],
                "{key} {} by BTF, {} in {other}",
                one[key],
                other[key]
            );
        }
    }
    Ok(())
}

/// The self-test knows its own opens by process and time: its verdict needs no layout. What
/// others open it cannot place without.
fn checks(ways: &[Way]) -> Result<()> {
    let mut verdicts = Vec::new();
    for way in ways {
        let mut arguments = vec!["check", "/mnt", "--format", "json", "--timeout", "30s"];
        arguments.extend(way.arguments.iter().map(String::as_str));
        let ended = Tool::run(&arguments)?;
        let report: Value = serde_json::from_str(&ended.out).context("read the check")?;
        let mount = &report["mounts"][0];
        verdicts.push((mount["verdict"].clone(), mount["fix_level"].clone()));
    }
    ensure!(
        verdicts[0].0 != "inconclusive" && verdicts.iter().all(|one| *one == verdicts[0]),
        "the verdicts differ: {verdicts:?}"
    );
    let ended = Tool::run(&["check", "/mnt", "--observe", "1s", "--layout", "none"])?;
    ended.expect(3)?;
    ensure!(
        ended.out.contains("cannot be told apart by mount"),
        "no reason in: {}",
        ended.out
    );
    Ok(())
}

fn refusals() -> Result<()> {
    let bytes = fs::read("/tmp/vmlinux.btf").context("read the copy")?;
    fs::write("/tmp/short.btf", &bytes[..bytes.len() / 2]).context("cut the copy")?;
    let damaged = ["trace", "--btf", "/tmp/short.btf"];
    Tool::run(&damaged)?.refuses(64, &["/tmp/short.btf", "damaged"])?;
    Tool::run(&["trace", "--btf", "/init"])?.refuses(64, &["/init", ".BTF"])?;
    let mount = ["trace", "--layout", "none", "--mount", "/mnt"];
    Tool::run(&mount)?.refuses(69, &["--mount", "as asked for"])
}
