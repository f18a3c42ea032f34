//! Numbers of the kernel's interfaces in words, and bytes as text that is safe to show.

use std::{borrow::Cow, os::unix::ffi::OsStrExt as _, path::Path};

/// `-2` -> `ENOENT`; numbers without a name stay numbers. Beside the common errnos,
/// those of include/linux/errno.h that never reach user space.
#[must_use]
pub fn errno_name(ret: i32) -> String {
    errno_word(ret).into_owned()
}

/// The same, for where there may be a million of them.
#[must_use]
pub fn errno_word(ret: i32) -> Cow<'static, str> {
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
        _ => return ret.to_string().into(),
    };
    name.into()
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

/// Whether it is ASCII in which nothing has to be escaped, neither here nor in JSON. Looks at 16
/// bytes at once, for which compilers have instructions.
#[must_use]
pub fn is_plain(bytes: &[u8]) -> bool {
    let is_odd = |chunk: &[u8; 16]| {
        chunk.iter().fold(false, |odd, byte| {
            odd | !matches!(byte, b' '..=b'~') | (*byte == b'"') | (*byte == b'\\')
        })
    };
    let (chunks, rest) = bytes.as_chunks();
    let mut last = [b' '; 16];
    last[..rest.len()].copy_from_slice(rest);
    !chunks.iter().any(is_odd) && !is_odd(&last)
}

/// Bytes of a name as text: invalid UTF-8 and control characters as `\xNN`, so that
/// no name can steer a terminal or break a line.
#[must_use]
pub fn escape(bytes: &[u8]) -> String {
    escaped(bytes).into_owned()
}

/// The same, for where there may be a million of them.
#[must_use]
pub fn escaped(bytes: &[u8]) -> Cow<'_, str> {
    // Almost all are.
    if is_plain(bytes)
        && let Ok(text) = str::from_utf8(bytes)
    {
        return text.into();
    }
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
    text.into()
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
    fn what_is_odd_is_found_wherever_it_is() {
        for len in 0..40 {
            let plain = vec![b'x'; len];
            assert!(is_plain(&plain));
            for (at, odd) in (0..len).flat_map(|at| b"\"\\\x1f\x7f\x80\xff".map(|odd| (at, odd))) {
                let mut bytes = plain.clone();
                bytes[at] = odd;
                assert!(!is_plain(&bytes), "{odd:#x} at {at} of {len}");
            }
        }
        assert!(is_plain(b" ~!#[]"));
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
