//! Watches the kernel's console for signs that a guest will not come back.

use std::{
    fs::File,
    io::{Read as _, Seek as _, SeekFrom},
    path::PathBuf,
};

use anyhow::{Context as _, Result};

/// Text that a healthy guest never prints. Guests boot `quiet`, so only errors get here at all.
const MARKERS: &[&str] = &[
    "Kernel panic",
    "BUG:",
    "Oops:",
    "general protection fault",
    "unable to handle",
    "soft lockup",
    "hard LOCKUP",
    "blocked for more than",
    "self-detected stall",
    "detected stalls on CPUs",
    "Unable to mount root",
    "Out of memory",
];

/// How much of the console an error shows.
const TAIL_LINES: usize = 40;

/// The console log of one guest, read as it grows.
pub(crate) struct Console {
    path: PathBuf,
    offset: u64,
    text: String,
}

impl Console {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self {
            path,
            offset: 0,
            text: String::new(),
        }
    }

    /// Reads what came since and returns the first line with a hang marker, if there is one.
    pub(crate) fn poll(&mut self) -> Result<Option<String>> {
        let mut file =
            File::open(&self.path).with_context(|| format!("open {}", self.path.display()))?;
        file.seek(SeekFrom::Start(self.offset))?;
        let mut bytes = Vec::new();
        self.offset += file.read_to_end(&mut bytes)? as u64;
        self.text.push_str(&String::from_utf8_lossy(&bytes));
        Ok(marked(&self.text).map(str::to_owned))
    }

    /// The last lines, for an error.
    pub(crate) fn tail(&self) -> String {
        let lines: Vec<&str> = self.text.lines().collect();
        let from = lines.len().saturating_sub(TAIL_LINES);
        format!(
            "{} ends with:\n{}",
            self.path.display(),
            lines[from..].join("\n")
        )
    }
}

fn marked(text: &str) -> Option<&str> {
    text.lines()
        .find(|line| MARKERS.iter().any(|marker| line.contains(marker)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_found_and_a_warning_is_not() {
        let text = "[ 1.0] WARNING: CPU: 0\n[ 2.0] Kernel panic - not syncing: Attempted\n";
        assert_eq!(
            marked(text),
            Some("[ 2.0] Kernel panic - not syncing: Attempted")
        );
        assert_eq!(marked("[ 1.0] nfsd: last server has exited\n"), None);
    }

    #[test]
    fn the_log_is_read_as_it_grows() {
        let path = std::env::temp_dir().join(format!("lab-console-{}", std::process::id()));
        std::fs::write(&path, "one\n").unwrap();
        let mut console = Console::new(path.clone());
        assert_eq!(console.poll().unwrap(), None);
        std::fs::write(&path, "one\nBUG: two\n").unwrap();
        assert_eq!(console.poll().unwrap().as_deref(), Some("BUG: two"));
        assert!(console.tail().ends_with("one\nBUG: two"));
        std::fs::remove_file(&path).unwrap();
    }
}
