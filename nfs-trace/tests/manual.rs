//! Man pages and completions, from outside: they say all that the command line has, nothing
//! that is hidden, and the programs that read them have no complaint.

use std::{
    fs,
    io::{self, Write as _},
    path::PathBuf,
    process::{Command, Output, Stdio},
};

use clap::CommandFactory as _;
use nfs_trace::cli::Cli;

const SHELLS: [&str; 5] = ["bash", "elvish", "fish", "powershell", "zsh"];

fn run(args: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_nfs-trace"))
        .args(args)
        .output()
        .expect("the binary runs");
    assert_eq!(output.status.code(), Some(0), "{args:?}");
    assert!(output.stderr.is_empty(), "{args:?}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// The commands that are to be seen.
fn commands() -> Vec<clap::Command> {
    let all = Cli::command();
    let shown = all
        .get_subcommands()
        .filter(|command| !command.is_hide_set());
    shown.cloned().collect()
}

/// The long options of a command, those to be seen or the others.
fn options(command: &clap::Command, hidden: bool) -> Vec<String> {
    let arguments = command.get_arguments();
    arguments
        .filter(|arg| arg.is_hide_set() == hidden)
        .filter_map(|arg| arg.get_long())
        .map(str::to_string)
        .collect()
}

/// Every page, under the name of its command; the whole one first, under none.
fn pages() -> Vec<(Option<String>, String)> {
    let mut pages = vec![(None, run(&["man"]))];
    for command in commands() {
        let name = command.get_name();
        pages.push((Some(name.to_string()), run(&["man", name])));
    }
    pages
}

/// Feeds a program on its standard input; nothing if this machine does not have it.
fn feed(program: &str, args: &[&str], input: &str) -> Option<Output> {
    let child = Command::new(program)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = match child {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            eprintln!("SKIPPED: there is no {program} here");
            return None;
        }
        child => child.expect(program),
    };
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(input.as_bytes()).expect("it reads");
    drop(stdin);
    Some(child.wait_with_output().expect(program))
}

/// A page as it is read in a terminal of 80 columns.
fn formatted(source: &str) -> Option<String> {
    let args = ["-man", "-Tascii", "-P-cbou", "-ww", "-rLL=78n"];
    let output = feed("groff", &args, source)?;
    let complaints = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(complaints, "");
    assert!(output.status.success());
    Some(String::from_utf8(output.stdout).expect("ASCII"))
}

#[test]
fn a_directory_gets_a_page_for_every_command() {
    let dir = std::env::temp_dir().join(format!("nfs-trace-man-{}", std::process::id()));
    fs::create_dir_all(&dir).expect("a directory");
    assert_eq!(run(&["man", "--dir", dir.to_str().expect("UTF-8")]), "");
    let pages = pages();
    for (of, source) in &pages {
        let dash = of.as_ref().map_or(String::new(), |name| format!("-{name}"));
        let file = dir.join(format!("nfs-trace{dash}.1"));
        assert_eq!(&fs::read_to_string(&file).expect("a page"), source);
    }
    assert_eq!(fs::read_dir(&dir).expect("it").count(), pages.len());
    fs::remove_dir_all(&dir).expect("removed");
    let gone = Command::new(env!("CARGO_BIN_EXE_nfs-trace"))
        .args(["man", "--dir"])
        .arg(&dir)
        .output()
        .expect("the binary runs");
    assert_eq!(gone.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&gone.stderr).contains("failed to write"));
}

#[test]
fn the_pages_have_every_command_and_option_and_nothing_hidden() {
    let shown = commands();
    for (of, source) in pages() {
        let of = of.as_deref();
        let text = source.replace("\\-", "-");
        for command in shown
            .iter()
            .filter(|it| of.is_none_or(|name| name == it.get_name()))
        {
            let name = command.get_name();
            assert!(
                text.contains(&format!("nfs-trace {name}")),
                "{of:?}: {name}"
            );
            for option in options(command, false) {
                assert!(
                    text.contains(&format!("\\fB--{option}\\fR")),
                    "{of:?}: {option}"
                );
            }
            for option in options(command, true) {
                assert!(!text.contains(&format!("--{option}")), "{of:?}: {option}");
            }
        }
        assert!(
            !text.contains("__"),
            "{of:?}: a command that is not for people"
        );
    }
}

/// Exercises the source: a line that is no macro but begins like one would be swallowed.
#[test]
fn no_line_of_a_page_is_swallowed() {
    const MACROS: [&str; 16] = [
        ".ie", ".el", ".TH", ".SH", ".SS", ".SY", ".YS", ".TP", ".PP", ".IP", ".RS", ".RE", ".br",
        ".nf", ".fi", ".in",
    ];
    for (of, source) in pages() {
        for line in source.lines() {
            let word = line.split(' ').next().unwrap_or_default();
            let is_macro = MACROS.contains(&word);
            assert!(is_macro || !line.starts_with(['.', '\'']), "{of:?}: {line}");
        }
    }
}

#[test]
fn the_pages_read_well_in_80_columns() {
    for (of, source) in pages() {
        let Some(text) = formatted(&source) else {
            return;
        };
        for heading in [
            "NAME",
            "SYNOPSIS",
            "DESCRIPTION",
            "OPTIONS",
            "EXIT STATUS",
            "SEE ALSO",
        ] {
            assert!(
                text.lines().any(|line| line == heading),
                "{of:?}: {heading}\n{text}"
            );
        }
        for line in text.lines() {
            assert!(line.chars().count() <= 80, "{of:?}: wider than 80: {line}");
        }
        // Examples and columns stay as they are in the help.
        for command in commands().iter().filter(|it| {
            let name = it.get_name();
            of.as_deref().is_none_or(|of| of == name)
        }) {
            let help = command.get_after_help().map(ToString::to_string);
            for line in help.unwrap_or_default().lines() {
                let line = line.strip_prefix("  ").unwrap_or(line);
                let is_there = text
                    .lines()
                    .any(|shown| shown.trim_start() == line.trim_start());
                assert!(line.is_empty() || is_there, "{of:?}: `{line}` in\n{text}");
            }
        }
    }
}

#[test]
fn each_shell_is_told_every_command_and_option_and_nothing_hidden() {
    for shell in SHELLS {
        let script = run(&["completions", shell]);
        // fish has an option's name without the dashes.
        let has = |option: &str| {
            let forms = [format!("--{option}"), format!("-l {option}")];
            forms.iter().any(|form| {
                script.match_indices(form.as_str()).any(|(at, _)| {
                    !script[at + form.len()..]
                        .starts_with(|next: char| next.is_alphanumeric() || next == '-')
                })
            })
        };
        for command in commands() {
            assert!(
                script.contains(command.get_name()),
                "{shell}: {}",
                command.get_name()
            );
            for option in options(&command, false) {
                assert!(has(&option), "{shell}: --{option}");
            }
        }
        for command in Cli::command().get_subcommands() {
            let name = command.get_name();
            assert!(
                !name.starts_with("__") || command.is_hide_set(),
                "{name} is to be hidden"
            );
            if command.is_hide_set() {
                assert!(!script.contains(name), "{shell}: {name}");
            }
            for option in options(command, true) {
                assert!(!has(&option), "{shell}: --{option}");
            }
        }
    }
}

/// Asks bash itself what it would offer.
#[test]
fn bash_completes_commands_and_options() {
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("nfs-trace.bash");
    fs::write(&file, run(&["completions", "bash"])).expect("the script");
    let file = file.to_str().expect("UTF-8");
    let Some(checked) = feed("bash", &["-n", file], "") else {
        return;
    };
    assert!(
        checked.status.success() && checked.stderr.is_empty(),
        "{checked:?}"
    );

    let offered = |words: &[&str]| -> Vec<String> {
        let (current, before) = words.split_last().expect("words");
        let previous = before.last().expect("a word before");
        let program = format!(
            "source {file}
             complete -p nfs-trace | grep -q -- '-F _nfs__trace ' || exit 9
             COMP_WORDS=({}); COMP_CWORD={}
             _nfs__trace nfs-trace '{current}' '{previous}'
             printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            words
                .iter()
                .map(|word| format!("'{word}'"))
                .collect::<Vec<_>>()
                .join(" "),
            before.len(),
        );
        let output = feed("bash", &["--norc", "-s"], &program).expect("bash");
        assert!(output.status.success(), "{output:?}");
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        text.lines().map(str::to_string).collect()
    };
    let names = offered(&["nfs-trace", ""]);
    for command in commands() {
        let name = command.get_name();
        assert!(names.iter().any(|it| it == name), "{name}: {names:?}");
        let offered = offered(&["nfs-trace", name, "--"]);
        for option in options(&command, false) {
            assert!(
                offered.contains(&format!("--{option}")),
                "{name} --{option}: {offered:?}"
            );
        }
    }
    assert_eq!(offered(&["nfs-trace", "trace", "--format", "j"]), ["json"]);
}

#[test]
fn a_reader_that_is_gone_is_no_failure() {
    for args in [&["man"][..], &["completions", "bash"]] {
        let (reader, writer) = io::pipe().expect("a pipe");
        drop(reader);
        let status = Command::new(env!("CARGO_BIN_EXE_nfs-trace"))
            .args(args)
            .stdout(writer)
            .status()
            .expect("the binary runs");
        assert_eq!(status.code(), Some(0), "{args:?}");
    }
}
