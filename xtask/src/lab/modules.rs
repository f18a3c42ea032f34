//! Which kernel modules a guest needs, in load order, and their bytes.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};

/// A module that guests load.
struct Wanted {
    name: &'static str,
    parameters: &'static str,
    /// Some kernels have it built in, or not at all.
    optional: bool,
}

const fn wanted(name: &'static str, parameters: &'static str) -> Wanted {
    Wanted {
        name,
        parameters,
        optional: false,
    }
}

/// In load order; what they depend on comes before them.
const WANTED: &[Wanted] = &[
    // The export: 256 MiB, taken from the guest's memory as it is written.
    wanted("brd", "rd_nr=1 rd_size=262144"),
    // ext4 asks the crypto layer for crc32c, which would ask modprobe, which guests do not have.
    Wanted {
        name: "crc32c_generic",
        parameters: "",
        optional: true,
    },
    wanted("ext4", ""),
    wanted("nfsd", ""),
    wanted("nfs", ""),
    wanted("nfsv4", ""),
];

/// One module of the image.
#[derive(Debug)]
pub(crate) struct Module {
    pub(crate) name: String,
    pub(crate) parameters: &'static str,
    /// Uncompressed: 6.1 has no in-kernel decompression, and under TCG it would be slow.
    pub(crate) content: Vec<u8>,
}

/// Reads the modules that guests need from `.../lib/modules/REL`; those that are also in `client`
/// come from there.
pub(crate) fn read_closure(modules: &Path, client: Option<&Path>) -> Result<Vec<Module>> {
    let dep_file = modules.join("modules.dep");
    let dep = fs::read_to_string(&dep_file)
        .with_context(|| format!("read {}: run depmod for it", dep_file.display()))?;
    let graph = parse_dep(&dep);
    let built_in = fs::read_to_string(modules.join("modules.builtin")).unwrap_or_default();
    let mut order = Vec::new();
    for wanted in WANTED {
        if let Some(path) = graph.get(wanted.name).map(|(path, _)| path) {
            visit(&graph, path, &mut order)?;
        } else if !wanted.optional && !is_built_in(&built_in, wanted.name) {
            bail!(
                "find module {} in {}: is CONFIG_ for it set?",
                wanted.name,
                dep_file.display()
            );
        }
    }
    order
        .iter()
        .map(|path| read(modules, path, client))
        .collect()
}

/// Name of each module, its path and the paths of what it needs.
type Graph<'a> = BTreeMap<String, (&'a str, Vec<&'a str>)>;

fn parse_dep(dep: &str) -> Graph<'_> {
    let line = |line| {
        let (path, needs): (&str, &str) = str::split_once(line, ':')?;
        Some((name_of(path), (path, needs.split_whitespace().collect())))
    };
    dep.lines().filter_map(line).collect()
}

/// Depth first: modules.dep names everything a module needs, nearest first, on one line; kmod and
/// busybox do not agree whether that includes what is needed indirectly.
fn visit<'a>(graph: &Graph<'a>, path: &'a str, order: &mut Vec<&'a str>) -> Result<()> {
    if order.contains(&path) {
        return Ok(());
    }
    let (_, needs) = graph
        .get(&name_of(path))
        .with_context(|| format!("find {path} in modules.dep"))?;
    for need in needs.iter().rev() {
        visit(graph, need, order)?;
    }
    order.push(path);
    Ok(())
}

fn is_built_in(built_in: &str, name: &str) -> bool {
    built_in.lines().any(|path| name_of(path) == name)
}

/// `kernel/fs/nfs/nfs.ko.xz` is `nfs`; the kernel takes `-` and `_` as one.
fn name_of(path: &str) -> String {
    let file = path.rsplit('/').next().unwrap_or(path);
    let stem = file.split_once(".ko").map_or(file, |(stem, _)| stem);
    stem.replace('-', "_")
}

fn read(modules: &Path, path: &str, client: Option<&Path>) -> Result<Module> {
    let name = name_of(path);
    let rebuilt = client
        .map(|dir| dir.join(format!("{name}.ko")))
        .filter(|file| file.exists());
    let file: PathBuf = rebuilt.unwrap_or_else(|| modules.join(path));
    let bytes = fs::read(&file).with_context(|| format!("read {}", file.display()))?;
    let content = match file.extension().and_then(|extension| extension.to_str()) {
        Some("ko") => bytes,
        Some("xz") => unxz(&bytes).with_context(|| format!("decompress {}", file.display()))?,
        _ => bail!(
            "decompress {}: only .ko and .ko.xz are known",
            file.display()
        ),
    };
    let parameters = WANTED
        .iter()
        .find(|wanted| wanted.name == name)
        .map_or("", |w| w.parameters);
    Ok(Module {
        name,
        parameters,
        content,
    })
}

fn unxz(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut content = Vec::new();
    lzma_rs::xz_decompress(&mut &*bytes, &mut content)?;
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEP: &str = "\
kernel/fs/nfs/nfsv4.ko: kernel/fs/nfs/nfs.ko kernel/fs/lockd/lockd.ko kernel/net/sunrpc/sunrpc.ko
kernel/fs/nfs/nfs.ko: kernel/fs/lockd/lockd.ko kernel/net/sunrpc/sunrpc.ko
kernel/fs/lockd/lockd.ko: kernel/net/sunrpc/sunrpc.ko
kernel/net/sunrpc/sunrpc.ko:
kernel/crypto/crc32c-intel.ko.xz:
";

    #[test]
    fn what_is_needed_is_loaded_first() {
        let graph = parse_dep(DEP);
        let mut order = Vec::new();
        visit(&graph, "kernel/fs/nfs/nfsv4.ko", &mut order).unwrap();
        let names: Vec<_> = order.iter().map(|path| name_of(path)).collect();
        assert_eq!(names, ["sunrpc", "lockd", "nfs", "nfsv4"]);
    }

    #[test]
    fn direct_needs_are_enough() {
        let graph = parse_dep("a.ko: b.ko\nb.ko: c.ko\nc.ko:\n");
        let mut order = Vec::new();
        visit(&graph, "a.ko", &mut order).unwrap();
        assert_eq!(order, ["c.ko", "b.ko", "a.ko"]);
    }

    #[test]
    fn a_module_that_is_not_listed_is_an_error() {
        let graph = parse_dep("a.ko: b.ko\n");
        let error = visit(&graph, "a.ko", &mut Vec::new()).unwrap_err();
        assert_eq!(error.to_string(), "find b.ko in modules.dep");
    }

    #[test]
    fn names_ignore_folder_suffix_and_dash() {
        assert_eq!(name_of("kernel/crypto/crc32c-intel.ko.xz"), "crc32c_intel");
        assert!(is_built_in("kernel/drivers/block/brd.ko\n", "brd"));
    }
}
