//! The layouts at hand: the kernel's own BTF, files of BTF that the user names, the tables.
//! Which of them fits is not decided here.

use std::{
    fs::{self, File},
    io::Read as _,
    path::{Path, PathBuf},
};

use nfs_trace_ebpf::config::{ABSENT, Offsets};
use object::{
    Object as _, ObjectSection as _,
    read::{ReadCache, ReadRef},
};

use super::{
    btf::{Btf, BtfError},
    layout::{Candidate, Source, Sources, read},
    table,
};

/// Where the kernel shows its BTF.
const KERNEL: &str = "/sys/kernel/btf";

/// The BTF of the running kernel.
#[must_use]
pub fn of_kernel(version: (u32, u32)) -> Candidate {
    let found = kernel_btf("vmlinux").map(|vmlinux| {
        // What is missing may be built in, so vmlinux answers for it.
        let modules: Vec<_> = ["nfsv4", "nfs"]
            .into_iter()
            .filter_map(|name| Btf::parse_split(bytes(name).ok()?, &vmlinux).ok())
            .collect();
        read(&Sources {
            vmlinux: Some(&vmlinux),
            modules: modules.iter().collect(),
        })
    });
    from_btf(
        found,
        "the kernel's BTF".into(),
        String::new(),
        version,
        true,
    )
}

/// The BTF of these files: one that stands alone, as vmlinux does, or else the kernel's own,
/// and modules on top of it.
///
/// # Errors
/// Which file is no BTF, and why.
pub fn of_files(paths: &[PathBuf], version: (u32, u32)) -> Result<Candidate, String> {
    let mut base = None;
    let mut split = Vec::new();
    for path in paths {
        let bytes = file_bytes(path).map_err(|why| format!("{}: {why}", path.display()))?;
        let of_file = |error: BtfError| format!("{}: {error}", path.display());
        if !Btf::stands_alone(&bytes).map_err(of_file)? {
            split.push((path, bytes));
        } else if base.is_none() {
            base = Some(Btf::parse(bytes).map_err(of_file)?);
        } else {
            return Err(format!(
                "{}: this BTF stands alone, as that of a file before it",
                path.display()
            ));
        }
    }
    let base = match base {
        Some(base) => base,
        None => kernel_btf("vmlinux").map_err(|why| {
            format!("{why}, and of the files none stands alone: name that of vmlinux too")
        })?,
    };
    let modules = split
        .into_iter()
        .map(|(path, bytes)| {
            Btf::parse_split(bytes, &base).map_err(|error| format!("{}: {error}", path.display()))
        })
        .collect::<Result<Vec<_>, _>>()?;
    let found = read(&Sources {
        vmlinux: Some(&base),
        modules: modules.iter().collect(),
    });
    let names: Vec<_> = paths
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    let names = names.join(", ");
    let what = format!("the BTF of {names}");
    Ok(from_btf(
        Ok(found),
        what,
        format!("from {names}"),
        version,
        false,
    ))
}

fn from_btf(
    found: Result<(Offsets, Option<u32>), String>,
    what: String,
    remark: String,
    version: (u32, u32),
    own: bool,
) -> Candidate {
    // A known file does not show whether this is right, and paths hang on it: of files that
    // may be another kernel's it is not taken.
    let revalidate_dentry_arg = found
        .as_ref()
        .ok()
        .and_then(|(_, arg)| *arg)
        .filter(|_| own);
    let mut claim_is_sure = own;
    let variants = found.map(|(mut offsets, _)| {
        // Modules have BTF since 5.11 only.
        if offsets.opendata_claim == ABSENT && table::HERE {
            (offsets.opendata_name, offsets.opendata_claim) = table::opendata(version);
            claim_is_sure = false;
        }
        vec![offsets]
    });
    Candidate {
        source: Source::Btf,
        what,
        remark,
        variants,
        claim_is_sure,
        revalidate_dentry_arg,
    }
}

/// The built-in table.
#[must_use]
pub fn built_in(version: (u32, u32), remark: String) -> Candidate {
    let variants = if table::HERE {
        Ok(table::variants(version))
    } else {
        Err("there is no built-in table for this kind of machine, but one for x86-64".into())
    };
    Candidate {
        source: Source::Table,
        what: "the built-in table".into(),
        remark,
        variants,
        claim_is_sure: false,
        revalidate_dentry_arg: None,
    }
}

/// A table that the user brings.
///
/// # Errors
/// Why it is none.
pub fn of_table(path: &Path) -> Result<Candidate, String> {
    let name = path.display();
    let text = fs::read(path).map_err(|error| format!("{name}: {error}"))?;
    let offsets = table::parse(&text).map_err(|error| format!("{name}: {error}"))?;
    Ok(Candidate {
        source: Source::Table,
        what: format!("the table of {name}"),
        remark: format!("from {name}"),
        variants: Ok(vec![offsets]),
        claim_is_sure: false,
        revalidate_dentry_arg: None,
    })
}

/// The names of a function's parameters, from the running kernel's BTF: that of the module,
/// or of vmlinux where the module is built in. Nothing if there is no BTF or it has no such
/// function.
#[must_use]
pub fn parameters(module: &str, function: &str) -> Option<Vec<String>> {
    let vmlinux = kernel_btf("vmlinux").ok()?;
    let module = bytes(module)
        .ok()
        .and_then(|bytes| Btf::parse_split(bytes, &vmlinux).ok());
    module.as_ref().unwrap_or(&vmlinux).parameters(function)
}

fn bytes(name: &str) -> std::io::Result<Vec<u8>> {
    fs::read(Path::new(KERNEL).join(name))
}

fn kernel_btf(name: &str) -> Result<Btf<'static>, String> {
    let bytes = bytes(name).map_err(|_| format!("this kernel has no BTF ({KERNEL}/{name})"))?;
    Btf::parse(bytes).map_err(|error| format!("{KERNEL}/{name}: {error}"))
}

/// The BTF in a file: all of it, or the section .BTF of an ELF file, which may be large.
fn file_bytes(path: &Path) -> Result<Vec<u8>, String> {
    let text = |error: std::io::Error| error.to_string();
    let mut file = File::open(path).map_err(text)?;
    let mut magic = [0; 4];
    let elf = file.read_exact(&mut magic).is_ok() && magic == *b"\x7fELF";
    if !elf {
        return fs::read(path).map_err(text);
    }
    let cache = ReadCache::new(file);
    section(&cache)
}

fn section<'a>(elf: impl ReadRef<'a>) -> Result<Vec<u8>, String> {
    let file = object::File::parse(elf).map_err(|error| format!("a damaged ELF file: {error}"))?;
    let section = file
        .section_by_name(".BTF")
        .ok_or("an ELF file without BTF (no section .BTF)")?;
    let data = section
        .data()
        .map_err(|error| format!("a damaged section .BTF: {error}"))?;
    Ok(data.to_vec())
}

#[cfg(test)]
mod tests;
