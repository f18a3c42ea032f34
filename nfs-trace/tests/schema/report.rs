//! docs/report.schema.json.

use std::process::Command;

use serde_json::{Value, json};

use super::{assert_valid, changed, data, files, schema, validator};

fn report(file: &std::path::Path, arguments: &[&str]) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_nfs-trace"))
        .args(["report", "--format", "json"])
        .args(arguments)
        .arg(file)
        .output()
        .expect("the binary runs");
    assert_eq!(output.status.code(), Some(0), "{}", file.display());
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// Exercises every part of the schema with real recordings: none of its lists is empty in all.
#[test]
fn reports_of_real_recordings_validate() {
    let validator = validator("report");
    let mut seen = [0; 5];
    for file in files(&data(), "", ".nfst") {
        let report = report(&file, &[]);
        assert_valid(&validator, &report, &file.display().to_string());
        let lists = [
            "/names",
            "/names/0/changes",
            "/commands",
            "/holds",
            "/delegations",
        ];
        for (count, at) in seen.iter_mut().zip(lists) {
            *count += report
                .pointer(at)
                .and_then(Value::as_array)
                .map_or(0, Vec::len);
        }
    }
    assert!(seen.iter().all(|count| *count > 0), "{seen:?}");
}

#[test]
fn a_report_of_nothing_validates() {
    let file = data().join("6.1-stock-create-v4.0.nfst");
    let report = report(&file, &["--path", "no-such-name"]);
    assert_valid(&validator("report"), &report, "nothing");
    assert_eq!(report["first"], Value::Null);
    assert_eq!(report["names"], json!([]));
}

#[test]
fn a_broken_report_does_not_validate() {
    let validator = validator("report");
    let report = report(&data().join("6.1-without-series-noticed-v4.0.nfst"), &[]);
    for at in [
        "",
        "/first",
        "/names/0",
        "/names/0/changes/0",
        "/names/0/changes/0/before",
        "/names/0/changes/0/between",
        "/names/0/history/0",
        "/names/0/history/0/openers",
        "/commands/0",
        "/commands/0/busiest",
        "/holds/0",
        "/holds/0/opened_by/0",
        "/latency/cached",
        "/left_out",
        "/end",
    ] {
        let object = report.pointer(at).and_then(Value::as_object).expect(at);
        for key in object.keys() {
            let gone = changed(&report, at, |it| {
                it.remove(key);
            });
            assert!(!validator.is_valid(&gone), "{at} without {key} passes");
        }
        let extra = changed(&report, at, |it| {
            it.insert("extra".into(), json!(1));
        });
        assert!(
            !validator.is_valid(&extra),
            "{at} with a field too many passes"
        );
    }
    for (at, key, value) in [
        ("/names/0/changes/0", "kind", json!("renamed")),
        ("/names/0/changes/0/before", "by", json!("READ")),
        ("/holds/0", "mode", json!("r")),
        ("/names/0", "opens", json!(0)),
        ("/first", "time", json!("yesterday")),
    ] {
        let odd = changed(&report, at, |it| {
            it.insert(key.into(), value.clone());
        });
        assert!(!validator.is_valid(&odd), "{at}: {key} {value} passes");
    }
}

/// What both have is told once, in the trace's schema.
#[test]
fn the_end_and_the_words_are_those_of_a_trace() {
    let (trace, report) = (schema("trace"), schema("report"));
    for name in ["open_path", "name_check", "claim", "count", "counted", "ns"] {
        assert_eq!(trace["$defs"][name], report["$defs"][name], "{name}");
    }
    let mut end = trace["$defs"]["end"].clone();
    end["properties"]
        .as_object_mut()
        .expect("fields")
        .remove("type");
    end["required"]
        .as_array_mut()
        .expect("names")
        .retain(|name| name != "type");
    assert_eq!(end, report["$defs"]["end"]);
}
