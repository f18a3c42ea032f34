//! The renderer that puts rows into the model. What is said between rows comes by way of
//! `diagnostics`, as it does in text.

use std::io;

use super::Shared;
use crate::{
    notice::{Notice, What},
    render::{Render, footer::footer, header::header},
    row::Row,
    session::Session,
    summary::Summary,
};

/// See the module.
pub struct Feed {
    /// What it puts them into.
    pub model: Shared,
    /// All mounts are traced: also those without an open are shown.
    pub every_mount: bool,
}

impl Render for Feed {
    fn start(&mut self, session: &Session) -> io::Result<()> {
        let mut model = self.model.borrow_mut();
        model.start(session);
        if self.every_mount {
            model.list(&session.mounts);
        }
        model.say(&header(session));
        Ok(())
    }

    fn row(&mut self, row: &Row) -> io::Result<()> {
        self.model.borrow_mut().row(row);
        Ok(())
    }

    fn notice(&mut self, notice: &Notice<'_>) -> io::Result<()> {
        self.model.borrow_mut().waits = !matches!(notice.what, What::Attached(_));
        Ok(())
    }

    fn wants_counts(&self) -> bool {
        self.model.borrow().wants_counts
    }

    fn counts(&mut self, summary: &Summary) -> io::Result<()> {
        self.model.borrow_mut().counted(summary);
        Ok(())
    }

    fn end(&mut self, summary: &Summary) -> io::Result<()> {
        self.model.borrow_mut().footer = footer(summary);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
