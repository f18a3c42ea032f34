//! The model as cells of a terminal. Pure.

use std::borrow::Cow;

use ratatui::{
    Frame,
    layout::Rect,
    style::{Color, Modifier, Style},
    text::{Line, Span},
};

use super::model::{Choice, Model, MountLine, NameLine, View};

/// Columns of a line of names, before the path: heading, width, the number, whether a narrow
/// terminal does without.
type Column = (&'static str, usize, fn(&NameLine) -> String, bool);

const COLUMNS: [Column; 8] = [
    ("OPENS/S", 7, |line| rate(line.rate), false),
    ("TOTAL", 6, |line| short(line.opens.total), false),
    ("CACHED", 6, |line| short(line.opens.cached), false),
    ("WIRE", 5, |line| short(line.opens.wire), false),
    ("DELEG", 5, |line| short(line.opens.delegated), false),
    ("ATOMIC", 6, |line| short(line.opens.atomic), true),
    ("FAIL", 5, |line| short(line.opens.failed), true),
    ("STALE", 5, |line| short(line.opens.stale_retries), true),
];

/// Below this many columns some are left out.
const NARROW: u16 = 72;

const HELP: &[&str] = &[
    "OPENS/S  opens of the name a second, the mean of the last five",
    "TOTAL    since the start; the columns after it say what vouched for the file:",
    "CACHED   nothing: the client reused its own open state. In an ordinary",
    "         open this is the bug",
    "WIRE     an OPEN went to the server",
    "DELEG    a delegation allows it, legally",
    "ATOMIC   lookup and OPEN in one",
    "FAIL     it failed before any of these",
    "STALE    EOPENSTALE returns inside, each a retry",
    "",
    "r t c n  sort by rate, total, cached, name    s  the next of these",
    "/        only paths that contain what you type (Enter; Esc takes it away)",
    "p        stand still, and go on; counting goes on",
    "arrows, PgUp, PgDn, Home    scroll",
    "q, Ctrl-C    end; the summary is printed then    Ctrl-Z  stop",
    "",
    "A mount is AFFECTED with the first cached open that was seen completely.",
    "That none was seen proves nothing: `nfs-trace check` can say.",
];

/// Colours, or none of them.
#[derive(Debug, Clone, Copy)]
pub struct Theme {
    /// Use colour; without it, what matters is bold or reversed.
    pub colour: bool,
}

impl Theme {
    fn alarm(self) -> Style {
        let style = Style::new().add_modifier(Modifier::BOLD);
        if self.colour {
            style.fg(Color::Red)
        } else {
            style
        }
    }

    fn heading() -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }
}

/// Draws everything.
pub fn draw(frame: &mut Frame<'_>, model: &Model, theme: Theme) {
    let area = frame.area();
    let view = model.view();
    let mut lines = top(model, &view, area);
    if model.choice.help {
        lines.push(Line::styled(
            fill("KEYS AND COLUMNS", area.width),
            Theme::heading(),
        ));
        lines.extend(HELP.iter().map(|line| Line::raw(*line)));
    } else {
        lines.extend(mounts(&view, area, theme));
        let room = usize::from(area.height).saturating_sub(lines.len() + 4);
        lines.extend(names(&view, &model.choice, area.width, room, theme));
    }
    // The last three lines are always there.
    let last = [
        said(model, area.width),
        lost(&view, theme),
        keys(&model.choice),
    ];
    let room = usize::from(area.height).saturating_sub(last.len());
    lines.resize(room, Line::default());
    lines.extend(last);
    lines.drain(..lines.len().saturating_sub(area.height.into()));
    for (y, line) in (area.y..area.bottom()).zip(&lines) {
        frame.buffer_mut().set_line(area.x, y, line, area.width);
    }
}

fn top<'a>(model: &'a Model, view: &View, area: Rect) -> Vec<Line<'a>> {
    let mut text = format!(
        "nfs-trace top, {}: {} {}, {}/s",
        model.about,
        view.all.total,
        if view.all.total == 1 { "open" } else { "opens" },
        rate(view.rate),
    );
    if model.choice.paused {
        text.push_str("  PAUSED");
    }
    if model.waits {
        text.push_str("  NOT ATTACHED");
    }
    let mut lines = vec![Line::styled(
        keep_start(&text, usize::from(area.width)).into_owned(),
        Style::new().add_modifier(Modifier::BOLD),
    )];
    if !view.notes.is_empty() {
        lines.push(Line::raw(view.notes.join("; ")));
    }
    lines
}

fn mounts(view: &View, area: Rect, theme: Theme) -> Vec<Line<'static>> {
    let width = usize::from(area.width);
    let at_most = (usize::from(area.height) / 4).max(1);
    let (shown, rest) = match view.mounts.len() {
        all if all <= at_most => (all, 0),
        all => (at_most - 1, all - at_most + 1),
    };
    let point_width = (width / 3).clamp(8, 40);
    let heading = format!("{:point_width$} VERS EVIDENCE SO FAR", "MOUNT");
    let mut lines = vec![Line::styled(fill(&heading, area.width), Theme::heading())];
    for MountLine {
        point,
        version,
        affected,
        evidence,
        ..
    } in &view.mounts[..shown]
    {
        let style = if *affected {
            theme.alarm()
        } else {
            Style::new()
        };
        lines.push(Line::from(vec![
            Span::raw(padded(&keep_end(point, point_width), point_width)),
            Span::raw(format!(" {version:4} ")),
            Span::styled(evidence.clone(), style),
        ]));
    }
    if rest > 0 {
        lines.push(Line::raw(format!(
            "and {rest} more, with fewer cached opens or fewer opens"
        )));
    }
    if view.mounts.is_empty() {
        lines.push(Line::raw("no open seen"));
    }
    lines
}

fn names(
    view: &View,
    choice: &Choice,
    width: u16,
    room: usize,
    theme: Theme,
) -> Vec<Line<'static>> {
    let columns: Vec<&Column> = COLUMNS
        .iter()
        .filter(|(.., wide)| width >= NARROW || !wide)
        .collect();
    let mut heading = String::new();
    for (name, size, ..) in &columns {
        heading.push_str(&format!("{name:>size$} "));
    }
    let path_width = usize::from(width).saturating_sub(heading.len());
    heading.push_str("PATH");
    heading.push_str(&format!(" (by {}", choice.sort.word()));
    if !choice.filter.is_empty() {
        heading.push_str(&format!(", with {}", choice.filter));
    }
    heading.push(')');
    let mut lines = vec![Line::styled(fill(&heading, width), Theme::heading())];
    let first = choice
        .scroll
        .min(view.names.len().saturating_sub(room.max(1)));
    for line in view.names.iter().skip(first).take(room) {
        let mut spans: Vec<Span<'static>> = columns
            .iter()
            .map(|(name, size, number, _)| {
                let style = match *name {
                    "CACHED" if line.opens.cached > 0 => theme.alarm(),
                    _ => Style::new(),
                };
                Span::styled(format!("{:>size$} ", number(line)), style)
            })
            .collect();
        spans.push(Span::raw(keep_end(&line.path, path_width).into_owned()));
        lines.push(Line::from(spans));
    }
    lines
}

fn said(model: &Model, width: u16) -> Line<'static> {
    let last = model.messages.back().map_or("", String::as_str);
    Line::raw(keep_start(last, usize::from(width)).into_owned())
}

fn lost(view: &View, theme: Theme) -> Line<'static> {
    if view.lost.is_empty() {
        return Line::raw("nothing lost, every path complete");
    }
    Line::styled(format!("LOST: {}", view.lost.join(", ")), theme.alarm())
}

fn keys(choice: &Choice) -> Line<'static> {
    if choice.typing {
        return Line::raw(format!(
            "/{}\u{2588}   (Enter keeps it, Esc takes it away)",
            choice.filter
        ));
    }
    Line::raw("q end  r/t/c/n sort by rate/total/cached/name  / filter  p pause  ? help")
}

fn rate(rate: f64) -> String {
    match rate {
        _ if rate < 100.0 => format!("{rate:.1}"),
        _ => short(rate.round() as u64),
    }
}

/// A number in at most five columns: 12345, 123k, 12M.
fn short(n: u64) -> String {
    match n {
        0..100_000 => n.to_string(),
        100_000..10_000_000 => format!("{}k", n / 1_000),
        10_000_000..10_000_000_000 => format!("{}M", n / 1_000_000),
        _ => format!("{}G", n / 1_000_000_000),
    }
}

fn fill(text: &str, width: u16) -> String {
    padded(text, usize::from(width))
}

fn padded(text: &str, width: usize) -> String {
    let used = Span::raw(text).width();
    format!("{text}{}", " ".repeat(width.saturating_sub(used)))
}

/// The end of a text, in so many columns.
fn keep_end(text: &str, width: usize) -> Cow<'_, str> {
    if Span::raw(text).width() <= width {
        return text.into();
    }
    let mut kept = "";
    for (at, _) in text.char_indices().rev() {
        if Span::raw(&text[at..]).width() >= width {
            break;
        }
        kept = &text[at..];
    }
    format!("\u{2026}{kept}").into()
}

/// The start of a text, in so many columns.
fn keep_start(text: &str, width: usize) -> Cow<'_, str> {
    if Span::raw(text).width() <= width {
        return text.into();
    }
    let mut end = 0;
    for (at, it) in text.char_indices() {
        let next = at + it.len_utf8();
        if Span::raw(&text[..next]).width() >= width {
            break;
        }
        end = next;
    }
    format!("{}\u{2026}", &text[..end]).into()
}

#[cfg(test)]
mod tests;
