//! What `report --perfetto` writes, read without the code that wrote it: the field numbers are those
//! of Perfetto's own definitions.

use std::{collections::HashMap, fs, path::Path, process::Command};

use super::{
    folder,
    names::{NAME, SHOWN, TEXT_SHOWN, no_control, recording_of},
};

/// A field of a message.
enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// The fields of a message, in their order.
fn fields(mut bytes: &[u8]) -> Vec<(u64, Field<'_>)> {
    fn varint(bytes: &mut &[u8]) -> u64 {
        let mut value = 0;
        for shift in (0..70).step_by(7) {
            let (&byte, rest) = bytes.split_first().expect("a varint");
            *bytes = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                break;
            }
        }
        value
    }
    let mut all = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes);
        let field = match key & 7 {
            0 => Field::Number(varint(&mut bytes)),
            1 => {
                let (value, rest) = bytes.split_first_chunk().expect("8 bytes");
                bytes = rest;
                Field::Number(u64::from_le_bytes(*value))
            }
            2 => {
                let length = usize::try_from(varint(&mut bytes)).expect("a length");
                let (value, rest) = bytes.split_at(length);
                bytes = rest;
                Field::Bytes(value)
            }
            other => panic!("wire type {other}"),
        };
        all.push((key >> 3, field));
    }
    all
}

fn numbers(bytes: &[u8], of: u64) -> Vec<u64> {
    let all = fields(bytes).into_iter();
    all.filter_map(|(number, field)| match field {
        Field::Number(value) if number == of => Some(value),
        _ => None,
    })
    .collect()
}

fn messages(bytes: &[u8], of: u64) -> Vec<&[u8]> {
    let all = fields(bytes).into_iter();
    all.filter_map(|(number, field)| match field {
        Field::Bytes(value) if number == of => Some(value),
        _ => None,
    })
    .collect()
}

fn text(bytes: &[u8], of: u64) -> Option<String> {
    let value = messages(bytes, of).first().copied()?;
    Some(String::from_utf8(value.to_vec()).expect("UTF-8"))
}

/// What a trace holds.
#[derive(Default)]
pub(super) struct Found {
    /// Of each track: names of the slices, with how deep they lie.
    pub(super) slices: HashMap<u64, Vec<(usize, String)>>,
    instants: Vec<String>,
    /// Of threads: pid, tid, name.
    pub(super) threads: Vec<(u64, u64, String)>,
    pub(super) flows: usize,
}

/// Reads a trace, and fails if a slice does not end, ends before it begins, is in no track that was
/// told of before, or a flow does not lead anywhere.
fn read(trace: &[u8]) -> Found {
    let mut found = Found::default();
    let mut tracks = Vec::new();
    let mut open: HashMap<u64, Vec<u64>> = HashMap::new();
    let (mut begun, mut ended) = (Vec::new(), Vec::new());
    for packet in messages(trace, 1) {
        assert_eq!(numbers(packet, 10), [1], "trusted_packet_sequence_id");
        for descriptor in messages(packet, 60) {
            tracks.extend(numbers(descriptor, 1));
            for thread in messages(descriptor, 4) {
                let name = text(thread, 5).expect("a name");
                found
                    .threads
                    .push((numbers(thread, 1)[0], numbers(thread, 2)[0], name));
            }
        }
        let at = numbers(packet, 8);
        for event in messages(packet, 11) {
            let (at, track) = (at[0], numbers(event, 11)[0]);
            assert!(tracks.contains(&track), "an unknown track");
            begun.extend(numbers(event, 47));
            ended.extend(numbers(event, 48));
            let stack = open.entry(track).or_default();
            match numbers(event, 9)[..] {
                [1] => {
                    let name = text(event, 23).expect("a name");
                    let slices = found.slices.entry(track).or_default();
                    slices.push((stack.len(), name));
                    assert!(stack.last().is_none_or(|outer| *outer <= at));
                    stack.push(at);
                }
                [2] => {
                    let start = stack.pop().expect("a slice");
                    assert!(start <= at, "it ends before it begins");
                }
                [3] => found.instants.push(text(event, 23).expect("a name")),
                ref other => panic!("type {other:?}"),
            }
        }
    }
    assert!(open.values().all(Vec::is_empty), "a slice does not end");
    assert_eq!(begun, ended, "flows");
    found.flows = begun.len();
    found
}

pub(super) fn perfetto(recording: &Path) -> Found {
    let trace = recording.with_extension("pftrace");
    let trace = folder(&format!("perfetto-{}", recording.display()).replace('/', "-"))
        .join(trace.file_name().expect("a name"));
    let output = Command::new(env!("CARGO_BIN_EXE_nfs-trace"))
        .arg("report")
        .arg(recording)
        .arg("--perfetto")
        .arg(&trace)
        .output()
        .expect("the binary runs");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(output.stdout, b"", "the trace instead of the text");
    read(&fs::read(&trace).expect("the trace"))
}

#[test]
fn opens_are_slices_on_tracks_of_their_tasks_and_replies_are_reached() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let found = perfetto(&data.join("6.1-without-series-noticed-v4.0.nfst"));
    assert_eq!(found.threads.len(), 11);
    assert_eq!(found.threads[0], (133, 133, "sh".into()));
    let opens: Vec<&str> = found
        .slices
        .values()
        .flatten()
        .filter(|(depth, _)| *depth == 0)
        .map(|(_, name)| name.as_str())
        .collect();
    assert_eq!(opens.len(), 11);
    let cached = opens.iter().filter(|it| **it == "CACHED /mnt/report.csv");
    assert_eq!(cached.count(), 6);
    // Five OPENs were sent.
    assert_eq!(found.flows, 5);
    assert_eq!(found.instants, ["reply to OPEN NULL: ok"; 5]);
    let wait = (3, "wait for the reply".to_owned());
    let waits = found.slices.values().flatten().filter(|it| **it == wait);
    assert_eq!(waits.count(), 5);
}

#[test]
fn every_recording_makes_a_sound_trace() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let mut count = 0;
    for entry in fs::read_dir(data).expect("tests/data") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|end| end == "nfst") {
            assert!(!perfetto(&path).slices.is_empty());
            count += 1;
        }
    }
    assert!(count >= 6);
}

#[test]
fn names_are_shown_escaped() {
    let recording = folder("perfetto-names").join("names.nfst");
    fs::write(&recording, recording_of(NAME)).expect("written");
    let found = perfetto(&recording);
    let (_, name) = &found.slices.values().next().expect("a track")[0];
    assert!(name.ends_with(&format!("/{TEXT_SHOWN}/{SHOWN}")), "{name}");
    let (.., comm) = &found.threads[0];
    no_control(name);
    no_control(comm);
}
