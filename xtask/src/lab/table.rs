//! Prints outcomes: a line each as they come, the problems of those that failed, a table at the end.

use std::fmt::Write as _;

use lab_contract::{protocol::Outcome, trace::Trace};

use super::{
    guest::Spec,
    judge::{self, Verdict},
};

/// One line, and what is wrong below it.
pub(crate) fn line(outcome: &Outcome, verdict: &Verdict) -> String {
    let version = outcome.version.map(String::from).unwrap_or_default();
    if let (Some(why), true) = (&outcome.skipped, verdict.is_pass()) {
        return format!("SKIPPED {:<9} v{version} {why}\n", outcome.scenario);
    }
    let word = if verdict.is_pass() { "PASS" } else { "FAIL" };
    let sent = judge::sent(outcome);
    let mut text = format!(
        "{word} {:<12} v{version} {:>6} opens  {:<28} OPEN {:<6} LOOKUP {:<5} read {:<24} {:>5.1} s\n",
        outcome.scenario,
        outcome
            .workload
            .opens
            .map_or("?".to_owned(), |opens| opens.to_string()),
        outcome
            .trace
            .as_ref()
            .map_or("not traced".to_owned(), words),
        sent.open,
        sent.lookup,
        judge::describe(&outcome.workload.reads),
        outcome.total_ms as f64 / 1000.0,
    );
    for problem in verdict.problems() {
        let _ = writeln!(text, "     {problem}");
    }
    text
}

/// `1 atomic, 23 wire`
fn words(trace: &Trace) -> String {
    let counts: Vec<String> = trace
        .by_open_path
        .iter()
        .map(|(word, count)| format!("{count} {word}"))
        .collect();
    counts.join(", ")
}

/// Scenarios down, versions across.
pub(crate) fn summary(spec: &Spec, outcomes: &[(Outcome, Verdict)]) {
    let mut versions: Vec<_> = outcomes
        .iter()
        .filter_map(|(outcome, _)| outcome.version)
        .collect();
    versions.sort_unstable();
    versions.dedup();
    println!("\n{} {}", spec.name(), spec.client.name());
    let heads: Vec<String> = versions
        .iter()
        .map(|version| format!("v{version}"))
        .collect();
    println!("  {:<14}{}", "scenario", heads.join("  "));
    let mut seen: Vec<&str> = Vec::new();
    for (outcome, _) in outcomes {
        if !seen.contains(&&*outcome.scenario) {
            seen.push(&outcome.scenario);
        }
    }
    for name in seen {
        let words: Vec<&str> = versions
            .iter()
            .map(|version| {
                let cell = outcomes.iter().find(|(outcome, _)| {
                    outcome.scenario == name && outcome.version == Some(*version)
                });
                cell.map_or("-   ", |(outcome, verdict)| {
                    match (verdict.is_pass(), &outcome.skipped) {
                        (false, _) => "FAIL",
                        (true, Some(_)) => "skip",
                        (true, None) => "pass",
                    }
                })
            })
            .collect();
        println!("  {name:<14}{}", words.join("  "));
    }
}
