//! One guest from start to power off: reads its messages, insists on the contract, and ends it when
//! it hangs.

use std::{
    collections::BTreeSet,
    io::{BufRead as _, BufReader},
    path::Path,
    process::Child,
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use lab_contract::protocol::{Job, Message, NfsVersion, Outcome};

use super::console::Console;

/// How long a guest may be silent: a boot under TCG on a busy machine takes half a minute, the
/// storm two; beside three other guests one was given up after five.
const SILENT_AT_MOST: Duration = Duration::from_secs(600);
/// From `done` to the end of qemu.
const POWER_OFF_WITHIN: Duration = Duration::from_secs(20);
/// Between two looks at the console.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// A guest that is killed when dropped.
pub(crate) struct Session {
    qemu: Child,
    lines: Receiver<String>,
    console: Console,
}

impl Session {
    /// Takes over a qemu whose standard output are messages.
    pub(crate) fn new(mut qemu: Child, console: &Path) -> Result<Self> {
        let output = qemu.stdout.take().context("read the output of qemu")?;
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Ok(Self {
            qemu,
            lines,
            console: Console::new(console.to_owned()),
        })
    }

    /// The next message; none when the guest is gone. An error if it hangs or says nonsense.
    pub(crate) fn next(&mut self, silent_at_most: Duration) -> Result<Option<Message>> {
        let deadline = Instant::now() + silent_at_most;
        loop {
            match self.lines.recv_timeout(LOOK_EVERY) {
                Ok(line) if line.trim().is_empty() => {}
                Ok(line) => {
                    let message = serde_json::from_str(line.trim());
                    return message
                        .map(Some)
                        .with_context(|| format!("understand the guest's message `{line}`"));
                }
                Err(RecvTimeoutError::Disconnected) => {
                    self.look_for_hang()?;
                    return Ok(None);
                }
                Err(RecvTimeoutError::Timeout) => {
                    self.look_for_hang()?;
                    if Instant::now() > deadline {
                        bail!(
                            "guest was silent for {silent_at_most:?}\n{}",
                            self.console.tail()
                        );
                    }
                }
            }
        }
    }

    fn look_for_hang(&mut self) -> Result<()> {
        if let Some(line) = self.console.poll()? {
            // Let the rest of the report arrive.
            thread::sleep(Duration::from_secs(1));
            self.console.poll()?;
            bail!("guest hangs: {}\n{}", line.trim(), self.console.tail());
        }
        Ok(())
    }

    /// Follows a run to its end. `each` sees every message as it comes and ends the run by
    /// returning false; all outcomes are returned.
    pub(crate) fn follow(
        &mut self,
        job: &Job,
        mut each: impl FnMut(&Message) -> bool,
    ) -> Result<Vec<Outcome>> {
        let mut ledger = Ledger::new(job);
        let mut outcomes = Vec::new();
        while let Some(message) = self.next(SILENT_AT_MOST)? {
            if !each(&message) {
                bail!("run was ended early");
            }
            match message {
                Message::Outcome(outcome) => {
                    ledger.enter(&outcome)?;
                    outcomes.push(*outcome);
                }
                Message::Failed { error } => {
                    self.console.poll()?;
                    bail!("guest failed: {error}\n{}", self.console.tail());
                }
                Message::Done => {
                    ledger.close()?;
                    self.wait_for_power_off();
                    return Ok(outcomes);
                }
                Message::Ready(_)
                | Message::Log { .. }
                | Message::Next { .. }
                | Message::Begin { .. }
                | Message::Checked(_)
                | Message::Measured(_)
                | Message::Benched(_) => {}
            }
        }
        bail!("guest ended before it was done\n{}", self.console.tail())
    }

    fn wait_for_power_off(&mut self) {
        let deadline = Instant::now() + POWER_OFF_WITHIN;
        while Instant::now() < deadline && matches!(self.qemu.try_wait(), Ok(None)) {
            thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
    }
}

/// Which outcomes are still owed: exactly one for each scenario and version.
struct Ledger(BTreeSet<(NfsVersion, String)>);

impl Ledger {
    fn new(job: &Job) -> Self {
        let owed = job.versions.iter().flat_map(|&version| {
            job.scenarios
                .iter()
                .map(move |scenario| (version, scenario.clone()))
        });
        Self(owed.collect())
    }

    fn enter(&mut self, outcome: &Outcome) -> Result<()> {
        let version = outcome
            .version
            .context("find the NFS version of an outcome")?;
        let entry = (version, outcome.scenario.clone());
        ensure!(
            self.0.remove(&entry),
            "guest sent an outcome twice or unasked: {} over v{version}",
            outcome.scenario
        );
        Ok(())
    }

    fn close(&self) -> Result<()> {
        let missing: Vec<String> = self
            .0
            .iter()
            .map(|(version, scenario)| format!("{scenario} over v{version}"))
            .collect();
        ensure!(
            missing.is_empty(),
            "guest sent no outcome for {}",
            missing.join(", ")
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use lab_contract::protocol::Mode;

    use super::*;

    fn ledger() -> Ledger {
        Ledger::new(&Job {
            mode: Mode::Run,
            versions: vec![NfsVersion::V40, NfsVersion::V41],
            scenarios: vec!["reopen".into()],
            tracer: false,
            capture: false,
            transport: None,
            layout: None,
        })
    }

    fn outcome(version: NfsVersion) -> Outcome {
        Outcome {
            scenario: "reopen".into(),
            version: Some(version),
            ..Outcome::default()
        }
    }

    #[test]
    fn one_outcome_each_is_right() {
        let mut ledger = ledger();
        ledger.enter(&outcome(NfsVersion::V41)).unwrap();
        ledger.enter(&outcome(NfsVersion::V40)).unwrap();
        ledger.close().unwrap();
    }

    #[test]
    fn a_missing_outcome_is_an_error() {
        let mut ledger = ledger();
        ledger.enter(&outcome(NfsVersion::V41)).unwrap();
        let error = ledger.close().unwrap_err().to_string();
        assert_eq!(error, "guest sent no outcome for reopen over v4.0");
    }

    #[test]
    fn a_second_or_unasked_outcome_is_an_error() {
        let mut ledger = ledger();
        ledger.enter(&outcome(NfsVersion::V41)).unwrap();
        ledger.enter(&outcome(NfsVersion::V41)).unwrap_err();
        ledger.enter(&outcome(NfsVersion::V42)).unwrap_err();
    }
}
