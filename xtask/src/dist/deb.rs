//! A .deb (deb(5)): an ar archive of the format's version, a tar of what dpkg is told, and a tar of
//! the files.

use std::{collections::BTreeSet, fs, io, path::Path};

use anyhow::{Context as _, Result};
use tar::{EntryType, Header};

use super::{
    DESCRIPTION, MAINTAINER, RELEASE, SUMMARY, VERSION,
    contents::{File, Kind, gzip},
};
use crate::workspace;

/// The scripts that dpkg runs.
const SCRIPTS: [&str; 3] = ["postinst", "prerm", "postrm"];

/// The package, with this time everywhere.
pub(crate) fn build(files: &[File], date: u32) -> Result<Vec<u8>> {
    let mut control = vec![("control".to_owned(), 0o644, control(files).into_bytes())];
    // No md5sums: dpkg makes its own since 1.16.3.
    let conffiles = files.iter().filter(|file| file.kind == Kind::Config);
    let conffiles: String = conffiles.map(|file| format!("/{}\n", file.path)).collect();
    control.push(("conffiles".to_owned(), 0o644, conffiles.into_bytes()));
    for name in SCRIPTS {
        let path = workspace::root().join("packaging/debian").join(name);
        let script = fs::read(&path).with_context(|| format!("read {}", path.display()))?;
        control.push((name.to_owned(), 0o755, script));
    }
    let data: Vec<_> = files
        .iter()
        .map(|file| (file.path.clone(), file.kind.mode(), file.data.clone()))
        .collect();
    let mut deb = ar::Builder::new(Vec::new());
    for (name, data) in [
        ("debian-binary", b"2.0\n".to_vec()),
        ("control.tar.gz", gzip(&archive(&control, date)?)?),
        ("data.tar.gz", gzip(&archive(&data, date)?)?),
    ] {
        let mut header = ar::Header::new(name.into(), data.len() as u64);
        header.set_mode(0o100_644);
        header.set_mtime(date.into());
        deb.append(&header, &*data).context("write a .deb")?;
    }
    deb.into_inner().context("write a .deb")
}

/// A tar of these files, and the folders on their way, as dpkg wants it: names begin with `./`.
fn archive(files: &[(String, u16, Vec<u8>)], date: u32) -> Result<Vec<u8>> {
    let mut tar = tar::Builder::new(Vec::new());
    let mut add = |name: &str, kind, mode: u16, data: &[u8]| {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode.into());
        header.set_mtime(date.into());
        header.set_size(data.len() as u64);
        header.set_uid(0);
        header.set_gid(0);
        header.set_username("root")?;
        header.set_groupname("root")?;
        // tar's own way of setting a path takes the `./` away.
        let room = &mut header.as_old_mut().name;
        let room = room
            .get_mut(..name.len())
            .ok_or_else(|| io::Error::other(format!("the path {name} is too long for a header")))?;
        room.copy_from_slice(name.as_bytes());
        header.set_cksum();
        tar.append(&header, data)
    };
    let folders: BTreeSet<&Path> = files
        .iter()
        .flat_map(|(path, _, _)| Path::new(path).ancestors().skip(1))
        .collect();
    for folder in folders {
        let name = match folder.display().to_string() {
            name if name.is_empty() => "./".to_owned(),
            name => format!("./{name}/"),
        };
        add(&name, EntryType::Directory, 0o755, &[]).context("write a folder")?;
    }
    for (path, mode, data) in files {
        add(&format!("./{path}"), EntryType::Regular, *mode, data)
            .with_context(|| format!("write {path}"))?;
    }
    tar.into_inner().context("end an archive")
}

/// deb-control(5)
fn control(files: &[File]) -> String {
    let bytes: usize = files.iter().map(|file| file.data.len()).sum();
    let description: String = DESCRIPTION
        .lines()
        .map(|line| format!(" {line}\n"))
        .collect();
    format!(
        "Package: nfs-trace\n\
         Version: {VERSION}-{RELEASE}\n\
         Architecture: amd64\n\
         Maintainer: {MAINTAINER}\n\
         Installed-Size: {}\n\
         Section: admin\n\
         Priority: optional\n\
         Suggests: prometheus-node-exporter\n\
         Description: {SUMMARY}\n\
         {description}",
        bytes.div_ceil(1024)
    )
}
