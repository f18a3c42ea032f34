//! Runs commands: quiet when they work, everything needed to understand it when they do not.

use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use anyhow::{Context as _, Result, bail};

/// How much of a failed command's output its error shows.
const TAIL_LINES: usize = 25;

/// Runs to success; what it printed is shown only when it fails.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    output(command).map(drop)
}

/// Runs to success and returns what it wrote to stdout.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let out = captured(command)?;
    if !out.status.success() {
        bail!("{}", failure(command, &out));
    }
    Ok(String::from_utf8_lossy(&out.stdout).into_owned())
}

/// Like [`output`], for binary data.
pub(crate) fn output_bytes(command: &mut Command) -> Result<Vec<u8>> {
    let out = captured(command)?;
    if !out.status.success() {
        bail!("{}", failure(command, &out));
    }
    Ok(out.stdout)
}

/// Whether the command runs and succeeds; what it prints is dropped.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    captured(command).is_ok_and(|out| out.status.success())
}

/// Runs to success with its output shown to the person, for what takes long (cargo).
pub(crate) fn run_shown(command: &mut Command) -> Result<()> {
    let status = command
        .stdin(Stdio::null())
        .status()
        .with_context(|| format!("run {command:?}"))?;
    if !status.success() {
        bail!("{command:?} failed with {status}");
    }
    Ok(())
}

/// Runs with its output shown to the person; returns its exit status.
pub(crate) fn status(command: &mut Command) -> Result<i32> {
    let status = command
        .stdin(Stdio::null())
        .status()
        .with_context(|| format!("run {command:?}"))?;
    status
        .code()
        .with_context(|| format!("{command:?} ended with {status}"))
}

/// Where a program is: on the PATH, or in the sbin folders that users' PATHs leave out.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|folder| folder.join(program))
        .find(|file| is_program(file))
}

fn is_program(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    file.metadata()
        .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// Fails with what to install when a program is missing.
pub(crate) fn require(program: &str, package: &str) -> Result<PathBuf> {
    find(program).with_context(|| {
        format!("find the program {program}: install it (Debian package {package})")
    })
}

fn captured(command: &mut Command) -> Result<Output> {
    command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("run {command:?}"))
}

fn failure(command: &Command, out: &Output) -> String {
    let text = [&out.stdout[..], &out.stderr[..]].map(String::from_utf8_lossy);
    format!(
        "{command:?} failed with {}:\n{}",
        out.status,
        tail(&text.join(""), TAIL_LINES)
    )
}

fn tail(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_names_the_command_and_its_last_words() {
        let error = run(Command::new("sh").args(["-c", "echo lost; echo said; exit 3"]))
            .unwrap_err()
            .to_string();
        assert!(error.contains("exit 3"), "{error}");
        assert!(error.ends_with("lost\nsaid"), "{error}");
        assert_eq!(tail("a\nb\nc", 2), "b\nc");
    }
}
