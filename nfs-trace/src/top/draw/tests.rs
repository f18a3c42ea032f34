//! Exercises the picture, cell by cell, on a terminal made of memory.

use std::collections::BTreeMap;

use ratatui::{Terminal, backend::TestBackend, buffer::Buffer};

use super::*;
use crate::{
    names::escape,
    session,
    summary::Summary,
    top::testing::{at, row},
    trace::PathWord,
};

const COLOUR: Theme = Theme { colour: true };

fn drawn(model: &Model, (width, height): (u16, u16), theme: Theme) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(frame, model, theme)).unwrap();
    terminal.backend().buffer().clone()
}

/// The cells as text, without the blanks at the ends of lines.
fn text(buffer: &Buffer) -> String {
    let width = usize::from(buffer.area.width);
    let lines = buffer.content.chunks(width).map(|cells| {
        let line: String = cells.iter().map(ratatui::buffer::Cell::symbol).collect();
        line.trim_end().to_owned() + "\n"
    });
    lines.collect()
}

fn model() -> Model {
    let mut model = Model::new(0);
    model.about = "kernel 6.1.0-56-amd64".into();
    let long = "srv/a/very/long/way/down/to/packed-refs";
    for (path, word, times) in [
        ("test1.txt", PathWord::Cached, 12),
        ("test1.txt", PathWord::Wire, 1),
        (long, PathWord::Delegated, 40),
        ("new", PathWord::Atomic, 2),
        ("locked", PathWord::Failed, 3),
    ] {
        (0..times).for_each(|_| model.row(&row(path, word)));
    }
    let hostile = escape(b"a\x1b[2J\n\xff");
    (0..5).for_each(|_| model.row(&at("/home", row(&hostile, PathWord::Wire))));
    model.say("nfs-trace: module nfsv4 was unloaded: waiting until it is back (Ctrl-C ends)");
    model.tick(1_000_000_000);
    model
}

#[test]
fn at_80x24() {
    let text = text(&drawn(&model(), (80, 24), COLOUR));
    assert_eq!(text, include_str!("80x24.txt"), "\n{text}");
}

#[test]
fn at_120x40() {
    let mut model = model();
    model.choice.sort = crate::top::model::Sort::Cached;
    model.choice.filter = "t".into();
    let text = text(&drawn(&model, (120, 40), COLOUR));
    assert_eq!(text, include_str!("120x40.txt"), "\n{text}");
}

#[test]
fn that_the_modules_are_gone_stays_in_the_picture() {
    let mut model = model();
    let first = |model: &Model| {
        let text = text(&drawn(model, (80, 24), COLOUR));
        text.lines().next().unwrap_or_default().to_owned()
    };
    assert!(!first(&model).contains("NOT ATTACHED"));
    model.waits = true;
    model.say("something else");
    assert!(first(&model).contains("NOT ATTACHED"), "{}", first(&model));
}

#[test]
fn the_help_fits_on_80x24() {
    let mut model = model();
    model.choice.help = true;
    let text = text(&drawn(&model, (80, 24), COLOUR));
    for line in HELP {
        assert!(text.contains(line), "{line}\n{text}");
    }
}

#[test]
fn what_was_lost_is_red_and_without_colours_bold() {
    let mut summary = Summary::new(session::signals(&BTreeMap::new()));
    summary.kernel.returns = 7;
    let mut model = model();
    model.counted(&summary);
    model.tick(2_000_000_000);
    for (theme, colour) in [
        (COLOUR, Color::Red),
        (Theme { colour: false }, Color::Reset),
    ] {
        let buffer = drawn(&model, (80, 24), theme);
        assert!(text(&buffer).contains("LOST: 7 returns (no free kretprobe instance)"));
        let cell = &buffer[(0, 22)];
        assert_eq!((cell.symbol(), cell.fg), ("L", colour));
        assert!(cell.modifier.contains(Modifier::BOLD));
        let coloured = buffer.content.iter().any(|cell| cell.fg != Color::Reset);
        assert_eq!(coloured, theme.colour);
    }
}

#[test]
fn any_size_is_drawn_and_the_last_lines_stay() {
    let model = model();
    for width in [1, 7, 20, 40, 71, 72, 300] {
        for height in [1, 2, 3, 5, 9, 100] {
            let text = text(&drawn(&model, (width, height), COLOUR));
            assert!(text.contains('q'), "{width}x{height}\n{text}");
        }
    }
}

#[test]
fn of_many_mounts_and_names_those_that_fit_are_shown() {
    let mut model = Model::new(0);
    for n in 0..50 {
        model.row(&at(&format!("/m{n:02}"), row("f", PathWord::Wire)));
    }
    model.tick(1_000_000_000);
    let before = text(&drawn(&model, (80, 24), COLOUR));
    assert!(before.contains("and 45 more"), "{before}");
    assert!(before.contains("nothing lost"), "{before}");
    model.choice.scroll = usize::MAX;
    let after = text(&drawn(&model, (80, 24), COLOUR));
    assert!(
        after.contains("/m49/f") && !before.contains("/m49/f"),
        "{after}"
    );
}

#[test]
fn texts_are_cut_to_columns_also_where_characters_are_wide() {
    assert_eq!(keep_end("/mnt/file", 6), "\u{2026}/file");
    assert_eq!(keep_end("/mnt/\u{6f22}\u{5b57}", 4), "\u{2026}\u{5b57}");
    assert_eq!(keep_start("/mnt/file", 6), "/mnt/\u{2026}");
    assert_eq!(keep_end("abc", 0), "\u{2026}");
    assert_eq!(
        [short(99_999), short(100_000), short(12_345_678)],
        ["99999", "100k", "12M"]
    );
}
