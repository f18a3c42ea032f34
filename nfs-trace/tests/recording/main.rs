//! Recordings from outside: what is written is shown again, damage is said and never believed,
//! and no file makes the program panic, hang or grow.

mod damaged;
mod diff;
#[path = "../../examples/generate.rs"]
mod generate;
mod hostile;
mod memory;
mod names;
mod packing;
mod perfetto;
mod reload;
mod report;
#[path = "../shared/mod.rs"]
mod shared;
mod whole;

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use nfs_trace::recording::{Header, Writer};
use serde_json::Value;
use shared::Shared;

/// A directory of a test's own, empty.
fn folder(test: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(test);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("a folder");
    folder
}

/// `nfs-trace replay` with these arguments.
fn replay(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_nfs-trace"))
        .arg("replay")
        .args(arguments)
        .output()
        .expect("the binary runs")
}

/// The same of these bytes, through a pipe.
fn replay_bytes(bytes: &[u8], arguments: &[&str]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_nfs-trace"))
        .args(["replay", "-"])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let mut stdin = child.stdin.take().expect("a pipe");
    let bytes = bytes.to_vec();
    // It may have seen enough before it has seen all.
    let writer = std::thread::spawn(move || drop(stdin.write_all(&bytes)));
    let output = child.wait_with_output().expect("an end");
    writer.join().expect("written");
    output
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}

fn stderr(output: &Output) -> String {
    let text = String::from_utf8(output.stderr.clone()).expect("UTF-8");
    assert!(!text.contains("panicked"), "{text}");
    text
}

/// The lines of `--format json` of this type.
fn lines(json: &str, of: &str) -> Vec<Value> {
    json.lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"))
        .filter(|line| line["type"] == of)
        .collect()
}

fn end(output: &Output) -> Value {
    lines(&stdout(output), "end").pop().expect("an end line")
}

/// A recording of so many blocks of so many records, and where each block begins: that of the
/// header, then those of records, then that of the footer; and the end.
fn blocks(header: &Header, blocks: u64, records: u64) -> (Vec<u8>, Vec<usize>) {
    let out = Shared::default();
    let mut writer = Writer::new(out.clone(), header).expect("a header");
    let mut at = vec![16];
    let mut number = 0;
    generate::records(11, blocks * records, |record| {
        if number % records == 0 {
            writer.flush()?;
            at.push(out.0.borrow().len());
        }
        number += 1;
        writer.record(record)
    })
    .expect("records");
    writer.flush().expect("written");
    at.push(out.0.borrow().len());
    writer
        .finish(nfs_trace::summary::KernelCounts::default(), false)
        .expect("an end");
    let bytes = out.bytes();
    at.push(bytes.len());
    (bytes, at)
}
