//! The document as a parser reads it.

use std::{
    collections::BTreeMap,
    io::{self, Write as _},
    process::{Command, Stdio},
};

use prometheus_parse::{Sample, Scrape, Value};

use super::*;
use crate::{
    kernel::lookup_flags::LookupFlags,
    names::{escape_path, is_obeyed},
    session::{self, StartupMs},
    trace::Gap,
};

const STARTED: f64 = 1_700_000_000.25;
const NOW: f64 = 1_700_000_015.5;

fn row<'a>(mount: Option<&'a str>, version: Option<&'a str>, open_path: PathWord) -> Row<'a> {
    Row {
        mount: mount.map(Into::into),
        nfs_version: version.map(Into::into),
        open_path,
        ..crate::testing::row()
    }
}

fn session(layout_why: &str) -> Session {
    Session {
        abi_version: 1,
        version: "0.1.0".into(),
        kernel: "6.1.0".into(),
        transport: "ring".into(),
        layout: "btf".into(),
        layout_why: layout_why.into(),
        probes: BTreeMap::new(),
        lookup_flags: LookupFlags::BEFORE_6_15,
        mounts: Vec::new(),
        clock_offset_ns: 0,
        armed_ns: 0,
        startup_ms: StartupMs::default(),
    }
}

fn samples(counts: &Counts) -> Vec<Sample> {
    let text = counts.text(STARTED, NOW);
    let lines = text.lines().map(|line| Ok(line.to_owned()));
    let scrape = Scrape::parse(lines).expect("Prometheus' format");
    promtool(&text);
    let read = scrape.samples.len();
    let written = text.lines().filter(|line| !line.starts_with('#')).count();
    assert_eq!(read, written, "the parser left some out: {text}");
    for sample in &scrape.samples {
        let told = |what: &str| text.contains(&format!("# {what} {} ", sample.metric));
        assert!(told("HELP") && told("TYPE"), "{}", sample.metric);
        let is_counter = matches!(sample.value, Value::Counter(_));
        assert_eq!(
            is_counter,
            sample.metric.ends_with("_total"),
            "{}",
            sample.metric
        );
        assert!(sample.metric.starts_with("nfs_trace_"), "{}", sample.metric);
    }
    scrape.samples
}

/// Has Prometheus' own program look at it, where there is one (`cargo xtask test` fetches it).
fn promtool(text: &str) {
    let program = std::env::var_os("NFS_TRACE_PROMTOOL").unwrap_or("promtool".into());
    let child = Command::new(&program)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = match child {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            eprintln!("SKIPPED: there is no {} here", program.display());
            return;
        }
        child => child.expect("promtool"),
    };
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(text.as_bytes()).expect("it reads");
    drop(stdin);
    let output = child.wait_with_output().expect("an end");
    let said = [&output.stdout[..], &output.stderr[..]].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success() && said.is_empty(), "{said}\n{text}");
}

fn number(samples: &[Sample], metric: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let found: Vec<&Sample> = samples
        .iter()
        .filter(|sample| {
            sample.metric == metric
                && labels
                    .iter()
                    .all(|(label, value)| sample.labels.get(label) == Some(value))
        })
        .collect();
    assert!(found.len() <= 1, "{metric} {labels:?} is there twice");
    match found.first()?.value {
        Value::Counter(value) | Value::Gauge(value) => Some(value),
        ref other => panic!("{metric}: {other:?}"),
    }
}

#[test]
fn opens_are_counted_by_mount_version_and_path() {
    let mut counts = Counts::default();
    counts.attached(&session(""));
    counts.expect("/idle".into(), Some("4.2"));
    for (mount, version, word, times) in [
        (Some("/mnt"), Some("4.1"), PathWord::Cached, 11),
        (Some("/mnt"), Some("4.1"), PathWord::Wire, 7),
        (Some("/mnt"), Some("4.0"), PathWord::Wire, 3),
        (None, None, PathWord::Failed, 2),
    ] {
        for _ in 0..times {
            counts.count(&row(mount, version, word));
        }
    }
    let mut odd = row(Some("/mnt"), Some("4.0"), PathWord::Atomic);
    odd.stale_retries = 2;
    odd.complete = false;
    odd.gaps = vec![Gap::RecordLost].into();
    counts.count(&odd);
    let samples = samples(&counts);
    let opens = |mount, version, path| {
        let labels = [
            ("mount", mount),
            ("nfs_version", version),
            ("open_path", path),
        ];
        number(&samples, "nfs_trace_opens_total", &labels)
    };
    assert_eq!(opens("/mnt", "4.1", "cached"), Some(11.0));
    assert_eq!(opens("/mnt", "4.1", "wire"), Some(7.0));
    assert_eq!(opens("/mnt", "4.0", "wire"), Some(3.0));
    assert_eq!(opens("/mnt", "4.0", "atomic"), Some(1.0));
    assert_eq!(opens("unknown", "unknown", "failed"), Some(2.0));
    // What has not happened yet is 0, and no gap in a graph.
    assert_eq!(opens("/mnt", "4.0", "cached"), Some(0.0));
    assert_eq!(opens("/idle", "4.2", "cached"), Some(0.0));
    assert_eq!(opens("/elsewhere", "4.2", "cached"), None);
    let all = samples
        .iter()
        .filter(|it| it.metric == "nfs_trace_opens_total");
    assert_eq!(all.count(), 4 * PathWord::ALL.len());
    for (metric, value) in [
        ("nfs_trace_stale_retries_total", 2.0),
        ("nfs_trace_incomplete_opens_total", 1.0),
    ] {
        let labels = [("mount", "/mnt"), ("nfs_version", "4.0")];
        assert_eq!(number(&samples, metric, &labels), Some(value));
        let labels = [("mount", "/mnt"), ("nfs_version", "4.1")];
        assert_eq!(number(&samples, metric, &labels), Some(0.0));
    }
}

#[test]
fn it_is_told_whether_tracing_is_attached_and_when_it_was_written() {
    let mut counts = Counts::default();
    let attached = |counts: &Counts| number(&samples(counts), "nfs_trace_attached", &[]);
    assert_eq!(attached(&counts), Some(0.0));
    assert_eq!(number(&samples(&counts), "nfs_trace_info", &[]), None);
    counts.attached(&session(""));
    assert_eq!(attached(&counts), Some(1.0));
    let layout = |counts: &Counts, layout| {
        let labels = [
            ("layout", layout),
            ("kernel", "6.1.0"),
            ("transport", "ring"),
        ];
        number(&samples(counts), "nfs_trace_info", &labels)
    };
    assert_eq!(layout(&counts, "btf"), Some(1.0));
    counts.attached = false;
    assert_eq!(attached(&counts), Some(0.0));
    counts.attached_again("table");
    assert_eq!(attached(&counts), Some(1.0));
    assert_eq!(layout(&counts, "table"), Some(1.0));
    let samples = samples(&counts);
    let of = |metric| number(&samples, metric, &[]);
    assert_eq!(of("nfs_trace_start_time_seconds"), Some(STARTED));
    assert_eq!(of("nfs_trace_last_write_timestamp_seconds"), Some(NOW));
}

#[test]
fn what_was_lost_is_counted_and_never_less() {
    let mut counts = Counts::default();
    let mut summary = Summary::new(session::signals(&BTreeMap::new()));
    summary.kernel.records = 5;
    summary.kernel.returns = 4;
    summary.kernel.skipped = 3;
    summary.kernel.children = 2;
    summary.undecodable = 1;
    summary.reloads = Reloads {
        gone: 3,
        attached: 2,
        unseen_ms: 1_234,
    };
    counts.sums(&summary);
    summary.kernel.records = 4;
    counts.sums(&summary);
    let samples = samples(&counts);
    for (what, value) in [
        ("records", 5.0),
        ("returns", 4.0),
        ("program_runs", 3.0),
        ("children", 2.0),
        ("undecodable", 1.0),
    ] {
        let found = number(&samples, "nfs_trace_lost_total", &[("what", what)]);
        assert_eq!(found, Some(value), "{what}");
    }
    let of = |metric| number(&samples, metric, &[]);
    assert_eq!(of("nfs_trace_module_unloads_total"), Some(3.0));
    assert_eq!(of("nfs_trace_unseen_seconds_total"), Some(1.234));
}

/// As they come out of a row: control characters and invalid UTF-8 are escapes already, with
/// backslashes of their own.
#[test]
fn odd_names_of_mounts_stay_in_their_label() {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt as _, path::Path};
    let odd: [&[u8]; 6] = [
        b"/a\nnfs_trace_attached 7\n",
        b"/a\"} 1\\",
        b"/\xff\xfe",
        b"/\x1b[31m\x7f\xc2\x9b",
        "/gr\u{fc}n {} , =".as_bytes(),
        "/\\x0a\u{202e}\u{2066}".as_bytes(),
    ];
    let mut counts = Counts::default();
    for name in odd {
        let shown = escape_path(Path::new(OsStr::from_bytes(name)));
        let mut row = row(Some(&shown), Some("4.1"), PathWord::Wire);
        row.comm = "\"\n".into();
        counts.count(&row);
    }
    // As it would be if a row did not escape.
    counts.count(&row(Some("/raw\n\"\\"), Some("4.1"), PathWord::Wire));
    let text = counts.text(STARTED, NOW);
    assert!(
        !text.chars().any(|it| is_obeyed(it) && it != '\n'),
        "{text:?}"
    );
    let series = 7 * PathWord::ALL.len();
    let opens = text
        .lines()
        .filter(|line| line.starts_with("nfs_trace_opens_total{mount=\"/"));
    assert_eq!(opens.count(), series);
    for (name, shown) in [
        (odd[0], "/a\\\\x0anfs_trace_attached 7\\\\x0a"),
        (odd[1], "/a\\\"} 1\\\\\\\\"),
        (odd[2], "/\\\\xff\\\\xfe"),
        (odd[3], "/\\\\x1b[31m\\\\x7f\\\\xc2\\\\x9b"),
        (odd[4], "/gr\u{fc}n {} , ="),
        (
            odd[5],
            "/\\\\\\\\x0a\\\\xe2\\\\x80\\\\xae\\\\xe2\\\\x81\\\\xa6",
        ),
    ] {
        let label = format!("{{mount=\"{shown}\",nfs_version=\"4.1\",open_path=\"wire\"}} 1\n");
        assert!(text.contains(&label), "{name:?}: {text}");
    }
    assert!(text.contains("{mount=\"/raw\\n\\\"\\\\\","), "{text}");
    assert_eq!(text.matches("\nnfs_trace_attached ").count(), 1);
}

#[test]
fn very_many_mounts_are_added_up() {
    let mut counts = Counts::default();
    for number in 0..5_000 {
        let mount = format!("/home/{number}");
        counts.count(&row(Some(&mount), Some("4.2"), PathWord::Cached));
    }
    counts.count(&row(Some("/home/0"), Some("4.2"), PathWord::Cached));
    let samples = samples(&counts);
    let opens = |mount| {
        let labels = [("mount", mount), ("open_path", "cached")];
        number(&samples, "nfs_trace_opens_total", &labels)
    };
    assert_eq!(opens("/home/0"), Some(2.0));
    assert_eq!(opens("/home/99"), Some(1.0));
    assert_eq!(opens("/home/100"), None);
    assert_eq!(opens("other"), Some(4_900.0));
    assert!(samples.len() < 1_000, "{}", samples.len());
}
