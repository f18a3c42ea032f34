//! The kernels of distributions: Debian's packages, unpacked in the cache.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};
use serde::Serialize;

use super::natural;
use crate::{
    apt::{self, Apt, Package, Pool},
    cache, debian_tool, exec,
};

/// What `debian:WORD` means, and the suites that serve it.
const SERIES: [(&str, &[&str]); 4] = [
    ("5.10", &["bullseye", "bullseye-security"]),
    ("6.1", DEBIAN_12),
    ("6.12", DEBIAN_12),
    ("7", &["forky", "sid", "experimental"]),
];

/// Debian 12 has 6.1, and 6.12 beside it: one archive for both, with sources and headers.
const DEBIAN_12: &[&str] = &["bookworm", "bookworm-updates", "bookworm-security"];

/// A kernel that is ready to boot.
#[derive(Debug)]
pub(crate) struct Kernel {
    /// `6.1`
    pub(crate) series: &'static str,
    /// `6.1.0-56-amd64`
    pub(crate) release: String,
    /// Of the package: `6.1.192-2`
    pub(crate) version: String,
    pub(crate) vmlinuz: PathBuf,
    /// `lib/modules/RELEASE`, with a modules.dep; none where all is built in
    pub(crate) modules: Option<PathBuf>,
}

/// What a kernel's folder was made from.
#[derive(Serialize)]
struct Manifest<'a> {
    release: &'a str,
    packages: Vec<Origin>,
}

#[derive(Serialize)]
struct Origin {
    package: String,
    version: String,
    suite: String,
    sha256: String,
}

/// Finds the newest kernel that a spec such as `debian:6.1` means, and makes it ready.
pub(crate) fn fetch(spec: &str) -> Result<Kernel> {
    let (series, suites) = parse_spec(spec)?;
    let apt = Apt::open()?;
    let pool = apt.pool(suites)?;
    let image = newest_image(&pool, series)?;
    let release = image.name["linux-image-".len()..].to_owned();
    let packages = with_parts(&pool, &image, &release)?;
    let version = image.version;
    let dir = cache::root()?
        .join("kernels")
        .join(format!("{release}_{version}"));
    cache::make(&dir, &version, |partial| {
        eprintln!("lab: unpacking Linux {release} ({version})");
        unpack(&pool, &packages, &release, partial)
    })?;
    let [vmlinuz, modules] = find_parts(&dir, &release)?;
    Ok(Kernel {
        series,
        release,
        version,
        vmlinuz,
        modules: Some(modules),
    })
}

/// The suites that have this kernel, and its headers and source.
pub(crate) fn suites(series: &str) -> &'static [&'static str] {
    let known = SERIES.iter().find(|(word, _)| *word == series);
    known.map_or(&[], |(_, suites)| suites)
}

/// Whether its build tools need a libc newer than that of Debian 12.
pub(crate) fn has_newer_tools(series: &str) -> bool {
    suites(series).contains(&"sid")
}

fn parse_spec(spec: &str) -> Result<(&'static str, &'static [&'static str])> {
    let known = SERIES
        .iter()
        .find(|(word, _)| spec.strip_prefix("debian:") == Some(*word));
    let Some((series, suites)) = known else {
        let all = SERIES.map(|(word, _)| format!("debian:{word}"));
        bail!(
            "know no kernel {spec:?}: use one of {}, or the path of a bzImage",
            all.join(", ")
        );
    };
    Ok((series, suites))
}

fn newest_image(pool: &Pool<'_>, series: &str) -> Result<Package> {
    let newest = pool
        .names(&format!("linux-image-{series}."))?
        .into_iter()
        .filter(|name| is_plain_image(name))
        .max_by(|a, b| natural::compare(a, b))
        .with_context(|| format!("find a kernel of the series {series}"))?;
    pool.newest(&newest)
}

/// Neither -rt nor -cloud, neither -dbg nor -unsigned.
fn is_plain_image(name: &str) -> bool {
    let release = name
        .strip_prefix("linux-image-")
        .and_then(|rest| rest.strip_suffix("-amd64"));
    release.is_some_and(|release| {
        release
            .split('-')
            .all(|part| part.starts_with(|c: char| c.is_ascii_digit()))
    })
}

/// Newer kernels' images come in parts.
fn with_parts(pool: &Pool<'_>, image: &Package, release: &str) -> Result<Vec<Package>> {
    let parts = ["linux-binary", "linux-modules"].map(|part| format!("{part}-{release}"));
    let mut packages = vec![image.clone()];
    packages.extend(
        pool.versions(&parts.each_ref().map(String::as_str))?
            .into_iter()
            .filter(|part| part.version == image.version),
    );
    packages.dedup_by(|a, b| a.name == b.name);
    Ok(packages)
}

fn unpack(pool: &Pool<'_>, packages: &[Package], release: &str, dir: &Path) -> Result<()> {
    let mut manifest = Manifest {
        release,
        packages: Vec::new(),
    };
    for package in packages {
        let deb = pool.fetch(package)?;
        apt::unpack(&deb, dir)?;
        let sum = exec::output(Command::new("sha256sum").arg(&deb))?;
        manifest.packages.push(Origin {
            package: package.name.clone(),
            version: package.version.clone(),
            suite: package.suite.clone(),
            sha256: sum.split_whitespace().next().unwrap_or_default().to_owned(),
        });
    }
    let [_, modules] = find_parts(dir, release)?;
    // depmod looks for lib/modules below the folder that it is given.
    let base = modules.ancestors().nth(3).unwrap_or(dir);
    exec::run(
        Command::new(debian_tool::DEPMOD.path()?)
            .arg("-b")
            .arg(base)
            .arg(release),
    )?;
    let text = serde_json::to_string_pretty(&manifest).context("write the manifest")?;
    cache::write(&dir.join("manifest.json"), text)
}

/// The boot image and the modules' folder; packages put them in one of two places.
fn find_parts(dir: &Path, release: &str) -> Result<[PathBuf; 2]> {
    let modules = [
        format!("lib/modules/{release}"),
        format!("usr/lib/modules/{release}"),
    ];
    let vmlinuz = [
        format!("boot/vmlinuz-{release}"),
        format!("usr/lib/modules/{release}/vmlinuz"),
    ];
    let find = |places: [String; 2]| {
        let found = places
            .iter()
            .map(|place| dir.join(place))
            .find(|path| path.exists());
        found.with_context(|| format!("find {} in {}", places.join(" or "), dir.display()))
    };
    Ok([find(vmlinuz)?, find(modules)?])
}

impl Kernel {
    /// Where a module lies, compressed or not.
    pub(crate) fn module(&self, path: &str) -> Result<PathBuf> {
        let modules = self.modules.as_deref().unwrap_or(Path::new(""));
        ["", ".xz", ".zst"]
            .map(|end| modules.join(format!("{path}{end}")))
            .into_iter()
            .find(|file| fs::exists(file).unwrap_or(false))
            .with_context(|| format!("find the module {path} of Linux {}", self.release))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_images_only() {
        let mut names = vec![
            "linux-image-6.1.0-9-amd64",
            "linux-image-6.1.0-56-amd64",
            "linux-image-6.1.0-56-amd64-dbg",
            "linux-image-6.1.0-56-amd64-unsigned",
            "linux-image-6.1.0-56-cloud-amd64",
            "linux-image-6.1.0-56-rt-amd64",
            "linux-image-6.12.9+bpo-amd64",
            "linux-image-6.12.117+deb12-amd64",
            "linux-image-6.12.117+deb12-rt-amd64",
        ];
        names.retain(|name| is_plain_image(name));
        assert_eq!(names.len(), 4, "{names:?}");
    }

    #[test]
    fn spec_names_a_series() {
        assert_eq!(parse_spec("debian:6.1").unwrap().0, "6.1");
        assert!(
            parse_spec("debian:6")
                .unwrap_err()
                .to_string()
                .contains("debian:6.12")
        );
    }
}
