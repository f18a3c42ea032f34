//! A trace that is shown and recorded at the same time: its recording shows the same.

use std::{
    fs, io,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::Path,
};

use nfs_trace::{
    cli::FilterArgs,
    mounts::Mount,
    notice::{Attached, Notice, What},
    pipeline::{Pipeline, Show},
    record::Recorder,
    recording::{Filters, Header, Output, Parts},
    render::json::Json,
    session::Session,
    show,
    sink::{Both, Resumed, Sink, Surroundings},
    summary::{KernelCounts, ProgramCounts},
};
use nfs_trace_ebpf::abi::{Open, RecordHeader, RecordKind};
use serde_json::Value;
use zerocopy::{FromBytes as _, IntoBytes as _};

use super::{Shared, end, folder, generate, lines, replay, stderr, stdout};

/// A machine that has stacks, and a mount that nobody was told of.
struct Machine(Vec<Mount>);

impl Surroundings for Machine {
    fn stack(&mut self, id: u32) -> Option<Vec<String>> {
        (!id.is_multiple_of(5)).then(|| {
            vec![
                format!("nfs4_file_open+{id:#x} [nfsv4]"),
                "vfs_open+0x1".into(),
            ]
        })
    }

    fn mounts(&mut self) -> Option<Vec<Mount>> {
        Some(self.0.clone())
    }
}

fn mount(dev: u32, point: &str) -> Mount {
    Mount {
        dev,
        point: point.into(),
        fs_type: "nfs4".into(),
        source: "server:/other".into(),
        nfs_version: Some("4.0".into()),
    }
}

fn counts(records: u64) -> KernelCounts {
    let mut counts = KernelCounts {
        open_elsewhere: 3,
        running_at_start: 2,
        records,
        ..KernelCounts::default()
    };
    counts.lost_by_cpu.insert(1, records);
    let hits = ProgramCounts { hits: 23, lost: 0 };
    counts.programs.insert("nfst_reval_in".into(), hits);
    counts
}

/// A record of the made-up machine, with a stack, and now and then of a mount that is new.
fn changed(record: &[u8], number: u64) -> Vec<u8> {
    let mut bytes = record.to_vec();
    let (mut header, _) = RecordHeader::read_from_prefix(record).expect("a header");
    if number > 1_600 && header.tid % 3 == 0 {
        header.dev = 77;
    }
    bytes[..32].copy_from_slice(header.as_bytes());
    if header.kind == RecordKind::FileOpen as u8 {
        let (mut open, _) = Open::read_from_prefix(&record[32..]).expect("an open");
        open.stack_id = i32::try_from(number % 50).expect("small");
        bytes[32..].copy_from_slice(open.as_bytes());
    }
    bytes
}

/// All that can happen to a trace, to whatever takes it; a long one is not interrupted.
fn happens(sink: &mut dyn Sink, session: &Session, records: u64) -> io::Result<()> {
    let mut machine = Machine(session.mounts.clone());
    let mut number = 0;
    generate::records(5, records, |record| {
        number += 1;
        if number == 1_300 {
            sink.learn_mounts(vec![mount(46, "/second")])?;
        }
        if number == 1_600 {
            machine.0.push(mount(77, "/third"));
        }
        if number == 3_000 && records < 10_000 {
            sink.counts(counts(1))?;
            sink.interrupt(&counts(1), &mut machine)?;
            said(
                sink,
                What::Gone {
                    module: Some("nfsv4"),
                },
            )?;
            said(
                sink,
                What::Refused {
                    why: "not\nyet".into(),
                },
            )?;
            let mut session = session.clone();
            session.layout = "table".into();
            session.layout_why = "another kernel".into();
            session.armed_ns = 1_000_000;
            session.probes.remove("nfs_set_verifier");
            let resumed = Resumed {
                session: session.clone(),
                unseen_ms: 17,
                mounts: vec!["/mnt/x".into()],
            };
            sink.resume(resumed)?;
            said(sink, What::Attached(Attached::new(&session, 17)))?;
        }
        if number % 41 == 0 {
            sink.flush()?;
        }
        sink.record(&changed(record, number), &mut machine)
    })?;
    // No record at all, but it came.
    sink.record(&[1, 2, 3], &mut machine)
}

fn said(sink: &mut dyn Sink, what: What<'_>) -> io::Result<()> {
    sink.notice(&Notice {
        ts_ns: 5,
        time: jiff::Timestamp::UNIX_EPOCH,
        what,
    })
}

/// Shows and records a trace at once. Returns what was shown.
fn trace(output: Output, filters: &FilterArgs, records: u64) -> String {
    let header = Header {
        filters: Filters {
            path: filters.path.clone(),
            comm: filters.comm.clone(),
            open_path: filters
                .open_path
                .iter()
                .map(|it| it.word().into())
                .collect(),
            ..Filters::default()
        },
        ..generate::header(5)
    };
    let session = header.session.clone();
    let shown = Shared::default();
    let show = Show {
        filter: show::filter(filters).expect("filters"),
        ..Show::default()
    };
    let render = Box::new(Json::new(shown.clone()));
    let pipeline = Pipeline::start(session.clone(), show, render).expect("a start");
    let recorder = Recorder::new(Parts::create(output, header).expect("a file"), true);
    let mut both = Box::new(Both::new(Box::new(recorder), Box::new(pipeline)));
    happens(&mut *both, &session, records).expect("nothing fails");
    both.finish(counts(4), &mut Machine(Vec::new()))
        .expect("an end");
    String::from_utf8(shown.bytes()).expect("UTF-8")
}

fn no_filters() -> FilterArgs {
    FilterArgs {
        path: Vec::new(),
        comm: Vec::new(),
        open_path: Vec::new(),
    }
}

fn files_of(folder: &Path) -> Vec<String> {
    let mut files: Vec<String> = fs::read_dir(folder)
        .expect("the folder")
        .map(|entry| entry.expect("an entry").path().display().to_string())
        .collect();
    files.sort();
    files
}

#[test]
fn a_replay_is_byte_for_byte_what_the_trace_printed() {
    let file = folder("whole").join("trace.nfst");
    let shown = trace(Output::single(&file), &no_filters(), 5_000);
    assert_eq!(lines(&shown, "module").len(), 3);
    assert!(
        shown.contains("\"mount\":\"/third\""),
        "mounts that came later"
    );
    assert!(shown.contains("[nfsv4]"), "stacks");

    let output = replay(&[file.to_str().expect("UTF-8"), "--format", "json"]);
    assert!(stdout(&output) == shown, "replay prints something else");
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let said = stderr(&output);
    for words in [
        "recorded on x86_64",
        "module nfsv4 was unloaded",
        "not\\x0ayet",
        "17 ms",
    ] {
        assert!(said.contains(words), "no `{words}`: {said}");
    }
    let mode = fs::metadata(&file).expect("the file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn filters_of_the_recording_hold_until_others_are_given() {
    let file = folder("filters").join("trace.nfst");
    let filters = FilterArgs {
        comm: vec!["worker5".into(), "worker6".into()],
        ..no_filters()
    };
    let shown = trace(Output::single(&file), &filters, 12_000);
    let name = file.to_str().expect("UTF-8");
    let opens = |arguments: &[&str]| {
        let output = replay(&[&[name, "--format", "json"], arguments].concat());
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        stdout(&output)
    };
    assert!(opens(&[]) == shown);
    let all = lines(&opens(&["--all"]), "open");
    let count = |key: &str, value: &str| all.iter().filter(|row| row[key] == value).count();
    assert!(all.len() > 400, "{}", all.len());
    let len = |arguments: &[&str]| lines(&opens(arguments), "open").len();
    assert_eq!(
        len(&[]),
        count("comm", "worker5") + count("comm", "worker6")
    );
    assert_eq!(len(&["--comm", "worker7"]), count("comm", "worker7"));
    assert_eq!(
        len(&["--all", "--open-path", "wire"]),
        count("open_path", "wire")
    );
    assert_eq!(
        len(&["--all", "--mount", "/third/x"]),
        count("mount", "/third")
    );
    let pid = all[0]["pid"].to_string();
    assert_eq!(
        len(&["--all", "--pid", &pid]),
        all.iter().filter(|row| row["pid"] == all[0]["pid"]).count()
    );
    assert_eq!(len(&["--all", "--count", "7"]), 7);
    // What was hidden is counted.
    let end = lines(&shown, "end").pop().expect("an end");
    assert_eq!(
        end["hidden"].as_u64().expect("hidden") as usize + len(&[]),
        all.len()
    );
}

/// Neither a file nor a link, wherever that leads, and no part of another recording.
#[test]
fn nothing_is_written_over_another_file() {
    let folder = folder("over");
    let file = folder.join("trace.nfst");
    fs::write(&file, "precious").expect("a file");
    fs::write(folder.join("trace.000007"), "precious").expect("a file");
    let (link, dangling) = (folder.join("link"), folder.join("dangling"));
    symlink(&file, &link).expect("a link");
    symlink(folder.join("nowhere"), &dangling).expect("a link");
    for (path, rotate) in [
        (&file, None),
        (&link, None),
        (&dangling, None),
        (&folder.join("trace"), Some(1 << 20)),
    ] {
        let output = Output {
            path: path.clone(),
            rotate,
            max_files: None,
        };
        let why = output.check().expect_err("it is there").to_string();
        assert!(why.contains("exists") && why.contains("remove it"), "{why}");
        if rotate.is_none() {
            // It came between.
            let refused = Parts::create(output, generate::header(1)).map(drop);
            let why = format!("{:#}", refused.expect_err("it is there"));
            assert!(why.contains("exists") && why.contains("remove it"), "{why}");
        }
    }
    assert_eq!(fs::read(&file).expect("the file"), b"precious");
    assert!(!folder.join("nowhere").exists());

    // And no rows over the recording that they come from.
    let name = file.to_str().expect("UTF-8");
    for output in [&file, &link] {
        let output = replay(&[name, "-o", output.to_str().expect("UTF-8")]);
        assert_eq!(output.status.code(), Some(64), "{}", stderr(&output));
    }
    assert_eq!(fs::read(&file).expect("the file"), b"precious");
}

/// A part that is there when its turn comes ends the recording, which is readable up to there.
#[test]
fn what_cannot_be_written_ends_the_recording_and_is_counted() {
    let folder = folder("failing");
    let path = folder.join("trace");
    let output = Output {
        path: path.clone(),
        rotate: Some(1 << 20),
        max_files: None,
    };
    let header = generate::header(5);
    let session = header.session.clone();
    let parts = Parts::create(output, header).expect("a file");
    let mut recorder = Box::new(Recorder::new(parts, false));
    fs::write(folder.join("trace.000002"), "precious").expect("a file");
    happens(&mut *recorder, &session, 150_000).expect("told at the end");
    assert!(recorder.is_full(), "the trace is over");
    let error = recorder.finish(counts(0), &mut Machine(Vec::new()));
    let error = error.expect_err("it failed").to_string();
    assert!(error.contains("trace.000002` exists"), "{error}");
    assert_eq!(
        fs::read(folder.join("trace.000002")).expect("the file"),
        b"precious"
    );
    let output = replay(&[
        folder.join("trace.000001").to_str().expect("UTF-8"),
        "--format",
        "json",
    ]);
    assert_eq!(output.status.code(), Some(1));
    let end = end(&output);
    assert_eq!(end["unread"]["no_end"], true, "{end}");
    assert_eq!(end["unread"]["places"], 0, "{end}");
    assert!(end["opens"].as_u64() > Some(1_000), "{end}");
}

#[test]
fn parts_together_are_byte_for_byte_what_the_trace_printed() {
    let folder = folder("rotated");
    let output = Output {
        path: folder.join("trace"),
        rotate: Some(1 << 20),
        max_files: None,
    };
    let shown = trace(output, &no_filters(), 150_000);
    let files = files_of(&folder);
    assert!(files.len() >= 3, "{files:?}");
    for file in &files {
        let file = fs::metadata(file).expect("a part");
        assert!(file.len() <= 1 << 20, "{} bytes", file.len());
        assert_eq!(file.permissions().mode() & 0o777, 0o600);
    }
    let arguments: Vec<&str> = files.iter().map(String::as_str).collect();
    let output = replay(&[&arguments[..], &["--format", "json"]].concat());
    assert!(
        stdout(&output) == shown,
        "replay prints something else: {}",
        stderr(&output)
    );
    assert_eq!(output.status.code(), Some(0));

    // The same as one stream.
    let together: Vec<u8> = files
        .iter()
        .flat_map(|file| fs::read(file).expect("a part"))
        .collect();
    let output = super::replay_bytes(&together, &["--format", "json"]);
    assert!(stdout(&output) == shown, "{}", stderr(&output));

    // A part by itself knows the names, and what it cannot know of is marked.
    let all = lines(&shown, "open");
    let output = replay(&[&files[1], "--format", "json"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let end = end(&output);
    assert_eq!(end["unread"]["earlier_parts"], true);
    assert_eq!(end["unread"]["later_parts"], true);
    let rows = lines(&stdout(&output), "open");
    let whole: Vec<_> = rows.iter().filter(|row| row["complete"] == true).collect();
    assert!(
        whole.len() > rows.len() / 4,
        "{} of {}",
        whole.len(),
        rows.len()
    );
    for row in whole {
        let same = |key: &str| {
            all.binary_search_by_key(&row["ts_ns"].as_u64(), |other| other["ts_ns"].as_u64())
                .is_ok_and(|at| all[at][key] == row[key])
        };
        // Of old names, as many are kept as there is room for.
        assert!(
            same("path") || row["path"].as_str().is_none_or(|it| it.starts_with("...")),
            "{row}"
        );
        assert!(same("comm") || row["comm"] == "", "{row}");
        for key in ["open_path", "name_check", "rpcs", "result", "mount"] {
            assert!(same(key), "{key} of {row}");
        }
    }

    // The folders were named in the first part alone.
    let named = |row: &&Value| {
        row["path"]
            .as_str()
            .is_some_and(|it| it.starts_with("folder"))
    };
    assert!(rows.iter().filter(named).count() > rows.len() / 2);

    // Not in order, not all of them, or of another recording.
    for (given, words) in [
        (vec![&files[1], &files[0]], "does not come behind"),
        (vec![&files[0], &files[2]], "without gaps"),
    ] {
        let given: Vec<&str> = given.into_iter().map(String::as_str).collect();
        let output = replay(&given);
        assert_eq!(output.status.code(), Some(1));
        assert!(stderr(&output).contains(words), "{}", stderr(&output));
    }
}

#[test]
fn the_disk_that_parts_take_is_bounded() {
    let folder = folder("bounded");
    let output = Output {
        path: folder.join("trace"),
        rotate: Some(1 << 20),
        max_files: Some(2),
    };
    trace(output, &no_filters(), 150_000);
    let files = files_of(&folder);
    assert_eq!(files.len(), 2, "{files:?}");
    assert!(!files[0].ends_with(".000001"), "the oldest go: {files:?}");
    let arguments: Vec<&str> = files.iter().map(String::as_str).collect();
    let output = replay(&[&arguments[..], &["--format", "json"]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(end(&output)["unread"]["later_parts"], false);
    assert!(end(&output)["opens"].as_u64() > Some(1_000));
}
