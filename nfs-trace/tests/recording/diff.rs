//! Two recordings, one of which is damaged, in parts, or full of odd names: never a silent "same".

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use nfs_trace::recording::{Output as Into, Parts};
use nfs_trace::summary::KernelCounts;
use serde_json::Value;

use super::{folder, generate, names, stderr, stdout};

fn diff(before: &Path, after: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_nfs-trace"))
        .arg("diff")
        .args([before, after])
        .args(arguments)
        .output()
        .expect("the binary runs")
}

fn document(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// A real one, cut anywhere, and with a bit flipped anywhere.
#[test]
fn what_is_cut_short_or_damaged_is_never_the_same() {
    let folder = folder("diff-damaged");
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let whole = data.join("6.1-stock-rename-over-v4.0.nfst");
    let bytes = fs::read(&whole).expect("the recording");
    assert_eq!(diff(&whole, &whole, &[]).status.code(), Some(0));
    let other = folder.join("other.nfst");
    let mut read = 0;
    for at in (20..bytes.len()).step_by(101) {
        let mut flipped = bytes.clone();
        flipped[at] ^= 4;
        for bytes in [&bytes[..at], &flipped] {
            fs::write(&other, bytes).expect("written");
            for (before, after, side) in [(&whole, &other, "before"), (&other, &whole, "after")] {
                let output = diff(before, after, &["--format", "json"]);
                assert!(
                    stderr(&output).contains("other.nfst"),
                    "{}",
                    stderr(&output)
                );
                if output.status.code() == Some(66) {
                    assert!(output.stdout.is_empty());
                    continue;
                }
                let found = document(&output);
                assert_eq!(
                    output.status.code(),
                    Some(3),
                    "{at}: {}",
                    found["conclusion"]
                );
                assert_eq!(found["verdict"], "inconclusive");
                assert_eq!(found[side]["doubts"], Value::from([""; 0]));
                let side = if side == "before" { "after" } else { "before" };
                assert_ne!(found[side]["doubts"], Value::from([""; 0]), "{at}");
                read += 1;
            }
        }
    }
    assert!(read > 50, "{read}");
}

#[test]
fn the_parts_of_a_recording_are_read_by_its_name() {
    let folder = folder("diff-parts");
    let name = folder.join("opens");
    let into = Into {
        path: name.clone(),
        rotate: Some(1 << 20),
        max_files: None,
    };
    let mut parts = Parts::create(into, generate::header(3)).expect("a file");
    let whole = folder.join("whole.nfst");
    let mut single = Parts::create(Into::single(&whole), generate::header(3)).expect("a file");
    generate::records(3, 80_000, |record| {
        parts.make_room()?;
        parts.record(record)?;
        single.record(record)
    })
    .expect("records");
    parts.finish(KernelCounts::default()).expect("an end");
    assert!(nfs_trace::recording::part_name(&name, 2).exists());
    single.finish(KernelCounts::default()).expect("an end");
    let output = diff(&name, &whole, &["--format", "json"]);
    let found = document(&output);
    assert_eq!(output.status.code(), Some(0), "{}", found["conclusion"]);
    assert!(
        found["counts"]["same"].as_u64() > Some(10_000),
        "{}",
        found["counts"]
    );
    // A part alone is not the whole, and says so.
    let first = nfs_trace::recording::part_name(&name, 1);
    let output = diff(&first, &whole, &["--format", "json"]);
    assert_eq!(
        output.status.code(),
        Some(3),
        "{}",
        document(&output)["conclusion"]
    );
    let doubts = document(&output)["before"]["doubts"].to_string();
    assert!(doubts.contains("later parts"), "{doubts}");
}

#[test]
fn odd_names_are_shown_escaped() {
    let folder = folder("diff-names");
    let odd = folder.join("a\n\x1b[31m.nfst");
    fs::write(&odd, names::recording()).expect("written");
    for format in ["text", "json"] {
        let output = diff(&odd, &odd, &["--all", "--format", format]);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        let out = stdout(&output);
        names::no_control(&out);
        names::no_control(&stderr(&output));
        let shown = match format {
            "json" => names::SHOWN.replace('\\', "\\\\").replace('"', "\\\""),
            _ => names::SHOWN.to_owned(),
        };
        assert!(out.contains(&shown), "{out}");
        let lines = if format == "json" { 1 } else { 8 };
        assert_eq!(out.lines().count(), lines, "{out}");
    }
}
