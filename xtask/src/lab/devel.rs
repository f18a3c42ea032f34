//! What modules of a kernel are built from: its headers, its source of fs/nfs and its BTF.
//!
//! All unpacked in the cache. The headers name each other by absolute path, which is rewritten.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Error, Result, ensure};

use super::{kernel, kernel::Kernel, vmlinux};
use crate::{
    apt::{self, Apt, Package, Pool},
    cache, debian_tool, exec,
};

/// The programs of a module's build, by the variable that make has for each: where they lie in
/// the packages, without the wrappers that choose one for the architecture.
const PROGRAMS: [(&str, &str); 4] = [
    ("objtool", "usr/lib/KBUILD/tools/objtool/objtool.real-x86"),
    ("MODPOST", "usr/lib/KBUILD/scripts/mod/modpost.real-lsb-64"),
    (
        "RESOLVE_BTFIDS",
        "usr/lib/KBUILD/tools/bpf/resolve_btfids/resolve_btfids",
    ),
    ("PAHOLE", "usr/bin/pahole"),
];

/// Where a kernel's modules can be built.
pub(crate) struct Devel {
    /// The folder for `make -C`
    pub(crate) headers: PathBuf,
    /// Holds `fs/nfs`
    pub(crate) source: PathBuf,
    /// Scripts named like [`PROGRAMS`]; none where the host's libc is new enough for kbuild's own
    programs: Option<PathBuf>,
}

impl Devel {
    /// What make has to be told of the programs that it runs.
    pub(crate) fn programs(&self) -> Result<Vec<String>> {
        let Some(dir) = &self.programs else {
            let pahole = debian_tool::PAHOLE.path()?;
            // Not in the headers' packages, and without work: no module has a section for it.
            let resolver = "RESOLVE_BTFIDS=true".to_owned();
            return Ok(vec![format!("PAHOLE={}", pahole.display()), resolver]);
        };
        let path = |name| format!("{name}={}", dir.join(name).display());
        let mut all: Vec<String> = PROGRAMS.iter().map(|(name, _)| path(*name)).collect();
        // BTF on top of the kernel's, as its own modules have, not on top of an extract of that.
        all.push("RESOLVE_BTFIDS_FLAGS=".to_owned());
        Ok(all)
    }

    /// Whether the sets of BTF ids in a module are filled in.
    pub(crate) fn resolves_btf_ids(&self) -> bool {
        self.programs.is_some()
    }
}

/// Makes the headers and the source of exactly this kernel ready.
pub(crate) fn fetch(kernel: &Kernel) -> Result<Devel> {
    let Kernel {
        release,
        version,
        vmlinuz,
        ..
    } = kernel;
    let dir = cache::root()?
        .join("devel")
        .join(format!("{release}_{version}"));
    let place = dir.display().to_string();
    // kbuild cannot do with such paths.
    ensure!(
        !place.contains(|c: char| c.is_whitespace() || c == ':'),
        "build modules in {place}: set NFS_TRACE_CACHE to a folder without blanks and colons"
    );
    let headers = format!("usr/src/linux-headers-{release}");
    let source = source_name(version);
    cache::make(&dir, version, |partial| {
        exec::require("xz", "xz-utils")?;
        let apt = Apt::open()?;
        let pool = apt.pool(kernel::suites(kernel.series))?;
        let packages = packages(&pool, kernel)?;
        if kernel::has_newer_tools(kernel.series) {
            unpack_programs(&pool, &packages, partial, &dir)?;
        }
        for package in packages {
            apt::unpack(&pool.fetch(&package)?, partial)?;
        }
        eprintln!("lab: unpacking the headers, the BTF and the NFS source of Linux {release}");
        for entry in entries(&partial.join("usr/src"))? {
            rewrite_folder(&entry, &place)?;
        }
        vmlinux::extract(vmlinuz, &partial.join(&headers).join("vmlinux"))?;
        let tar = partial.join(format!("usr/src/{source}.tar.xz"));
        let mut untar = Command::new("tar");
        untar.arg("-C").arg(partial).arg("-xJf").arg(&tar);
        exec::run(untar.arg(format!("{source}/fs/nfs")))?;
        fs::remove_file(&tar).with_context(|| format!("remove {}", tar.display()))
    })?;
    Ok(Devel {
        headers: dir.join(headers),
        source: dir.join(source),
        programs: kernel::has_newer_tools(kernel.series).then(|| dir.join("programs")),
    })
}

/// The packages, each of exactly the image's version; but where an archive has replaced the build
/// tools before the image (which is signed later), those of another revision, which is what the
/// headers' package asks for.
fn packages(pool: &Pool<'_>, kernel: &Kernel) -> Result<Vec<Package>> {
    let Kernel {
        release, version, ..
    } = kernel;
    let abi = release.strip_suffix("-amd64").unwrap_or(release);
    let source = source_name(version);
    // The build tools are named after the ABI, up to 6.1 as the source is.
    let tools = [
        format!("linux-kbuild-{abi}"),
        source.replace("source", "kbuild"),
    ];
    let exactly = |names: &[String]| {
        let found = versions(pool, names)?;
        found
            .into_iter()
            .find(|package| package.version == *version)
            .with_context(|| format!("find {} {version}, which the image has", names.join(" or ")))
    };
    let tools = exactly(&tools).or_else(|none| {
        let found = versions(pool, &tools)?.into_iter().next().ok_or(none)?;
        let Package { name, version, .. } = &found;
        eprintln!("lab: building for Linux {release} with {name} {version}: its own is gone");
        Ok::<_, Error>(found)
    })?;
    Ok(vec![
        exactly(&[format!("linux-headers-{release}")])?,
        exactly(&[format!("linux-headers-{abi}-common")])?,
        tools,
        exactly(&[source])?,
    ])
}

fn versions(pool: &Pool<'_>, names: &[String]) -> Result<Vec<Package>> {
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    pool.versions(&names)
}

/// The libraries of kbuild's programs and pahole, which kbuild depends on, and scripts to run them.
fn unpack_programs(pool: &Pool<'_>, packages: &[Package], to: &Path, dir: &Path) -> Result<()> {
    let kbuild = packages
        .iter()
        .find(|package| package.name.starts_with("linux-kbuild-"))
        .context("find kbuild among the packages")?;
    for deb in pool.fetch_with_dependencies(&[&kbuild.name])? {
        apt::unpack(&deb, to)?;
    }
    // These suites' packages have nothing but /usr.
    symlink("usr/lib", to.join("lib")).context("link lib to usr/lib")?;
    let scripts = to.join("programs");
    cache::create_dir(&scripts)?;
    for (name, program) in PROGRAMS {
        let program = program.replace("KBUILD", &kbuild.name);
        debian_tool::write_script(&scripts.join(name), dir, &program)?;
    }
    Ok(())
}

/// The package of the source that a kernel's package of this version was made from:
/// `linux-source-7.3` for 7.3.4-1.
fn source_name(version: &str) -> String {
    let mut numbers = version.split(|c: char| !c.is_ascii_digit());
    let mut next = || numbers.next().unwrap_or_default();
    format!("linux-source-{}.{}", next(), next())
}

/// Puts the cache's path before every absolute path in a headers folder's own files.
fn rewrite_folder(folder: &Path, place: &str) -> Result<()> {
    if folder.is_symlink() || !folder.is_dir() {
        return Ok(());
    }
    for name in ["Makefile", ".kernelvariables"] {
        let file = folder.join(name);
        if let Ok(text) = fs::read_to_string(&file) {
            cache::write(&file, rewrite(&text, place))?;
        }
    }
    for entry in entries(folder)? {
        if let Ok(target) = fs::read_link(&entry)
            && target.is_absolute()
        {
            let target = rewrite(&target.display().to_string(), place);
            fs::remove_file(&entry)
                .and_then(|()| symlink(target, &entry))
                .with_context(|| format!("link {} anew", entry.display()))?;
        }
    }
    Ok(())
}

fn rewrite(text: &str, place: &str) -> String {
    ["/usr/src/linux-", "/usr/lib/linux-"]
        .iter()
        .fold(text.to_owned(), |text, path| {
            text.replace(path, &format!("{place}{path}"))
        })
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let list = fs::read_dir(folder).with_context(|| format!("list {}", folder.display()))?;
    Ok(list.flatten().map(|entry| entry.path()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_source_is_named_after_the_first_two_numbers() {
        assert_eq!(source_name("6.1.192-2"), "linux-source-6.1");
        assert_eq!(source_name("7.3~rc7-1~exp1"), "linux-source-7.3");
    }

    #[test]
    fn absolute_paths_lead_into_the_cache() {
        let makefile = "include /usr/src/linux-headers-6.1.0-56-common/Makefile\n\
                        S := /usr/lib/linux-kbuild-6.1/scripts\nT := ../../lib/x\n";
        assert_eq!(
            rewrite(makefile, "/c"),
            "include /c/usr/src/linux-headers-6.1.0-56-common/Makefile\n\
             S := /c/usr/lib/linux-kbuild-6.1/scripts\nT := ../../lib/x\n"
        );
    }
}
