//! `nfs-trace trace --top`: the rows of a trace as a picture that changes, not as lines.
//!
//! ```text
//! Row -> feed.rs (a renderer) -> model.rs -> draw.rs -> screen.rs -> terminal.rs
//!                        keys.rs -> model.rs             (tokio)      (restores it)
//! ```
//!
//! `model`, `keys` and `draw` are pure: rows, ticks and keys in, cells out.

pub mod draw;
pub mod feed;
pub mod keys;
pub mod model;
pub mod names;
pub mod screen;
pub mod terminal;
#[cfg(test)]
mod testing;

use std::{cell::RefCell, rc::Rc};

pub use self::{feed::Feed, model::Model, screen::Screen};

/// The model, which rows come to from one side and keys from the other.
pub type Shared = Rc<RefCell<Model>>;
