//! Rows to text or JSON. A renderer decides nothing: it prints what the row says.

pub mod footer;
pub mod header;
pub mod json;
pub mod text;

use std::io;

use crate::{notice::Notice, row::Row, session::Session, summary::Summary};

/// One output format. Rows go to stdout; `note` is for people and goes to stderr.
pub trait Render {
    /// Before the first row.
    ///
    /// # Errors
    /// If it cannot be written.
    fn start(&mut self, session: &Session) -> io::Result<()>;
    /// One row.
    ///
    /// # Errors
    /// If it cannot be written.
    fn row(&mut self, row: &Row) -> io::Result<()>;
    /// Between rows.
    ///
    /// # Errors
    /// If it cannot be written.
    fn notice(&mut self, notice: &Notice<'_>) -> io::Result<()>;
    /// Whether it wants to know now what was counted.
    fn wants_counts(&self) -> bool {
        false
    }
    /// What was seen, counted and lost up to here.
    ///
    /// # Errors
    /// If it cannot be written.
    fn counts(&mut self, _summary: &Summary) -> io::Result<()> {
        Ok(())
    }
    /// After the last row.
    ///
    /// # Errors
    /// If it cannot be written.
    fn end(&mut self, summary: &Summary) -> io::Result<()>;
    /// Pushes out what is buffered.
    ///
    /// # Errors
    /// If it cannot be written.
    fn flush(&mut self) -> io::Result<()>;
}
