//! What came of the cures of scenario `workaround`: each reopen's path beside what it read, judged
//! against the table of expectations, and printed.

use lab_contract::{
    cure::{CURES, Cure, Cured, NAME},
    protocol::Outcome,
};
use serde_json::Value;

use super::{
    client::Client,
    expect::cures::{self as expect, Reopen},
};

/// What is wrong; nothing for other scenarios.
pub(crate) fn problems(outcome: &Outcome, client: Client) -> Vec<String> {
    let Some(version) = outcome.version.filter(|_| is_workaround(outcome)) else {
        return Vec::new();
    };
    let mut problems = Vec::new();
    for cure in CURES {
        let Some(cured) = find(outcome, cure) else {
            problems.push(format!("cure {}: nothing was measured", cure.name));
            continue;
        };
        let expected = expect::expected(cure, client, version);
        if let Some(itself) = expected.itself
            && itself != cured.itself
        {
            let found = &cured.itself;
            problems.push(format!(
                "cure {} itself: expected {itself}, found {found}",
                cure.name
            ));
        }
        if let Some(reopen) = expected.reopen {
            let wanted = wanted(&reopen, outcome.trace.is_some());
            let found = reopened(outcome, cure, cured);
            if wanted != found {
                problems.push(format!(
                    "reopen after {}: expected {wanted:?}, found {found:?}",
                    cure.name
                ));
            }
        }
    }
    problems
}

/// Cures down: what each showed itself, what the reopen read, and what vouched for it.
pub(crate) fn table(outcome: &Outcome) -> String {
    let Some(version) = outcome.version.filter(|_| is_workaround(outcome)) else {
        return String::new();
    };
    let mut text = format!(
        "\nNFSv{version}: held, renamed over on the server, then\n  {:<28} {:<14} {:<10} {:<12} name check\n",
        "cure", "itself shows", "reopen", "open path"
    );
    for cure in CURES {
        if let Some(cured) = find(outcome, cure) {
            let [reads, path, check] = reopened(outcome, cure, cured);
            let itself = &cured.itself;
            let line = format!(
                "  {:<28} {itself:<14} {reads:<10} {path:<12} {check}",
                cure.what
            );
            text.push_str(line.trim_end());
            text.push('\n');
        }
    }
    text
}

fn is_workaround(outcome: &Outcome) -> bool {
    outcome.error.is_none() && outcome.scenario == lab_contract::scenario::WORKAROUND
}

fn find<'a>(outcome: &'a Outcome, cure: &Cure) -> Option<&'a Cured> {
    let cures = &outcome.workload.cures;
    cures.iter().find(|cured| cured.cure == cure.name)
}

/// What was read, open path, name check; the last two are empty without nfs-trace.
fn reopened(outcome: &Outcome, cure: &Cure, cured: &Cured) -> [String; 3] {
    let path = format!("/{}/{NAME}", cure.name);
    let is_of = |row: &&Value| {
        let found = row["path"].as_str().unwrap_or_default();
        found.ends_with(&path)
    };
    // The reopen is the last of its directory.
    let rows = outcome.trace.as_ref().map_or(&[][..], |trace| &trace.rows);
    let row = rows.iter().rfind(is_of);
    let word = |key| {
        row.and_then(|row| row[key].as_str())
            .unwrap_or_default()
            .to_owned()
    };
    [cured.reads.clone(), word("open_path"), word("name_check")]
}

fn wanted(reopen: &Reopen, traced: bool) -> [String; 3] {
    let [open_path, name_check] = match traced {
        true => [reopen.open_path, reopen.name_check],
        false => [""; 2],
    };
    [reopen.reads, open_path, name_check].map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use lab_contract::{protocol::NfsVersion, scenario::WORKAROUND, trace::Trace};
    use serde_json::json;

    use super::*;

    /// As the affected client answers over v4.0, whatever the cure.
    fn uncured() -> Outcome {
        let mut outcome = Outcome {
            scenario: WORKAROUND.to_owned(),
            version: Some(NfsVersion::V40),
            ..Outcome::default()
        };
        let mut rows = Vec::new();
        for cure in CURES {
            let path = format!("workaround-40/{}/{NAME}", cure.name);
            rows.push(json!({"path": path, "open_path": "atomic", "name_check": "none"}));
            rows.push(json!({"path": path, "open_path": "cached", "name_check": "accepted"}));
            outcome.workload.cures.push(Cured {
                cure: cure.name.to_owned(),
                itself: "-".to_owned(),
                reads: "old".to_owned(),
            });
        }
        outcome.trace = Some(Trace {
            rows,
            ..Trace::default()
        });
        outcome
    }

    #[test]
    fn a_cure_that_does_not_work_is_named() {
        let problems = problems(&uncured(), Client::WithoutSeries);
        let has = |text: &str| problems.iter().any(|problem| problem.contains(text));
        assert!(has("reopen after ls: expected [\"new\", \"wire\""));
        assert!(has("cure ls itself: expected new, found -"));
        assert!(!has("reopen after none") && !has("reopen after wait:"));
    }

    #[test]
    fn a_cure_that_was_left_out_is_named() {
        let mut outcome = uncured();
        outcome.workload.cures.retain(|cured| cured.cure != "stat");
        let problems = problems(&outcome, Client::WithoutSeries);
        assert!(problems.contains(&"cure stat: nothing was measured".to_owned()));
    }

    #[test]
    fn the_table_has_a_line_for_each_cure() {
        let text = table(&uncured());
        assert_eq!(text.lines().count(), 3 + CURES.len());
        assert!(text.contains(
            "ls of the directory          -              old        cached       accepted"
        ));
        assert_eq!(table(&Outcome::default()), "");
    }
}
