//! Who held what open, and which delegations there were.

use std::io;

use super::{Text, count, who};
use crate::report::model::{Delegation, Hold};

/// Who held what; nothing if no open tells.
pub(super) fn holds(text: &mut Text<'_>, holds: &[Hold]) -> io::Result<()> {
    if holds.is_empty() {
        return Ok(());
    }
    text.title(
        "HELD OPEN  (closes are not recorded; each cached open proves that somebody still held \
             the file)",
    )?;
    for hold in holds {
        writeln!(
            text.out,
            "{}: file {}, {}, from {} to {} at least: {}",
            hold.path,
            hold.fileid,
            hold.mode,
            text.time(hold.from),
            text.time(hold.until),
            count(hold.cached, "cached open", "cached opens"),
        )?;
        let openers: Vec<String> = hold
            .opened_by
            .iter()
            .map(|held| {
                format!(
                    "{} since {} ({})",
                    who(&held.opener),
                    text.time(held.since),
                    held.open_path.word()
                )
            })
            .collect();
        let more = hold.opened_by_more;
        let by = match (openers.as_slice(), more) {
            ([], _) => "opened before the recording began, or by whom it does not tell".into(),
            ([one], 0) => format!("by {one}"),
            (some, 0) => format!("by one of: {}", some.join(", ")),
            (some, more) => format!("by one of {more} more, or of: {}", some.join(", ")),
        };
        writeln!(text.out, "  {by}")?;
    }
    Ok(())
}

/// Which delegations there were; nothing if there were none.
pub(super) fn delegations(text: &mut Text<'_>, delegations: &[Delegation]) -> io::Result<()> {
    if delegations.is_empty() {
        return Ok(());
    }
    text.title("DELEGATIONS  (grant, recall and return are not recorded; delegated opens are)")?;
    for it in delegations {
        let granted = match it.granted_after {
            Some(at) => format!("granted after {}", text.time(at)),
            None => "granted before the recording began, or not seen".into(),
        };
        let returned = match it.returned_before {
            Some(at) => format!(", perhaps returned before {}", text.time(at)),
            None => String::new(),
        };
        writeln!(
            text.out,
            "{}: file {}, from {} to {} at least: {}\n  {granted}{returned}",
            it.path,
            it.fileid,
            text.time(it.from),
            text.time(it.until),
            count(it.opens, "delegated open", "delegated opens"),
        )?;
    }
    Ok(())
}
