//! The terminal while it is ours, and as it was again afterwards: also when the program panics
//! (in the release build that aborts, and nothing is dropped).

use std::{
    fs::File,
    io::{self, Write as _},
    os::fd::{AsFd, OwnedFd},
    panic,
    sync::{Mutex, Once, PoisonError},
};

use crossterm::{
    cursor::{Hide, Show},
    queue,
    terminal::{EnterAlternateScreen, LeaveAlternateScreen},
};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};

/// What has to be put back.
struct Before {
    fd: OwnedFd,
    termios: Termios,
}

static BEFORE: Mutex<Option<Before>> = Mutex::new(None);

/// The terminal is ours as long as this lives; there is one at a time.
pub struct Guard(());

impl Guard {
    /// Keys come one by one and unseen, and all is drawn on the alternate screen.
    ///
    /// # Errors
    /// If it is no terminal, or is gone.
    pub fn enter(terminal: impl AsFd) -> io::Result<Self> {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let next = panic::take_hook();
            panic::set_hook(Box::new(move |info| {
                restore();
                next(info);
            }));
        });
        let fd = terminal.as_fd().try_clone_to_owned()?;
        let termios = tcgetattr(&fd)?;
        let mut raw = termios.clone();
        raw.make_raw();
        *before() = Some(Before {
            fd: fd.try_clone()?,
            termios,
        });
        let guard = Self(());
        tcsetattr(&fd, OptionalActions::Now, &raw)?;
        let mut out = File::from(fd);
        queue!(out, EnterAlternateScreen, Hide)?;
        out.flush()?;
        Ok(guard)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        restore();
    }
}

fn before() -> std::sync::MutexGuard<'static, Option<Before>> {
    BEFORE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Puts back what was before. The terminal may be gone: then there is nothing to put back.
fn restore() {
    let Some(Before { fd, termios }) = before().take() else {
        return;
    };
    let _ = tcsetattr(&fd, OptionalActions::Now, &termios);
    let mut out = File::from(fd);
    let _ = queue!(out, Show, LeaveAlternateScreen);
    let _ = out.flush();
}

#[cfg(test)]
mod tests {
    use std::{io::Read as _, thread};

    use rustix::{
        fs::{Mode, OFlags, open},
        pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
        termios::LocalModes,
    };

    use super::*;

    const ENTER: &str = "\x1b[?1049h\x1b[?25l";
    const LEAVE: &str = "\x1b[?25h\x1b[?1049l";

    /// Both ends of a terminal.
    fn pty() -> (File, OwnedFd) {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let ours = openpt(flags).unwrap();
        grantpt(&ours).unwrap();
        unlockpt(&ours).unwrap();
        let name = ptsname(&ours, Vec::new()).unwrap();
        let theirs = open(name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
        (File::from(ours), theirs)
    }

    fn is_raw(terminal: &OwnedFd) -> bool {
        let modes = tcgetattr(terminal).unwrap().local_modes;
        !modes.intersects(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG)
    }

    fn seen(screen: &mut File, length: usize) -> String {
        let mut bytes = vec![0; length];
        screen.read_exact(&mut bytes).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    /// One test: there is one guard at a time.
    #[test]
    fn the_terminal_is_as_it_was_after_the_end_and_after_a_panic() {
        let (mut screen, terminal) = pty();
        assert!(!is_raw(&terminal));
        let guard = Guard::enter(&terminal).unwrap();
        assert!(is_raw(&terminal));
        assert_eq!(seen(&mut screen, ENTER.len()), ENTER);
        drop(guard);
        assert!(!is_raw(&terminal));
        assert_eq!(seen(&mut screen, LEAVE.len()), LEAVE);

        // As with panic = "abort": the guard is never dropped, the hook alone restores.
        let guard = Guard::enter(&terminal).unwrap();
        assert!(is_raw(&terminal));
        assert_eq!(seen(&mut screen, ENTER.len()), ENTER);
        thread::spawn(|| panic!("to see the terminal restored"))
            .join()
            .unwrap_err();
        assert!(!is_raw(&terminal));
        assert_eq!(seen(&mut screen, LEAVE.len()), LEAVE);
        drop(guard);

        // Its other end is gone.
        let guard = Guard::enter(&terminal).unwrap();
        drop(screen);
        drop(guard);
        assert!(Guard::enter(&terminal).is_err());
    }
}
