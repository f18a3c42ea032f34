//! The kernel's symbols from /proc/kallsyms: which functions there are, in which
//! module, and (for stacks) which one holds an address.

use std::{collections::HashMap, fs, io};

use nfs_trace_ebpf::probes::Takes;

/// Functions that are never probed, and whose being there tells which fixes a kernel has.
/// All came with 5ceb9d7fdaaf and c7944ebb9ce9 (4.20, fs/nfs/dir.c).
pub const TELLING: &[&str] = &["nfs_lookup_revalidate_dentry", "nfs4_do_lookup_revalidate"];

/// The one variable that is looked for (fs/dcache.c, exported). Kernels built without
/// CONFIG_KALLSYMS_ALL do not list it.
pub const RENAME_LOCK: &str = "rename_lock";

/// Whether this is one of [`TELLING`], or was made of one.
#[must_use]
pub fn is_telling(symbol: &str) -> bool {
    TELLING.iter().any(|name| is_made_of(symbol, name))
}

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
    readable: bool,
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
        let mut functions = text.lines().filter_map(line).peekable();
        let readable = functions.peek().is_some();
        let found = functions
            .filter(|(name, _)| wanted(name))
            .map(|(name, symbol)| (name.to_string(), symbol))
            .collect();
        Self { found, readable }
    }

    /// The function of exactly this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Symbol> {
        self.found.get(name)
    }

    /// The function of this name, or one that the compiler made of it (see [`is_made_of`]).
    #[must_use]
    pub fn made_of(&self, name: &str) -> Option<&str> {
        let names = self.found.keys().map(String::as_str);
        // The shortest, so that the same one is named each time: the function itself.
        names
            .filter(|symbol| is_made_of(symbol, name))
            .min_by_key(|symbol| (symbol.len(), *symbol))
    }

    /// The symbols that do what the function of this name does, in order: its own, and those of
    /// clones. Of several, each is what some of its callers call.
    #[must_use]
    pub fn as_good_as(&self, name: &str, takes: Takes) -> Vec<&str> {
        let names = self.found.keys().map(String::as_str);
        let mut symbols: Vec<_> = names
            .filter(|symbol| {
                symbol
                    .strip_prefix(name)
                    .is_some_and(|suffix| is_whole(suffix, takes))
            })
            .collect();
        symbols.sort_unstable();
        symbols
    }

    /// Whether there was any function, wanted or not. If not, kallsyms tells nothing.
    #[must_use]
    pub fn readable(&self) -> bool {
        self.readable
    }
}

/// Whether `symbol` is the function `name`, or what the compiler made of it:
/// `name.constprop.0`, `name.isra.0`, `name.part.0`, `name.cold`.
#[must_use]
pub fn is_made_of(symbol: &str, name: &str) -> bool {
    symbol
        .strip_prefix(name)
        .is_some_and(|suffix| suffix.is_empty() || suffix.starts_with('.'))
}

/// Whether a compiler's suffix leaves the function whole. `.part.0` and `.cold` are pieces of
/// it; `.isra.0` and `.constprop.0` are clones with other arguments; `.llvm.123` (a static
/// function of a kernel built with LTO) is the function.
fn is_whole(suffix: &str, takes: Takes) -> bool {
    let mut words = suffix.split('.').skip(1);
    suffix.is_empty()
        || suffix.starts_with('.')
            && words.all(|word| match word {
                "isra" | "constprop" => takes == Takes::Calls,
                "llvm" => true,
                number => !number.is_empty() && number.bytes().all(|it| it.is_ascii_digit()),
            })
}

/// `ffffffffc0a01230 t nfs4_file_open\t[nfsv4]`; functions, and [`RENAME_LOCK`].
fn line(line: &str) -> Option<(&str, Symbol)> {
    let mut words = line.split_ascii_whitespace();
    let address = u64::from_str_radix(words.next()?, 16).ok()?;
    let kind = words.next()?;
    let name = words.next()?;
    if !matches!(kind, "t" | "T") && (kind, name) != ("D", RENAME_LOCK) {
        return None;
    }
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
    fn of_variables_rename_lock_is_found_where_it_is_exported() {
        let address = |text| {
            Symbols::parse(text, |_| true)
                .get(RENAME_LOCK)
                .map(|it| it.address)
        };
        assert_eq!(
            address("ffffffff82000000 D rename_lock\n"),
            Some(0xffff_ffff_8200_0000)
        );
        assert_eq!(address("ffffffff82000000 d rename_lock\n"), None);
    }

    #[test]
    fn what_the_compiler_made_of_a_function_is_found() {
        let symbols = Symbols::parse(TEXT, |_| true);
        assert_eq!(symbols.made_of("nfs4_file_open"), Some("nfs4_file_open"));
        let cold = Symbols::parse(TEXT, |name| name.ends_with(".cold"));
        assert_eq!(cold.made_of("nfs4_file_open"), Some("nfs4_file_open.cold"));
        assert_eq!(symbols.made_of("nfs4_file"), None);
    }

    #[test]
    fn clones_are_as_good_where_arguments_do_not_matter() {
        let text: String = [
            "f",
            "f.isra.0",
            "f.constprop.3.isra.0",
            "f.part.0",
            "f.isra.0.cold",
            "f.llvm.123",
            "f.",
            "f.isra.",
            "ff",
        ]
        .map(|name| format!("ffffffffc0000000 t {name}\t[nfs]\n"))
        .concat();
        let symbols = Symbols::parse(&text, |_| true);
        assert_eq!(
            symbols.as_good_as("f", Takes::Calls),
            ["f", "f.constprop.3.isra.0", "f.isra.0", "f.llvm.123"]
        );
        assert_eq!(
            symbols.as_good_as("f", Takes::Arguments),
            ["f", "f.llvm.123"]
        );
        assert_eq!(symbols.as_good_as("g", Takes::Calls), [""; 0]);
    }

    #[test]
    fn an_unreadable_kallsyms_differs_from_one_without_the_function() {
        assert!(!Symbols::default().readable());
        assert!(!Symbols::parse("0000000000000000 d data\n", |_| true).readable());
        assert!(Symbols::parse(TEXT, |_| false).readable());
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
