//! `nfs-trace completions`: a shell's completion script, from the definitions in `cli.rs`.

use clap::{Command, CommandFactory as _};
use clap_complete::{Generator as _, Shell};

use crate::{cli::Cli, exit::Exit, manual};

/// Prints the script.
///
/// # Errors
/// If it cannot be written.
pub fn run(shell: Shell) -> anyhow::Result<Exit> {
    manual::print(&script(shell)?)
}

/// The script for a shell.
///
/// # Errors
/// If it cannot be made.
pub fn script(shell: Shell) -> anyhow::Result<String> {
    let mut command = visible(&Cli::command());
    let name = command.get_name().to_string();
    command.set_bin_name(&name);
    command.build();
    let mut script = Vec::new();
    shell.try_generate(&command, &mut script)?;
    let script = String::from_utf8(script)?;
    // clap_complete spells the `-` of the name in two ways that never meet, so bash would
    // offer nothing after a command (clap-rs/clap#6421, open at 4.6.11).
    let [wrong, right] = ["__subcmd__", "__"].map(|dash| name.replace('-', dash) + "__subcmd__");
    Ok(script.replace(&wrong, &right))
}

/// The command without what is hidden. The generators would offer that too, and nothing
/// can be taken out of a [`Command`]: so what they look at is put together anew.
fn visible(command: &Command) -> Command {
    let shown = command.get_subcommands().filter(|sub| !sub.is_hide_set());
    let mut copy = Command::new(command.get_name().to_string())
        .args(command.get_arguments().filter(|arg| !arg.is_hide_set()))
        .subcommands(shown.map(visible));
    if let Some(about) = command.get_about() {
        copy = copy.about(about.clone());
    }
    match command.get_version() {
        Some(version) => copy.version(version.to_string()),
        None => copy,
    }
}
