//! What a trace rests on, in one line for people.

use std::fmt::Write as _;

use crate::{
    names::tame,
    session::{ATTACHED, Session},
    trace::{Delegated, Sent, Signals},
};

/// The line. A recording may hold any words, so they are escaped.
#[must_use]
pub fn header(session: &Session) -> String {
    let missing: Vec<&str> = session
        .probes
        .iter()
        .filter(|(_, state)| *state != ATTACHED)
        .map(|(symbol, _)| symbol.as_str())
        .collect();
    let mut line = format!(
        "nfs-trace {}: kernel {}, {} functions probed, transport {}, names from {}",
        session.version,
        session.kernel,
        session.probes.len() - missing.len(),
        session.transport,
        session.layout,
    );
    if !session.layout_why.is_empty() {
        let _ = write!(line, " ({})", session.layout_why);
    }
    let startup = session.startup_ms;
    let took = startup.facts.saturating_add(startup.attach);
    let _ = write!(line, ", armed after {took} ms");
    if !missing.is_empty() {
        let _ = write!(line, ", without {}", missing.join(", "));
    }
    line.push_str(&instead(session.signals()));
    tame(&line)
}

/// What is used where the best signals are missing.
fn instead(signals: Signals) -> String {
    let mut text = String::new();
    let mut note = |what: &str, best: bool, symbol: Option<&str>| {
        if !best {
            let symbol = symbol.unwrap_or("nothing");
            let _ = write!(text, ", {what} told by {symbol}");
        }
    };
    let Signals {
        sent, delegated, ..
    } = signals;
    note("OPENs", sent == Sent::OpenDone, sent.symbol());
    let best = delegated == Delegated::StateidUpdate;
    note("delegated opens", best, delegated.symbol());
    text
}
