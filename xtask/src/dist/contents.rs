//! What a package holds and where: one table for both families of distributions.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use flate2::{Compression, GzBuilder};

use super::licences;
use crate::workspace;

/// Who installs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    /// dpkg: Debian, Ubuntu.
    Debian,
    /// rpm: RHEL and its rebuilds, Fedora, SUSE.
    RedHat,
}

/// How a package manager treats a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Program,
    Plain,
    Doc,
    Licence,
    /// Changed by admins, and kept by upgrades.
    Config,
}

impl Kind {
    pub(crate) fn mode(self) -> u16 {
        if self == Self::Program { 0o755 } else { 0o644 }
    }
}

/// A file of a package; root's.
pub(crate) struct File {
    /// From the root folder, without the slash.
    pub(crate) path: String,
    pub(crate) kind: Kind,
    pub(crate) data: Vec<u8>,
}

/// All files, by path. `made` is what `dist` made before.
pub(crate) fn files(made: &Path, family: Family) -> Result<Vec<File>> {
    let source = workspace::root();
    let pick = |debian: &'static str, red_hat: &'static str| match family {
        Family::Debian => debian,
        Family::RedHat => red_hat,
    };
    let doc = "usr/share/doc/nfs-trace";
    let licence = pick(doc, "usr/share/licenses/nfs-trace");
    let zsh = pick("vendor-completions", "site-functions");
    let packaging = source.join("packaging");
    let completions = made.join("completions");
    let mut files = Vec::new();
    let mut add = |kind, from: PathBuf, to: String| -> Result<()> {
        let data = fs::read(&from).with_context(|| format!("read {}", from.display()))?;
        let path = to;
        files.push(File { path, kind, data });
        Ok(())
    };
    let unit = "nfs-trace-metrics";
    let plain = [
        ("nfs-trace", "bash-completion/completions/nfs-trace"),
        ("_nfs-trace", &format!("zsh/{zsh}/_nfs-trace")),
        ("nfs-trace.fish", "fish/vendor_completions.d/nfs-trace.fish"),
    ];
    for (name, to) in plain {
        add(
            Kind::Plain,
            completions.join(name),
            format!("usr/share/{to}"),
        )?;
    }
    add(
        Kind::Program,
        made.join("nfs-trace"),
        "usr/bin/nfs-trace".into(),
    )?;
    add(
        Kind::Plain,
        packaging.join(format!("{unit}.service")),
        format!("usr/lib/systemd/system/{unit}.service"),
    )?;
    add(
        Kind::Config,
        packaging.join(format!("{unit}.env")),
        format!("etc/{}/{unit}", pick("default", "sysconfig")),
    )?;
    for name in ["README.md", "KNOWN_ISSUES.md"] {
        add(Kind::Doc, source.join(name), format!("{doc}/{name}"))?;
    }
    let fewer = "fewer-capabilities.conf";
    add(Kind::Doc, packaging.join(fewer), format!("{doc}/{fewer}"))?;
    for (name, from) in listed(&source.join("docs"))? {
        add(Kind::Doc, from, format!("{doc}/docs/{name}"))?;
    }
    let copyright = packaging.join("copyright");
    add(Kind::Licence, copyright, format!("{licence}/copyright"))?;
    for (from, name) in [
        (&source, "LICENSE-APACHE"),
        (&source, "LICENSE-MIT"),
        (&made.to_owned(), licences::FILE),
    ] {
        add(Kind::Licence, from.join(name), format!("{licence}/{name}"))?;
    }
    for (name, from) in listed(&made.join("man"))? {
        add(Kind::Doc, from, format!("usr/share/man/man1/{name}.gz"))?;
    }
    for file in files.iter_mut().filter(|file| file.path.ends_with(".gz")) {
        file.data = gzip(&file.data)?;
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

/// The files of a folder, by name.
fn listed(folder: &Path) -> Result<Vec<(String, PathBuf)>> {
    let list = fs::read_dir(folder).with_context(|| format!("list {}", folder.display()))?;
    list.map(|entry| {
        let entry = entry.with_context(|| format!("list {}", folder.display()))?;
        Ok((entry.file_name().display().to_string(), entry.path()))
    })
    .collect()
}

/// Compressed, without name and time.
pub(crate) fn gzip(data: &[u8]) -> Result<Vec<u8>> {
    let mut gzip = GzBuilder::new()
        .mtime(0)
        .write(Vec::new(), Compression::best());
    gzip.write_all(data).context("compress")?;
    gzip.finish().context("compress")
}
