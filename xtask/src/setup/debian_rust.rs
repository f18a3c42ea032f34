//! Debian's package of the Rust library's source, in whichever suite still has it.

use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::{
    apt::{self, Apt, Package},
    cache,
};

/// Suites with new compilers. Old versions leave them without notice.
const SUITES: [&str; 6] = [
    "trixie-backports",
    "forky",
    "sid",
    "trixie",
    "bookworm-backports",
    "bookworm",
];

/// The source of exactly this release: the package in words, and the folder with `library`.
pub(super) fn exactly(release: &str) -> Result<(String, PathBuf)> {
    unpacked(&|packages| {
        packages
            .iter()
            .find(|package| upstream(&package.version) == release)
    })
    .with_context(|| format!("look for Debian's rust-src {release}"))
}

/// The source of the release that is next to this one, at most one minor version away.
pub(super) fn nearest(release: &str) -> Result<(String, PathBuf)> {
    let wanted = minor(release).with_context(|| format!("read the release {release:?}"))?;
    let distance = |package: &&Package| minor(&package.version).map(|has| has.abs_diff(wanted));
    unpacked(&|packages| {
        packages
            .iter()
            .filter(|package| distance(package).is_some_and(|away| away <= 1))
            .min_by_key(distance)
    })
    .with_context(|| format!("look for a rust-src near {release} in Debian"))
}

fn unpacked(choose: &dyn Fn(&[Package]) -> Option<&Package>) -> Result<(String, PathBuf)> {
    let apt = Apt::open()?;
    let pool = apt.pool(&SUITES)?;
    let packages = pool.versions(&["rust-src"])?;
    let package = choose(&packages).with_context(|| {
        let has: Vec<&str> = packages.iter().map(|package| &*package.version).collect();
        format!("none of its versions fits: {}", has.join(", "))
    })?;
    let Package { version, suite, .. } = package;
    let dir = cache::root()?.join("rust-src").join(upstream(version));
    cache::make(&dir, version, |partial| {
        apt::unpack(&pool.fetch(package)?, partial)
    })?;
    let source = dir.join(format!("usr/src/rustc-{}", upstream(version)));
    Ok((format!("rust-src {version} ({suite})"), source))
}

/// `1.95.0+dfsg1-2~bpo13+1` is made from 1.95.0.
fn upstream(version: &str) -> &str {
    version.split(['+', '-', '~']).next().unwrap_or(version)
}

fn minor(version: &str) -> Option<u32> {
    version.strip_prefix("1.")?.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_versions() {
        assert_eq!(upstream("1.95.0+dfsg1-2~bpo13+1"), "1.95.0");
        assert_eq!(upstream("1.97.1-1"), "1.97.1");
        assert_eq!(minor("1.97.0-nightly"), Some(97));
        assert_eq!(minor("2.0.0"), None);
    }
}
