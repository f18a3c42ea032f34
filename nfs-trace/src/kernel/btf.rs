//! Reads BTF, that of vmlinux and the split BTF of modules: member offsets, and the
//! names and positions of arguments. aya reads vmlinux only, and btf-rs is LGPL.
//!
//! Format: Documentation/bpf/btf.rst. Split BTF goes on where its base ends, in type
//! ids and in string offsets. Damaged input is an error, never a panic.

use std::ffi::CStr;

use thiserror::Error;

const MAGIC: u16 = 0xeb9f;
/// Longest chain of typedefs and qualifiers that is followed.
const MAX_CHAIN: usize = 32;

/// Why some bytes are no BTF.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum BtfError {
    /// They do not begin with the magic number.
    #[error("not BTF (it begins with {0:#06x})")]
    Magic(u16),
    /// They are BTF of a machine with the other byte order.
    #[error("BTF of a machine with the other byte order")]
    ByteOrder,
    /// A section or a type reaches beyond the end.
    #[error("BTF is cut short or damaged at byte {0}")]
    Damaged(usize),
    /// A kind of type that is not known, so its size is not either.
    #[error("BTF has a type of unknown kind {0}")]
    Kind(u32),
}

/// BTF_KIND_* (include/uapi/linux/btf.h).
mod kind {
    pub(super) const INT: u32 = 1;
    pub(super) const PTR: u32 = 2;
    pub(super) const ARRAY: u32 = 3;
    pub(super) const STRUCT: u32 = 4;
    pub(super) const UNION: u32 = 5;
    pub(super) const ENUM: u32 = 6;
    pub(super) const FWD: u32 = 7;
    pub(super) const TYPEDEF: u32 = 8;
    pub(super) const VOLATILE: u32 = 9;
    pub(super) const CONST: u32 = 10;
    pub(super) const RESTRICT: u32 = 11;
    pub(super) const FUNC: u32 = 12;
    pub(super) const FUNC_PROTO: u32 = 13;
    pub(super) const VAR: u32 = 14;
    pub(super) const DATASEC: u32 = 15;
    pub(super) const FLOAT: u32 = 16;
    pub(super) const DECL_TAG: u32 = 17;
    pub(super) const TYPE_TAG: u32 = 18;
    pub(super) const ENUM64: u32 = 19;
}

/// One type: where it lies, and its fixed part.
#[derive(Debug, Clone, Copy)]
struct Type {
    name: u32,
    kind: u32,
    /// Number of members, parameters, ...
    vlen: usize,
    /// bitfield offsets are packed with sizes
    kind_flag: bool,
    /// Size in bytes, or the type that it refers to.
    size_or_type: u32,
    /// Offset of what follows the fixed part.
    tail: usize,
}

/// Parsed BTF: an index over the bytes.
#[derive(Debug)]
pub struct Btf<'a> {
    bytes: Vec<u8>,
    base: Option<&'a Btf<'a>>,
    types: Vec<Type>,
    strings: (usize, usize),
}

impl<'a> Btf<'a> {
    /// Parses BTF that stands alone, as /sys/kernel/btf/vmlinux does.
    ///
    /// # Errors
    /// [`BtfError`] if it is damaged.
    pub fn parse(bytes: Vec<u8>) -> Result<Self, BtfError> {
        Self::parse_on(bytes, None)
    }

    /// Whether these bytes are BTF that stands alone: only there the strings begin with the
    /// empty one.
    ///
    /// # Errors
    /// [`BtfError`] if they are damaged.
    pub fn stands_alone(bytes: &[u8]) -> Result<bool, BtfError> {
        let (start, end) = section(bytes, 16)?;
        Ok(bytes[start..end].first() == Some(&0))
    }

    /// Parses split BTF, as /sys/kernel/btf/MODULE is, on top of its base.
    ///
    /// # Errors
    /// [`BtfError`] if it is damaged.
    pub fn parse_split(bytes: Vec<u8>, base: &'a Btf<'a>) -> Result<Self, BtfError> {
        Self::parse_on(bytes, Some(base))
    }

    fn parse_on(bytes: Vec<u8>, base: Option<&'a Btf<'a>>) -> Result<Self, BtfError> {
        let (mut at, end) = section(&bytes, 8)?;
        let strings = section(&bytes, 16)?;
        let mut types = Vec::with_capacity((end - at) / 20);
        while at < end {
            let info = word(&bytes, at + 4)?;
            let item = Type {
                name: word(&bytes, at)?,
                kind: info >> 24 & 0x1f,
                vlen: (info & 0xffff) as usize,
                kind_flag: info >> 31 != 0,
                size_or_type: word(&bytes, at + 8)?,
                tail: at + 12,
            };
            at = item.tail + tail_size(item)?;
            if at > end {
                return Err(BtfError::Damaged(item.tail));
            }
            types.push(item);
        }
        Ok(Self {
            bytes,
            base,
            types,
            strings,
        })
    }

    /// Ids below this one belong to the base; id 0 is void.
    fn first_id(&self) -> usize {
        self.base
            .map_or(1, |base| base.first_id() + base.types.len())
    }

    /// The type with this id and the part of the BTF that holds it.
    fn get(&self, id: u32) -> Option<(&Btf<'a>, Type)> {
        let first = self.first_id();
        match (id as usize).checked_sub(first) {
            Some(index) => self.types.get(index).map(|item| (self, *item)),
            None => self.base?.get(id),
        }
    }

    fn strings_end(&self) -> usize {
        self.base.map_or(0, Btf::strings_end) + (self.strings.1 - self.strings.0)
    }

    /// The strings from this offset on, to the end of the part that holds it.
    fn strings_at(&self, offset: u32) -> Option<&[u8]> {
        let below = self.base.map_or(0, Btf::strings_end);
        match (offset as usize).checked_sub(below) {
            Some(own) => self.bytes[self.strings.0..self.strings.1].get(own..),
            None => self.base?.strings_at(offset),
        }
    }

    /// Whether the string at this offset is `text`.
    fn is(&self, offset: u32, text: &str) -> bool {
        let rest = self
            .strings_at(offset)
            .and_then(|found| found.strip_prefix(text.as_bytes()));
        rest.is_some_and(|rest| rest.first() == Some(&0))
    }

    /// The string at this offset.
    fn string(&self, offset: u32) -> Option<String> {
        let found = CStr::from_bytes_until_nul(self.strings_at(offset)?).ok()?;
        Some(found.to_string_lossy().into_owned())
    }

    /// The types of one kind and name, own ones first. Modules of 6.18 and 7.3 hold
    /// copies of base types, so there may be several.
    fn named(&self, kind: u32, name: &str) -> Option<(&Btf<'a>, Type)> {
        let own = self
            .types
            .iter()
            .find(|item| item.kind == kind && self.is(item.name, name));
        match own {
            Some(item) => Some((self, *item)),
            None => self.base?.named(kind, name),
        }
    }

    /// Byte offset of a member, `path` going through members and anonymous structs:
    /// `member_offset("file", "f_path.dentry")`. Nothing if it is not there or is a
    /// bit field.
    #[must_use]
    pub fn member_offset(&self, structure: &str, path: &str) -> Option<u32> {
        let (mut home, mut item) = self.named(kind::STRUCT, structure)?;
        let mut offset = 0;
        for name in path.split('.') {
            let (bits, id) = home.member_bits(item, name, 0)?;
            offset += bits;
            if let Some((next_home, next)) = self.resolve(id) {
                (home, item) = (next_home, next);
            }
        }
        (offset % 8 == 0).then_some(offset / 8)
    }

    /// Bit offset and type id of a member, searched through anonymous ones too.
    fn member_bits(&self, item: Type, name: &str, depth: usize) -> Option<(u32, u32)> {
        if item.kind != kind::STRUCT && item.kind != kind::UNION || depth > MAX_CHAIN {
            return None;
        }
        for index in 0..item.vlen {
            let at = item.tail + index * 12;
            let member = word(&self.bytes, at).ok()?;
            let id = word(&self.bytes, at + 4).ok()?;
            let raw = word(&self.bytes, at + 8).ok()?;
            let bits = if item.kind_flag { raw & 0xff_ffff } else { raw };
            if self.is(member, name) {
                return (!item.kind_flag || raw >> 24 == 0).then_some((bits, id));
            }
            if self.is(member, "")
                && let Some((home, inner)) = self.resolve(id)
                && let Some((inner_bits, inner_id)) = home.member_bits(inner, name, depth + 1)
            {
                return Some((bits + inner_bits, inner_id));
            }
        }
        None
    }

    /// Follows typedefs and qualifiers.
    fn resolve(&self, mut id: u32) -> Option<(&Btf<'a>, Type)> {
        for _ in 0..MAX_CHAIN {
            let (home, item) = self.get(id)?;
            match item.kind {
                kind::TYPEDEF | kind::VOLATILE | kind::CONST | kind::RESTRICT | kind::TYPE_TAG => {
                    id = item.size_or_type;
                }
                _ => return Some((home, item)),
            }
        }
        None
    }

    /// The prototype of a function.
    fn prototype(&self, function: &str) -> Option<(&Btf<'a>, Type)> {
        let (home, function) = self.named(kind::FUNC, function)?;
        home.get(function.size_or_type)
            .filter(|(_, prototype)| prototype.kind == kind::FUNC_PROTO)
    }

    /// The names of a function's parameters, in order. Nothing if the function is not
    /// there, as where the compiler kept it in parts or in its callers only.
    #[must_use]
    pub fn parameters(&self, function: &str) -> Option<Vec<String>> {
        let (home, prototype) = self.prototype(function)?;
        (0..prototype.vlen)
            .map(|index| home.string(word(&home.bytes, prototype.tail + index * 8).ok()?))
            .collect()
    }

    /// Position of the first parameter of a function that points to this struct.
    #[must_use]
    pub fn pointer_parameter(&self, function: &str, structure: &str) -> Option<u32> {
        let (home, prototype) = self.prototype(function)?;
        (0..prototype.vlen)
            .position(|index| {
                let target = word(&home.bytes, prototype.tail + index * 8 + 4)
                    .ok()
                    .and_then(|id| home.resolve(id))
                    .filter(|(_, item)| item.kind == kind::PTR)
                    .and_then(|(_, item)| home.resolve(item.size_or_type));
                target.is_some_and(|(home, item)| home.is(item.name, structure))
            })
            .and_then(|index| u32::try_from(index).ok())
    }
}

fn tail_size(item: Type) -> Result<usize, BtfError> {
    Ok(match item.kind {
        kind::INT | kind::VAR | kind::DECL_TAG => 4,
        kind::ARRAY => 12,
        kind::STRUCT | kind::UNION | kind::DATASEC | kind::ENUM64 => item.vlen * 12,
        kind::ENUM | kind::FUNC_PROTO => item.vlen * 8,
        kind::PTR
        | kind::FWD
        | kind::TYPEDEF
        | kind::VOLATILE
        | kind::CONST
        | kind::RESTRICT
        | kind::FUNC
        | kind::FLOAT
        | kind::TYPE_TAG => 0,
        other => return Err(BtfError::Kind(other)),
    })
}

/// Begin and end of the section that the header names at `at`: 8 for types, 16 for strings.
fn section(bytes: &[u8], at: usize) -> Result<(usize, usize), BtfError> {
    match u16::from_ne_bytes(array(bytes, 0)?) {
        MAGIC => {}
        magic if magic == MAGIC.swap_bytes() => return Err(BtfError::ByteOrder),
        magic => return Err(BtfError::Magic(magic)),
    }
    let header = word(bytes, 4)? as usize;
    let offset = header.saturating_add(word(bytes, at)? as usize);
    let end = offset.saturating_add(word(bytes, at + 4)? as usize);
    if end > bytes.len() {
        Err(BtfError::Damaged(at))
    } else {
        Ok((offset, end))
    }
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N], BtfError> {
    bytes
        .get(at..)
        .and_then(|rest| rest.first_chunk::<N>())
        .copied()
        .ok_or(BtfError::Damaged(at))
}

fn word(bytes: &[u8], at: usize) -> Result<u32, BtfError> {
    Ok(u32::from_ne_bytes(array(bytes, at)?))
}

#[cfg(test)]
mod tests;
