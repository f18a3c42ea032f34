//! Cases in which something is missing: records, returns, the beginning, the end, the client's modules.

use super::feed::{Feed, check, show};
use crate::trace::{Gap, OpenPath, THREADS, pending::MAX_STEPS};

#[test]
fn a_lost_record_marks_its_path_and_no_other() {
    check(
        "reval rcu F 1 dir\n lose\n file F 0 tasks=1\n \
         reval rcu F 1 dir\n task\n file F 0 tasks=1",
        &["directory unknown 0 RecordLost", "directory cached 0"],
    );
    check(
        "t2 reval rcu F 1\n lose\n t2 task\n t2 file F 0 tasks=1",
        &["accepted cached 0"],
    );
}

#[test]
fn a_lost_beginning_marks_the_path() {
    check(
        "lose\n task\n file F 0 tasks=1",
        &["none cached 0 RecordLost"],
    );
}

#[test]
fn a_missed_return_ends_what_was_pending() {
    check(
        "reval rcu F 1 dir\n task sent=1\n missed\n reval rcu F 1 dir\n task\n file F 0 tasks=1",
        &[
            "directory unknown ? opens=1 RecordLost ReturnMissed EndNotSeen claim",
            "directory cached 0 ReturnMissed",
        ]
        .map(|line| line.strip_suffix(" claim").unwrap_or(line)),
    );
}

#[test]
fn a_return_missed_inside_a_call_marks_the_path_and_does_not_end_it() {
    check(
        "inside\n reval ref F 1 lookups=1\n task sent=1\n file F 0 tasks=1 upd=1",
        &["lookup wire 0 opens=1 claim=0 ReturnMissed"],
    );
    check(
        "reval rcu F -10\n inside\n reval ref F 1 lookups=1\n task sent=1\n \
         file F 0 tasks=1 upd=1",
        &["lookup wire 0 opens=1 claim=0 ReturnMissed"],
    );
}

#[test]
fn what_was_lost_may_be_the_end_of_what_is_pending() {
    let pending = |lost| {
        let mut feed = Feed::new();
        feed.line("reval rcu F 1 dir");
        let mut paths = Vec::new();
        feed.tracer.finish(lost, &mut |path| paths.push(show(path)));
        paths
    };
    assert_eq!(pending(false), ["directory failed ? EndNotSeen"]);
    assert_eq!(pending(true), ["directory unknown ? RecordLost EndNotSeen"]);
}

#[test]
fn an_open_that_cannot_be_joined_is_unknown() {
    check(
        "reval rcu F 1 dir\n unjoined\n task\n file F 0 tasks=1",
        &["directory unknown 0 Unjoined"],
    );
}

#[test]
fn what_may_have_begun_before_arming_is_marked() {
    let mut feed = Feed::new();
    feed.now = 0;
    for line in [
        "task",
        "file F 0 tasks=1",
        "reval rcu F 1",
        "task",
        "file F 0 tasks=1",
    ] {
        feed.line(line);
    }
    assert_eq!(
        feed.finish(),
        ["none cached 0 BeganBefore", "accepted cached 0"]
    );
}

/// Exercises the bound: many more threads than are kept, none lost without a word.
#[test]
fn memory_is_bounded_and_what_is_evicted_is_shown() {
    let mut feed = Feed::new();
    let threads = THREADS.get() as u32 + 100;
    for tid in 1..=threads {
        feed.line(&format!("t{tid} reval rcu F 1"));
    }
    assert_eq!(feed.paths.len(), 100);
    assert_eq!(feed.tracer.threads.len(), THREADS.get());
    assert_eq!(feed.finish().len(), threads as usize);
}

#[test]
fn unloaded_modules_end_what_is_pending_and_threads_go_on() {
    check(
        "reval rcu F 1 dir\n gone\n back\n reval rcu F 1 dir\n task\n file F 0 tasks=1",
        &["directory failed ? EndNotSeen", "directory cached 0"],
    );
    check(
        "reval rcu F 1 dir\n task\n file F 0 tasks=1\n gone lost\n back\n \
         reval rcu F 1 dir\n task\n file F 0 tasks=1",
        &["directory cached 0", "directory cached 0"],
    );
    // Its end may be among what is missing.
    check(
        "reval rcu F 1 dir\n gone lost",
        &["directory unknown ? RecordLost EndNotSeen"],
    );
    // Numbers tell of a record that was lost meanwhile.
    check(
        "reval rcu F 1\n task\n file F 0 tasks=1\n gone\n back\n lose\n \
         reval rcu F 1 dir\n task\n file F 0 tasks=1",
        &["accepted cached 0", "directory cached 0 RecordLost"],
    );
}

#[test]
fn an_open_that_may_have_begun_before_the_modules_were_probed_again_is_marked() {
    let events = "gone\n back\n task\n file F 0 tasks=1";
    check(events, &["none cached 0 BeganBefore"]);
}

#[test]
fn no_dentry_outlives_the_modules() {
    let mut feed = Feed::new();
    for line in [
        "name F file",
        "file F 0 tasks=0",
        "gone",
        "back",
        "file F 0 tasks=0",
        "name F file",
        "file F 0 tasks=0",
    ] {
        feed.line(line);
    }
    let ids: Vec<_> = feed.paths.iter().map(|path| path.dentry_id).collect();
    let named: Vec<_> = feed.paths.iter().map(|path| path.path.is_some()).collect();
    assert_eq!(named, [true, false, true]);
    assert!(ids[0] < ids[1], "{ids:?}");
}

/// The thread's next record may follow one that is missing, and so may any name.
#[test]
fn where_records_are_missing_nothing_from_before_is_believed() {
    let mut feed = Feed::new();
    for line in ["name F file", "reval rcu F 1 dir"] {
        feed.line(line);
    }
    feed.tracer.tear();
    for line in [
        "task",
        "file F 0 tasks=1",
        "reval rcu F 1 dir",
        "task",
        "file F 0 tasks=1",
        "t2 reval rcu F 1 dir",
        "t2 task",
        "t2 file F 0 tasks=1",
    ] {
        feed.line(line);
    }
    let whole: Vec<bool> = feed.paths.iter().map(OpenPath::complete).collect();
    assert_eq!(whole[..2], [false, true]);
    assert!(feed.paths.iter().all(|path| path.path.is_none()));
}

#[test]
fn a_later_part_marks_the_first_path_of_each_thread() {
    let mut feed = Feed::new();
    feed.tracer.begin_in_the_middle();
    feed.line("lose");
    for _ in 0..2 {
        for line in ["reval rcu F 1 dir", "task", "file F 0 tasks=1"] {
            feed.line(line);
        }
    }
    let gaps: Vec<_> = feed.paths.iter().map(|path| path.gaps.clone()).collect();
    assert_eq!(gaps, [vec![Gap::BeganBefore], vec![]]);
}

#[test]
fn steps_beyond_all_are_left_out_and_the_path_is_marked() {
    let mut feed = Feed::new();
    for _ in 0..300 {
        feed.line("lookup 0");
    }
    feed.line("reval rcu F 1 dir");
    feed.line("task");
    feed.line("file F 0 tasks=1");
    let path = &feed.paths[0];
    assert!(!path.complete());
    assert!(path.steps.len() <= 2 * MAX_STEPS);
}
