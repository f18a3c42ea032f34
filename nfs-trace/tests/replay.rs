//! Recorded event bytes through the whole of user space, against golden output: no
//! kernel, no root. `UPDATE_EXPECT=1` rewrites the golden files; read their diff.
//!
//! The captures in tests/data are real: `cargo xtask lab run --capture DIR` made them.

use std::{
    cell::RefCell,
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    rc::Rc,
};

use bytes::Bytes;
use jiff::tz::TimeZone;
use nfs_trace::{
    capture,
    pipeline::{Nothing, Pipeline, Show},
    render::{
        Render,
        json::Json,
        text::{Style, Text},
    },
    session::Session,
    summary::KernelCounts,
};

/// A writer whose bytes can be read after the renderer has taken it.
#[derive(Clone, Default)]
struct Shared(Rc<RefCell<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Shared {
    fn text(&self) -> String {
        String::from_utf8(self.0.borrow().clone()).expect("UTF-8")
    }
}

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data")
}

fn captures() -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(data())
        .expect("tests/data")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|end| end == "cap"))
        .collect();
    files.sort();
    assert!(files.len() >= 6, "the captures are gone: {files:?}");
    files
}

fn replay(session: Session, records: &[Bytes], render: Box<dyn Render>) {
    let mut pipeline = Pipeline::start(session, Show::default(), render).expect("start");
    for record in records {
        pipeline.record(record, &mut Nothing).expect("a record");
    }
    pipeline
        .finish(KernelCounts::default(), &mut Nothing)
        .expect("the end");
}

fn as_text(session: Session, records: &[Bytes]) -> String {
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
    format!("{}--- stderr\n{}", rows.text(), notes.text())
}

fn as_json(session: Session, records: &[Bytes]) -> String {
    let rows = Shared::default();
    replay(session, records, Box::new(Json::new(rows.clone())));
    rows.text()
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

fn read(file: &Path) -> (Session, Vec<Bytes>) {
    let bytes = Bytes::from(fs::read(file).expect("the capture"));
    capture::read(bytes).unwrap_or_else(|error| panic!("{}: {error:#}", file.display()))
}

#[test]
fn recorded_bytes_give_the_golden_output() {
    for file in captures() {
        let (session, records) = read(&file);
        check(&file, "txt", &as_text(session.clone(), &records));
        check(&file, "jsonl", &as_json(session, &records));
    }
}

/// Exercises every way to lose one record: the path it belongs to is marked, and no
/// other path changes its class.
#[test]
fn a_lost_record_is_never_a_wrong_answer() {
    for file in captures() {
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

#[test]
fn a_capture_cut_anywhere_is_an_error_or_shorter() {
    let file = &captures()[0];
    let bytes = fs::read(file).expect("the capture");
    let (_, all) = read(file);
    for len in 0..bytes.len() {
        if let Ok((_, records)) = capture::read(Bytes::from(bytes[..len].to_vec())) {
            assert!(records.len() < all.len(), "cut at {len}");
        }
    }
}
