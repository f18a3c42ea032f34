//! A name of a directory entry. There may be a hundred thousand of them in a trace, and most are
//! short: those need no memory of their own.

use std::{ops::Deref, sync::Arc};

/// As many bytes as make it no larger than 32.
const SHORT: usize = 30;

/// See the module. Two of the same name are of the same kind, with the same bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Name {
    Short {
        len: u8,
        /// Behind the name, zeroes.
        bytes: [u8; SHORT],
    },
    Long(Arc<[u8]>),
}

impl From<&[u8]> for Name {
    fn from(name: &[u8]) -> Self {
        let mut bytes = [0; SHORT];
        match bytes.get_mut(..name.len()) {
            Some(place) => {
                place.copy_from_slice(name);
                let len = name.len() as u8;
                Self::Short { len, bytes }
            }
            None => Self::Long(name.into()),
        }
    }
}

impl Deref for Name {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Short { len, bytes } => &bytes[..usize::from(*len)],
            Self::Long(name) => name,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_every_length_stay_what_they_are() {
        let bytes: Vec<u8> = (0..=255).collect();
        for len in 0..=bytes.len() {
            let name = Name::from(&bytes[..len]);
            assert_eq!(*name, bytes[..len]);
            assert_eq!(matches!(name, Name::Short { .. }), len <= SHORT);
            assert_eq!(name, Name::from(&bytes[..len]));
            assert!(len == 0 || name != Name::from(&bytes[..len - 1]));
        }
        assert_eq!(size_of::<Name>(), 32);
    }
}
