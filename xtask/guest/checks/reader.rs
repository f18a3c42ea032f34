//! The programs whose opens are traced, as `/init reader ...` and `/init gated ...`.

use std::{
    fs::File,
    io::{self, BufRead as _, BufReader, Write as _},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};

use super::ground::program;

/// The child: opens each file that many times.
pub(crate) fn read(times: u64, files: &[&str]) -> Result<()> {
    for file in files {
        for _ in 0..times {
            File::open(file).with_context(|| format!("open {file}"))?;
        }
    }
    Ok(())
}

/// The child: does the same for each line `TIMES FILE` of its input, and says `done`.
pub(crate) fn gated() -> Result<()> {
    for line in io::stdin().lines() {
        let line = line.context("read a line")?;
        let (times, file) = line.split_once(' ').context("read `TIMES FILE`")?;
        read(times.parse()?, &[file])?;
        println!("done");
    }
    Ok(())
}

/// A process that opens files when it is told to.
pub(super) struct Gated {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Gated {
    pub(super) fn start(comm: &str) -> Result<Self> {
        let mut child = Command::new(program(comm))
            .arg("gated")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("start {comm}"))?;
        Ok(Self {
            input: child.stdin.take().context("write to the program")?,
            output: BufReader::new(child.stdout.take().context("read from the program")?),
            child,
        })
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Has it open a file, and waits until it has.
    pub(super) fn opens(&mut self, times: u64, file: &str) -> Result<()> {
        writeln!(self.input, "{times} {file}").context("tell the program what to open")?;
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        ensure!(line == "done\n", "the program could not open {file}");
        Ok(())
    }
}

impl Drop for Gated {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
