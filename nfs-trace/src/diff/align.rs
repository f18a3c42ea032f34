//! Which open of one recording is which of the other, among those of one name by one program.
//! Pure.
//!
//! A program opens what it opens whatever the client makes of it. So as few opens as possible are
//! left without a partner; among the ways to do that, the one in which as few as possible have
//! changed; among those, the one that pairs the earliest. With as many opens on both sides, the
//! first is the first, the second the second, and so on.

use super::answer::{Likeness, Open};

/// Places in the two sequences: both, or what is there only before or only after.
pub type Pair = (Option<usize>, Option<usize>);

/// Above this many cells, a table would take too much of memory and time.
const CELLS: usize = 16 << 20;

/// The pairs, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alignment {
    /// See [`Pair`].
    pub pairs: Vec<Pair>,
    /// There were too many to look for the best way: they are paired in their order alone.
    pub in_order_alone: bool,
}

/// Aligns two sequences; their items are places in `opens`.
#[must_use]
pub fn align(before: &[u32], after: &[u32], opens: &[Open]) -> Alignment {
    align_within(before, after, opens, CELLS)
}

fn align_within(before: &[u32], after: &[u32], opens: &[Open], cells: usize) -> Alignment {
    let may_be = |(one, other): (&u32, &u32)| {
        one == other || opens[*one as usize].may_be(&opens[*other as usize])
    };
    let in_order = before.iter().zip(after).all(may_be);
    if before.len() == after.len() && in_order {
        return Alignment {
            pairs: (0..before.len()).map(|at| (Some(at), Some(at))).collect(),
            in_order_alone: false,
        };
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
    let middle = match fits {
        true => best(left, right, opens),
        false => in_their_order(left, right, opens),
    };
    let mut pairs: Vec<Pair> = (0..head).map(|at| (Some(at), Some(at))).collect();
    let moved = |at: Option<usize>, by| at.map(|at| at + by);
    pairs.extend(
        middle
            .into_iter()
            .map(|(one, other)| (moved(one, head), moved(other, head))),
    );
    let ends = (before.len() - tail, after.len() - tail);
    pairs.extend((0..tail).map(|at| (Some(ends.0 + at), Some(ends.1 + at))));
    Alignment {
        pairs,
        in_order_alone: !fits,
    }
}

/// The first with the first, and so on.
fn in_their_order(left: &[u32], right: &[u32], opens: &[Open]) -> Vec<Pair> {
    let mut pairs = Vec::with_capacity(left.len().max(right.len()));
    for at in 0..left.len().max(right.len()) {
        match (left.get(at), right.get(at)) {
            (Some(one), Some(other)) if opens[*one as usize].may_be(&opens[*other as usize]) => {
                pairs.push((Some(at), Some(at)));
            }
            (one, other) => {
                pairs.extend(one.map(|_| (Some(at), None)));
                pairs.extend(other.map(|_| (None, Some(at))));
            }
        }
    }
    pairs
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
fn best(left: &[u32], right: &[u32], opens: &[Open]) -> Vec<Pair> {
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
    let mut pairs = Vec::with_capacity(left.len().max(right.len()));
    let (mut row, mut at) = (0, 0);
    while row < left.len() || at < right.len() {
        match steps[row * width + at] {
            Step::Both => {
                pairs.push((Some(row), Some(at)));
                row += 1;
                at += 1;
            }
            Step::Before => {
                pairs.push((Some(row), None));
                row += 1;
            }
            Step::After => {
                pairs.push((None, Some(at)));
                at += 1;
            }
        }
    }
    pairs
}

/// What it costs to pair two opens; nothing if they cannot be the same.
fn change(one: u32, other: u32, opens: &[Open]) -> Option<u64> {
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
    fn opens(letters: &str) -> (Vec<u32>, Vec<Open>) {
        let all: Vec<Open> = ('a'..='z')
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
        let pairs = alignment
            .pairs
            .iter()
            .map(|(one, other)| format!("{}{}", letter(before, *one), letter(after, *other)));
        pairs.collect::<Vec<_>>().join(" ")
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
