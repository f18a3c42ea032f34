//! Numbers of the kernel's interfaces in words, and bytes as text that is safe to show.

use std::{borrow::Cow, fmt::Write as _, os::unix::ffi::OsStrExt as _, path::Path};

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
/// bytes at once, for which compilers have instructions, or of a short text at 8.
#[must_use]
pub fn is_plain(bytes: &[u8]) -> bool {
    let is_odd = |chunk: &[u8; 16]| {
        chunk.iter().fold(false, |odd, byte| {
            odd | !matches!(byte, b' '..=b'~') | (*byte == b'"') | (*byte == b'\\')
        })
    };
    // The last ones may be looked at twice.
    let Some(last) = bytes.last_chunk() else {
        return is_plain_and_short(bytes);
    };
    let (chunks, _) = bytes.as_chunks();
    !chunks.iter().any(is_odd) && !is_odd(last)
}

/// The same of fewer than 16 bytes.
#[inline]
fn is_plain_and_short(bytes: &[u8]) -> bool {
    if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
        return odd_ones(u64::from_ne_bytes(*first)) | odd_ones(u64::from_ne_bytes(*last)) == 0;
    }
    let word = match (bytes.first_chunk(), bytes.last_chunk()) {
        (Some(first), Some(last)) => {
            u64::from(u32::from_ne_bytes(*first)) << 32 | u64::from(u32::from_ne_bytes(*last))
        }
        _ => {
            let blanks = u64::from_ne_bytes([b' '; 8]);
            let push = |word, byte: &u8| word << 8 | u64::from(*byte);
            bytes.iter().fold(blanks, push)
        }
    };
    odd_ones(word) == 0
}

/// Not 0 if one of eight bytes is none that [`is_plain`] lets through.
#[inline]
fn odd_ones(word: u64) -> u64 {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGH: u64 = ONES << 7;
    // The upper bit of a byte: whether it is less, or a byte before it was (it borrows from there).
    let less = |word: u64, than: u8| word.wrapping_sub(ONES * u64::from(than)) & !word;
    let is = |byte: u8| less(word ^ (ONES * u64::from(byte)), 1);
    // From DEL on: with one more, or at once.
    let high = word.wrapping_add(ONES) | word;
    (less(word, b' ') | high | is(b'"') | is(b'\\')) & HIGH
}

/// Bytes of a name as text that is safe to show, and differs for every name: what is no UTF-8 and
/// what [`is_obeyed`] as `\xNN`, byte by byte, and a backslash as `\\`. [`unescape`] undoes it.
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
            match character {
                '\\' => text.push_str("\\\\"),
                character => push(&mut text, character),
            }
        }
        push_bytes(&mut text, chunk.invalid());
    }
    text.into()
}

/// The name that [`escape`] made this of.
#[must_use]
pub fn unescape(text: &str) -> Cow<'_, [u8]> {
    if !text.contains('\\') {
        return Cow::Borrowed(text.as_bytes());
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        let digit = |at: usize| char::from(*tail.get(at)?).to_digit(16);
        let (byte, length) = match (byte, tail.first(), digit(1), digit(2)) {
            (b'\\', Some(b'x'), Some(high), Some(low)) => ((high << 4 | low) as u8, 4),
            (b'\\', Some(b'\\'), ..) => (b'\\', 2),
            _ => (byte, 1),
        };
        bytes.push(byte);
        rest = &rest[length..];
    }
    Cow::Owned(bytes)
}

/// A sentence, which names may be in that are escaped already: what [`is_obeyed`] as `\xNN`.
#[must_use]
pub fn tame(text: &str) -> String {
    let mut tamed = String::with_capacity(text.len());
    text.chars()
        .for_each(|character| push(&mut tamed, character));
    tamed
}

/// Whether a terminal or a page may act on it instead of showing it, or show what is around it
/// otherwise: controls, what ends a line or a paragraph, and what turns the direction of text
/// (`Bidi_Control` in Unicode's `PropList.txt`).
#[must_use]
pub const fn is_obeyed(character: char) -> bool {
    matches!(
        character,
        '\0'..='\x1f'
            | '\x7f'..='\u{9f}'
            | '\u{61c}'
            | '\u{200e}'
            | '\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}'
    )
}

fn push(text: &mut String, character: char) {
    if is_obeyed(character) {
        push_bytes(text, character.encode_utf8(&mut [0; 4]).as_bytes());
    } else {
        text.push(character);
    }
}

fn push_bytes(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        let _ = write!(text, "\\x{byte:02x}");
    }
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
        // "txt.exe" that shows as "exe.txt".
        assert_eq!(
            escape("\u{202e}txt.exe\u{2069}\u{2028}".as_bytes()),
            "\\xe2\\x80\\xaetxt.exe\\xe2\\x81\\xa9\\xe2\\x80\\xa8"
        );
    }

    #[test]
    fn every_control_is_obeyed_and_so_is_what_turns_text() {
        let all = || (0..=u32::from(char::MAX)).filter_map(char::from_u32);
        assert!(all().filter(|it| it.is_control()).all(is_obeyed));
        let others: Vec<u32> = all()
            .filter(|it| is_obeyed(*it) && !it.is_control())
            .map(u32::from)
            .collect();
        let [lines, turns] = [vec![0x2028, 0x2029], (0x202a..=0x202e).collect()];
        let isolates = (0x2066..=0x2069).collect();
        let expected = [vec![0x61c, 0x200e, 0x200f], lines, turns, isolates].concat();
        assert_eq!(others, expected);
    }

    #[test]
    fn no_two_names_are_shown_alike() {
        assert_eq!(escape(b"\\x0a"), "\\\\x0a");
        assert_eq!(escape(b"\n"), "\\x0a");
        // All names of up to five of these.
        let alphabet = b"\\x0a\n\xff";
        let mut seen = std::collections::HashSet::new();
        let mut names = vec![Vec::new()];
        for _ in 0..5 {
            let longer = names.iter().flat_map(|name: &Vec<u8>| {
                alphabet
                    .iter()
                    .map(|byte| [name.as_slice(), &[*byte]].concat())
            });
            names = longer.collect();
            for name in &names {
                let shown = escape(name);
                assert_eq!(unescape(&shown), name.as_slice(), "{shown}");
                assert_eq!(tame(&shown), shown, "a sentence keeps it");
                assert!(seen.insert(shown));
            }
        }
    }

    #[test]
    fn what_is_no_escape_stays_as_it_is() {
        for text in ["\\", "a\\", "\\x", "\\x0", "\\xg0", "\\q", "\\x+1"] {
            assert_eq!(unescape(text), text.as_bytes(), "{text}");
        }
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
