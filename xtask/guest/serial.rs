//! The only writer of the second serial port: one message, one line.

use std::{fs::OpenOptions, io::Write as _};

use lab_contract::protocol::Message;

/// ttyS1; ttyS0 is the kernel's console.
const PORT: &str = "/dev/ttyS1";

/// Sends one message. A port that cannot be written is shown on the console: the host then sees a
/// missing outcome, which is an error there.
pub(crate) fn send(message: &Message) {
    let line = serde_json::to_string(message).unwrap_or_else(|error| format!("{error}"));
    // Appending, as the tty layer ignores positions and a truncating open would be pointless.
    let sent = OpenOptions::new()
        .append(true)
        .open(PORT)
        .and_then(|mut port| port.write_all(format!("{line}\n").as_bytes()));
    if let Err(error) = sent {
        eprintln!("lab-init: cannot write {PORT}: {error}: {line}");
    }
}

/// Sends one line that is worth showing to the user.
pub(crate) fn log(text: impl Into<String>) {
    send(&Message::Log { text: text.into() });
}

/// Says what comes next, which may take long, or for ever.
pub(crate) fn next(what: impl Into<String>) {
    send(&Message::Next { what: what.into() });
}
