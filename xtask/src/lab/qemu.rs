//! Starts one guest. The only file that knows qemu's command line.

use std::{
    path::Path,
    process::{Child, Command, Stdio},
};

use anyhow::{Context as _, Result};

use crate::exec;

/// How the guest's instructions are run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Accelerator {
    /// On the processor.
    Kvm,
    /// Emulated.
    Tcg,
    /// Emulated, one processor, whose clock goes on by a nanosecond with each instruction.
    Counting,
}

impl Accelerator {
    fn argument(self) -> &'static str {
        match self {
            Self::Kvm => "kvm",
            // Both guest processors take turns on one thread. With a thread each (qemu 7.2),
            // one of them may go on running instructions that the other has just patched away,
            // and every kprobe patches: Linux 6.12 dies of that with plain kprobes alone.
            Self::Tcg | Self::Counting => "tcg,thread=single",
        }
    }
}

/// Where the guest's two serial ports lead.
pub(crate) enum Serial<'a> {
    /// The kernel's console to a file, the protocol to our pipe.
    Protocol(&'a Path),
    /// The kernel's console to the terminal, the protocol to a file.
    Terminal(&'a Path),
}

/// Starts qemu. With [`Serial::Protocol`] its standard output are the guest's messages.
pub(crate) fn start(
    accelerator: Accelerator,
    vmlinuz: &Path,
    initrd: &Path,
    serial: &Serial<'_>,
) -> Result<Child> {
    let mut command = command(accelerator, vmlinuz, initrd, serial)?;
    command.spawn().context("start qemu-system-x86_64")
}

/// Like [`start`], for a guest that may well fail: qemu says nothing on our standard error.
pub(crate) fn try_start(
    accelerator: Accelerator,
    vmlinuz: &Path,
    initrd: &Path,
    serial: &Serial<'_>,
) -> Result<Child> {
    let mut command = command(accelerator, vmlinuz, initrd, serial)?;
    command
        .stderr(Stdio::null())
        .spawn()
        .context("start qemu-system-x86_64")
}

fn command(
    accelerator: Accelerator,
    vmlinuz: &Path,
    initrd: &Path,
    serial: &Serial<'_>,
) -> Result<Command> {
    let qemu = exec::require("qemu-system-x86_64", "qemu-system-x86")?;
    // setpriv lets the kernel kill qemu with us, however we die; it is on every Debian.
    let mut command = match exec::find("setpriv") {
        Some(setpriv) => {
            let mut command = Command::new(setpriv);
            command.args(["--pdeathsig", "KILL", "--"]).arg(qemu);
            command
        }
        None => Command::new(qemu),
    };
    command.args(["-nodefaults", "-no-user-config", "-display", "none"]);
    // Without it a panic would boot the guest again, and again.
    command.arg("-no-reboot");
    command.args(["-accel", accelerator.argument()]);
    // TCG's default processor lacks what kernels take for granted; "max" has all it can emulate.
    command.args(["-cpu", "max", "-m", "2048"]);
    if accelerator == Accelerator::Counting {
        // sleep=off: an idle guest's clock jumps to the next timer instead of waiting for it.
        command.args(["-smp", "1", "-icount", "shift=0,sleep=off"]);
    } else {
        command.args(["-smp", "2"]);
    }
    command
        .arg("-kernel")
        .arg(vmlinuz)
        .arg("-initrd")
        .arg(initrd);
    command.arg("-append").arg(command_line());
    match serial {
        Serial::Protocol(console) => {
            command
                .arg("-serial")
                .arg(format!("file:{}", console.display()));
            command.args(["-serial", "stdio"]);
            command.stdin(Stdio::null()).stdout(Stdio::piped());
        }
        Serial::Terminal(messages) => {
            // signal=off hands Ctrl-C to the guest.
            command.args(["-chardev", "stdio,id=terminal,signal=off"]);
            command.args(["-serial", "chardev:terminal"]);
            command
                .arg("-serial")
                .arg(format!("file:{}", messages.display()));
        }
    }
    Ok(command)
}

fn command_line() -> String {
    [
        "console=ttyS0",
        // Errors only: each byte of a serial port costs, and hang markers are errors.
        "quiet",
        // A panic ends qemu at once.
        "panic=-1",
        // Retpolines and page table isolation cost a third under TCG and protect nobody here.
        "mitigations=off",
        // On a loaded machine the ten ticks that the kernel waits for may come too late, and it
        // panics (timer_irq_works(), arch/x86/kernel/apic/io_apic.c).
        "no_timer_check",
        // Where the ram disk is built in; a module gets the same when it is loaded.
        "brd.rd_nr=1",
        "brd.rd_size=262144",
        // What the kernel does not know goes to init's environment.
        "PATH=/usr/sbin:/usr/bin",
    ]
    .join(" ")
}
