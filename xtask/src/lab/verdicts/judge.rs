//! Judges one cell: did every run of `nfs-trace check` end as it has to? Pure: no files, no guest.

use std::collections::BTreeSet;

use lab_contract::{
    protocol::NfsVersion,
    verdicts::{Asked, Measured},
};

use super::{
    super::client::Client,
    expect::{self, Answer, Expected, May, Truth},
    report::{Kind, Mount, Report, Verdict},
};

/// What is wrong with one cell; nothing if it passes. `release`: of the guest's kernel.
pub(crate) fn judge(measured: &Measured, client: Client, release: &str) -> Vec<String> {
    let mut problems = Vec::new();
    if let Some(error) = &measured.error {
        problems.push(error.clone());
    } else if measured.asked.is_empty() && measured.skipped.is_none() {
        problems.push("nothing was asked".to_owned());
    }
    for asked in &measured.asked {
        let label = match &*asked.label {
            "" => String::new(),
            label => format!("{label}: "),
        };
        let found = run(measured, asked, client, release);
        problems.extend(found.iter().map(|problem| format!("{label}{problem}")));
        if !found.is_empty() {
            problems.push(format!("{label}{}", said(asked)));
        }
    }
    problems
}

/// The end of what a run that failed had to say.
fn said(asked: &Asked) -> String {
    let end = |text: &str| {
        let lines: Vec<&str> = text.trim().lines().rev().take(5).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join(" | ")
    };
    format!(
        "status {}, stdout `{}`, stderr `{}`",
        asked.status,
        end(&asked.out),
        end(&asked.err)
    )
}

/// Problems as they are found.
#[derive(Default)]
struct Problems(Vec<String>);

impl Problems {
    fn check(&mut self, holds: bool, problem: impl FnOnce() -> String) {
        if !holds {
            self.0.push(problem());
        }
    }
}

fn run(measured: &Measured, asked: &Asked, client: Client, release: &str) -> Vec<String> {
    let mut problems = Problems::default();
    problems.check(asked.left.is_empty(), || {
        format!("left behind: {}", asked.left.join(", "))
    });
    match expect::expected(&measured.cell, &asked.label, client, release) {
        Expected::Report(wanted) => match Report::read(&asked.out) {
            Ok(report) => {
                whole(&mut problems, asked, &report, &wanted);
                mounts(&mut problems, asked, &report, &wanted, client);
                if wanted.tells_who {
                    tells_who(&mut problems, measured, &report);
                }
            }
            Err(error) => problems.0.push(format!("{error:#}")),
        },
        Expected::Refusal(words) => refusal(&mut problems, asked, words),
        Expected::Interrupted => {
            interrupted(&mut problems, asked, client, measured.cell.version);
        }
    }
    problems.0
}

/// The report as a whole, whatever it is about.
fn whole(problems: &mut Problems, asked: &Asked, report: &Report, wanted: &Answer) {
    problems.check(asked.took_ms <= wanted.ms_at_most, || {
        format!(
            "it took {} ms, {} are allowed",
            asked.took_ms, wanted.ms_at_most
        )
    });
    let verdicts: Vec<Verdict> = report.mounts.iter().map(|mount| mount.verdict).collect();
    let overall = Verdict::overall(&verdicts);
    problems.check(report.verdict == overall, || {
        format!(
            "the verdict is {}, but that of the mounts is {overall}",
            report.verdict
        )
    });
    let status = report.verdict.status();
    problems.check(asked.status == status, || {
        format!(
            "status {} instead of {status} for {}",
            asked.status, report.verdict
        )
    });
    problems.check(!report.why.is_empty(), || "it does not say why".to_owned());
    for kind in [Kind::Image, Kind::Release] {
        let known = report.evidence.iter().any(|one| one.kind == kind);
        problems.check(known, || format!("no evidence from {kind:?}"));
    }
    // What is known before there is a report goes to stderr.
    let text = format!("{}{}", report.text(), asked.err).to_lowercase();
    for word in wanted.says {
        problems.check(text.contains(&word.to_lowercase()), || {
            format!("nothing of `{word}` in: {}", report.text().trim())
        });
    }
}

fn mounts(
    problems: &mut Problems,
    asked: &Asked,
    report: &Report,
    wanted: &Answer,
    client: Client,
) {
    let listed = report.mounts.iter().map(|it| (&*it.mount, it.nfs_version));
    let listed: BTreeSet<_> = listed.collect();
    let there = asked.mounts.iter().map(|it| (&*it.path, it.version));
    let there: BTreeSet<_> = there.collect();
    problems.check(
        listed == there && report.mounts.len() == asked.mounts.len(),
        || format!("it is about {listed:?} instead of {there:?}"),
    );
    for mount in &report.mounts {
        let mut found = Problems::default();
        one_mount(&mut found, mount, wanted, client);
        let path = &mount.mount;
        problems
            .0
            .extend(found.0.iter().map(|problem| format!("{path}: {problem}")));
    }
}

fn one_mount(problems: &mut Problems, mount: &Mount, wanted: &Answer, client: Client) {
    let truth = expect::truth(client, mount.nfs_version);
    let verdict = mount.verdict;
    let nothing = verdict == Verdict::Inconclusive;
    let allowed = match wanted.may {
        May::Truth => verdict == truth.verdict,
        May::TruthOrNothing => nothing || verdict == truth.verdict,
        May::Nothing => nothing,
    };
    problems.check(allowed, || {
        format!(
            "{verdict}, where {} is true and {:?} is to be found: {}; {}",
            truth.verdict,
            wanted.may,
            mount.why,
            mount.evidence_text().replace('\n', " | ")
        )
    });
    if wanted.met_delegation {
        // The symbols of the image have the word in their names: they do not count.
        let met = mount
            .evidence
            .iter()
            .any(|one| one.kind == wanted.proof && one.text().contains("delegat"));
        problems.check(met, || {
            "no evidence has a word of the delegation".to_owned()
        });
    }
    level(problems, mount, truth);
    problems.check(!mount.why.is_empty(), || "it does not say why".to_owned());
    problems.check(mount.server.contains("127.0.0.1"), || {
        format!("the server is {}", mount.server)
    });
    let open_v1 = mount.nfs_version != NfsVersion::V40;
    problems.check(mount.atomic_open_v1.is_none_or(|it| it == open_v1), || {
        format!("atomic_open_v1 is {:?}", mount.atomic_open_v1)
    });
    if let Some(proof) = verdict.proof() {
        let proven = mount
            .evidence
            .iter()
            .any(|one| one.finding == proof && one.kind == wanted.proof);
        problems.check(proven, || {
            format!("no evidence from {:?} proves {verdict}", wanted.proof)
        });
    }
    problems.check(
        verdict != Verdict::Affected || !mount.advice.is_empty(),
        || "affected, and no advice".to_owned(),
    );
    problems.check(mount.took_ms <= wanted.ms_at_most, || {
        format!("it says that it took {} ms", mount.took_ms)
    });
}

/// Whoever does not know the verdict does not know the level either.
fn level(problems: &mut Problems, mount: &Mount, truth: Truth) {
    let holds = match mount.fix_level {
        None => mount.verdict == Verdict::Inconclusive,
        Some(level) => mount.verdict != Verdict::Inconclusive && truth.level == level,
    };
    problems.check(holds, || {
        format!(
            "fix level {:?} with {}, where {:?} is true",
            mount.fix_level, mount.verdict, truth.level
        )
    });
}

/// The first cached open is told with its file and process, and so is the holder of the file.
fn tells_who(problems: &mut Problems, measured: &Measured, report: &Report) {
    let Some(held) = &measured.held else {
        problems.0.push("the guest held nothing".to_owned());
        return;
    };
    let observed = report.mounts.iter().flat_map(|mount| &mount.evidence);
    let told = observed
        .filter(|one| one.kind == Kind::Observed)
        .any(|one| {
            let text = one.text();
            text.contains(&held.path) && text.contains(&held.reader)
        });
    problems.check(told, || {
        format!(
            "no evidence tells that {} opened {}",
            held.reader, held.path
        )
    });
    let listed = report
        .mounts
        .iter()
        .flat_map(|mount| &mount.holders)
        .any(|holder| holder.pid == held.holder && holder.path == held.path);
    problems.check(listed, || {
        format!("process {} is not told to hold {}", held.holder, held.path)
    });
}

fn refusal(problems: &mut Problems, asked: &Asked, words: &[&str]) {
    problems.check(asked.status == 64, || {
        format!("status {} instead of 64", asked.status)
    });
    problems.check(asked.out.is_empty(), || "it prints a report".to_owned());
    for word in words {
        problems.check(asked.err.contains(word), || format!("nothing of `{word}`"));
    }
}

/// It may have known the truth already, and must not claim more.
fn interrupted(problems: &mut Problems, asked: &Asked, client: Client, version: NfsVersion) {
    let truth = expect::truth(client, version).verdict;
    let honest = [truth.status(), Verdict::Inconclusive.status()].contains(&asked.status);
    let by_signal = asked.status > 128;
    problems.check(honest || by_signal, || {
        format!("status {}, where {truth} is true", asked.status)
    });
    if let Ok(report) = Report::read(&asked.out) {
        let claim = report.verdict;
        problems.check(claim == truth || claim == Verdict::Inconclusive, || {
            format!("{claim}, where {truth} is true")
        });
    }
}
