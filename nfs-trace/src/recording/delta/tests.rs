//! Whether every record comes back as it was, and no stored bytes do harm.

use fastrand::Rng;
use nfs_trace_ebpf::abi::NAME_MAX;

use super::*;

const KINDS: [(RecordKind, usize); 7] = [
    (RecordKind::Revalidate, words::<Revalidate>()),
    (RecordKind::Lookup, words::<Lookup>()),
    (RecordKind::OpenTask, words::<OpenTask>()),
    (RecordKind::FileOpen, words::<Open>()),
    (RecordKind::AtomicOpen, words::<Open>()),
    (RecordKind::Name, words::<Name>()),
    (RecordKind::Comm, words::<Comm>()),
];

/// The bytes of a block of these records, and what they stand for.
fn encode(records: &[Vec<u8>]) -> (Vec<u8>, Vec<u8>) {
    let mut encoder = Encoder::default();
    let (mut stored, mut plain) = (Vec::new(), Vec::new());
    for record in records {
        let len = u16::try_from(record.len()).expect("a length");
        // Whatever was there before is no part of it.
        let mut room = vec![0xa5; record.len() + ROOM];
        let end = encoder.encode(record, len, &mut room);
        stored.extend_from_slice(&room[..end]);
        plain.extend_from_slice(&len.to_le_bytes());
        plain.extend_from_slice(record);
    }
    (stored, plain)
}

fn decoded(stored: &[u8], plain: usize) -> Result<Vec<u8>, &'static str> {
    let mut content = Vec::new();
    decode(stored, plain, &mut content).map(|()| content)
}

/// Encodes, and sees that the same comes back. Returns the bytes stored.
fn there_and_back(records: &[Vec<u8>]) -> usize {
    let (stored, plain) = encode(records);
    let back = decoded(&stored, plain.len()).expect("it unpacks");
    assert!(back == plain, "other bytes come back");
    stored.len()
}

/// A record of a kind, its other bytes all `fill`, and so many behind it.
fn record(kind: RecordKind, words: usize, fill: u8, tail: usize) -> Vec<u8> {
    let mut record = vec![fill; words * WORD + tail];
    record[TURNED * WORD] = kind as u8;
    record
}

#[test]
fn what_is_the_same_takes_a_shape_alone() {
    for (kind, words) in KINDS {
        for fill in [0, 1, 0x80, 0xff] {
            let one = record(kind, words, fill, 0);
            let (first, both) = (
                there_and_back(std::slice::from_ref(&one)),
                there_and_back(&[one.clone(), one.clone()]),
            );
            assert_eq!(both - first, shape_len(words), "{kind:?}");
            assert!(first <= shape_len(words) + one.len(), "{kind:?}");
        }
    }
}

#[test]
fn of_a_word_the_low_bytes_up_to_the_last_that_differs_are_stored() {
    let kind = RecordKind::OpenTask;
    let words = words::<OpenTask>();
    let one = record(kind, words, 0, 0);
    let first = there_and_back(std::slice::from_ref(&one));
    for (changed, stored) in [(0, 1), (5, 6), (7, 8), (40, 1), (47, 8)] {
        let mut other = one.clone();
        other[changed] ^= 0x80;
        let both = there_and_back(&[one.clone(), other]);
        assert_eq!(both - first, shape_len(words) + stored, "byte {changed}");
    }
    // Of the word with the kind, seq is lowest and flags are highest.
    for (changed, stored) in [(26, 1), (27, 2), (28, 3), (31, 6), (25, 8)] {
        let mut other = one.clone();
        other[changed] ^= 1;
        let both = there_and_back(&[one.clone(), other]);
        assert_eq!(both - first, shape_len(words) + stored, "byte {changed}");
    }
}

#[test]
fn the_example_of_the_documentation() {
    let mut one = record(RecordKind::Lookup, words::<Lookup>(), 0, 0);
    one[26] = 6;
    let mut other = one.clone();
    (other[26], other[32]) = (7, 5);
    let (first, _) = encode(std::slice::from_ref(&one));
    let (stored, _) = encode(&[one, other]);
    assert_eq!(stored[first.len()..], [0x02, 0x00, 0x11, 0x01, 0x05]);
}

/// The header is told from the record before, whatever its kind, and the payload from its kind's.
#[test]
fn kinds_share_the_header_and_nothing_else() {
    let records: Vec<_> = KINDS
        .iter()
        .map(|(kind, words)| record(*kind, *words, 0x77, 0))
        .collect();
    let once = there_and_back(&records);
    let payloads: usize = KINDS.iter().map(|(_, words)| words - HEADER_WORDS).sum();
    let shapes: usize = KINDS.iter().map(|(_, words)| shape_len(*words)).sum();
    assert_eq!(once, shapes + (HEADER_WORDS + payloads) * WORD);
    let twice = there_and_back(&[records.clone(), records].concat());
    assert_eq!(twice - once, shapes);
}

#[test]
fn bytes_behind_a_record_are_kept() {
    for (kind, words) in KINDS {
        let one = record(kind, words, 0x11, 0);
        let first = there_and_back(std::slice::from_ref(&one));
        // 4 bytes are what a perf event leaves.
        for tail in [1, 4, 7, 8, 9, NAME_MAX] {
            let both = there_and_back(&[one.clone(), record(kind, words, 0x11, tail)]);
            assert_eq!(both - first, shape_len(words) + 1 + tail, "{kind:?}");
        }
        // Of more, one byte cannot say how many, and the record is kept as it is.
        let long = record(kind, words, 0x11, NAME_MAX + 1);
        let both = there_and_back(&[one, long.clone()]);
        assert_eq!(both - first, 3 + long.len(), "{kind:?}");
    }
}

#[test]
fn what_is_no_record_is_kept_as_it_is() {
    let longest = vec![3; usize::from(u16::MAX)];
    let records = [vec![], vec![1], vec![0; 25], vec![9; 64], longest];
    for record in &records {
        assert_eq!(
            there_and_back(std::slice::from_ref(record)),
            3 + record.len()
        );
    }
    there_and_back(&records);
    // One that ends within its payload.
    for (kind, words) in KINDS {
        let mut short = record(kind, words, 5, 0);
        short.pop();
        assert_eq!(
            there_and_back(std::slice::from_ref(&short)),
            3 + short.len()
        );
    }
}

/// Records as random as they can be, of any length; half of them begin like one of a kind.
fn random(rng: &mut Rng, records: usize) -> Vec<Vec<u8>> {
    let mut one = || {
        let len = rng.usize(..330);
        let few = rng.u8(1..);
        let mut record: Vec<u8> = (0..len).map(|_| rng.u8(..) & few).collect();
        if rng.bool() && len > TURNED * WORD {
            record[TURNED * WORD] = rng.u8(..8);
        }
        record
    };
    (0..records).map(|_| one()).collect()
}

#[test]
fn any_bytes_come_back() {
    let mut rng = Rng::with_seed(7);
    for _ in 0..200 {
        there_and_back(&random(&mut rng, 40));
    }
}

/// What checksums would find first: never a panic, never more than was claimed.
#[test]
fn damage_never_unpacks_to_another_length() {
    let mut rng = Rng::with_seed(8);
    let (stored, plain) = encode(&random(&mut rng, 12));
    for cut in 0..stored.len() {
        assert!(
            decoded(&stored[..cut], plain.len()).is_err(),
            "cut at {cut}"
        );
    }
    for bit in 0..stored.len() * 8 {
        let mut damaged = stored.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        if let Ok(content) = decoded(&damaged, plain.len()) {
            assert_eq!(content.len(), plain.len(), "bit {bit}");
        }
    }
    for _ in 0..20_000 {
        let len = rng.usize(..100);
        let bytes: Vec<u8> = (0..len).map(|_| rng.u8(..) & 0x77).collect();
        let claimed = rng.usize(..200);
        let content = decoded(&bytes, claimed);
        assert!(content.is_err() || content.is_ok_and(|it| it.len() == claimed));
    }
}

#[test]
fn what_lies_is_refused() {
    let (task, open) = (RecordKind::OpenTask as u8, RecordKind::FileOpen as u8);
    let cases: [(&str, usize, &[u8]); 9] = [
        ("nothing for something", 1, &[]),
        ("something for nothing", 0, &[0, 0, 0]),
        ("no kind", 58, &[8, 0, 0, 0]),
        ("another first byte than 0", 2, &[0x10, 0, 0]),
        (
            "more bytes than a word has",
            58,
            &[task | 0x90, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
        ),
        (
            "fewer bytes than its shape says",
            58,
            &[task | 0x20, 0, 0, 0, 1],
        ),
        ("no length of what is behind", 59, &[task | 8, 0, 0, 0]),
        (
            "less behind than it says",
            60,
            &[open | 8, 0, 0, 0, 0, 2, 1],
        ),
        ("a length without its record", 6, &[0, 4, 0, 1]),
    ];
    for (what, plain, stored) in cases {
        assert!(decoded(stored, plain).is_err(), "{what}");
    }
    // The same told rightly.
    assert!(decoded(&[task | 0x20, 0, 0, 0, 1, 2], 58).is_ok());
    assert!(decoded(&[open | 8, 0, 0, 0, 0, 2, 1, 2], 68).is_ok());
}

#[test]
fn no_byte_stands_for_more_than_is_believed() {
    let most = KINDS.map(|(_, words)| (2 + words * WORD).div_ceil(shape_len(words)));
    assert_eq!(most.into_iter().max(), Some(MOST_A_BYTE));
    let mut content = Vec::new();
    let claims = decode(&[1; 10], 10 * MOST_A_BYTE + 1, &mut content);
    assert!(claims.is_err());
    assert_eq!(content.capacity(), 0, "no room was made for it");
}
