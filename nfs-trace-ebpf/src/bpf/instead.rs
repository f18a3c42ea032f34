//! What stands in for nfs4_open_done and update_open_stateid where they cannot be probed. Each
//! is attached only if there is nothing better; `probes` has the order.

use aya_ebpf::{
    macros::{kprobe, map, tracepoint},
    maps::HashMap,
    programs::{ProbeContext, TracePointContext},
};
use nfs_trace_ebpf::{
    abi::{DELEGATED_UNKNOWN, DELEGATED_YES, SIGN_CACHED_EVENT, SIGN_TRIED_CACHED},
    probes::Id,
    state::{ATOMIC_OPEN, FILE_OPEN},
};

use super::{
    maps::{Run, armed},
    opentask::in_flight,
    thread::{inside, tid},
};

/// The nfs4_opendata that each RPC worker was last asked to prepare, by its tid.
#[map]
static PREPARING: HashMap<u32, u64> = HashMap::with_max_entries(4096, 0);

/// struct nfs4_state *nfs4_try_open_cached(struct nfs4_opendata *), fs/nfs/nfs4proc.c: the
/// opener comes here only if no OPEN was sent (rpc_done is false).
#[kprobe]
fn nfst_try_cached(_ctx: ProbeContext) -> u32 {
    sign(Id::TryCached, SIGN_TRIED_CACHED);
    0
}

#[inline(always)]
fn sign(id: Id, sign: u8) -> Option<()> {
    let run = Run::begin(id)?;
    inside(&run, FILE_OPEN | ATOMIC_OPEN)?.signs |= sign;
    Some(())
}

#[kprobe]
fn nfst_encode(ctx: ProbeContext) -> u32 {
    encode(&ctx, Id::Encode);
    0
}

#[kprobe]
fn nfst_encode_fh(ctx: ProbeContext) -> u32 {
    encode(&ctx, Id::EncodeFh);
    0
}

/// Bytes from the start of struct nfs4_opendata to its o_arg, behind a kref: the same in every
/// kernel from 3.10 to 7.3 (fs/nfs/nfs4proc.c).
const O_ARG: u64 = 8;

/// nfs4_xdr_enc_open(struct rpc_rqst *, struct xdr_stream *, [const] void *), and the one for
/// OPENs by filehandle, fs/nfs/nfs4xdr.c: an OPEN is about to be sent, and its arguments are
/// those in the nfs4_opendata.
#[inline(always)]
fn encode(ctx: &ProbeContext, id: Id) -> Option<()> {
    let mut run = Run::begin(id)?;
    let arguments: u64 = ctx.arg(2)?;
    match in_flight(arguments.wrapping_sub(O_ARG)) {
        Some(open) => open.sent(),
        None => run.count(|it| it.elsewhere += 1),
    }
    Some(())
}

/// void nfs4_open_prepare(struct rpc_task *, void *calldata), fs/nfs/nfs4proc.c, in the RPC's
/// worker.
#[kprobe]
fn nfst_prepare(ctx: ProbeContext) -> u32 {
    try_prepare(&ctx);
    0
}

#[inline(always)]
fn try_prepare(ctx: &ProbeContext) -> Option<()> {
    let mut run = Run::begin(Id::Prepare)?;
    let opendata: u64 = ctx.arg(1)?;
    // Noted whoever opens: what the worker prepared before must not be taken for this one.
    if PREPARING.insert(run.tid(), opendata, 0).is_err() {
        run.count(|it| it.lost += 1);
        in_flight(opendata)?.delegated(DELEGATED_UNKNOWN);
    }
    Some(())
}

/// nfs4:nfs4_cached_open: the worker passes it in nfs4_open_prepare if a delegation allows the
/// open, and the opener in _nfs4_opendata_to_nfs4_state whenever no OPEN was sent.
#[tracepoint]
fn nfst_cached(_ctx: TracePointContext) -> u32 {
    if sign(Id::Cached, SIGN_CACHED_EVENT).is_none() {
        by_worker();
    }
    0
}

#[inline(always)]
fn by_worker() -> Option<()> {
    armed()?;
    // SAFETY: the value is copied at once, and only this thread writes it.
    let opendata = unsafe { PREPARING.get(tid()) }.copied()?;
    in_flight(opendata)?.delegated(DELEGATED_YES);
    Some(())
}
