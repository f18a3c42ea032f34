//! What is left of a recording that is damaged: never a panic, never something wrong, and what
//! is missing is said.

use std::{fs, io};

use nfs_trace::recording::{Item, Reader, Refusal};
use serde_json::Value;

use super::{blocks, end, generate, lines, replay_bytes, stderr, stdout};

/// What the reader makes of some bytes.
#[derive(Debug, Default)]
struct Seen {
    records: Vec<Vec<u8>>,
    damaged: u64,
    whole: bool,
}

/// Nothing if it cannot be read at all, which is said.
fn read(bytes: &[u8]) -> Option<Seen> {
    let mut reader = Reader::new(bytes);
    let mut seen = Seen::default();
    loop {
        match reader.read() {
            Ok(Some(Item::Records(records))) => {
                seen.records.extend(records.map(<[u8]>::to_vec));
            }
            Ok(Some(Item::Damage(damage))) => {
                assert!(damage.at + damage.bytes <= bytes.len() as u64);
                seen.damaged += 1;
            }
            Ok(Some(Item::End(_))) => seen.whole = seen.damaged == 0,
            Ok(Some(_)) => {}
            Ok(None) => return Some(seen),
            Err(error) => {
                assert!(!error.to_string().is_empty());
                return None;
            }
        }
    }
}

/// Whether one is what is left of the other.
fn is_part(part: &[Vec<u8>], whole: &[Vec<u8>]) -> bool {
    let mut whole = whole.iter();
    part.iter().all(|one| whole.any(|other| other == one))
}

#[test]
fn cut_anywhere_it_is_read_up_to_there() {
    let (bytes, at) = blocks(&generate::header(1), 5, 7);
    let all = read(&bytes).expect("a recording");
    assert!(all.whole && all.records.len() == 35);
    for len in 0..bytes.len() {
        let Some(seen) = read(&bytes[..len]) else {
            assert!(len < at[1], "cut at {len}: nothing is read");
            continue;
        };
        assert!(!seen.whole, "cut at {len}: it is whole");
        let blocks = at[1..].iter().filter(|end| **end <= len).count() - 1;
        assert_eq!(
            seen.records,
            all.records[..7 * blocks.min(5)],
            "cut at {len}"
        );
    }
}

/// An input that comes in drops, with signals in between, and fails at its end.
struct Dripping<'a>(&'a [u8], usize);

impl io::Read for Dripping<'_> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        self.1 += 1;
        if self.1.is_multiple_of(3) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        if self.0.is_empty() {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        let len = room.len().min(self.1 % 5 + 1).min(self.0.len());
        let (now, later) = self.0.split_at(len);
        room[..len].copy_from_slice(now);
        self.0 = later;
        Ok(len)
    }
}

#[test]
fn an_input_may_come_in_drops_and_fail() {
    let (bytes, _) = blocks(&generate::header(1), 5, 7);
    let mut reader = Reader::new(Dripping(&bytes, 0));
    let mut records = Vec::new();
    let mut ended = false;
    let error = loop {
        match reader.read() {
            Ok(Some(Item::Records(block))) => records.extend(block.map(<[u8]>::to_vec)),
            Ok(Some(Item::Damage(damage))) => panic!("{damage:?}"),
            Ok(Some(Item::End(_))) => ended = true,
            Ok(Some(_)) => {}
            Ok(None) => panic!("it is not over"),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, Refusal::Io(_)), "{error}");
    assert!(ended);
    assert_eq!(records, read(&bytes).expect("a recording").records);
}

#[test]
fn cut_through_the_program_it_is_said() {
    let (bytes, at) = blocks(&generate::header(1), 5, 7);
    for (len, records, words) in [
        (at[3], 14, &["has no end", "byte"][..]),
        (at[3] + 5, 14, &["ends inside a block"]),
        (at[3] + 40, 14, &["ends inside a block", "7 records"]),
        (at[6], 35, &["has no end"]),
    ] {
        let output = replay_bytes(&bytes[..len], &["--format", "json"]);
        assert_eq!(output.status.code(), Some(1), "{len}");
        let said = stderr(&output);
        for words in words {
            assert!(said.contains(words), "cut at {len}: no `{words}` in {said}");
        }
        assert_eq!(end(&output)["events"], records, "cut at {len}");
        assert_eq!(end(&output)["unread"]["no_end"], true);
    }
    for len in [0, 5, 15, 16, 40, at[1] - 1] {
        let output = replay_bytes(&bytes[..len], &["--format", "json"]);
        assert_eq!(output.status.code(), Some(1), "{len}");
        assert_eq!(stderr(&output).lines().count(), 1, "{}", stderr(&output));
        assert!(output.stdout.is_empty(), "{len}");
    }
}

/// Exercises every bit of a recording: flipped, it costs at most what it touches.
#[test]
fn a_flipped_bit_is_never_believed() {
    let (bytes, at) = blocks(&generate::header(1), 4, 5);
    let all = read(&bytes).expect("a recording");
    // Of the header's text, not every bit.
    let bits = (0..bytes.len() * 8).filter(|bit| bit % 11 == 0 || !(400..at[1] * 8).contains(bit));
    for bit in bits {
        let mut bytes = bytes.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let Some(seen) = read(&bytes) else {
            assert!(bit / 8 < at[1], "bit {bit}: nothing is read");
            continue;
        };
        // The minor version may be any.
        let is_minor = (10..12).contains(&(bit / 8));
        assert!(!seen.whole || is_minor, "bit {bit} flipped unseen");
        assert!(
            is_part(&seen.records, &all.records),
            "bit {bit}: other records"
        );
        let kept = if is_minor { 20 } else { 15 };
        assert!(
            seen.records.len() >= kept,
            "bit {bit}: {}",
            seen.records.len()
        );
    }
}

/// A block out of the middle of real recordings: whatever is shown as complete is true.
#[test]
fn a_damaged_block_is_never_a_wrong_answer() {
    let data = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data");
    let mut tried = 0;
    for entry in fs::read_dir(data).expect("the recordings") {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|end| end != "nfst") {
            continue;
        }
        let bytes = fs::read(&path).expect("a recording");
        let whole = lines(
            &stdout(&replay_bytes(&bytes, &["--format", "json"])),
            "open",
        );
        let begins: Vec<usize> = (17..bytes.len() - 4)
            .filter(|at| bytes[*at..].starts_with(b"\xf5NFB"))
            .collect();
        // Behind the last of them comes the footer.
        for block in &begins[..begins.len() - 1] {
            tried += 1;
            let mut damaged = bytes.clone();
            damaged[block + 34] ^= 0x55;
            let output = replay_bytes(&damaged, &["--format", "json"]);
            assert_eq!(output.status.code(), Some(1), "{}", path.display());
            let said = stderr(&output);
            assert!(
                said.contains(&format!("byte {block}: its checksum is wrong")),
                "{said}"
            );
            let unread = &end(&output)["unread"];
            assert_eq!(unread["places"], 1);
            assert!(unread["records"].as_u64() > Some(0) && unread["no_end"] == false);
            for row in lines(&stdout(&output), "open") {
                if row["complete"] == true {
                    let same = |other: &Value| {
                        [
                            "ts_ns",
                            "open_path",
                            "name_check",
                            "result",
                            "claim",
                            "rpcs",
                        ]
                        .iter()
                        .all(|key| row[key] == other[key])
                            && (row["path"].is_null()
                                || row["path"] == other["path"]
                                || row["path"].as_str().is_some_and(|it| it.starts_with("...")))
                    };
                    assert!(whole.iter().any(same), "{}: {row} is new", path.display());
                }
            }
        }
    }
    assert!(tried >= 16, "{tried} blocks");
}

#[test]
fn what_is_behind_damage_is_read_wherever_that_is() {
    let (bytes, at) = blocks(&generate::header(1), 6, 9);
    let records = |bytes: &[u8]| read(bytes).map(|seen| (seen.records.len(), seen.damaged));
    // A frame, a block that is not there, twice the same, bytes between, bytes behind the end.
    let mut frame = bytes.clone();
    frame[at[2]] ^= 1;
    assert_eq!(records(&frame), Some((45, 1)));
    let gone = [&bytes[..at[2]], &bytes[at[4]..]].concat();
    assert_eq!(records(&gone), Some((36, 1)));
    let twice = [&bytes[..at[3]], &bytes[at[2]..]].concat();
    assert_eq!(records(&twice), Some((54, 1)));
    let between = [
        &bytes[..at[3]],
        &b"\xf5NFB rubbish \x89NFST"[..],
        &bytes[at[3]..],
    ]
    .concat();
    assert_eq!(records(&between), Some((54, 1)));
    let behind = [&bytes[..], b"rubbish"].concat();
    assert_eq!(records(&behind), Some((54, 1)));
    assert_eq!(replay_bytes(&behind, &[]).status.code(), Some(1));
}
