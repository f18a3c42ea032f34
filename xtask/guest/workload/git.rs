//! The story as it was met: git on the client holds packed-refs, git on the server replaces it.

use std::{path::Path, process::Command};

use anyhow::{Context as _, Result, bail};
use lab_contract::scenario::GIT_READS;

use super::files::Bench;

const REF: &str = "refs/heads/main";

/// A bare repository with one commit and packed refs, made on the server.
pub(super) fn prepare(server: &Path) -> Result<()> {
    run(server, &["init", "--quiet", "--bare", "."])?;
    commit(server, "one")?;
    git(server, &["pack-refs", "--all"]).map(drop)
}

pub(super) fn gc(bench: &mut Bench) -> Result<()> {
    let server = bench.server.clone();
    let old = git(&server, &["rev-parse", REF])?;
    // Some long-lived process of the client (Gitaly in the story) has it open.
    let _held = bench.open_read("packed-refs")?;
    bench.stop_counting();
    note(bench, &old, "?")?;
    let new = commit(&server, "two")?;
    // gc packs the new value of the ref and renames the new packed-refs over the old one.
    git(&server, &["gc", "--quiet"])?;
    (0..GIT_READS).try_for_each(|_| note(bench, &old, &new))
}

/// What git on the client says the ref is.
fn note(bench: &mut Bench, old: &str, new: &str) -> Result<()> {
    let seen = match git(Path::new("."), &["rev-parse", "--verify", REF]) {
        Ok(hash) if hash == old => "old".to_owned(),
        Ok(hash) if hash == new => "new".to_owned(),
        Ok(hash) => hash,
        Err(error) if error.to_string().contains("Stale file handle") => "ESTALE".to_owned(),
        Err(error) => format!("{error:#}"),
    };
    bench.note(&seen);
    Ok(())
}

fn commit(repository: &Path, message: &str) -> Result<String> {
    let tree = git(repository, &["mktree"])?;
    let commit = git(repository, &["commit-tree", "-m", message, &tree])?;
    git(repository, &["update-ref", REF, &commit])?;
    Ok(commit)
}

/// With the repository named, git does not look for one: fewer opens that are not the point.
fn git(repository: &Path, arguments: &[&str]) -> Result<String> {
    run(repository, &[&["--git-dir", "."], arguments].concat())
}

fn run(directory: &Path, arguments: &[&str]) -> Result<String> {
    let mut command = Command::new("git");
    command
        .current_dir(directory)
        .args(arguments)
        .env("HOME", "/root");
    for who in ["AUTHOR", "COMMITTER"] {
        command
            .env(format!("GIT_{who}_NAME"), "lab")
            .env(format!("GIT_{who}_EMAIL"), "lab@lab");
    }
    let output = command.output().context("run git")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!(
            "git {} ended with {}: {}",
            arguments.join(" "),
            output.status,
            said.trim()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
