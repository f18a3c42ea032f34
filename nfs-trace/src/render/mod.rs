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
    /// What was counted up to here, now and then while a trace runs.
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

/// Several at once. All get everything, whichever fails; the first failure is told.
pub struct Tee(pub Vec<Box<dyn Render>>);

impl Tee {
    fn each(&mut self, tell: impl FnMut(&mut Box<dyn Render>) -> io::Result<()>) -> io::Result<()> {
        self.0.iter_mut().map(tell).fold(Ok(()), io::Result::and)
    }
}

impl Render for Tee {
    fn start(&mut self, session: &Session) -> io::Result<()> {
        self.each(|it| it.start(session))
    }

    fn row(&mut self, row: &Row) -> io::Result<()> {
        self.each(|it| it.row(row))
    }

    fn notice(&mut self, notice: &Notice<'_>) -> io::Result<()> {
        self.each(|it| it.notice(notice))
    }

    fn counts(&mut self, summary: &Summary) -> io::Result<()> {
        self.each(|it| it.counts(summary))
    }

    fn end(&mut self, summary: &Summary) -> io::Result<()> {
        self.each(|it| it.end(summary))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.each(|it| it.flush())
    }
}
