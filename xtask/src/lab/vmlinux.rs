//! Takes the kernel's ELF file, with its BTF, out of a bootable image.

use std::{fs, path::Path, process::Command};

use anyhow::{Context as _, Result, bail, ensure};

use crate::{cache, exec};

/// First bytes of what can be packed in an image, and what unpacks it.
const FORMATS: [(&[u8], &str, &str); 4] = [
    (b"\xfd7zXZ\0", "xz", "xz-utils"),
    (b"\x28\xb5\x2f\xfd", "zstd", "zstd"),
    (b"\x1f\x8b\x08", "gzip", "gzip"),
    (b"\x02\x21\x4c\x18", "lz4", "lz4"),
];

/// Writes the ELF file of `vmlinuz` to `elf`.
pub(crate) fn extract(vmlinuz: &Path, elf: &Path) -> Result<()> {
    let image = fs::read(vmlinuz).with_context(|| format!("read {}", vmlinuz.display()))?;
    let payload =
        payload(&image).with_context(|| format!("unpack the kernel in {}", vmlinuz.display()))?;
    let format = FORMATS
        .iter()
        .find(|(magic, ..)| payload.starts_with(magic));
    let Some((magic, program, package)) = format else {
        bail!("unpack {}: its packing is unknown", vmlinuz.display());
    };
    exec::require(program, package)?;
    let packed = elf.with_extension("packed");
    cache::write(&packed, without_size(payload, magic))?;
    let unpacked = exec::output_bytes(Command::new(program).arg("-dc").arg(&packed))?;
    ensure!(
        unpacked.starts_with(b"\x7fELF"),
        "find an ELF file in {}",
        vmlinuz.display()
    );
    cache::write(elf, unpacked)?;
    fs::remove_file(&packed).with_context(|| format!("remove {}", packed.display()))
}

/// The packed kernel of an x86 boot image: the boot protocol (2.08 and later) says where it is.
fn payload(image: &[u8]) -> Option<&[u8]> {
    let number = |at: usize| -> Option<usize> {
        let bytes = image.get(at..at + 4)?.try_into().ok()?;
        usize::try_from(u32::from_le_bytes(bytes)).ok()
    };
    if image.get(0x202..0x206)? != b"HdrS" {
        return None;
    }
    let setup_sectors = match *image.get(0x1f1)? {
        0 => 4,
        sectors => usize::from(sectors),
    };
    let start = (setup_sectors + 1) * 512 + number(0x248)?;
    image.get(start..start.checked_add(number(0x24c)?)?)
}

/// The build appends the unpacked size to all but gzip's files, which have it of themselves.
fn without_size<'a>(payload: &'a [u8], magic: &[u8]) -> &'a [u8] {
    match magic.starts_with(b"\x1f\x8b") {
        true => payload,
        false => &payload[..payload.len().saturating_sub(4)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_payload_and_refuses_what_is_no_image() {
        let mut image = vec![0; 0x600];
        image[0x1f1] = 1;
        image[0x202..0x206].copy_from_slice(b"HdrS");
        image[0x248..0x24c].copy_from_slice(&16_u32.to_le_bytes());
        image[0x24c..0x250].copy_from_slice(&8_u32.to_le_bytes());
        image[0x410..0x418].copy_from_slice(b"packed!!");
        assert_eq!(payload(&image), Some(&b"packed!!"[..]));
        image[0x24f] = 0xff;
        assert_eq!(payload(&image), None, "longer than the file");
        assert_eq!(payload(b"MZ"), None);
        assert_eq!(without_size(b"packed!!", b"\xfd7zXZ\0"), b"pack");
    }
}
