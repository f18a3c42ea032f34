//! Which open of one recording is which of the other, among those of one name by one program.
//! Pure.
//!
//! A program opens what it opens whatever the client makes of it. So as few opens as possible are
//! left without a partner; among the ways to do that, the one in which as few as possible have
//! changed; among those, the one that pairs the earliest. With as many opens on both sides, the
//! first is the first, the second the second, and so on.

use std::rc::Rc;

use super::answer::{Likeness, Open};

/// Opens that follow each other on both sides, or on the one where they have no partner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pairs {
    /// Place of the first, before; nothing if they are only after.
    pub before: Option<usize>,
    /// Place of the first, after; nothing if they were only before.
    pub after: Option<usize>,
    /// How many.
    pub count: usize,
}

/// Above this many cells, a table would take too much of memory and time.
const CELLS: usize = 16 << 20;

/// Which is which.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alignment {
    /// In their order.
    pub pairs: Vec<Pairs>,
    /// There were too many to look for the best way: they are paired in their order alone.
    pub in_order_alone: bool,
}

impl Alignment {
    fn push(&mut self, before: Option<usize>, after: Option<usize>, count: usize) {
        if count == 0 {
            return;
        }
        let follows = |first: Option<usize>, count, next: Option<usize>| match (first, next) {
            (Some(first), Some(next)) => first + count == next,
            (None, None) => true,
            _ => false,
        };
        match self.pairs.last_mut() {
            Some(last)
                if follows(last.before, last.count, before)
                    && follows(last.after, last.count, after) =>
            {
                last.count += count;
            }
            _ => self.pairs.push(Pairs {
                before,
                after,
                count,
            }),
        }
    }
}

/// Aligns two sequences; their items are places in `opens`.
#[must_use]
pub fn align(before: &[u32], after: &[u32], opens: &[Rc<Open>]) -> Alignment {
    align_within(before, after, opens, CELLS)
}

fn align_within(before: &[u32], after: &[u32], opens: &[Rc<Open>], cells: usize) -> Alignment {
    let may_be = |(one, other): (&u32, &u32)| {
        one == other || opens[*one as usize].may_be(&opens[*other as usize])
    };
    let mut alignment = Alignment {
        pairs: Vec::new(),
        in_order_alone: false,
    };
    if before.len() == after.len() && before.iter().zip(after).all(may_be) {
        alignment.push(Some(0), Some(0), before.len());
        return alignment;
    }
    // What is the same at both ends is the same in the best way too.
    let same = |(one, other): &(&u32, &u32)| one == other;
    let head = before.iter().zip(after).take_while(same).count();
    let (left, right) = (&before[head..], &after[head..]);
    let tail = left.iter().rev().zip(right.iter().rev());
    let tail = tail.take_while(same).count();
    let (left, right) = (&left[..left.len() - tail], &right[..right.len() - tail]);

    let fits = (left.len() + 1)
        .checked_mul(right.len() + 1)
        .is_some_and(|needed| needed <= cells);
    alignment.in_order_alone = !fits;
    alignment.push(Some(0), Some(0), head);
    let moved = |at: Option<usize>| at.map(|at| at + head);
    let mut push = |before, after| alignment.push(moved(before), moved(after), 1);
    match fits {
        true => best(left, right, opens, &mut push),
        false => in_their_order(left, right, opens, &mut push),
    }
    alignment.push(Some(before.len() - tail), Some(after.len() - tail), tail);
    alignment
}

/// Takes a place before and one after, or one of them.
type Push<'a> = &'a mut dyn FnMut(Option<usize>, Option<usize>);

/// The first with the first, and so on.
fn in_their_order(left: &[u32], right: &[u32], opens: &[Rc<Open>], push: Push<'_>) {
    for at in 0..left.len().max(right.len()) {
        match (left.get(at), right.get(at)) {
            (Some(one), Some(other)) if opens[*one as usize].may_be(&opens[*other as usize]) => {
                push(Some(at), Some(at));
            }
            (one, other) => {
                if one.is_some() {
                    push(Some(at), None);
                }
                if other.is_some() {
                    push(None, Some(at));
                }
            }
        }
    }
}

/// Where a cell of the table leads.
#[derive(Clone, Copy)]
enum Step {
    Both,
    Before,
    After,
}

/// Dynamic programming from the ends: a cell is the cheapest way for what is behind it. Without a
/// partner costs more than any number of changes.
fn best(left: &[u32], right: &[u32], opens: &[Rc<Open>], push: Push<'_>) {
    const ALONE: u64 = 1 << 32;
    let width = right.len() + 1;
    let mut steps = vec![Step::Both; (left.len() + 1) * width];
    // The row of costs below, and the one that is made.
    let mut below = vec![0; width];
    for at in (0..right.len()).rev() {
        below[at] = below[at + 1] + ALONE;
        steps[left.len() * width + at] = Step::After;
    }
    for row in (0..left.len()).rev() {
        let mut costs = vec![0; width];
        costs[right.len()] = below[right.len()] + ALONE;
        steps[row * width + right.len()] = Step::Before;
        for at in (0..right.len()).rev() {
            let (before, after) = (below[at] + ALONE, costs[at + 1] + ALONE);
            let alone = match before <= after {
                true => (before, Step::Before),
                false => (after, Step::After),
            };
            let both = change(left[row], right[at], opens).map(|cost| below[at + 1] + cost);
            let (cost, step) = match both {
                // Of equally cheap ways, the one that pairs at once.
                Some(both) if both <= alone.0 => (both, Step::Both),
                _ => alone,
            };
            costs[at] = cost;
            steps[row * width + at] = step;
        }
        below = costs;
    }
    let (mut row, mut at) = (0, 0);
    while row < left.len() || at < right.len() {
        match steps[row * width + at] {
            Step::Both => {
                push(Some(row), Some(at));
                row += 1;
                at += 1;
            }
            Step::Before => {
                push(Some(row), None);
                row += 1;
            }
            Step::After => {
                push(None, Some(at));
                at += 1;
            }
        }
    }
}

/// What it costs to pair two opens; nothing if they cannot be the same.
fn change(one: u32, other: u32, opens: &[Rc<Open>]) -> Option<u64> {
    if one == other {
        return Some(0);
    }
    let (one, other) = (&opens[one as usize], &opens[other as usize]);
    one.may_be(other)
        .then(|| match one.answer.likeness(&other.answer) {
            Likeness::Same => 0,
            Likeness::Uncertain => 1,
            Likeness::Changed => 2,
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        diff::answer::Answer,
        row::Rpcs,
        trace::{NameCheck, PathWord},
    };

    /// Letters are answers; a capital one was asked for with other flags.
    fn opens(letters: &str) -> (Vec<u32>, Vec<Rc<Open>>) {
        let all: Vec<Rc<Open>> = ('a'..='z')
            .chain('A'..='Z')
            .map(|letter| Open {
                flags: Some(
                    if letter.is_lowercase() {
                        "O_RDONLY"
                    } else {
                        "O_RDWR"
                    }
                    .into(),
                ),
                answer: Answer {
                    open_path: PathWord::Wire,
                    claim: None,
                    name_check: NameCheck::Directory,
                    rpcs: Rpcs {
                        open: Some(1),
                        lookup: Some(0),
                    },
                    stale_retries: u32::from(letter.to_ascii_lowercase()),
                    result: Some(0),
                    complete: true,
                },
            })
            .map(Rc::new)
            .collect();
        let place = |letter: char| match letter {
            'a'..='z' => u32::from(letter) - u32::from('a'),
            _ => u32::from(letter) - u32::from('A') + 26,
        };
        (letters.chars().map(place).collect(), all)
    }

    /// Pairs as `ab`, with `-` for nothing.
    fn aligned(before: &str, after: &str, cells: usize) -> String {
        let (left, all) = opens(before);
        let (right, _) = opens(after);
        let alignment = align_within(&left, &right, &all, cells);
        let letter = |text: &str, at: Option<usize>| {
            at.map_or('-', |at| text.chars().nth(at).expect("a letter"))
        };
        let mut pairs = Vec::new();
        for run in alignment.pairs {
            for at in 0..run.count {
                let one = letter(before, run.before.map(|first| first + at));
                let other = letter(after, run.after.map(|first| first + at));
                pairs.push(format!("{one}{other}"));
            }
        }
        pairs.join(" ")
    }

    #[test]
    fn as_many_opens_are_paired_in_their_order() {
        for (before, after, pairs) in [
            ("", "", ""),
            ("abc", "abc", "aa bb cc"),
            ("abbb", "acdd", "aa bc bd bd"),
            // Never an open less here and one more there.
            ("abab", "baba", "ab ba ab ba"),
        ] {
            assert_eq!(aligned(before, after, CELLS), pairs);
            assert_eq!(aligned(before, after, 0), pairs, "without a table");
        }
    }

    #[test]
    fn what_has_no_partner_is_where_the_fewest_others_change() {
        for (before, after, pairs) in [
            ("", "ab", "-a -b"),
            ("ab", "", "a- b-"),
            // One more at the beginning, in the middle, at the end.
            ("abc", "xabc", "-x aa bb cc"),
            ("abc", "abxc", "aa bb -x cc"),
            ("abc", "abcx", "aa bb cc -x"),
            ("abxc", "abc", "aa bb x- cc"),
            // All have changed: the last has none.
            ("aaa", "bbbb", "ab ab ab -b"),
            ("aaaa", "bbb", "ab ab ab a-"),
            // Changed, and one less.
            ("abbcb", "adcd", "aa bd b- cc bd"),
        ] {
            assert_eq!(aligned(before, after, CELLS), pairs, "{before} {after}");
        }
    }

    #[test]
    fn other_flags_are_another_open() {
        for (before, after, pairs) in [
            ("aBa", "aBa", "aa BB aa"),
            ("aB", "Ba", "a- BB -a"),
            ("aBc", "dF", "ad BF c-"),
            ("a", "A", "a- -A"),
        ] {
            assert_eq!(aligned(before, after, CELLS), pairs, "{before} {after}");
        }
    }

    #[test]
    fn too_many_are_paired_in_their_order_and_that_is_said() {
        let (left, all) = opens("abcdz");
        let (right, _) = opens("aXbcz");
        let alignment = align_within(&left, &right, &all, 4);
        assert!(alignment.in_order_alone);
        assert_eq!(aligned("abcdz", "aXbcz", 4), "aa b- -X cb dc zz");
        assert!(!align(&left, &right, &all).in_order_alone);
        let (more, _) = opens("abc");
        assert_eq!(aligned("abc", "xy", 1), "ax by c-");
        assert!(!align_within(&more, &more, &all, 0).in_order_alone);
    }
}
