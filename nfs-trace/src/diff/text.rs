//! A comparison for people: both sides beside each other, what differs marked, and one line that
//! sums it up. Pure.

use std::fmt::Write as _;

use super::{
    answer::{Answer, Part},
    compare::{Change, Comparison, Group, Name, Run},
    conclude::conclusion,
    side::Side,
};
use crate::{
    names::escape,
    render::{
        footer::count,
        text::{BOLD, PLAIN, RED, keep_end},
    },
    trace::PathWord,
};

/// Width without a terminal, and the least.
const WIDTH: usize = 100;
const LEAST: usize = 60;
/// What stands between the sides, and before them.
const BETWEEN: usize = 3;
const INDENT: usize = 2;

/// How the text is to look.
#[derive(Debug, Clone, Copy)]
pub(super) struct Style {
    /// Columns of the terminal; nothing for a file or a pipe.
    pub(super) width: Option<usize>,
    /// Use colour.
    pub(super) colour: bool,
    /// Show what is the same, too.
    pub(super) all: bool,
}

/// The whole text. `files`: what the recordings are called.
#[must_use]
pub(super) fn text(
    comparison: &Comparison,
    sides: &[Side; 2],
    files: [&str; 2],
    style: Style,
) -> String {
    let mut text = String::new();
    for (index, head) in ["BEFORE", "AFTER"].into_iter().enumerate() {
        let _ = writeln!(text, "{head:6}  {}", about(&sides[index], files[index]));
        for doubt in &comparison.doubts[index] {
            let _ = writeln!(text, "        ! {doubt}");
        }
    }
    let shown = |name: &&Name| style.all || name.differs();
    let names: Vec<&Name> = comparison.names.iter().filter(shown).collect();
    let table = Table::new(&names, style);
    if !names.is_empty() {
        let differs = names.iter().any(|name| name.differs());
        text.push('\n');
        table.head(&mut text, differs);
    }
    for name in &names {
        table.name(&mut text, comparison, name);
    }
    let rest = comparison.names.len() - names.len();
    if !names.is_empty() && rest > 0 {
        let _ = writeln!(
            text,
            "  and {} the same",
            count(rest as u64, "name", "names")
        );
    }
    let _ = writeln!(text, "\n{}", conclusion(comparison));
    text
}

fn about(side: &Side, file: &str) -> String {
    let versions: Vec<&str> = side.versions.iter().map(String::as_str).collect();
    let versions = match &versions[..] {
        [] => String::new(),
        versions => format!("NFSv{}, ", escape(versions.join(" and v").as_bytes())),
    };
    let kernel = escape(side.kernel.as_bytes());
    let opens = count(side.opens(), "open", "opens");
    format!("{file}: kernel {kernel}, {versions}{opens}")
}

/// Where the columns are.
struct Table {
    style: Style,
    width: usize,
    number: usize,
    cell: usize,
}

impl Table {
    fn new(names: &[&Name], style: Style) -> Self {
        let width = style.width.unwrap_or(WIDTH).max(LEAST);
        let groups = names.iter().flat_map(|name| &name.groups);
        let number = groups.map(|group| numbers(group).len()).max().unwrap_or(0);
        let number = number.max("OPEN".len());
        let cell = (width - INDENT - number - 2 - BETWEEN) / 2;
        Self {
            style,
            width,
            number,
            cell,
        }
    }

    fn head(&self, text: &mut String, differs: bool) {
        let Self { number, cell, .. } = self;
        let mark = if differs { "   (* differs)" } else { "" };
        let _ = writeln!(
            text,
            "{:INDENT$}{:>number$}  {:cell$}{:BETWEEN$}AFTER{mark}",
            "", "OPEN", "BEFORE", ""
        );
    }

    fn name(&self, text: &mut String, comparison: &Comparison, name: &Name) {
        let by = [Some(&*name.key.comm), name.flags()];
        let by: Vec<&str> = by
            .into_iter()
            .flatten()
            .filter(|it| !it.is_empty())
            .collect();
        let by = match &by[..] {
            [] => String::new(),
            by => format!("  ({})", by.join(", ")),
        };
        let mut shown = comparison.shown(&name.key);
        if self.style.width.is_some() {
            let room = self.width.saturating_sub(by.chars().count());
            shown = keep_end(&shown, room.max(20));
        }
        let (bold, plain) = self.colours(BOLD);
        let _ = writeln!(text, "{bold}{shown}{plain}{by}");
        if name.in_order_alone {
            let _ = writeln!(
                text,
                "{:INDENT$}too many to look for the ones that have no partner: paired in their order",
                ""
            );
        }
        let with_flags = name.flags().is_none();
        let shown = |group: &&Group| self.style.all || group.change != Change::Same;
        for group in name.groups.iter().filter(shown) {
            self.group(text, group, with_flags);
        }
    }

    fn group(&self, text: &mut String, group: &Group, with_flags: bool) {
        let differing: Vec<Part> = match group.both() {
            Some((before, after)) => Part::ALL
                .into_iter()
                .filter(|part| before.differs(after, *part))
                .collect(),
            None => Vec::new(),
        };
        let cell = |run: &Option<Run>| {
            let Some(run) = run else {
                return Vec::new();
            };
            let flags = run.open.flags.as_deref().filter(|_| with_flags);
            let flags = flags.map(|flags| Word {
                text: flags.into(),
                colour: None,
            });
            let words = self.words(&run.open.answer, &differing);
            wrap(flags.into_iter().chain(words).collect(), self.cell)
        };
        let (before, after) = (cell(&group.before), cell(&group.after));
        let mark = match group.change {
            Change::Same => ' ',
            Change::Changed => '|',
            Change::Uncertain => '?',
            Change::OnlyBefore => '<',
            Change::OnlyAfter => '>',
        };
        let numbers = numbers(group);
        for line in 0..before.len().max(after.len()) {
            let number = if line == 0 { numbers.as_str() } else { "" };
            let mark = if line == 0 { mark } else { ' ' };
            let left = self.cell(before.get(line));
            let right = self.cell(after.get(line));
            let width = self.number;
            let whole = format!("{:INDENT$}{number:>width$}  {left} {mark} {right}", "");
            let _ = writeln!(text, "{}", whole.trim_end());
        }
    }

    fn words(&self, answer: &Answer, differing: &[Part]) -> Vec<Word> {
        let phrases = answer.phrases(differing).into_iter();
        let words = phrases.map(|(part, text)| {
            let differs = part.is_some_and(|part| differing.contains(&part));
            let cached = part == Some(Part::OpenPath) && answer.open_path == PathWord::Cached;
            Word {
                text: if differs { format!("*{text}") } else { text },
                colour: match () {
                    () if cached => Some(RED),
                    () if differs => Some(BOLD),
                    () => None,
                },
            }
        });
        words.collect()
    }

    /// A line of a cell, filled up.
    fn cell(&self, words: Option<&Vec<Word>>) -> String {
        let mut cell = String::new();
        let mut width = 0;
        for word in words.into_iter().flatten() {
            let (on, off) = word.colour.map_or(("", ""), |colour| self.colours(colour));
            // The comma is not coloured.
            let (bare, comma) = match word.text.strip_suffix(',') {
                Some(bare) => (bare, ","),
                None => (word.text.as_str(), ""),
            };
            let space = if width == 0 { "" } else { " " };
            let _ = write!(cell, "{space}{on}{bare}{off}{comma}");
            width += space.len() + word.text.chars().count();
        }
        cell.extend(std::iter::repeat_n(' ', self.cell.saturating_sub(width)));
        cell
    }

    fn colours(&self, on: &'static str) -> (&'static str, &'static str) {
        if self.style.colour {
            (on, PLAIN)
        } else {
            ("", "")
        }
    }
}

/// A part of a cell that is not broken.
struct Word {
    text: String,
    colour: Option<&'static str>,
}

/// Lines at most so wide, if no word is wider; all but the last word get a comma.
fn wrap(mut words: Vec<Word>, width: usize) -> Vec<Vec<Word>> {
    let last = words.len().saturating_sub(1);
    words[..last]
        .iter_mut()
        .for_each(|word| word.text.push(','));
    let mut lines: Vec<Vec<Word>> = Vec::new();
    let mut used = 0;
    for word in words {
        let length = word.text.chars().count();
        match lines.last_mut() {
            Some(line) if used + 1 + length <= width => {
                used += 1 + length;
                line.push(word);
            }
            _ => {
                used = length;
                lines.push(vec![word]);
            }
        }
    }
    lines
}

/// Which opens of their name they are: `3-12`; with another number after, `3-12 > 4-13`.
fn numbers(group: &Group) -> String {
    let range = |run: &Option<Run>| {
        let first = run.as_ref()?.first;
        Some(match group.count {
            1 => first.to_string(),
            count => format!("{first}-{}", first + count - 1),
        })
    };
    match (range(&group.before), range(&group.after)) {
        (Some(before), Some(after)) if before != after => format!("{before} > {after}"),
        (Some(one), _) | (None, Some(one)) => one,
        (None, None) => String::new(),
    }
}
