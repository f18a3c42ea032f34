//! How records are packed takes no more room than LZ4 took, and what it takes is what was given.

use std::{fs, path::Path};

use nfs_trace::{
    recording::{Item, Reader, Writer},
    summary::KernelCounts,
};

use super::{
    Shared,
    generate::{self, Shape},
};

/// About what a live trace takes at once under load.
const AT_ONCE: usize = 1_500;

/// Blocks of records, as they were flushed.
type Blocks = Vec<Vec<Vec<u8>>>;

/// What LZ4 makes of them, or how they were stored where that was not worth it.
fn by_lz4(blocks: &Blocks) -> usize {
    let one = |block: &Vec<Vec<u8>>| {
        let records = block.iter();
        let plain: Vec<u8> = records
            .flat_map(|record| {
                let len = u16::try_from(record.len()).expect("a length").to_le_bytes();
                [&len, &record[..]].concat()
            })
            .collect();
        match plain.len() {
            ..256 => plain.len(),
            len => lz4_flex::block::compress(&plain).len().min(len),
        }
    };
    blocks.iter().map(one).sum()
}

/// What they take in a recording, frames aside. All of them come back.
fn by_us(blocks: &Blocks) -> usize {
    const FRAME: usize = 32;
    let out = Shared::default();
    let mut writer = Writer::new(out.clone(), &generate::header(1)).expect("a header");
    let mut stored = 0;
    for block in blocks {
        let before = writer.bytes();
        for record in block {
            writer.record(record).expect("written");
        }
        writer.flush().expect("written");
        stored += usize::try_from(writer.bytes() - before).expect("a size") - FRAME;
    }
    writer
        .finish(KernelCounts::default(), false)
        .expect("an end");
    assert!(read(&out.bytes()) == *blocks, "others come back");
    stored
}

/// The records of a recording, block by block.
fn read(bytes: &[u8]) -> Blocks {
    let mut reader = Reader::new(bytes);
    let mut blocks = Vec::new();
    while let Some(item) = reader.read().expect("a recording") {
        match item {
            Item::Records(records) => blocks.push(records.map(<[u8]>::to_vec).collect()),
            Item::Damage(damage) => panic!("{damage:?}"),
            _ => {}
        }
    }
    blocks
}

#[test]
fn records_of_eight_cpus_take_less_than_with_lz4() {
    let shape = Shape {
        files: 100_000,
        threads: 1_000,
        cpus: 8,
    };
    let mut records = Vec::new();
    generate::records_of(shape, 1, 60_000, |record| {
        records.push(record.to_vec());
        Ok(())
    })
    .expect("records");
    let blocks: Blocks = records.chunks(AT_ONCE).map(<[_]>::to_vec).collect();
    let (ours, lz4) = (by_us(&blocks), by_lz4(&blocks));
    eprintln!("60000 records: {ours} bytes, with LZ4 {lz4}");
    assert!(ours < lz4 / 10 * 9, "{ours} bytes, with LZ4 {lz4}");
}

/// Few records, in blocks of a few. They were written by format 1.0.
#[test]
fn records_of_real_kernels_take_less_than_with_lz4() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let (mut ours, mut lz4, mut files) = (0, 0, 0);
    for entry in fs::read_dir(data).expect("the recordings") {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|end| end != "nfst") {
            continue;
        }
        let bytes = fs::read(&path).expect("a recording");
        assert_eq!(bytes[8..10], 1_u16.to_le_bytes(), "{}", path.display());
        let blocks = read(&bytes);
        ours += by_us(&blocks);
        lz4 += by_lz4(&blocks);
        files += 1;
    }
    eprintln!("{files} recordings: {ours} bytes, with LZ4 {lz4}");
    assert!(files >= 9, "{files} recordings");
    assert!(ours < lz4 / 10 * 8, "{ours} bytes, with LZ4 {lz4}");
}
