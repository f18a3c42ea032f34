//! `cargo xtask dist`: one static file that can be copied to any x86-64 machine, its man pages and
//! completions, and packages of all of it for dpkg and rpm. The same binary gives the same bytes.

pub(crate) mod check;
mod contents;
mod deb;
mod licences;
mod rpm;

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use clap::Args;

use crate::{build, cache, exec, workspace};
use contents::Family;

/// Build the static binary, man pages, completions, a .deb and a .rpm, in target/dist
#[derive(Args)]
pub(crate) struct Options {
    /// Check them as `test` does as well: made twice, read and installed by dpkg and rpm
    #[arg(long)]
    check: bool,
}

/// Each shell's name to nfs-trace, and what its script is called.
const SHELLS: [(&str, &str); 3] = [
    ("bash", "nfs-trace"),
    ("zsh", "_nfs-trace"),
    ("fish", "nfs-trace.fish"),
];

const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Of the packaging of a version.
const RELEASE: &str = "1";
const MAINTAINER: &str = "nfs-trace maintainers <maintainers@nfs-trace.invalid>";
const SUMMARY: &str = "show which path every NFSv4 open takes";
const DESCRIPTION: &str = "\
nfs-trace says for every open of a file on an NFSv4 mount what vouched for its
name and for the file: the server, a delegation, or the client's own cached
open state, and whether this client serves files that were replaced. The
service nfs-trace-metrics, not enabled by default, counts them for Prometheus.";

/// What was made, all of it in one folder.
pub(crate) struct Made {
    pub(crate) folder: PathBuf,
    pub(crate) deb: PathBuf,
    pub(crate) rpm: PathBuf,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let Options { check } = options;
    if *check {
        for what in check::all()? {
            eprintln!("SKIPPED {what}");
        }
    }
    let made = make(&workspace::root().join("target/dist"))?;
    let shown = |path: &Path| {
        let below = path.strip_prefix(workspace::root()).unwrap_or(path);
        below.display().to_string()
    };
    let binary = made.folder.join("nfs-trace");
    for (file, what) in [(&binary, ", static"), (&made.deb, ""), (&made.rpm, "")] {
        let meta = fs::metadata(file).with_context(|| format!("look at {}", file.display()))?;
        let size = meta.len() as f64 / f64::from(1 << 20);
        println!("{}: {size:.1} MiB{what}", shown(file));
    }
    for folder in ["man", "completions"] {
        let path = made.folder.join(folder);
        let files = fs::read_dir(&path).with_context(|| format!("list {}", path.display()))?;
        println!("{}: {} files", shown(&path), files.count());
    }
    Ok(())
}

/// Makes everything in a folder, which is emptied before.
pub(crate) fn make(folder: &Path) -> Result<Made> {
    eprintln!("dist: building the static binary");
    let built = build::static_binary("nfs-trace", "nfs-trace")?;
    cache::remove_dir(folder)?;
    let at = |name: &str| folder.join(name);
    for name in ["man", "completions"] {
        cache::create_dir(&at(name))?;
    }
    let binary = at("nfs-trace");
    fs::copy(&built, &binary)
        .with_context(|| format!("copy {} to {}", built.display(), binary.display()))?;
    exec::run(Command::new(&binary).args(["man", "--dir"]).arg(at("man")))?;
    for (shell, name) in SHELLS {
        let script = exec::output(Command::new(&binary).args(["completions", shell]))?;
        cache::write(&at("completions").join(name), script)?;
    }
    cache::write(&at(licences::FILE), licences::gather()?)?;
    let date = date()?;
    let made = Made {
        deb: at(&format!("nfs-trace_{VERSION}-{RELEASE}_amd64.deb")),
        rpm: at(&format!("nfs-trace-{VERSION}-{RELEASE}.x86_64.rpm")),
        folder: folder.to_owned(),
    };
    let files = contents::files(folder, Family::Debian)?;
    cache::write(&made.deb, deb::build(&files, date)?)?;
    let files = contents::files(folder, Family::RedHat)?;
    cache::write(&made.rpm, rpm::build(&files, date)?)?;
    Ok(made)
}

/// The time of everything in the packages, in seconds since 1970: SOURCE_DATE_EPOCH, or that of
/// the commit.
fn date() -> Result<u32> {
    let name = "SOURCE_DATE_EPOCH";
    if let Some(set) = env::var_os(name) {
        let seconds = set.to_str().and_then(|set| set.parse().ok());
        return seconds.with_context(|| {
            format!("read {name}: {set:?} is not a number of seconds since 1970")
        });
    }
    let mut git = Command::new("git");
    git.current_dir(workspace::root());
    let text = exec::output(git.args(["log", "-1", "--format=%ct"]))
        .with_context(|| format!("find the time of the commit (outside git, set {name})"))?;
    let text = text.trim();
    ensure!(!text.is_empty(), "git has no commit here: set {name}");
    text.parse().with_context(|| format!("read `{text}`"))
}
