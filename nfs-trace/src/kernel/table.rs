//! Offsets for kernels without BTF: a table of what has been stable for long on x86-64, and
//! tables that a user brings.
//!
//! What moved is listed in its variants; calibration finds the one that fits. Read in the
//! BTF of Debian's 5.10, 6.1, 6.12, 6.18 and 7.3; for older kernels the order of the fields
//! was read in the sources of 4.4, 4.14 and 4.19 (include/linux/dcache.h, fs.h, nfs_xdr.h),
//! where it is the same.

use nfs_trace_ebpf::config::{ABSENT, Offsets};
use thiserror::Error;

use super::layout::{FIELDS, named};

/// Whether there is a table for this machine.
pub const HERE: bool = cfg!(target_arch = "x86_64");

/// What has not moved from 4.4 to 7.3.
const STABLE: Offsets = Offsets {
    dentry_link: 24,
    dentry_inode: 48,
    dentry_sb: 104,
    sb_dev: 16,
    inode_mode: 0,
    ..Offsets::NONE
};

/// inode.i_sb and i_ino: i_acl and i_default_acl are before both with CONFIG_FS_POSIX_ACL,
/// i_security is between them with CONFIG_SECURITY.
const INODES: [(u32, u32); 4] = [(40, 64), (40, 56), (24, 48), (24, 40)];

/// file.f_path.dentry, f_inode and f_flags.
const FILES: [(u32, u32, u32); 4] = [
    // Up to 6.4.
    (24, 32, 64),
    // 6.5 to 6.11, by the order of the fields; f_path went behind f_ra.
    (160, 168, 72),
    // 6.12 to 6.14.
    (72, 40, 48),
    // Later.
    (72, 32, 40),
];

/// Every way in which the fields may lie in a kernel of this version.
#[must_use]
pub fn variants(version: (u32, u32)) -> Vec<Offsets> {
    let opendata = opendata(version);
    let of_file = |(file_dentry, file_inode, file_flags)| {
        INODES.map(|(inode_sb, inode_ino)| Offsets {
            inode_sb,
            inode_ino,
            file_dentry,
            file_inode,
            file_flags,
            opendata_name: opendata.0,
            opendata_claim: opendata.1,
            ..STABLE
        })
    };
    FILES.into_iter().flat_map(of_file).collect()
}

/// nfs4_opendata.o_arg.name and claim. The union before them grew with the type of a stateid
/// (93b717fd81bf "NFSv4: Label stateids with the type", 4.8).
#[must_use]
pub fn opendata(version: (u32, u32)) -> (u32, u32) {
    if version < (4, 8) {
        (96, 128)
    } else {
        (104, 136)
    }
}

/// Why a user's table is none.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum TableError {
    /// It is no JSON object of numbers.
    #[error("not an object of field names and offsets, as {{\"dentry.d_parent\": 24, ...}}: {0}")]
    Json(String),
    /// A field that the programs do not read.
    #[error("no field `{0}` is read: `nfs-trace probes --format json` shows those that are")]
    Field(String),
}

/// Reads a table as `probes --format json` prints it. What it leaves out is not known.
///
/// # Errors
/// [`TableError`]
pub fn parse(text: &[u8]) -> Result<Offsets, TableError> {
    let map: std::collections::BTreeMap<String, Option<u32>> =
        serde_json::from_slice(text).map_err(|error| TableError::Json(error.to_string()))?;
    let mut offsets = Offsets::NONE;
    for (name, offset) in map {
        let field = FIELDS.iter().find(|(field, _)| *field == name);
        let (_, place) = field.ok_or(TableError::Field(name))?;
        *place(&mut offsets) = offset.unwrap_or(ABSENT);
    }
    Ok(offsets)
}

/// The table that [`parse`] reads.
#[must_use]
pub fn table(offsets: &Offsets) -> std::collections::BTreeMap<&'static str, Option<u32>> {
    named(offsets)
        .map(|(name, offset)| (name, (offset != ABSENT).then_some(offset)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_printed_table_is_read_again() {
        let offsets = variants((6, 1))[0];
        let printed = serde_json::to_vec(&table(&offsets)).unwrap();
        assert_eq!(parse(&printed), Ok(offsets));
        let printed = serde_json::to_vec(&table(&Offsets::NONE)).unwrap();
        assert_eq!(parse(&printed), Ok(Offsets::NONE));
    }

    #[test]
    fn a_table_may_leave_out_but_not_make_up() {
        let some = parse(br#"{"inode.i_ino": 56, "dentry.d_parent": null}"#).unwrap();
        assert_eq!(
            some,
            Offsets {
                inode_ino: 56,
                ..Offsets::NONE
            }
        );
        assert_eq!(
            parse(br#"{"inode.i_rdev": 1}"#),
            Err(TableError::Field("inode.i_rdev".into()))
        );
        for odd in [
            "",
            "[]",
            "{\"inode.i_ino\": -1}",
            "{\"inode.i_ino\": \"64\"}",
        ] {
            assert!(
                matches!(parse(odd.as_bytes()), Err(TableError::Json(_))),
                "{odd}"
            );
        }
    }

    /// Calibration takes the first variant that fits, so none may stand twice.
    #[test]
    fn variants_differ() {
        let all = variants((4, 14));
        for (index, one) in all.iter().enumerate() {
            assert!(!all[..index].contains(one), "{one:?}");
        }
        assert_eq!(all.len(), 16);
    }
}
