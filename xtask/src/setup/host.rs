//! Programs that the distribution brings: installed where there is the right to.

use std::process::Command;

use anyhow::{Result, bail};

use crate::exec;

/// A program, and the Debian package that has it.
type Need = (&'static str, &'static str);

/// For the lab: guests and rebuilt clients.
pub(super) const LAB: [Need; 9] = [
    ("qemu-system-x86_64", "qemu-system-x86"),
    ("gcc", "gcc"),
    ("make", "make"),
    ("patch", "patch"),
    ("strip", "binutils"),
    ("xz", "xz-utils"),
    // For whole kernels (like:4.4).
    ("flex", "flex"),
    ("bison", "bison"),
    ("bc", "bc"),
];

/// For the page of `report --html`.
pub(super) const BROWSER: [Need; 1] = [("chromium-headless-shell", "chromium-headless-shell")];

/// Installs what is missing, or says how to.
pub(super) fn ensure(needs: &[Need]) -> Result<()> {
    let missing = missing(needs);
    if missing.is_empty() {
        return Ok(());
    }
    let (programs, packages): (Vec<_>, Vec<_>) = missing.into_iter().unzip();
    if exec::find("apt-get").is_none() {
        bail!(
            "find {}: install them with this system's package manager (in Debian they are in {})",
            programs.join(", "),
            packages.join(", ")
        );
    }
    let command = install_command(&packages);
    let root = exec::output(Command::new("id").arg("-u"))?.trim() == "0";
    let prefix: &[&str] = match root {
        true => &[],
        false if exec::succeeds(Command::new("sudo").args(["-n", "true"])) => &["sudo", "-n"],
        false => bail!(
            "there is no right to install {}: run\n  sudo {}",
            programs.join(", "),
            command.join(" ")
        ),
    };
    eprintln!("setup: installing {}", packages.join(", "));
    // The lists may be old or not there at all (containers).
    let update = ["apt-get", "update"].map(str::to_owned);
    if let Err(error) = exec::run(&mut privileged(prefix, &update)) {
        eprintln!("setup: apt-get update failed, going on with the lists of before ({error:#})");
    }
    exec::run(&mut privileged(prefix, &command))?;
    if let Some((program, package)) = self::missing(needs).first() {
        bail!("find {program}, although its package {package} is installed now");
    }
    Ok(())
}

fn missing(needs: &[Need]) -> Vec<Need> {
    let needs = needs.iter().copied();
    needs
        .filter(|(program, _)| exec::find(program).is_none())
        .collect()
}

fn install_command(packages: &[&str]) -> Vec<String> {
    ["apt-get", "install", "--yes", "--no-install-recommends"]
        .iter()
        .chain(packages)
        .map(|word| (*word).to_owned())
        .collect()
}

fn privileged(prefix: &[&str], words: &[String]) -> Command {
    let mut all = prefix
        .iter()
        .copied()
        .chain(words.iter().map(String::as_str));
    let mut command = Command::new(all.next().unwrap_or_default());
    command.args(all);
    // sudo drops the environment, so this is for root; dpkg asks nothing without a terminal.
    command.env("DEBIAN_FRONTEND", "noninteractive");
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn installs_without_recommended_packages() {
        let words = install_command(&["make", "gcc"]);
        assert_eq!(
            words.join(" "),
            "apt-get install --yes --no-install-recommends make gcc"
        );
        let command = privileged(&["sudo", "-n"], &words);
        assert_eq!(command.get_program(), "sudo");
        assert_eq!(command.get_args().count(), 7);
    }
}
