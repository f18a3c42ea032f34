//! A recording in which the client's modules are loaded anew, in every format: what was before and
//! what is after are told apart, and what is the same is known again.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use nfs_trace::{
    mounts::Mount,
    recording::{Header, Remark, Resumption, Said, Writer},
    session::Session,
    summary::KernelCounts,
};
use nfs_trace_ebpf::abi::{Comm, FLAG_FIRST, Name, Open, OpenTask, RecordHeader, RecordKind};
use serde_json::{Value, json};
use zerocopy::IntoBytes as _;

use super::{Shared, folder, generate, lines, perfetto::perfetto, replay, stderr, stdout};

const TID: u32 = 7;
const ROOT: u64 = 1;
/// Dentries: their memory is used again after the modules have gone.
const FIRST: u64 = 2;
const SECOND: u64 = 3;
const THIRD: u64 = 4;
/// Numbers of the mount's super block, before and after.
const BEFORE: u32 = 45;
const AFTER: u32 = 46;
/// In ns of CLOCK_MONOTONIC.
const MS: u64 = 1_000_000;

/// A thread that opens files.
struct Trace {
    writer: Writer<Shared>,
    dev: u32,
    seq: u16,
    /// ms.
    now: u64,
}

impl Trace {
    fn record(&mut self, kind: RecordKind, (from, to): (u64, u64), payload: &[u8]) {
        let header = RecordHeader {
            start_ns: from * MS,
            end_ns: to * MS,
            tid: TID,
            tgid: TID,
            kind: kind as u8,
            flags: if self.seq == 0 { FLAG_FIRST } else { 0 },
            seq: self.seq,
            dev: self.dev,
        };
        self.seq += 1;
        let bytes = [header.as_bytes(), payload].concat();
        self.writer.record(&bytes).expect("written");
    }

    fn name(&mut self, dentry: u64, parent: u64, name: &str) {
        let fixed = Name {
            dentry,
            parent,
            len: u16::try_from(name.len()).expect("short"),
            reserved: 0,
            reserved2: 0,
        };
        let bytes = [fixed.as_bytes(), name.as_bytes()].concat();
        self.record(RecordKind::Name, (self.now, self.now), &bytes);
    }

    /// An open of 8 ms; the OPEN by name, if one is sent, takes 4 of them.
    fn open(&mut self, dentry: u64, fileid: u64, is_sent: bool) {
        let at = self.now;
        self.now += 10;
        let task = OpenTask {
            opendata: 99,
            replied_ns: if is_sent { (at + 5) * MS } else { 0 },
            ret: 0,
            sent: is_sent.into(),
            claim: 0,
            delegated: 0,
        };
        self.record(RecordKind::OpenTask, (at + 2, at + 6), task.as_bytes());
        let open = Open {
            dentry,
            fileid,
            ret: 0,
            open_flags: 0o100_000,
            stack_id: -1,
            tasks: 1,
            stateid_updates: is_sent.into(),
            opened: 1,
            signs: 0,
        };
        self.record(RecordKind::FileOpen, (at, at + 8), open.as_bytes());
    }
}

fn session(session: &Session, dev: u32) -> Session {
    let mount = Mount {
        dev,
        nfs_version: Some("4.0".into()),
        ..session.mounts[0].clone()
    };
    Session {
        mounts: vec![mount],
        ..session.clone()
    }
}

/// `a` is opened on the wire and twice from cached state; the modules go; now the dentry that was
/// `a` is `b`, another one is `a`, which is another file, and a third one has no name yet.
fn recording(reloads: bool) -> Vec<u8> {
    let made_up = generate::header(1);
    let header = Header {
        session: session(&made_up.session, BEFORE),
        ..made_up
    };
    let out = Shared::default();
    let mut trace = Trace {
        writer: Writer::new(out.clone(), &header).expect("a header"),
        dev: BEFORE,
        seq: 0,
        now: 100,
    };
    let comm = Comm {
        comm: *b"reader\0\0\0\0\0\0\0\0\0\0",
    };
    trace.record(RecordKind::Comm, (100, 100), comm.as_bytes());
    for (dentry, name) in [(ROOT, "/"), (FIRST, "a"), (THIRD, "gone")] {
        trace.name(dentry, ROOT, name);
    }
    trace.open(FIRST, 10, true);
    trace.open(FIRST, 10, false);
    trace.open(FIRST, 10, false);
    if reloads {
        let writer = &mut trace.writer;
        let counts = KernelCounts::default();
        let remark = |at: u64, what| {
            let ts_ns = at * MS;
            let time = jiff::Timestamp::UNIX_EPOCH;
            Remark { ts_ns, time, what }
        };
        let module = Some("nfsv4".into());
        writer.interruption(&counts).expect("written");
        writer
            .remark(&remark(150, Said::Gone { module }))
            .expect("written");
        let session = Session {
            armed_ns: 170 * MS,
            ..session(&header.session, AFTER)
        };
        let resumption = Resumption {
            session,
            unseen_ms: 17,
            mounts: Vec::new(),
        };
        writer.resumption(&resumption).expect("written");
        writer
            .remark(&remark(170, Said::Attached { unseen_ms: 17 }))
            .expect("written");
        trace.dev = AFTER;
        trace.now = 200;
        for (dentry, name) in [(ROOT, "/"), (FIRST, "b"), (SECOND, "a")] {
            trace.name(dentry, ROOT, name);
        }
        trace.open(FIRST, 20, true);
        trace.open(SECOND, 11, true);
        trace.open(SECOND, 11, false);
        trace.open(THIRD, 30, true);
    }
    trace
        .writer
        .finish(KernelCounts::default(), false)
        .expect("an end");
    out.bytes()
}

fn file(test: &str) -> PathBuf {
    let file = folder(test).join("reload.nfst");
    fs::write(&file, recording(true)).expect("written");
    file
}

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_nfs-trace"))
        .args(arguments)
        .output()
        .expect("the binary runs")
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// The path and open path of each open.
const OPENS: [(Option<&str>, &str); 7] = [
    (Some("a"), "wire"),
    (Some("a"), "cached"),
    (Some("a"), "cached"),
    (Some("b"), "wire"),
    (Some("a"), "wire"),
    (Some("a"), "cached"),
    (None, "wire"),
];

#[test]
fn replay_says_it_and_no_dentry_outlives_it() {
    let file = file("reload-replay");
    let output = replay(&[text(&file), "--format", "json"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let out = stdout(&output);
    let rows = lines(&out, "open");
    let found: Vec<_> = rows
        .iter()
        .map(|row| (row["path"].as_str(), row["open_path"].as_str().expect("it")))
        .collect();
    assert_eq!(found, OPENS);
    assert_ne!(
        rows[0]["dentry"], rows[3]["dentry"],
        "one address, two dentries"
    );
    assert!(rows.iter().all(|row| row["mount"] == "/mnt"), "{out}");
    let devs: Vec<_> = rows.iter().map(|row| &row["dev"]).collect();
    assert_eq!(devs[..3], ["0:45"; 3]);
    assert_eq!(devs[3..], ["0:46"; 4]);
    let events = out.lines().map(|line| {
        let line: Value = serde_json::from_str(line).expect("JSON");
        line["event"].as_str().unwrap_or("-").to_owned()
    });
    let expected = "- - - - gone attached - - - - -";
    let events: Vec<_> = events.collect();
    assert_eq!(events.join(" "), expected, "in their order");
    let end = &lines(&out, "end")[0];
    let reloads = json!({"gone": 1, "attached": 1, "unseen_ms": 17});
    assert_eq!(end["reloads"], reloads);
    let said = stderr(&output);
    for words in ["module nfsv4 was unloaded", "attached again after 17 ms"] {
        assert!(said.contains(words), "{said}");
    }
}

#[test]
fn a_report_knows_the_name_again_and_proves_across_it() {
    let file = file("reload-report");
    let output = run(&["report", text(&file), "--format", "json"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let names = report["names"].as_array().expect("names");
    assert_eq!(names.len(), 3, "{names:?}");
    let name = |path: &str| {
        let found = names.iter().find(|it| it["path"] == path);
        found.unwrap_or_else(|| panic!("{path} in {names:?}"))
    };
    let a = name("/mnt/a");
    assert_eq!(a["opens"], 5, "{a}");
    let change = &a["changes"][0];
    assert_eq!((&change["old"], &change["new"]), (&json!(10), &json!(11)));
    assert_eq!(change["between"]["opens"], 2);
    // That of the new file, after the modules came back, is none of them.
    assert_eq!(
        (&a["proved_stale"], &report["proved_stale"]),
        (&json!(2), &json!(2))
    );
    assert_eq!(name("/mnt/b")["changes"], json!([]), "it never was `a`");
    assert_eq!(report["end"]["reloads"]["gone"], 1);
    let said = stderr(&run(&["report", text(&file)]));
    assert!(said.contains("unloaded once; opens in the 17 ms"), "{said}");
}

#[test]
fn csv_proves_the_same_with_numbers_of_both_mounts() {
    let file = file("reload-csv");
    let output = run(&["report", text(&file), "--csv"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let mut reader = csv::Reader::from_reader(output.stdout.as_slice());
    let titles = reader.headers().expect("titles").clone();
    let columns = ["path", "dev", "open_path", "proved_stale", "named_fileid"];
    let at = columns.map(|title| titles.iter().position(|it| it == title).expect(title));
    let rows: Vec<_> = reader.records().map(|row| row.expect("a row")).collect();
    let found: Vec<[&str; 5]> = rows.iter().map(|row| at.map(|at| &row[at])).collect();
    let expected = [
        ["a", "0:45", "wire", "", ""],
        ["a", "0:45", "cached", "between", "11"],
        ["a", "0:45", "cached", "between", "11"],
        ["b", "0:46", "wire", "", ""],
        ["a", "0:46", "wire", "", ""],
        ["a", "0:46", "cached", "", ""],
        ["", "0:46", "wire", "", ""],
    ];
    assert_eq!(found, expected);
}

#[test]
fn perfetto_has_both_sides_on_one_track() {
    let found = perfetto(&file("reload-perfetto"));
    assert_eq!(found.threads, [(7, 7, "reader".to_owned())]);
    let slices: Vec<_> = found.slices.values().flatten().collect();
    let opens = slices.iter().filter(|(depth, _)| *depth == 0);
    let opens: Vec<&str> = opens.map(|(_, name)| name.as_str()).collect();
    let (unnamed, named) = opens.split_last().expect("opens");
    let expected = [
        "wire NULL /mnt/a",
        "CACHED /mnt/a",
        "CACHED /mnt/a",
        "wire NULL /mnt/b",
        "wire NULL /mnt/a",
        "CACHED /mnt/a",
    ];
    assert_eq!(named, expected);
    assert!(unnamed.starts_with("wire NULL dentry#"), "{unnamed}");
    assert_eq!(found.flows, 4, "an OPEN each");
}

#[test]
fn the_page_has_both_sides_and_says_it() {
    let file = file("reload-html");
    let page = file.with_extension("html");
    let output = run(&["report", text(&file), "--html", text(&page)]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let page = fs::read_to_string(&page).expect("the page");
    let (_, data) = page.split_once("id=\"data\">").expect("data");
    let (data, _) = data.split_once("</script>").expect("its end");
    let data: Value = serde_json::from_str(data).expect("JSON");
    let opens = data["opens"].as_array().expect("opens");
    let words: Vec<_> = opens
        .iter()
        .map(|it| it["word"].as_str().expect("it"))
        .collect();
    assert_eq!(words, OPENS.map(|(_, word)| word));
    let stale: Vec<_> = opens.iter().map(|it| it["stale"].as_str()).collect();
    let between = Some("between");
    assert_eq!(stale, [None, between, between, None, None, None, None]);
    assert_eq!(data["report"]["end"]["reloads"]["unseen_ms"], 17);
}

/// Opens between the modules' loading and attaching to them were not seen: never "the same".
#[test]
fn a_diff_counts_on_and_doubts() {
    let file = file("reload-diff");
    let whole = file.with_file_name("whole.nfst");
    fs::write(&whole, recording(false)).expect("written");
    let diff = |before: &Path, after: &Path| {
        let output = run(&["diff", text(before), text(after), "--format", "json"]);
        let found: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        (output.status.code(), found)
    };
    let (status, found) = diff(&file, &file);
    assert_eq!(status, Some(3), "{}", found["conclusion"]);
    let doubts = found["before"]["doubts"].to_string();
    assert!(doubts.contains("17 ms"), "{doubts}");
    assert_eq!(found["before"]["opens"], 7);
    let (status, found) = diff(&whole, &file);
    assert_eq!(status, Some(1), "{}", found["conclusion"]);
    assert_eq!(found["before"]["doubts"], json!([]));
    assert_eq!(diff(&whole, &whole).0, Some(0));
}
