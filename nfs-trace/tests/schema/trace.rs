//! docs/trace.schema.json.

use std::{collections::BTreeMap, fs};

use nfs_trace::{
    names::claim_name,
    notice::{Attached, Notice, What},
    recording::{Item, Reader},
    render::{Render as _, json::Json},
    session::{Session, signals},
    summary::{ProgramCounts, Reloads, Summary, Unread},
    trace::{Gap, NameCheck, PathWord},
};
use serde_json::{Value, json};

use super::{assert_valid, changed, data, files, said, schema, validator, words};

#[test]
fn opens_have_the_words_of_the_schema() {
    let schema = schema("trace");
    let words = |at: &str| words(&schema, at);
    assert_eq!(said(&PathWord::ALL), words("/$defs/open_path/enum"));
    use NameCheck::{Accepted, Delegated, Directory, Lookup, None, Replaced, Unknown};
    assert_eq!(
        said(&[
            Accepted, Directory, Lookup, Replaced, Delegated, None, Unknown
        ]),
        words("/$defs/name_check/enum")
    );
    use Gap::{BeganBefore, EndNotSeen, RecordLost, ReturnMissed, Unjoined};
    assert_eq!(
        said(&[RecordLost, ReturnMissed, Unjoined, BeganBefore, EndNotSeen]),
        words("/$defs/open/properties/gaps/items/enum")
    );
    let claims: Vec<_> = (0..=u8::MAX).map(claim_name).collect();
    assert_eq!(said(&claims), words("/$defs/claim/enum"));
}

/// Lines of real traces, replayed.
fn trace_lines() -> Vec<(String, Value)> {
    let mut lines = Vec::new();
    for file in files(&data(), "", ".jsonl") {
        let text = fs::read_to_string(&file).expect("the output");
        for (number, line) in text.lines().enumerate() {
            let what = format!("{}:{}", file.display(), number + 1);
            lines.push((what, serde_json::from_str(line).expect("JSON")));
        }
    }
    lines
}

#[test]
fn real_traces_validate() {
    let validator = validator("trace");
    let lines = trace_lines();
    for (what, line) in &lines {
        assert_valid(&validator, line, what);
    }
    for of in ["start", "open", "end"] {
        let count = lines.iter().filter(|(_, line)| line["type"] == of).count();
        assert!(count >= 6, "{of}: {count} lines");
    }
}

#[test]
fn a_broken_trace_does_not_validate() {
    let validator = validator("trace");
    let lines = trace_lines();
    let first = |of: &str| {
        let found = lines.iter().find(|(_, line)| line["type"] == of);
        found.expect(of).1.clone()
    };
    let step = |name: &str| {
        let of = |line: &Value| -> Option<String> {
            let at = line["steps"]
                .as_array()?
                .iter()
                .position(|step| step["step"] == name)?;
            Some(format!("/steps/{at}"))
        };
        let found = lines
            .iter()
            .find_map(|(_, line)| Some((line.clone(), of(line)?)));
        found.expect(name)
    };
    for of in ["start", "open", "end"] {
        let line = first(of);
        for key in line.as_object().expect("an object").keys() {
            let gone = changed(&line, "", |it| {
                it.remove(key);
            });
            assert!(!validator.is_valid(&gone), "{of} without {key} passes");
        }
        let extra = changed(&line, "", |it| {
            it.insert("extra".into(), json!(1));
        });
        assert!(
            !validator.is_valid(&extra),
            "{of} with a field too many passes"
        );
    }
    let open = first("open");
    for (key, value) in [
        ("type", json!("close")),
        ("open_path", json!("sideways")),
        ("name_check", json!(null)),
        ("claim", json!("fh")),
        ("result", json!(2)),
        ("complete", json!(false)),
        ("gaps", json!(["record_lost"])),
        ("time", json!("yesterday")),
        ("dev", json!("27")),
    ] {
        let odd = changed(&open, "", |it| {
            it.insert(key.into(), value.clone());
        });
        assert!(!validator.is_valid(&odd), "{key} {value} passes");
    }
    for (name, key) in [("revalidate", "walk"), ("OPEN", "sent")] {
        let (line, at) = step(name);
        let gone = changed(&line, &at, |it| {
            it.remove(key);
        });
        assert!(!validator.is_valid(&gone), "{name} without {key} passes");
        let (line, at) = step("nfs4_file_open");
        let extra = changed(&line, &at, |it| {
            it.insert(key.into(), json!("ref"));
        });
        assert!(
            !validator.is_valid(&extra),
            "nfs4_file_open with {key} passes"
        );
    }
}

/// Real traces here all have the kernel's own BTF, of which nothing is said.
#[test]
fn a_layout_from_elsewhere_is_explained() {
    let validator = validator("trace");
    let lines = trace_lines();
    let start = lines.iter().find(|(_, line)| line["type"] == "start");
    let (_, start) = start.expect("a start");
    for (layout, why, valid) in [
        ("btf", None, true),
        ("btf", Some("from /tmp/vmlinux"), true),
        ("table", Some("this kernel has no BTF"), true),
        ("none", Some("as asked for"), true),
        ("none", None, false),
        ("none", Some(""), false),
        ("dwarf", None, false),
    ] {
        let line = changed(start, "", |it| {
            it.insert("layout".into(), json!(layout));
            if let Some(why) = why {
                it.insert("layout_why".into(), json!(why));
            }
        });
        assert_eq!(validator.is_valid(&line), valid, "{layout} {why:?}");
    }
}

/// What an open shows only when it is asked for, or when something is missing.
#[test]
fn what_an_open_may_have_beside_validates() {
    let validator = validator("trace");
    let open = trace_lines()
        .into_iter()
        .find(|(_, line)| line["type"] == "open");
    let more = changed(&open.expect("an open").1, "", |it| {
        it.insert("dentry_pointer".into(), json!("0xffff888004a1b2c0"));
        it.insert(
            "stack".into(),
            json!(["nfs4_file_open+0x0 [nfsv4]", "0x12"]),
        );
        it.insert("complete".into(), json!(false));
        it.insert("gaps".into(), json!(["end_not_seen"]));
        it.insert("result".into(), Value::Null);
        for key in [
            "mount",
            "path",
            "dev",
            "fileid",
            "dentry",
            "nfs_version",
            "flags",
            "claim",
        ] {
            it.insert(key.into(), Value::Null);
        }
    });
    assert_valid(&validator, &more, "an open of which little is known");
}

/// With what only a kernel counts, which no replay has.
#[test]
fn the_end_of_a_live_trace_validates() {
    let mut summary = Summary::new(signals(&BTreeMap::new()));
    let counts = ProgramCounts { hits: 23, lost: 1 };
    summary
        .kernel
        .programs
        .insert("nfst_reval_in".into(), counts);
    summary.kernel.records = 1;
    summary.kernel.lost_by_cpu.insert(1, 1);
    let mut line = Vec::new();
    Json::new(&mut line).end(&summary).expect("a line");
    let end: Value = serde_json::from_slice(&line).expect("JSON");
    assert_eq!(end["programs"]["nfst_reval_in"]["hits"], 23);
    assert_eq!(end["lost_by_cpu"], json!({"1": 1}));
    assert_eq!(end["reloads"], Value::Null, "no module went");
    assert_valid(&validator("trace"), &end, "end");
    summary.unread = Unread {
        no_end: true,
        places: 1,
        ..Unread::default()
    };
    let end = written(|json| json.end(&summary).expect("a line"));
    assert_eq!(end["unread"]["places"], 1);
    assert_valid(&validator("trace"), &end, "end of a damaged recording");
    let odd = changed(&end, "/unread", |it| {
        it.remove("bytes");
    });
    assert!(!validator("trace").is_valid(&odd));
    let odd = changed(&end, "/lost_by_cpu", |it| {
        it.insert("first".into(), json!(1));
    });
    assert!(!validator("trace").is_valid(&odd));
    let odd = changed(&end, "/programs/nfst_reval_in", |it| {
        it["hits"] = json!("many");
    });
    assert!(!validator("trace").is_valid(&odd));
    let odd = changed(&end, "/by_open_path", |it| {
        it.remove("failed");
    });
    assert!(!validator("trace").is_valid(&odd), "every word is there");
}

/// A line as the renderer writes it.
fn written(write: impl FnOnce(&mut Json<&mut Vec<u8>>)) -> Value {
    let mut line = Vec::new();
    write(&mut Json::new(&mut line));
    serde_json::from_slice(&line).expect("JSON")
}

fn a_session() -> Session {
    let file = data().join("6.1-stock-create-v4.0.nfst");
    let mut reader = Reader::new(fs::File::open(file).expect("the recording"));
    match reader.read() {
        Ok(Some(Item::Begin(header))) => header.session,
        other => panic!("{other:?}"),
    }
}

/// The lines about modules that go and come back, of which no replay has any.
#[test]
fn lines_about_modules_validate() {
    let validator = validator("trace");
    let mut session = a_session();
    let line = |what: What<'_>| {
        let notice = Notice {
            ts_ns: 1_234,
            time: jiff::Timestamp::UNIX_EPOCH,
            what,
        };
        written(|json| json.notice(&notice).expect("a line"))
    };
    let why = "this kernel has no function nfs4_open_done".into();
    let mut lines = vec![
        line(What::Gone {
            module: Some("nfsv4"),
        }),
        line(What::Gone { module: None }),
        line(What::Refused { why }),
        line(What::Attached(Attached::new(&session, 340))),
    ];
    session.layout_why = "this kernel has no BTF".into();
    lines.push(line(What::Attached(Attached::new(&session, 340))));
    for line in &lines {
        assert_valid(&validator, line, &line.to_string());
        assert_eq!(line["type"], "module");
        for key in line.as_object().expect("an object").keys() {
            let gone = changed(line, "", |it| {
                it.remove(key);
            });
            let optional = key == "layout_why";
            assert_eq!(validator.is_valid(&gone), optional, "{key} gone: {gone}");
            let odd = changed(line, "", |it| {
                it.insert(key.clone(), json!(-1.5));
            });
            assert!(!validator.is_valid(&odd), "{odd} passes");
        }
        let extra = changed(line, "", |it| {
            it.insert("extra".into(), json!(1));
        });
        assert!(!validator.is_valid(&extra), "{extra} passes");
    }
    let start = written(|json| json.start(&session).expect("a line"));
    for key in [
        "layout",
        "layout_why",
        "probes",
        "told_by",
        "mounts",
        "startup_ms",
    ] {
        assert_eq!(lines[4][key], start[key], "{key}");
    }
}

#[test]
fn the_end_says_how_often_the_modules_went() {
    let mut summary = Summary::new(signals(&BTreeMap::new()));
    summary.reloads = Reloads {
        gone: 3,
        attached: 2,
        unseen_ms: 700,
    };
    let end = written(|json| json.end(&summary).expect("a line"));
    assert_eq!(
        end["reloads"],
        json!({"gone": 3, "attached": 2, "unseen_ms": 700})
    );
    assert_valid(&validator("trace"), &end, "end");
    let odd = changed(&end, "/reloads", |it| {
        it["gone"] = json!(0);
    });
    assert!(!validator("trace").is_valid(&odd));
}
