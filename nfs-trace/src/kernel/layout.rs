//! Where the fields lie that the programs read: one table of fields, filled from BTF or from
//! a table of offsets; and which of the layouts at hand is used.
//!
//! A layout is used only if it calibrates: what it makes of a file that is known has to be
//! what stat(2) says ([`crate::calibrate`]). Without any, paths are told apart all the same.

use std::fmt;

use clap::ValueEnum;
use nfs_trace_ebpf::config::{ABSENT, Offsets};
use serde::Serialize;

use super::btf::Btf;

/// A field: its name in C, and its place among the offsets.
type Field = (&'static str, fn(&mut Offsets) -> &mut u32);

/// Every field that the programs read. d_parent stands for d_name too, see
/// [`Offsets::dentry_link`].
pub const FIELDS: [Field; 12] = [
    ("dentry.d_parent", |it| &mut it.dentry_link),
    ("dentry.d_inode", |it| &mut it.dentry_inode),
    ("dentry.d_sb", |it| &mut it.dentry_sb),
    ("super_block.s_dev", |it| &mut it.sb_dev),
    ("inode.i_mode", |it| &mut it.inode_mode),
    ("inode.i_ino", |it| &mut it.inode_ino),
    ("inode.i_sb", |it| &mut it.inode_sb),
    ("file.f_path.dentry", |it| &mut it.file_dentry),
    ("file.f_inode", |it| &mut it.file_inode),
    ("file.f_flags", |it| &mut it.file_flags),
    ("nfs4_opendata.o_arg.name", |it| &mut it.opendata_name),
    ("nfs4_opendata.o_arg.claim", |it| &mut it.opendata_claim),
];

/// Where a layout comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// The kernel's BTF, or the files of `--btf`
    Btf,
    /// The built-in table of offsets (x86-64), or that of `--layout-table`
    Table,
    /// Names show as ids
    None,
}

impl Source {
    /// As it is typed and printed.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Btf => "btf",
            Self::Table => "table",
            Self::None => "none",
        }
    }
}

/// Offsets and what they rest on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// Where they come from.
    pub source: Source,
    /// What there is to say of that: which files or table, or why there is no layout.
    pub why: String,
    /// All that are known.
    pub offsets: Offsets,
    /// See [`Candidate::claim_is_sure`].
    pub claim_is_sure: bool,
    /// Position of the dentry in nfs4_lookup_revalidate's arguments, if the kernel's own BTF
    /// tells.
    pub revalidate_dentry_arg: Option<u32>,
}

impl Layout {
    /// No layout, for this reason.
    #[must_use]
    pub fn none(why: String) -> Self {
        Self {
            source: Source::None,
            why,
            offsets: Offsets::NONE,
            claim_is_sure: false,
            revalidate_dentry_arg: None,
        }
    }

    /// For the programs, which check a claim that is not sure.
    #[must_use]
    pub fn for_programs(&self) -> Offsets {
        let mut offsets = self.offsets;
        if self.claim_is_sure {
            offsets.opendata_name = ABSENT;
        }
        offsets
    }

    /// Fields that are not known.
    #[must_use]
    pub fn missing(&self) -> Vec<&'static str> {
        named(&self.offsets)
            .filter(|(_, offset)| *offset == ABSENT)
            .map(|(name, _)| name)
            .collect()
    }
}

/// The fields by name, with their offsets.
pub fn named(offsets: &Offsets) -> impl Iterator<Item = (&'static str, u32)> {
    let mut offsets = *offsets;
    FIELDS
        .map(|(name, place)| (name, *place(&mut offsets)))
        .into_iter()
}

/// The BTF there is: of vmlinux, and of modules on top of it.
#[derive(Debug, Default)]
pub struct Sources<'a> {
    /// The BTF that stands alone.
    pub vmlinux: Option<&'a Btf<'a>>,
    /// The others. For what is built in vmlinux answers.
    pub modules: Vec<&'a Btf<'a>>,
}

impl<'a> Sources<'a> {
    /// What the first of them knows that knows anything.
    fn first<T>(&self, of: impl Fn(&Btf<'a>) -> Option<T>) -> Option<T> {
        let vmlinux = self.vmlinux.into_iter();
        self.modules.iter().copied().chain(vmlinux).find_map(of)
    }
}

/// Reads the fields, and the position of nfs4_lookup_revalidate's dentry.
#[must_use]
pub fn read(sources: &Sources<'_>) -> (Offsets, Option<u32>) {
    let mut offsets = Offsets::NONE;
    let field = |name: &str| {
        let (structure, path) = name.split_once('.').unwrap_or((name, ""));
        sources.first(|btf| btf.member_offset(structure, path))
    };
    for (name, place) in FIELDS {
        *place(&mut offsets) = field(name).unwrap_or(ABSENT);
    }
    let behind_parent = |more: u32| Some(offsets.dentry_link.wrapping_add(more));
    if field("dentry.d_name.hash_len") != behind_parent(8)
        || field("dentry.d_name.name") != behind_parent(16)
        || field("dentry.d_hash").map(|list| list.wrapping_add(16)) != behind_parent(0)
    {
        offsets.dentry_link = ABSENT;
    }
    let dentry_arg = sources.first(|btf| btf.pointer_parameter("nfs4_lookup_revalidate", "dentry"));
    (offsets, dentry_arg)
}

/// Offsets that may be right, of which the first is taken that is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Where they come from.
    pub source: Source,
    /// What they come from, for people.
    pub what: String,
    /// What there is to say if they are used; empty if they are what is expected.
    pub remark: String,
    /// One way in which the fields may lie, or several; nothing, and why, if there are none.
    pub variants: Result<Vec<Offsets>, String>,
    /// The NFS client's own BTF tells where the claim of an OPEN is. A known file cannot show
    /// that of any other source: see [`Offsets::opendata_name`].
    pub claim_is_sure: bool,
    /// See [`Layout::revalidate_dentry_arg`].
    pub revalidate_dentry_arg: Option<u32>,
}

/// What a layout got wrong; nothing if it fits.
pub type Misread = Vec<&'static str>;

/// Takes the first candidate of which `calibrate` finds a variant to fit. An error of
/// `calibrate` is a kernel that does not let it look.
pub fn choose<E: fmt::Display>(
    candidates: Vec<Candidate>,
    mut calibrate: impl FnMut(&Offsets) -> Result<Misread, E>,
) -> Layout {
    let mut against = Vec::new();
    for candidate in candidates {
        let Candidate { what, variants, .. } = candidate;
        let variants = match variants {
            Ok(variants) => variants,
            Err(why) => {
                against.push(why);
                continue;
            }
        };
        let mut closest: Option<Misread> = None;
        for offsets in variants {
            let misread = match calibrate(&offsets) {
                Ok(misread) => misread,
                Err(error) => {
                    against.push(format!("{what} could not be tried: {error:#}"));
                    return Layout::none(against.join("; "));
                }
            };
            if misread.is_empty() {
                against.extend(Some(candidate.remark).filter(|remark| !remark.is_empty()));
                return Layout {
                    source: candidate.source,
                    why: against.join("; "),
                    offsets,
                    claim_is_sure: candidate.claim_is_sure,
                    revalidate_dentry_arg: candidate.revalidate_dentry_arg,
                };
            }
            if closest.as_ref().is_none_or(|it| misread.len() < it.len()) {
                closest = Some(misread);
            }
        }
        let misread = closest.unwrap_or_default().join(", ");
        against.push(format!(
            "{what} does not fit this kernel (wrong for a known file: {misread})"
        ));
    }
    Layout::none(against.join("; "))
}

#[cfg(test)]
mod tests;
