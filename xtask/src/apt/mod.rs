//! A private apt: packages of any Debian suite, without root and without a trace in the system.
//!
//! Lists, downloads and an empty dpkg status live in the cache folder. The archive's address
//! comes from the machine's own sources; apt itself checks signatures and checksums.

mod pool;
mod sources;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};

pub(crate) use self::pool::{Package, Pool};
pub(crate) use self::sources::Archives;
use crate::{cache, exec};

/// How long lists are good for.
const FRESH: Duration = Duration::from_secs(24 * 60 * 60);

/// The private apt root. `Apt::open()?.pool(&["bookworm", "bookworm-security"])?` gives packages.
pub(crate) struct Apt {
    root: PathBuf,
    archives: Archives,
}

impl Apt {
    /// Finds apt and the machine's Debian archive.
    pub(crate) fn open() -> Result<Self> {
        for (program, package) in [
            ("apt-get", "apt"),
            ("apt-cache", "apt"),
            ("dpkg-deb", "dpkg"),
        ] {
            exec::require(program, package)
                .context("this step unpacks Debian packages, on Debian or its like")?;
        }
        let root = cache::root()?.join("apt");
        for folder in ["lists/partial", "archives/partial", "suites", "pools"] {
            cache::create_dir(&root.join(folder))?;
        }
        cache::keep(&root.join("status"), "")?;
        Ok(Self {
            root,
            archives: Archives::of_this_machine()?,
        })
    }

    /// The packages of those of the suites that are served, with lists of today.
    pub(crate) fn pool(&self, suites: &[&str]) -> Result<Pool<'_>> {
        let mut served = Vec::new();
        let mut refused = Vec::new();
        for suite in suites {
            match self.refresh(suite, FRESH) {
                Ok(source) => served.push((*suite, source)),
                Err(error) => refused.push(format!("{error:#}")),
            }
        }
        if served.is_empty() {
            bail!(
                "find any of the Debian suites {suites:?}: is the network there?\n{}",
                refused.join("\n")
            );
        }
        Pool::new(self, &served)
    }

    /// The source file of a suite, its lists not older than `age`.
    fn refresh(&self, suite: &str, age: Duration) -> Result<PathBuf> {
        let file = self.root.join("suites").join(format!("{suite}.sources"));
        if is_younger(&file, age) {
            return Ok(file);
        }
        let _lock = cache::lock("apt")?;
        let mut failure = None;
        for stanza in self.archives.stanzas(suite) {
            let trial = self
                .root
                .join("suites")
                .join(format!("{suite}.trial.sources"));
            cache::write(&trial, stanza)?;
            let mut update = self.command("apt-get", &self.root)?;
            update
                .arg("-o")
                .arg(format!("Dir::Etc::SourceList={}", trial.display()))
                // Without a network this must not take long: old lists may do.
                .args([
                    "-o",
                    "Acquire::Retries=1",
                    "-o",
                    "APT::Update::Error-Mode=any",
                    "update",
                ]);
            match exec::run(&mut update) {
                Ok(()) => {
                    fs::rename(&trial, &file)
                        .with_context(|| format!("keep the source {}", file.display()))?;
                    return Ok(file);
                }
                Err(error) => failure = Some(error),
            }
        }
        if file.exists() {
            eprintln!("apt: cannot refresh the lists of {suite}, those of before are used today");
            cache::write(&file, cache::read(&file)?)?;
            return Ok(file);
        }
        Err(failure.context("no archive to ask")?).with_context(|| format!("list suite {suite}"))
    }

    /// An apt command that sees nothing but the private root, with its caches in `caches`.
    fn command(&self, program: &str, caches: &Path) -> Result<Command> {
        let config = caches.join("apt.conf");
        cache::keep(&config, &config_text(&self.root, caches))?;
        let mut command = Command::new(program);
        command.env("LC_ALL", "C").arg("-c").arg(config);
        Ok(command)
    }
}

/// Unpacks a package into a folder.
pub(crate) fn unpack(deb: &Path, dir: &Path) -> Result<()> {
    cache::create_dir(dir)?;
    exec::run(Command::new("dpkg-deb").arg("-x").arg(deb).arg(dir))
}

fn is_younger(file: &Path, age: Duration) -> bool {
    let modified = file.metadata().and_then(|meta| meta.modified());
    modified.is_ok_and(|time| time.elapsed().is_ok_and(|elapsed| elapsed < age))
}

/// Read after the system's configuration, whose proxies are wanted and whose hooks are not.
fn config_text(root: &Path, caches: &Path) -> String {
    let (root, caches) = (root.display(), caches.display());
    format!(
        r#"#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear APT::Default-Release;
#clear DPkg::Pre-Install-Pkgs;
#clear DPkg::Pre-Invoke;
#clear DPkg::Post-Invoke;
APT::Architecture "amd64";
#clear APT::Architectures;
APT::Architectures {{ "amd64"; }};
APT::Sandbox::User "root";
APT::Get::List-Cleanup "false";
APT::Install-Recommends "false";
Acquire::Languages "none";
Acquire::GzipIndexes "false";
Acquire::Retries "3";
Acquire::http::Timeout "20";
Acquire::https::Timeout "20";
Dir::Etc::SourceList "/dev/null";
Dir::Etc::SourceParts "{caches}/sources.d";
Dir::Etc::Preferences "/dev/null";
Dir::Etc::PreferencesParts "/dev/null";
Dir::State "{root}";
Dir::State::Lists "{root}/lists";
Dir::State::status "{root}/status";
Dir::State::extended_states "{root}/extended_states";
Dir::Cache "{caches}";
Dir::Cache::Archives "{root}/archives";
Dir::Cache::pkgcache "pkgcache.bin";
Dir::Cache::srcpkgcache "srcpkgcache.bin";
"#
    )
}
