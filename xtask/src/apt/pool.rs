//! Packages of a few suites taken together: their versions, downloads and dependencies.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};

use super::Apt;
use crate::{cache, exec};

/// Some suites' packages.
pub(crate) struct Pool<'a> {
    apt: &'a Apt,
    dir: PathBuf,
    suites: Vec<String>,
}

/// One version of a package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) suite: String,
}

impl<'a> Pool<'a> {
    pub(super) fn new(apt: &'a Apt, served: &[(&str, PathBuf)]) -> Result<Self> {
        let suites: Vec<String> = served
            .iter()
            .map(|(suite, _)| (*suite).to_owned())
            .collect();
        let dir = apt.root.join("pools").join(suites.join("+"));
        cache::create_dir(&dir.join("sources.d"))?;
        for (suite, source) in served {
            let kept = dir.join("sources.d").join(format!("{suite}.sources"));
            // An unchanged file keeps its time, and apt its package cache.
            cache::keep(&kept, &cache::read(source)?)?;
        }
        Ok(Self { apt, dir, suites })
    }

    /// Names of packages with a prefix.
    pub(crate) fn names(&self, prefix: &str) -> Result<Vec<String>> {
        let mut command = self.apt.command("apt-cache", &self.dir)?;
        let text = exec::output(command.args(["pkgnames", prefix]))?;
        Ok(text.lines().map(str::to_owned).collect())
    }

    /// The versions of packages, of each the newest first.
    pub(crate) fn versions(&self, names: &[&str]) -> Result<Vec<Package>> {
        let mut command = self.apt.command("apt-cache", &self.dir)?;
        let text = exec::output(command.arg("madison").args(names))?;
        Ok(text.lines().filter_map(parse_madison).collect())
    }

    /// The newest version of a package.
    pub(crate) fn newest(&self, name: &str) -> Result<Package> {
        self.versions(&[name])?
            .into_iter()
            .next()
            .with_context(|| format!("find the package {name} in the suites {:?}", self.suites))
    }

    /// The package's file, downloaded unless it is there.
    pub(crate) fn fetch(&self, package: &Package) -> Result<PathBuf> {
        let Package { name, version, .. } = package;
        if let Some(file) = self.file(name, version) {
            return Ok(file);
        }
        eprintln!("apt: downloading {name} {version}");
        self.retry_with_fresh_lists(|| {
            let _lock = cache::lock("apt")?;
            let mut command = self.apt.command("apt-get", &self.dir)?;
            command.current_dir(self.archives());
            exec::run(command.arg("download").arg(format!("{name}={version}")))
        })?;
        self.file(name, version)
            .with_context(|| format!("find the downloaded package {name} {version}"))
    }

    /// The files of packages and of all that they depend on, down to libc.
    pub(crate) fn fetch_with_dependencies(&self, names: &[&str]) -> Result<Vec<PathBuf>> {
        let files = self.retry_with_fresh_lists(|| {
            let _lock = cache::lock("apt")?;
            let mut plan = self.apt.command("apt-get", &self.dir)?;
            let plan = exec::output(plan.args(["--simulate", "install"]).args(names))?;
            let wanted: Vec<(&str, &str)> = plan.lines().filter_map(parse_planned).collect();
            ensure!(
                !wanted.is_empty(),
                "plan the install of {names:?}: nothing to do"
            );
            let find_all = || -> Option<Vec<PathBuf>> {
                wanted
                    .iter()
                    .map(|(name, version)| self.file(name, version))
                    .collect()
            };
            if let Some(files) = find_all() {
                return Ok(files);
            }
            eprintln!(
                "apt: downloading {} and what they need ({} packages)",
                names.join(", "),
                wanted.len()
            );
            let mut command = self.apt.command("apt-get", &self.dir)?;
            command
                .args(["--yes", "--download-only", "install"])
                .args(names);
            exec::run(&mut command)?;
            find_all().with_context(|| format!("find the downloaded packages of {names:?}"))
        })?;
        Ok(files)
    }

    fn archives(&self) -> PathBuf {
        self.apt.root.join("archives")
    }

    fn file(&self, name: &str, version: &str) -> Option<PathBuf> {
        find_deb(&self.archives(), name, version)
    }

    /// Versions leave a suite without notice: what fails with old lists may work with new ones.
    fn retry_with_fresh_lists<T>(&self, mut work: impl FnMut() -> Result<T>) -> Result<T> {
        match work() {
            Ok(done) => Ok(done),
            Err(first) => {
                for suite in &self.suites {
                    self.apt.refresh(suite, Duration::ZERO)?;
                }
                work().with_context(|| format!("with new lists too, after: {first:#}"))
            }
        }
    }
}

/// How apt names a package's file; the colon of an epoch is escaped.
fn find_deb(archives: &Path, name: &str, version: &str) -> Option<PathBuf> {
    let version = version.replace(':', "%3a");
    ["amd64", "all"]
        .map(|arch| archives.join(format!("{name}_{version}_{arch}.deb")))
        .into_iter()
        .find(|file| file.exists())
}

/// `name | version | address suite/component arch Packages`
fn parse_madison(line: &str) -> Option<Package> {
    let mut fields = line.split('|').map(str::trim);
    let (name, version, origin) = (fields.next()?, fields.next()?, fields.next()?);
    let suite = origin.split_whitespace().nth(1)?.split('/').next()?;
    origin.ends_with("Packages").then(|| Package {
        name: name.to_owned(),
        version: version.to_owned(),
        suite: suite.to_owned(),
    })
}

/// `Inst name (version origin [arch])`
fn parse_planned(line: &str) -> Option<(&str, &str)> {
    let (name, rest) = line.strip_prefix("Inst ")?.split_once(" (")?;
    Some((name, rest.split_whitespace().next()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_apt_prints() {
        let line = "linux-source-6.1 |  6.1.192-2 | http://m.invalid/debian-security \
                    bookworm-security/main amd64 Packages";
        let package = parse_madison(line).unwrap();
        assert_eq!(package.name, "linux-source-6.1");
        assert_eq!(package.version, "6.1.192-2");
        assert_eq!(package.suite, "bookworm-security");
        assert_eq!(
            parse_madison("rustc | 1.63 | http://m.invalid sid/main Sources"),
            None
        );
        let plan = "Inst zlib1g (1:1.2.13.dfsg-1 Debian:12.15/oldstable [amd64]) []";
        assert_eq!(parse_planned(plan), Some(("zlib1g", "1:1.2.13.dfsg-1")));
        assert_eq!(parse_planned("Conf zlib1g (1 x [amd64])"), None);
    }
}
