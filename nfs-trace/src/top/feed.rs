//! The renderer that puts rows into the model. What is said between rows comes by way of
//! `diagnostics`, as it does in text.

use std::io;

use super::Shared;
use crate::{
    notice::Notice,
    render::{Render, footer::footer, header::header},
    row::Row,
    session::Session,
    summary::Summary,
};

/// See the module.
pub struct Feed(pub Shared);

impl Render for Feed {
    fn start(&mut self, session: &Session) -> io::Result<()> {
        let mut model = self.0.borrow_mut();
        model.start(session);
        model.say(&header(session));
        Ok(())
    }

    fn row(&mut self, row: &Row) -> io::Result<()> {
        self.0.borrow_mut().row(row);
        Ok(())
    }

    fn notice(&mut self, _: &Notice<'_>) -> io::Result<()> {
        Ok(())
    }

    fn wants_counts(&self) -> bool {
        self.0.borrow().wants_counts
    }

    fn counts(&mut self, summary: &Summary) -> io::Result<()> {
        self.0.borrow_mut().counted(summary);
        Ok(())
    }

    fn end(&mut self, summary: &Summary) -> io::Result<()> {
        self.0.borrow_mut().footer = footer(summary);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
