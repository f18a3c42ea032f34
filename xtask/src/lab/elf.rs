//! The shared libraries that programs need, looked up in a tree of unpacked packages.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use object::{
    Endianness, elf,
    read::elf::{Dyn as _, FileHeader as _},
};

/// Libraries of a tree by file name.
pub(crate) struct Libraries(BTreeMap<String, PathBuf>);

impl Libraries {
    /// Finds everything below `root` that is named like a library.
    pub(crate) fn scan(root: &Path) -> Result<Self> {
        let mut found = BTreeMap::new();
        let mut folders = vec![root.to_owned()];
        while let Some(folder) = folders.pop() {
            let entries =
                fs::read_dir(&folder).with_context(|| format!("read {}", folder.display()))?;
            for entry in entries {
                let entry = entry.with_context(|| format!("read {}", folder.display()))?;
                let kind = entry.file_type()?;
                if kind.is_dir() {
                    folders.push(entry.path());
                } else if let Some(name) = entry.file_name().to_str()
                    && name.contains(".so")
                    // An absolute link would lead out of the tree, into the host.
                    && (kind.is_file() || !found.contains_key(name))
                {
                    found.insert(name.to_owned(), entry.path());
                }
            }
        }
        Ok(Self(found))
    }

    /// Everything that `programs` need, directly or not, and the loader itself.
    pub(crate) fn closure(&self, programs: &[PathBuf]) -> Result<BTreeMap<String, Vec<u8>>> {
        let mut open: Vec<String> = vec![LOADER.to_owned()];
        for program in programs {
            let content =
                fs::read(program).with_context(|| format!("read {}", program.display()))?;
            open.extend(needed(&content).with_context(|| format!("parse {}", program.display()))?);
        }
        let mut libraries = BTreeMap::new();
        let mut seen = BTreeSet::new();
        while let Some(name) = open.pop() {
            if seen.insert(name.clone()) {
                let path = self.0.get(&name).with_context(|| {
                    format!("find {name} in the unpacked packages: add its package to the list")
                })?;
                let content = fs::read(path).with_context(|| format!("read {}", path.display()))?;
                open.extend(needed(&content).with_context(|| format!("parse {name}"))?);
                libraries.insert(name, content);
            }
        }
        Ok(libraries)
    }
}

/// The program interpreter of x86-64, and so part of every closure.
pub(crate) const LOADER: &str = "ld-linux-x86-64.so.2";

/// The DT_NEEDED entries; none in a static program.
fn needed(content: &[u8]) -> Result<Vec<String>> {
    let header = elf::FileHeader64::<Endianness>::parse(content)?;
    let endian = header.endian()?;
    let sections = header.sections(endian, content)?;
    let Some((entries, link)) = sections.dynamic(endian, content)? else {
        return Ok(Vec::new());
    };
    let strings = sections.strings(endian, content, link)?;
    let mut names = Vec::new();
    for entry in entries
        .iter()
        .filter(|entry| entry.tag(endian) == elf::DT_NEEDED)
    {
        let name = entry.string(endian, strings)?;
        names.push(String::from_utf8_lossy(name).into_owned());
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_test_needs_the_c_library() {
        let own = fs::read(std::env::current_exe().unwrap()).unwrap();
        assert!(needed(&own).unwrap().contains(&"libc.so.6".to_owned()));
    }

    #[test]
    fn no_elf_is_an_error_not_a_panic() {
        for content in [&b""[..], b"\x7fELF", b"#!/bin/sh\n"] {
            needed(content).unwrap_err();
        }
    }
}
