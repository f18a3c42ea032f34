//! The guest's initramfs: a base that depends on kernel and client only, kept in the cache, and an
//! overlay with what changes from run to run, appended (the kernel unpacks one after the other).

use std::{
    fs,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

use anyhow::{Context as _, Result};
use lab_contract::protocol::{JOB_PATH, Job, MODULES_PATH, TRACER_PATH};

use super::{
    cpio::Archive,
    elf::{LOADER, Libraries},
    kernel::Kernel,
    modules,
};
use crate::{apt, cache};

/// What decides over the base's content: a change here makes it anew.
const RECIPE: [&str; 4] = [
    include_str!("image.rs"),
    include_str!("modules.rs"),
    include_str!("elf.rs"),
    include_str!("cpio.rs"),
];

/// The packages of the guest's programs; their dependencies come along.
pub(crate) const PACKAGES: &[&str] = &[
    "busybox-static",
    "e2fsprogs",
    "git",
    "netbase",
    "nfs-common",
    "nfs-kernel-server",
    "rpcbind",
];

/// Programs by the folder of the guest they go to.
const PROGRAMS: &[(&str, &[&str])] = &[
    ("usr/bin", &["busybox", "git"]),
    (
        "usr/sbin",
        &[
            "exportfs",
            "mke2fs",
            "mount.nfs",
            "nfsdcld",
            "rpc.mountd",
            "rpc.nfsd",
            "rpcbind",
        ],
    ),
];

/// Where packages keep programs, before and after the merge of /usr.
const PROGRAM_FOLDERS: &[&str] = &["usr/bin", "usr/sbin", "bin", "sbin"];

/// Links, and what they point to.
const LINKS: &[(&str, &str)] = &[
    ("bin", "usr/bin"),
    ("sbin", "usr/sbin"),
    ("lib", "usr/lib"),
    ("lib64", "usr/lib64"),
    ("usr/sbin/mount.nfs4", "mount.nfs"),
    ("usr/bin/sh", "busybox"),
    // git looks for its own commands here.
    ("usr/lib/git-core/git", "../../bin/git"),
];

/// Empty folders that something insists on.
const FOLDERS: &[&str] = &[
    "dev",
    "export",
    "lab",
    "mnt",
    "proc",
    "root",
    "run",
    "sys",
    "tmp",
    "var/lib/nfs/nfsdcld",
    "var/lib/nfs/v4recovery",
    "var/lib/nfs/rpc_pipefs",
    "usr/lib64",
    "usr/share/git-core/templates",
];

/// Files of /etc that no package has in the needed form.
const ETC: &[(&str, &str)] = &[
    ("etc/hosts", "127.0.0.1 localhost lab\n"),
    ("etc/group", "root:x:0:\nuser:x:1000:\nnogroup:x:65534:\n"),
    // rpcbind gives up root for _rpc.
    (
        "etc/passwd",
        "root:x:0:0::/root:/bin/sh\n_rpc:x:101:65534::/run/rpcbind:/bin/false\n\
         user:x:1000:1000::/tmp:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n",
    ),
    // All of the lab is root's, but git asks who owns a repository on a network mount.
    (
        "root/.gitconfig",
        "[safe]\n\tdirectory = *\n[gc]\n\tauto = 0\n",
    ),
    // What is exported is said on the command line; exportfs wants the file nevertheless.
    ("etc/exports", ""),
    ("var/lib/nfs/etab", ""),
    ("var/lib/nfs/rmtab", ""),
    // rpcbind and libtirpc read the transports here; without services rpc.nfsd opens no socket.
    (
        "etc/netconfig",
        "udp tpi_clts v inet udp - -\ntcp tpi_cots_ord v inet tcp - -\n\
         local tpi_cots_ord - loopback - - -\n",
    ),
];

/// Files of packages that are taken as they are.
const FROM_PACKAGES: &[&str] = &["etc/services", "etc/protocols", "etc/mke2fs.conf"];

/// The base image for a kernel, and for a rebuilt client if there is one; made once.
pub(crate) fn base(kernel: &Kernel, client: Option<&Path>, debs: &[PathBuf]) -> Result<PathBuf> {
    let name = client
        .and_then(Path::file_name)
        .map_or("stock".into(), |dir| dir.to_string_lossy());
    let dir = cache::root()?
        .join("images")
        .join(format!("{}-{name}", kernel.release));
    cache::make(&dir, &key(kernel, client, debs)?, |partial| {
        let tree = partial.join("tree");
        for deb in debs {
            apt::unpack(deb, &tree)?;
        }
        let image = build(kernel, client, &tree)?;
        cache::remove_dir(&tree)?;
        cache::write(&partial.join("base.cpio"), image)
    })?;
    Ok(dir.join("base.cpio"))
}

/// Everything the base is made from.
fn key(kernel: &Kernel, client: Option<&Path>, debs: &[PathBuf]) -> Result<String> {
    let mut recipe = DefaultHasher::new();
    RECIPE.hash(&mut recipe);
    let mut key = format!("recipe {:x}\n", recipe.finish());
    key += &format!("kernel {} {}\n", kernel.release, kernel.version);
    for module in ["nfs.ko", "nfsv4.ko"] {
        if let Some(path) = client.map(|dir| dir.join(module)) {
            let meta = path
                .metadata()
                .with_context(|| format!("find {}", path.display()))?;
            let changed = meta.modified()?.duration_since(UNIX_EPOCH)?.as_nanos();
            key += &format!("{} {} {changed}\n", path.display(), meta.len());
        }
    }
    for deb in debs {
        key += &format!(
            "{}\n",
            deb.file_name().unwrap_or_default().to_string_lossy()
        );
    }
    Ok(key)
}

fn build(kernel: &Kernel, client: Option<&Path>, tree: &Path) -> Result<Vec<u8>> {
    let mut archive = Archive::default();
    FOLDERS.iter().for_each(|folder| archive.directory(folder));
    LINKS
        .iter()
        .for_each(|(link, target)| archive.symlink(link, target));
    ETC.iter()
        .for_each(|(path, text)| archive.file(path, 0o644, text.as_bytes()));
    // Until devtmpfs is mounted, init writes here.
    archive.device("dev/console", (5, 1));
    for path in FROM_PACKAGES {
        archive.file(path, 0o644, &read(&tree.join(path))?);
    }
    add_programs(&mut archive, tree)?;
    let mut list = String::new();
    let closure = match &kernel.modules {
        Some(modules) => modules::read_closure(modules, client)?,
        None => Vec::new(),
    };
    for module in closure {
        let path = format!("/lab/{}.ko", module.name);
        list += format!("{path} {}", module.parameters).trim_end();
        list.push('\n');
        archive.file(&path, 0o644, &module.content);
    }
    archive.file(MODULES_PATH, 0o644, list.as_bytes());
    Ok(archive.finish())
}

fn add_programs(archive: &mut Archive, tree: &Path) -> Result<()> {
    let mut programs = Vec::new();
    for (folder, names) in PROGRAMS {
        for name in *names {
            let path = PROGRAM_FOLDERS
                .iter()
                .map(|folder| tree.join(folder).join(name))
                .find(|path| path.is_file())
                .with_context(|| format!("find the program {name} in the unpacked packages"))?;
            archive.file(&format!("{folder}/{name}"), 0o755, &read(&path)?);
            programs.push(path);
        }
    }
    for (name, content) in Libraries::scan(tree)?.closure(&programs)? {
        let folder = if name == LOADER {
            "usr/lib64"
        } else {
            "usr/lib/x86_64-linux-gnu"
        };
        archive.file(&format!("{folder}/{name}"), 0o755, &content);
    }
    Ok(())
}

/// What changes from run to run.
pub(crate) fn overlay(job: &Job, init: &Path, tracer: Option<&Path>) -> Result<Vec<u8>> {
    let mut archive = Archive::default();
    archive.file("init", 0o755, &read(init)?);
    archive.file(JOB_PATH, 0o644, &serde_json::to_vec(job)?);
    // The probe guest has no base.
    for folder in ["proc", "sys", "dev", "run", "tmp"] {
        archive.directory(folder);
    }
    archive.device("dev/console", (5, 1));
    if let Some(tracer) = tracer {
        archive.file(TRACER_PATH, 0o755, &read(tracer)?);
    }
    Ok(archive.finish())
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("read {}", path.display()))
}
