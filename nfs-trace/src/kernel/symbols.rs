//! The kernel's symbols from /proc/kallsyms: which functions there are, in which
//! module, and (for stacks) which one holds an address.

use std::{collections::HashMap, fs, io};

/// Where a function lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Symbol {
    /// Its address; 0 where kptr_restrict hides it.
    pub address: u64,
    /// Its module; nothing if built in.
    pub module: Option<String>,
}

/// The functions that were asked for, by name.
#[derive(Debug, Clone, Default)]
pub struct Symbols {
    found: HashMap<String, Symbol>,
}

impl Symbols {
    /// Reads /proc/kallsyms once, keeping the functions for which `wanted` is true.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn read(wanted: impl Fn(&str) -> bool) -> io::Result<Self> {
        Ok(Self::parse(&fs::read_to_string("/proc/kallsyms")?, wanted))
    }

    /// The same from text.
    #[must_use]
    pub fn parse(text: &str, wanted: impl Fn(&str) -> bool) -> Self {
        let found = text
            .lines()
            .filter_map(line)
            .filter(|(name, _)| wanted(name))
            .map(|(name, symbol)| (name.to_string(), symbol))
            .collect();
        Self { found }
    }

    /// The function of exactly this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Symbol> {
        self.found.get(name)
    }
}

/// `ffffffffc0a01230 t nfs4_file_open\t[nfsv4]`; functions only.
fn line(line: &str) -> Option<(&str, Symbol)> {
    let mut words = line.split_ascii_whitespace();
    let address = u64::from_str_radix(words.next()?, 16).ok()?;
    if !matches!(words.next()?, "t" | "T") {
        return None;
    }
    let name = words.next()?;
    let module = words
        .next()
        .map(|word| word.trim_matches(['[', ']']).to_string());
    Some((name, Symbol { address, module }))
}

/// All functions by address, to name the frames of a stack.
#[derive(Debug, Default)]
pub struct AddressMap {
    by_address: Vec<(u64, String)>,
}

impl AddressMap {
    /// Reads /proc/kallsyms.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn read() -> io::Result<Self> {
        Ok(Self::parse(&fs::read_to_string("/proc/kallsyms")?))
    }

    fn parse(text: &str) -> Self {
        let mut by_address: Vec<_> = text
            .lines()
            .filter_map(line)
            .filter(|(_, symbol)| symbol.address != 0)
            .map(|(name, Symbol { address, module })| {
                let name = match module {
                    Some(module) => format!("{name} [{module}]"),
                    None => name.to_string(),
                };
                (address, name)
            })
            .collect();
        by_address.sort_by_key(|(address, _)| *address);
        Self { by_address }
    }

    /// `function+0x12 [module]`; the bare number where nothing is known.
    #[must_use]
    pub fn name(&self, address: u64) -> String {
        let after = self
            .by_address
            .partition_point(|(start, _)| *start <= address);
        let Some((start, name)) = after.checked_sub(1).and_then(|at| self.by_address.get(at))
        else {
            return format!("{address:#x}");
        };
        let offset = address - start;
        match name.split_once(' ') {
            Some((function, module)) => format!("{function}+{offset:#x} {module}"),
            None => format!("{name}+{offset:#x}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "ffffffff81000000 T _stext\n\
        ffffffff81000100 t vfs_open\n\
        ffffffff82000000 d some_data\n\
        ffffffffc0a01230 t nfs4_file_open\t[nfsv4]\n\
        ffffffffc0a02000 t nfs4_file_open.cold\t[nfsv4]\n\
        broken line\n";

    #[test]
    fn functions_are_found_by_their_exact_name() {
        let symbols = Symbols::parse(TEXT, |name| name != "vfs_open");
        let found = symbols.get("nfs4_file_open").unwrap();
        assert_eq!(
            (found.address, found.module.as_deref()),
            (0xffff_ffff_c0a0_1230, Some("nfsv4"))
        );
        assert_eq!(symbols.get("some_data"), None, "data is no function");
        assert_eq!(symbols.get("vfs_open"), None, "not asked for");
        assert_eq!(symbols.get("nfs4_file"), None);
    }

    #[test]
    fn an_address_is_named_after_the_function_before_it() {
        let map = AddressMap::parse(TEXT);
        assert_eq!(map.name(0xffff_ffff_8100_0142), "vfs_open+0x42");
        assert_eq!(
            map.name(0xffff_ffff_c0a0_1233),
            "nfs4_file_open+0x3 [nfsv4]"
        );
        assert_eq!(map.name(0x10), "0x10");
    }
}
