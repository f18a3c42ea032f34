//! Names that would steer a terminal, break a line or are no text, in every format.

use nfs_trace::{names::is_obeyed, recording::Writer, summary::KernelCounts};
use nfs_trace_ebpf::abi::{Comm, FLAG_FIRST, Name, Open, RecordHeader, RecordKind};
use serde_json::Value;
use zerocopy::IntoBytes as _;

use super::{Shared, generate, lines, replay_bytes, stderr, stdout};

/// A line end, an escape sequence, a C1 control, no UTF-8; HTML, which is text here; what looks like
/// the escape of a line end; and what turns the direction of text (U+202E, U+2066).
pub(super) const NAME: &[u8] =
    b"a\nb\r\x1b[31m\xc2\x9b2J\xff<b>&\"'\\x0a\xe2\x80\xaecod.\xe2\x81\xa6";
pub(super) const SHOWN: &str =
    r#"a\x0ab\x0d\x1b[31m\xc2\x9b2J\xff<b>&"'\\x0a\xe2\x80\xaecod.\xe2\x81\xa6"#;
/// The same, of what is text in a header already.
pub(super) const TEXT: &str = "a\nb\r\u{1b}[31m\u{9b}2J\u{202e}";
pub(super) const TEXT_SHOWN: &str = r"a\x0ab\x0d\x1b[31m\xc2\x9b2J\xe2\x80\xae";

/// One cached open of a file of that name, by a command of that name, on a mount of that name.
pub(super) fn recording() -> Vec<u8> {
    recording_of(NAME)
}

/// The same with this name of the file and of the command.
pub(super) fn recording_of(name: &[u8]) -> Vec<u8> {
    let mut header = generate::header(1);
    let session = &mut header.session;
    session.mounts[0].point = format!("/{TEXT}").as_str().into();
    session.kernel = TEXT.into();
    session.layout_why = TEXT.into();
    session.probes.insert(TEXT.into(), TEXT.into());
    header.command_line.push(TEXT.into());
    let out = Shared::default();
    let mut writer = Writer::new(out.clone(), &header).expect("a header");
    let mut seq = 0;
    let mut record = |kind: RecordKind, payload: &[u8]| {
        let header = RecordHeader {
            start_ns: 20_000_000,
            end_ns: 30_000_000,
            tid: 7,
            tgid: 7,
            kind: kind as u8,
            flags: if seq == 0 { FLAG_FIRST } else { 0 },
            seq,
            dev: 45,
        };
        seq += 1;
        let bytes = [header.as_bytes(), payload].concat();
        writer.record(&bytes).expect("written");
    };
    let mut comm = [0; 16];
    let len = name.len().min(16);
    comm[..len].copy_from_slice(&name[..len]);
    record(RecordKind::Comm, Comm { comm }.as_bytes());
    for (dentry, parent, name) in [(1, 1, &b"/"[..]), (2, 1, name)] {
        let fixed = Name {
            dentry,
            parent,
            len: u16::try_from(name.len()).expect("short"),
            reserved: 0,
            reserved2: 0,
        };
        record(RecordKind::Name, &[fixed.as_bytes(), name].concat());
    }
    let open = Open {
        dentry: 2,
        fileid: 1,
        ret: -13,
        open_flags: 0,
        stack_id: 3,
        tasks: 0,
        stateid_updates: 0,
        opened: 1,
        signs: 0,
    };
    writer
        .stack(&nfs_trace::recording::Stack {
            id: 3,
            frames: vec![TEXT.into()],
        })
        .expect("written");
    let header = RecordHeader {
        start_ns: 20_000_000,
        end_ns: 30_000_000,
        tid: 7,
        tgid: 7,
        kind: RecordKind::FileOpen as u8,
        flags: 0,
        seq: 3,
        dev: 45,
    };
    let bytes = [header.as_bytes(), open.as_bytes()].concat();
    writer.record(&bytes).expect("written");
    writer
        .finish(KernelCounts::default(), false)
        .expect("an end");
    out.bytes()
}

pub(super) fn no_control(text: &str) {
    let bad = text.chars().find(|it| is_obeyed(*it) && *it != '\n');
    assert_eq!(bad, None, "{text:?}");
}

#[test]
fn text_shows_them_escaped() {
    let output = replay_bytes(&recording(), &["-v"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let (out, said) = (stdout(&output), stderr(&output));
    no_control(&out);
    no_control(&said);
    assert!(out.contains(&format!("/{TEXT_SHOWN}/{SHOWN}")), "{out}");
    assert!(out.contains(&format!("at {TEXT_SHOWN}")), "{out}");
    assert!(
        out.contains(" a\\x0ab\\x0d "),
        "the command, cut to its column: {out}"
    );
    assert!(said.contains(&format!("kernel {TEXT_SHOWN}")), "{said}");
    assert!(said.contains(&format!("generate 1 {TEXT_SHOWN}")), "{said}");
    // The titles, one row, its step and its stack: no name has broken a line.
    assert_eq!(out.lines().count(), 4, "{out}");
}

#[test]
fn json_shows_them_escaped() {
    let output = replay_bytes(&recording(), &["--format", "json"]);
    let out = stdout(&output);
    no_control(&out);
    assert_eq!(out.lines().count(), 3, "{out}");
    let row = lines(&out, "open").pop().expect("a row");
    assert_eq!(row["path"], SHOWN);
    assert_eq!(row["mount"], format!("/{TEXT_SHOWN}"));
    assert_eq!(row["comm"], "a\\x0ab\\x0d\\x1b[31m\\xc2\\x9b2J\\xff<b");
    assert_eq!(row["stack"], Value::from(vec![TEXT_SHOWN]));
}
