//! The cases of path reconstruction: what belongs to one path, and what it is called.

mod feed;
mod missing;

use feed::{Feed, check};

#[test]
fn a_cached_open_has_neither_reply_nor_delegation() {
    check(
        "reval rcu F 1\n task\n file F 0 tasks=1",
        &["accepted cached 0"],
    );
    check(
        "reval rcu F 1 dir\n task\n file F 0 tasks=1",
        &["directory cached 0"],
    );
}

#[test]
fn a_wire_open_has_a_reply() {
    check(
        "reval rcu F 1 dir\n task sent=1 claim=4\n file F 0 tasks=1 upd=1",
        &["directory wire 0 opens=1 claim=4"],
    );
}

#[test]
fn a_delegated_open_takes_the_delegations_stateid() {
    check(
        "reval rcu F 1 set\n task\n file F 0 tasks=1 upd=1",
        &["delegated delegated 0"],
    );
}

#[test]
fn an_rcu_try_and_the_ref_walk_after_it_are_one_path() {
    check(
        "reval rcu F -10\n lookup 0\n reval ref F 1 lookups=1 dir set\n task sent=1\n \
         file F 0 tasks=1 upd=1",
        &["lookup wire 0 opens=1 lookups=1 claim=0"],
    );
}

#[test]
fn a_stale_open_and_its_retry_are_one_path() {
    // v4.0: the OPEN by name gets another file; the dentry is dropped, the retry atomic.
    check(
        "name F file\n reval rcu F 1 dir\n task sent=1\n file F -518 tasks=1\n \
         name G file\n task sent=1\n atomic G 0 tasks=1 upd=1",
        &["none atomic 0 opens=2 stale=1 claim=0"],
    );
    // v4.1: ESTALE for the filehandle, then LOOKUP_REVAL finds the name gone.
    check(
        "name F file\n reval rcu F 1 dir\n task sent=1 claim=4 ret=-116\n file F -518 tasks=1\n \
         name F file\n lookup -2\n reval reval F 0 lookups=1\n \
         name G file\n task sent=1 ret=-2\n atomic G -2 tasks=1",
        &["replaced atomic -2 opens=2 lookups=1 stale=1 claim=0"],
    );
}

#[test]
fn a_retry_that_goes_stale_again_ends_the_path_with_estale() {
    check(
        "reval ref F 1 dir\n task sent=1\n file F -518 tasks=1\n \
         reval reval F 1 lookups=1\n task sent=1\n file F -518 tasks=1",
        &["lookup wire -116 opens=2 stale=2 claim=0"],
    );
}

/// The caller tells the fixes apart by it: a check of an attempt that decided nothing must
/// not count.
#[test]
fn the_inode_check_is_that_of_the_attempt_that_decided() {
    check(
        "reval rcu F -10 inode\n reval ref F 1 dir inode\n task\n file F 0 tasks=1",
        &["directory cached 0 inode"],
    );
    check(
        "reval rcu F -10 inode\n reval ref F 1 dir\n task\n file F 0 tasks=1",
        &["directory cached 0"],
    );
    check(
        "name F file\n reval rcu F 1 dir inode\n task sent=1\n file F -518 tasks=1\n \
         name G file\n task sent=1\n atomic G 0 tasks=1 upd=1",
        &["none atomic 0 opens=2 stale=1 claim=0"],
    );
}

#[test]
fn a_dropped_name_goes_on_as_an_atomic_open_of_another_dentry() {
    check(
        "name F file\n lookup 0\n reval ref F 0 lookups=1\n \
         name G file\n task sent=1\n atomic G 0 tasks=1 upd=1",
        &["replaced atomic 0 opens=1 lookups=1 claim=0"],
    );
}

#[test]
fn a_first_open_is_atomic_with_no_name_to_check() {
    check(
        "task sent=1\n atomic F 0 tasks=1 upd=1",
        &["none atomic 0 opens=1 claim=0"],
    );
}

/// O_CREAT over a cached "no such name": revalidation has nothing to ask, then the name
/// is created (seen on 6.1: `> new` after a failed open of `new`).
#[test]
fn a_negative_dentry_is_no_end_for_an_open_that_creates() {
    check(
        "reval ref F 1 neg create\n task sent=1\n atomic F 0 tasks=1 upd=1",
        &["none atomic 0 opens=1 claim=0"],
    );
}

#[test]
fn a_negative_dentry_is_enoent_at_once_or_created_over() {
    check("reval rcu F 1 neg dir", &["none failed -2"]);
    check(
        "reval ref F 0 neg\n task sent=1\n atomic F 0 tasks=1 upd=1",
        &["none atomic 0 opens=1 claim=0"],
    );
}

/// RCU walk holds no reference: another task may free the dentry under it.
#[test]
fn a_dentry_without_file_that_is_dropped_is_no_end_in_rcu_walk() {
    check(
        "name F file\n name G file\n reval rcu F 1 unhashed\n reval ref G 1 dir\n task sent=1\n \
         file G 0 tasks=1 upd=1",
        &["directory wire 0 opens=1 claim=0"],
    );
    check(
        "reval rcu F 1 unhashed\n task sent=1\n atomic F 0 tasks=1 upd=1",
        &["none atomic 0 opens=1 claim=0"],
    );
    // Ref-walk holds one, so what it found is what counts.
    check(
        "reval rcu F -10\n reval ref F 1 unhashed",
        &["none failed -2"],
    );
}

/// Another task has dropped the dentry and is looking the name up: lookup_fast() finds none,
/// lookup_open() that task's, still negative, and goes on to nfs_atomic_open (seen in the
/// lab's storm: one open of 20000 showed as two).
#[test]
fn a_negative_dentry_that_lookup_open_finds_is_no_end() {
    let goes_on = "name F file\n name G file\n reval rcu F -10\n lookup 0\n reval ref F 0 lookups=1\n \
                   reval ref G 1 neg\n task sent=1\n atomic G 0 tasks=1 upd=1";
    check(goes_on, &["none atomic 0 opens=1 lookups=1 claim=0"]);
    check(
        "reval ref F 1 neg\n task sent=1\n atomic F 0 tasks=1 upd=1",
        &["none atomic 0 opens=1 claim=0"],
    );
    // Asked again in ref-walk it is lookup_fast()'s.
    check("reval rcu F -10\n reval ref F 1 neg", &["none failed -2"]);
    // If nothing follows, there was no such name.
    check(
        "name F one\n name G two\n reval ref F 1 neg\n reval rcu G 1 dir\n task sent=0\n \
         file G 0 tasks=1",
        &["none failed -2", "directory cached 0"],
    );
}

#[test]
fn a_failed_revalidation_fails_the_open() {
    check(
        "lookup -5\n reval ref F -5 lookups=1",
        &["none failed -5 lookups=1"],
    );
}

#[test]
fn an_open_that_the_vfs_ends_has_no_result() {
    check(
        "reval rcu F 1 dir\n reval rcu G 1 dir\n task sent=1\n file G 0 tasks=1 upd=1",
        &[
            "directory failed ? EndNotSeen",
            "directory wire 0 opens=1 claim=0",
        ],
    );
}

#[test]
fn the_end_of_another_name_does_not_end_a_path() {
    check(
        "name F one\n name G two\n reval rcu F 1 dir\n task sent=1\n atomic G 0 tasks=1 upd=1",
        &[
            "directory failed ? EndNotSeen",
            "none atomic 0 opens=1 claim=0",
        ],
    );
}

#[test]
fn a_dentry_dropped_between_the_walks_is_one_path() {
    check(
        "name F one\n name G one\n reval rcu F 1 dir\n task sent=1\n atomic G 0 tasks=1 upd=1",
        &["directory atomic 0 opens=1 claim=0"],
    );
}

#[test]
fn a_directory_that_is_looked_up_is_no_open() {
    check(
        "lookup 0\n atomic F 0 noopen dir",
        &["outside opens=0 lookups=1"],
    );
    check(
        "lookup 0\n atomic F 0 noopen",
        &["outside opens=0 lookups=1"],
    );
}

/// Without a layout the programs cannot tell a directory from a file.
#[test]
fn what_may_be_a_directory_is_no_open_without_a_layout() {
    check("reval rcu D 1 unread dir", &[]);
    check(
        "reval rcu D 1 unread dir\n reval rcu F 1 unread dir\n task sent=1\n file F 0 tasks=1 upd=1",
        &["directory wire 0 opens=1 claim=0"],
    );
}

#[test]
fn a_name_looked_up_and_then_opened_is_one_path() {
    check(
        "lookup 0\n atomic F 0 noopen\n task sent=1\n file F 0 tasks=1 upd=1",
        &["none wire 0 opens=1 lookups=1 claim=0"],
    );
}

#[test]
fn an_open_that_turns_out_to_be_a_directory_ends_as_the_server_said() {
    check(
        "task sent=1 ret=-21\n lookup 0\n atomic F 0 tasks=1 noopen",
        &["none atomic -21 opens=1 lookups=1 claim=0"],
    );
}

#[test]
fn several_tasks_in_one_open_are_judged_together() {
    check(
        "reval rcu F 1 dir\n task sent=1 ret=-10008\n task sent=1\n file F 0 tasks=2 upd=1",
        &["directory wire 0 opens=2 claim=0"],
    );
}

#[test]
fn two_threads_on_one_dentry_do_not_mix() {
    check(
        "reval rcu F 1 dir\n t2 reval rcu F 1 dir\n task\n t2 task sent=1\n \
         t2 file F 0 tasks=1 upd=1\n file F 0 tasks=1",
        &["directory wire 0 opens=1 claim=0", "directory cached 0"],
    );
}

#[test]
fn steps_are_in_the_order_in_which_they_began() {
    let mut feed = Feed::new();
    for line in [
        "reval rcu F -10",
        "lookup 0",
        "reval ref F 1 lookups=1",
        "task",
        "file F 0 tasks=1",
    ] {
        feed.line(line);
    }
    let starts: Vec<u64> = feed.paths[0]
        .steps
        .iter()
        .map(|step| step.start_ns)
        .collect();
    assert_eq!(starts.len(), 5);
    assert!(starts.is_sorted(), "{starts:?}");
}
