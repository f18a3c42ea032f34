//! `cargo xtask tidy`: the house rules that no compiler checks.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use clap::Args;

use crate::{apt::Archives, exec, setup::Tools, workspace};

/// Longest source file. Tests in files of their own may be longer.
const LINES_AT_MOST: usize = 400;
/// Files that may say `unsafe`; each says why. The programs read kernel memory.
const UNSAFE_IN: &[&str] = &["nfs-trace/src/poll.rs", "nfs-trace-ebpf/src/"];
/// What the pure stages of nfs-trace know nothing of.
const LIVE: &[&str] = &["aya::", "tokio::", "crate::attach", "crate::run", "std::fs"];
/// Those stages: from a record's bytes to a row on its way out, and what `check` judges by.
const PURE: &[&str] = &[
    "nfs-trace/src/decode.rs",
    "nfs-trace/src/event.rs",
    "nfs-trace/src/trace/",
    "nfs-trace/src/row.rs",
    "nfs-trace/src/summary.rs",
    "nfs-trace/src/filter.rs",
    "nfs-trace/src/known_mounts.rs",
    "nfs-trace/src/names.rs",
    "nfs-trace/src/notice.rs",
    "nfs-trace/src/order.rs",
    "nfs-trace/src/render/",
    "nfs-trace/src/pipeline.rs",
    "nfs-trace/src/top/draw",
    "nfs-trace/src/top/feed.rs",
    "nfs-trace/src/top/keys.rs",
    "nfs-trace/src/top/model",
    "nfs-trace/src/top/names.rs",
    "nfs-trace/src/sink.rs",
    "nfs-trace/src/recording/frame.rs",
    "nfs-trace/src/recording/item.rs",
    "nfs-trace/src/recording/reader.rs",
    "nfs-trace/src/recording/writer.rs",
    "nfs-trace/src/report/analysis.rs",
    "nfs-trace/src/report/csv.rs",
    "nfs-trace/src/report/evidence.rs",
    "nfs-trace/src/report/hold.rs",
    "nfs-trace/src/report/html.rs",
    "nfs-trace/src/report/kept.rs",
    "nfs-trace/src/report/latency.rs",
    "nfs-trace/src/report/model.rs",
    "nfs-trace/src/report/name.rs",
    "nfs-trace/src/report/perfetto",
    "nfs-trace/src/report/text",
    "nfs-trace/src/diff/align.rs",
    "nfs-trace/src/diff/answer.rs",
    "nfs-trace/src/diff/compare.rs",
    "nfs-trace/src/diff/conclude.rs",
    "nfs-trace/src/diff/json.rs",
    "nfs-trace/src/diff/side.rs",
    "nfs-trace/src/diff/text.rs",
    "nfs-trace/src/metrics/counts.rs",
    "nfs-trace/src/metrics/exposition.rs",
    "nfs-trace/src/check/advice.rs",
    "nfs-trace/src/check/conclude.rs",
    "nfs-trace/src/check/evidence.rs",
    "nfs-trace/src/check/explain.rs",
    "nfs-trace/src/check/image.rs",
    "nfs-trace/src/check/level.rs",
    "nfs-trace/src/check/observe.rs",
    "nfs-trace/src/check/observe/",
    "nfs-trace/src/check/options.rs",
    "nfs-trace/src/check/release",
    "nfs-trace/src/check/report.rs",
    "nfs-trace/src/check/selftest/job.rs",
    "nfs-trace/src/check/selftest/judge",
    "nfs-trace/src/check/text.rs",
    "nfs-trace/src/check/verdict.rs",
];

/// Check the house rules that no compiler checks
#[derive(Args)]
pub(crate) struct Options {}

pub(crate) fn run(_: &Options) -> Result<()> {
    check(&Tools::default())
}

/// Checks every rule and lists all that is broken.
pub(crate) fn check(tools: &Tools) -> Result<()> {
    let listed = exec::output(Command::new("git").current_dir(workspace::root()).args([
        "ls-files",
        "--cached",
        "--others",
        "--exclude-standard",
    ]))
    .context("list the files of the repository")?;
    let hosts = registry_hosts();
    let mut broken = Vec::new();
    for name in listed.lines() {
        let path = workspace::root().join(name);
        // Not text, or removed and not yet committed.
        let Ok(text) = fs::read_to_string(&path) else {
            continue;
        };
        if name != "Cargo.lock" {
            broken.extend(
                hosts
                    .iter()
                    .filter(|host| text.contains(*host))
                    .map(|host| {
                        format!(
                            "{name}: names the registry {host}: derive it from the configuration"
                        )
                    }),
            );
        }
        if Path::new(name).extension().is_some_and(|end| end == "rs") {
            broken.extend(rust_file(name, &text));
        }
    }
    broken.extend(host_links(tools)?);
    ensure!(
        broken.is_empty(),
        "house rules broken:\n  {}",
        broken.join("\n  ")
    );
    Ok(())
}

fn rust_file(name: &str, text: &str) -> Vec<String> {
    let mut broken = Vec::new();
    if !text.starts_with("//! ") {
        broken.push(format!("{name}: begin with `//!` and the file's one job"));
    }
    let lines = text.lines().count();
    let is_tests = name.ends_with("tests.rs") || name.contains("/tests/");
    if lines > LINES_AT_MOST && !is_tests {
        broken.push(format!("{name}: {lines} lines: split it"));
    }
    let is_in = |list: &[&str]| list.iter().any(|start| name.starts_with(start));
    let code = || {
        text.lines()
            .map(|line| line.split("//").next().unwrap_or_default())
    };
    // Put together here, so that this file does not find itself.
    let word = concat!("unsafe", " ");
    if !is_in(UNSAFE_IN) && code().any(|line| line.contains(word)) {
        broken.push(format!(
            "{name}: has code that the compiler cannot check: move it to {}",
            UNSAFE_IN[0]
        ));
    }
    if is_in(PURE) {
        for item in LIVE {
            if code().any(|line| line.contains(item)) {
                broken.push(format!("{name}: uses {item}, but this stage is pure"));
            }
        }
    }
    broken
}

/// The hosts that this machine's apt and cargo fetch from, as far as they are known.
fn registry_hosts() -> Vec<String> {
    let mut hosts = Archives::of_this_machine().map_or_else(|_| Vec::new(), |it| it.hosts());
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cargo")));
    let indexes = home.and_then(|home| fs::read_dir(home.join("registry/index")).ok());
    // One folder an index, called HOST-HASH.
    for entry in indexes.into_iter().flatten().flatten() {
        if let Some((host, _)) = entry.file_name().to_string_lossy().rsplit_once('-') {
            hosts.push(host.to_owned());
        }
    }
    hosts
}

/// aya-ebpf exports memcpy and friends, which would replace libc's in the host binary.
fn host_links(tools: &Tools) -> Result<Option<String>> {
    let mut cargo = Command::new("cargo");
    tools.apply(&mut cargo)?;
    cargo.current_dir(workspace::root());
    let tree = exec::output(cargo.args([
        "tree",
        "--locked",
        "--package",
        "nfs-trace",
        "--edges",
        "normal",
        "--prefix",
        "none",
    ]))?;
    let linked = tree.lines().any(|line| line.starts_with("aya-ebpf "));
    Ok(linked.then(|| "nfs-trace links aya-ebpf into the host binary".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_is_seen_broken() {
        let broken = |name: &str, text: &str| rust_file(name, text).len();
        assert_eq!(broken("xtask/src/a.rs", "//! Fine.\nfn a() {}\n"), 0);
        assert_eq!(broken("xtask/src/a.rs", "fn a() {}\n"), 1);
        assert_eq!(
            broken(
                "xtask/src/a.rs",
                &format!("//! Long.\n{}", "\n".repeat(400))
            ),
            1
        );
        let word = concat!("unsafe", " {}");
        assert_eq!(
            broken("xtask/src/a.rs", &format!("//! A.\nfn a() {{ {word} }}\n")),
            1
        );
        assert_eq!(
            broken(
                "nfs-trace/src/poll.rs",
                &format!("//! A.\nfn a() {{ {word} }}\n")
            ),
            0
        );
        assert_eq!(
            broken("nfs-trace/src/row.rs", "//! A.\nuse tokio::time;\n"),
            1
        );
        assert_eq!(
            broken("nfs-trace/src/row.rs", "//! A.\n// no tokio:: here\n"),
            0
        );
    }
}
