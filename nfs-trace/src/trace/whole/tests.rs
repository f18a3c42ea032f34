//! Two tracers over the same entries, one by the short way where it can, must say the same.

use fastrand::Rng;
use nfs_trace_ebpf::abi::{
    self, Comm, DENTRY_NEGATIVE, DENTRY_POSITIVE, FLAG_MISSED_RETURN, Name, Open, OpenTask,
    RecordHeader, RecordKind, Revalidate,
};
use zerocopy::IntoBytes as _;

use crate::{
    decode::{decode, decode_whole},
    kernel::lookup_flags::LookupFlags,
    testing::SIGNALS,
    trace::{OpenPath, Tracer},
};

const LOOKUP: LookupFlags = LookupFlags::BEFORE_6_15;
const THREADS: u32 = 5;
const FILES: u64 = 6;

/// Makes entries in which most is as it should be.
struct Machine {
    rng: Rng,
    now_ns: u64,
    seqs: [u16; THREADS as usize],
}

impl Machine {
    /// One of so many times.
    fn rarely(&mut self, times: u32) -> bool {
        self.rng.u32(..times) == 0
    }

    fn record(&mut self, thread: u32, kind: RecordKind, start_ns: u64, payload: &[u8]) -> Vec<u8> {
        let seq = &mut self.seqs[thread as usize];
        let number = *seq;
        *seq = seq.wrapping_add(1);
        if self.rarely(200) {
            // One of the thread's records is lost.
            self.seqs[thread as usize] = number.wrapping_add(2);
        }
        self.now_ns += self.rng.u64(1..1_000);
        let header = RecordHeader {
            start_ns,
            end_ns: self.now_ns,
            tid: 100 + thread,
            tgid: if self.rarely(200) { 9 } else { 100 },
            kind: kind as u8,
            flags: if self.rarely(200) {
                FLAG_MISSED_RETURN
            } else {
                0
            },
            seq: number,
            dev: if self.rarely(200) { 0 } else { 45 },
        };
        [header.as_bytes(), payload].concat()
    }

    fn file(&mut self) -> u64 {
        0x1000 + self.rng.u64(..FILES)
    }

    fn revalidate(&mut self, thread: u32, dentry: u64, start_ns: u64) -> Vec<u8> {
        let payload = Revalidate {
            dentry: if self.rarely(100) { 0 } else { dentry },
            lookup_flags: *self.rng.choice(&[0, LOOKUP.rcu, LOOKUP.reval]).unwrap(),
            ret: if self.rarely(50) {
                *self.rng.choice(&[0, -10, -13]).unwrap()
            } else {
                1
            },
            verifier_checks: self.rng.u8(..2),
            verifier_sets: self.rng.u8(..2),
            lookups: 0,
            dentry_kind: if self.rarely(50) {
                DENTRY_NEGATIVE
            } else {
                DENTRY_POSITIVE
            },
            inode_checks: 0,
            reserved: 0,
            reserved2: 0,
        };
        self.record(thread, RecordKind::Revalidate, start_ns, payload.as_bytes())
    }

    fn task(&mut self, thread: u32, start_ns: u64) -> Vec<u8> {
        let sent = self.rng.u16(..3);
        let payload = OpenTask {
            opendata: 1,
            replied_ns: u64::from(sent) * self.now_ns,
            ret: if self.rarely(20) { -13 } else { 0 },
            sent,
            claim: self.rng.u8(..5),
            delegated: 0,
        };
        self.record(thread, RecordKind::OpenTask, start_ns, payload.as_bytes())
    }

    fn open(&mut self, thread: u32, dentry: u64, start_ns: u64) -> Vec<u8> {
        let payload = Open {
            dentry: if self.rarely(100) { 0 } else { dentry },
            fileid: self.rng.u64(..3),
            ret: if self.rarely(20) {
                *self.rng.choice(&[-13, -116, -518]).unwrap()
            } else {
                0
            },
            open_flags: 0,
            stack_id: self.rng.i32(-1..2),
            tasks: if self.rarely(50) { 2 } else { 1 },
            stateid_updates: self.rng.u8(..2),
            opened: 1,
            signs: 0,
        };
        self.record(thread, RecordKind::FileOpen, start_ns, payload.as_bytes())
    }

    /// A whole open, or the parts of one, or a name.
    fn entry(&mut self) -> Vec<u8> {
        let thread = self.rng.u32(..THREADS);
        let dentry = self.file();
        let checked = self.now_ns;
        match self.rng.u8(..20) {
            0 => self.revalidate(thread, dentry, checked),
            1 => self.task(thread, checked),
            2 => self.open(thread, dentry, checked),
            3 => {
                let text = [b'a' + self.rng.u8(..3)];
                let name = Name {
                    dentry,
                    parent: self.file(),
                    len: 1,
                    reserved: 0,
                    reserved2: 0,
                };
                let payload = [name.as_bytes(), &text].concat();
                self.record(thread, RecordKind::Name, checked, &payload)
            }
            4 => {
                let comm = Comm { comm: [b'c'; 16] };
                self.record(thread, RecordKind::Comm, checked, comm.as_bytes())
            }
            _ => {
                let mut entry = self.revalidate(thread, dentry, checked);
                let opened = self.now_ns + self.rng.u64(..3);
                let ran = opened + self.rng.u64(..3);
                let other = if self.rarely(50) { self.file() } else { dentry };
                entry.extend(self.task(thread, ran));
                entry.extend(self.open(thread, other, opened));
                entry
            }
        }
    }
}

fn push(tracer: &mut Tracer, entry: &[u8], paths: &mut Vec<OpenPath>) {
    for record in abi::records(entry) {
        let event = decode(record, LOOKUP).expect("a record");
        tracer.push(event, &mut |path| paths.push(path.clone()));
    }
}

#[test]
fn the_short_way_says_what_the_long_one_says() {
    for seed in 0..20 {
        let mut machine = Machine {
            rng: Rng::with_seed(seed),
            now_ns: 1_000_000_000,
            seqs: [0; THREADS as usize],
        };
        let mut tracers = [(); 2].map(|()| Tracer::new(SIGNALS, 0));
        let mut paths = [(); 2].map(|()| Vec::new());
        let (mut taken, mut refused) = (0, 0);
        for _ in 0..5_000 {
            let entry = machine.entry();
            push(&mut tracers[0], &entry, &mut paths[0]);
            let (tracer, paths) = (&mut tracers[1], &mut paths[1]);
            let whole = decode_whole(&entry, LOOKUP);
            let took = whole.is_some_and(|whole| {
                tracer.push_whole(&whole, &mut |path| paths.push(path.clone()))
            });
            if took {
                taken += 1;
            } else {
                refused += u32::from(abi::records(&entry).count() == 3);
                push(tracer, &entry, paths);
            }
        }
        for (tracer, paths) in tracers.iter_mut().zip(&mut paths) {
            tracer.finish(true, &mut |path| paths.push(path.clone()));
        }
        let [long, short] = &paths;
        for (long, short) in long.iter().zip(short) {
            assert_eq!(short, long, "seed {seed}");
        }
        assert_eq!(short.len(), long.len(), "seed {seed}");
        assert_eq!(tracers[1].outside_paths(), tracers[0].outside_paths());
        assert!(taken > 1_000, "the short way was taken {taken} times only");
        assert!(refused > 300, "the long way was taken {refused} times only");
    }
}
