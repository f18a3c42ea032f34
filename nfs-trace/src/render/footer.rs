//! The end of a trace for people: counts of the paths, and everything lost.

use std::fmt::Write as _;

use crate::{
    summary::{Lost, Reloads, Summary, Unread},
    trace::PathWord,
};

/// What was seen, and what was lost, a line each.
#[must_use]
pub fn footer(summary: &Summary) -> Vec<String> {
    let end = summary.end();
    let mut lines = Vec::new();
    let parts: Vec<String> = end
        .by_open_path
        .iter()
        .filter(|(_, n)| **n > 0)
        .map(|(word, n)| format!("{n} {}", word.word()))
        .collect();
    let mut first = count(end.opens, "open", "opens");
    if !parts.is_empty() {
        let _ = write!(first, ": {}", parts.join(", "));
    }
    if end.hidden > 0 {
        let _ = write!(first, " ({} filtered out)", end.hidden);
    }
    lines.push(first);
    let cached = end
        .by_open_path
        .get(&PathWord::Cached)
        .copied()
        .unwrap_or(0);
    if cached > 0 {
        lines.push(format!(
            "  {} served from the client's own open state: no OPEN was sent, no delegation \
             allows that",
            count(cached, "open was", "opens were"),
        ));
    }
    let number = |n: Option<u64>| n.map_or("?".into(), |n| n.to_string());
    lines.push(format!(
        "  OPEN sent: {} for these opens, {} elsewhere; LOOKUP: {} and {}",
        number(end.rpcs.open),
        number(end.rpcs.open_elsewhere),
        number(end.rpcs.lookup),
        number(end.rpcs.lookup_elsewhere),
    ));
    if end.running_at_start > 0 {
        lines.push(format!(
            "  {} running when tracing began and not shown",
            count(end.running_at_start, "open was", "opens were"),
        ));
    }
    if end.running_at_end > 0 {
        lines.push(format!(
            "  {} still running at the end and not shown",
            count(end.running_at_end, "call was", "calls were"),
        ));
    }
    lines.extend(end.reloads.map(reloads_line));
    let lost = end.lost;
    let unread: Vec<String> = unread_words(end.unread.unwrap_or_default())
        .iter()
        .map(|words| format!("  {words}"))
        .collect();
    if lost.is_nothing() && end.incomplete == 0 && unread.is_empty() {
        lines.push("  nothing lost, every path complete".into());
        return lines;
    }
    let losses = losses(lost);
    if !losses.is_empty() {
        lines.push(format!("  LOST: {}", losses.join(", ")));
    }
    lines.extend(unread);
    lines.push(format!(
        "  {} incomplete",
        count(end.incomplete, "path is", "paths are")
    ));
    lines
}

/// Everything that was lost, in words; nothing if nothing was.
#[must_use]
pub fn losses(lost: Lost) -> Vec<String> {
    [
        (
            lost.records,
            "record (buffer full)",
            "records (buffer full)",
        ),
        (
            lost.returns,
            "return (no free kretprobe instance)",
            "returns (no free kretprobe instance)",
        ),
        (
            lost.skipped,
            "program run (another was running on that CPU)",
            "program runs (others were running on that CPU)",
        ),
        (
            lost.children,
            "child process (too many)",
            "child processes (too many)",
        ),
        (
            lost.undecodable,
            "record that made no sense",
            "records that made no sense",
        ),
    ]
    .iter()
    .filter(|(n, ..)| *n > 0)
    .map(|(n, one, many)| count(*n, one, many))
    .collect()
}

/// What could not be read of a recording, in words; nothing if all was.
#[must_use]
pub fn unread_words(unread: Unread) -> Vec<String> {
    let mut words = Vec::new();
    if unread.places > 0 {
        words.push(format!(
            "DAMAGED: {}, {} left out, {} known to be missing",
            count(unread.places, "place", "places"),
            count(unread.bytes, "byte", "bytes"),
            count(unread.records, "record is", "records are"),
        ));
    }
    if unread.no_end {
        words.push(
            "the recording has no end: it is still being written, or was cut short; what was lost \
             last is not known"
                .into(),
        );
    }
    if unread.earlier_parts {
        words.push("earlier parts of the recording were not given".into());
    }
    if unread.later_parts {
        words.push("later parts of the recording were not given".into());
    }
    words
}

fn reloads_line(reloads: Reloads) -> String {
    let Reloads {
        gone,
        attached,
        unseen_ms,
    } = reloads;
    let gone = match gone {
        1 => "once".to_string(),
        gone => format!("{gone} times"),
    };
    let rest = match attached {
        0 => ", and did not come back".to_string(),
        _ => format!("; opens in the {unseen_ms} ms until all was attached again were not seen"),
    };
    format!("  modules of the client were unloaded {gone}{rest}")
}

/// A number and its word.
pub(crate) fn count(n: u64, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::session;

    #[test]
    fn the_footer_says_when_nothing_could_be_seen() {
        let mut summary = Summary::new(session::signals(&BTreeMap::new()));
        let mut line = |gone, attached, unseen_ms| {
            summary.reloads = Reloads {
                gone,
                attached,
                unseen_ms,
            };
            let lines = footer(&summary);
            lines[lines.len() - 2].clone()
        };
        assert!(line(0, 0, 0).contains("OPEN sent"));
        assert_eq!(
            line(1, 0, 0),
            "  modules of the client were unloaded once, and did not come back"
        );
        assert_eq!(
            line(3, 3, 340),
            "  modules of the client were unloaded 3 times; opens in the 340 ms until all was \
             attached again were not seen"
        );
    }

    #[test]
    fn the_footer_says_what_was_lost() {
        let mut summary = Summary::new(session::signals(&BTreeMap::new()));
        assert_eq!(
            footer(&summary).last().unwrap(),
            "  nothing lost, every path complete"
        );
        summary.kernel.records = 3;
        summary.kernel.returns = 1;
        summary.kernel.running_at_start = 2;
        let text = footer(&summary).join("\n");
        assert!(
            text.contains("LOST: 3 records (buffer full), 1 return (no free"),
            "{text}"
        );
        assert!(
            text.contains("2 opens were running when tracing began"),
            "{text}"
        );
        assert!(!text.contains("nothing lost"), "{text}");
    }

    #[test]
    fn what_a_replay_could_not_read_is_said() {
        let mut summary = Summary::new(session::signals(&BTreeMap::new()));
        summary.unread.places = 2;
        summary.unread.bytes = 70;
        summary.unread.records = 1;
        summary.unread.no_end = true;
        let text = footer(&summary).join("\n");
        assert!(
            text.contains("DAMAGED: 2 places, 70 bytes left out, 1 record is known to be missing"),
            "{text}"
        );
        assert!(text.contains("has no end"), "{text}");
        assert!(!text.contains("nothing lost"), "{text}");
    }
}
