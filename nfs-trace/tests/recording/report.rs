//! `nfs-trace report` from outside: what it finds in a real recording, names that do harm, pipes,
//! damage and memory.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use nfs_trace::names::escape;
use serde_json::Value;

use super::{
    blocks, folder, generate,
    names::{NAME, SHOWN, TEXT_SHOWN, no_control, recording_of},
    stderr, stdout,
};

fn report(file: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_nfs-trace"))
        .arg("report")
        .arg(file)
        .args(arguments)
        .env("TZ", "UTC")
        .output()
        .expect("the binary runs")
}

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(name)
}

fn file(test: &str, bytes: &[u8]) -> PathBuf {
    let file = folder(test).join("trace.nfst");
    fs::write(&file, bytes).expect("written");
    file
}

/// A real rename over a file that was held, noticed after somebody listed the directory.
/// `UPDATE_EXPECT=1` rewrites what is expected.
#[test]
fn a_real_recording_gives_the_golden_report() {
    let file = data("6.1-without-series-noticed-v4.0.nfst");
    let output = report(&file, &[]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let found = stdout(&output);
    let golden = file.with_extension("report.txt");
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        fs::write(&golden, &found).expect("the golden file");
    }
    let expected = fs::read_to_string(golden).expect("the golden file");
    assert!(
        expected == found,
        "--- expected\n{expected}\n--- found\n{found}"
    );
    assert!(
        found.lines().all(|line| line.chars().count() <= 100),
        "{found}"
    );
}

/// What the lab did: one open holds, one comes before the rename, five after it, two after `ls`.
#[test]
fn cached_opens_between_two_answers_are_proved_stale() {
    let output = report(
        &data("6.1-without-series-noticed-v4.0.nfst"),
        &["--format", "json"],
    );
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let name = &report["names"][0];
    let change = &name["changes"][0];
    assert_eq!(name["path"], "/mnt/report.csv");
    assert_eq!((&change["old"], &change["new"]), (&11.into(), &12.into()));
    assert_eq!(change["between"]["opens"], 6);
    assert_eq!(report["proved_stale"], 6);
    assert_eq!(report["holds"][0]["opened_by"][0]["opener"]["comm"], "sh");
}

/// Without a later answer of the server there is no proof.
#[test]
fn without_a_later_answer_nothing_is_proved() {
    let output = report(
        &data("6.1-without-series-rename-over-v4.0.nfst"),
        &["--format", "json"],
    );
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(report["end"]["by_open_path"]["cached"], 11);
    assert_eq!(report["proved_stale"], 0);
    assert_eq!(report["names"][0]["changes"], Value::Array(Vec::new()));
}

#[test]
fn filters_choose_what_is_listed_not_what_is_known() {
    let output = report(
        &data("6.1-without-series-noticed-v4.0.nfst"),
        &[
            "--format",
            "json",
            "--open-path",
            "cached",
            "--comm",
            "head",
        ],
    );
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(report["end"]["opens"], 1);
    assert_eq!(report["proved_stale"], 1);
    assert_eq!(report["names"].as_array().expect("names").len(), 1);
}

#[test]
fn csv_has_a_line_for_each_open_and_what_is_proved() {
    let output = report(&data("6.1-without-series-noticed-v4.0.nfst"), &["--csv"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(stderr(&output).lines().count(), 1, "said once");
    let mut reader = csv::Reader::from_reader(output.stdout.as_slice());
    let titles = reader.headers().expect("titles").clone();
    let at = |title| titles.iter().position(|it| it == title).expect(title);
    let (stale, word, named) = (at("proved_stale"), at("open_path"), at("named_fileid"));
    let rows: Vec<_> = reader.records().map(|row| row.expect("a row")).collect();
    assert_eq!(rows.len(), 11);
    for row in &rows {
        let is_cached = &row[word] == "cached";
        assert_eq!(&row[stale] == "between", is_cached, "{row:?}");
        assert_eq!(&row[named], if is_cached { "12" } else { "" });
    }
}

#[test]
fn csv_wants_a_file() {
    let bytes = fs::read(data("6.1-without-series-noticed-v4.0.nfst")).expect("it is there");
    drop(bytes);
    let output = report(Path::new("-"), &["--csv"]);
    assert_eq!(output.status.code(), Some(64));
    assert!(stderr(&output).contains("write it to one first"));
}

#[test]
fn text_shows_names_escaped() {
    let output = report(&file("report-text", &recording_of(NAME)), &[]);
    let (out, said) = (stdout(&output), stderr(&output));
    no_control(&out);
    no_control(&said);
    assert!(out.contains(&format!("/{TEXT_SHOWN}/{SHOWN}")), "{out}");
    assert!(
        out.contains("a\\x0ab\\x0d\\x1b[3"),
        "the command, cut: {out}"
    );
}

#[test]
fn json_shows_names_escaped() {
    let file = file("report-json", &recording_of(NAME));
    let out = stdout(&report(&file, &["--format", "json"]));
    no_control(&out);
    assert_eq!(out.lines().count(), 1);
    let report: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(report["names"][0]["path"], format!("/{TEXT_SHOWN}/{SHOWN}"));
    let comm = &report["commands"][0]["comm"];
    assert_eq!(comm, "a\\x0ab\\x0d\\x1b[31m\\xc2\\x9b2J\\xff<b");
}

#[test]
fn csv_shows_names_escaped_and_runs_none() {
    let file_ = file("report-csv", &recording_of(NAME));
    let out = stdout(&report(&file_, &["--csv"]));
    no_control(&out);
    assert_eq!(out.lines().count(), 2, "{out}");
    let path = |out: &str| {
        let mut reader = csv::Reader::from_reader(out.as_bytes());
        let row = reader.records().next().expect("a row").expect("CSV");
        (row[4].to_owned(), row[6].to_owned())
    };
    assert_eq!(path(&out).1, SHOWN);
    let formula = b"=cmd|'a',\"b\"";
    let file_ = file("report-csv-formula", &recording_of(formula));
    let out = stdout(&report(&file_, &["--csv"]));
    let quoted = "'=cmd|'a',\"b\"".to_owned();
    assert_eq!(path(&out), (quoted.clone(), quoted));
}

/// `cargo xtask page` loads what this leaves in a browser.
#[test]
fn html_shows_names_escaped() {
    let name =
        "</script><img src=x onerror=window.harm=1><b class=harm>&amp;<!--\u{2028}\n\u{202e}\\x0a";
    let file = file("report-html", &recording_of(name.as_bytes()));
    let page = file.with_file_name("page.html");
    let output = report(&file, &["--html", page.to_str().expect("UTF-8")]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(stdout(&output), "", "the page instead of the text");
    let text = fs::read_to_string(&page).expect("the page");
    no_control(&text);
    assert_eq!(text.matches("</script>").count(), 2, "those of the page");
    assert!(!text.contains("<img") && !text.contains("<b "));
    assert!(text.contains("\\u003c/script\\u003e\\u003cimg src=x"));
    // The escapes of the name, in JSON.
    let shown = escape("\u{2028}\n\u{202e}\\x0a".as_bytes()).replace('\\', "\\\\");
    assert!(text.contains(&shown), "{shown}");
    let kernel = TEXT_SHOWN.replace('\\', "\\\\");
    assert!(
        text.contains(&format!("\"kernel\":\"{kernel}\"")),
        "{kernel}"
    );
}

#[test]
fn nothing_is_written_over_the_recording() {
    let file = file("report-over", &recording_of(b"a"));
    let before = fs::read(&file).expect("it is there");
    for option in ["-o", "--html", "--perfetto"] {
        let output = report(&file, &[option, file.to_str().expect("UTF-8")]);
        assert_eq!(output.status.code(), Some(64), "{}", stderr(&output));
    }
    assert_eq!(fs::read(&file).expect("it is there"), before);
}

#[test]
fn damage_is_said_and_the_rest_reported() {
    let (mut bytes, at) = blocks(&generate::header(11), 4, 300);
    bytes[at[2] + 40] ^= 0xff;
    let file = file("report-damaged", &bytes);
    let output = report(&file, &["--format", "json"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("left out"), "{}", stderr(&output));
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(report["end"]["unread"]["places"], 1);
    assert!(report["end"]["opens"].as_u64().is_some_and(|n| n > 0));
}
