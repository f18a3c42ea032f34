//! `nfs-trace man`: the man page, of everything or of one command.
//!
//! Commands, options and examples come from the definitions in `cli.rs`; what those do not
//! say is in the tables of [`reference`]. [`page`] writes the source that man(1) formats.

mod page;
mod reference;

use std::{
    fs,
    io::{self, Write as _},
    path::Path,
};

use anyhow::Context as _;
use clap::{ArgAction, Command, CommandFactory as _};
use clap_mangen::roff::{bold, roman};

use self::{
    page::Page,
    reference::{DESCRIPTION, ENVIRONMENT, Entry, FILES, SEE_ALSO, STATUSES},
};
use crate::{
    cli::{Cli, ManArgs},
    exit::{Exit, ExitError},
    names::escape_path,
};

/// Heading of the examples in the help texts.
const EXAMPLES: &str = "EXAMPLES";

/// Prints the page, or writes all of them into a directory.
///
/// # Errors
/// If there is no such command, or a page cannot be written.
pub fn run(args: &ManArgs) -> anyhow::Result<Exit> {
    match &args.dir {
        Some(dir) => write(dir),
        None => print(&source(args.command.as_deref())?),
    }
}

/// Writes `nfs-trace.1`, and `nfs-trace-COMMAND.1` for every command.
fn write(dir: &Path) -> anyhow::Result<Exit> {
    let cli = Cli::command();
    let shown = cli.get_subcommands().filter(|it| !it.is_hide_set());
    for command in [None].into_iter().chain(shown.map(Some)) {
        let command = command.map(Command::get_name);
        let dash = command.map_or(String::new(), |name| format!("-{name}"));
        let file = dir.join(format!("nfs-trace{dash}.1"));
        fs::write(&file, source(command)?)
            .with_context(|| format!("failed to write {}", escape_path(&file)))?;
    }
    Ok(Exit::Ok)
}

/// Prints a document to stdout, which may be closed early.
pub(crate) fn print(document: &str) -> anyhow::Result<Exit> {
    match io::stdout().write_all(document.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(error).context("failed to write to stdout")
        }
        _ => Ok(Exit::Ok),
    }
}

/// The page of the whole program, or of one of its commands.
///
/// # Errors
/// If there is no such command.
pub fn source(command: Option<&str>) -> anyhow::Result<String> {
    let mut cli = Cli::command().disable_help_subcommand(true);
    // Gives the commands their full names.
    cli.build();
    let commands: Vec<_> = cli
        .get_subcommands()
        .filter(|command| !command.is_hide_set())
        .collect();
    let Some(name) = command else {
        return whole(&cli, &commands);
    };
    match commands.iter().find(|command| command.get_name() == name) {
        Some(command) => single(command),
        None => {
            let message = format!(
                "there is no command `{name}`; the commands are: {}",
                names(&commands).join(", ")
            );
            Err(ExitError::usage(message).into())
        }
    }
}

fn whole(cli: &Command, commands: &[&Command]) -> anyhow::Result<String> {
    let mut page = Page::new("nfs-trace", env!("CARGO_PKG_DESCRIPTION"));
    page.section("SYNOPSIS");
    for command in commands {
        page.synopsis(command);
    }
    page.section("DESCRIPTION");
    page.text([roman(description(cli))]);
    for paragraph in DESCRIPTION {
        page.paragraph();
        page.text([roman(*paragraph)]);
    }
    page.section("OPTIONS");
    page.options(cli)?;
    page.section("COMMANDS");
    for command in commands {
        page.subsection(full_name(command));
        page.text([roman(description(command))]);
        page.options(&without_help(command))?;
        for (heading, body) in help_sections(command) {
            if heading != EXAMPLES {
                page.paragraph();
                page.text([bold(heading)]);
                page.verbatim(&body);
            }
        }
    }
    tables(&mut page, &names(commands));
    page.section(EXAMPLES);
    for command in commands {
        for (heading, body) in help_sections(command) {
            if heading == EXAMPLES {
                page.paragraph();
                page.verbatim(&body);
            }
        }
    }
    page.section("SEE ALSO");
    page.text([roman(SEE_ALSO)]);
    Ok(page.finish())
}

fn single(command: &Command) -> anyhow::Result<String> {
    let about = command.get_about().map(ToString::to_string);
    let title = full_name(command).replace(' ', "-");
    let mut page = Page::new(&title, &about.unwrap_or_default());
    page.section("SYNOPSIS");
    page.synopsis(command);
    page.section("DESCRIPTION");
    page.text([roman(description(command))]);
    page.section("OPTIONS");
    page.options(command)?;
    tables(&mut page, &names(&[command]));
    for (heading, body) in help_sections(command) {
        page.section(&heading);
        page.verbatim(&body);
    }
    page.section("SEE ALSO");
    page.text([bold("nfs-trace"), roman("(1), "), roman(SEE_ALSO)]);
    Ok(page.finish())
}

/// What belongs to these commands in the tables.
fn tables(page: &mut Page, commands: &[&str]) {
    table(page, "EXIT STATUS", STATUSES, commands, |exit| {
        (exit as u8).to_string()
    });
    table(page, "ENVIRONMENT", ENVIRONMENT, commands, str::to_string);
    table(page, "FILES", FILES, commands, str::to_string);
}

fn table<T: Copy + PartialEq>(
    page: &mut Page,
    heading: &str,
    entries: &[Entry<T>],
    commands: &[&str],
    term: impl Fn(T) -> String,
) {
    let mut last = None;
    for entry in entries.iter().filter(|entry| entry.belongs_to(commands)) {
        if last.is_none() {
            page.section(heading);
        }
        if last != Some(entry.term) {
            page.term(term(entry.term));
        }
        page.text([roman(entry.means)]);
        last = Some(entry.term);
    }
}

fn names<'a>(commands: &[&'a Command]) -> Vec<&'a str> {
    commands.iter().map(|command| command.get_name()).collect()
}

/// The command without `--help`, which need not be explained for each of them.
fn without_help(command: &Command) -> Command {
    command.clone().mut_args(|arg| {
        let hide = arg.is_hide_set() || matches!(arg.get_action(), ArgAction::Help);
        arg.hide(hide)
    })
}

/// `nfs-trace trace`
fn full_name(command: &Command) -> &str {
    command.get_bin_name().unwrap_or(command.get_name())
}

/// As `--help` has it, but as a sentence.
fn description(command: &Command) -> String {
    let about = command.get_long_about().or(command.get_about());
    let about = about.map(ToString::to_string).unwrap_or_default();
    format!("{}.", about.trim_end_matches('.'))
}

/// The text after the options, cut at its headings: lines in capitals that are not indented.
fn help_sections(command: &Command) -> Vec<(String, String)> {
    let help = command
        .get_after_long_help()
        .or(command.get_after_help())
        .map(ToString::to_string)
        .unwrap_or_default();
    let mut sections: Vec<(String, String)> = Vec::new();
    for line in help.lines() {
        if line.starts_with(char::is_alphabetic) && line == line.to_uppercase() {
            sections.push((line.to_string(), String::new()));
        } else if let Some((_, body)) = sections.last_mut() {
            // The page indents by itself.
            body.push_str(line.strip_prefix("  ").unwrap_or(line));
            body.push('\n');
        }
    }
    sections
}
