//! The quick ways against the general ones. Whole lines are in tests/replay.rs and tests/schema.

use super::*;
use crate::{
    event::{DentryKind, Open, OpenTask, Pointer, Revalidate, Walk},
    testing,
};

fn line(lines: &mut Lines, row: &Row<'_>) -> serde_json::Value {
    let mut out = Text::new();
    lines.add(&mut out, row).expect("a line");
    serde_json::from_slice(out.bytes()).expect("JSON")
}

#[test]
fn times_are_those_of_jiff() {
    let mut lines = Lines::new();
    let mut rng = fastrand::Rng::with_seed(1);
    let near = 1_700_000_000_000_000_000_i64;
    let edges = [
        (0, 0),
        (1, 0),
        (0, -1),
        (5, near),
        (u64::MAX, near),
        (u64::MAX, i64::MIN),
    ];
    let random = std::iter::repeat_with(|| {
        let ns = rng.u64(0..3_000_000_000);
        // Zeroes at the end too.
        (ns - ns % 10_u64.pow(rng.u32(0..10)), near)
    });
    for (ts_ns, clock_offset_ns) in edges.into_iter().chain(random.take(10_000)) {
        let row = Row {
            ts_ns,
            clock_offset_ns,
            ..testing::row()
        };
        let mut out = Text::new();
        lines.time(&mut out, &row);
        assert_eq!(String::from_utf8_lossy(out.bytes()), row.time().to_string());
    }
}

#[test]
fn texts_are_those_of_serde_json() {
    let bytes = (0..=255_u8).map(char::from).map(String::from);
    let long = "x".repeat(10_000);
    let texts = [
        &*long,
        "",
        "a b",
        "a\\x0ab",
        "say \"no\"",
        "gr\u{fc}n \u{1f600}",
    ]
    .map(String::from);
    for text in bytes.chain(texts) {
        let (mut quick, mut general) = (Text::new(), Text::new());
        quick.string(&text).expect("a text");
        general.value(&*text).expect("a text");
        assert_eq!(quick.bytes(), general.bytes(), "{text:?}");
    }
}

#[test]
fn flags_are_those_of_text() {
    let row = |flags| Row {
        flags: Some(OpenFlags(flags)),
        ..testing::row()
    };
    for flags in [0, 0o1001, 0o2_100_102, 1 << 31, u32::MAX] {
        let line = line(&mut Lines::new(), &row(flags));
        assert_eq!(line["flags"], OpenFlags(flags).to_string());
    }
}

#[test]
fn what_is_not_known_is_null_and_what_is_seldom_there_is_left_out() {
    let line = line(&mut Lines::new(), &testing::row());
    assert_eq!(line["dev"], serde_json::Value::Null);
    assert_eq!(line["steps"], serde_json::json!([]));
    for absent in ["gaps", "stack", "dentry_pointer"] {
        assert!(line.get(absent).is_none(), "{line}");
    }
}

#[test]
fn steps_have_the_names_that_they_have_elsewhere() {
    let open = Open {
        dentry: Pointer(1),
        fileid: None,
        ret: 0,
        flags: None,
        stack: None,
        tasks: 0,
        stateid_updates: 0,
        opened: None,
        tried_cached: false,
        cached_event: false,
    };
    let call = Revalidate {
        dentry: Pointer(1),
        walk: Walk::Rcu,
        creates: false,
        ret: 1,
        verifier_checked: false,
        verifier_set: false,
        inode_checked: false,
        lookups: 0,
        kind: DentryKind::Positive,
    };
    let task = OpenTask {
        sent: 0,
        delegated: None,
        claim: None,
        replied_ns: None,
        ret: 0,
    };
    let calls = [
        StepKind::Revalidate(call),
        StepKind::Lookup(0),
        StepKind::OpenTask(task),
        StepKind::FileOpen(open),
        StepKind::AtomicOpen(open),
    ]
    .map(|kind| Step {
        start_ns: 0,
        end_ns: 0,
        kind,
    });
    let row = Row {
        calls: calls.as_slice().into(),
        ..testing::row()
    };
    let line = line(&mut Lines::new(), &row);
    for (at, call) in calls.iter().enumerate() {
        assert_eq!(line["steps"][at]["step"], StepRow::name(call));
    }
}
