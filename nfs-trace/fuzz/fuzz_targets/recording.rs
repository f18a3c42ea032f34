//! Any bytes as a recording: as they are, and as the content of blocks whose checksums are right,
//! which no chance would find. And as records that are recorded: the same are read again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use nfs_trace::recording::{
    Header, Item, Reader, Writer,
    frame::{Codec, Frame, Kind, LARGEST, Prologue},
};
use zerocopy::IntoBytes as _;

/// Reads to the end, whatever comes. Returns whether it is a recording at all.
fn read(bytes: &[u8]) -> bool {
    let mut reader = Reader::new(bytes);
    let mut begun = false;
    let mut left_out = 0;
    while let Ok(Some(item)) = reader.read() {
        match item {
            Item::Begin(_) => begun = true,
            Item::Records(records) | Item::Known(records) => {
                for record in records {
                    assert!(record.len() <= LARGEST);
                }
            }
            Item::Damage(damage) => {
                assert!(damage.at + damage.bytes <= bytes.len() as u64);
                left_out += damage.bytes;
            }
            _ => {}
        }
    }
    assert!(left_out <= bytes.len() as u64);
    begun
}

/// A header that is understood: nothing is read behind another.
const HEADER: &[u8] = br#"{"recording":"a","part":1,"architecture":"x86_64","command_line":[],
    "filters":{},"session":{"abi_version":1,"version":"0","kernel":"6.1","transport":"ring",
    "layout":"btf","probes":{},"lookup_flags":{"open":256,"rcu":64,"reval":32},
    "mounts":[],"clock_offset_ns":0,"armed_ns":0,
    "startup_ms":{"facts":0,"attach":0,"verify":0}}}"#;

/// Blocks of what is given: kind, codec, number (as far from the right one), records, two bytes for
/// the length of the content, and two for what it is to stand for (of LZ4, times 64).
fn blocks(mut bytes: &[u8]) -> Vec<u8> {
    let mut file = Prologue::new().as_bytes().to_vec();
    let len = HEADER.len() as u32;
    let header = Frame::seal(Kind::Header as u8, Codec::Plain, 0, 0, len, HEADER);
    file.extend_from_slice(header.as_bytes());
    file.extend_from_slice(HEADER);
    let mut next = 1_u32;
    while let Some(([kind, codec, number, records, l0, l1, p0, p1], rest)) =
        bytes.split_first_chunk()
    {
        let len = usize::from(u16::from_le_bytes([*l0, *l1])).min(rest.len());
        let (stored, rest) = rest.split_at(len);
        let claimed = u32::from(u16::from_le_bytes([*p0, *p1]));
        let (codec, plain) = match codec % 4 {
            0 => (Codec::Plain, len as u32),
            1 => (Codec::Lz4, claimed * 64),
            2 => (Codec::Delta, claimed),
            _ => (Codec::Plain, u32::from(*p0)),
        };
        let (number, records) = (next.wrapping_add(u32::from(*number)), u32::from(*records));
        next = next.wrapping_add(1);
        let frame = Frame::seal(*kind, codec, number, records, plain, stored);
        file.extend_from_slice(frame.as_bytes());
        file.extend_from_slice(stored);
        bytes = rest;
    }
    file
}

/// Records, each behind one byte with its length, through a recording.
fn there_and_back(mut bytes: &[u8]) {
    let header: Header = serde_json::from_slice(HEADER).expect("a header");
    let mut file = Vec::new();
    let mut writer = Writer::new(&mut file, &header).expect("memory");
    let mut given = Vec::new();
    while let Some((len, rest)) = bytes.split_first() {
        let (record, rest) = rest.split_at(rest.len().min(usize::from(*len)));
        writer.record(record).expect("memory");
        given.push(record);
        bytes = rest;
    }
    writer.flush().expect("memory");
    drop(writer);
    let mut reader = Reader::new(&file[..]);
    let mut given = given.into_iter();
    while let Some(item) = reader.read().expect("what was written") {
        match item {
            Item::Records(records) => {
                for record in records {
                    assert_eq!(given.next(), Some(record));
                }
            }
            Item::Damage(damage) => panic!("{damage:?}"),
            _ => {}
        }
    }
    assert_eq!(given.next(), None);
}

fuzz_target!(|bytes: &[u8]| {
    there_and_back(bytes);
    read(bytes);
    let begun = read(&blocks(bytes));
    assert!(begun, "the header is not understood");
});
