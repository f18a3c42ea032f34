//! The lab's NFS clients: the kernel's own, and ones rebuilt with a fix taken out.

use std::{
    fs,
    num::NonZero,
    path::{Path, PathBuf},
    process::Command,
    thread,
};

use anyhow::{Context as _, Result, ensure};
use clap::ValueEnum;
use lab_contract::protocol::{NfsVersion, SWAP_PATH};
use object::Object as _;

use super::{
    cpio::Archive,
    devel::{self, Devel},
    kernel::Kernel,
    like, own_kernel,
};
use crate::{cache, exec, workspace};

/// The modules that a client is made of.
const MODULES: [&str; 2] = ["nfs.ko", "nfsv4.ko"];

/// Only those two are built: the rest of fs/nfs is switched off.
const SWITCHED_OFF: [&str; 5] = [
    "CONFIG_NFS_V2=",
    "CONFIG_NFS_V3=",
    "CONFIG_PNFS_FILE_LAYOUT=",
    "CONFIG_PNFS_BLOCK=",
    "CONFIG_PNFS_FLEXFILE_LAYOUT=",
];

/// Where the kernel's own compiler is missing.
const HOST_CC: &str = "gcc";
/// -fmin-function-alignment came with gcc 14; for older ones the kernel's Makefile has another way.
const ALIGNS_LESS: &str = "CONFIG_CC_HAS_MIN_FUNCTION_ALIGNMENT=";

/// Which NFS client a guest runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Client {
    /// The distribution's
    Stock,
    /// Ordinary opens are served from cached open state
    #[value(name = "without-be189f7e")]
    WithoutBe189f7e,
    /// The same, and over v4.0 names are accepted unchecked
    WithoutSeries,
    /// The first patch alone: an OPEN is always sent, but over v4.0 names are accepted unchecked
    #[value(name = "be189f7e-only")]
    Be189f7eOnly,
    /// Made up: over v4.0 as without-be189f7e, else as stock (two mounts, one of them affected)
    #[value(name = "affected-on-v40")]
    AffectedOnV40,
    /// Newest kernels may be built so: without NFSv4.0
    #[value(name = "without-v4.0")]
    WithoutV40,
    /// That of 4.4 to 4.17, which the kernels like:4.4 and like:4.14 have as their own
    #[value(skip)]
    Before418,
}

impl Client {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Client::Stock => "stock",
            Client::WithoutBe189f7e => "without-be189f7e",
            Client::WithoutSeries => "without-series",
            Client::Be189f7eOnly => "be189f7e-only",
            Client::AffectedOnV40 => "affected-on-v40",
            Client::WithoutV40 => "without-v4.0",
            Client::Before418 => "before-4.18",
        }
    }

    /// The kernel series whose source there is a patch for. Every kernel has its own client.
    pub(crate) fn patched_series(self) -> &'static [&'static str] {
        match self {
            Client::Stock | Client::Before418 => &[],
            Client::WithoutBe189f7e | Client::WithoutSeries => &["5.10", "6.1", "6.12", "7"],
            Client::Be189f7eOnly | Client::AffectedOnV40 => &["6.1"],
            Client::WithoutV40 => &["7"],
        }
    }

    /// Whether it cannot speak that version.
    pub(crate) fn lacks(self, version: NfsVersion) -> bool {
        self == Client::WithoutV40 && version == NfsVersion::V40
    }

    /// Whether an ordinary open of a file that is open may be answered with no OPEN.
    pub(crate) fn is_affected(self, version: NfsVersion) -> bool {
        match self {
            Client::Stock | Client::Be189f7eOnly | Client::WithoutV40 => false,
            Client::WithoutBe189f7e | Client::WithoutSeries | Client::Before418 => true,
            Client::AffectedOnV40 => version == NfsVersion::V40,
        }
    }

    /// Whether the name of a regular file is accepted unchecked on open.
    pub(crate) fn accepts_names(self, version: NfsVersion) -> bool {
        match self {
            Client::Stock
            | Client::WithoutBe189f7e
            | Client::AffectedOnV40
            | Client::WithoutV40 => false,
            Client::WithoutSeries | Client::Be189f7eOnly | Client::Before418 => {
                version == NfsVersion::V40
            }
        }
    }

    /// Whether the check of a name on open refuses a regular file that it knows to have no link
    /// left: the full revalidation does, and only before the series was it asked on open.
    pub(crate) fn refuses_unlinked(self, version: NfsVersion) -> bool {
        match self {
            Client::Stock
            | Client::WithoutBe189f7e
            | Client::AffectedOnV40
            | Client::WithoutV40 => false,
            Client::WithoutSeries | Client::Be189f7eOnly | Client::Before418 => {
                version != NfsVersion::V40
            }
        }
    }

    /// Whether the check of a name on open has the server asked for the file's attributes, and
    /// answers ENOENT if it has no link left (nfs_lookup_verify_inode() before 4.18).
    pub(crate) fn asks_for_links(self, version: NfsVersion) -> bool {
        self == Client::Before418 && version != NfsVersion::V40
    }
}

/// The folder with the client's `nfs.ko` and `nfsv4.ko`; none for the kernel's own.
pub(crate) fn build(kernel: &Kernel, client: Client) -> Result<Option<PathBuf>> {
    if client == Client::Stock || client == Client::Before418 {
        return Ok(None);
    }
    let Kernel {
        series, release, ..
    } = kernel;
    let name = client.name();
    let patched = client.patched_series();
    ensure!(
        *series != own_kernel::SERIES,
        "the client {name} is a patch for a distribution's kernel: apply it in your own tree"
    );
    ensure!(
        *series != like::SERIES,
        "the kernels like:4.4 and like:4.14 have one client, that of before 4.18: leave --client out"
    );
    ensure!(
        patched.contains(series),
        "no client {name} for Linux {series}: xtask/patches has one for {} only",
        patched.join(" and ")
    );
    let patch = workspace::root().join(format!("xtask/patches/{series}/{name}.patch"));
    let text = cache::read(&patch)?;
    let _lock = cache::lock("clients")?;
    let dir = cache::root()?.join("clients").join(release).join(name);
    let devel = devel::fetch(kernel)?;
    let cc = compiler(&devel)?;
    let version = exec::output(Command::new(&cc).arg("--version"))?;
    let compiled_by = version.lines().next().unwrap_or_default();
    let key = format!(
        "{}\n{cc}: {compiled_by}\n{SWITCHED_OFF:?}\n{text}",
        kernel.version
    );
    if !cache::is_made(&dir, &key) {
        eprintln!("lab: building the client {name} for Linux {release} (about a minute, once)");
    }
    cache::make(&dir, &key, |partial| {
        let tree = partial.join("build");
        compile(&devel, &patch, &cc, &tree)?;
        for module in MODULES {
            let built = tree.join("fs/nfs").join(module);
            let kept = partial.join(module);
            // The debug info goes; the BTF made from it stays.
            exec::run(
                Command::new("strip")
                    .arg("-g")
                    .arg("-o")
                    .args([&kept, &built]),
            )?;
            check(&kept, kernel, &devel, module)?;
        }
        cache::remove_dir(&tree)
    })?;
    Ok(Some(dir))
}

/// The modules of the client without be189f7e as an archive for a guest that runs the kernel's own:
/// a check changes from one to the other. None where there is no such client.
pub(crate) fn swap(kernel: &Kernel, client: Client) -> Result<Option<Vec<u8>>> {
    let other = Client::WithoutBe189f7e;
    if client != Client::Stock || !other.patched_series().contains(&kernel.series) {
        return Ok(None);
    }
    let Some(dir) = build(kernel, other)? else {
        return Ok(None);
    };
    let mut archive = Archive::default();
    archive.directory(SWAP_PATH);
    for module in MODULES {
        let path = dir.join(module);
        let content = fs::read(&path).with_context(|| format!("read {}", path.display()))?;
        archive.file(&format!("{SWAP_PATH}/{module}"), 0o644, &content);
    }
    Ok(Some(archive.finish()))
}

fn compile(devel: &Devel, patch: &Path, cc: &str, tree: &Path) -> Result<()> {
    for (program, package) in [("make", "make"), ("patch", "patch"), ("strip", "binutils")] {
        exec::require(program, package)?;
    }
    cache::create_dir(tree)?;
    exec::run(
        Command::new("cp")
            .arg("-r")
            .arg(devel.source.join("fs"))
            .arg(tree),
    )?;
    let mut apply = Command::new("patch");
    apply.args(["-p1", "--fuzz=0", "--forward", "--batch"]);
    exec::run(apply.arg("-d").arg(tree).arg("-i").arg(patch))
        .context("take the fix out of this kernel's source: the patch needs an update")?;
    let mut make = Command::new("make");
    make.env_remove("MAKEFLAGS")
        .arg(format!(
            "-j{}",
            thread::available_parallelism().map_or(2, NonZero::get)
        ))
        .arg("-C")
        .arg(&devel.headers)
        .arg(format!("M={}", tree.join("fs/nfs").display()))
        .arg(format!("CC={cc}"))
        .args(devel.programs()?)
        .args((cc == HOST_CC).then_some(ALIGNS_LESS))
        .args(SWITCHED_OFF)
        .arg("modules");
    exec::run(&mut make)
}

/// The compiler that built the kernel, or else the host's.
fn compiler(devel: &Devel) -> Result<String> {
    let variables = fs::read_to_string(devel.headers.join(".kernelvariables")).unwrap_or_default();
    let own = variables.split_whitespace().find_map(|word| {
        word.rsplit_once(')')
            .map(|(_, cc)| cc)
            .filter(|cc| cc.starts_with("gcc-"))
    });
    if let Some(cc) = own
        && exec::find(cc).is_some()
    {
        return Ok(cc.to_owned());
    }
    exec::require(HOST_CC, "gcc")?;
    Ok(HOST_CC.to_owned())
}

/// A module that this kernel takes, and that names its types as a distribution's does.
fn check(module: &Path, kernel: &Kernel, devel: &Devel, name: &str) -> Result<()> {
    let [ours, theirs] = [
        read(module)?,
        read(&kernel.module(&format!("kernel/fs/nfs/{name}"))?)?,
    ];
    let [our_magic, their_magic] = [vermagic(&ours)?, vermagic(&theirs)?];
    ensure!(
        our_magic == their_magic,
        "build {name} for this kernel: its vermagic is {our_magic:?}, the kernel wants \
         {their_magic:?}"
    );
    // Modules have BTF since 5.11 (CONFIG_DEBUG_INFO_BTF_MODULES).
    let [our_btf, their_btf] = [has_section(&ours, ".BTF")?, has_section(&theirs, ".BTF")?];
    ensure!(
        our_btf == their_btf,
        "build {name} as this kernel's own: that one has BTF: {their_btf}, this one: {our_btf}"
    );
    ensure!(
        devel.resolves_btf_ids() || !has_section(&ours, ".BTF_ids")?,
        "build {name} without BTF ids, or with the program that fills them in"
    );
    Ok(())
}

/// A module's bytes, unpacked.
fn read(module: &Path) -> Result<Vec<u8>> {
    let unpack = match module.extension().and_then(|end| end.to_str()) {
        Some("xz") => "xz",
        Some("zst") => "zstd",
        _ => "cat",
    };
    let mut command = Command::new(unpack);
    if unpack != "cat" {
        command.arg("-dc");
    }
    exec::output_bytes(command.arg(module))
}

fn vermagic(module: &[u8]) -> Result<String> {
    find_vermagic(module).context("find its vermagic")
}

fn has_section(module: &[u8], name: &str) -> Result<bool> {
    let file = object::File::parse(module).context("read it as an ELF file")?;
    Ok(file.section_by_name(name).is_some())
}

fn find_vermagic(module: &[u8]) -> Option<String> {
    const START: &[u8] = b"\0vermagic=";
    let at = module
        .windows(START.len())
        .position(|bytes| bytes == START)?;
    let value = module[at + START.len()..].split(|byte| *byte == 0).next()?;
    Some(String::from_utf8_lossy(value).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_vermagic() {
        let module = b"\x7fELF\0retpoline=Y\0vermagic=6.1.0-56-amd64 SMP \0name=nfs\0";
        assert_eq!(find_vermagic(module).unwrap(), "6.1.0-56-amd64 SMP ");
        assert_eq!(find_vermagic(b"\0vermagi"), None);
    }

    #[test]
    fn patches_and_clients_belong_together() {
        for client in Client::value_variants() {
            let value = client.to_possible_value().unwrap();
            assert_eq!(value.get_name(), client.name());
            for series in ["5.10", "6.1", "6.12", "7"] {
                let patch = format!("xtask/patches/{series}/{}.patch", client.name());
                let exists = workspace::root().join(patch).exists();
                let promised = client.patched_series().contains(&series);
                assert_eq!(exists, promised, "{} for {series}", client.name());
            }
        }
    }
}
