//! The JSON schemas in docs/: they are strict, they explain every field, real output
//! validates, and broken output does not.

mod check;
mod diff;
mod report;
mod trace;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use jsonschema::Validator;
use serde_json::{Map, Value, json};

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs")
}

fn files(dir: &Path, begin: &str, end: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(dir)
        .expect("the directory")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| {
            let name = path.file_name().and_then(|name| name.to_str());
            name.is_some_and(|name| name.starts_with(begin) && name.ends_with(end))
        })
        .collect();
    files.sort();
    files
}

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data")
}

fn schema(of: &str) -> Value {
    let text = fs::read_to_string(docs().join(format!("{of}.schema.json"))).expect("the schema");
    serde_json::from_str(&text).expect("JSON")
}

fn validator(of: &str) -> Validator {
    jsonschema::draft202012::new(&schema(of)).expect("a schema")
}

/// What is wrong with a document; nothing if it is valid.
fn complaints(validator: &Validator, document: &Value) -> Vec<String> {
    validator
        .iter_errors(document)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect()
}

fn assert_valid(validator: &Validator, document: &Value, what: &str) {
    assert_eq!(complaints(validator, document), [""; 0], "{what}");
}

/// The document with one of its objects changed.
fn changed(document: &Value, at: &str, change: impl FnOnce(&mut Map<String, Value>)) -> Value {
    let mut document = document.clone();
    let object = document.pointer_mut(at).and_then(Value::as_object_mut);
    change(object.expect("an object"));
    document
}

fn words(schema: &Value, at: &str) -> BTreeSet<String> {
    let words = schema.pointer(at).and_then(Value::as_array).expect(at);
    words.iter().map(Value::to_string).collect()
}

fn said<T: serde::Serialize>(words: &[T]) -> BTreeSet<String> {
    words.iter().map(|word| json!(word).to_string()).collect()
}

/// Exercises the schemas themselves: 2020-12, no field without an explanation, and no object
/// that lets unknown fields pass.
#[test]
fn the_schemas_are_strict_and_explain_every_field() {
    fn walk(schema: &Value, at: &str, is_condition: bool) {
        match schema {
            Value::Object(map) => {
                if let (Some(fields), false) = (map.get("properties"), is_condition) {
                    let is_extended = map.contains_key("$ref");
                    assert!(
                        is_extended || map["additionalProperties"] == false,
                        "{at} is open"
                    );
                    for (name, field) in fields.as_object().expect("fields") {
                        let told = field["description"].as_str();
                        assert!(
                            told.is_some_and(|text| text.ends_with('.')),
                            "{at}: explain {name}"
                        );
                    }
                }
                for (key, value) in map {
                    let is_condition =
                        is_condition || ["if", "then", "else"].contains(&key.as_str());
                    walk(value, &format!("{at}/{key}"), is_condition);
                }
            }
            Value::Array(items) => items.iter().for_each(|item| walk(item, at, is_condition)),
            _ => {}
        }
    }
    let all = files(&docs(), "", ".schema.json");
    assert!(all.len() >= 4, "{all:?}");
    for file in all {
        let text = fs::read_to_string(&file).expect("the schema");
        let schema: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(
            schema["$schema"],
            "https://json-schema.org/draft/2020-12/schema"
        );
        jsonschema::draft202012::meta::validate(&schema).expect("a schema");
        walk(&schema, &file.display().to_string(), false);
    }
}

#[test]
fn the_report_of_this_machine_validates() {
    let output = Command::new(env!("CARGO_BIN_EXE_nfs-trace"))
        .args(["probes", "--format", "json"])
        .output()
        .expect("the binary runs");
    let report = serde_json::from_slice(&output.stdout).expect("JSON");
    let validator = validator("probes");
    assert_valid(&validator, &report, "probes");
    let opposite = changed(&report, "", |it| {
        it["can_trace"] = json!(it["can_trace"] == false);
    });
    assert!(
        !validator.is_valid(&opposite),
        "problems and can_trace contradict each other"
    );
}

/// Whatever this machine is, `check` has an answer. It touches no file here.
#[test]
fn the_check_of_this_machine_validates() {
    let output = Command::new(env!("CARGO_BIN_EXE_nfs-trace"))
        .args(["check", "--observe", "100ms", "--format", "json"])
        .output()
        .expect("the binary runs");
    let report = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_valid(&validator("check"), &report, "check");
    let status = match report["verdict"].as_str() {
        Some("not_affected") => 0,
        Some("affected") => 2,
        _ => 3,
    };
    assert_eq!(output.status.code(), Some(status));
}
