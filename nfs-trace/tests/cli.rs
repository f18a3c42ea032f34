//! The real binary from outside: help, wrong usage, and a machine that cannot trace.

use std::process::{Command, Output};

fn run(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_nfs-trace"))
        .args(args)
        .output()
        .expect("the binary runs")
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn help_goes_to_stdout_and_shows_examples() {
    let output = run(&["trace", "--help"]);
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(text.contains("EXAMPLES"), "{text}");
    assert!(text.contains("--open-path <WORD>"), "{text}");
    assert!(
        text.lines().all(|line| line.chars().count() <= 100),
        "wider than 100: {text}"
    );
    assert!(!text.contains("__launch"), "hidden commands stay hidden");
}

/// Exercises what can be got wrong on the command line: status 64, and a line that
/// names what was wrong.
#[test]
fn wrong_usage_is_64_and_says_what() {
    for (args, named) in [
        (&["trace", "--open-path", "sideways"][..], "sideways"),
        (&["trace", "--duration", "soon"], "soon"),
        (&["trace", "--count", "0"], "0"),
        (&["trace", "--buffer", "100"], "power of two"),
        (&["trace", "--pid", "many"], "many"),
        (&["trace", "--nonsense"], "--nonsense"),
        (&["trace", "--layout", "dwarf"], "dwarf"),
        (&["probes", "--btf", "/nonexistent/btf"], "/nonexistent/btf"),
        (
            &["probes", "--layout-table", "/proc/version"],
            "/proc/version",
        ),
        (&["trace", "--metrics-every", "20s"], "--metrics <FILE>"),
        (
            &["trace", "--metrics", "a", "--metrics-every", "10ms"],
            "1s",
        ),
        (&["replay", "x", "--metrics", "a.prom"], "--metrics"),
        (&["record"], "--output"),
        (&["record", "-o", "x", "--rotate", "100"], "at least"),
        (&["record", "-o", "x", "--max-files", "3"], "--rotate"),
        (&["record", "-o", "x", "--max-files", "0"], "0"),
        (&["record", "-o", "x", "--format", "json"], "--format"),
        (&["record", "-o", "-", "--rotate", "1M"], "--rotate"),
        (&["trace", "--record", "-"], "-o FILE"),
        (&["replay"], "<FILE>"),
        (&["replay", "x", "--duration", "1s"], "--duration"),
        (&["completions", "dos"], "dos"),
        (&["completions"], "<SHELL>"),
        (&["man", "nonsense"], "nonsense"),
        (&["man", "__launch"], "__launch"),
        (&["nonsense"], "nonsense"),
        (&[], "Usage"),
    ] {
        let output = run(args);
        assert_eq!(
            output.status.code(),
            Some(64),
            "{args:?}: {}",
            stderr(&output)
        );
        assert!(
            stderr(&output).contains(named),
            "{args:?}: {}",
            stderr(&output)
        );
        assert!(output.stdout.is_empty(), "{args:?}");
    }
}

#[test]
fn version_is_the_packages() {
    let output = run(&["--version"]);
    let expected = format!("nfs-trace {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
}

#[test]
fn probes_tells_the_truth_about_this_machine() {
    let output = run(&["probes", "--format", "json"]);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let can = report["can_trace"].as_bool().expect("can_trace");
    assert_eq!(output.status.code(), Some(if can { 0 } else { 69 }));
    let problems = report["problems"].as_array().expect("problems");
    assert_eq!(problems.is_empty(), can);
    for problem in problems {
        assert!(
            problem["remedy"]
                .as_str()
                .is_some_and(|text| !text.is_empty()),
            "{problem}"
        );
    }
    let probes = report["probes"].as_array().expect("probes");
    // The functions, and a tracepoint.
    assert_eq!(probes.len(), nfs_trace_ebpf::probes::PROBES.len() + 1);

    let text = run(&["probes"]);
    assert_eq!(text.status.code(), output.status.code());
    let text = String::from_utf8(text.stdout).expect("UTF-8");
    for problem in problems {
        assert!(
            text.contains(problem["what"].as_str().expect("text")),
            "{text}"
        );
    }
    assert!(text.contains("nfs4_file_open"), "{text}");
}

#[test]
fn trace_on_a_machine_that_cannot_is_69_with_the_remedy() {
    let report: serde_json::Value =
        serde_json::from_slice(&run(&["probes", "--format", "json"]).stdout).expect("JSON");
    if report["can_trace"] == true {
        eprintln!("SKIPPED: this machine can trace; the lab tests what happens then");
        return;
    }
    let output = run(&["trace", "--duration", "1s"]);
    assert_eq!(output.status.code(), Some(69), "{}", stderr(&output));
    assert!(output.stdout.is_empty());
    for problem in report["problems"].as_array().expect("problems") {
        assert!(stderr(&output).contains(problem["what"].as_str().expect("text")));
        assert!(stderr(&output).contains(problem["remedy"].as_str().expect("text")));
    }
}

#[test]
fn what_is_not_there_is_said_by_its_name() {
    let output = run(&["replay", "/nonexistent/trace.nfst"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("/nonexistent/trace.nfst"),
        "{}",
        stderr(&output)
    );
    let output = run(&["replay", "/"]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert_eq!(stderr(&output).lines().count(), 1, "{}", stderr(&output));
}

/// Where tracing cannot begin, the file says that nothing is attached.
#[test]
fn metrics_are_there_before_anything_is_attached() {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("metrics");
    std::fs::create_dir_all(&folder).expect("a folder");
    let file = folder.join("a.prom");
    let name = file.to_str().expect("UTF-8");
    for command in [&["trace"][..], &["record", "-o", "/nonexistent/a.nfst"]] {
        let _ = std::fs::remove_file(&file);
        let arguments = ["--metrics", name, "--pid", "999999999"];
        let output = run(&[command, &arguments].concat());
        // This machine cannot trace, or there is no such process.
        let status = output.status.code();
        assert!(matches!(status, Some(64 | 69)), "{}", stderr(&output));
        let text = std::fs::read_to_string(&file).expect("the metrics");
        assert!(text.contains("\nnfs_trace_attached 0\n"), "{text}");
        assert!(!stderr(&output).contains(".prom"), "{}", stderr(&output));
    }
    let output = run(&[
        "trace",
        "--metrics",
        "/nonexistent/a.txt",
        "--pid",
        "999999999",
    ]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let said = stderr(&output);
    assert!(said.contains("names end in .prom"), "{said}");
    assert!(
        said.contains("failed to write the metrics `/nonexistent/a.txt`"),
        "{said}"
    );
}
