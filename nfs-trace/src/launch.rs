//! `trace -- COMMAND`: starts the command stopped, so that it is known to the programs
//! before its first open.
//!
//! The child is this program itself: it stops, is put into the filter, goes on, and
//! becomes the command. No unsafe pre_exec is needed for that.

use std::{
    env,
    ffi::OsString,
    io::{self, IsTerminal as _},
    os::{
        fd::AsFd as _,
        unix::process::{CommandExt as _, ExitStatusExt as _},
    },
    process::{ExitStatus, Stdio},
};

use anyhow::Context as _;
use rustix::process::{
    Pid, Signal, WaitOptions, getpid, kill_process, set_parent_process_death_signal, waitpid,
};
use tokio::process::{Child, Command};

use crate::{
    cli::LaunchArgs,
    exit::{Exit, ExitError},
};

/// Where what the command prints goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prints {
    /// Where it would go anyway.
    AsItIs,
    /// From stdout to stderr, as under `perf record -o -`.
    ToStderr,
    /// Not to the terminal, nor do keys come from there: it is drawn on.
    OffScreen,
}

/// The command, stopped before its first instruction.
pub struct Launched {
    child: Child,
    pid: Pid,
    resumed: bool,
}

impl Launched {
    /// Starts and waits until it has stopped.
    ///
    /// # Errors
    /// If this program cannot start itself.
    pub fn start(command: &[OsString], prints: Prints) -> anyhow::Result<Self> {
        let own = env::current_exe().context("failed to find this program's own file")?;
        let mut child = Command::new(own);
        child.arg("__launch").arg("--").args(command);
        match prints {
            Prints::AsItIs => {}
            Prints::ToStderr => {
                let stderr = io::stderr().as_fd().try_clone_to_owned();
                child.stdout(stderr.context("failed to share stderr")?);
            }
            Prints::OffScreen => {
                child.stdin(Stdio::null()).stdout(Stdio::null());
                if io::stderr().is_terminal() {
                    child.stderr(Stdio::null());
                }
            }
        }
        let child = child
            .spawn()
            .context("failed to start a process for the command")?;
        let pid = child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(Pid::from_raw)
            .context("the command's process has no pid")?;
        // Stopped, not exited: tokio still gets to reap it.
        waitpid(Some(pid), WaitOptions::UNTRACED).context("failed to wait for the command")?;
        Ok(Self {
            child,
            pid,
            resumed: false,
        })
    }

    /// Its pid, which is its first thread's tid too.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// Lets it run.
    ///
    /// # Errors
    /// If it is gone.
    pub fn resume(&mut self) -> anyhow::Result<()> {
        self.resumed = true;
        kill_process(self.pid, Signal::CONT).context("failed to start the command")
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// If it cannot be waited for.
    pub async fn wait(&mut self) -> anyhow::Result<ExitStatus> {
        self.child
            .wait()
            .await
            .context("failed to wait for the command")
    }

    /// Passes a request to end on to it.
    pub fn terminate(&self) {
        let _ = kill_process(self.pid, Signal::TERM);
    }
}

impl Drop for Launched {
    /// A command that was never let go does not stay behind; one that runs goes on.
    fn drop(&mut self) {
        if !self.resumed {
            let _ = kill_process(self.pid, Signal::KILL);
        }
    }
}

/// The status to exit with for a command: its own, or 128 + signal as shells do.
#[must_use]
pub fn shell_status(status: ExitStatus) -> u8 {
    let code = status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}

/// The child's side: stops, then becomes the command. Returns only on failure.
///
/// # Errors
/// If the command cannot be run.
pub fn run(args: &LaunchArgs) -> anyhow::Result<std::convert::Infallible> {
    let (program, rest) = args.command.split_first().context("no command")?;
    // Stopped, it would wait for ever for a parent that was killed.
    set_parent_process_death_signal(Some(Signal::KILL)).context("failed to follow the parent")?;
    kill_process(getpid(), Signal::STOP).context("failed to stop")?;
    set_parent_process_death_signal(None).context("failed to leave the parent")?;
    let error = std::process::Command::new(program).args(rest).exec();
    let exit = match error.kind() {
        io::ErrorKind::NotFound => Exit::NoCommand,
        _ => Exit::CannotRun,
    };
    let message = format!("failed to run `{}`: {error}", program.display());
    Err(ExitError { exit, message }.into())
}
