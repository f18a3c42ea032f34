//! Memory does not grow with the recording, whatever is in it.

use std::{
    fs,
    io::{BufWriter, Read as _, Write as _},
    process::{Child, ChildStdin, Command, Stdio},
    thread,
};

use nfs_trace::recording::{Stack, Writer};
use nfs_trace_ebpf::abi::{FLAG_FIRST, Lookup, Name, RecordHeader, RecordKind};
use zerocopy::IntoBytes as _;

use super::generate::{self, Shape};

/// Most that a replay of opens may take, in KiB, however many of however many files. Its tables are
/// full after a fifth of the records; the names that come after that would be more by themselves.
const LONG_PEAK_KIB: u64 = 64 << 10;

/// Most that a replay of anything may take.
const PEAK_KIB: u64 = 96 << 10;

/// Most that a report may take.
const REPORT_PEAK_KIB: u64 = 256 << 10;

/// Feeds a replay through a pipe, and looks how large it got before it is told the end. Returns
/// KiB, and what it printed last.
fn peak(command: &str, feed: impl FnOnce(&mut BufWriter<ChildStdin>)) -> (u64, String) {
    let mut child: Child = Command::new(env!("CARGO_BIN_EXE_nfs-trace"))
        .args([command, "-", "--format", "json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary runs");
    let mut stdin = BufWriter::new(child.stdin.take().expect("a pipe"));
    let mut stdout = child.stdout.take().expect("a pipe");
    let reader = thread::spawn(move || {
        let mut end = Vec::new();
        let mut buffer = vec![0; 1 << 16];
        loop {
            match stdout.read(&mut buffer).expect("its output") {
                0 => return String::from_utf8_lossy(&end).into_owned(),
                len => {
                    end.extend_from_slice(&buffer[..len]);
                    let keep = end.len().saturating_sub(4096);
                    end.drain(..keep);
                }
            }
        }
    });
    feed(&mut stdin);
    stdin.flush().expect("it reads");
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).expect("its status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak = line.and_then(|line| line.trim().strip_suffix(" kB"));
    let peak = peak.and_then(|kib| kib.trim().parse().ok()).expect("VmHWM");
    drop(stdin);
    child.wait().expect("an end");
    (peak, reader.join().expect("read"))
}

/// A million files, many more than are remembered. `cargo xtask cost --memory` does it with a hundred
/// million records.
#[test]
fn a_long_recording_takes_no_more_memory_than_a_short_one() {
    let events = 2_000_000;
    let shape = Shape {
        files: 1_000_000,
        ..Shape::default()
    };
    let (peak, end) = peak("replay", |out| {
        generate::generate_of(shape, 3, events, out).expect("it reads");
    });
    assert!(end.contains(&format!("\"events\":{events}")), "{end}");
    eprintln!("{events} records: at most {peak} KiB");
    assert!(peak < LONG_PEAK_KIB, "{peak} KiB");
}

/// More than a report remembers, of names, files and processes.
#[test]
fn a_report_of_a_long_recording_takes_no_more_memory() {
    let (peak, end) = peak("report", |out| {
        generate::generate(3, 600_000, out).expect("it reads");
    });
    assert!(end.contains("\"events\":600000"), "{end}");
    assert!(end.contains("\"names_forgotten\":"), "{end}");
    eprintln!("a report of 600000 records: at most {peak} KiB");
    assert!(peak < REPORT_PEAK_KIB, "{peak} KiB");
}

/// LOOKUPs of many threads, inside calls that never return.
#[test]
fn calls_that_never_return_take_no_more_memory() {
    let (peak, end) = peak("replay", |out| {
        let mut writer = Writer::new(out, &generate::header(3)).expect("it reads");
        for seq in 0..600_u16 {
            for tid in 0..4_000 {
                let header = RecordHeader {
                    start_ns: 1,
                    end_ns: 2,
                    tid,
                    tgid: tid,
                    kind: RecordKind::Lookup as u8,
                    flags: if seq == 0 { FLAG_FIRST } else { 0 },
                    seq,
                    dev: 45,
                };
                let lookup = Lookup {
                    ret: 0,
                    reserved: 0,
                };
                let record = [header.as_bytes(), lookup.as_bytes()].concat();
                writer.record(&record).expect("it reads");
            }
        }
        writer.flush().expect("it reads");
    });
    assert!(end.contains("\"events\":2400000"), "{end}");
    eprintln!("calls that never return: at most {peak} KiB");
    assert!(peak < PEAK_KIB, "{peak} KiB");
}

/// Stacks of 8 MiB that pack to nothing, and names as long as a record can be: 200 MiB of each.
#[test]
fn blocks_that_unpack_to_a_lot_take_no_more_memory() {
    let (peak, end) = peak("replay", |out| {
        let mut writer = Writer::new(out, &generate::header(3)).expect("it reads");
        for id in 0..26 {
            let frames = vec!["f".repeat(1 << 10); 8 << 10];
            writer.stack(&Stack { id, frames }).expect("it reads");
        }
        for dentry in 0..3_400_u64 {
            let header = RecordHeader {
                start_ns: 1,
                end_ns: 2,
                tid: 1,
                tgid: 1,
                kind: RecordKind::Name as u8,
                flags: 0,
                seq: 0,
                dev: 45,
            };
            let name = Name {
                dentry,
                parent: 0,
                len: 60_000,
                reserved: 0,
                reserved2: 0,
            };
            let record = [header.as_bytes(), name.as_bytes(), &[b'n'; 60_000]].concat();
            writer.record(&record).expect("it reads");
        }
        writer.flush().expect("it reads");
    });
    assert!(end.contains("\"undecodable\":3400"), "{end}");
    eprintln!("blocks that unpack to a lot: at most {peak} KiB");
    assert!(peak < 2 * PEAK_KIB, "{peak} KiB");
}
