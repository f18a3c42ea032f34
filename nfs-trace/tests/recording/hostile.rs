//! Files made to do harm: each ends in one clear error, soon and in little memory.

use std::time::{Duration, Instant};

use nfs_trace::recording::frame::{
    BYTE_ORDER, Codec, FIRST_MAJOR, Frame, Kind, LARGEST, MAJOR, MINOR, Prologue,
};
use serde_json::{Value, json};
use zerocopy::IntoBytes as _;

use super::{blocks, end, generate, replay_bytes, stderr};

/// A block with these bytes in it.
fn block(kind: u8, codec: Codec, number: u32, records: u32, plain: u32, stored: &[u8]) -> Vec<u8> {
    let frame = Frame::seal(kind, codec, number, records, plain, stored);
    [frame.as_bytes(), stored].concat()
}

fn json_block(kind: Kind, number: u32, value: &Value) -> Vec<u8> {
    let bytes = value.to_string().into_bytes();
    let len = u32::try_from(bytes.len()).expect("small");
    block(kind as u8, Codec::Plain, number, 0, len, &bytes)
}

/// The first bytes and the header, as `change` has them.
fn begin(change: impl FnOnce(&mut Prologue, &mut Value)) -> Vec<u8> {
    let mut prologue = Prologue::new();
    let mut header = serde_json::to_value(generate::header(1)).expect("JSON");
    change(&mut prologue, &mut header);
    [prologue.as_bytes(), &json_block(Kind::Header, 0, &header)].concat()
}

#[test]
fn what_cannot_be_read_is_refused_in_one_line() {
    let cases: Vec<(&str, Vec<u8>, &[&str])> = vec![
        ("empty", Vec::new(), &["no recording", "record -o FILE"]),
        (
            "text",
            b"hello, world; this is no recording".to_vec(),
            &["no recording"],
        ),
        (
            "a major version that never was",
            begin(|it, _| it.major = (FIRST_MAJOR - 1).into()),
            &["format 0.0", "reads 1.x to 2.x"],
        ),
        (
            "a newer major version",
            begin(|it, _| it.major = (MAJOR + 1).into()),
            &["format 3.0", "reads 1.x to 2.x"],
        ),
        (
            "the other byte order",
            begin(|it, _| it.byte_order = BYTE_ORDER.swap_bytes().to_ne_bytes()),
            &["other byte order"],
        ),
        (
            "no byte order",
            begin(|it, _| it.byte_order = [1; 4]),
            &["damaged", "byte order"],
        ),
        (
            "another ABI",
            begin(|_, it| it["session"]["abi_version"] = json!(99)),
            &["ABI version 99"],
        ),
        (
            "a header without a session",
            begin(|_, it| drop(it.as_object_mut().expect("an object").remove("session"))),
            &["header is damaged", "session"],
        ),
        (
            "a header that is too deep",
            begin(|_, it| *it = (0..100).fold(json!(1), |inner, _| json!([inner]))),
            &["header is damaged"],
        ),
        (
            "a million globs",
            begin(|_, it| it["filters"]["path"] = json!(vec!["a"; 1_000_000])),
            &["header is damaged", "filters"],
        ),
        (
            "a glob of a million braces",
            begin(|_, it| it["filters"]["path"] = json!(["{".repeat(1_000_000)])),
            &["header is damaged", "filters"],
        ),
        (
            "filters that are not understood",
            begin(|_, it| it["filters"]["open_path"] = json!(["side\u{1b}ways"])),
            &["side\\x1bways"],
        ),
    ];
    for (what, bytes, words) in cases {
        let output = replay_bytes(&bytes, &[]);
        let said = stderr(&output);
        assert!(
            matches!(output.status.code(), Some(1 | 64)),
            "{what}: {said}"
        );
        assert!(output.stdout.is_empty(), "{what}");
        let lines = said.lines().filter(|line| !line.contains("recorded on"));
        assert_eq!(lines.count(), 1, "{what}: {said}");
        for word in words {
            assert!(said.contains(word), "{what}: no `{word}` in {said}");
        }
    }
}

#[test]
fn a_newer_minor_version_is_read_and_what_it_brings_is_skipped() {
    let mut bytes = begin(|prologue, header| {
        prologue.minor = (MINOR + 1).into();
        header["weather"] = json!("fine");
        header["session"]["moon"] = json!({"phase": 3});
    });
    bytes.extend(block(200, Codec::Plain, 1, 0, 4, b"what"));
    let mut packed = Frame::seal(201, Codec::Lz4, 2, 0, 1 << 24, b"packed somehow");
    packed.codec = 9;
    packed.frame_crc = crc32fast::hash(&packed.as_bytes()[..28]).into();
    bytes.extend([packed.as_bytes(), b"packed somehow"].concat());
    bytes.extend(json_block(Kind::Mounts, 3, &json!([])));
    let footer = json!({"records": 0, "counts": {"records": 0, "stars": 5}, "new": true});
    bytes.extend(json_block(Kind::Footer, 4, &footer));
    let output = replay_bytes(&bytes, &["--format", "json"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(end(&output).get("unread").is_none());
}

/// Blocks with right checksums and wrong content: one after the other, and what is behind them
/// is read all the same.
#[test]
fn a_block_that_lies_is_left_out() {
    let (whole, at) = blocks(&generate::header(1), 1, 10);
    let records = Kind::Records as u8;
    let huge = u32::try_from(LARGEST + 1).expect("32 bits");
    let bomb = lz4_flex::block::compress(&vec![0; LARGEST]);
    let overrun = [5_u16.to_le_bytes().as_slice(), b"abc"].concat();
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("a length beyond all", {
            let mut frame = Frame::seal(records, Codec::Plain, 1, 1, huge, b"");
            frame.stored = u32::MAX.into();
            let crc = crc32fast::hash(&frame.as_bytes()[..28]);
            frame.frame_crc = crc.into();
            frame.as_bytes().to_vec()
        }),
        (
            "unpacks to more than is allowed",
            block(records, Codec::Lz4, 1, 1, huge, &bomb),
        ),
        (
            "unpacks to more than it says",
            block(records, Codec::Lz4, 1, 1, 1000, &bomb),
        ),
        (
            "unpacks to less than it says",
            block(records, Codec::Lz4, 1, 1, 200, b"\x10a"),
        ),
        (
            "claims more than can be",
            block(records, Codec::Lz4, 1, 1, 1 << 24, b"\x10a"),
        ),
        (
            "does not unpack",
            block(records, Codec::Lz4, 1, 1, 1000, b"\xff\xff\xff\xff"),
        ),
        (
            "records that unpack to more than is allowed",
            block(records, Codec::Delta, 1, 1, huge, &vec![1; LARGEST / 4]),
        ),
        (
            "records that unpack to more than it says",
            block(records, Codec::Delta, 1, 2, 58, &[1, 0, 0, 0, 1, 0, 0, 0]),
        ),
        (
            "records that unpack to less than it says",
            block(records, Codec::Delta, 1, 1, 59, &[1, 0, 0, 0]),
        ),
        (
            "records that claim more than can be",
            block(records, Codec::Delta, 1, 1, 1 << 24, &[1, 0, 0, 0]),
        ),
        (
            "a word of more bytes than it has",
            block(records, Codec::Delta, 1, 1, 58, &[0xf1; 100]),
        ),
        (
            "a record that ends within a word",
            block(records, Codec::Delta, 1, 1, 58, &[0x11, 0, 0, 0]),
        ),
        (
            "JSON that is packed as records are",
            block(Kind::Counts as u8, Codec::Delta, 1, 0, 58, &[1, 0, 0, 0]),
        ),
        ("two lengths", block(records, Codec::Plain, 1, 1, 7, b"abc")),
        (
            "a record beyond the block",
            block(records, Codec::Plain, 1, 1, 5, &overrun),
        ),
        (
            "more records than there are",
            block(records, Codec::Plain, 1, 9, 2, b"\0\0"),
        ),
        (
            "fewer records than there are",
            block(records, Codec::Plain, 1, 0, 2, b"\0\0"),
        ),
        (
            "no JSON",
            block(Kind::Counts as u8, Codec::Plain, 1, 0, 3, b"{]}"),
        ),
        (
            "not this JSON",
            json_block(Kind::Resumption, 1, &json!({"session": 5})),
        ),
        ("a second header", json_block(Kind::Header, 1, &json!({}))),
        (
            "counts below zero",
            json_block(Kind::Counts, 1, &json!({"records": -1})),
        ),
    ];
    for (what, lie) in cases {
        // The block of records behind it is the one that was there, with its own number.
        let bytes = [&whole[..at[1]], &lie[..], &whole[at[1]..]].concat();
        let output = replay_bytes(&bytes, &["--format", "json"]);
        assert_eq!(output.status.code(), Some(1), "{what}: {}", stderr(&output));
        let end = end(&output);
        assert!(end["unread"]["places"].as_u64() >= Some(1), "{what}: {end}");
        assert!(end["unread"]["places"].as_u64() <= Some(2), "{what}: {end}");
    }
}

#[test]
fn counts_beyond_all_are_no_panic() {
    let all = u64::MAX;
    let counts = json!({
        "open_elsewhere": all, "lookup_elsewhere": all, "records": all, "returns": all,
        "skipped": all, "children": all, "running_at_start": all, "running_at_end": all,
        "lost_by_cpu": {"4294967295": all}, "programs": {"x\u{1b}": {"hits": all, "lost": all}},
    });
    let mut bytes = begin(|_, header| {
        header["session"]["clock_offset_ns"] = json!(i64::MIN);
        header["session"]["armed_ns"] = json!(all);
        header["session"]["startup_ms"] = json!({"facts": all, "attach": all, "verify": all});
        header["part"] = json!(u32::MAX);
    });
    let session = serde_json::to_value(generate::header(1).session).expect("JSON");
    let back = json!({"session": session, "unseen_ms": all, "mounts": []});
    for number in 0..2 {
        bytes.extend(json_block(Kind::Interruption, 1 + 2 * number, &counts));
        bytes.extend(json_block(Kind::Resumption, 2 + 2 * number, &back));
    }
    let footer = json!({"records": 0, "continues": true, "counts": counts});
    bytes.extend(json_block(Kind::Footer, 5, &footer));
    for format in ["json", "text"] {
        let output = replay_bytes(&bytes, &["--format", format]);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        assert!(!stderr(&output).contains('\x1b'));
    }
    let output = replay_bytes(&bytes, &["--format", "json"]);
    assert_eq!(end(&output)["rpcs"]["open_elsewhere"], json!(all));
}

/// A thousand damaged places are not a thousand lines.
#[test]
fn many_damaged_places_are_few_lines() {
    let (mut bytes, at) = blocks(&generate::header(1), 1_000, 3);
    for block in &at[1..=1_000] {
        bytes[block + 33] ^= 1;
    }
    let output = replay_bytes(&bytes, &["--format", "json"]);
    assert!(stderr(&output).lines().count() < 30, "{}", stderr(&output));
    assert!(
        stderr(&output).contains("980 more damaged places"),
        "{}",
        stderr(&output)
    );
    assert_eq!(end(&output)["unread"]["records"], 3_000);
}

/// 8 MiB of what looks like the beginning of a block a million times.
#[test]
fn what_only_looks_like_blocks_takes_no_age() {
    let mut bytes = begin(|_, _| {});
    bytes.extend(b"\xf5NFB\x02\x01\0\0".repeat(1 << 20));
    let started = Instant::now();
    let output = replay_bytes(&bytes, &["--format", "json"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(end(&output)["unread"]["places"], 1);
    // Not a measurement: it would take hours if each place was read to the end.
    assert!(started.elapsed() < Duration::from_secs(120));
}
