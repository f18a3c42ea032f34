//! `check --explain`: what goes wrong, on one page, for somebody new to NFS.

/// The page. Plain text, at most 80 columns, ends with a newline.
pub const PAGE: &str = include_str!("explain.txt");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{evidence::FixLevel, release};

    #[test]
    fn it_is_one_page() {
        assert!(PAGE.lines().count() <= 60);
        for line in PAGE.lines() {
            assert!(line.is_ascii() && line.len() <= 80, "{line}");
            assert_eq!(line, line.trim_end());
        }
        assert!(PAGE.ends_with(".\n"));
    }

    #[test]
    fn every_fix_level_is_explained_by_its_word() {
        for level in [FixLevel::None, FixLevel::Be189f7e, FixLevel::Full] {
            let word = level.word();
            let starts = |line: &str| line.trim_start().starts_with(&format!("{word}  "));
            assert!(PAGE.lines().any(starts), "{word}");
        }
    }

    /// The versions it names as fixed are those of the table, to the number.
    #[test]
    fn its_versions_are_those_of_the_table() {
        let level = |version: &str| release::look(version, "", &release::Os::default()).fix_level;
        let (_, after) = PAGE.split_once("three patches, in Linux ").unwrap();
        let line = after.lines().next().unwrap();
        let versions: Vec<_> = line.split([',', ' ']).filter(|w| w.contains('.')).collect();
        assert_eq!(versions.len(), 3, "{line}");
        for version in versions {
            assert_eq!(level(version), Some(FixLevel::Full), "{version}");
            let numbers: Vec<u32> = version.split('.').map(|n| n.parse().unwrap()).collect();
            let (last, rest) = numbers.split_last().unwrap();
            let rest: String = rest.iter().map(|n| format!("{n}.")).collect();
            let before = format!("{rest}{}", last - 1);
            assert_eq!(level(&before), Some(FixLevel::None), "{before}");
        }
    }
}
