//! One recording as `diff` needs it: the answers of each name and program, in order. It takes four
//! bytes an open; beside that it grows with names and different answers, not with opens.

use std::{
    cell::RefCell,
    collections::{BTreeSet, HashMap, HashSet},
    io,
    rc::Rc,
};

use super::answer::Open;
use crate::{
    notice::Notice,
    render::{
        Render,
        footer::{count, losses, unread_words},
    },
    row::Row,
    session::Session,
    summary::{End, Summary, Unread},
};

/// Whose opens are one sequence. Threads of one program that open one name at the same time have
/// no order that would be the same in two runs; different programs are told apart.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// Mount point; nothing if it is not known, or does not matter.
    pub mount: Option<Rc<str>>,
    /// Path below the mount; nothing if it is not known.
    pub path: Option<Rc<str>>,
    /// Command name.
    pub comm: Rc<str>,
}

/// The opens of one [`Key`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sequence {
    /// Whose.
    pub key: Key,
    /// Whether its first open is the first of that name at all.
    pub begins: bool,
    /// Places in [`Answers::all`].
    pub opens: Vec<u32>,
}

/// Every different open of both recordings, once.
#[derive(Debug, Default)]
pub struct Answers {
    /// In the order in which they were found.
    pub all: Vec<Rc<Open>>,
    places: HashMap<Rc<Open>, u32>,
}

impl Answers {
    fn place(&mut self, open: Open) -> u32 {
        if let Some(place) = self.places.get(&open) {
            return *place;
        }
        let place = u32::try_from(self.all.len()).unwrap_or(u32::MAX);
        let open = Rc::new(open);
        self.all.push(Rc::clone(&open));
        self.places.insert(open, place);
        place
    }
}

/// A recording.
#[derive(Debug, Default)]
pub struct Side {
    /// Release of its kernel.
    pub kernel: String,
    /// NFS versions of its opens.
    pub versions: BTreeSet<String>,
    /// In the order of their first opens.
    pub sequences: Vec<Sequence>,
    places: HashMap<Key, usize>,
    /// The names, of no program.
    names: HashSet<Key>,
    /// How it ended; nothing before that.
    pub end: Option<End>,
}

impl Side {
    /// Opens in it.
    #[must_use]
    pub fn opens(&self) -> u64 {
        let lengths = self.sequences.iter().map(|it| it.opens.len() as u64);
        lengths.sum()
    }

    /// Takes a row.
    pub(super) fn add(&mut self, row: &Row, answers: &mut Answers) {
        let key = Key {
            mount: row.mount.as_deref().map(Into::into),
            path: row.path.as_deref().map(Into::into),
            comm: (&*row.comm).into(),
        };
        if let Some(version) = row.nfs_version.as_deref()
            && !self.versions.contains(version)
        {
            self.versions.insert(version.to_owned());
        }
        let place = match self.places.get(&key) {
            Some(place) => *place,
            None => {
                let begins = self.names.insert(Key {
                    comm: "".into(),
                    ..key.clone()
                });
                self.places.insert(key.clone(), self.sequences.len());
                self.sequences.push(Sequence {
                    key,
                    begins,
                    opens: Vec::new(),
                });
                self.sequences.len() - 1
            }
        };
        self.sequences[place]
            .opens
            .push(answers.place(Open::of(row)));
    }

    /// The mount points of its opens.
    #[must_use]
    pub fn mounts(&self) -> BTreeSet<Option<&str>> {
        let keys = self.sequences.iter().map(|it| it.key.mount.as_deref());
        keys.collect()
    }

    /// Why there may be more than is in it, in words; nothing if it is whole.
    #[must_use]
    pub fn doubts(&self) -> Vec<String> {
        let Some(end) = &self.end else {
            return vec!["it could not be read to its end".into()];
        };
        let mut doubts = losses(end.lost);
        let unread = end.unread.unwrap_or(Unread::default());
        doubts.extend(unread_words(unread));
        if end.running_at_end > 0 {
            let calls = count(end.running_at_end, "call was", "calls were");
            doubts.push(format!("{calls} still running at its end"));
        }
        if let Some(reloads) = end.reloads {
            doubts.push(format!(
                "the client's modules were unloaded, and opens in {} ms not seen",
                reloads.unseen_ms
            ));
        }
        let nameless = self.sequences.iter().filter(|it| it.key.path.is_none());
        let nameless: u64 = nameless.map(|it| it.opens.len() as u64).sum();
        if nameless > 0 {
            doubts.push(format!(
                "{} no name: aligned by program and order alone",
                count(nameless, "open has", "opens have")
            ));
        }
        doubts
    }
}

/// Takes the rows of a recording.
pub struct Collector {
    side: Rc<RefCell<Side>>,
    answers: Rc<RefCell<Answers>>,
}

impl Collector {
    /// Into these.
    #[must_use]
    pub fn new(side: Rc<RefCell<Side>>, answers: Rc<RefCell<Answers>>) -> Self {
        Self { side, answers }
    }
}

impl Render for Collector {
    fn start(&mut self, session: &Session) -> io::Result<()> {
        self.side.borrow_mut().kernel.clone_from(&session.kernel);
        Ok(())
    }

    fn row(&mut self, row: &Row) -> io::Result<()> {
        let mut side = self.side.borrow_mut();
        side.add(row, &mut self.answers.borrow_mut());
        Ok(())
    }

    fn notice(&mut self, _notice: &Notice<'_>) -> io::Result<()> {
        Ok(())
    }

    fn end(&mut self, summary: &Summary) -> io::Result<()> {
        self.side.borrow_mut().end = Some(summary.end());
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
