//! Judges made-up reports: what is right passes, and each thing that is wrong is found.

use lab_contract::{
    protocol::NfsVersion,
    verdicts::{Asked, Cell, Held, Measured, Mounted},
};
use serde_json::{Value, json};

use super::{super::client::Client, judge};

/// A report of an affected mount, with these changes: JSON pointers and values.
pub(super) fn report(changes: &Value) -> Value {
    let item = |kind: &str, finding: &str| {
        json!({
            "kind": kind, "looked_at": "a file", "seen": "served from cached open state",
            "finding": finding, "fix_level": null, "means": "that",
        })
    };
    let mut report = json!({
        "type": "check", "version": "0.1.0", "kernel": "6.1.0-56-amd64",
        "verdict": "affected", "why": "because",
        "evidence": [
            item("image", "points_to_not_affected"),
            item("release", "points_to_not_affected"),
        ],
        "mounts": [{
            "mount": "/mnt", "server": "127.0.0.1:/", "dev": "0:40", "nfs_version": "4.0",
            "atomic_open_v1": false, "nocto": false, "lookupcache": "all", "ac": true,
            "acdirmin": 30, "acdirmax": 60, "verdict": "affected", "fix_level": "none",
            "why": "because", "evidence": [item("self_test", "affected")],
            "holders": [{"pid": 7, "command": "sleep", "path": "/mnt/a"}],
            "advice": ["update"], "took_ms": 1234,
        }],
        "advice": [],
    });
    for (pointer, value) in changes.as_object().into_iter().flatten() {
        *report.pointer_mut(pointer).unwrap() = value.clone();
    }
    report
}

fn asked(status: i32, changes: &Value) -> Asked {
    Asked {
        status,
        out: format!("{}\n", report(changes)),
        mounts: vec![Mounted {
            path: "/mnt".into(),
            version: NfsVersion::V40,
        }],
        ..Asked::default()
    }
}

fn measured(case: &str, delegations: bool, asked: Asked) -> Measured {
    Measured {
        cell: Cell {
            case: case.into(),
            version: NfsVersion::V40,
            delegations,
        },
        error: None,
        skipped: None,
        asked: vec![asked],
        held: None,
        took_ms: 0,
    }
}

fn judge(measured: &Measured, client: Client) -> Vec<String> {
    judge::judge(measured, client, "6.1.0-56-amd64")
}

/// What is wrong with one affected mount that is reported like this.
fn affected(status: i32, changes: &Value) -> Vec<String> {
    let measured = measured("mount", false, asked(status, changes));
    judge(&measured, Client::WithoutSeries)
}

/// The changes that make an inconclusive report of it.
fn inconclusive(seen: &str) -> Value {
    json!({
        "/verdict": "inconclusive", "/mounts/0/verdict": "inconclusive",
        "/mounts/0/fix_level": null, "/mounts/0/evidence/0/finding": "nothing",
        "/mounts/0/evidence/0/seen": seen,
    })
}

/// The changes that make a report of a mount that is not affected.
fn fixed(level: &str) -> Value {
    json!({
        "/verdict": "not_affected", "/mounts/0/verdict": "not_affected",
        "/mounts/0/fix_level": level, "/mounts/0/evidence/0/finding": "not_affected",
    })
}

#[test]
fn what_is_right_passes() {
    assert_eq!(affected(2, &json!({})), [""; 0]);
    let stock = measured("mount", false, asked(0, &fixed("full")));
    assert_eq!(judge(&stock, Client::Stock), [""; 0]);
    let half = measured("mount", false, asked(0, &fixed("be189f7e")));
    assert_eq!(judge(&half, Client::Be189f7eOnly), [""; 0]);
    let seen = inconclusive("a delegation was granted");
    let hidden = measured("file", true, asked(3, &seen));
    assert_eq!(judge(&hidden, Client::Stock), [""; 0]);
}

#[test]
fn every_wrong_thing_is_found() {
    for (changes, words) in [
        (json!({"/verdict": "not_affected"}), "that of the mounts"),
        (json!({"/mounts/0/fix_level": "full"}), "fix level"),
        (json!({"/mounts/0/fix_level": null}), "fix level"),
        (json!({"/mounts/0/mount": "/other"}), "it is about"),
        (json!({"/mounts/0/nfs_version": "4.1"}), "it is about"),
        (json!({"/mounts/0/atomic_open_v1": true}), "atomic_open_v1"),
        (json!({"/mounts/0/server": "other:/"}), "the server is"),
        (json!({"/mounts/0/advice": []}), "no advice"),
        (json!({"/mounts/0/took_ms": 30_001}), "30001"),
        (json!({"/mounts/0/why": ""}), "does not say why"),
        (json!({"/mounts/0/evidence": []}), "proves affected"),
        (json!({"/mounts/0/evidence/0/kind": "image"}), "proves"),
        (json!({"/evidence": []}), "no evidence from Image"),
        (json!({"/mounts": []}), "it is about {}"),
        (json!({"/type": "trace"}), "type of the report"),
    ] {
        let problems = affected(2, &changes).join("\n");
        assert!(problems.contains(words), "{changes}: {problems}");
    }
    assert!(affected(0, &json!({}))[0].contains("status 0 instead of 2"));
}

#[test]
fn the_wrong_verdict_and_the_wrong_level_are_found() {
    let fixed_one = measured("mount", false, asked(0, &fixed("full")));
    let problems = judge(&fixed_one, Client::WithoutBe189f7e);
    assert!(problems[0].contains("not_affected, where affected is true"));
    let problems = judge(&fixed_one, Client::Be189f7eOnly);
    assert!(problems[0].contains("fix level Some(Full)"), "{problems:?}");
    // What a delegation hides must not be called "not affected".
    let hidden = measured("file", true, asked(0, &fixed("full")));
    let problems = judge(&hidden, Client::Stock).join("\n");
    assert!(problems.contains("Nothing is to be found"), "{problems}");
    // And a delegation that nobody mentions was none.
    let silent = measured("file", true, asked(3, &inconclusive("nothing")));
    assert!(judge(&silent, Client::Stock)[0].contains("no evidence has a word"));
}

#[test]
fn what_is_left_and_what_takes_long_is_found() {
    let mut asked = asked(2, &json!({}));
    asked.left = vec!["/export/.nfs-trace-check-0".into()];
    asked.took_ms = 30_001;
    let problems = judge(&measured("mount", false, asked), Client::WithoutSeries);
    assert!(problems[0].contains("left behind: /export/.nfs-trace-check-0"));
    assert!(problems[1].contains("it took 30001 ms"));
}

#[test]
fn a_look_on_has_to_tell_who() {
    let seen = "sh (pid 9) opened /mnt/a at 19:12:36.966 from cached open state";
    let changes = json!({
        "/mounts/0/evidence/0/kind": "observed", "/mounts/0/evidence/0/seen": seen,
    });
    let mut observed = measured("observe", false, asked(2, &changes));
    let held = |path: &str, holder| {
        Some(Held {
            path: path.into(),
            holder,
            reader: "sh".into(),
        })
    };
    observed.held = held("/mnt/a", 7);
    assert_eq!(judge(&observed, Client::WithoutSeries), [""; 0]);
    observed.held = held("/mnt/a", 8);
    assert!(judge(&observed, Client::WithoutSeries)[0].contains("process 8"));
    observed.held = held("/mnt/b", 7);
    assert!(judge(&observed, Client::WithoutSeries)[0].contains("opened /mnt/b"));
}

#[test]
fn a_refusal_has_a_status_and_no_report() {
    let refused = Asked {
        status: 64,
        err: "nfs-trace: `/tmp` is not on NFSv4\n".into(),
        ..Asked::default()
    };
    let mut case = measured("not-nfs", false, refused);
    assert_eq!(judge(&case, Client::Stock), [""; 0]);
    case.asked[0].status = 1;
    case.asked[0].out = "{}".into();
    assert_eq!(judge(&case, Client::Stock).len(), 3);
}

#[test]
fn who_is_interrupted_claims_nothing_wrong() {
    let interrupted = |status, changes: &Value| {
        let mut asked = asked(status, changes);
        asked.label = "SIGINT".into();
        judge(&measured("nothing-left", false, asked), Client::Stock)
    };
    assert_eq!(interrupted(3, &inconclusive("nothing")), [""; 0]);
    assert_eq!(interrupted(0, &fixed("full")), [""; 0]);
    assert_eq!(interrupted(2, &json!({})).len(), 3);
}

#[test]
fn what_was_not_measured_fails() {
    let mut nothing = measured("mount", false, Asked::default());
    nothing.asked.clear();
    assert_eq!(judge(&nothing, Client::Stock), ["nothing was asked"]);
    nothing.error = Some("mount: refused".into());
    assert_eq!(judge(&nothing, Client::Stock), ["mount: refused"]);
    nothing.error = None;
    nothing.skipped = Some("this kernel has no lockdown".into());
    assert_eq!(judge(&nothing, Client::Stock), [""; 0]);
}
