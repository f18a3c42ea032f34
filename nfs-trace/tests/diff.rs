//! `nfs-trace diff` from outside, on real recordings of clients with the fix and without, against
//! golden output. `UPDATE_EXPECT=1` rewrites the golden files; read their diff.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data")
}

/// Run where the recordings are, so that their names are the same everywhere.
fn diff(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_nfs-trace"))
        .current_dir(data())
        .arg("diff")
        .args(arguments)
        .output()
        .expect("the binary runs")
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}

fn recordings() -> Vec<String> {
    let entries = fs::read_dir(data()).expect("tests/data");
    let names = entries.map(|entry| entry.expect("an entry").file_name());
    let names = names.filter_map(|name| name.into_string().ok());
    let mut names: Vec<String> = names.filter(|name| name.ends_with(".nfst")).collect();
    names.sort();
    assert!(names.len() >= 6, "the recordings are gone: {names:?}");
    names
}

#[test]
fn without_the_fix_and_with_it() {
    for version in ["4.0", "4.1"] {
        let [before, after] = ["without-series", "stock"]
            .map(|client| format!("6.1-{client}-rename-over-v{version}.nfst"));
        let output = diff(&[&before, &after]);
        assert_eq!(output.status.code(), Some(1));
        let found = stdout(&output);
        let golden = data().join(format!("diff-rename-over-v{version}.txt"));
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            fs::write(&golden, &found).expect("the golden file");
        }
        let expected = fs::read_to_string(&golden).unwrap_or_default();
        assert_eq!(found, expected, "{}", golden.display());
        assert!(!found.contains('\x1b'), "colour without a terminal");
        // The other way round the same opens differ.
        let back = diff(&[&after, &before]);
        assert_eq!(back.status.code(), Some(1));
        let line = stdout(&back).lines().last().expect("a line").to_owned();
        assert!(line.contains("-> cached"), "{line}");
        assert!(line.contains("OPENs fewer"), "{line}");
    }
}

#[test]
fn a_recording_does_not_differ_from_itself() {
    for name in recordings() {
        let output = diff(&[&name, &name]);
        assert_eq!(output.status.code(), Some(0), "{name}: {}", stdout(&output));
        assert!(stdout(&output).contains("\nno difference: "), "{name}");
        // With --all every open is there.
        let all = stdout(&diff(&[&name, &name, "--all", "--format", "json"]));
        let all: serde_json::Value = serde_json::from_str(&all).expect("JSON");
        let groups = all["opens"].as_array().expect("opens").iter();
        let shown: u64 = groups.filter_map(|group| group["count"].as_u64()).sum();
        assert!(shown > 0);
        assert_eq!(all["before"]["opens"], shown, "{all}");
        assert_eq!(all["counts"]["same"], shown, "{all}");
    }
}

#[test]
fn any_two_recordings_can_be_compared() {
    let names = recordings();
    for before in &names {
        for after in names.iter().filter(|after| *after != before) {
            let output = diff(&[before, after]);
            assert_eq!(output.status.code(), Some(1), "{before} {after}");
            assert!(stdout(&output).lines().count() >= 4);
        }
    }
}

#[test]
fn filters_are_applied_to_both() {
    let names = [
        "6.1-without-series-rename-over-v4.0.nfst",
        "6.1-stock-rename-over-v4.0.nfst",
    ];
    let last = |arguments: &[&str]| {
        let output = diff(&[&names[..], arguments].concat());
        let text = stdout(&output);
        let line = text.lines().last().unwrap_or_default().to_owned();
        (output.status.code(), line)
    };
    let (status, line) = last(&["--open-path", "atomic"]);
    assert_eq!(status, Some(1));
    assert!(line.starts_with("1 of 1 reopens of"), "{line}");
    for nothing in [
        ["--path", "nothing"],
        ["--comm", "nobody"],
        ["--mount", "/elsewhere"],
        ["--open-path", "delegated"],
    ] {
        let (status, line) = last(&nothing);
        assert_eq!(status, Some(3), "{nothing:?}");
        assert_eq!(line, "inconclusive: there is no open to compare");
    }
    for all in [
        ["--path", "**/test1.txt"],
        ["--comm", "init"],
        ["--mount", "/mnt"],
    ] {
        assert!(last(&all).1.starts_with("11 of 11 reopens"), "{all:?}");
    }
}

/// 1 means that they differ, and nothing else.
#[test]
fn failures_have_statuses_of_their_own() {
    let name = "6.1-stock-create-v4.0.nfst";
    for (arguments, status, named) in [
        (&[name, "nothing.nfst"][..], 66, "nothing.nfst"),
        (&["check-affected.json", name], 66, "no recording"),
        (&[name, "."], 66, "`.`"),
        (&["-", "-"], 64, "stdin"),
        (&[name], 64, "<AFTER>"),
        (&[name, name, "--path", "a["], 64, "--path"),
    ] {
        let output = diff(arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {said}");
        assert!(said.contains(named), "{arguments:?}: {said}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
    let full = Command::new(env!("CARGO_BIN_EXE_nfs-trace"))
        .current_dir(data())
        .args(["diff", name, name])
        .stdout(fs::File::create("/dev/full").expect("/dev/full"))
        .output()
        .expect("the binary runs");
    assert_eq!(full.status.code(), Some(74));
}

#[test]
fn one_of_the_two_may_come_through_a_pipe() {
    let name = "6.1-stock-create-v4.0.nfst";
    for arguments in [[name, "-"], ["-", name]] {
        let output = Command::new(env!("CARGO_BIN_EXE_nfs-trace"))
            .current_dir(data())
            .arg("diff")
            .args(arguments)
            .stdin(fs::File::open(data().join(name)).expect("the recording"))
            .output()
            .expect("the binary runs");
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
    }
}
