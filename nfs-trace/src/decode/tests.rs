//! Hostile and honest bytes for [`decode`].

use nfs_trace_ebpf::abi::{self, RecordHeader, RecordKind};
use zerocopy::IntoBytes;

use super::{DecodeError, decode, decode_whole};
use crate::{
    event::{DentryKind, Fact, Walk},
    kernel::lookup_flags::LookupFlags,
};

fn header(kind: u8) -> Vec<u8> {
    let header = RecordHeader {
        start_ns: 5,
        end_ns: 9,
        tid: 7,
        tgid: 6,
        kind,
        flags: abi::FLAG_FIRST,
        seq: 3,
        dev: 53,
    };
    header.as_bytes().to_vec()
}

/// Exercises every length from nothing to one byte short, for every kind.
#[test]
fn a_record_cut_anywhere_is_an_error_not_a_panic() {
    let whole = [
        (RecordKind::Revalidate, 24),
        (RecordKind::Lookup, 8),
        (RecordKind::OpenTask, 24),
        (RecordKind::FileOpen, 32),
        (RecordKind::AtomicOpen, 32),
        (RecordKind::Name, 24),
        (RecordKind::Comm, 16),
    ];
    for (kind, payload) in whole {
        let mut bytes = header(kind as u8);
        bytes.resize(bytes.len() + payload, 0);
        assert!(decode(&bytes, LookupFlags::BEFORE_6_15).is_ok(), "{kind:?}");
        for len in 0..bytes.len() {
            let error = decode(&bytes[..len], LookupFlags::BEFORE_6_15).unwrap_err();
            let known = (len >= 32).then_some(kind as u8);
            assert_eq!(error, DecodeError::Short { len, kind: known }, "{kind:?}");
        }
    }
}

/// A table of names is bounded by their number, so each must be.
#[test]
fn a_name_is_no_longer_than_the_kernel_has_them() {
    for (len, fits) in [(255_u16, true), (256, false), (u16::MAX, false)] {
        let mut bytes = header(RecordKind::Name as u8);
        bytes.extend([0; 16]);
        bytes.extend(len.to_ne_bytes());
        bytes.resize(bytes.len() + 6 + usize::from(len), b'x');
        let decoded = decode(&bytes, LookupFlags::BEFORE_6_15);
        if fits {
            let fact = decoded.expect("a name").fact;
            assert!(matches!(fact, Fact::Name { name, .. } if name.len() == usize::from(len)));
        } else {
            assert_eq!(decoded.unwrap_err(), DecodeError::LongName(len));
        }
    }
}

#[test]
fn unknown_kinds_are_errors() {
    for kind in (0..=255).filter(|&kind| RecordKind::from_u8(kind).is_none()) {
        let mut bytes = header(kind);
        bytes.resize(512, 0xff);
        assert_eq!(
            decode(&bytes, LookupFlags::BEFORE_6_15).unwrap_err(),
            DecodeError::UnknownKind(kind)
        );
    }
}

#[test]
fn a_name_longer_than_its_record_is_an_error() {
    let mut bytes = header(RecordKind::Name as u8);
    let name = abi::Name {
        dentry: 1,
        parent: 2,
        len: 4,
        reserved: 0,
        reserved2: 0,
    };
    bytes.extend_from_slice(name.as_bytes());
    bytes.extend_from_slice(b"abc");
    assert!(matches!(
        decode(&bytes, LookupFlags::BEFORE_6_15),
        Err(DecodeError::Short { kind: Some(6), .. })
    ));
    bytes.extend_from_slice(b"d and padding");
    let event = decode(&bytes, LookupFlags::BEFORE_6_15).unwrap();
    assert!(matches!(event.fact, Fact::Name { name, .. } if *name == *b"abcd"));
}

/// Exercises the LOOKUP_* numbers of both eras on the same record.
#[test]
fn the_walk_follows_the_kernels_own_numbers() {
    let walk = |flags, lookup| {
        let mut bytes = header(RecordKind::Revalidate as u8);
        let payload = abi::Revalidate {
            dentry: 1,
            lookup_flags: flags,
            ret: 1,
            verifier_checks: 1,
            verifier_sets: 0,
            lookups: 0,
            dentry_kind: abi::DENTRY_NEGATIVE,
            inode_checks: 0,
            reserved: 0,
            reserved2: 0,
        };
        bytes.extend_from_slice(payload.as_bytes());
        match decode(&bytes, lookup).unwrap().fact {
            Fact::Revalidate(call) => {
                assert_eq!(call.kind, DentryKind::Negative);
                call.walk
            }
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(walk(0x141, LookupFlags::BEFORE_6_15), Walk::Rcu);
    assert_eq!(walk(0x101, LookupFlags::BEFORE_6_15), Walk::Ref);
    assert_eq!(walk(0x121, LookupFlags::BEFORE_6_15), Walk::Reval);
    assert_eq!(walk(1 << 16 | 1 << 8, LookupFlags::SINCE_6_15), Walk::Rcu);
    assert_eq!(walk(1 << 16, LookupFlags::SINCE_6_15), Walk::Ref);
    assert_eq!(walk(1 << 16 | 1 << 7, LookupFlags::SINCE_6_15), Walk::Reval);
}

/// Exercises the byte that took a place of the reserved ones: a record of before has 0 there.
#[test]
fn the_inode_check_is_the_first_byte_that_was_reserved() {
    let inode_checked = |reserved: [u8; 4]| {
        let mut bytes = header(RecordKind::Revalidate as u8);
        bytes.extend_from_slice(&[0; 20]);
        bytes.extend_from_slice(&reserved);
        match decode(&bytes, LookupFlags::BEFORE_6_15).unwrap().fact {
            Fact::Revalidate(call) => {
                assert!(!call.verifier_checked && !call.verifier_set);
                call.inode_checked
            }
            other => panic!("{other:?}"),
        }
    };
    assert!(!inode_checked([0; 4]));
    assert!(inode_checked([1, 0, 0, 0]));
    assert!(!inode_checked([0, 1, 1, 1]));
}

#[test]
fn unknown_values_become_none() {
    let mut bytes = header(RecordKind::AtomicOpen as u8);
    let payload = abi::Open {
        dentry: 0,
        fileid: 0,
        ret: -2,
        open_flags: u32::MAX,
        stack_id: -1,
        tasks: 1,
        stateid_updates: 0,
        opened: 0xff,
        signs: 0,
    };
    bytes.extend_from_slice(payload.as_bytes());
    match decode(&bytes, LookupFlags::BEFORE_6_15).unwrap().fact {
        Fact::AtomicOpen(open) => {
            assert!(!open.dentry.is_known());
            assert_eq!(
                (open.fileid, open.flags, open.stack, open.opened),
                (None, None, None, None)
            );
        }
        other => panic!("{other:?}"),
    }
}

fn lookup(seq: u16) -> Vec<u8> {
    let mut bytes = header(RecordKind::Lookup as u8);
    bytes[26..28].copy_from_slice(&seq.to_ne_bytes());
    bytes.extend([0; 8]);
    bytes
}

#[test]
fn an_entry_is_taken_record_by_record_and_nothing_of_it_is_left() {
    let taken = |entry: &[u8]| -> Vec<Vec<u8>> { abi::records(entry).map(Vec::from).collect() };
    let (one, two, odd) = (lookup(1), lookup(2), b"odd".to_vec());
    assert_eq!(taken(&one), std::slice::from_ref(&one));
    assert_eq!(taken(&[&*one, &*two].concat()), [one.clone(), two]);
    assert_eq!(taken(&[&*one, &*odd].concat()), [one.clone(), odd.clone()]);
    assert_eq!(taken(&odd), [odd]);
    assert_eq!(taken(&one[..35]), [&one[..35]]);
}

/// The records of a whole open, changed by `change`: their headers, in order.
fn whole(change: impl FnOnce(&mut [RecordHeader; 3])) -> Vec<u8> {
    let kinds = [
        (RecordKind::Revalidate, 24),
        (RecordKind::OpenTask, 24),
        (RecordKind::FileOpen, 32),
    ];
    let mut seq = 65_534_u16;
    let mut headers = kinds.map(|(kind, _)| {
        seq = seq.wrapping_add(1);
        RecordHeader {
            start_ns: 5,
            end_ns: 9,
            tid: 7,
            tgid: 6,
            kind: kind as u8,
            flags: 0,
            seq,
            dev: 53,
        }
    });
    change(&mut headers);
    let mut entry = Vec::new();
    for (header, (_, payload)) in headers.iter().zip(kinds) {
        entry.extend(header.as_bytes());
        entry.extend(vec![0; payload]);
    }
    entry
}

#[test]
fn a_whole_open_is_three_records_that_follow_each_other() {
    let decoded = |entry: &[u8]| decode_whole(entry, LookupFlags::BEFORE_6_15);
    let usual = whole(|_| {});
    let open = decoded(&usual).expect("a whole open");
    assert_eq!(
        (open.tid, open.tgid, open.dev, open.seq),
        (7, 6, 53, 65_535)
    );
    for len in 0..usual.len() {
        assert_eq!(decoded(&usual[..len]), None, "{len} bytes");
    }
    assert_eq!(decoded(&[&*usual, &[0; 8]].concat()), None);
    for at in 0..3 {
        let changes: [fn(&mut RecordHeader); 6] = [
            |header| header.kind = RecordKind::AtomicOpen as u8,
            |header| header.flags = abi::FLAG_UNJOINED,
            |header| header.seq ^= 1,
            |header| header.tid = 8,
            |header| header.tgid = 8,
            |header| header.dev = 0,
        ];
        for change in changes {
            assert_eq!(decoded(&whole(|headers| change(&mut headers[at]))), None);
        }
    }
}
