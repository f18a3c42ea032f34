//! Where the fields lie that the programs read: one table, filled from BTF.
//!
//! Each field is looked up by name in the BTF of the module that defines it. What is
//! missing is ABSENT, and the programs do without it.

use nfs_trace_ebpf::config::{ABSENT, Offsets};

use super::btf::Btf;

/// The BTF there is: of vmlinux, and of the two modules on top of it.
#[derive(Debug, Default)]
pub struct Sources<'a> {
    /// /sys/kernel/btf/vmlinux
    pub vmlinux: Option<&'a Btf<'a>>,
    /// /sys/kernel/btf/nfs; for a built-in nfs, that of vmlinux.
    pub nfs: Option<&'a Btf<'a>>,
    /// /sys/kernel/btf/nfsv4; likewise.
    pub nfsv4: Option<&'a Btf<'a>>,
}

/// Offsets and what they rest on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// For the programs.
    pub offsets: Offsets,
    /// Position of the dentry in nfs4_lookup_revalidate's arguments, if BTF tells.
    pub revalidate_dentry_arg: Option<u32>,
    /// Fields that were not found.
    pub missing: Vec<&'static str>,
}

/// Reads the table of fields.
#[must_use]
pub fn read(sources: &Sources<'_>) -> Layout {
    let mut missing = Vec::new();
    let mut field = |btf: Option<&Btf<'_>>, name: &'static str| {
        let (structure, path) = name.split_once('.').unwrap_or((name, ""));
        match btf.and_then(|btf| btf.member_offset(structure, path)) {
            Some(offset) => offset,
            None => {
                missing.push(name);
                ABSENT
            }
        }
    };
    let base = sources.vmlinux;
    let parent = field(base, "dentry.d_parent");
    let hash_len = field(base, "dentry.d_name.hash_len");
    let name = field(base, "dentry.d_name.name");
    let adjacent = parent != ABSENT && hash_len == parent + 8 && name == parent + 16;
    let offsets = Offsets {
        dentry_link: if adjacent { parent } else { ABSENT },
        dentry_inode: field(base, "dentry.d_inode"),
        dentry_sb: field(base, "dentry.d_sb"),
        sb_dev: field(base, "super_block.s_dev"),
        inode_mode: field(base, "inode.i_mode"),
        inode_ino: field(base, "inode.i_ino"),
        inode_sb: field(base, "inode.i_sb"),
        file_dentry: field(base, "file.f_path.dentry"),
        file_inode: field(base, "file.f_inode"),
        file_flags: field(base, "file.f_flags"),
        opendata_claim: field(sources.nfsv4, "nfs4_opendata.o_arg.claim"),
    };
    let revalidate_dentry_arg = sources
        .nfs
        .and_then(|nfs| nfs.pointer_parameter("nfs4_lookup_revalidate", "dentry"));
    Layout {
        offsets,
        revalidate_dentry_arg,
        missing,
    }
}

impl Layout {
    /// `btf`, or `none` where names cannot be read at all.
    #[must_use]
    pub fn source(&self) -> &'static str {
        if self.offsets.dentry_link == ABSENT {
            "none"
        } else {
            "btf"
        }
    }
}
