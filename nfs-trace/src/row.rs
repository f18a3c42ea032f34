//! [`Row`]: one open path as it is shown. Made once; every format only prints it.

use jiff::Timestamp;
use serde::Serialize;

use crate::{
    names::{claim_name, errno_name, escape, escape_path, open_flags},
    session::Session,
    trace::{Gap, NameCheck, OpenPath, PathWord, Signals, Step, StepKind},
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
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// First step, ns of CLOCK_MONOTONIC.
    pub ts_ns: u64,
    /// The same as wall-clock time.
    pub time: Timestamp,
    /// Process (tgid).
    pub pid: u32,
    /// Thread.
    pub tid: u32,
    /// Command name.
    pub comm: String,
    /// Mount point; nothing for a mount of another mount namespace.
    pub mount: Option<String>,
    /// Path below the mount.
    pub path: Option<String>,
    /// `major:minor`.
    pub dev: Option<String>,
    /// The file's id on the server.
    pub fileid: Option<u64>,
    /// A small number for the dentry.
    pub dentry: Option<u32>,
    /// The dentry's address (`--raw-pointers`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dentry_pointer: Option<String>,
    /// `4.0`, `4.1`, `4.2`.
    pub nfs_version: Option<String>,
    /// O_* flags, as `O_RDONLY|O_CLOEXEC`.
    pub flags: Option<String>,
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
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gaps: Vec<Gap>,
    /// In the order in which they began.
    pub steps: Vec<StepRow>,
    /// Kernel stack of the last attempt, innermost first (`--stack`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stack: Option<Vec<String>>,
}

/// One step as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StepRow {
    /// `revalidate`, `LOOKUP`, `OPEN`, `nfs4_file_open` or `nfs_atomic_open`.
    pub step: &'static str,
    /// Since the path's first step.
    pub at_ns: u64,
    /// From entry to return.
    pub took_ns: u64,
    /// How the VFS walked: `rcu`, `ref` or `reval`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub walk: Option<&'static str>,
    /// Claim of an OPEN.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claim: Option<&'static str>,
    /// Replies to an OPEN: 0 means that none was sent. Nothing where that is not counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sent: Option<u16>,
    /// What the function returned.
    pub ret: i32,
    /// What that means.
    pub meaning: String,
}

impl Row {
    /// Shows a path to the world. `signals`: those of the session. `stack` holds its symbolised
    /// kernel stack.
    #[must_use]
    pub fn new(
        path: &OpenPath,
        session: &Session,
        signals: Signals,
        stack: Option<Vec<String>>,
    ) -> Self {
        let mount = session.mount(path.dev);
        let wall = i128::from(path.start_ns) + i128::from(session.clock_offset_ns);
        Self {
            ts_ns: path.start_ns,
            time: Timestamp::from_nanosecond(wall).unwrap_or_default(),
            pid: path.tgid,
            tid: path.tid,
            comm: escape(&path.comm),
            mount: mount.map(|mount| escape_path(&mount.point)),
            path: path.path.as_deref().map(escape),
            dev: (path.dev != 0).then(|| format!("{}:{}", path.dev >> 20, path.dev & 0xf_ffff)),
            fileid: path.fileid,
            dentry: path.dentry_id,
            dentry_pointer: None,
            nfs_version: mount.and_then(|mount| mount.nfs_version.clone()),
            flags: path.flags.map(open_flags),
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
            gaps: path.gaps.clone(),
            steps: path
                .steps
                .iter()
                .map(|step| step_row(step, path, signals))
                .collect(),
            stack,
        }
    }

    /// Mount point and path as one; an id where the name is not known.
    #[must_use]
    pub fn full_path(&self) -> String {
        match (&self.mount, &self.path, self.dentry) {
            (Some(mount), Some(path), _) => format!("{}/{path}", mount.trim_end_matches('/')),
            (None, Some(path), _) => path.clone(),
            (_, None, Some(id)) => format!("dentry#{id}"),
            (_, None, None) => "?".to_string(),
        }
    }
}

fn step_row(step: &Step, path: &OpenPath, signals: Signals) -> StepRow {
    use crate::event::{DentryKind, Walk};
    let mut row = StepRow {
        step: "",
        at_ns: step.start_ns.saturating_sub(path.start_ns),
        took_ns: step.end_ns.saturating_sub(step.start_ns),
        walk: None,
        claim: None,
        sent: None,
        ret: 0,
        meaning: String::new(),
    };
    match step.kind {
        StepKind::Revalidate(call) => {
            row.step = "revalidate";
            row.walk = Some(match call.walk {
                Walk::Rcu => "rcu",
                Walk::Ref => "ref",
                Walk::Reval => "reval",
            });
            row.ret = call.ret;
            row.meaning = match call.ret {
                0 if call.lookups > 0 => "dropped: the server named another file, or none".into(),
                0 => "dropped: not valid".into(),
                1 if call.kind == DentryKind::Unhashed => "valid: no file, and dropped".into(),
                1 if call.kind == DentryKind::Negative => "valid: there is no such name".into(),
                1 if call.lookups > 0 => "valid: the server named the same file".into(),
                1 if call.verifier_checked => "valid: the directory has not changed".into(),
                1 if call.verifier_set => "valid: a delegation vouches for it".into(),
                1 => "valid: nothing was checked".into(),
                -10 => "cannot tell in RCU walk".into(),
                ret => errno_name(ret),
            };
        }
        StepKind::Lookup(ret) => {
            row.step = "LOOKUP";
            row.ret = ret;
            row.meaning = outcome(ret);
        }
        StepKind::OpenTask(task) => {
            row.step = "OPEN";
            row.claim = task.claim.and_then(claim_name);
            row.sent = signals.sent.counts().then_some(task.sent);
            row.ret = task.ret;
            row.meaning = match task.sent {
                _ if row.sent.is_none() => outcome(task.ret),
                0 if task.ret < 0 => format!("not sent: {}", errno_name(task.ret)),
                0 => "not sent".into(),
                1 => outcome(task.ret),
                times => format!("sent {times} times: {}", outcome(task.ret)),
            };
        }
        StepKind::FileOpen(open) => {
            row.step = "nfs4_file_open";
            row.ret = open.ret;
            row.meaning = outcome(open.ret);
        }
        StepKind::AtomicOpen(open) => {
            row.step = "nfs_atomic_open";
            row.ret = open.ret;
            row.meaning = match open.opened {
                Some(false) if open.ret == 0 => "looked up, not opened".into(),
                _ => outcome(open.ret),
            };
        }
    }
    row
}

fn outcome(ret: i32) -> String {
    if ret == 0 {
        "ok".into()
    } else {
        errno_name(ret)
    }
}
