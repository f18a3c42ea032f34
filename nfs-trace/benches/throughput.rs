//! How many records and opens a second user space takes, on one core:
//! `cargo bench -p nfs-trace --bench throughput`.

#[path = "../examples/stages.rs"]
#[allow(dead_code, reason = "its main is another program's")]
mod stages;

use divan::{Bencher, counter::ItemsCount};
use stages::{Records, Stage};

/// Records in memory.
const EVENTS: u64 = 3_000_000;

fn main() {
    divan::main();
}

/// By the record: bytes to events.
#[divan::bench(sample_count = 10, sample_size = 1)]
fn decode(bencher: Bencher<'_, '_>) {
    by_record(bencher, Stage::Decode);
}

/// By the record: bytes to open paths that are judged and counted.
#[divan::bench(sample_count = 10, sample_size = 1)]
fn judge(bencher: Bencher<'_, '_>) {
    by_record(bencher, Stage::Judge);
}

/// By the record: into a recording.
#[divan::bench(sample_count = 10, sample_size = 1)]
fn record(bencher: Bencher<'_, '_>) {
    by_record(bencher, Stage::Record);
}

/// By the open: from bytes to lines of JSON.
#[divan::bench(sample_count = 10, sample_size = 1)]
fn json(bencher: Bencher<'_, '_>) {
    let records = Records::new(EVENTS).expect("records");
    bencher
        .counter(ItemsCount::new(records.opens))
        .bench_local(|| records.run(Stage::Json));
}

fn by_record(bencher: Bencher<'_, '_>, stage: Stage) {
    let records = Records::new(EVENTS).expect("records");
    bencher
        .counter(ItemsCount::new(EVENTS))
        .bench_local(|| records.run(stage));
}
