//! How what is opened grows, for `cargo xtask bench --growth`.

use std::str::FromStr;

/// What grows, all else as small as it can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dimension {
    /// Names in one folder, opened in turn.
    Dentries,
    /// Threads that open the same name, after each open the next one's turn.
    Tasks,
    /// Mounts, each with a super block of its own, in turn.
    Mounts,
    /// Components of the path below the mount.
    Depth,
    /// Bytes of the name.
    Name,
}

impl Dimension {
    /// As tables and figures call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Dentries => "dentries",
            Self::Tasks => "tasks",
            Self::Mounts => "mounts",
            Self::Depth => "depth",
            Self::Name => "name",
        }
    }
}

/// What is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// What grows.
    pub dimension: Dimension,
    /// How large it is.
    pub size: usize,
}

impl FromStr for Shape {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        shapes().find(|shape| shape.name() == text).ok_or_else(|| {
            let all: Vec<_> = shapes().map(|shape| shape.name()).collect();
            format!("no such growth: use {}", all.join(", "))
        })
    }
}

impl Shape {
    /// `dentries=10`
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}={}", self.dimension.name(), self.size)
    }
}

/// The sizes of each, smallest first.
pub const SIZES: &[(Dimension, &[usize])] = &[
    (Dimension::Tasks, &[1, 4, 16, 64]),
    (Dimension::Mounts, &[1, 2, 4, 8]),
    (Dimension::Depth, &[1, 2, 8, 32]),
    (Dimension::Name, &[1, 16, 64, 255]),
    (Dimension::Dentries, &[1, 10, 1_000, 100_000]),
];

/// All of them, in the order in which they are measured.
pub fn shapes() -> impl Iterator<Item = Shape> {
    SIZES.iter().flat_map(|(dimension, sizes)| {
        sizes.iter().map(|size| Shape {
            dimension: *dimension,
            size: *size,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_is_known_by_its_name() {
        for shape in shapes() {
            assert_eq!(shape.name().parse(), Ok(shape));
        }
        assert!("depth=3".parse::<Shape>().is_err());
    }
}
