//! What became of names, and who was served the old file.

use std::io;

use super::{Text, count, some, who};
use crate::report::model::{Change, ChangeKind, Evidence, Name, Stale};

/// The section; nothing if no name changed.
pub(super) fn write(text: &mut Text<'_>, names: &[Name]) -> io::Result<()> {
    let changed = || names.iter().filter(|name| !name.changes.is_empty());
    if changed().next().is_none() {
        return Ok(());
    }
    text.title("RENAMES  (the same name, another file or none, by a later LOOKUP or OPEN)")?;
    for name in changed() {
        for change in &name.changes {
            one(text, name, change)?;
        }
        if name.changes_left_out > 0 {
            let earlier = count(name.changes_left_out, "earlier change", "earlier changes");
            writeln!(text.out, "{}: {earlier} left out", name.path)?;
        }
    }
    Ok(())
}

fn one(text: &mut Text<'_>, name: &Name, change: &Change) -> io::Result<()> {
    writeln!(text.out, "{}: {}", name.path, headline(change, text))?;
    let Change {
        old,
        new,
        after,
        before,
        between,
        afterwards,
        ..
    } = change;
    match after {
        Some(after) => {
            let line = evidence(text, after, &format!("file {old}"));
            writeln!(text.out, "  last named before   {line}")?;
        }
        None => writeln!(
            text.out,
            "  last named before   not in the recording, it is known from the client's cache"
        )?,
    }
    let new = match (new, change.kind) {
        (Some(new), _) => format!("file {new}"),
        (None, ChangeKind::Removed) => "no file".into(),
        (None, ChangeKind::Replaced) => "another file".into(),
    };
    let line = evidence(text, before, &new);
    writeln!(text.out, "  first noticed       {line}")?;
    stale(text, between, true)?;
    stale(text, afterwards, false)
}

fn evidence(text: &Text<'_>, evidence: &Evidence, named: &str) -> String {
    let Evidence {
        by,
        sent,
        replied,
        opener,
    } = evidence;
    format!(
        "{} of {}, sent {}, answered {}: {named}",
        by.word(),
        who(opener),
        text.time(*sent),
        text.time(*replied),
    )
}

fn stale(text: &mut Text<'_>, stale: &Stale, is_between: bool) -> io::Result<()> {
    let (Some(first), Some(last)) = (stale.first, stale.last) else {
        return Ok(());
    };
    let (on, off) = text.red(true);
    let where_ = if is_between {
        "between the two"
    } else {
        "after that"
    };
    let times = match stale.opens {
        1 => text.time(first),
        _ => format!("{} to {}", text.time(first), text.time(last)),
    };
    let opens = count(stale.opens, "cached open", "cached opens");
    writeln!(
        text.out,
        "  {on}PROVED STALE{off}        {opens} of the old file {where_}, {times}",
    )?;
    writeln!(text.out, "{:22}by {}", "", some(&stale.openers))?;
    if is_between {
        writeln!(
            text.out,
            "{:22}(those that came after the rename itself, which is not recorded)",
            ""
        )?;
    }
    Ok(())
}

/// In a few words.
pub(super) fn headline(change: &Change, text: &Text<'_>) -> String {
    let Change {
        kind,
        old,
        new,
        after,
        before,
        ..
    } = change;
    let what = match (kind, new) {
        (ChangeKind::Removed, _) => format!("file {old} was removed"),
        (ChangeKind::Replaced, Some(new)) => format!("file {old} was replaced by {new}"),
        (ChangeKind::Replaced, None) => format!("file {old} was replaced"),
    };
    let before = text.time(before.replied);
    match after {
        Some(after) => format!("{what} between {} and {before}", text.time(after.sent)),
        None => format!("{what} before {before}"),
    }
}
