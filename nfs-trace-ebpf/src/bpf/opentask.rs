//! Was an OPEN sent? The join of the opener with the reply, by pointer equality.
//!
//! The opener passes an nfs4_opendata to nfs4_run_open_task and sleeps; if an OPEN
//! really goes out, an rpciod worker calls nfs4_open_done with the same pointer as
//! its calldata. So an entry of OPENS that no worker has touched when the opener
//! comes back means: nothing was sent. Exact under any concurrency.
//!
//! Where nfs4_open_done or update_open_stateid cannot be probed, other functions that the
//! same OPEN passes stand in for them, see `instead`.

use core::hint::black_box;

use aya_ebpf::{
    macros::{kprobe, kretprobe},
    programs::{ProbeContext, RetProbeContext},
};
use nfs_trace_ebpf::{
    abi::{CLAIM_UNKNOWN, FLAG_UNJOINED, OpenTask, RecordKind},
    config::{ABSENT, Config},
    probes::Id,
};

use super::{
    emit::{emit, now},
    flavour::diagnose,
    kread::read,
    maps::{OPENS, armed, count},
    thread::{ATOMIC_OPEN, FILE_OPEN, OPEN_TASK, inside, missed, tid},
};

/// Value of the map OPENS.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct InFlight {
    /// When the last reply was handled.
    replied_ns: u64,
    /// Replies so far.
    sent: u64,
    /// One of `DELEGATED_*`.
    delegated: u64,
    /// The opener's tid: once freed, the address may become another thread's.
    opener: u64,
}

/// The OPEN of this nfs4_opendata, if an opener waits for it.
#[inline(always)]
pub(crate) fn in_flight(opendata: u64) -> Option<&'static mut InFlight> {
    let in_flight = OPENS.get_ptr_mut(opendata)?;
    // SAFETY: an nfs4_opendata has one RPC task, so one worker at a time writes, and
    // the opener reads only after the task has ended.
    Some(unsafe { &mut *in_flight })
}

impl InFlight {
    /// It went to the server, once more.
    #[inline(always)]
    pub(crate) fn sent(&mut self) {
        self.sent += 1;
    }

    /// `word`: one of `DELEGATED_*`.
    #[inline(always)]
    pub(crate) fn delegated(&mut self, word: u8) {
        self.delegated = u64::from(word);
    }
}

/// Gives up the OPEN of a call that ended unseen.
#[inline(always)]
pub(crate) fn forget(opendata: u64) {
    // SAFETY: the value is read at once, and only compared.
    if unsafe { OPENS.get(opendata) }.is_some_and(|it| it.opener == u64::from(tid())) {
        let _ = OPENS.remove(opendata);
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
    let config = armed()?;
    count(Id::OpenTaskIn, |counters| counters.hits += 1);
    // The state manager's own opens are in no open path.
    let thread = inside(FILE_OPEN | ATOMIC_OPEN)?;
    let opendata: u64 = ctx.arg(0)?;
    // Zeros that the compiler does not see: it would make them a call of memset.
    let zero = black_box(0);
    let in_flight = InFlight {
        replied_ns: zero,
        sent: zero,
        delegated: zero,
        opener: u64::from(tid()),
    };
    if OPENS.insert(opendata, in_flight, 0).is_err() {
        count(Id::OpenTaskIn, |counters| counters.lost += 1);
        thread.flags |= FLAG_UNJOINED;
        diagnose!(
            ctx,
            "too many OPENs in flight: one cannot be joined with its reply"
        );
    }
    if thread.active & OPEN_TASK != 0 {
        missed(thread, OPEN_TASK);
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
    if offsets.opendata_name != ABSENT {
        // d_name lies behind d_parent.
        let expected = dentry + u64::from(offsets.dentry_link) + 8;
        if read::<u64>(opendata, offsets.opendata_name)? != expected {
            return None;
        }
    }
    read::<u32>(opendata, offsets.opendata_claim).map(|claim| claim as u8)
}

#[kprobe]
fn nfst_open_done(ctx: ProbeContext) -> u32 {
    try_done(&ctx);
    0
}

/// void nfs4_open_done(struct rpc_task *task, void *calldata), fs/nfs/nfs4proc.c.
#[inline(always)]
fn try_done(ctx: &ProbeContext) -> Option<()> {
    armed()?;
    count(Id::OpenDone, |counters| counters.hits += 1);
    let opendata: u64 = ctx.arg(1)?;
    let Some(in_flight) = in_flight(opendata) else {
        count(Id::OpenDone, |counters| counters.elsewhere += 1);
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
    armed()?;
    count(Id::OpenTaskOut, |counters| counters.hits += 1);
    let thread = inside(OPEN_TASK)?;
    thread.active &= !OPEN_TASK;
    let opendata = thread.task_opendata;
    // SAFETY: the value is copied before anything else can remove it.
    let (sent, replied_ns, delegated) = match unsafe { OPENS.get(opendata) } {
        Some(in_flight) => (in_flight.sent, in_flight.replied_ns, in_flight.delegated),
        // Something took it away: nothing is known, which is not the same as not sent.
        None => {
            thread.flags |= FLAG_UNJOINED;
            (0, 0, 0)
        }
    };
    let _ = OPENS.remove(opendata);
    let payload = OpenTask {
        opendata,
        replied_ns,
        ret: ctx.ret(),
        sent: sent as u16,
        claim: thread.claim,
        delegated: delegated as u8,
    };
    let start = thread.task_start;
    emit(
        ctx,
        Id::OpenTaskOut,
        thread,
        RecordKind::OpenTask,
        start,
        payload,
    );
    Some(())
}

/// update_open_stateid, called by the opener after its OPEN task: with no OPEN sent,
/// a delegation's stateid is what it takes; a cached open takes none.
#[kprobe]
fn nfst_stateid(_ctx: ProbeContext) -> u32 {
    if armed().is_some() {
        count(Id::StateidUpdate, |counters| counters.hits += 1);
        if let Some(thread) = inside(FILE_OPEN | ATOMIC_OPEN) {
            thread.stateid_updates = thread.stateid_updates.saturating_add(1);
        }
    }
    0
}
