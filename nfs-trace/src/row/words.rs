//! Numbers that a row shows as words. They become words only where they are printed.

use std::fmt;

/// A super block's number (s_dev), shown as `major:minor`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Device(pub u32);

impl Device {
    /// Its two parts.
    #[must_use]
    pub fn major_minor(self) -> (u32, u32) {
        (self.0 >> 20, self.0 & 0xf_ffff)
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (major, minor) = self.major_minor();
        write!(f, "{major}:{minor}")
    }
}

/// O_* flags of x86-64 (include/uapi/asm-generic/fcntl.h), shown as `O_RDWR|O_CREAT`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct OpenFlags(pub u32);

impl OpenFlags {
    /// The names, and the bits that have none.
    pub fn names(self) -> (impl Iterator<Item = &'static str>, u32) {
        const NAMES: &[(u32, &str)] = &[
            (0o100, "O_CREAT"),
            (0o200, "O_EXCL"),
            (0o400, "O_NOCTTY"),
            (0o1000, "O_TRUNC"),
            (0o2000, "O_APPEND"),
            (0o4000, "O_NONBLOCK"),
            (0o10_000, "O_DSYNC"),
            (0o40_000, "O_DIRECT"),
            (0o200_000, "O_DIRECTORY"),
            (0o400_000, "O_NOFOLLOW"),
            (0o1_000_000, "O_NOATIME"),
            (0o2_000_000, "O_CLOEXEC"),
            (0o4_000_000, "__O_SYNC"),
            (0o10_000_000, "O_PATH"),
            (0o20_000_000, "__O_TMPFILE"),
        ];
        /// Always set by 64-bit callers: says nothing.
        const LARGEFILE: u32 = 0o100_000;
        let mode = match self.0 & 3 {
            0 => "O_RDONLY",
            1 => "O_WRONLY",
            2 => "O_RDWR",
            _ => "O_ACCMODE",
        };
        let bits = self.0 & !(3 | LARGEFILE);
        let known = NAMES.iter().fold(0, |all, (bit, _)| all | bit);
        let names = NAMES.iter().filter(move |(bit, _)| bits & bit != 0);
        // Most opens set none of them.
        let names = (bits & known != 0).then_some(names).into_iter().flatten();
        let names = std::iter::once(mode).chain(names.map(|(_, name)| *name));
        (names, bits & !known)
    }
}

impl fmt::Display for OpenFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (names, rest) = self.names();
        for (number, name) in names.enumerate() {
            let between = if number > 0 { "|" } else { "" };
            write!(f, "{between}{name}")?;
        }
        if rest != 0 {
            write!(f, "|{rest:#o}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_spelled_out() {
        let shown = |flags| OpenFlags(flags).to_string();
        assert_eq!(shown(0), "O_RDONLY");
        assert_eq!(shown(0o100_102), "O_RDWR|O_CREAT");
        assert_eq!(shown(0o1001), "O_WRONLY|O_TRUNC");
        assert_eq!(shown(0o2_200_003), "O_ACCMODE|O_DIRECTORY|O_CLOEXEC");
        assert_eq!(shown(1 << 31), "O_RDONLY|0o20000000000");
    }

    #[test]
    fn a_device_is_major_and_minor() {
        assert_eq!(Device(8 << 20 | 17).to_string(), "8:17");
    }
}
