//! Whether [`Looks`] tells apart what is shown otherwise.

use std::collections::HashMap;

use fastrand::Rng;

use super::*;
use crate::event::{Open, Pointer};

fn any_step(rng: &mut Rng) -> Step {
    let ret = rng.choice([0, 1, -2, -10, -116, i32::MIN]).unwrap_or(0);
    let open = Open {
        dentry: Pointer(rng.u64(..)),
        fileid: Some(rng.u64(..)),
        ret,
        flags: Some(rng.u32(..)),
        stack: None,
        tasks: rng.u8(..),
        stateid_updates: rng.u8(..),
        opened: rng.choice([None, Some(false), Some(true)]).flatten(),
        tried_cached: rng.bool(),
        cached_event: rng.bool(),
    };
    let kinds = [
        DentryKind::Unknown,
        DentryKind::Positive,
        DentryKind::Negative,
        DentryKind::Unhashed,
    ];
    let walks = [Walk::Rcu, Walk::Ref, Walk::Reval];
    let kind = match rng.u8(..5) {
        0 => StepKind::Revalidate(Revalidate {
            dentry: Pointer(rng.u64(..)),
            walk: rng.choice(walks).unwrap_or(Walk::Rcu),
            creates: rng.bool(),
            ret,
            verifier_checked: rng.bool(),
            verifier_set: rng.bool(),
            inode_checked: rng.bool(),
            lookups: rng.u8(..3),
            kind: rng.choice(kinds).unwrap_or(DentryKind::Unknown),
        }),
        1 => StepKind::Lookup(ret),
        2 => StepKind::OpenTask(OpenTask {
            sent: rng.choice([0, 1, 2, u16::MAX]).unwrap_or(0),
            delegated: rng.choice([None, Some(false), Some(true)]).flatten(),
            claim: rng
                .choice([None, Some(0), Some(4), Some(u8::MAX)])
                .flatten(),
            replied_ns: Some(rng.u64(..)),
            ret,
        }),
        3 => StepKind::FileOpen(open),
        _ => StepKind::AtomicOpen(open),
    };
    Step {
        start_ns: 1,
        end_ns: 2,
        kind,
    }
}

#[test]
fn steps_of_the_same_looks_are_shown_alike() {
    let mut rng = Rng::with_seed(1);
    let mut seen = HashMap::new();
    for _ in 0..100_000 {
        let step = any_step(&mut rng);
        let counts_opens = rng.bool();
        let shown = StepRow::new(&step, 1, counts_opens);
        let first = seen
            .entry(Looks::of(&step, counts_opens))
            .or_insert_with(|| shown.clone());
        assert_eq!(*first, shown, "{step:?}");
    }
    assert!(seen.len() > 100, "they are not all the same");
}
