//! Who held which file open, and which delegations the client had, as far as opens tell. Pure.
//!
//! No close is recorded. But an open is served from the client's open state only while somebody
//! holds the file open in the same mode as the same user (can_open_cached(), fs/nfs/nfs4proc.c):
//! each cached open proves that. Users are not recorded, so which of the opens before it is the
//! one that holds the file is not known if there are several; nor whether it was opened before the
//! recording began.

use std::num::NonZeroUsize;

use lru::LruCache;

use super::model::{Delegation, FEW, Held, Hold, Moment, Opener};
use crate::{
    row::Row,
    trace::{OpenPath, PathWord},
};

/// Files that are watched at a time.
const FILES: NonZeroUsize = NonZeroUsize::new(32_768).expect("not zero");
/// Holds and delegations that are kept, the first ones.
const KEPT: usize = 10_000;
/// include/uapi/asm-generic/fcntl.h
const O_ACCMODE: u32 = 3;

/// One file of one file system in one mode.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    place: Box<[u8]>,
    fileid: u64,
    mode: u32,
}

#[derive(Default)]
struct State {
    path: String,
    /// Opens that were not cached, the last few.
    opens: Vec<Held>,
    opens_more: u64,
    hold: Option<Hold>,
    hold_shown: bool,
    before_delegation: Option<Moment>,
    delegation: Option<Delegation>,
    delegation_shown: bool,
}

/// All files.
pub(super) struct Files {
    table: LruCache<Key, State>,
    holds: Vec<Hold>,
    delegations: Vec<Delegation>,
    pub(super) holds_left_out: u64,
    pub(super) delegations_left_out: u64,
    pub(super) forgotten: u64,
}

impl Files {
    pub(super) fn new() -> Self {
        Self {
            table: LruCache::new(FILES),
            holds: Vec::new(),
            delegations: Vec::new(),
            holds_left_out: 0,
            delegations_left_out: 0,
            forgotten: 0,
        }
    }

    /// Takes one open. `place`: the file system. Of those that are not `shown` there is no more in
    /// the report than who may hold a file.
    pub(super) fn opened(&mut self, place: &[u8], path: &OpenPath, row: &Row, shown: bool) {
        let (Some(0), Some(fileid)) = (path.result, path.fileid) else {
            return;
        };
        let mode = path.flags.map_or(O_ACCMODE, |flags| flags & O_ACCMODE);
        let key = Key {
            place: place.into(),
            fileid,
            mode,
        };
        let at = Moment {
            ts_ns: row.ts_ns,
            time: row.time(),
        };
        let mut state = self.table.pop(&key).unwrap_or_default();
        state.path = row.full_path();
        let delegated = path.open_path == PathWord::Delegated;
        if delegated {
            state.delegated(fileid, at);
            state.delegation_shown |= shown;
        } else {
            if let Some(delegation) = &mut state.delegation {
                delegation.returned_before = Some(at);
            }
            self.end_delegation(&mut state);
            state.before_delegation = Some(at);
        }
        if path.open_path == PathWord::Cached {
            state.cached(fileid, mode, at);
            state.hold_shown |= shown;
        } else {
            self.end_hold(&mut state);
            state.not_cached(Held {
                since: at,
                opener: Opener {
                    pid: row.pid,
                    comm: row.comm.to_string(),
                },
                open_path: path.open_path,
            });
        }
        if let Some((old, state)) = self.table.push(key, state)
            && (old.fileid, old.mode) != (fileid, mode)
        {
            self.forgotten += 1;
            self.end(state);
        }
    }

    /// The client's modules went, and all open state with them.
    pub(super) fn gone(&mut self) {
        while let Some((_, state)) = self.table.pop_lru() {
            self.end(state);
        }
    }

    fn end(&mut self, mut state: State) {
        self.end_hold(&mut state);
        self.end_delegation(&mut state);
    }

    fn end_hold(&mut self, state: &mut State) {
        let shown = std::mem::take(&mut state.hold_shown);
        match state.hold.take().filter(|_| shown) {
            Some(hold) if self.holds.len() < KEPT => self.holds.push(hold),
            Some(_) => self.holds_left_out += 1,
            None => {}
        }
    }

    fn end_delegation(&mut self, state: &mut State) {
        let shown = std::mem::take(&mut state.delegation_shown);
        match state.delegation.take().filter(|_| shown) {
            Some(it) if self.delegations.len() < KEPT => self.delegations.push(it),
            Some(_) => self.delegations_left_out += 1,
            None => {}
        }
    }

    /// All that were kept, by time.
    pub(super) fn report(&mut self) -> (Vec<Hold>, Vec<Delegation>) {
        self.gone();
        self.holds.sort_by_key(|hold| hold.from.ts_ns);
        self.delegations.sort_by_key(|it| it.from.ts_ns);
        (self.holds.clone(), self.delegations.clone())
    }
}

impl State {
    fn cached(&mut self, fileid: u64, mode: u32, at: Moment) {
        let hold = self.hold.get_or_insert_with(|| Hold {
            path: String::new(),
            fileid,
            mode: mode_name(mode),
            opened_by: self.opens.clone(),
            opened_by_more: self.opens_more,
            from: at,
            until: at,
            cached: 0,
        });
        hold.path.clone_from(&self.path);
        hold.until = at;
        hold.cached += 1;
    }

    fn not_cached(&mut self, held: Held) {
        if self.opens.len() == FEW {
            self.opens.remove(0);
            self.opens_more += 1;
        }
        self.opens.push(held);
    }

    fn delegated(&mut self, fileid: u64, at: Moment) {
        let granted_after = self.before_delegation;
        let delegation = self.delegation.get_or_insert_with(|| Delegation {
            path: String::new(),
            fileid,
            granted_after,
            from: at,
            until: at,
            returned_before: None,
            opens: 0,
        });
        delegation.path.clone_from(&self.path);
        delegation.until = at;
        delegation.opens += 1;
    }
}

fn mode_name(mode: u32) -> &'static str {
    match mode {
        0 => "O_RDONLY",
        1 => "O_WRONLY",
        2 => "O_RDWR",
        _ => "unknown",
    }
}
