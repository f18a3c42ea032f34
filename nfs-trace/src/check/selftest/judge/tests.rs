//! The rules of the self-test, each with opens made up for it.

use super::*;
use crate::{
    check::{samples::open_path, selftest::job::Mode},
    trace::{Gap, NameCheck},
};

/// The child's opens one after the other, each with the path that was seen of it.
#[derive(Default)]
struct Script {
    said: Vec<Said>,
    paths: Vec<OpenPath>,
    now: u64,
}

impl Script {
    fn new() -> Self {
        let file = Said::File {
            path: "/mnt/f".into(),
            own: true,
            remark: None,
        };
        Self {
            said: vec![file],
            ..Self::default()
        }
    }

    fn unseen(mut self, purpose: Purpose) -> Self {
        self.now += 1_000_000_000;
        self.said.push(Said::Opened(Opened {
            purpose,
            mode: Mode::Read,
            start_ns: self.now,
            end_ns: self.now + 1000,
            read: None,
        }));
        self
    }

    fn open(mut self, purpose: Purpose, word: PathWord) -> Self {
        self = self.unseen(purpose);
        self.paths.push(path(self.now + 10, word));
        self
    }

    fn reads(mut self, what: &str) -> Self {
        if let Some(Said::Opened(opened)) = self.said.last_mut() {
            opened.read = Some(what.into());
        }
        self
    }

    fn change(mut self, change: impl FnOnce(&mut OpenPath)) -> Self {
        change(self.paths.last_mut().unwrap());
        self
    }

    fn judge(&self) -> Outcome {
        judge(&self.said, &self.paths, |path| {
            (path.name_check == NameCheck::Accepted).then_some(FixLevel::Be189f7e)
        })
    }

    fn finding(&self) -> Finding {
        let outcome = self.judge();
        assert_eq!(outcome.evidence.len(), 1, "{outcome:?}");
        outcome.evidence[0].finding
    }
}

fn path(start_ns: u64, word: PathWord) -> OpenPath {
    OpenPath {
        start_ns,
        end_ns: start_ns + 100,
        ..open_path(NameCheck::Directory, word)
    }
}

use PathWord::{Atomic, Cached, Delegated, Failed, Wire};
use Purpose::{Hold, Reopen, ReopenRenamed, ReopenUndelegated};

#[test]
fn a_reopen_on_the_wire_proves_not_affected() {
    let script = Script::new().open(Hold, Atomic).open(Reopen, Wire);
    assert_eq!(script.finding(), Finding::NotAffected);
    let script = script
        .change(|path| path.name_check = NameCheck::Accepted)
        .judge();
    assert_eq!(script.evidence[0].fix_level, Some(FixLevel::Be189f7e));
    assert_eq!(script.evidence[0].seen, "1 x wire, name accepted");
}

#[test]
fn one_cached_open_proves_affected_whatever_else_is_seen() {
    for script in [
        Script::new().open(Hold, Wire).open(Reopen, Cached),
        // Somebody else of the same user holds it.
        Script::new().open(Hold, Cached).open(Reopen, Wire),
        Script::new()
            .open(Hold, Wire)
            .open(Reopen, Delegated)
            .open(ReopenUndelegated, Cached),
    ] {
        assert_eq!(script.finding(), Finding::Affected);
    }
}

#[test]
fn a_delegation_proves_nothing_until_it_is_gone() {
    let script = Script::new().open(Hold, Wire).open(Reopen, Delegated);
    assert_eq!(script.finding(), Finding::Nothing);
    assert!(script.judge().evidence[0].means.contains("delegation"));
    let script = script.open(ReopenUndelegated, Wire);
    assert_eq!(script.finding(), Finding::NotAffected);
}

#[test]
fn a_hold_that_left_no_open_state_makes_no_reopen() {
    for word in [Delegated, Failed] {
        let script = Script::new().open(Hold, word).open(Reopen, Wire);
        assert_eq!(script.finding(), Finding::Nothing, "{word:?}");
    }
    // The next mode's hold is a new chance.
    let script = Script::new()
        .open(Hold, Delegated)
        .open(Reopen, Wire)
        .open(Hold, Wire)
        .open(Reopen, Wire);
    assert_eq!(script.finding(), Finding::NotAffected);
}

#[test]
fn what_was_not_seen_completely_is_counted_and_proves_nothing() {
    let script = Script::new().unseen(Hold).open(Reopen, Wire);
    assert_eq!(script.finding(), Finding::Nothing);
    assert_eq!(script.judge().missed, 1);
    let incomplete = Script::new()
        .open(Hold, Wire)
        .open(Reopen, Wire)
        .open(Reopen, Cached)
        .change(|path| path.gaps.push(Gap::RecordLost));
    assert_eq!(incomplete.finding(), Finding::NotAffected);
    assert_eq!(incomplete.judge().missed, 1);
    assert_eq!(Script::new().unseen(Hold).judge().evidence, []);
}

#[test]
fn an_open_that_looked_the_name_up_anew_is_no_reopen() {
    let script = Script::new().open(Hold, Wire).open(Reopen, Atomic);
    assert_eq!(script.finding(), Finding::Nothing);
    let stale = script.change(|path| path.stale_retries = 1);
    assert_eq!(stale.finding(), Finding::NotAffected);
}

#[test]
fn the_new_file_is_not_held_so_its_opens_prove_nothing() {
    let renamed = |script: Script| script.judge().evidence.remove(0).finding;
    let new = || {
        Script::new()
            .open(Hold, Wire)
            .open(ReopenRenamed, Wire)
            .reads("new")
    };
    assert_eq!(renamed(new()), Finding::Nothing);
    let stale = new().change(|path| path.stale_retries = 1);
    assert_eq!(renamed(stale), Finding::NotAffected);
    assert_eq!(
        renamed(new().open(ReopenRenamed, Cached)),
        Finding::Affected
    );
}

#[test]
fn the_story_after_the_rename_is_told() {
    let told = |reads: &[&str]| {
        let mut script = Script::new().open(Hold, Wire);
        for read in reads {
            script = script.open(ReopenRenamed, Wire).reads(read);
        }
        script.judge().evidence.remove(0).seen
    };
    let at_once = told(&["new", "new"]);
    assert!(
        at_once.ends_with("; read the new file at once"),
        "{at_once}"
    );
    let late = told(&["old", "old", "ESTALE", "new"]);
    assert!(
        late.ends_with("; read the old file for 2.0 s, then ESTALE for 1.0 s, then the new file"),
        "{late}"
    );
    let never = told(&["old", "old", "old"]);
    assert!(
        never.ends_with("; read the old file for as long as was watched (2.0 s)"),
        "{never}"
    );
}

#[test]
fn what_the_child_says_of_itself_is_passed_on() {
    let mut script = Script::new();
    script.said.extend([
        Said::Failed("EIO".into()),
        Said::LeftBehind("/mnt/left".into()),
    ]);
    let outcome = script.judge();
    assert_eq!(outcome.failed.as_deref(), Some("EIO"));
    assert_eq!(outcome.left_behind, Some("/mnt/left".into()));
    assert_eq!(outcome.evidence, []);
}
