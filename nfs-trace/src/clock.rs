//! The clock of the records, and how far the wall clock is from it.

use rustix::time::{ClockId, clock_gettime};

/// CLOCK_MONOTONIC in ns, as in the records.
#[must_use]
pub fn monotonic_ns() -> u64 {
    u64::try_from(nanoseconds(ClockId::Monotonic)).unwrap_or(0)
}

/// CLOCK_REALTIME minus CLOCK_MONOTONIC, ns.
#[must_use]
pub fn realtime_offset_ns() -> i64 {
    let monotonic = nanoseconds(ClockId::Monotonic);
    nanoseconds(ClockId::Realtime) - monotonic
}

fn nanoseconds(clock: ClockId) -> i64 {
    let now = clock_gettime(clock);
    now.tv_sec
        .saturating_mul(1_000_000_000)
        .saturating_add(now.tv_nsec)
}
