//! A terminal that nobody sits at: what a program writes there, and the cells that come of it.

use std::{
    fs::File,
    io::{Read as _, Write as _},
    os::fd::OwnedFd,
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use anyhow::{Context as _, Result};
use rustix::{
    fs::{Mode, OFlags, open},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{LocalModes, OutputModes, Winsize, tcgetattr, tcsetwinsize},
};

/// See the module.
pub(super) struct Terminal {
    ours: File,
    theirs: OwnedFd,
    written: Arc<Mutex<Vec<u8>>>,
}

impl Terminal {
    /// With so many columns and lines.
    pub(super) fn new(columns: u16, lines: u16) -> Result<Self> {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let ours = openpt(flags).context("open a terminal")?;
        grantpt(&ours)?;
        unlockpt(&ours)?;
        let name = ptsname(&ours, Vec::new())?;
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let theirs = open(name, flags, Mode::empty()).context("open the terminal's other end")?;
        let terminal = Self {
            ours: ours.into(),
            theirs,
            written: Arc::default(),
        };
        terminal.resize(columns, lines)?;
        let mut reader = terminal.ours.try_clone()?;
        let written = Arc::clone(&terminal.written);
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length) = reader.read(&mut buffer) {
                let mut written = written.lock().unwrap_or_else(PoisonError::into_inner);
                written.extend_from_slice(&buffer[..length]);
            }
        });
        Ok(terminal)
    }

    pub(super) fn resize(&self, columns: u16, lines: u16) -> Result<()> {
        let size = Winsize {
            ws_col: columns,
            ws_row: lines,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&self.ours, size).context("set the terminal's size")
    }

    /// For a program to use.
    pub(super) fn end(&self) -> Result<Stdio> {
        Ok(self.theirs.try_clone()?.into())
    }

    pub(super) fn press(&self, keys: &str) -> Result<()> {
        (&self.ours).write_all(keys.as_bytes())?;
        Ok(())
    }

    /// Keys come as they are pressed, and are not shown.
    pub(super) fn is_raw(&self) -> Result<bool> {
        let modes = tcgetattr(&self.theirs)?;
        let cooked = LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG;
        Ok(!modes.local_modes.intersects(cooked))
    }

    /// All that decides how it behaves.
    pub(super) fn modes(&self) -> Result<(LocalModes, OutputModes)> {
        let modes = tcgetattr(&self.theirs)?;
        Ok((modes.local_modes, modes.output_modes))
    }

    /// Everything that was written so far.
    pub(super) fn written(&self) -> String {
        let written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&written).into_owned()
    }

    /// What the screen shows of that, lines without blanks at their ends.
    pub(super) fn screen(&self, columns: usize, lines: usize) -> String {
        let mut cells = vec![vec![' '; columns]; lines];
        let (mut x, mut y) = (0, 0);
        let written = self.written();
        let mut rest = written.as_str();
        while let Some(next) = rest.chars().next() {
            if let Some(sequence) = rest.strip_prefix("\x1b[") {
                let end = sequence
                    .find(|it: char| it.is_ascii_alphabetic())
                    .unwrap_or(sequence.len());
                let (arguments, command) = sequence.split_at(end);
                let mut numbers = arguments.split(';').map(|it| it.parse().unwrap_or(1));
                match command.chars().next() {
                    Some('H') => {
                        y = numbers.next().unwrap_or(1) - 1;
                        x = numbers.next().unwrap_or(1) - 1;
                    }
                    Some('J') => cells.iter_mut().for_each(|line| line.fill(' ')),
                    _ => {}
                }
                rest = command.get(1..).unwrap_or_default();
                continue;
            }
            rest = &rest[next.len_utf8()..];
            match next {
                '\r' => x = 0,
                '\n' => y += 1,
                _ => {
                    if let Some(cell) = cells.get_mut(y).and_then(|line| line.get_mut(x)) {
                        *cell = next;
                    }
                    x += 1;
                }
            }
        }
        let lines = cells.into_iter().map(|line| {
            let line: String = line.into_iter().collect();
            line.trim_end().to_owned()
        });
        lines.collect::<Vec<_>>().join("\n")
    }
}
