//! Which verdict each client should get, case by case.
//!
//! It follows from the kernel's source. An affected client looks for open state before it looks
//! for a delegation (nfs4_open_prepare), so a reopen is served from open state even where a
//! delegation would allow it; a fixed client cannot show what it would do without one.

use std::cmp::Ordering;

use lab_contract::{protocol::NfsVersion, verdicts::Cell};

use super::{
    super::{client::Client, natural},
    report::{Kind, Level, Verdict},
};

/// How long a check of one mount may take under emulation.
const MS_AT_MOST: u64 = 30_000;
/// `--timeout` of the case `dead-server`, and what starting and ending may add on a busy machine.
const DEAD_MS_AT_MOST: u64 = 5_000 + 15_000;

/// What one run of `nfs-trace check` has to end in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    /// A report.
    Report(Answer),
    /// Status 64, no report, and these words.
    Refusal(&'static [&'static str]),
    /// It was told to end, or killed: what it had seen until then, and never the contrary.
    Interrupted,
}

/// Which verdicts a mount may get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum May {
    /// What is true of it.
    Truth,
    /// That, or "inconclusive".
    TruthOrNothing,
    /// Only "inconclusive".
    Nothing,
}

/// What a report has to say.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) may: May,
    /// Where a verdict's proof comes from.
    pub(crate) proof: Kind,
    /// Words of the report, whatever their case.
    pub(crate) says: &'static [&'static str],
    /// What its proof was sought in has a word of the delegation that was met.
    pub(crate) met_delegation: bool,
    /// Who opened the file and who holds it are told.
    pub(crate) tells_who: bool,
    pub(crate) ms_at_most: u64,
}

impl Answer {
    const fn new(may: May) -> Self {
        Self {
            may,
            proof: Kind::SelfTest,
            says: &[],
            met_delegation: false,
            tells_who: false,
            ms_at_most: MS_AT_MOST,
        }
    }

    const fn met_delegation(self) -> Self {
        Self {
            met_delegation: true,
            ..self
        }
    }

    const fn says(self, says: &'static [&'static str]) -> Self {
        Self { says, ..self }
    }
}

/// What is true of one mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Truth {
    pub(crate) verdict: Verdict,
    pub(crate) level: Level,
}

/// What is true of a mount of this version.
pub(crate) fn truth(client: Client, version: NfsVersion) -> Truth {
    if client.is_affected(version) {
        return Truth {
            verdict: Verdict::Affected,
            level: Level::None,
        };
    }
    // On every version: over v4.1 and later check probes for the difference.
    let level = match client {
        Client::Be189f7eOnly => Level::Be189f7e,
        _ => Level::Full,
    };
    Truth {
        verdict: Verdict::NotAffected,
        level,
    }
}

/// Whether an OPEN that is answered with a delegation may leave no open stateid beside it (RFC 9754):
/// there is no open state then that an affected client could reuse. Guests are client and server:
/// measured on 7.3, and not so on 6.12, whose client asks for it (nfs4_map_atomic_open_share(),
/// fs/nfs/nfs4proc.c) while its nfsd does not know it (open_xor_delegation(), fs/nfsd/nfs4state.c).
/// Of the versions between nothing was looked at; 6.14 is when nfsd's was sent.
fn delegation_alone(release: &str, version: NfsVersion) -> bool {
    version == NfsVersion::V42 && natural::compare(release, "6.14") != Ordering::Less
}

/// The table. `release`: of the guest's kernel.
pub(crate) fn expected(cell: &Cell, label: &str, client: Client, release: &str) -> Expected {
    let affected = client.is_affected(cell.version);
    let hidden = cell.delegations && !affected;
    let alone = cell.delegations && affected && delegation_alone(release, cell.version);
    let truth = Answer::new(May::Truth);
    let nothing = Answer::new(May::Nothing);
    Expected::Report(match &*cell.case {
        // Nothing may be written, so there is no way round the delegation.
        "file" if hidden => nothing.met_delegation(),
        // The server may also have refused this one, see with_delegation() of the guest.
        "file" if alone => Answer::new(May::TruthOrNothing),
        // The holder's own open was answered with a delegation, which serves every reopen.
        "observe" if hidden || alone => Answer {
            proof: Kind::Observed,
            ..nothing.met_delegation()
        },
        // If the report had no word of it, the server would have granted nothing and the cell
        // would prove nothing.
        "mount" | "reproduce" | "rename-with" if hidden => truth.met_delegation(),
        "observe" => Answer {
            proof: Kind::Observed,
            tells_who: affected,
            ..truth
        },
        "observe-idle" => nothing,
        "non-root" => nothing.says(&["privilege"]),
        "dead-server" => Answer {
            ms_at_most: DEAD_MS_AT_MOST,
            ..nothing.says(&["127.0.0.1", "answer"])
        },
        "symlink-trap" => Answer::new(May::TruthOrNothing),
        "nothing-left" if label != "next" => return Expected::Interrupted,
        "not-nfs" => return Expected::Refusal(&["/tmp", "NFSv4"]),
        "no-mounts" => nothing.says(&["mount"]),
        "no-module" => nothing.says(&["nfsv4"]),
        "lockdown" => nothing.says(&["lockdown"]),
        _ => truth,
    })
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;
    use lab_contract::verdicts::{CASES, cells};

    use super::*;

    const VERSIONS: [NfsVersion; 3] = [NfsVersion::V40, NfsVersion::V41, NfsVersion::V42];

    fn every_cell() -> Vec<Cell> {
        let names: Vec<String> = CASES.iter().map(|case| case.name.to_owned()).collect();
        cells(&names, &VERSIONS)
    }

    const RELEASE: &str = "6.1.0-56-amd64";

    fn answer(case: &str, version: NfsVersion, delegations: bool, client: Client) -> Answer {
        on(RELEASE, case, version, delegations, client)
    }

    fn on(
        release: &str,
        case: &str,
        version: NfsVersion,
        delegations: bool,
        client: Client,
    ) -> Answer {
        let cell = Cell {
            case: case.into(),
            version,
            delegations,
        };
        match expected(&cell, "", client, release) {
            Expected::Report(answer) => answer,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn truth_is_affected_where_the_first_patch_is_missing() {
        use Level::{Be189f7e, Full, None};
        use NfsVersion::{V40, V41};
        let found = |client, version| {
            let Truth { verdict, level } = truth(client, version);
            (verdict, level)
        };
        let bad = (Verdict::Affected, None);
        for client in [Client::WithoutBe189f7e, Client::WithoutSeries] {
            for version in VERSIONS {
                assert_eq!(found(client, version), bad);
            }
        }
        let good = (Verdict::NotAffected, Full);
        assert_eq!(found(Client::Stock, V40), good);
        assert_eq!(found(Client::AffectedOnV40, V40), bad);
        assert_eq!(found(Client::AffectedOnV40, V41), good);
        let half = (Verdict::NotAffected, Be189f7e);
        assert_eq!(found(Client::Be189f7eOnly, V40), half);
        assert_eq!(found(Client::Be189f7eOnly, V41), half);
    }

    #[test]
    fn a_delegation_hides_a_fixed_client_and_no_affected_one() {
        for version in VERSIONS {
            for case in ["file", "observe"] {
                let fixed = answer(case, version, true, Client::Stock);
                assert_eq!((fixed.may, fixed.met_delegation), (May::Nothing, true));
                let affected = answer(case, version, true, Client::WithoutSeries);
                assert_eq!(affected.may, May::Truth);
                let without = answer(case, version, false, Client::Stock);
                assert_eq!(without.may, May::Truth);
            }
            for case in ["mount", "reproduce", "rename-with"] {
                let fixed = answer(case, version, true, Client::Be189f7eOnly);
                assert_eq!((fixed.may, fixed.met_delegation), (May::Truth, true));
            }
        }
    }

    #[test]
    fn without_an_open_stateid_an_affected_client_does_not_show() {
        let observed = |release, version, delegations| {
            on(
                release,
                "observe",
                version,
                delegations,
                Client::WithoutSeries,
            )
        };
        let seven = "7.3-amd64";
        let alone = observed(seven, NfsVersion::V42, true);
        assert_eq!((alone.may, alone.met_delegation), (May::Nothing, true));
        assert!(!alone.tells_who);
        for (release, version, delegations) in [
            (seven, NfsVersion::V41, true),
            (seven, NfsVersion::V42, false),
            ("6.12.30-amd64", NfsVersion::V42, true),
        ] {
            let answer = observed(release, version, delegations);
            assert_eq!((answer.may, answer.tells_who), (May::Truth, true));
        }
    }

    #[test]
    fn only_the_experiments_in_a_sound_guest_have_to_find_the_truth() {
        for cell in every_cell() {
            for client in Client::value_variants() {
                let Expected::Report(answer) = expected(&cell, "", *client, RELEASE) else {
                    assert!(["nothing-left", "not-nfs"].contains(&&*cell.case));
                    continue;
                };
                let blind = [
                    "observe-idle",
                    "non-root",
                    "dead-server",
                    "no-mounts",
                    "no-module",
                    "lockdown",
                ];
                if blind.contains(&&*cell.case) {
                    assert_eq!(answer.may, May::Nothing, "{cell:?}");
                } else if cell.case == "symlink-trap" {
                    assert_eq!(answer.may, May::TruthOrNothing);
                } else if !answer.met_delegation {
                    assert_eq!(answer.may, May::Truth, "{cell:?}");
                }
            }
        }
    }

    #[test]
    fn after_the_signals_the_next_run_has_to_know() {
        let cell = Cell {
            case: "nothing-left".into(),
            version: NfsVersion::V40,
            delegations: false,
        };
        let found = |label| expected(&cell, label, Client::Stock, RELEASE);
        assert_eq!(found("SIGINT"), Expected::Interrupted);
        assert_eq!(found("next"), Expected::Report(Answer::new(May::Truth)));
    }
}
