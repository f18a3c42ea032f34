//! The screen as a running trace has it: a picture each second, keys, the size, and the signals
//! that stop and end. After the end what would have been on stderr is printed there.

use std::{
    env,
    io::{self, IsTerminal as _, Stdout, Write as _},
    os::fd::{AsFd as _, OwnedFd},
    time::Duration,
};

use anyhow::Context as _;
use crossterm::event::{self, Event};
use ratatui::{
    Terminal, TerminalOptions, Viewport,
    backend::{Backend as _, CrosstermBackend},
    layout::Rect,
};
use rustix::{
    process::{Signal as Kill, getpid, kill_process},
    termios::tcgetwinsize,
};
use tokio::{
    io::unix::AsyncFd,
    signal::unix::{Signal, SignalKind, signal},
    time::{Interval, MissedTickBehavior, interval},
};

use super::{
    Shared,
    draw::{Theme, draw},
    keys::{Asked, press},
    terminal::Guard,
};
use crate::{clock::monotonic_ns, diagnostics, exit::ExitError, poll};

const TICK: Duration = Duration::from_secs(1);
/// Where the terminal does not know its size, as a serial line.
const SIZE: (u16, u16) = (80, 24);

/// See the module.
pub struct Screen {
    model: Shared,
    theme: Theme,
    terminal: Terminal<CrosstermBackend<Stdout>>,
    guard: Option<Guard>,
    keys: AsyncFd<OwnedFd>,
    ticks: Interval,
    resized: Signal,
    stop: Signal,
    goes_on: Signal,
    hang_up: Signal,
}

/// Whether there is a terminal to draw on.
///
/// # Errors
/// If there is none.
pub fn check() -> anyhow::Result<()> {
    if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
        let message = "--top draws on a terminal, and stdin or stdout is none: leave --top out to \
                       get lines";
        return Err(ExitError::usage(message).into());
    }
    if env::var_os("TERM").is_some_and(|it| it == "dumb") {
        let message = "--top draws on a terminal that can move its cursor, and TERM is dumb: leave \
                       --top out to get lines";
        return Err(ExitError::usage(message).into());
    }
    Ok(())
}

impl Screen {
    /// Takes the terminal. From now on nothing is said on stderr.
    ///
    /// # Errors
    /// If it cannot be drawn on.
    pub fn enter(model: Shared) -> anyhow::Result<Self> {
        let keys = io::stdin().as_fd().try_clone_to_owned()?;
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let colour = env::var_os("NO_COLOR").is_none_or(|it| it.is_empty());
        let mut screen = Self {
            model,
            theme: Theme { colour },
            terminal: terminal()?,
            guard: None,
            keys: poll::descriptor(keys)?,
            ticks,
            resized: signal(SignalKind::window_change())?,
            stop: signal(SignalKind::from_raw(Kill::TSTP.as_raw()))?,
            goes_on: signal(SignalKind::from_raw(Kill::CONT.as_raw()))?,
            hang_up: signal(SignalKind::hangup())?,
        };
        screen.take().context("failed to draw on the terminal")?;
        Ok(screen)
    }

    /// Draws and obeys keys until the end is asked for.
    ///
    /// # Errors
    /// If it cannot be drawn.
    pub async fn ended(&mut self) -> anyhow::Result<()> {
        loop {
            let asked = tokio::select! {
                _ = self.ticks.tick() => {
                    self.model.borrow_mut().tick(monotonic_ns());
                    Asked::Draw
                }
                ready = self.keys.readable() => {
                    ready?.clear_ready();
                    self.pressed()?
                }
                _ = self.resized.recv() => Asked::Draw,
                _ = self.stop.recv() => Asked::Stop,
                _ = self.goes_on.recv() => {
                    // After a SIGSTOP, which nobody can prepare for.
                    self.take()?;
                    Asked::Draw
                }
                _ = self.hang_up.recv() => Asked::Quit,
            };
            match asked {
                Asked::Draw => {}
                Asked::Stop => self.stopped().await?,
                Asked::Quit => return Ok(()),
            }
            self.draw().context("failed to draw on the terminal")?;
        }
    }

    /// What the keys ask for that have come.
    fn pressed(&mut self) -> anyhow::Result<Asked> {
        while event::poll(Duration::ZERO).context("failed to read the keys")? {
            if let Event::Key(key) = event::read().context("failed to read the keys")? {
                let asked = press(&mut self.model.borrow_mut().choice, key);
                if asked != Asked::Draw {
                    return Ok(asked);
                }
            }
        }
        Ok(Asked::Draw)
    }

    /// Leaves the terminal to the shell until SIGCONT.
    async fn stopped(&mut self) -> anyhow::Result<()> {
        self.guard = None;
        kill_process(getpid(), Kill::STOP).context("failed to stop")?;
        // It is what has made us go on, or will.
        self.goes_on.recv().await;
        self.take().context("failed to draw on the terminal")
    }

    /// Takes the terminal, and draws all of it anew.
    fn take(&mut self) -> io::Result<()> {
        // What was before comes back first: it is that which must be kept.
        self.guard = None;
        diagnostics::hold();
        self.guard = Some(Guard::enter(io::stdout())?);
        self.blank()?;
        self.draw()
    }

    /// Clears the screen, of the size that it has now. `Terminal::clear` and `resize` would ask the
    /// terminal where its cursor is, and wait for an answer among the keys.
    fn blank(&mut self) -> io::Result<()> {
        self.terminal = terminal()?;
        self.terminal.backend_mut().clear()
    }

    fn draw(&mut self) -> io::Result<()> {
        for message in diagnostics::held() {
            self.model.borrow_mut().say(&message);
        }
        let size = size();
        if self.terminal.get_frame().area() != size {
            self.blank()?;
        }
        let Self {
            model,
            theme,
            terminal,
            ..
        } = self;
        terminal.draw(|frame| draw(frame, &model.borrow(), *theme))?;
        Ok(())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.guard = None;
        let late = diagnostics::release();
        let model = self.model.borrow();
        let mut stderr = io::stderr().lock();
        // Nobody may read it.
        if model.forgotten > 0 {
            let _ = writeln!(stderr, "{} earlier messages were not kept", model.forgotten);
        }
        for message in model.messages.iter().chain(&late) {
            let _ = writeln!(stderr, "{message}");
        }
        for line in &model.footer {
            let _ = writeln!(stderr, "{line}");
        }
    }
}

/// That knows of nothing on the screen.
fn terminal() -> io::Result<Terminal<CrosstermBackend<Stdout>>> {
    let options = TerminalOptions {
        viewport: Viewport::Fixed(size()),
    };
    Terminal::with_options(CrosstermBackend::new(io::stdout()), options)
}

fn size() -> Rect {
    let (width, height) = tcgetwinsize(io::stdout())
        .map(|size| (size.ws_col, size.ws_row))
        .ok()
        .filter(|(width, height)| *width > 0 && *height > 0)
        .unwrap_or(SIZE);
    Rect::new(0, 0, width, height)
}
