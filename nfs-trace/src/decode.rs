//! Bytes of one record -> [`Event`]. Pure; never panics, whatever the bytes.

use nfs_trace_ebpf::abi::{self, RecordHeader, RecordKind};
use thiserror::Error;
use zerocopy::FromBytes;

use crate::{
    event::{
        DentryKind, Event, Fact, Open, OpenTask, Pointer, Revalidate, Stamp, Times, Walk, WholeOpen,
    },
    kernel::lookup_flags::LookupFlags,
};

/// Why some bytes are no record.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum DecodeError {
    /// Fewer bytes than the record needs.
    #[error("record of {len} bytes is too short (kind {kind:?})")]
    Short {
        /// Bytes there are.
        len: usize,
        /// The kind, where the header was complete.
        kind: Option<u8>,
    },
    /// A kind that this version does not know.
    #[error("record of unknown kind {0}")]
    UnknownKind(u8),
    /// A name that no directory entry has: only a recording can hold it.
    #[error("a name of {0} bytes is too long")]
    LongName(u16),
}

/// Decodes one record. Bytes behind it are ignored: recordings of perf buffers have padding there.
///
/// # Errors
/// [`DecodeError`] if the bytes are too few or of no known kind.
#[inline]
pub fn decode(bytes: &[u8], lookup: LookupFlags) -> Result<Event<'_>, DecodeError> {
    let (header, payload) =
        RecordHeader::read_from_prefix(bytes).map_err(|_| DecodeError::Short {
            len: bytes.len(),
            kind: None,
        })?;
    let kind = RecordKind::from_u8(header.kind).ok_or(DecodeError::UnknownKind(header.kind))?;
    let short = || DecodeError::Short {
        len: bytes.len(),
        kind: Some(header.kind),
    };
    let fact = match kind {
        RecordKind::Revalidate => Fact::Revalidate(revalidate(take(payload, short)?.0, lookup)),
        RecordKind::Lookup => Fact::Lookup(take::<abi::Lookup, _>(payload, short)?.0.ret),
        RecordKind::OpenTask => Fact::OpenTask(open_task(take(payload, short)?.0)),
        RecordKind::FileOpen => Fact::FileOpen(open(take(payload, short)?.0)),
        RecordKind::AtomicOpen => Fact::AtomicOpen(open(take(payload, short)?.0)),
        RecordKind::Name => {
            let (name, rest) = take::<abi::Name, _>(payload, short)?;
            if usize::from(name.len) > abi::NAME_MAX {
                return Err(DecodeError::LongName(name.len));
            }
            let text = rest.get(..usize::from(name.len)).ok_or_else(short)?;
            Fact::Name {
                dentry: Pointer(name.dentry),
                parent: Pointer(name.parent),
                name: text,
            }
        }
        RecordKind::Comm => {
            const LONGEST: usize = size_of::<abi::Comm>();
            let comm = payload.get(..LONGEST).ok_or_else(short)?;
            let text = comm.split(|&byte| byte == 0).next();
            Fact::Comm(text.unwrap_or_default())
        }
    };
    Ok(Event {
        stamp: stamp(header),
        fact,
    })
}

/// Decodes an entry of the ring buffer that is a whole open, of which no record says anything
/// odd; nothing if it is not, which is no error: it is to be taken record by record.
#[inline]
#[must_use]
pub fn decode_whole(entry: &[u8], lookup: LookupFlags) -> Option<WholeOpen> {
    let whole = abi::Whole::read_from_bytes(entry).ok()?;
    let first = &whole.revalidate.header;
    let is_next = |header: &RecordHeader, kind, number| {
        header.kind == kind as u8
            && header.flags == 0
            && header.seq == first.seq.wrapping_add(number)
            && (header.tid, header.tgid, header.dev) == (first.tid, first.tgid, first.dev)
    };
    if !is_next(first, RecordKind::Revalidate, 0)
        || !is_next(&whole.task.header, RecordKind::OpenTask, 1)
        || !is_next(&whole.open.header, RecordKind::FileOpen, 2)
    {
        return None;
    }
    Some(WholeOpen {
        tid: first.tid,
        tgid: first.tgid,
        dev: first.dev,
        seq: first.seq,
        revalidate: (times(first), revalidate(whole.revalidate.payload, lookup)),
        task: (times(&whole.task.header), open_task(whole.task.payload)),
        open: (times(&whole.open.header), open(whole.open.payload)),
    })
}

#[inline]
fn times(header: &RecordHeader) -> Times {
    Times {
        start_ns: header.start_ns,
        end_ns: header.end_ns,
    }
}

#[inline]
fn take<T: FromBytes, E>(bytes: &[u8], short: impl FnOnce() -> E) -> Result<(T, &[u8]), E> {
    T::read_from_prefix(bytes).map_err(|_| short())
}

#[inline]
fn stamp(header: RecordHeader) -> Stamp {
    Stamp {
        start_ns: header.start_ns,
        end_ns: header.end_ns,
        tid: header.tid,
        tgid: header.tgid,
        seq: header.seq,
        dev: header.dev,
        first: header.flags & abi::FLAG_FIRST != 0,
        missed_return: header.flags & abi::FLAG_MISSED_RETURN != 0,
        missed_inside: header.flags & abi::FLAG_MISSED_INSIDE != 0,
        unjoined: header.flags & abi::FLAG_UNJOINED != 0,
    }
}

#[inline]
fn revalidate(record: abi::Revalidate, lookup: LookupFlags) -> Revalidate {
    Revalidate {
        dentry: Pointer(record.dentry),
        walk: if record.lookup_flags & lookup.rcu != 0 {
            Walk::Rcu
        } else if record.lookup_flags & lookup.reval != 0 {
            Walk::Reval
        } else {
            Walk::Ref
        },
        creates: record.lookup_flags & lookup.create() != 0,
        ret: record.ret,
        verifier_checked: record.verifier_checks != 0,
        verifier_set: record.verifier_sets != 0,
        inode_checked: record.inode_checks != 0,
        lookups: record.lookups,
        kind: match record.dentry_kind {
            abi::DENTRY_POSITIVE => DentryKind::Positive,
            abi::DENTRY_NEGATIVE => DentryKind::Negative,
            abi::DENTRY_UNHASHED => DentryKind::Unhashed,
            _ => DentryKind::Unknown,
        },
    }
}

#[inline]
fn open_task(record: abi::OpenTask) -> OpenTask {
    OpenTask {
        sent: record.sent,
        delegated: match record.delegated {
            abi::DELEGATED_NO => Some(false),
            abi::DELEGATED_YES => Some(true),
            _ => None,
        },
        claim: (record.claim != abi::CLAIM_UNKNOWN).then_some(record.claim),
        replied_ns: (record.replied_ns != 0).then_some(record.replied_ns),
        ret: record.ret,
    }
}

#[inline]
fn open(record: abi::Open) -> Open {
    Open {
        dentry: Pointer(record.dentry),
        fileid: (record.fileid != 0).then_some(record.fileid),
        ret: record.ret,
        flags: (record.open_flags != u32::MAX).then_some(record.open_flags),
        stack: u32::try_from(record.stack_id).ok(),
        tasks: record.tasks,
        stateid_updates: record.stateid_updates,
        opened: match record.opened {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        },
        tried_cached: record.signs & abi::SIGN_TRIED_CACHED != 0,
        cached_event: record.signs & abi::SIGN_CACHED_EVENT != 0,
    }
}

#[cfg(test)]
mod tests;
