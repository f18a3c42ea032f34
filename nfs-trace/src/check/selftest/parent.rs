//! The self-test's parent: starts the child, has files renamed for it, and gives up in
//! time. It never touches the mount itself, so it cannot hang on it.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::Context as _;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
    sync::watch,
    time::{Duration, Instant, sleep_until, timeout, timeout_at},
};

use super::{
    job::{Job, Order, Said},
    second,
};

/// So much before the self-test's end the second client is given up: then it is the one to
/// blame, not the server.
const SECOND_BEFORE: Duration = Duration::from_millis(300);
/// How long a child that was told to end may tidy up before it is killed.
const TIDY_UP: Duration = Duration::from_millis(1500);

/// Who renames in `--reproduce`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Second {
    /// Another mount of the export.
    Mount {
        /// `server:/export`
        source: String,
        /// See [`second::attempts`].
        attempts: Vec<(String, String)>,
    },
    /// A command of the user.
    Command(String),
}

/// A self-test that waits to begin.
pub struct SelfTest {
    child: Child,
    orders: Option<ChildStdin>,
    lines: Lines<BufReader<ChildStdout>>,
    point: PathBuf,
    second: Second,
}

/// How a self-test went.
#[derive(Debug, Default)]
pub struct Ran {
    /// Everything that the child said.
    pub said: Vec<Said>,
    /// What the second client was.
    pub second: Option<String>,
    /// The time was over before the child was done.
    pub timed_out: bool,
    /// The user ended it.
    pub interrupted: bool,
}

impl SelfTest {
    /// Starts the child; it opens nothing yet.
    ///
    /// # Errors
    /// If this program cannot start itself.
    pub async fn start(job: Job, point: PathBuf, second: Second) -> anyhow::Result<Self> {
        let mut child = own_process("__selftest")?
            .spawn()
            .context("failed to start a process for the self-test")?;
        let orders = child.stdin.take().context("the self-test has no input")?;
        let output = child.stdout.take().context("the self-test has no output")?;
        let mut test = Self {
            child,
            orders: Some(orders),
            lines: BufReader::new(output).lines(),
            point,
            second,
        };
        test.order(&Order::Job(job)).await?;
        Ok(test)
    }

    /// The child's process.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Lets it run until it is done, `deadline` is over, or `stop` says so. The child is
    /// gone afterwards, or hangs in the kernel with a signal that will end it.
    pub async fn run(mut self, deadline: Instant, mut stop: watch::Receiver<bool>) -> Ran {
        let mut ran = Ran::default();
        let talk = async {
            self.order(&Order::Go).await?;
            while let Some(line) = self.lines.next_line().await? {
                let said: Said = serde_json::from_str(&line)
                    .with_context(|| format!("the self-test said `{line}`"))?;
                if let Said::Rename { from, to, uid, gid } = &said {
                    let renamed = self.rename(from, to, (*uid, *gid), deadline).await;
                    let answer = match renamed {
                        Ok(who) => {
                            ran.second = Some(who);
                            Ok(())
                        }
                        Err(error) => Err(format!("{error:#}")),
                    };
                    self.order(&Order::Renamed(answer)).await?;
                }
                ran.said.push(said);
            }
            anyhow::Ok(())
        };
        tokio::select! {
            talked = talk => if let Err(error) = talked {
                ran.said.push(Said::Failed(format!("{error:#}")));
            },
            () = sleep_until(deadline) => ran.timed_out = true,
            _ = stop.wait_for(|stop| *stop) => ran.interrupted = true,
        }
        self.end(&mut ran).await;
        ran
    }

    /// The end of its input ends the child, once it has tidied up.
    async fn end(&mut self, ran: &mut Ran) {
        self.orders = None;
        let tidied = timeout(TIDY_UP, async {
            while let Ok(Some(line)) = self.lines.next_line().await {
                ran.said.extend(serde_json::from_str::<Said>(&line).ok());
            }
            self.child.wait().await
        });
        if tidied.await.is_err() {
            // It waits for the server, uninterruptible but killable.
            let _ = self.child.start_kill();
            let _ = timeout(TIDY_UP / 3, self.child.wait()).await;
        }
    }

    async fn order(&mut self, order: &Order) -> anyhow::Result<()> {
        let mut line = serde_json::to_string(order)?;
        line.push('\n');
        let orders = self.orders.as_mut().context("the self-test has ended")?;
        orders
            .write_all(line.as_bytes())
            .await
            .context("the self-test has ended")
    }

    /// Has a second client rename; returns who that was.
    async fn rename(
        &self,
        from: &Path,
        to: &Path,
        (uid, gid): (u32, u32),
        deadline: Instant,
    ) -> anyhow::Result<String> {
        let (mut command, input, who) = match &self.second {
            Second::Mount { source, attempts } => {
                let job = second::Job {
                    source: source.clone(),
                    point: self.point.clone(),
                    attempts: attempts.clone(),
                    from: from.into(),
                    to: to.into(),
                    uid,
                    gid,
                };
                (own_process("__rename")?, serde_json::to_vec(&job)?, None)
            }
            Second::Command(text) => {
                let below = |path: &Path| {
                    let below = path.strip_prefix(&self.point).unwrap_or(path);
                    format!("/{}", below.display())
                };
                let text = second::fill_in(
                    text,
                    &[
                        ("from", from.display().to_string()),
                        ("to", to.display().to_string()),
                        ("from_below", below(from)),
                        ("to_below", below(to)),
                    ],
                );
                let mut shell = Command::new("sh");
                shell.arg("-c").arg(&text);
                (shell, Vec::new(), Some(format!("`{text}`")))
            }
        };
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        let mut child = command
            .spawn()
            .context("failed to start the second client")?;
        let mut stdin = child
            .stdin
            .take()
            .context("the second client has no input")?;
        stdin.write_all(&input).await.ok();
        drop(stdin);
        let output = timeout_at(deadline - SECOND_BEFORE, child.wait_with_output())
            .await
            .context("the second client was not done in time")??;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_string();
        anyhow::ensure!(
            output.status.success(),
            "the second client could not rename ({}): {}",
            output.status,
            text(&output.stderr).trim_start_matches("nfs-trace: ")
        );
        Ok(who.unwrap_or_else(|| format!("a second mount over NFSv{}", text(&output.stdout))))
    }
}

/// This program as another process, out of reach of the terminal's signals: it must be
/// able to tidy up.
fn own_process(command: &str) -> anyhow::Result<Command> {
    let own = std::env::current_exe().context("failed to find this program's own file")?;
    let mut process = Command::new(own);
    process
        .arg(command)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .process_group(0);
    Ok(process)
}
