//! The filters that user space applies: path, command name, open path; in a replay the process
//! too, which a trace filters in the kernel.

use std::{ffi::OsStr, os::unix::ffi::OsStrExt as _};

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use crate::{
    names::{escape, unescape},
    row::Row,
    trace::PathWord,
};

/// Which rows are shown. An empty list lets everything through.
#[derive(Debug, Default)]
pub struct Filter {
    paths: Option<GlobSet>,
    comms: Vec<String>,
    open_paths: Vec<PathWord>,
    pids: Vec<u32>,
}

impl Filter {
    /// Globs match the path below the mount, or the whole path if they begin with `/`;
    /// `*` stays within a component, `**` does not. Globs and names are compared as the file
    /// system has them, not as they are shown.
    ///
    /// # Errors
    /// If a glob is malformed.
    pub fn new(
        globs: &[String],
        comms: Vec<String>,
        open_paths: Vec<PathWord>,
    ) -> Result<Self, globset::Error> {
        let mut set = GlobSetBuilder::new();
        for glob in globs {
            set.add(GlobBuilder::new(glob).literal_separator(true).build()?);
        }
        let paths = if globs.is_empty() {
            None
        } else {
            Some(set.build()?)
        };
        Ok(Self {
            paths,
            comms: comms
                .into_iter()
                .map(|comm| escape(comm.as_bytes()))
                .collect(),
            open_paths,
            pids: Vec::new(),
        })
    }

    /// Of these processes only; with none, of all.
    #[must_use]
    pub fn of(self, pids: Vec<u32>) -> Self {
        Self { pids, ..self }
    }

    /// Whether the row is shown.
    #[must_use]
    pub fn lets(&self, row: &Row) -> bool {
        (self.comms.is_empty() || self.comms.iter().any(|comm| *comm == row.comm))
            && (self.pids.is_empty() || self.pids.contains(&row.pid))
            && (self.open_paths.is_empty() || self.open_paths.contains(&row.open_path))
            && self.paths.as_ref().is_none_or(|paths| {
                let matches = |shown: &str| paths.is_match(OsStr::from_bytes(&unescape(shown)));
                row.path
                    .as_ref()
                    .is_some_and(|path| matches(path) || matches(&row.full_path()))
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(path: &str) -> Row<'_> {
        Row {
            comm: "git".into(),
            path: Some(path.into()),
            ..crate::testing::row()
        }
    }

    fn lets(glob: &str, path: &str) -> bool {
        Filter::new(&[glob.into()], vec![], vec![])
            .unwrap()
            .lets(&row(path))
    }

    #[test]
    fn globs_are_below_the_mount_or_from_the_root() {
        assert!(lets("a/*.txt", "a/b.txt"));
        assert!(!lets("a/*.txt", "a/b/c.txt"), "* stays within a component");
        assert!(lets("**/packed-refs", "x/.git/packed-refs"));
        assert!(lets("**/packed-refs", "packed-refs"));
        assert!(lets("/mnt/a/*", "a/b"));
        assert!(!lets("/other/**", "a/b"));
        assert!(!lets("a", "a/b"));
    }

    #[test]
    fn names_are_matched_as_they_are_not_as_they_are_shown() {
        let lets = |glob, name: &[u8]| lets(glob, &escape(name));
        assert!(lets("a\nb", b"a\nb") && lets("a?b", b"a\nb"));
        assert!(!lets("a\nb", b"a\\x0ab"), "that is another one");
        assert!(lets(r"a\\x0ab", b"a\\x0ab") && !lets(r"a\\x0ab", b"a\nb"));
        assert!(lets("\u{202e}*", "\u{202e}x".as_bytes()));
        assert!(lets("a?b", b"a\xffb"));
        let comm = "a\n\\".to_owned();
        let filter = Filter::new(&[], vec![comm.clone()], vec![]).unwrap();
        let of = |comm: String| Row {
            comm: comm.into(),
            ..row("x")
        };
        assert!(filter.lets(&of(escape(comm.as_bytes()))) && !filter.lets(&of(comm)));
    }

    #[test]
    fn a_name_that_is_not_known_matches_no_glob() {
        let filter = Filter::new(&["**".into()], vec![], vec![]).unwrap();
        assert!(!filter.lets(&Row {
            path: None,
            ..row("x")
        }));
        assert!(Filter::default().lets(&Row {
            path: None,
            ..row("x")
        }));
    }

    #[test]
    fn every_filter_has_to_agree() {
        let filter = |comm: &str, word| {
            Filter::new(&[], vec![comm.into()], vec![word])
                .unwrap()
                .lets(&row("x"))
        };
        assert!(filter("git", PathWord::Wire));
        assert!(!filter("cat", PathWord::Wire));
        assert!(!filter("git", PathWord::Cached));
    }

    #[test]
    fn a_replay_filters_by_process_too() {
        let lets = |pids: &[u32]| Filter::default().of(pids.to_vec()).lets(&row("x"));
        assert!(lets(&[]) && lets(&[2, 1]) && !lets(&[2, 3]));
    }

    #[test]
    fn a_malformed_glob_is_an_error() {
        assert!(Filter::new(&["a[".into()], vec![], vec![]).is_err());
    }
}
