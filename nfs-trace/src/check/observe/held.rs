//! Who held which file from one scan of the holders to the next, and as whom they had
//! opened it. Pure.

use std::collections::{HashMap, HashSet};

use crate::{
    check::holders::{Cred, Holder},
    event::Pointer,
};

/// Opens that are kept from one scan to the next: those of 4 s where a million files are
/// opened a minute.
pub(super) const OPENS_AT_MOST: usize = 65_536;
/// An open's descriptor shows in /proc a moment after nfs4_file_open() has returned.
const SETTLE_NS: u64 = 10_000_000;
const O_ACCMODE: u32 = 3;

/// A file in an access mode: what an affected client asks for before it sends an OPEN.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Target {
    pub(super) dev: u32,
    pub(super) fileid: u64,
    mode: u32,
}

impl Target {
    pub(super) fn new(dev: u32, fileid: u64, flags: u32) -> Self {
        Self {
            dev,
            fileid,
            mode: flags & O_ACCMODE,
        }
    }
}

/// As whom a file was opened, and by which dentry. While the file is open that address is an
/// identity, which the fileid alone is not: servers give the number of a removed file to a
/// new one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Owner {
    pub(super) cred: Cred,
    pub(super) dentry: Pointer,
}

/// The opens since the last scan, by file and process.
#[derive(Default)]
pub(super) struct Opens {
    files: HashMap<Target, FileOpens>,
    count: usize,
    /// When the last one ended that found no room.
    untold_ns: Option<u64>,
}

struct FileOpens {
    /// Nothing if they differ, or if one of them leaves it open.
    owner: Option<Owner>,
    /// When each process's last one ended.
    by: HashMap<u32, u64>,
}

impl Opens {
    /// `owner`: nothing if it is not known, or has no open state of its own (delegations).
    pub(super) fn note(&mut self, target: Target, tgid: u32, owner: Option<&Owner>, end_ns: u64) {
        let is_new = self
            .files
            .get(&target)
            .is_none_or(|file| !file.by.contains_key(&tgid));
        if is_new && self.count == OPENS_AT_MOST {
            self.untold_ns = self.untold_ns.max(Some(end_ns));
            return;
        }
        self.count += usize::from(is_new);
        let file = self.files.entry(target).or_insert_with(|| FileOpens {
            owner: owner.cloned(),
            by: HashMap::new(),
        });
        if file.owner.as_ref() != owner {
            file.owner = None;
        }
        let last = file.by.entry(tgid).or_default();
        *last = end_ns.max(*last);
    }

    /// Forgets those that were over and in /proc when a scan began.
    pub(super) fn forget_before(&mut self, scan_ns: u64) {
        let over = |end_ns: u64| end_ns.saturating_add(SETTLE_NS) < scan_ns;
        self.files.retain(|_, file| {
            file.by.retain(|_, end_ns| !over(*end_ns));
            !file.by.is_empty()
        });
        self.count = self.files.values().map(|file| file.by.len()).sum();
        self.untold_ns = self.untold_ns.filter(|end_ns| !over(*end_ns));
    }

    /// Whether all of them are here.
    pub(super) fn all_told(&self) -> bool {
        self.untold_ns.is_none()
    }

    fn has(&self, target: Target, tgid: u32) -> bool {
        self.files
            .get(&target)
            .is_some_and(|file| file.by.contains_key(&tgid))
    }
}

/// A descriptor of a process; a later process of the same pid has another start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Descriptor {
    pid: u32,
    start_time: u64,
    fd: u32,
}

/// A file that is held, and by whom.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Held {
    /// As whom it was opened, if that was seen.
    pub(super) owner: Option<Owner>,
    /// Who holds it.
    pub(super) cred: Cred,
    /// It was held by this descriptor before the first open was seen.
    pub(super) since_before: bool,
}

/// One scan of the holders.
pub(super) struct Snapshot {
    pub(super) begin_ns: u64,
    pub(super) end_ns: u64,
    held: HashMap<Target, HashMap<Descriptor, Held>>,
}

/// Whether a file stayed open from one scan to the next.
pub(super) enum Kept {
    /// No descriptor is in both.
    No,
    /// Only of processes that opened it meanwhile, and so may have closed it before.
    Reopened,
    /// Held all the time, by these; the pids are examples.
    By(Vec<(u32, Held)>),
}

impl Snapshot {
    /// `opens`: all since `last` began.
    pub(super) fn new(
        (begin_ns, end_ns): (u64, u64),
        holders: &[Holder],
        last: Option<&Self>,
        opens: &Opens,
    ) -> Self {
        let mut held: HashMap<Target, HashMap<Descriptor, Held>> = HashMap::new();
        let mut newcomers: HashMap<Target, Option<Owner>> = HashMap::new();
        for holder in holders {
            let Some(fileid) = holder.ino else {
                continue;
            };
            let target = Target::new(holder.dev, fileid, holder.flags);
            let descriptor = Descriptor {
                pid: holder.pid,
                start_time: holder.start_time,
                fd: holder.fd,
            };
            let before = last.and_then(|last| last.held.get(&target)?.get(&descriptor));
            let owner = match (last, before) {
                // What was held before the first scan was opened unseen.
                (None, _) => None,
                _ if !opens.all_told() => None,
                (_, Some(before)) if !opens.has(target, holder.pid) => before.owner.clone(),
                (Some(last), _) => newcomers
                    .entry(target)
                    .or_insert_with(|| last.only_owner(target, opens))
                    .clone(),
            };
            let one = Held {
                owner,
                cred: holder.cred.clone(),
                since_before: match (last, before) {
                    (None, _) => true,
                    (_, Some(before)) => before.since_before && !opens.has(target, holder.pid),
                    _ => false,
                },
            };
            held.entry(target).or_default().insert(descriptor, one);
        }
        Self {
            begin_ns,
            end_ns,
            held,
        }
    }

    /// Whether anybody holds it.
    pub(super) fn holds(&self, target: Target) -> bool {
        self.held.contains_key(&target)
    }

    /// The owner of a descriptor that appears after this scan. It may come from any open
    /// since, and by fork(2), dup(2) or SCM_RIGHTS from any earlier one: so from the only one
    /// there is, or it is not known.
    fn only_owner(&self, target: Target, opens: &Opens) -> Option<Owner> {
        let held = self.held.get(&target).into_iter().flat_map(HashMap::values);
        let opened = opens.files.get(&target).map(|file| &file.owner);
        let mut owners = held.map(|held| &held.owner).chain(opened);
        let first = owners.next()?;
        owners
            .all(|owner| owner == first)
            .then(|| first.clone())
            .flatten()
    }

    /// Who held a file from this scan to the `next`.
    pub(super) fn kept(&self, next: &Self, target: Target, opens: &Opens) -> Kept {
        let (Some(before), Some(after)) = (self.held.get(&target), next.held.get(&target)) else {
            return Kept::No;
        };
        let mut by = Vec::new();
        let mut seen = HashSet::new();
        let mut reopened = false;
        for (descriptor, held) in before {
            if !after.contains_key(descriptor) {
                continue;
            }
            if opens.has(target, descriptor.pid) {
                reopened = true;
            } else if seen.insert(held) {
                // Of many holders few differ.
                by.push((descriptor.pid, held.clone()));
            }
        }
        match (by.is_empty(), reopened) {
            (false, _) => Kept::By(by),
            (true, true) => Kept::Reopened,
            (true, false) => Kept::No,
        }
    }
}
