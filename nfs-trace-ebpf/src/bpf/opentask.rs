//! Was an OPEN sent? The join of the opener with the reply, by pointer equality.
//!
//! The opener passes an nfs4_opendata to nfs4_run_open_task and sleeps; if an OPEN
//! really goes out, an rpciod worker calls nfs4_open_done with the same pointer as
//! its calldata. So an entry of OPENS that no worker has touched when the opener
//! comes back means: nothing was sent. Exact under any concurrency.
//!
//! Where nfs4_open_done or update_open_stateid cannot be probed, other functions that the
//! same OPEN passes stand in for them, see `instead`.

use aya_ebpf::{
    macros::{kprobe, kretprobe, map},
    maps::{Array, HashMap},
    programs::{ProbeContext, RetProbeContext},
};
use nfs_trace_ebpf::{
    abi::{CLAIM_UNKNOWN, FLAG_UNJOINED, OpenTask, RecordKind},
    config::{ABSENT, Config},
    probes::Id,
    state::{ATOMIC_OPEN, FILE_OPEN, KEEPS_REVALIDATE, KEEPS_TASK, OPEN_TASK},
};

use super::{
    emit::{emit, keep, now, send_kept},
    flavour::{self, diagnose},
    kread::read,
    maps::Run,
    opaque::zero,
    thread::{inside, missed, tid},
};

/// An OPEN that an opener waits for.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct InFlight {
    /// The address of its nfs4_opendata, with [`SENT`] in its lowest bit; 0 for none.
    opendata: u64,
    /// When the last reply was handled.
    replied_ns: u64,
    /// Replies so far.
    sent: u64,
    /// One of `DELEGATED_*`.
    delegated: u64,
    /// The opener's tid: once freed, the address may become another thread's.
    opener: u64,
}

/// [`InFlight::opendata`]: an OPEN went to the server.
const SENT: u64 = 1;

impl InFlight {
    #[inline(always)]
    fn is_of(&self, opendata: u64) -> bool {
        self.opendata & !SENT == opendata
    }

    /// It went to the server, once more.
    #[inline(always)]
    pub(crate) fn sent(&mut self) {
        self.sent += 1;
        self.opendata |= SENT;
    }

    /// `word`: one of `DELEGATED_*`.
    #[inline(always)]
    pub(crate) fn delegated(&mut self, word: u8) {
        self.delegated = u64::from(word);
    }
}

/// Bits of a place's number.
const PLACE_BITS: u32 = 13;

/// Where an OPEN in flight is noted: a place for each address, which it shares with others.
#[map]
static PLACES: Array<InFlight> = Array::with_max_entries(1 << PLACE_BITS, 0);

/// Those whose place another one had, by the address of their nfs4_opendata.
#[map]
static OPENS: HashMap<u64, InFlight> = HashMap::with_max_entries(16384, 0);

#[inline(always)]
fn place(opendata: u64) -> Option<&'static mut InFlight> {
    let hash = opendata.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - PLACE_BITS);
    let place = PLACES.get_ptr_mut(hash as u32)?;
    // SAFETY: words of a value that is always there. An nfs4_opendata has one RPC task, so one
    // worker at a time writes, and the opener reads only after the task has ended; of two
    // openers that take one place at once, see `begin`.
    Some(unsafe { &mut *place })
}

/// The OPEN of this nfs4_opendata, if an opener waits for it.
#[inline(always)]
pub(crate) fn in_flight(opendata: u64) -> Option<&'static mut InFlight> {
    let place = place(opendata)?;
    if place.is_of(opendata) {
        return Some(place);
    }
    let in_flight = OPENS.get_ptr_mut(opendata)?;
    // SAFETY: as above.
    Some(unsafe { &mut *in_flight })
}

/// Notes that the opener waits for it; nothing if there is no room.
///
/// Two CPUs may find one place free in the same instant. The address that is written last stays:
/// the other opener will not find its own any more, and knows that it does not know. The address
/// and whether the OPEN was sent are one word, so neither takes the other's answer.
#[inline(always)]
fn begin(opendata: u64, opener: u32) -> Option<()> {
    let zero = zero();
    let place = place(opendata)?;
    if place.opendata == 0 || place.is_of(opendata) {
        place.opendata = opendata;
        place.replied_ns = zero;
        place.sent = zero;
        place.delegated = zero;
        place.opener = u64::from(opener);
        return Some(());
    }
    let in_flight = InFlight {
        opendata,
        replied_ns: zero,
        sent: zero,
        delegated: zero,
        opener: u64::from(opener),
    };
    OPENS.insert(opendata, in_flight, 0).ok()
}

/// What became of it, and no more of it; nothing if something took it away.
#[inline(always)]
fn end(opendata: u64) -> Option<InFlight> {
    let place = place(opendata)?;
    let mut found = *place;
    if found.is_of(opendata) {
        place.opendata = 0;
    } else {
        // SAFETY: the value is copied before anything else can remove it.
        found = unsafe { OPENS.get(opendata) }.copied()?;
        let _ = OPENS.remove(opendata);
    }
    if found.opendata & SENT != 0 && found.sent == 0 {
        found.sent = 1;
    }
    Some(found)
}

/// Gives up the OPEN of a call that ended unseen.
#[inline(always)]
pub(crate) fn forget(opendata: u64) {
    let tid = u64::from(tid());
    if in_flight(opendata).is_some_and(|it| it.opener == tid) {
        end(opendata);
    }
}

#[kprobe]
fn nfst_task_in(ctx: ProbeContext) -> u32 {
    try_enter(&ctx);
    0
}

/// int nfs4_run_open_task(struct nfs4_opendata *data, ...), fs/nfs/nfs4proc.c.
#[inline(always)]
fn try_enter(ctx: &ProbeContext) -> Option<()> {
    let mut run = Run::of_opener(Id::OpenTaskIn)?;
    let config = run.config;
    // The state manager's own opens are in no open path.
    let thread = inside(&run, FILE_OPEN | ATOMIC_OPEN)?;
    let opendata: u64 = ctx.arg(0)?;
    if begin(opendata, run.tid()).is_none() {
        run.count(|it| it.lost += 1);
        thread.flags |= FLAG_UNJOINED;
        diagnose!(
            ctx,
            "too many OPENs in flight: one cannot be joined with its reply"
        );
    }
    if thread.active & OPEN_TASK != 0 {
        missed(&mut run.counts, thread, OPEN_TASK);
    }
    thread.active |= OPEN_TASK;
    thread.tasks = thread.tasks.saturating_add(1);
    thread.stateid_updates = 0;
    thread.signs = 0;
    thread.task_opendata = opendata;
    thread.claim = claim(config, opendata, thread.open_dentry).unwrap_or(CLAIM_UNKNOWN);
    thread.task_start = now();
    Some(())
}

/// The claim, if the OPEN's name is where it is expected to be: nfs4_opendata_alloc() has it
/// point into the dentry.
#[inline(always)]
fn claim(config: &Config, opendata: u64, dentry: u64) -> Option<u8> {
    let offsets = &config.offsets;
    const BETWEEN: u32 = core::mem::offset_of!(NamedClaim, claim) as u32;
    if offsets.opendata_name == ABSENT {
        return read::<u32>(opendata, offsets.opendata_claim).map(|claim| claim as u8);
    }
    let (name, claim) = if offsets.opendata_claim == offsets.opendata_name.wrapping_add(BETWEEN) {
        let named: NamedClaim = read(opendata, offsets.opendata_name)?;
        (named.name, named.claim)
    } else {
        let name = read(opendata, offsets.opendata_name)?;
        (name, read(opendata, offsets.opendata_claim)?)
    };
    // d_name lies behind d_parent.
    let expected = dentry + u64::from(offsets.dentry_link) + 8;
    (name == expected).then_some(claim as u8)
}

/// What of struct nfs_openargs is needed, as it lies there where three pointers are between, to be
/// read in one go.
#[repr(C)]
#[derive(Clone, Copy)]
struct NamedClaim {
    name: u64,
    /// server, bitmask, open_bitmap
    between: [u64; 3],
    claim: u32,
    behind: u32,
}

#[kprobe]
fn nfst_open_done(ctx: ProbeContext) -> u32 {
    try_done(&ctx);
    0
}

/// void nfs4_open_done(struct rpc_task *task, void *calldata), fs/nfs/nfs4proc.c.
#[inline(always)]
fn try_done(ctx: &ProbeContext) -> Option<()> {
    let mut run = Run::begin(Id::OpenDone)?;
    let opendata: u64 = ctx.arg(1)?;
    let Some(in_flight) = in_flight(opendata) else {
        run.count(|it| it.elsewhere += 1);
        return None;
    };
    in_flight.replied_ns = now();
    in_flight.sent();
    Some(())
}

#[kretprobe]
fn nfst_task_out(ctx: RetProbeContext) -> u32 {
    try_leave(&ctx);
    0
}

#[inline(always)]
fn try_leave(ctx: &RetProbeContext) -> Option<()> {
    let mut run = Run::of_opener(Id::OpenTaskOut)?;
    let thread = inside(&run, OPEN_TASK)?;
    thread.active &= !OPEN_TASK;
    let opendata = thread.task_opendata;
    let (sent, replied_ns, delegated) = match end(opendata) {
        Some(in_flight) => (in_flight.sent, in_flight.replied_ns, in_flight.delegated),
        // Something took it away: nothing is known, which is not the same as not sent.
        None => {
            thread.flags |= FLAG_UNJOINED;
            (0, 0, 0)
        }
    };
    let payload = OpenTask {
        opendata,
        replied_ns,
        ret: ctx.ret(),
        sent: sent as u16,
        claim: thread.claim,
        delegated: delegated as u8,
    };
    let start = thread.task_start;
    let kind = RecordKind::OpenTask;
    if flavour::KEEPS && thread.keeps == KEEPS_REVALIDATE {
        thread.task = keep(thread, kind, start, payload);
        thread.keeps |= KEEPS_TASK;
    } else {
        send_kept(ctx, run.config, &mut run.counts, thread);
        emit(ctx, &mut run.counts, run.id, thread, kind, start, payload);
    }
    Some(())
}

/// update_open_stateid, called by the opener after its OPEN task: with no OPEN sent,
/// a delegation's stateid is what it takes; a cached open takes none.
#[kprobe]
fn nfst_stateid(_ctx: ProbeContext) -> u32 {
    try_update();
    0
}

#[inline(always)]
fn try_update() -> Option<()> {
    let run = Run::of_opener(Id::StateidUpdate)?;
    let thread = inside(&run, FILE_OPEN | ATOMIC_OPEN)?;
    thread.stateid_updates = thread.stateid_updates.saturating_add(1);
    Some(())
}
