//! Numbers of the kernel's interfaces in words, and bytes as text that is safe to show.

use std::{os::unix::ffi::OsStrExt as _, path::Path};

/// `-2` -> `ENOENT`; numbers without a name stay numbers. Beside the common errnos,
/// those of include/linux/errno.h that never reach user space.
#[must_use]
pub fn errno_name(ret: i32) -> String {
    // A recording may hold any number.
    let name = match ret.wrapping_neg() {
        1 => "EPERM",
        2 => "ENOENT",
        4 => "EINTR",
        5 => "EIO",
        9 => "EBADF",
        10 => "ECHILD",
        11 => "EAGAIN",
        12 => "ENOMEM",
        13 => "EACCES",
        16 => "EBUSY",
        17 => "EEXIST",
        20 => "ENOTDIR",
        21 => "EISDIR",
        22 => "EINVAL",
        23 => "ENFILE",
        24 => "EMFILE",
        26 => "ETXTBSY",
        27 => "EFBIG",
        28 => "ENOSPC",
        30 => "EROFS",
        36 => "ENAMETOOLONG",
        40 => "ELOOP",
        95 => "EOPNOTSUPP",
        110 => "ETIMEDOUT",
        111 => "ECONNREFUSED",
        116 => "ESTALE",
        121 => "EREMOTEIO",
        122 => "EDQUOT",
        126 => "ENOKEY",
        127 => "EKEYEXPIRED",
        512 => "ERESTARTSYS",
        518 => "EOPENSTALE",
        521 => "EBADHANDLE",
        528 => "EJUKEBOX",
        _ => return ret.to_string(),
    };
    name.to_string()
}

/// enum open_claim_type4 (include/linux/nfs4.h; RFC 8881, 18.16.1).
#[must_use]
pub fn claim_name(claim: u8) -> Option<&'static str> {
    const NAMES: [&str; 7] = [
        "NULL",
        "PREVIOUS",
        "DELEGATE_CUR",
        "DELEGATE_PREV",
        "FH",
        "DELEG_CUR_FH",
        "DELEG_PREV_FH",
    ];
    NAMES.get(usize::from(claim)).copied()
}

/// O_* flags of x86-64 (include/uapi/asm-generic/fcntl.h), as `O_RDWR|O_CREAT`.
#[must_use]
pub fn open_flags(flags: u32) -> String {
    const NAMES: &[(u32, &str)] = &[
        (0o100, "O_CREAT"),
        (0o200, "O_EXCL"),
        (0o400, "O_NOCTTY"),
        (0o1000, "O_TRUNC"),
        (0o2000, "O_APPEND"),
        (0o4000, "O_NONBLOCK"),
        (0o10_000, "O_DSYNC"),
        (0o40_000, "O_DIRECT"),
        (0o100_000, "O_LARGEFILE"),
        (0o200_000, "O_DIRECTORY"),
        (0o400_000, "O_NOFOLLOW"),
        (0o1_000_000, "O_NOATIME"),
        (0o2_000_000, "O_CLOEXEC"),
        (0o4_000_000, "__O_SYNC"),
        (0o10_000_000, "O_PATH"),
        (0o20_000_000, "__O_TMPFILE"),
    ];
    let mut text = String::from(match flags & 3 {
        0 => "O_RDONLY",
        1 => "O_WRONLY",
        2 => "O_RDWR",
        _ => "O_ACCMODE",
    });
    let mut rest = flags & !3;
    for (bit, name) in NAMES {
        if rest & bit != 0 {
            rest &= !bit;
            // Always set by 64-bit callers: says nothing.
            if *name != "O_LARGEFILE" {
                text.push('|');
                text.push_str(name);
            }
        }
    }
    if rest != 0 {
        text.push_str(&format!("|{rest:#o}"));
    }
    text
}

/// Bytes of a name as text: invalid UTF-8 and control characters as `\xNN`, so that
/// no name can steer a terminal or break a line.
#[must_use]
pub fn escape(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            if character.is_control() {
                let mut utf8 = [0; 4];
                for byte in character.encode_utf8(&mut utf8).bytes() {
                    text.push_str(&format!("\\x{byte:02x}"));
                }
            } else {
                text.push(character);
            }
        }
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}

/// A path as text that is safe to show, see [`escape`].
#[must_use]
pub fn escape_path(path: &Path) -> String {
    escape(path.as_os_str().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_steer_a_terminal() {
        assert_eq!(escape(b"plain.txt"), "plain.txt");
        assert_eq!(
            escape("gr\u{fc}n \u{1f600}".as_bytes()),
            "gr\u{fc}n \u{1f600}"
        );
        assert_eq!(escape(b"a\nb\x1b[31m\x7f"), "a\\x0ab\\x1b[31m\\x7f");
        assert_eq!(escape("\u{9b}".as_bytes()), "\\xc2\\x9b");
        assert_eq!(escape(b"\xff\xfeok\xc3"), "\\xff\\xfeok\\xc3");
    }

    #[test]
    fn flags_are_spelled_out() {
        assert_eq!(open_flags(0), "O_RDONLY");
        assert_eq!(open_flags(0o100_102), "O_RDWR|O_CREAT");
        assert_eq!(open_flags(0o1001), "O_WRONLY|O_TRUNC");
        assert_eq!(open_flags(1 << 31), "O_RDONLY|0o20000000000");
    }

    #[test]
    fn errnos_and_claims_have_names() {
        assert_eq!(errno_name(-518), "EOPENSTALE");
        assert_eq!(errno_name(-10_011), "-10011");
        assert_eq!(errno_name(i32::MIN), "-2147483648");
        assert_eq!(claim_name(4), Some("FH"));
        assert_eq!(claim_name(7), None);
    }
}
