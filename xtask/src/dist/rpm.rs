//! A .rpm, of the old format (version 4) with gzip inside: rpm of RHEL 7 reads it.

use ::rpm::{BuildConfig, CompressionWithLevel, FileOptions, PackageBuilder};
use anyhow::{Context as _, Result};

use super::{
    DESCRIPTION, MAINTAINER, RELEASE, SUMMARY, VERSION,
    contents::{File, Kind},
};

const POST: &str = include_str!("../../../packaging/rpm/post");
const PREUN: &str = include_str!("../../../packaging/rpm/preun");
const POSTUN: &str = include_str!("../../../packaging/rpm/postun");

/// The package, with this time everywhere.
pub(crate) fn build(files: &[File], date: u32) -> Result<Vec<u8>> {
    let config = BuildConfig::v4()
        .compression(CompressionWithLevel::Gzip(9))
        .source_date(date);
    let licence = "MIT OR Apache-2.0";
    let mut rpm = PackageBuilder::new("nfs-trace", VERSION, licence, "x86_64", SUMMARY);
    rpm.using_config(config)
        .release(RELEASE)
        .description(DESCRIPTION)
        .packager(MAINTAINER)
        // Not the name of the machine.
        .build_host("localhost")
        .post_install_script(POST)
        .pre_uninstall_script(PREUN)
        .post_uninstall_script(POSTUN);
    for file in files {
        let options = FileOptions::new(format!("/{}", file.path)).permissions(file.kind.mode());
        let options = match file.kind {
            Kind::Program | Kind::Plain => options,
            Kind::Doc => options.doc(),
            Kind::Licence => options.license(),
            Kind::Config => options.config().noreplace(),
        };
        rpm.with_file_contents(file.data.clone(), options)
            .with_context(|| format!("take {}", file.path))?;
    }
    for folder in [
        "usr/share/doc/nfs-trace",
        "usr/share/doc/nfs-trace/docs",
        "usr/share/licenses/nfs-trace",
    ] {
        rpm.with_dir_entry(FileOptions::dir(format!("/{folder}")).permissions(0o755))
            .with_context(|| format!("take {folder}"))?;
    }
    let package = rpm.build().context("build a .rpm")?;
    let mut bytes = Vec::new();
    package.write(&mut bytes).context("write a .rpm")?;
    Ok(bytes)
}
