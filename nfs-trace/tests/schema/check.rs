//! docs/check.schema.json.

use std::fs;

use nfs_trace::check::{
    evidence::{Evidence, Finding, FixLevel, Kind},
    verdict::Verdict,
};
use serde_json::{Map, Value, json};

use super::{assert_valid, changed, data, files, said, schema, validator, words};

/// Real outputs of `check` that have to be there, files of tests/data. Whatever else is there
/// as check-*.json is validated too.
const REAL_CHECKS: &[&str] = &[
    "check-affected-observed.json",
    "check-affected.json",
    "check-be189f7e.json",
    "check-dead-server.json",
    "check-no-module.json",
    "check-not-affected-observed.json",
    "check-two-mounts.json",
];

/// A document as the contract has it.
fn a_check() -> Value {
    json!({
        "type": "check",
        "version": "0.1.0",
        "kernel": "6.1.0-56-amd64",
        "distribution": "Debian GNU/Linux 12 (bookworm)",
        "verdict": "affected",
        "why": "1 of 2 mounts is affected",
        "evidence": [{
            "kind": "image",
            "looked_at": "kallsyms",
            "seen": "no nfs4_do_lookup_revalidate",
            "finding": "points_to_affected",
            "fix_level": "none",
            "means": "the full series has this function"
        }],
        "mounts": [{
            "mount": "/mnt",
            "also_mounted_at": ["/srv"],
            "server": "127.0.0.1:/",
            "dev": "0:40",
            "nfs_version": "4.1",
            "atomic_open_v1": true,
            "nocto": false,
            "lookupcache": "all",
            "ac": true,
            "acdirmin": 30,
            "acdirmax": 60,
            "verdict": "affected",
            "fix_level": "none",
            "why": "a file that was open was opened again and the server was not asked",
            "remarks": ["the second client was a second mount over NFSv4.2"],
            "evidence": [{
                "kind": "self_test",
                "looked_at": "6 reopens of a file of our own",
                "seen": "6 cached",
                "finding": "affected",
                "fix_level": null,
                "means": "this client reuses its open state"
            }],
            "holders": [{ "pid": 1, "command": "git", "path": "/mnt/x" }],
            "advice": ["close the file in git (pid 1)"],
            "took_ms": 1234
        }],
        "advice": ["install a kernel with the fix"]
    })
}

/// Where in a document its objects are.
fn objects(document: &Value) -> Vec<String> {
    fn walk(value: &Value, at: &str, found: &mut Vec<String>) {
        match value {
            Value::Object(map) => {
                found.push(at.to_string());
                for (key, value) in map {
                    walk(value, &format!("{at}/{key}"), found);
                }
            }
            Value::Array(items) => {
                for (index, value) in items.iter().enumerate() {
                    walk(value, &format!("{at}/{index}"), found);
                }
            }
            _ => {}
        }
    }
    let mut found = Vec::new();
    walk(document, "", &mut found);
    found
}

#[test]
fn a_check_as_agreed_validates() {
    let validator = validator("check");
    assert_valid(&validator, &a_check(), "the sample");
    let nothing = changed(&a_check(), "", |check| {
        check["mounts"] = json!([]);
        check["verdict"] = json!("inconclusive");
    });
    assert_valid(&validator, &nothing, "no mounts");
}

/// Breaks a valid document in every place: each field taken out, a field too many in each
/// object, and each value replaced by one of another kind.
#[test]
fn a_broken_check_does_not_validate() {
    let (validator, whole) = (validator("check"), a_check());
    let mut tried = 0;
    let mut refused = |at: &str, what: &str, change: &dyn Fn(&mut Map<String, Value>)| {
        let broken = changed(&whole, at, change);
        assert!(!validator.is_valid(&broken), "{at}: {what} passes");
        tried += 1;
    };
    for at in objects(&whole) {
        refused(&at, "a field too many", &|it| {
            it.insert("extra".into(), json!("text"));
        });
        let object = whole.pointer(&at).and_then(Value::as_object);
        for key in object.expect("an object").keys() {
            refused(&at, &format!("without {key}"), &|it| {
                it.remove(key);
            });
            refused(&at, &format!("odd {key}"), &|it| it[key] = json!(-1.5));
        }
    }
    refused("", "verdict", &|it| it["verdict"] = json!("maybe"));
    for (field, value) in [
        ("verdict", json!("maybe")),
        ("fix_level", json!("half")),
        ("lookupcache", json!("some")),
        ("nfs_version", json!("3")),
        ("dev", json!("40")),
        ("took_ms", json!("1234")),
    ] {
        refused("/mounts/0", field, &|it| it[field] = value.clone());
    }
    refused("/evidence/0", "what is about a mount", &|it| {
        it["kind"] = json!("self_test");
    });
    assert!(tried > 80, "{tried}");
}

/// The words of the code and those of the schema are the same.
#[test]
fn evidence_and_verdicts_have_the_words_of_the_schema() {
    let schema = schema("check");
    let words = |at: &str| words(&schema, at);
    use Finding::{Affected, NotAffected, Nothing, PointsToAffected, PointsToNotAffected};
    assert_eq!(
        said(&[
            Affected,
            NotAffected,
            PointsToAffected,
            PointsToNotAffected,
            Nothing
        ]),
        words("/$defs/evidence/properties/finding/enum")
    );
    assert_eq!(
        said(&[Kind::Observed, Kind::SelfTest, Kind::Image, Kind::Release]),
        words("/$defs/evidence/properties/kind/enum")
    );
    assert_eq!(
        said(&[
            Verdict::Affected,
            Verdict::NotAffected,
            Verdict::Inconclusive
        ]),
        words("/$defs/verdict/enum")
    );
    assert_eq!(
        said(&[
            Some(FixLevel::None),
            Some(FixLevel::Be189f7e),
            Some(FixLevel::Full),
            None
        ]),
        words("/$defs/fix_level/enum")
    );
    let evidence = Evidence {
        kind: Kind::Observed,
        looked_at: "opens".into(),
        seen: "none".into(),
        finding: Nothing,
        fix_level: None,
        means: "nobody opened a file twice".into(),
    };
    let check = changed(&a_check(), "/mounts/0", |mount| {
        mount["evidence"] = json!([evidence]);
    });
    assert_valid(&validator("check"), &check, "evidence");
}

#[test]
fn real_checks_validate() {
    let validator = validator("check");
    for name in REAL_CHECKS {
        assert!(data().join(name).is_file(), "{name} is gone");
    }
    for file in files(&data(), "check-", ".json") {
        let text = fs::read_to_string(&file).expect("the output");
        assert_eq!(text.lines().count(), 1, "{}: one line", file.display());
        let document = serde_json::from_str(&text).expect("JSON");
        assert_valid(&validator, &document, &file.display().to_string());
    }
}
