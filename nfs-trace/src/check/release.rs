//! Evidence from the kernel's version: a hint that never decides. Pure.
//!
//! The numbers of `uname -r` mean different things: 4.18.0-147.el8 is no upstream 4.18, and
//! Debian's 4.19.0-5 is upstream's 4.19.37, which only `uname -v` tells. So a kernel is first
//! told by whose numbering it has, then looked up in [`table`].

mod table;

use self::table::{Branch, TABLE, UNKNOWN};
use super::evidence::{Evidence, Finding, FixLevel, Kind};

/// What every finding ends with.
const NEVER: &str = "the release alone never decides, because vendors backport";
/// The first versions whose name check over v4.1 leaves the file to an OPEN that is not sent
/// (nfs_lookup_verify_inode, 4.18 and later).
const FILE_LEFT_TO_OPEN: &[u32] = &[4, 18];

/// What /etc/os-release says of the distribution.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Os {
    /// `ID`: debian, rhel, opensuse-leap, ...
    pub id: String,
    /// `VERSION_ID`: 12, 7.9, 15.1, ...
    pub version_id: String,
    /// `PRETTY_NAME`, for people.
    pub pretty_name: String,
}

impl Os {
    /// From the file's text; what it does not say stays empty.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let value = |key: &str| {
            let found = text
                .lines()
                .find_map(|line| line.trim().strip_prefix(key)?.strip_prefix('='));
            let quotes: &[_] = &['"', '\''];
            found.unwrap_or_default().trim_matches(quotes).to_string()
        };
        Self {
            id: value("ID"),
            version_id: value("VERSION_ID"),
            pretty_name: value("PRETTY_NAME"),
        }
    }
}

/// Whose numbering a kernel's version follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    /// kernel.org: 4.19.64.
    Upstream,
    /// 3.10.0-1062.el7, 4.18.0-147.el8, and whoever rebuilds them.
    Rhel,
    /// 4.12.14-lp151.28.4: numbers after `lp` count too.
    OpenSuse,
    /// 4.15.0-42
    Ubuntu,
    /// Upstream's number, out of `uname -v`.
    Debian,
}

/// A kernel's version in the numbers of its family.
#[derive(Debug, PartialEq, Eq)]
struct Version {
    family: Family,
    numbers: Vec<u32>,
    /// Upstream's number, but with a suffix: a vendor's or one's own, who may have added fixes.
    patched: bool,
}

impl Version {
    /// Tells them apart by `uname -r`, `uname -v` and, where these do not tell, by os-release,
    /// which in a container is not the kernel's.
    fn identify(release: &str, version: &str, os: &Os) -> Self {
        let (base, suffix) = split_numbers(release);
        let of = |family, more: &[u32]| Self {
            family,
            numbers: [&base[..], more].concat(),
            patched: false,
        };
        if let Some(package) = debian_package(version) {
            // Without the epoch, as in `1:6.6.31-1+rpt1`.
            let number = package.rsplit(':').next().unwrap_or(package);
            return Self {
                family: Family::Debian,
                numbers: split_numbers(number).0,
                patched: false,
            };
        }
        let build = suffix.trim_start_matches('-');
        let (first, _) = split_numbers(build);
        let is_el = |name: &str| {
            let mut words = build.split('.');
            words.any(|word| word.split('_').next() == Some(name))
        };
        if !first.is_empty() {
            let first = &first[..1];
            if version.contains("-Ubuntu") {
                return of(Family::Ubuntu, first);
            }
            if base == [3, 10, 0] && is_el("el7") || base == [4, 18, 0] && is_el("el8") {
                return of(Family::Rhel, first);
            }
            if os.id.starts_with("opensuse") && os.version_id == "42.3" {
                return of(Family::OpenSuse, first);
            }
        }
        if let Some(leap) = build.strip_prefix("lp") {
            return of(Family::OpenSuse, &split_numbers(leap).0);
        }
        Self {
            patched: !suffix.is_empty() && !suffix.starts_with("-rc"),
            ..of(Family::Upstream, &[])
        }
    }

    fn branch(&self) -> Option<&'static Branch> {
        TABLE.iter().find(|branch| {
            let (start, end) = branch.range;
            branch.family.is_none_or(|family| family == self.family)
                && start <= &self.numbers[..]
                && &self.numbers[..] < end
        })
    }

    /// What the table says of it. A vendor that starts from a fixed version has the fix, and
    /// one that starts from an older one may have it.
    fn level(&self, branch: &Branch) -> Option<FixLevel> {
        let step = branch
            .steps
            .iter()
            .rfind(|(start, _)| start <= &&self.numbers[..]);
        match step.and_then(|(_, level)| *level) {
            Some(FixLevel::None) if self.patched => UNKNOWN,
            level => level,
        }
    }
}

/// The numbers that a version begins with, and the rest: `4.18.0`, `-147.el8.x86_64`.
fn split_numbers(text: &str) -> (Vec<u32>, &str) {
    let end = text
        .find(|c: char| c != '.' && !c.is_ascii_digit())
        .unwrap_or(text.len());
    let numbers = text[..end].split('.').map_while(|word| word.parse().ok());
    (numbers.collect(), &text[end..])
}

/// Judges a kernel by `uname -r`, `uname -v` and the distribution.
#[must_use]
pub fn look(release: &str, version: &str, os: &Os) -> Evidence {
    let kernel = Version::identify(release, version, os);
    let branch = kernel.branch();
    let level = branch.and_then(|branch| kernel.level(branch));
    let what = match level {
        Some(FixLevel::Full) => "this version has the whole series",
        Some(FixLevel::Be189f7e) => "this version has the first patch, be189f7e",
        Some(FixLevel::None) if &kernel.numbers[..] >= FILE_LEFT_TO_OPEN => {
            "this version does not have the fix, and over v4.1 and later it checks names only \
             as often as the directory's attributes run out, and the file never"
        }
        Some(FixLevel::None) => "this version does not have the fix",
        None => "of this version it is not known whether it has the fix",
    };
    let source = branch.map_or_else(String::new, |branch| format!(" ({})", branch.source));
    let name = branch.map_or_else(String::new, |branch| format!(", {}", branch.name));
    Evidence {
        kind: Kind::Release,
        looked_at: "the kernel's release, against the known first fixed versions".to_string(),
        seen: match debian_package(version) {
            Some(package) => format!("{release}, Debian {package}{name}"),
            None => format!("{release}{name}"),
        },
        finding: match level {
            Some(FixLevel::None) => Finding::PointsToAffected,
            Some(_) => Finding::PointsToNotAffected,
            None => Finding::Nothing,
        },
        fix_level: level,
        means: format!("{what}{source}; {NEVER}"),
    }
}

/// `#1 SMP Debian 4.19.67-2 (2019-08-28)` -> `4.19.67-2`
fn debian_package(version: &str) -> Option<&str> {
    let (_, after) = version.split_once("Debian ")?;
    after.split_ascii_whitespace().next()
}

/// What to install on this machine, in a sentence, as far as it is known and not there yet.
#[must_use]
pub fn fixed_versions(release: &str, version: &str, os: &Os) -> Option<String> {
    let kernel = Version::identify(release, version, os);
    let branch = kernel.branch()?;
    if kernel.level(branch) == Some(FixLevel::Full) {
        return None;
    }
    Some(if kernel.patched {
        format!(
            "upstream, {}; what this kernel's vendor added is not known",
            branch.fixed
        )
    } else {
        branch.fixed.to_string()
    })
}

#[cfg(test)]
mod tests;
