//! The filters that user space applies: path, command name, open path.
//! (Mount and process are filtered in the kernel.)

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use crate::{row::Row, trace::PathWord};

/// Which rows are shown. An empty list lets everything through.
#[derive(Debug, Default)]
pub struct Filter {
    paths: Option<GlobSet>,
    comms: Vec<String>,
    open_paths: Vec<PathWord>,
}

impl Filter {
    /// Globs match the path below the mount, or the whole path if they begin with `/`;
    /// `*` stays within a component, `**` does not.
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
            comms,
            open_paths,
        })
    }

    /// Whether the row is shown.
    #[must_use]
    pub fn lets(&self, row: &Row) -> bool {
        (self.comms.is_empty() || self.comms.contains(&row.comm))
            && (self.open_paths.is_empty() || self.open_paths.contains(&row.open_path))
            && self.paths.as_ref().is_none_or(|paths| {
                row.path
                    .as_ref()
                    .is_some_and(|path| paths.is_match(path) || paths.is_match(row.full_path()))
            })
    }
}
