//! The LOOKUP_* numbers in force: macros, so in no BTF, and they have moved.
//!
//! The format file of nfs:nfs_lookup_revalidate_enter carries them
//! (show_fs_lookup_flags, include/trace/misc/fs.h), as `{ 0x0100, "OPEN" }` or as
//! `{ (1 << (16)), "OPEN" }`.

use serde::{Deserialize, Serialize};

/// The bits of `nameidata.flags` that matter here (include/linux/namei.h).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LookupFlags {
    /// LOOKUP_OPEN: the last component of an open.
    pub open: u32,
    /// LOOKUP_RCU: lockless walk.
    pub rcu: u32,
    /// LOOKUP_REVAL: trust nothing cached.
    pub reval: u32,
}

impl LookupFlags {
    /// 3.10 to 6.14.
    pub const BEFORE_6_15: Self = Self {
        open: 0x100,
        rcu: 0x40,
        reval: 0x20,
    };
    /// After "VFS: repack LOOKUP_ bit flags." (NeilBrown); seen in 6.16.3, 6.18, 7.3.
    pub const SINCE_6_15: Self = Self {
        open: 1 << 16,
        rcu: 1 << 8,
        reval: 1 << 7,
    };

    /// LOOKUP_CREATE: the open may create the name. In both eras the bit after LOOKUP_OPEN.
    #[must_use]
    pub fn create(self) -> u32 {
        self.open << 1
    }

    /// From the text of a tracepoint's format file; nothing if a flag is not in it.
    #[must_use]
    pub fn from_format(text: &str) -> Option<Self> {
        let flag = |name: &str| {
            let end = text.find(&format!("\"{name}\""))?;
            let start = text[..end].rfind('{')?;
            number(&text[start + 1..end])
        };
        Some(Self {
            open: flag("OPEN")?,
            rcu: flag("RCU")?,
            reval: flag("REVAL")?,
        })
    }

    /// By release, for kernels without tracefs. A guess only for what lies between
    /// 6.14 (old numbers read) and 6.16 (new ones read).
    #[must_use]
    pub fn from_release(release: (u32, u32)) -> Self {
        if release >= (6, 15) {
            Self::SINCE_6_15
        } else {
            Self::BEFORE_6_15
        }
    }
}

/// `0x0100,`, `1 << 16,`, `(1 << (16)),` and the like.
fn number(text: &str) -> Option<u32> {
    let text: String = text.chars().filter(|c| !" \t(),UL".contains(*c)).collect();
    match text.split_once("<<") {
        Some((base, shift)) => base
            .parse::<u32>()
            .ok()?
            .checked_shl(shift.parse::<u32>().ok()?),
        None => match text.strip_prefix("0x") {
            Some(hex) => u32::from_str_radix(hex, 16).ok(),
            None => text.parse().ok(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_eras_of_format_files_are_read() {
        let old = r#"__print_flags(REC->flags, "|", { 0x0001, "FOLLOW" }, { 0x0020, "REVAL" }, { 0x0040, "RCU" }, { 0x0100, "OPEN" }, { 0x0200, "CREATE" })"#;
        assert_eq!(
            LookupFlags::from_format(old),
            Some(LookupFlags::BEFORE_6_15)
        );
        assert_eq!(LookupFlags::BEFORE_6_15.create(), 0x200);
        let new = r#"{ ((((1UL))) << (7)), "REVAL" }, { ((((1UL))) << (8)), "RCU" }, { ((((1UL))) << (16)), "OPEN" }"#;
        assert_eq!(LookupFlags::from_format(new), Some(LookupFlags::SINCE_6_15));
    }

    #[test]
    fn a_format_without_the_flags_is_nothing() {
        assert_eq!(
            LookupFlags::from_format("print fmt: \"%d\", REC->pid"),
            None
        );
        assert_eq!(LookupFlags::from_format("{ frog, \"OPEN\" }"), None);
    }
}
