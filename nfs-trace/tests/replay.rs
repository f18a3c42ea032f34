//! Recorded event bytes through the whole of user space, against golden output: no
//! kernel, no root. `UPDATE_EXPECT=1` rewrites the golden files; read their diff.
//!
//! The recordings in tests/data are real: `cargo xtask lab run --capture DIR` made them.

mod shared;

use std::{
    fs,
    path::{Path, PathBuf},
};

use jiff::tz::TimeZone;
use nfs_trace::{
    pipeline::{Pipeline, Show},
    recording::{Item, Reader},
    render::{
        Render,
        json::Json,
        text::{Style, Text},
    },
    session::Session,
    sink::Sink as _,
    summary::KernelCounts,
};

use shared::Shared;

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data")
}

fn recordings() -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(data())
        .expect("tests/data")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|end| end == "nfst"))
        .collect();
    files.sort();
    assert!(files.len() >= 6, "the recordings are gone: {files:?}");
    files
}

fn replay(session: Session, records: &[Vec<u8>], render: Box<dyn Render>) {
    let pipeline = Pipeline::start(session, Show::default(), render).expect("start");
    let mut pipeline = Box::new(pipeline);
    for record in records {
        pipeline.record(record, &mut ()).expect("a record");
    }
    pipeline
        .finish(KernelCounts::default(), &mut ())
        .expect("the end");
}

fn as_text(session: Session, records: &[Vec<u8>]) -> String {
    let (rows, notes) = (Shared::default(), Shared::default());
    let style = Style {
        width: None,
        colour: false,
        steps: true,
        zone: TimeZone::UTC,
    };
    replay(
        session,
        records,
        Box::new(Text::new(rows.clone(), notes.clone(), style)),
    );
    format!(
        "{}--- stderr\n{}",
        String::from_utf8(rows.bytes()).expect("UTF-8"),
        String::from_utf8(notes.bytes()).expect("UTF-8")
    )
}

fn as_json(session: Session, records: &[Vec<u8>]) -> String {
    let rows = Shared::default();
    replay(session, records, Box::new(Json::new(rows.clone())));
    String::from_utf8(rows.bytes()).expect("UTF-8")
}

fn check(file: &Path, extension: &str, found: &str) {
    let golden = file.with_extension(extension);
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        fs::write(&golden, found).expect("the golden file");
        return;
    }
    let expected = fs::read_to_string(&golden).unwrap_or_default();
    assert!(
        expected == found,
        "{} differs (UPDATE_EXPECT=1 rewrites it)\n--- expected\n{expected}\n--- found\n{found}",
        golden.display()
    );
}

fn read(file: &Path) -> (Session, Vec<Vec<u8>>) {
    let mut reader = Reader::new(fs::File::open(file).expect("the recording"));
    let mut session = None;
    let mut all = Vec::new();
    while let Some(item) = reader.read().expect("a recording") {
        match item {
            Item::Begin(header) => session = Some(header.session),
            Item::Records(records) => all.extend(records.map(<[u8]>::to_vec)),
            Item::End(footer) => assert_eq!(footer.records, all.len() as u64),
            other => panic!("{}: {other:?}", file.display()),
        }
    }
    (session.expect("a header"), all)
}

#[test]
fn recorded_bytes_give_the_golden_output() {
    for file in recordings() {
        let (session, records) = read(&file);
        check(&file, "txt", &as_text(session.clone(), &records));
        check(&file, "jsonl", &as_json(session, &records));
    }
}

/// Exercises every way to lose one record: the path it belongs to is marked, and no
/// other path changes its class.
#[test]
fn a_lost_record_is_never_a_wrong_answer() {
    for file in recordings() {
        let (session, records) = read(&file);
        let whole = rows(&as_json(session.clone(), &records));
        for lost in 0..records.len() {
            let mut rest = records.clone();
            let is_last = lost + 1 == rest.len();
            rest.remove(lost);
            let found = rows(&as_json(session.clone(), &rest));
            let marked = found.iter().filter(|row| row["complete"] == false).count();
            // With the last record of all, nothing tells of the loss but the counters.
            assert!(
                marked > 0 || is_last,
                "{}: record {lost} lost unseen",
                file.display()
            );
            for row in found.iter().filter(|row| row["complete"] == true) {
                let same = whole.iter().any(|other| {
                    [
                        "ts_ns",
                        "open_path",
                        "name_check",
                        "result",
                        "claim",
                        "rpcs",
                    ]
                    .iter()
                    .all(|key| row[*key] == other[*key])
                });
                assert!(
                    same,
                    "{}: record {lost} lost, and {row} is new",
                    file.display()
                );
            }
        }
    }
}

fn rows(json: &str) -> Vec<serde_json::Value> {
    json.lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON"))
        .filter(|value| value["type"] == "open")
        .collect()
}
