//! Finds the Debian archives that this machine already uses, in its own apt sources.

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

/// Suites that mark a source as Debian's own archive.
const DEBIAN: [&str; 12] = [
    "oldoldstable",
    "oldstable",
    "stable",
    "testing",
    "unstable",
    "sid",
    "buster",
    "bullseye",
    "bookworm",
    "trixie",
    "forky",
    "duke",
];

/// Where apt keeps what it trusts; the newer name is trixie's.
const KEYRINGS: [&str; 2] = [
    "/usr/share/keyrings/debian-archive-keyring.gpg",
    "/usr/share/keyrings/debian-archive-keyring.pgp",
];

/// One line or stanza of apt's sources.
#[derive(Debug, PartialEq, Eq)]
struct Source {
    uris: Vec<String>,
    suites: Vec<String>,
    components: Vec<String>,
}

/// The base addresses to try, in order, and the keyring that vouches for them.
#[derive(Debug)]
pub(crate) struct Archives {
    main: Vec<String>,
    security: Vec<String>,
    keyring: &'static str,
}

impl Archives {
    /// From this machine's sources, or from `NFS_TRACE_DEBIAN_MIRROR` where it has none.
    pub(crate) fn of_this_machine() -> Result<Self> {
        let keyring = KEYRINGS
            .into_iter()
            .find(|file| Path::new(file).exists())
            .context("find Debian's keyring: install the package debian-archive-keyring")?;
        let mut sources = Vec::new();
        for file in source_files() {
            let text = fs::read_to_string(&file)
                .with_context(|| format!("read the apt source {}", file.display()))?;
            sources.extend(match file.extension().is_some_and(|e| e == "sources") {
                true => parse_deb822(&text),
                false => parse_list(&text),
            });
        }
        let (mut main, mut security) = archives(&sources);
        if let Ok(mirror) = env::var("NFS_TRACE_DEBIAN_MIRROR") {
            main.insert(0, mirror.trim_end_matches('/').to_owned());
        }
        // Mirrors keep the security archive beside the main one.
        for uri in &main {
            push_new(&mut security, format!("{uri}-security"));
        }
        main.first().context(
            "find a Debian archive in this machine's apt sources: \
             set NFS_TRACE_DEBIAN_MIRROR to the address of a Debian mirror",
        )?;
        Ok(Self {
            main,
            security,
            keyring,
        })
    }

    /// The hosts of all archives, as they must not stand in any file.
    pub(crate) fn hosts(&self) -> Vec<String> {
        let mut hosts = Vec::new();
        for uri in self.main.iter().chain(&self.security) {
            let rest = uri.split_once("://").map_or(&**uri, |(_, rest)| rest);
            push_new(
                &mut hosts,
                rest.split('/').next().unwrap_or(rest).to_owned(),
            );
        }
        hosts.retain(|host| host.contains('.'));
        hosts
    }

    /// The sources to try for one suite, in deb822 form.
    pub(crate) fn stanzas(&self, suite: &str) -> Vec<String> {
        let uris = match suite.ends_with("-security") {
            true => &self.security,
            false => &self.main,
        };
        let keyring = self.keyring;
        uris.iter()
            .map(|uri| {
                format!(
                    "Types: deb\nURIs: {uri}\nSuites: {suite}\nComponents: main\n\
                     Architectures: amd64\nTargets: Packages\nSigned-By: {keyring}\n"
                )
            })
            .collect()
    }
}

fn source_files() -> Vec<PathBuf> {
    let mut files = vec![PathBuf::from("/etc/apt/sources.list")];
    if let Ok(folder) = fs::read_dir("/etc/apt/sources.list.d") {
        files.extend(folder.flatten().map(|entry| entry.path()));
    }
    files.retain(|file| {
        let kind = file.extension().and_then(|e| e.to_str());
        file.is_file() && matches!(kind, Some("list" | "sources"))
    });
    files.sort();
    files
}

fn archives(sources: &[Source]) -> (Vec<String>, Vec<String>) {
    let (mut main, mut security) = (Vec::new(), Vec::new());
    for source in sources {
        if !source
            .components
            .iter()
            .any(|component| component == "main")
        {
            continue;
        }
        for suite in &source.suites {
            let (base, pocket) = match suite.find(['-', '/']) {
                Some(at) => (&suite[..at], &suite[at + 1..]),
                None => (suite.as_str(), ""),
            };
            // The old form of a security suite is "buster/updates".
            let list = match (pocket, suite.contains('/')) {
                ("security", _) | ("updates", true) => &mut security,
                ("" | "updates" | "backports" | "proposed-updates", false) => &mut main,
                _ => continue,
            };
            if DEBIAN.contains(&base) {
                for uri in &source.uris {
                    push_new(list, uri.trim_end_matches('/').to_owned());
                }
            }
        }
    }
    (main, security)
}

fn push_new(list: &mut Vec<String>, item: String) {
    if !list.contains(&item) {
        list.push(item);
    }
}

/// `Field: value` stanzas, continued by lines that start with a blank.
fn parse_deb822(text: &str) -> Vec<Source> {
    let mut sources = Vec::new();
    let mut fields: BTreeMap<String, String> = BTreeMap::new();
    let mut last = String::new();
    for line in text.lines().chain([""]) {
        if line.starts_with('#') {
            continue;
        }
        if line.trim().is_empty() {
            sources.extend(deb822_source(&std::mem::take(&mut fields)));
        } else if line.starts_with([' ', '\t']) {
            let value = fields.entry(last.clone()).or_default();
            value.push(' ');
            value.push_str(line);
        } else if let Some((name, value)) = line.split_once(':') {
            last = name.to_ascii_lowercase();
            fields.insert(last.clone(), value.to_owned());
        }
    }
    sources
}

fn deb822_source(fields: &BTreeMap<String, String>) -> Option<Source> {
    let words = |name: &str| -> Vec<String> {
        let value = fields.get(name).map_or("", String::as_str);
        value.split_whitespace().map(str::to_owned).collect()
    };
    let off = words("enabled").first().is_some_and(|word| word == "no");
    (!off && words("types").iter().any(|word| word == "deb")).then(|| Source {
        uris: words("uris"),
        suites: words("suites"),
        components: words("components"),
    })
}

/// `deb [options] uri suite component...` lines.
fn parse_list(text: &str) -> Vec<Source> {
    text.lines()
        .filter_map(|line| {
            let line = line.split('#').next()?.trim().strip_prefix("deb")?;
            let mut rest = line.strip_prefix([' ', '\t'])?.trim_start();
            if rest.starts_with('[') {
                rest = rest.split_once(']')?.1;
            }
            let mut words = rest.split_whitespace().map(str::to_owned);
            Some(Source {
                uris: vec![words.next()?],
                suites: vec![words.next()?],
                components: words.collect(),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_formats_say_the_same() {
        let deb822 = "Types: deb\n# aside\nURIs: http://m.invalid/debian/\nSuites: bookworm\n \
                      bookworm-updates\nComponents: main contrib\n\n\
                      Enabled: no\nTypes: deb\nURIs: http://off.invalid\nSuites: sid\n\
                      Components: main\n\nTypes: deb-src\nURIs: http://src.invalid\n";
        let list = "# deb http://off.invalid sid main\n\
                    deb-src http://m.invalid/debian bookworm main\n\
                    deb [arch=amd64 signed-by=/k] http://m.invalid/debian bookworm main # why\n\
                    deb http://s.invalid/debian-security bookworm-security main\n\
                    deb http://cloud.invalid/apt cloud-sdk-bookworm main\n\
                    deb http://node.invalid/x nodistro main\n";
        let parsed = parse_deb822(deb822);
        assert_eq!(parsed.len(), 1, "{parsed:?}");
        assert_eq!(archives(&parsed).0, ["http://m.invalid/debian"]);
        let (main, security) = archives(&parse_list(list));
        assert_eq!(main, ["http://m.invalid/debian"]);
        assert_eq!(security, ["http://s.invalid/debian-security"]);
    }

    #[test]
    fn a_security_suite_comes_from_the_security_archive() {
        let archives = Archives {
            main: vec!["http://m.invalid".into()],
            security: vec!["http://s.invalid".into()],
            keyring: KEYRINGS[0],
        };
        let stanza = &archives.stanzas("trixie-security")[0];
        assert!(stanza.contains("URIs: http://s.invalid\nSuites: trixie-security\n"));
        assert!(archives.stanzas("sid")[0].contains("URIs: http://m.invalid\n"));
    }
}
