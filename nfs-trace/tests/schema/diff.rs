//! docs/diff.schema.json.

use std::process::Command;

use nfs_trace::diff::{
    answer::Part,
    compare::{Change, Verdict},
};
use serde_json::{Value, json};

use super::{assert_valid, changed, data, said, schema, validator, words};

fn diff(before: &str, after: &str, arguments: &[&str]) -> (i32, Value) {
    let output = Command::new(env!("CARGO_BIN_EXE_nfs-trace"))
        .current_dir(data())
        .args(["diff", before, after, "--format", "json"])
        .args(arguments)
        .output()
        .expect("the binary runs");
    let document = serde_json::from_slice(&output.stdout).expect("JSON");
    (output.status.code().expect("a status"), document)
}

#[test]
fn it_has_the_words_of_the_schema() {
    let schema = schema("diff");
    let words = |at: &str| words(&schema, at);
    use Verdict::{Different, Inconclusive};
    assert_eq!(
        said(&[Verdict::Same, Different, Inconclusive]),
        words("/properties/verdict/enum")
    );
    use Change::{Changed, OnlyAfter, OnlyBefore, Uncertain};
    assert_eq!(
        said(&[Change::Same, Changed, Uncertain, OnlyBefore, OnlyAfter]),
        words("/$defs/opens/properties/change/enum")
    );
    assert_eq!(
        said(&Part::ALL),
        words("/$defs/opens/properties/differs/items/enum")
    );
    // As in a trace.
    let trace = super::schema("trace");
    for word in ["open_path", "name_check"] {
        assert_eq!(
            words(&format!("/$defs/made/properties/{word}/enum")),
            super::words(&trace, &format!("/$defs/{word}/enum"))
        );
    }
}

#[test]
fn real_differences_validate() {
    let validator = validator("diff");
    let recording = |name: &str| format!("6.1-{name}.nfst");
    let mut groups = 0;
    for (before, after, arguments, status) in [
        (
            "without-series-rename-over-v4.0",
            "stock-rename-over-v4.0",
            &[][..],
            1,
        ),
        (
            "without-series-rename-over-v4.1",
            "stock-rename-over-v4.1",
            &["--all"],
            1,
        ),
        // Not the same scenario: in one of them alone.
        ("stock-create-v4.0", "stock-git-gc-v4.1", &[], 1),
        ("stock-removed-v4.1", "stock-removed-v4.1", &["--all"], 0),
        (
            "stock-removed-v4.1",
            "stock-removed-v4.1",
            &["--path", "nothing"],
            3,
        ),
    ] {
        let (found, document) = diff(&recording(before), &recording(after), arguments);
        assert_eq!(found, status, "{before}, {after}: {document}");
        assert_valid(&validator, &document, before);
        groups += document["opens"].as_array().map_or(0, Vec::len);
    }
    assert!(groups > 20, "{groups}");
}

#[test]
fn a_broken_difference_does_not_validate() {
    let validator = validator("diff");
    let (_, document) = diff(
        "6.1-without-series-rename-over-v4.0.nfst",
        "6.1-stock-rename-over-v4.0.nfst",
        &[],
    );
    for at in [
        "",
        "/counts",
        "/before",
        "/opens/0",
        "/opens/0/after",
        "/opens/0/after/rpcs",
    ] {
        let object = document.pointer(at).and_then(Value::as_object);
        for key in object.expect(at).keys() {
            let gone = changed(&document, at, |it| {
                it.remove(key);
            });
            assert!(!validator.is_valid(&gone), "{at} without {key} passes");
        }
        let extra = changed(&document, at, |it| {
            it.insert("extra".into(), json!(1));
        });
        assert!(
            !validator.is_valid(&extra),
            "{at} with a field too many passes"
        );
    }
    for (key, value) in [
        ("change", json!("only_before")),
        ("change", json!("same")),
        ("differs", json!([])),
        ("differs", json!(["latency"])),
        ("before", Value::Null),
        ("count", json!(0)),
    ] {
        let odd = changed(&document, "/opens/0", |it| {
            it.insert(key.into(), value.clone());
        });
        assert!(!validator.is_valid(&odd), "{key} {value} passes");
    }
}
