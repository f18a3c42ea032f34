//! Whether what `dist` makes is right, by the programs that will read it: packages made twice are
//! the same, dpkg and rpm take them, the binary runs from where they put it, and systemd, shells
//! and man have no complaint.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use lab_contract::unit;

use super::{
    Made,
    contents::{self, Family, File, Kind},
    make,
};
use crate::{cache, exec, workspace};

/// Checks everything; returns what could not be, and why.
pub(crate) fn all() -> Result<Vec<String>> {
    let folder = workspace::root().join("target/dist-check");
    cache::remove_dir(&folder)?;
    let made = make(&folder.join("first"))?;
    let again = make(&folder.join("second"))?;
    for (one, other) in [(&made.deb, &again.deb), (&made.rpm, &again.rpm)] {
        let same = read(one)? == read(other)?;
        ensure!(same, "{} differs from the first", other.display());
    }
    let mut skipped = Vec::new();
    let mut tried = |what: &str, program: &str, check: &dyn Fn() -> Result<()>| {
        if exec::find(program).is_none() {
            skipped.push(format!("{what}: there is no {program} here"));
            return Ok(());
        }
        check().with_context(|| what.to_owned())
    };
    tried("the .deb", "dpkg-deb", &|| deb(&made, &folder))?;
    tried("the .rpm", "rpm", &|| rpm(&made))?;
    tried("the unit", "systemd-analyze", &|| verify(&made, &folder))?;
    for (shell, name) in super::SHELLS {
        let script = made.folder.join("completions").join(name);
        tried(&format!("completions of {shell}"), shell, &|| {
            exec::run(Command::new(shell).arg("-n").arg(&script))
        })?;
    }
    tried("the man pages", "mandoc", &|| man(&made))?;
    if rustix::process::geteuid().is_root() {
        tried("the .deb, installed", "dpkg", &|| {
            deb_installed(&made, &folder)
        })?;
        tried("the .rpm, installed", "rpm", &|| {
            rpm_installed(&made, &folder)
        })?;
    } else {
        skipped.push("the packages, installed: that asks for root".to_owned());
    }
    Ok(skipped)
}

/// What dpkg-deb says is in it.
fn deb(made: &Made, folder: &Path) -> Result<()> {
    let files = contents::files(&made.folder, Family::Debian)?;
    let info = exec::output(Command::new("dpkg-deb").arg("--info").arg(&made.deb))?;
    for line in [
        "Package: nfs-trace",
        "Architecture: amd64",
        "conffiles",
        "postinst",
    ] {
        ensure!(info.contains(line), "no {line} in {info}");
    }
    let list = exec::output(Command::new("dpkg-deb").arg("--contents").arg(&made.deb))?;
    let listed = list.lines().filter(|line| line.starts_with('-'));
    let listed: BTreeSet<&str> = listed.filter_map(|line| line.split("./").nth(1)).collect();
    same(&files, &listed)?;
    ensure!(
        list.lines().all(|line| line.contains(" root/root ")),
        "not all of it is root's: {list}"
    );
    let root = folder.join("deb");
    exec::run(Command::new("dpkg-deb").arg("-x").args([&made.deb, &root]))?;
    installed(&root, &files)
}

/// Into a root folder of its own, and out of it again.
fn deb_installed(made: &Made, folder: &Path) -> Result<()> {
    let root = folder.join("dpkg");
    for dir in ["updates", "info", "triggers"] {
        cache::create_dir(&root.join("var/lib/dpkg").join(dir))?;
    }
    cache::write(&root.join("var/lib/dpkg/status"), "")?;
    let dpkg = |arguments: &[&str]| {
        let mut dpkg = Command::new("dpkg");
        // Its scripts run here, and see that they are not to touch this machine.
        dpkg.args(["--force-script-chrootless", "--force-not-root"]);
        dpkg.arg(format!("--root={}", root.display()))
            .args(arguments);
        exec::output(&mut dpkg)
    };
    let deb = made.deb.display().to_string();
    dpkg(&["--install", &deb])?;
    installed(&root, &contents::files(&made.folder, Family::Debian)?)?;
    ensure!(
        dpkg(&["--verify", "nfs-trace"])?.is_empty(),
        "dpkg --verify complains"
    );
    let wants = root.join("etc/systemd");
    ensure!(
        !wants.exists(),
        "installing enables something: {}",
        wants.display()
    );
    dpkg(&["--purge", "nfs-trace"])?;
    for left in [
        "usr/bin/nfs-trace",
        "etc/default/nfs-trace-metrics",
        "usr/share/doc/nfs-trace",
    ] {
        ensure!(!root.join(left).exists(), "{left} stays behind");
    }
    Ok(())
}

/// What rpm says is in it.
fn rpm(made: &Made) -> Result<()> {
    let files = contents::files(&made.folder, Family::RedHat)?;
    let query =
        |arguments: &[&str]| exec::output(Command::new("rpm").args(arguments).arg(&made.rpm));
    query(&["--checksig", "--nosignature"])?;
    let list = query(&[
        "-qp",
        "--queryformat",
        "[%{FILEMODES:perms} %{FILENAMES}\n]",
    ])?;
    let plain = list.lines().filter(|line| line.starts_with('-'));
    let listed: BTreeSet<&str> = plain.filter_map(|line| line.split(" /").nth(1)).collect();
    same(&files, &listed)?;
    let config = query(&["-qpc"])?;
    ensure!(
        config.trim() == "/etc/sysconfig/nfs-trace-metrics",
        "{config}"
    );
    let head = query(&[
        "-qp",
        "--queryformat",
        "%{NAME} %{ARCH} %{BUILDHOST} %{PAYLOADCOMPRESSOR}",
    ])?;
    ensure!(head == "nfs-trace x86_64 localhost gzip", "{head}");
    Ok(())
}

fn rpm_installed(made: &Made, folder: &Path) -> Result<()> {
    let root = folder.join("rpm");
    cache::create_dir(&root)?;
    let mut rpm = Command::new("rpm");
    rpm.arg("--root")
        .arg(&root)
        .args(["--install", "--noscripts", "--nodeps"]);
    exec::run(rpm.arg(&made.rpm))?;
    installed(&root, &contents::files(&made.folder, Family::RedHat)?)
}

/// Every file is there as it is to be, and the binary runs from there.
fn installed(root: &Path, files: &[File]) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    for file in files {
        let path = root.join(&file.path);
        ensure!(read(&path)? == file.data, "{} differs", path.display());
        let mode = path.metadata()?.permissions().mode() & 0o7777;
        ensure!(
            mode == u32::from(file.kind.mode()),
            "{} has mode {mode:o}",
            path.display()
        );
    }
    let said = exec::output(Command::new(root.join("usr/bin/nfs-trace")).arg("--version"))?;
    ensure!(said == format!("nfs-trace {}\n", super::VERSION), "{said}");
    Ok(())
}

fn same(files: &[File], listed: &BTreeSet<&str>) -> Result<()> {
    let wanted: BTreeSet<&str> = files.iter().map(|file| &*file.path).collect();
    let differ: Vec<_> = wanted.symmetric_difference(listed).collect();
    ensure!(
        differ.is_empty(),
        "not in both the table and the package: {differ:?}"
    );
    ensure!(
        files.iter().any(|file| file.kind == Kind::Config),
        "no configuration"
    );
    Ok(())
}

/// systemd reads every line of it, and what it runs is a command line of ours.
fn verify(made: &Made, folder: &Path) -> Result<()> {
    // It looks for the program on this machine, where nothing is installed.
    let program = made.folder.join("nfs-trace");
    let text = unit::TEXT.replace("/usr/bin/nfs-trace", &program.display().to_string());
    let file = folder.join(unit::NAME);
    cache::write(&file, text)?;
    let mut verify = Command::new("systemd-analyze");
    verify.args(["verify", "--man=no"]).arg(&file);
    let out = verify
        .stdin(Stdio::null())
        .output()
        .context("run systemd-analyze")?;
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    ensure!(
        out.status.success() && said.is_empty(),
        "systemd-analyze: {said}"
    );
    // Ends before it would trace.
    let mut help = Command::new(&program);
    exec::run(
        help.args(unit::arguments().context("find the command of the unit")?)
            .arg("--help"),
    )
}

/// mandoc(1) as the BSDs and Alpine have it: the second opinion after groff's.
fn man(made: &Made) -> Result<()> {
    let pages = fs::read_dir(made.folder.join("man")).context("list the man pages")?;
    let mut pages: Vec<PathBuf> = pages.map(|page| Ok(page?.path())).collect::<Result<_>>()?;
    pages.sort();
    ensure!(pages.len() > 2, "{} man pages", pages.len());
    let mut mandoc = Command::new("mandoc");
    exec::run(mandoc.args(["-T", "lint", "-W", "error"]).args(pages))
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("read {}", path.display()))
}
