//! Makes a recording from a seed, of any number of records: `cargo xtask generate` runs it, and
//! the tests of large recordings use it.

use std::{
    env,
    fs::File,
    io::{self, BufWriter, Write},
};

use fastrand::Rng;
use nfs_trace::{
    kernel::lookup_flags::LookupFlags,
    mounts::Mount,
    recording::{Filters, Header, Writer},
    session::{ATTACHED, Session, StartupMs},
    summary::KernelCounts,
};
use nfs_trace_ebpf::abi::{
    self, ABI_VERSION, Comm, DENTRY_POSITIVE, FLAG_FIRST, Name, Open, OpenTask, RecordHeader,
    RecordKind, Revalidate,
};
use zerocopy::{Immutable, IntoBytes};

const DEV: u32 = 45;
const FOLDERS: u64 = 1_000;
/// Kernel addresses of the root, of folders and of files.
const ROOT: u64 = 0xffff_8880_0000_0000;
const FOLDER: u64 = ROOT + (1 << 30);
const FILE: u64 = FOLDER + (1 << 30);

/// What the made-up machine is busy with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    /// Files that are opened.
    pub(crate) files: u64,
    /// Threads that open them.
    pub(crate) threads: u32,
    /// CPUs whose opens run at the same time.
    pub(crate) cpus: u32,
}

impl Default for Shape {
    /// More than a trace remembers, so that what is forgotten is tried too.
    fn default() -> Self {
        Self {
            files: 200_000,
            threads: 40_000,
            cpus: 1,
        }
    }
}

#[allow(dead_code, reason = "others take the rest of this file")]
fn main() -> io::Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let usage = "usage: generate SEED EVENTS FILE [FILES [THREADS [CPUS]]] (- for stdout)";
    let wrong = || io::Error::other(usage);
    let number = |at: usize, or: u64| match arguments.get(at) {
        None => Ok(or),
        Some(text) => text.parse().ok().filter(|it| *it > 0).ok_or_else(wrong),
    };
    let small = |at, or: u32| number(at, or.into()).map(|it| u32::try_from(it).unwrap_or(u32::MAX));
    let (Some(file), None) = (arguments.get(2), arguments.get(6)) else {
        return Err(wrong());
    };
    let usual = Shape::default();
    let shape = Shape {
        files: number(3, usual.files)?,
        threads: small(4, usual.threads)?,
        cpus: small(5, usual.cpus)?,
    };
    let out: Box<dyn Write> = match file.as_str() {
        "-" => Box::new(io::stdout()),
        file => Box::new(File::create(file)?),
    };
    let seed = arguments[0].parse().map_err(|_| wrong())?;
    generate_of(shape, seed, number(1, 1)?, BufWriter::new(out))
}

/// The recording of a made-up machine.
pub(crate) fn header(seed: u64) -> Header {
    let probed = [
        "nfs4_lookup_revalidate",
        "nfs4_file_open",
        "nfs_atomic_open",
        "nfs4_run_open_task",
        "nfs4_open_done",
        "update_open_stateid",
        "_nfs4_proc_lookup",
        "nfs_check_verifier",
        "nfs_set_verifier",
    ];
    let probes = probed.map(|symbol| (symbol.to_owned(), ATTACHED.to_owned()));
    Header {
        recording: format!("generated-{seed}"),
        part: 1,
        architecture: "x86_64".into(),
        command_line: vec!["generate".into(), seed.to_string()],
        filters: Filters::default(),
        session: Session {
            abi_version: ABI_VERSION,
            version: env!("CARGO_PKG_VERSION").into(),
            kernel: "6.1.0-generated".into(),
            transport: "ring".into(),
            layout: "btf".into(),
            layout_why: String::new(),
            probes: probes.into(),
            lookup_flags: LookupFlags::BEFORE_6_15,
            mounts: vec![Mount {
                dev: DEV,
                point: "/mnt".into(),
                fs_type: "nfs4".into(),
                source: "server:/".into(),
                nfs_version: Some("4.1".into()),
            }],
            clock_offset_ns: 1_700_000_000_000_000_000,
            armed_ns: 0,
            startup_ms: StartupMs::default(),
        },
    }
}

/// Writes a recording of so many records.
#[allow(dead_code, reason = "for tests")]
pub(crate) fn generate(seed: u64, events: u64, out: impl Write) -> io::Result<()> {
    generate_of(Shape::default(), seed, events, out)
}

/// The same of a machine of another shape.
#[allow(dead_code, reason = "not for all")]
pub(crate) fn generate_of(shape: Shape, seed: u64, events: u64, out: impl Write) -> io::Result<()> {
    let mut writer = Writer::new(out, &header(seed))?;
    records_of(shape, seed, events, |record| writer.record(record))?;
    writer.finish(KernelCounts::default(), false)?;
    Ok(())
}

/// Hands so many records to `take`.
#[allow(dead_code, reason = "for tests")]
pub(crate) fn records(
    seed: u64,
    events: u64,
    take: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<()> {
    records_of(Shape::default(), seed, events, take)
}

/// The same of a machine of another shape.
#[allow(dead_code, reason = "not for all")]
pub(crate) fn records_of(
    shape: Shape,
    seed: u64,
    events: u64,
    mut take: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<()> {
    entries_of(shape, seed, events, |entry| {
        abi::records(entry).try_for_each(&mut take)
    })
}

/// Hands them out as a ring buffer does, the records of an open as one entry.
pub(crate) fn entries_of(
    shape: Shape,
    seed: u64,
    events: u64,
    take: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let Shape {
        files,
        threads,
        cpus,
    } = shape;
    let mut machine = Machine {
        rng: Rng::with_seed(seed),
        now_ns: 1_000_000_000,
        began_ns: None,
        left: events,
        seqs: vec![None; threads.max(cpus) as usize],
        named: vec![false; files as usize],
        kept: vec![Vec::new(); cpus as usize],
        take,
    };
    machine.name(0, ROOT, ROOT, "/")?;
    for folder in 0..FOLDERS {
        machine.name(0, FOLDER + folder * 192, ROOT, &format!("folder{folder}"))?;
    }
    let mut running = vec![None; cpus as usize];
    while machine.left > 0 {
        let cpu = match cpus {
            1 => 0,
            _ => machine.rng.u32(..cpus),
        };
        let open = &mut running[cpu as usize];
        *open = machine.go_on(open.take(), cpu, cpus)?;
    }
    (0..cpus as usize).try_for_each(|cpu| machine.send(cpu))
}

/// An open(2) that runs.
#[derive(Debug, Clone, Copy)]
struct Running {
    thread: u32,
    file: u64,
    /// When it came to nfs4_file_open.
    began_ns: u64,
    /// OPENs sent, once its task has returned.
    sent: Option<u16>,
}

struct Machine<F> {
    rng: Rng,
    now_ns: u64,
    left: u64,
    /// When the call began that returns next, if another returned inside it.
    began_ns: Option<u64>,
    /// Of each thread, the number of its next record.
    seqs: Vec<Option<u16>>,
    /// The files whose name was sent.
    named: Vec<bool>,
    /// Records of the open that runs on each CPU, one behind the other: as a ring buffer's programs
    /// do, they are sent when it ends.
    kept: Vec<Vec<u8>>,
    take: F,
}

impl<F: FnMut(&[u8]) -> io::Result<()>> Machine<F> {
    /// The next step of an open(2), or the first of another one; of three one is wire, the others
    /// are cached.
    fn go_on(&mut self, open: Option<Running>, cpu: u32, cpus: u32) -> io::Result<Option<Running>> {
        match open {
            None => self.begin(cpu, cpus).map(Some),
            Some(Running {
                thread,
                file,
                sent: None,
                ..
            }) => {
                let sent = self.task(thread, file)?;
                Ok(open.map(|open| Running {
                    sent: Some(sent),
                    ..open
                }))
            }
            Some(open) => self.end(open).map(|()| None),
        }
    }

    fn begin(&mut self, cpu: u32, cpus: u32) -> io::Result<Running> {
        // A thread runs on one CPU at a time.
        let threads = u32::try_from(self.seqs.len()).unwrap_or(u32::MAX);
        let thread = self.rng.u32(..threads / cpus * cpus);
        let thread = thread - thread % cpus + cpu;
        let file = self.rng.u64(..self.named.len() as u64);
        let dentry = FILE + file * 192;
        if !self.named[file as usize] {
            self.named[file as usize] = true;
            let parent = FOLDER + file % FOLDERS * 192;
            self.name(thread, dentry, parent, &format!("file{file}.txt"))?;
        }
        let revalidate = Revalidate {
            dentry,
            lookup_flags: LookupFlags::BEFORE_6_15.open | LookupFlags::BEFORE_6_15.rcu,
            ret: 1,
            verifier_checks: 1,
            verifier_sets: 0,
            lookups: 0,
            dentry_kind: DENTRY_POSITIVE,
            inode_checks: 0,
            reserved: 0,
            reserved2: 0,
        };
        self.record(thread, RecordKind::Revalidate, &revalidate, b"")?;
        Ok(Running {
            thread,
            file,
            began_ns: self.now_ns,
            sent: None,
        })
    }

    fn task(&mut self, thread: u32, file: u64) -> io::Result<u16> {
        let sent = u16::from(self.rng.u8(..3) == 0);
        let task = OpenTask {
            opendata: (FILE + file * 192) ^ 0xff,
            replied_ns: if sent > 0 { self.now_ns } else { 0 },
            ret: 0,
            sent,
            claim: 4,
            delegated: 0,
        };
        self.record(thread, RecordKind::OpenTask, &task, b"")?;
        Ok(sent)
    }

    fn end(&mut self, open: Running) -> io::Result<()> {
        let Running {
            thread,
            file,
            began_ns,
            sent,
        } = open;
        let record = Open {
            dentry: FILE + file * 192,
            fileid: 1_000 + file,
            ret: 0,
            open_flags: 0o100_000,
            stack_id: -1,
            tasks: 1,
            stateid_updates: u8::try_from(sent.unwrap_or(0)).unwrap_or(0),
            opened: 1,
            signs: 0,
        };
        self.began_ns = Some(began_ns);
        self.record(thread, RecordKind::FileOpen, &record, b"")
    }

    fn name(&mut self, thread: u32, dentry: u64, parent: u64, name: &str) -> io::Result<()> {
        let record = Name {
            dentry,
            parent,
            len: u16::try_from(name.len()).unwrap_or(0),
            reserved: 0,
            reserved2: 0,
        };
        self.record(thread, RecordKind::Name, &record, name.as_bytes())
    }

    fn record<T: IntoBytes + Immutable>(
        &mut self,
        thread: u32,
        kind: RecordKind,
        payload: &T,
        rest: &[u8],
    ) -> io::Result<()> {
        if self.seqs[thread as usize].is_none() {
            self.seqs[thread as usize] = Some(0);
            let mut comm = [0; 16];
            let name = format!("worker{}", thread % 97);
            comm[..name.len()].copy_from_slice(name.as_bytes());
            self.put(thread, RecordKind::Comm, FLAG_FIRST, &Comm { comm }, b"")?;
        }
        self.put(thread, kind, 0, payload, rest)
    }

    fn put<T: IntoBytes + Immutable>(
        &mut self,
        thread: u32,
        kind: RecordKind,
        flags: u8,
        payload: &T,
        rest: &[u8],
    ) -> io::Result<()> {
        if self.left == 0 {
            return Ok(());
        }
        self.left -= 1;
        let start_ns = self.began_ns.take().unwrap_or(self.now_ns);
        self.now_ns += self.rng.u64(500..20_000);
        let seq = self.seqs[thread as usize].unwrap_or(0);
        self.seqs[thread as usize] = Some(seq.wrapping_add(1));
        let header = RecordHeader {
            start_ns,
            end_ns: self.now_ns,
            tid: 1_000 + thread,
            tgid: 1_000 + thread / 8,
            kind: kind as u8,
            flags,
            seq,
            dev: DEV,
        };
        let mut bytes = header.as_bytes().to_vec();
        bytes.extend_from_slice(payload.as_bytes());
        bytes.extend_from_slice(rest);
        if matches!(kind, RecordKind::Name | RecordKind::Comm) {
            return (self.take)(&bytes);
        }
        let cpu = thread as usize % self.kept.len();
        self.kept[cpu].extend(bytes);
        if kind == RecordKind::FileOpen {
            self.send(cpu)?;
        }
        Ok(())
    }

    fn send(&mut self, cpu: usize) -> io::Result<()> {
        let kept = &mut self.kept[cpu];
        if !kept.is_empty() {
            (self.take)(kept)?;
            kept.clear();
        }
        Ok(())
    }
}
