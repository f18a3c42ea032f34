//! [`Row`]: one open path as it is shown. Made once; every format only prints it. It borrows what
//! it can: most rows are printed and gone.

mod step;
mod words;

use std::borrow::Cow;

use jiff::Timestamp;
use serde::Serialize;

pub use self::{
    step::{Looks, StepRow},
    words::{Device, OpenFlags},
};
use crate::{
    event::Pointer,
    mounts::Mount,
    names::claim_name,
    session::Session,
    trace::{Gap, NameCheck, OpenPath, PathWord, Signals, Step},
};

/// RPCs of one path; nothing where the probes in place do not count them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize)]
pub struct Rpcs {
    /// OPENs.
    pub open: Option<u32>,
    /// LOOKUPs.
    pub lookup: Option<u32>,
}

/// One open path; the fields are those of the JSON line of type `open`.
#[derive(Debug, Clone)]
pub struct Row<'a> {
    /// First step, ns of CLOCK_MONOTONIC.
    pub ts_ns: u64,
    /// CLOCK_REALTIME minus CLOCK_MONOTONIC, ns; see [`Self::time`].
    pub clock_offset_ns: i64,
    /// Process (tgid).
    pub pid: u32,
    /// Thread.
    pub tid: u32,
    /// Command name.
    pub comm: Cow<'a, str>,
    /// Mount point; nothing for a mount of another mount namespace.
    pub mount: Option<Cow<'a, str>>,
    /// Path below the mount.
    pub path: Option<Cow<'a, str>>,
    /// The super block.
    pub dev: Option<Device>,
    /// The file's id on the server.
    pub fileid: Option<u64>,
    /// A small number for the dentry.
    pub dentry: Option<u32>,
    /// The dentry's address (`--raw-pointers`).
    pub dentry_pointer: Option<Pointer>,
    /// `4.0`, `4.1`, `4.2`.
    pub nfs_version: Option<Cow<'a, str>>,
    /// O_* flags.
    pub flags: Option<OpenFlags>,
    /// What vouched for the dentry.
    pub name_check: NameCheck,
    /// What vouched for the file.
    pub open_path: PathWord,
    /// Claim of the OPEN that decided.
    pub claim: Option<&'static str>,
    /// EOPENSTALE returns inside.
    pub stale_retries: u32,
    /// RPCs sent.
    pub rpcs: Rpcs,
    /// 0 or a negative errno; null if the end was not seen.
    pub result: Option<i32>,
    /// First step's entry to last step's return.
    pub latency_ns: u64,
    /// Everything that belongs to the path was seen.
    pub complete: bool,
    /// Why not.
    pub gaps: Cow<'a, [Gap]>,
    /// In the order in which they began; see [`Self::steps`].
    pub calls: Cow<'a, [Step]>,
    /// Whether steps say how many OPENs were sent.
    pub counts_opens: bool,
    /// Kernel stack of the last attempt, innermost first (`--stack`).
    pub stack: Option<Vec<String>>,
}

impl<'a> Row<'a> {
    /// Shows a path to the world. `signals`: those of the session. `mount`: that of its super block.
    /// `stack` holds its symbolised kernel stack.
    #[must_use]
    pub fn new(
        path: &'a OpenPath,
        session: &Session,
        signals: Signals,
        mount: Option<&'a Mount>,
        stack: Option<Vec<String>>,
    ) -> Self {
        Self {
            ts_ns: path.start_ns,
            clock_offset_ns: session.clock_offset_ns,
            pid: path.tgid,
            tid: path.tid,
            comm: Cow::from(&*path.comm),
            mount: mount.map(|mount| Cow::from(mount.point.shown())),
            path: path.path.as_deref().map(Cow::from),
            dev: (path.dev != 0).then_some(Device(path.dev)),
            fileid: path.fileid,
            dentry: path.dentry_id,
            dentry_pointer: None,
            nfs_version: mount.and_then(|mount| mount.nfs_version.as_deref().map(Cow::from)),
            flags: path.flags.map(OpenFlags),
            name_check: path.name_check,
            open_path: path.open_path,
            claim: path.claim.and_then(claim_name),
            stale_retries: path.stale_retries,
            rpcs: Rpcs {
                open: signals.sent.counts().then_some(path.opens),
                lookup: signals.lookups.then_some(path.lookups),
            },
            result: path.result,
            latency_ns: path.end_ns.saturating_sub(path.start_ns),
            complete: path.complete(),
            gaps: Cow::from(&path.gaps),
            calls: Cow::from(&path.steps),
            counts_opens: signals.sent.counts(),
            stack,
        }
    }

    /// When it began on the wall's clock, ns since 1970; nothing before that, and for numbers that
    /// only a recording can hold.
    #[must_use]
    pub fn wall_ns(&self) -> Option<u64> {
        let ns = i64::try_from(self.ts_ns).ok()?;
        u64::try_from(ns.checked_add(self.clock_offset_ns)?).ok()
    }

    /// When it began on the wall's clock; 1970 if there is no such time.
    #[must_use]
    pub fn time(&self) -> Timestamp {
        let wall = i128::from(self.ts_ns) + i128::from(self.clock_offset_ns);
        Timestamp::from_nanosecond(wall).unwrap_or_default()
    }

    /// Its steps as they are shown, in the order in which they began.
    pub fn steps(&self) -> impl Iterator<Item = StepRow> {
        let calls = self.calls.iter();
        calls.map(|step| StepRow::new(step, self.ts_ns, self.counts_opens))
    }

    /// Mount point and path as one; an id where the name is not known.
    #[must_use]
    pub fn full_path(&self) -> String {
        match (&self.mount, &self.path, self.dentry) {
            (Some(mount), Some(path), _) => format!("{}/{path}", mount.trim_end_matches('/')),
            (None, Some(path), _) => path.to_string(),
            (_, None, Some(id)) => format!("dentry#{id}"),
            (_, None, None) => "?".to_string(),
        }
    }

    /// One that can be kept.
    #[must_use]
    pub fn to_owned(&self) -> Row<'static> {
        let owned = |text: &Cow<'_, str>| Cow::from(text.to_string());
        Row {
            comm: owned(&self.comm),
            mount: self.mount.as_ref().map(owned),
            path: self.path.as_ref().map(owned),
            nfs_version: self.nfs_version.as_ref().map(owned),
            gaps: self.gaps.to_vec().into(),
            calls: self.calls.to_vec().into(),
            stack: self.stack.clone(),
            ..*self
        }
    }
}
