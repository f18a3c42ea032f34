//! The bytes around a recording's content: how a file begins, and the frame of a block. Pure.
//! docs/format.md says the same for those who write a reader of their own.

use lz4_flex::block::{compress, decompress_into};
use zerocopy::{
    FromBytes, Immutable, IntoBytes, KnownLayout,
    little_endian::{U16, U32},
};

use super::delta;

/// The first bytes of every recording. Not text, and a transfer that changes line ends breaks it.
pub const MAGIC: [u8; 8] = *b"\x89NFST\r\n\x1a";
/// Raised when an older reader would get something wrong.
pub const MAJOR: u16 = 2;
/// The first that is read: it has no [`Codec::Delta`].
pub const FIRST_MAJOR: u16 = 1;
/// Raised when there is something that an older reader may skip.
pub const MINOR: u16 = 0;
/// [`Prologue::byte_order`], in the byte order of the records.
pub const BYTE_ORDER: u32 = 0x0102_0304;
/// Begins every block, so that the next one can be found behind damage.
pub const MARKER: [u8; 4] = *b"\xf5NFB";
/// No block has more bytes, packed or not: what a reader has to have room for.
pub const LARGEST: usize = 1 << 24;

/// How a file begins. 16 bytes.
#[repr(C)]
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct Prologue {
    /// [`MAGIC`].
    pub magic: [u8; 8],
    /// [`MAJOR`].
    pub major: U16,
    /// [`MINOR`].
    pub minor: U16,
    /// [`BYTE_ORDER`], as the machine that recorded writes it.
    pub byte_order: [u8; 4],
}

impl Prologue {
    /// That of a file written here.
    #[must_use]
    pub fn new() -> Self {
        Self {
            magic: MAGIC,
            major: MAJOR.into(),
            minor: MINOR.into(),
            byte_order: BYTE_ORDER.to_ne_bytes(),
        }
    }
}

impl Default for Prologue {
    fn default() -> Self {
        Self::new()
    }
}

/// Begins a block. 32 bytes, then `stored` bytes.
#[repr(C)]
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct Frame {
    /// [`MARKER`].
    pub marker: [u8; 4],
    /// A [`Kind`].
    pub kind: u8,
    /// A [`Codec`].
    pub codec: u8,
    /// 0.
    pub reserved: U16,
    /// Counts the file's blocks, from 0.
    pub number: U32,
    /// Records in the block: how many are missing where it is damaged.
    pub records: U32,
    /// Bytes that follow.
    pub stored: U32,
    /// Bytes that they stand for.
    pub plain: U32,
    /// CRC-32 of the bytes that follow.
    pub content_crc: U32,
    /// CRC-32 of the 28 bytes before.
    pub frame_crc: U32,
}

/// Bytes of a [`Prologue`].
pub const PROLOGUE: usize = size_of::<Prologue>();
/// Bytes of a [`Frame`].
pub const FRAME: usize = size_of::<Frame>();
const CHECKED: usize = FRAME - size_of::<U32>();

const _: () = assert!(PROLOGUE == 16 && FRAME == 32);

/// What a block holds. A reader skips kinds that it does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// [`super::Header`] as JSON; the first block, and only that.
    Header = 1,
    /// Records, each behind its length (u16, little endian).
    Records = 2,
    /// What was known when a later part of a recording began: records of names.
    Known = 3,
    /// [`crate::summary::KernelCounts`] as JSON: the client's modules were unloaded here.
    Interruption = 4,
    /// [`super::Resumption`] as JSON: they are back.
    Resumption = 5,
    /// [`super::Remark`] as JSON.
    Remark = 6,
    /// The NFSv4 mounts as they are from here on, as JSON.
    Mounts = 7,
    /// [`super::Stack`] as JSON.
    Stack = 8,
    /// [`crate::summary::KernelCounts`] as JSON: what was counted up to here.
    Counts = 9,
    /// [`super::Footer`] as JSON; the last block.
    Footer = 10,
}

impl Kind {
    /// The kind with this number, if there is one.
    #[must_use]
    pub fn from_u8(kind: u8) -> Option<Self> {
        Some(match kind {
            1 => Self::Header,
            2 => Self::Records,
            3 => Self::Known,
            4 => Self::Interruption,
            5 => Self::Resumption,
            6 => Self::Remark,
            7 => Self::Mounts,
            8 => Self::Stack,
            9 => Self::Counts,
            10 => Self::Footer,
            _ => return None,
        })
    }
}

/// How a block's bytes are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Codec {
    /// They are as they are.
    Plain = 0,
    /// An LZ4 block without its own header.
    Lz4 = 1,
    /// Records alone, each as what sets it apart from those before it.
    Delta = 2,
}

impl Frame {
    /// A frame that says what is true of the bytes that follow it.
    #[must_use]
    pub fn seal(
        kind: u8,
        codec: Codec,
        number: u32,
        records: u32,
        plain: u32,
        stored: &[u8],
    ) -> Self {
        let mut frame = Self {
            marker: MARKER,
            kind,
            codec: codec as u8,
            reserved: 0.into(),
            number: number.into(),
            records: records.into(),
            stored: u32::try_from(stored.len()).unwrap_or(u32::MAX).into(),
            plain: plain.into(),
            content_crc: crc32fast::hash(stored).into(),
            frame_crc: 0.into(),
        };
        frame.frame_crc = crc32fast::hash(&frame.as_bytes()[..CHECKED]).into();
        frame
    }

    /// The frame that these bytes begin with, if they are one.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let (frame, _) = Self::read_from_prefix(bytes).ok()?;
        let crc = crc32fast::hash(&bytes[..CHECKED]);
        (frame.marker == MARKER && frame.frame_crc.get() == crc).then_some(frame)
    }

    /// Whether these are the bytes that it was made for.
    ///
    /// # Errors
    /// If not.
    pub fn check(&self, stored: &[u8]) -> Result<(), &'static str> {
        if crc32fast::hash(stored) == self.content_crc.get() {
            Ok(())
        } else {
            Err("its checksum is wrong")
        }
    }

    /// Puts into `content` what its bytes stand for.
    ///
    /// # Errors
    /// If they are not what the frame says.
    pub fn unpack(&self, stored: &[u8], content: &mut Vec<u8>) -> Result<(), &'static str> {
        let plain = self.plain.get() as usize;
        content.clear();
        if self.codec == Codec::Lz4 as u8 {
            // Before there is room made for it: a byte of LZ4 stands for 255 at most.
            if plain > stored.len().saturating_mul(255) {
                return Err("it cannot unpack to what it claims");
            }
            content.resize(plain, 0);
            match decompress_into(stored, content) {
                Ok(len) if len == plain => Ok(()),
                _ => Err("it does not unpack"),
            }
        } else if self.codec == Codec::Delta as u8 {
            delta::decode(stored, plain, content)
        } else if self.codec != Codec::Plain as u8 {
            Err("it is packed in an unknown way")
        } else if plain != stored.len() {
            Err("its lengths differ")
        } else {
            content.extend_from_slice(stored);
            Ok(())
        }
    }
}

/// Packs where that makes it smaller. Returns how, and the bytes to store.
#[must_use]
pub fn pack(plain: Vec<u8>) -> (Codec, Vec<u8>) {
    // What is small is not worth it, and can be read by eye.
    const SMALL: usize = 256;
    if plain.len() < SMALL {
        return (Codec::Plain, plain);
    }
    let packed = compress(&plain);
    if packed.len() < plain.len() {
        (Codec::Lz4, packed)
    } else {
        (Codec::Plain, plain)
    }
}
