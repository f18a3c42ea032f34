//! `report --perfetto`: a trace for the Perfetto UI, in its own format (protobuf). Pure.
//!
//! A track for each task has its opens and their steps as slices. An OPEN that was sent has the wait
//! for its reply inside, and a flow leads from there to the reply on a track of its own: a worker
//! of the client's rpciod handled it, which one is not recorded.

mod proto;

use std::{
    io::{self, Write},
    num::NonZeroUsize,
};

use lru::LruCache;
use prost::Message as _;

use self::proto::{
    Annotation, Clock, ClockSnapshot, Packet, Process, Thread, Trace, TrackDescriptor, TrackEvent,
    Type,
};
use crate::{
    names::{claim_name, errno_name},
    render::text::open_path,
    row::{Row, StepRow},
    session::Session,
    trace::{OpenPath, Step, StepKind},
};

/// All packets are of one writer.
const SEQUENCE: u32 = 1;
/// The track of the replies; those of processes and tasks have higher numbers.
const REPLIES: u64 = 1;
/// Processes and tasks whose tracks are remembered as told. Others are told again, as the same.
const TOLD: NonZeroUsize = NonZeroUsize::new(65_536).expect("not zero");
/// `BUILTIN_CLOCK_*` of `builtin_clock.proto`.
const CLOCKS: [u32; 3] = [REALTIME, MONOTONIC, BOOTTIME];
const REALTIME: u32 = 1;
const MONOTONIC: u32 = 3;
/// What times without a clock are of. It differs from CLOCK_MONOTONIC by the time that the machine
/// was suspended, which is not recorded.
const BOOTTIME: u32 = 6;

/// Writes opens as they come.
pub struct Perfetto<W> {
    out: W,
    told: LruCache<u64, String>,
    flow: u64,
}

impl<W: Write> Perfetto<W> {
    /// Begins the trace.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn start(out: W, session: &Session) -> io::Result<Self> {
        let mut perfetto = Self {
            out,
            told: LruCache::new(TOLD),
            flow: 0,
        };
        let now = session.armed_ns;
        let wall = now.saturating_add_signed(session.clock_offset_ns);
        let clocks = CLOCKS.map(|id| Clock {
            clock_id: Some(id),
            timestamp: Some(if id == REALTIME { wall } else { now }),
        });
        let clocks = Packet {
            timestamp: Some(now),
            clock_snapshot: Some(ClockSnapshot {
                clocks: clocks.into(),
            }),
            ..packet()
        };
        let replies = Packet {
            track_descriptor: Some(TrackDescriptor {
                uuid: Some(REPLIES),
                name: Some("replies".into()),
                ..TrackDescriptor::default()
            }),
            ..packet()
        };
        perfetto.put(vec![clocks, replies])?;
        Ok(perfetto)
    }

    /// Takes one open.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn take(&mut self, path: &OpenPath, row: &Row) -> io::Result<()> {
        let mut packets = Vec::new();
        let track = self.tracks(row, &mut packets);
        let word = open_path(row.open_path, row.claim);
        let end = path.end_ns.max(path.start_ns);
        packets.push(begin(
            track,
            path.start_ns,
            "open",
            format!("{word} {}", row.full_path()),
            annotations(row),
        ));
        // Ends of the slices that are under way, the innermost last.
        let mut ends = vec![end];
        for (step, shown) in path.steps.iter().zip(row.steps()) {
            let start = step.start_ns.clamp(path.start_ns, end);
            while ends.len() > 1 && ends.last().is_some_and(|end| *end <= start) {
                packets.extend(ends.pop().map(|end| slice_end(track, end)));
            }
            let outer = ends.last().copied().unwrap_or(end);
            let until = step.end_ns.clamp(start, outer);
            packets.push(begin(
                track,
                start,
                "step",
                step_name(&shown),
                step_notes(&shown),
            ));
            self.reply(step, (track, start, until), &mut packets);
            ends.push(until);
        }
        while let Some(end) = ends.pop() {
            packets.push(slice_end(track, end));
        }
        self.put(packets)
    }

    /// The wait for the reply to an OPEN, and the reply.
    fn reply(&mut self, step: &Step, place: (u64, u64, u64), packets: &mut Vec<Packet>) {
        let (track, start, until) = place;
        let StepKind::OpenTask(task) = step.kind else {
            return;
        };
        let (true, Some(replied)) = (task.sent > 0, task.replied_ns) else {
            return;
        };
        let replied = replied.clamp(start, until);
        self.flow += 1;
        let mut wait = begin(track, start, "rpc", "wait for the reply".into(), Vec::new());
        if let Some(event) = &mut wait.track_event {
            event.flow_ids.push(self.flow);
        }
        let claim = task.claim.and_then(claim_name).unwrap_or("?");
        let outcome = match task.ret {
            0 => "ok".into(),
            ret => errno_name(ret),
        };
        let reply = event(
            replied,
            TrackEvent {
                r#type: Some(Type::Instant.into()),
                track_uuid: Some(REPLIES),
                categories: vec!["rpc".into()],
                name: Some(format!("reply to OPEN {claim}: {outcome}")),
                terminating_flow_ids: vec![self.flow],
                ..TrackEvent::default()
            },
        );
        packets.extend([wait, slice_end(track, replied), reply]);
    }

    /// Tells of the process and the task, unless they are known by these names.
    fn tracks(&mut self, row: &Row, packets: &mut Vec<Packet>) -> u64 {
        let process = 1 << 62 | u64::from(row.pid);
        let thread = 1 << 63 | u64::from(row.pid & 0x7fff_ffff) << 32 | u64::from(row.tid);
        for uuid in [process, thread] {
            if self.told.get(&uuid).is_some_and(|name| *name == row.comm) {
                continue;
            }
            // A process is called as its first task was.
            let is_process = uuid == process;
            if is_process && self.told.contains(&uuid) {
                continue;
            }
            self.told.put(uuid, row.comm.to_string());
            let (pid, tid) = (row.pid.cast_signed(), row.tid.cast_signed());
            let name = Some(row.comm.to_string());
            let descriptor = if is_process {
                TrackDescriptor {
                    uuid: Some(uuid),
                    process: Some(Process {
                        pid: Some(pid),
                        process_name: name,
                    }),
                    ..TrackDescriptor::default()
                }
            } else {
                TrackDescriptor {
                    uuid: Some(uuid),
                    thread: Some(Thread {
                        pid: Some(pid),
                        tid: Some(tid),
                        thread_name: name,
                    }),
                    ..TrackDescriptor::default()
                }
            };
            packets.push(Packet {
                track_descriptor: Some(descriptor),
                ..packet()
            });
        }
        thread
    }

    fn put(&mut self, packet: Vec<Packet>) -> io::Result<()> {
        // Traces behind each other are one.
        self.out.write_all(&Trace { packet }.encode_to_vec())
    }

    /// Pushes out what is buffered.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

fn packet() -> Packet {
    Packet {
        trusted_packet_sequence_id: Some(SEQUENCE),
        ..Packet::default()
    }
}

fn event(at_ns: u64, event: TrackEvent) -> Packet {
    Packet {
        timestamp: Some(at_ns),
        track_event: Some(event),
        ..packet()
    }
}

fn begin(
    track: u64,
    at_ns: u64,
    category: &str,
    name: String,
    debug_annotations: Vec<Annotation>,
) -> Packet {
    event(
        at_ns,
        TrackEvent {
            r#type: Some(Type::SliceBegin.into()),
            track_uuid: Some(track),
            categories: vec![category.into()],
            name: Some(name),
            debug_annotations,
            ..TrackEvent::default()
        },
    )
}

fn slice_end(track: u64, at_ns: u64) -> Packet {
    event(
        at_ns,
        TrackEvent {
            r#type: Some(Type::SliceEnd.into()),
            track_uuid: Some(track),
            ..TrackEvent::default()
        },
    )
}

fn step_name(step: &StepRow) -> String {
    match step.claim {
        Some(claim) => format!("{} {claim}", step.step),
        None => step.step.to_owned(),
    }
}

fn step_notes(step: &StepRow) -> Vec<Annotation> {
    let walk = step.walk.map(|walk| annotation("walk", walk));
    let meaning = annotation("meaning", &step.meaning);
    walk.into_iter().chain([meaning]).collect()
}

fn annotations(row: &Row) -> Vec<Annotation> {
    let fileid = row.fileid.map(|id| id.to_string());
    let result = match row.result {
        Some(0) => "ok".into(),
        Some(ret) => errno_name(ret),
        None => "end not seen".into(),
    };
    let flags = row.flags.map(|flags| flags.to_string());
    let stale = (row.stale_retries > 0).then(|| row.stale_retries.to_string());
    let gaps = (!row.gaps.is_empty()).then(|| format!("{:?}", row.gaps));
    [
        ("name check", Some(row.name_check.word())),
        ("open path", Some(row.open_path.word())),
        ("claim", row.claim),
        ("fileid", fileid.as_deref()),
        ("flags", flags.as_deref()),
        ("NFS version", row.nfs_version.as_deref()),
        ("result", Some(&*result)),
        ("stale retries", stale.as_deref()),
        ("incomplete", gaps.as_deref()),
    ]
    .iter()
    .filter_map(|(name, value)| value.map(|value| annotation(name, value)))
    .collect()
}

fn annotation(name: &str, value: &str) -> Annotation {
    Annotation {
        name: Some(name.into()),
        string_value: Some(value.into()),
    }
}
