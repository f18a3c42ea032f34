//! A comparison in one line. Pure.

use super::{
    answer::{Answer, Part, result},
    compare::{Change, Comparison, Counts, Group, Name, Verdict},
};
use crate::render::footer::count;

/// Kinds of changes that are told one by one.
const KINDS: usize = 3;

/// The line.
#[must_use]
pub(super) fn conclusion(comparison: &Comparison) -> String {
    let all = comparison.counts;
    let doubt = doubt(comparison);
    match comparison.verdict() {
        Verdict::Same => format!(
            "no difference: {} of {}",
            count(all.same, "open", "opens"),
            count(comparison.names.len() as u64, "name", "names"),
        ),
        Verdict::Inconclusive => {
            let why = if all == Counts::default() {
                "there is no open to compare".into()
            } else {
                let mut why = alone(all);
                if all.uncertain > 0 {
                    why.push(uncertain(all.uncertain));
                }
                why.extend(doubt);
                format!("no difference that is certain, but {}", why.join(", "))
            };
            format!("inconclusive: {why}")
        }
        Verdict::Different => {
            let mut line = different(comparison);
            if !doubt.is_empty() {
                line.push_str(&format!(" (but {})", doubt.join(", ")));
            }
            line
        }
    }
}

fn uncertain(n: u64) -> String {
    count(n, "open cannot be compared", "opens cannot be compared")
}

/// What is in one recording alone.
fn alone(counts: Counts) -> Vec<String> {
    let sides = [(counts.only_before, "BEFORE"), (counts.only_after, "AFTER")];
    let there = sides.into_iter().filter(|(n, _)| *n > 0);
    there
        .map(|(n, side)| format!("{} only in {side}", count(n, "open", "opens")))
        .collect()
}

fn doubt(comparison: &Comparison) -> Vec<String> {
    let sides = ["BEFORE", "AFTER"].into_iter().zip(&comparison.doubts);
    sides
        .filter(|(_, doubts)| !doubts.is_empty())
        .map(|(side, _)| format!("{side} may lack something"))
        .collect()
}

fn different(comparison: &Comparison) -> String {
    let Counts {
        changed,
        uncertain: unsure,
        ..
    } = comparison.counts;
    let mut parts = Vec::new();
    let in_common = comparison.counts.same + changed + unsure;
    if in_common == 0 {
        parts.push("no open is in both: the names and programs are others".into());
    }
    if changed > 0 {
        parts.push(changes(comparison, changed));
    }
    parts.extend(alone(comparison.counts));
    if in_common > 0 {
        parts.extend(totals(comparison));
    }
    if unsure > 0 {
        parts.push(uncertain(unsure));
    }
    parts.join(", ")
}

/// `11 of 11 reopens of test1.txt: cached -> wire (claim NULL)`
fn changes(comparison: &Comparison, changed: u64) -> String {
    let touched: Vec<&Name> = comparison
        .names
        .iter()
        .filter(|name| name.groups.iter().any(is_changed))
        .collect();
    // The first open of a name has to ask whatever the client does: it is left out if it is the same.
    let only_reopens = touched
        .iter()
        .all(|name| !(name.begins && name.groups.first().is_some_and(is_changed)));
    let compared = touched.iter().map(|name| {
        let both = name.groups.iter().filter(|group| group.both().is_some());
        let all: u64 = both.map(|group| group.count).sum();
        let firsts = u64::from(only_reopens && name.begins);
        all.saturating_sub(firsts)
    });
    let compared: u64 = compared.sum();
    let what = if only_reopens { "reopens" } else { "opens" };
    let mut paths: Vec<String> = touched
        .iter()
        .map(|name| comparison.shown(&name.key))
        .collect();
    paths.sort_unstable();
    paths.dedup();
    let of = match &paths[..] {
        [path] => path.clone(),
        paths => format!("{} names", paths.len()),
    };
    let mut kinds: Vec<(String, u64)> = Vec::new();
    for group in touched.iter().flat_map(|name| &name.groups) {
        let Some((before, after)) = group.both().filter(|_| is_changed(group)) else {
            continue;
        };
        let kind = kind(before, after);
        match kinds.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, n)) => *n += group.count,
            None => kinds.push((kind, group.count)),
        }
    }
    kinds.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
    let told = match &kinds[..] {
        [(kind, _)] => kind.clone(),
        kinds => {
            let mut told: Vec<String> = kinds
                .iter()
                .take(KINDS)
                .map(|(kind, n)| format!("{n} {kind}"))
                .collect();
            let rest: u64 = kinds.iter().skip(KINDS).map(|(_, n)| n).sum();
            if rest > 0 {
                told.push(format!("{rest} otherwise"));
            }
            told.join(", ")
        }
    };
    format!("{changed} of {compared} {what} of {of}: {told}")
}

fn is_changed(group: &Group) -> bool {
    group.change == Change::Changed
}

/// The most telling difference.
fn kind(before: &Answer, after: &Answer) -> String {
    let differs = |part| before.differs(after, part);
    if differs(Part::OpenPath) {
        format!("{} -> {}", before.class(), after.class())
    } else if differs(Part::NameCheck) {
        let words = [before, after].map(|answer| answer.name_check.word());
        format!("name {} -> {}", words[0], words[1])
    } else if differs(Part::Result) {
        let words = [before, after].map(|answer| result(answer.result));
        format!("{} -> {}", words[0], words[1])
    } else if differs(Part::StaleRetries) {
        "stale retries".into()
    } else {
        "RPCs".into()
    }
}

/// What there is more or less of, over all that was compared.
fn totals(comparison: &Comparison) -> Vec<String> {
    type Count = fn(&Answer) -> Option<u64>;
    let totals: [(&str, &str, Count); 3] = [
        ("stale retry", "stale retries", |it| {
            Some(u64::from(it.stale_retries))
        }),
        ("OPEN", "OPENs", |it| it.rpcs.open.map(u64::from)),
        ("LOOKUP", "LOOKUPs", |it| it.rpcs.lookup.map(u64::from)),
    ];
    let groups = || comparison.names.iter().flat_map(|name| &name.groups);
    let mut told = Vec::new();
    for (one, many, of) in totals {
        let total = |side: fn(&Group) -> Option<&Answer>| {
            let mut answers = groups().filter_map(|group| Some((side(group)?, group.count)));
            // Nothing if one of them is not known.
            answers.try_fold(0_u64, |sum, (answer, n)| {
                Some(sum.saturating_add(of(answer)?.saturating_mul(n)))
            })
        };
        let before = total(|group| group.before.as_ref().map(|run| &run.open.answer));
        let after = total(|group| group.after.as_ref().map(|run| &run.open.answer));
        let (Some(before), Some(after)) = (before, after) else {
            continue;
        };
        let difference = before.abs_diff(after);
        if difference > 0 {
            let way = if after > before { "more" } else { "fewer" };
            told.push(format!("{} {way}", count(difference, one, many)));
        }
    }
    told
}
