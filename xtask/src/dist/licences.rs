//! The licences of what is linked into the binary, which most of them ask to go along with it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    path::Path,
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

use crate::{exec, workspace};

/// What the list is called.
pub(crate) const FILE: &str = "third-party-licences.txt";

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    license: Option<String>,
    manifest_path: String,
    source: Option<String>,
}

/// A list of the crates, then each text once with the crates that it came with.
pub(crate) fn gather() -> Result<String> {
    let linked = linked()?;
    let mut cargo = Command::new("cargo");
    cargo.current_dir(workspace::root());
    let json = exec::output(cargo.args(["metadata", "--format-version=1", "--locked"]))?;
    let Metadata { mut packages } = serde_json::from_str(&json).context("read cargo metadata")?;
    // Ours has no source.
    packages.retain(|it| it.source.is_some() && linked.contains(&name(it)));
    packages.sort_by_key(name);
    ensure!(!packages.is_empty(), "no crate is linked: read cargo tree");
    let mut list =
        String::from("Linked into nfs-trace, beside the libraries of Rust and of C:\n\n");
    let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for package in &packages {
        let name = name(package);
        let licence = package.license.as_deref();
        let licence = licence.with_context(|| format!("find the licence of {name}"))?;
        writeln!(list, "{name}: {licence}")?;
        let manifest = Path::new(&package.manifest_path);
        for text in texts_in(manifest.parent().context("find a crate")?)? {
            texts.entry(text).or_default().push(name.clone());
        }
    }
    let mut texts: Vec<_> = texts.into_iter().collect();
    texts.sort_by(|(_, a), (_, b)| a.cmp(b));
    for (text, of) in texts {
        let line = "-".repeat(72);
        write!(list, "\n{line}\n{}\n\n{}\n", of.join(", "), text.trim_end())?;
    }
    Ok(list)
}

/// What is in the binary, not what it is built with.
fn linked() -> Result<BTreeSet<String>> {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(workspace::root());
    cargo.args([
        "tree",
        "--locked",
        "--package",
        "nfs-trace",
        "--edges",
        "normal,no-proc-macro",
    ]);
    cargo.args(["--target", "x86_64-unknown-linux-gnu"]);
    let tree = exec::output(cargo.args(["--prefix", "none", "--format", "{p}"]))?;
    let names = tree.lines().filter_map(|line| {
        let (name, rest) = line.split_once(" v")?;
        let version = rest.split(' ').next()?;
        Some(format!("{name} {version}"))
    });
    Ok(names.collect())
}

fn name(package: &Package) -> String {
    format!("{} {}", package.name, package.version)
}

/// The licence files of a crate.
fn texts_in(folder: &Path) -> Result<Vec<String>> {
    let list = fs::read_dir(folder).with_context(|| format!("list {}", folder.display()))?;
    let mut texts = Vec::new();
    for entry in list {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let name = name.to_uppercase();
        let is_one = [
            "LICENSE",
            "LICENCE",
            "COPYING",
            "COPYRIGHT",
            "NOTICE",
            "UNLICENSE",
        ];
        if path.is_file() && is_one.iter().any(|start| name.starts_with(start)) {
            let text = fs::read(&path).with_context(|| format!("read {}", path.display()))?;
            texts.push(String::from_utf8_lossy(&text).replace('\r', ""));
        }
    }
    Ok(texts)
}
