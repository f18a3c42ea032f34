//! What a recording holds, and what can be wrong with it.

use std::{io, mem::offset_of};

use nfs_trace_ebpf::abi::{
    ABI_VERSION, Open, OpenTask, Record, RecordHeader, RecordKind, Revalidate, Whole,
};
use thiserror::Error;

use super::{
    Footer, Header, Remark, Resumption, Stack,
    frame::{FIRST_MAJOR, MAJOR},
};
use crate::{mounts::Mount, summary::KernelCounts};

/// Why nothing, or nothing more, can be read.
#[derive(Debug, Error)]
pub enum Refusal {
    /// The input failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It begins with something else.
    #[error("this is no recording of nfs-trace (`nfs-trace record -o FILE` makes one)")]
    NoRecording,
    /// It ends before anything is known of it.
    #[error("the recording ends after {0} bytes, within its header: nothing can be read")]
    Short(u64),
    /// A later version wrote it.
    #[error(
        "the recording has format {0}.{1}, and this version of nfs-trace reads {FIRST_MAJOR}.x to \
         {MAJOR}.x: take the version that recorded, or a later one"
    )]
    Newer(u16, u16),
    /// Its records are in the other byte order.
    #[error(
        "the recording comes from a machine of the other byte order: replay it on a machine like \
         that one"
    )]
    ByteOrder,
    /// Without the header the records mean nothing.
    #[error("the recording's header is damaged ({0}): without it nothing can be read")]
    Header(String),
    /// Its records are laid out differently.
    #[error(
        "the recording's records have ABI version {0}, and this version of nfs-trace reads \
         {ABI_VERSION}: take the version that recorded"
    )]
    Abi(u32),
}

/// A place in the file that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// Where it begins, bytes from the beginning of the input.
    pub at: u64,
    /// Bytes that were left out.
    pub bytes: u64,
    /// Records that are missing; nothing where that is not known.
    pub records: Option<u64>,
    /// What is wrong there.
    pub why: String,
}

/// What a recording holds, in its order.
#[derive(Debug)]
pub enum Item<'a> {
    /// A file begins: the first, or the next part behind it in the same input.
    Begin(Box<Header>),
    /// Records.
    Records(Records<'a>),
    /// Records of the names that were known as this part began.
    Known(Records<'a>),
    /// The client's modules were unloaded here; so much was counted.
    Interruption(KernelCounts),
    /// They are back.
    Resumption(Box<Resumption>),
    /// What was said between rows.
    Remark(Remark),
    /// From here on the mounts are these.
    Mounts(Vec<Mount>),
    /// What records from here on mean by this id.
    Stack(Stack),
    /// What was counted up to here.
    Counts(KernelCounts),
    /// The file is over, and whole if no damage came before.
    End(Footer),
    /// Something is missing here.
    Damage(Damage),
    /// The input is over, and the file was not: so many bytes there were.
    NoEnd(u64),
}

/// Records of a block, each as the transport delivered it.
#[derive(Debug, Clone)]
pub struct Records<'a>(pub(super) &'a [u8]);

impl<'a> Iterator for Records<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (len, rest) = self.0.split_first_chunk()?;
        let (record, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes(*len)))?;
        self.0 = rest;
        Some(record)
    }
}

/// Where [`Records::next_entry`] puts records that belong together.
pub type EntryRoom = [u8; size_of::<Whole>()];

/// The records of a [`Whole`]: kind and bytes.
const WHOLE: [(RecordKind, usize); 3] = [
    (RecordKind::Revalidate, size_of::<Record<Revalidate>>()),
    (RecordKind::OpenTask, size_of::<Record<OpenTask>>()),
    (RecordKind::FileOpen, size_of::<Record<Open>>()),
];

impl<'a> Records<'a> {
    /// The next ones as a ring buffer may have had them in one entry, and how many they are: one,
    /// or three that may be a whole open, which are put into `room`.
    pub fn next_entry<'b>(&mut self, room: &'b mut EntryRoom) -> Option<(&'b [u8], u64)>
    where
        'a: 'b,
    {
        let mut ahead = self.clone();
        let mut begin = 0;
        for (kind, len) in WHOLE {
            let one = ahead.next().filter(|record| {
                record.len() == len && record[offset_of!(RecordHeader, kind)] == kind as u8
            });
            let Some(record) = one else {
                return Some((self.next()?, 1));
            };
            room[begin..begin + len].copy_from_slice(record);
            begin += len;
        }
        *self = ahead;
        Some((room, WHOLE.len() as u64))
    }

    /// Whether there are so many, and nothing else.
    pub(super) fn are(mut self, count: u32) -> bool {
        (0..count).all(|_| self.next().is_some()) && self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(kind: RecordKind, len: usize) -> Vec<u8> {
        let mut record = vec![0; len];
        record[offset_of!(RecordHeader, kind)] = kind as u8;
        record
    }

    #[test]
    fn records_that_may_be_a_whole_open_come_as_one_entry() {
        let [revalidate, task, open] = WHOLE.map(|(kind, len)| record(kind, len));
        let lookup = record(RecordKind::Lookup, 40);
        let name = record(RecordKind::Name, task.len());
        let odd = vec![3; 7];
        let all = [
            &lookup,
            &revalidate,
            &task,
            &open,
            &odd,
            &revalidate,
            &task,
            &task,
            &revalidate,
            &name,
            &open,
            &revalidate,
            &task,
            &open,
            &revalidate,
            &task,
        ];
        let mut content = Vec::new();
        for record in all {
            content.extend((record.len() as u16).to_le_bytes());
            content.extend(record);
        }
        let mut room = [0; size_of::<Whole>()];
        let mut records = Records(&content);
        let (mut counts, mut bytes) = (Vec::new(), Vec::new());
        while let Some((entry, count)) = records.next_entry(&mut room) {
            counts.push(count);
            bytes.extend_from_slice(entry);
        }
        assert_eq!(counts, [1, 3, 1, 1, 1, 1, 1, 1, 1, 3, 1, 1]);
        assert_eq!(bytes, all.map(Vec::clone).concat());
    }
}
