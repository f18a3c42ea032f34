//! A developer's own kernel: a boot image with a folder of modules, or a build tree.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::UNIX_EPOCH,
};

use anyhow::{Context as _, Result, ensure};

use super::kernel::Kernel;
use crate::{cache, debian_tool, exec};

/// What own kernels have instead of a series: no patch of the lab is for them.
pub(crate) const SERIES: &str = "own";
/// Where a build leaves the boot image.
const BZ_IMAGE: &str = "arch/x86/boot/bzImage";

/// A boot image and, where its NFS is not built in, its modules.
pub(crate) fn image(vmlinuz: &Path, modules: Option<&Path>) -> Result<Kernel> {
    let vmlinuz = vmlinuz
        .canonicalize()
        .with_context(|| format!("find the kernel {}", vmlinuz.display()))?;
    let bytes = fs::read(&vmlinuz).with_context(|| format!("read {}", vmlinuz.display()))?;
    let release = release(&bytes).with_context(|| {
        format!(
            "read the release in {}: is it a bzImage for x86?",
            vmlinuz.display()
        )
    })?;
    let modules = modules
        .map(|dir| depmod(dir, &release).and_then(|()| find_modules(dir, &release)))
        .transpose()?;
    // Built anew, it may have the same release.
    let mut version = stamp(&vmlinuz)?;
    if let Some(modules) = &modules {
        version += &format!(" {}", stamp(&modules.join("modules.dep"))?);
    }
    Ok(Kernel {
        series: SERIES,
        release,
        version,
        vmlinuz,
        modules,
    })
}

/// A build tree: its boot image, and its modules installed into the cache.
pub(crate) fn tree(tree: &Path) -> Result<Kernel> {
    let tree = tree
        .canonicalize()
        .with_context(|| format!("find the build tree {}", tree.display()))?;
    let vmlinuz = tree.join(BZ_IMAGE);
    ensure!(
        vmlinuz.exists(),
        "{} has no {BZ_IMAGE}: run `make bzImage modules` there first",
        tree.display()
    );
    let config = cache::read(&tree.join(".config"))?;
    if !config.lines().any(|line| line == "CONFIG_MODULES=y") {
        return image(&vmlinuz, None);
    }
    exec::require("make", "make")?;
    let name = tree.display().to_string().replace('/', "_");
    let target = cache::root()?.join("trees").join(name);
    let _lock = cache::lock("trees")?;
    // What the tree no longer builds must not stay.
    cache::remove_dir(&target)?;
    cache::create_dir(&target)?;
    eprintln!("lab: installing the modules of {}", tree.display());
    let mut make = Command::new("make");
    make.env_remove("MAKEFLAGS")
        .arg("-C")
        .arg(&tree)
        .arg(format!("INSTALL_MOD_PATH={}", target.display()))
        // Debug information would fill the guest's memory.
        .arg("INSTALL_MOD_STRIP=1")
        .arg(format!("DEPMOD={}", debian_tool::DEPMOD.path()?.display()))
        .arg("modules_install");
    exec::run(&mut make).context("run `make bzImage modules` in the build tree first")?;
    image(&vmlinuz, Some(&target))
}

/// Makes the modules.dep that `make modules_install` leaves out where there is no depmod.
fn depmod(dir: &Path, release: &str) -> Result<()> {
    let modules = dir.join("lib/modules").join(release);
    if !modules.join("modules.order").exists() || modules.join("modules.dep").exists() {
        return Ok(());
    }
    eprintln!("lab: making modules.dep in {}", modules.display());
    exec::run(
        Command::new(debian_tool::DEPMOD.path()?)
            .arg("-b")
            .arg(dir)
            .arg(release),
    )
}

/// The folder with modules.dep: the one given, or what `make modules_install` makes below it.
fn find_modules(dir: &Path, release: &str) -> Result<PathBuf> {
    let places = [
        dir.to_path_buf(),
        dir.join(release),
        dir.join("lib/modules").join(release),
        dir.join("usr/lib/modules").join(release),
    ];
    let found = places
        .iter()
        .find(|place| place.join("modules.dep").is_file())
        .with_context(|| {
            format!(
                "find modules.dep for {release} in {}: give the folder of `make modules_install \
                 INSTALL_MOD_PATH=...`, or run depmod",
                dir.display()
            )
        })?;
    found
        .canonicalize()
        .with_context(|| format!("find {}", found.display()))
}

/// `6.1.0-56-amd64`, from the header of a bzImage (Documentation/arch/x86/boot.rst: `HdrS` at
/// 0x202; at 0x20e where the version is, less 0x200).
fn release(image: &[u8]) -> Option<String> {
    if image.get(0x202..0x206)? != b"HdrS" {
        return None;
    }
    let at = image.get(0x20e..0x210)?;
    let at = usize::from(u16::from_le_bytes([at[0], at[1]])) + 0x200;
    let text = image
        .get(at..)?
        .split(|&byte| byte == 0 || byte == b' ')
        .next()?;
    let text = std::str::from_utf8(text).ok()?;
    (!text.is_empty()).then(|| text.to_owned())
}

/// Size and time of a file: differs when it was built anew.
fn stamp(file: &Path) -> Result<String> {
    let meta = file
        .metadata()
        .with_context(|| format!("find {}", file.display()))?;
    let changed = meta.modified()?.duration_since(UNIX_EPOCH)?.as_nanos();
    Ok(format!("{}-{changed}", meta.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(version: &[u8]) -> Vec<u8> {
        let mut image = vec![0; 0x400];
        image[0x202..0x206].copy_from_slice(b"HdrS");
        image[0x20e..0x210].copy_from_slice(&0x100_u16.to_le_bytes());
        image[0x300..0x300 + version.len()].copy_from_slice(version);
        image
    }

    #[test]
    fn the_release_is_in_the_header() {
        let image = header(b"6.1.0-56-amd64 (debian) #1 SMP\0");
        assert_eq!(release(&image).as_deref(), Some("6.1.0-56-amd64"));
        assert_eq!(release(&header(b"\0")), None);
        assert_eq!(release(b"\x7fELF"), None, "a vmlinux is no bzImage");
        let mut cut = header(b"6.1");
        cut.truncate(0x300);
        assert_eq!(release(&cut), None);
    }

    #[test]
    fn modules_are_found_where_builds_leave_them() {
        let dir = std::env::temp_dir().join(format!("lab-own-kernel-{}", std::process::id()));
        let modules = dir.join("lib/modules/7.0.0");
        fs::create_dir_all(&modules).unwrap();
        let error = find_modules(&dir, "7.0.0").unwrap_err().to_string();
        assert!(error.contains("modules.dep for 7.0.0"), "{error}");
        fs::write(modules.join("modules.dep"), "").unwrap();
        let real = modules.canonicalize().unwrap();
        for given in [&dir, &dir.join("lib/modules"), &modules] {
            assert_eq!(find_modules(given, "7.0.0").unwrap(), real);
        }
        find_modules(&dir, "6.0.0").unwrap_err();
        fs::remove_dir_all(dir).unwrap();
    }
}
