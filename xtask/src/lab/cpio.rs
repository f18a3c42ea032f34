//! Writes the "newc" cpio archives that the kernel takes as an initramfs
//! (Documentation/driver-api/early-userspace/buffer-format.rst). Several may follow one another.

use std::collections::BTreeSet;

const DIRECTORY: u32 = 0o040_000;
const REGULAR: u32 = 0o100_000;
const SYMLINK: u32 = 0o120_000;
const DEVICE: u32 = 0o020_000;

/// An archive under construction. Parent directories are added as they are needed.
#[derive(Default)]
pub(crate) struct Archive {
    bytes: Vec<u8>,
    entries: u32,
    directories: BTreeSet<String>,
}

impl Archive {
    /// Adds a directory and its parents, once.
    pub(crate) fn directory(&mut self, path: &str) {
        let path = path.trim_matches('/');
        if path.is_empty() || self.directories.contains(path) {
            return;
        }
        self.parents(path);
        self.directories.insert(path.to_owned());
        self.entry(path, DIRECTORY | 0o755, (0, 0), &[]);
    }

    pub(crate) fn file(&mut self, path: &str, permissions: u32, content: &[u8]) {
        self.parents(path);
        self.entry(path, REGULAR | permissions, (0, 0), content);
    }

    pub(crate) fn symlink(&mut self, path: &str, target: &str) {
        self.parents(path);
        self.entry(path, SYMLINK | 0o777, (0, 0), target.as_bytes());
    }

    pub(crate) fn device(&mut self, path: &str, numbers: (u32, u32)) {
        self.parents(path);
        self.entry(path, DEVICE | 0o600, numbers, &[]);
    }

    /// Ends the archive. Padded to what cpio(1) writes, so that another archive can follow.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.entry("TRAILER!!!", 0, (0, 0), &[]);
        self.bytes.resize(self.bytes.len().next_multiple_of(512), 0);
        self.bytes
    }

    fn parents(&mut self, path: &str) {
        if let Some((parent, _)) = path.trim_matches('/').rsplit_once('/') {
            self.directory(parent);
        }
    }

    fn entry(&mut self, path: &str, mode: u32, device: (u32, u32), content: &[u8]) {
        let path = path.trim_matches('/');
        self.entries += 1;
        let links = if mode & DIRECTORY == DIRECTORY { 2 } else { 1 };
        let size = u32::try_from(content.len()).expect("a file of the initramfs is below 4 GiB");
        let name_size = path.len() as u32 + 1;
        // magic, then 13 fields: ino mode uid gid nlink mtime filesize devmajor devminor rdevmajor
        // rdevminor namesize check; times are zero, so that equal content gives equal bytes.
        let fields = [
            self.entries,
            mode,
            0,
            0,
            links,
            0,
            size,
            0,
            0,
            device.0,
            device.1,
            name_size,
            0,
        ];
        self.bytes.extend_from_slice(b"070701");
        for field in fields {
            self.bytes
                .extend_from_slice(format!("{field:08X}").as_bytes());
        }
        self.bytes.extend_from_slice(path.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend_from_slice(content);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes that `echo -n hey > a; echo a | cpio -o -H newc` gives, but for inode and times.
    #[test]
    fn a_file_is_header_name_padding_content_padding() {
        let mut archive = Archive::default();
        archive.file("a", 0o644, b"hey");
        let bytes = archive.finish();
        let expected = "070701\
            00000001000081A40000000000000000000000010000000000000003\
            0000000000000000000000000000000000000002\
            00000000a\0";
        assert_eq!(&bytes[..expected.len()], expected.as_bytes());
        assert_eq!(&bytes[112..116], b"hey\0");
        assert_eq!(&bytes[116..122], b"070701");
        assert!(String::from_utf8_lossy(&bytes).contains("TRAILER!!!\0"));
        assert_eq!(bytes.len() % 512, 0);
    }

    #[test]
    fn parents_come_first_and_once() {
        let mut archive = Archive::default();
        archive.file("/usr/bin/a", 0o755, b"");
        archive.symlink("usr/bin/b", "a");
        let text = String::from_utf8_lossy(&archive.finish()).into_owned();
        let at = |name: &str| text.find(&format!("{name}\0")).unwrap();
        assert!(at("usr") < at("usr/bin") && at("usr/bin") < at("usr/bin/a"));
        assert_eq!(text.matches("usr/bin\0").count(), 1);
    }
}
