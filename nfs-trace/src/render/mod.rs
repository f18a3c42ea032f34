//! Rows to text or JSON. A renderer decides nothing: it prints what the row says.

pub mod footer;
pub mod header;
pub mod json;
pub mod text;

use std::io;

use crate::{
    mounts::Mount, notice::Notice, row::Row, session::Session, summary::Summary, trace::OpenPath,
};

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
    /// One open path that is shown, with its row and its mount, for what needs more than a row.
    ///
    /// # Errors
    /// If it cannot be written.
    fn path(&mut self, _path: &OpenPath, row: &Row, _mount: Option<&Mount>) -> io::Result<()> {
        self.row(row)
    }
    /// One that the filters leave out. It may still tell something of those that are shown.
    fn hidden(&mut self, _path: &OpenPath, _row: &Row, _mount: Option<&Mount>) {}
    /// Between rows.
    ///
    /// # Errors
    /// If it cannot be written.
    fn notice(&mut self, notice: &Notice<'_>) -> io::Result<()>;
    /// Whether it wants to know now what was counted.
    fn wants_counts(&self) -> bool {
        false
    }
    /// What was seen, counted and lost up to here, now and then while a trace runs.
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

    fn path(&mut self, path: &OpenPath, row: &Row, mount: Option<&Mount>) -> io::Result<()> {
        self.each(|it| it.path(path, row, mount))
    }

    fn hidden(&mut self, path: &OpenPath, row: &Row, mount: Option<&Mount>) {
        for render in &mut self.0 {
            render.hidden(path, row, mount);
        }
    }

    fn notice(&mut self, notice: &Notice<'_>) -> io::Result<()> {
        self.each(|it| it.notice(notice))
    }

    fn wants_counts(&self) -> bool {
        self.0.iter().any(|it| it.wants_counts())
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
