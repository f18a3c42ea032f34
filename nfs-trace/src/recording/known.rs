//! What a later part of a recording begins with.

use std::num::NonZeroUsize;

use lru::LruCache;
use nfs_trace_ebpf::abi::{Comm, Name, RecordHeader, RecordKind};
use zerocopy::FromBytes as _;

/// Names and threads that are kept: as many as the programs remember.
const NAMES: NonZeroUsize = NonZeroUsize::new(65_536).expect("not zero");
const THREADS: NonZeroUsize = NonZeroUsize::new(16_384).expect("not zero");
/// Longest chain of parents that the programs follow.
const MAX_DEPTH: usize = 32;

/// The records of names that the programs have sent and will not send again.
pub(super) struct Known {
    names: LruCache<u64, Box<[u8]>>,
    comms: LruCache<u32, Box<[u8]>>,
}

impl Known {
    pub(super) fn new() -> Self {
        Self {
            names: LruCache::new(NAMES),
            comms: LruCache::new(THREADS),
        }
    }

    /// The dentries are gone.
    pub(super) fn forget(&mut self) {
        self.names.clear();
    }

    /// Takes note of a record, if it names anything.
    pub(super) fn learn(&mut self, record: &[u8]) {
        let Ok((header, payload)) = RecordHeader::read_from_prefix(record) else {
            return;
        };
        match RecordKind::from_u8(header.kind) {
            Some(RecordKind::Name) => {
                if let Ok((name, _)) = Name::read_from_prefix(payload) {
                    self.names.put(name.dentry, record.into());
                    self.keep_above(name.parent);
                }
            }
            Some(RecordKind::Comm) if Comm::read_from_prefix(payload).is_ok() => {
                self.comms.put(header.tid, record.into());
            }
            _ => {}
        }
    }

    /// What is above a new name is as new.
    fn keep_above(&mut self, mut dentry: u64) {
        for _ in 0..MAX_DEPTH {
            let Some(record) = self.names.get(&dentry) else {
                return;
            };
            let payload = &record[size_of::<RecordHeader>()..];
            match Name::read_from_prefix(payload) {
                Ok((name, _)) if name.parent != dentry => dentry = name.parent,
                _ => return,
            }
        }
    }

    /// The newest of them in about so many bytes, the older ones first.
    pub(super) fn records(&self, most: u64) -> Vec<&[u8]> {
        let mut records = newest(self.comms.iter().map(|(_, record)| &**record), most / 4);
        records.extend(newest(
            self.names.iter().map(|(_, record)| &**record),
            most / 4 * 3,
        ));
        records
    }
}

/// As many of the first as there is room for, in the opposite order.
fn newest<'a>(all: impl Iterator<Item = &'a [u8]>, most: u64) -> Vec<&'a [u8]> {
    let mut bytes = 0;
    let mut records: Vec<&[u8]> = all
        .take_while(|record| {
            bytes += record.len() as u64;
            bytes <= most
        })
        .collect();
    records.reverse();
    records
}
