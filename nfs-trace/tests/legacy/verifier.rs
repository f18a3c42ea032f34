//! The rules of Linux 4.4's verifier (kernel/bpf/verifier.c), as far as programs meet them
//! that keep to what [`crate::object`] reads: they load there only if they pass here.
//!
//! Much stricter than today's: helpers read and write the stack alone, all of which must
//! have been written, in sizes that are constants; a check for NULL counts for the one
//! register that was compared; arithmetic makes a pointer useless; and every path through
//! the program counts.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    object::{Insn, Map, MapKind, Program},
    state::{Reg, State},
};

/// BPF_MAXINSNS.
pub(crate) const INSNS_AT_MOST: usize = 4096;
/// Instructions on all paths that are followed; later kernels allow more.
const STEPS_AT_MOST: usize = 32768;
/// Branches that wait to be followed.
const BRANCHES_AT_MOST: usize = 1024;
/// struct pt_regs of x86-64, the context of a kprobe.
const CONTEXT: i32 = 168;

/// Verifies one program. Returns the instructions that were followed, paths counted.
pub(crate) fn verify(program: &Program, maps: &[Map]) -> Result<usize, String> {
    let insns = &program.insns;
    if insns.len() > INSNS_AT_MOST {
        return Err(format!("{} instructions", insns.len()));
    }
    let prunable = check_flow(insns)?;
    let mut explored: BTreeMap<usize, Vec<State>> = BTreeMap::new();
    let mut waiting = vec![(0, State::new())];
    let mut steps = 0;
    while let Some((mut pc, mut state)) = waiting.pop() {
        loop {
            steps += 1;
            if steps > STEPS_AT_MOST {
                return Err("too many paths".into());
            }
            if prunable.contains(&pc) {
                let known = explored.entry(pc).or_default();
                if known.iter().any(|old| old.covers(&state)) {
                    break;
                }
                known.push(state.clone());
            }
            let next = step(
                &insns[pc],
                &mut state,
                maps,
                &mut |to, state| {
                    waiting.push((to, state));
                },
                pc,
            )
            .map_err(|why| format!("{}, instruction {pc} ({}): {why}", program.name, insns[pc]))?;
            if waiting.len() > BRANCHES_AT_MOST {
                return Err("too many branches".into());
            }
            match next {
                Some(next) => pc = next,
                None => break,
            }
        }
    }
    Ok(steps)
}

/// Where control can go from an instruction.
fn targets(insn: &Insn, pc: usize) -> Vec<usize> {
    let to = |off: i16| (pc as i64 + 1 + i64::from(off)) as usize;
    match insn.code {
        0x95 => Vec::new(),
        0x05 => vec![to(insn.off)],
        0x85 => vec![pc + 1],
        0x18 => vec![pc + 2],
        code if code & 7 == 5 => vec![pc + 1, to(insn.off)],
        _ => vec![pc + 1],
    }
}

/// No loop, no instruction that is never reached (check_cfg). Returns where states are
/// compared: targets of jumps, and what follows a call.
fn check_flow(insns: &[Insn]) -> Result<BTreeSet<usize>, String> {
    #[derive(Clone, Copy, PartialEq)]
    enum Mark {
        New,
        OnPath,
        Done,
    }
    let mut marks = vec![Mark::New; insns.len()];
    let mut prunable = BTreeSet::new();
    // Depth first: each entry is an instruction and its targets that are left.
    let mut path = vec![(0, targets(&insns[0], 0))];
    while let Some((pc, left)) = path.last_mut() {
        let pc = *pc;
        marks[pc] = Mark::OnPath;
        let Some(target) = left.pop() else {
            marks[pc] = Mark::Done;
            path.pop();
            continue;
        };
        match marks.get(target) {
            None => return Err(format!("instruction {pc} leaves the program")),
            Some(Mark::OnPath) => {
                return Err(format!("instruction {pc} goes back to {target}: a loop"));
            }
            Some(Mark::New) => path.push((target, targets(&insns[target], target))),
            Some(Mark::Done) => {}
        }
        let code = insns[pc].code;
        if code & 7 == 5 && (code == 0x85 || target != pc + 1) {
            prunable.insert(target);
        }
    }
    // Code 0 is the second half of a wide instruction.
    let unreached = (0..insns.len()).find(|&pc| marks[pc] == Mark::New && insns[pc].code != 0);
    match unreached {
        Some(pc) => Err(format!("instruction {pc} is never reached")),
        None => Ok(prunable),
    }
}

type Fork<'a> = &'a mut dyn FnMut(usize, State);

/// One instruction. Returns the next, or nothing at the end.
fn step(
    insn: &Insn,
    state: &mut State,
    maps: &[Map],
    fork: Fork<'_>,
    pc: usize,
) -> Result<Option<usize>, String> {
    let size = match insn.code & 0x18 {
        0x00 => 4,
        0x08 => 2,
        0x10 => 1,
        _ => 8,
    };
    match insn.code & 7 {
        // LD: only the wide constant.
        0 => {
            let value = insn.map.map_or(Reg::Unknown, Reg::Map);
            state.write(insn.dst, value)?;
            return Ok(Some(pc + 2));
        }
        1 => {
            let value = access(state, maps, insn.src, insn.off, size, Access::Load)?;
            state.write(insn.dst, value)?;
        }
        2 => {
            access(state, maps, insn.dst, insn.off, size, Access::Store(None))?;
        }
        3 => {
            let value = state.read(insn.src)?;
            access(
                state,
                maps,
                insn.dst,
                insn.off,
                size,
                Access::Store(Some(value)),
            )?;
        }
        4 | 7 => arithmetic(insn, state)?,
        _ => return jump(insn, state, maps, fork, pc),
    }
    Ok(Some(pc + 1))
}

enum Access {
    Load,
    Store(Option<Reg>),
}

fn access(
    state: &mut State,
    maps: &[Map],
    base: u8,
    off: i16,
    size: i32,
    access: Access,
) -> Result<Reg, String> {
    let off = i32::from(off);
    if off % size != 0 {
        return Err(format!("{size} bytes at {off} are not aligned"));
    }
    match (state.read(base)?, access) {
        (Reg::Context, Access::Load) if off >= 0 && off + size <= CONTEXT => Ok(Reg::Unknown),
        (Reg::Value(map), _) => {
            if off < 0 || off + size > maps[map].value_size as i32 {
                return Err(format!(
                    "{size} bytes at {off} are not in {}",
                    maps[map].name
                ));
            }
            Ok(Reg::Unknown)
        }
        (Reg::Frame, Access::Load) => state.load(off, size),
        (Reg::Frame, Access::Store(value)) => state.store(off, size, value).map(|()| Reg::Unknown),
        (other, _) => Err(format!(
            "memory is accessed through R{base}, which is {other:?}"
        )),
    }
}

fn arithmetic(insn: &Insn, state: &mut State) -> Result<(), String> {
    let (operation, by_register, wide) = (insn.code & 0xf0, insn.code & 8 != 0, insn.code & 7 == 7);
    const MOV: u8 = 0xb0;
    let source = match operation {
        // NEG and END have no source.
        0x80 | 0xd0 => Reg::Unknown,
        _ if by_register => state.read(insn.src)?,
        _ => Reg::Constant(insn.imm),
    };
    let value = match (operation, source) {
        (MOV, Reg::Constant(imm)) if !by_register => Reg::Constant(imm),
        (MOV, value) if wide => value,
        (MOV, _) => Reg::Unknown,
        (0x00, Reg::Constant(imm))
            if wide && !by_register && state.read(insn.dst)? == Reg::Frame =>
        {
            Reg::Stack(imm)
        }
        _ => {
            state.read(insn.dst)?;
            Reg::Unknown
        }
    };
    state.write(insn.dst, value)
}

fn jump(
    insn: &Insn,
    state: &mut State,
    maps: &[Map],
    fork: Fork<'_>,
    pc: usize,
) -> Result<Option<usize>, String> {
    let target = (pc as i64 + 1 + i64::from(insn.off)) as usize;
    match insn.code {
        0x95 => return state.read(0).map(|_| None),
        0x05 => return Ok(Some(target)),
        0x85 => {
            call(insn.imm, state, maps)?;
            return Ok(Some(pc + 1));
        }
        _ => {}
    }
    let by_register = insn.code & 8 != 0;
    if by_register {
        state.read(insn.src)?;
    }
    let dst = usize::from(insn.dst);
    let value = state.read(insn.dst)?;
    // Only these two tell something of the register, and only beside a constant.
    let equal = match insn.code & 0xf0 {
        0x10 if !by_register => Some(true),
        0x50 if !by_register => Some(false),
        _ => None,
    };
    let mut there = state.clone();
    if let Some(equal) = equal {
        if value == Reg::Constant(insn.imm) {
            return Ok(Some(if equal { target } else { pc + 1 }));
        }
        let (same, other) = if equal {
            (&mut there, &mut *state)
        } else {
            (&mut *state, &mut there)
        };
        match value {
            Reg::ValueOrNull(map) if insn.imm == 0 => {
                same.regs[dst] = Reg::Constant(0);
                other.regs[dst] = Reg::Value(map);
            }
            value if value.is_pointer() => {}
            _ => same.regs[dst] = Reg::Constant(insn.imm),
        }
    }
    fork(target, there);
    Ok(Some(pc + 1))
}

/// The helpers that 4.4 has for kprobes, with what they take and give
/// (kernel/trace/bpf_trace.c, tracing_func_proto and kprobe_prog_func_proto).
fn call(helper: i32, state: &mut State, maps: &[Map]) -> Result<(), String> {
    let map = |state: &State, reg: u8, wanted: &[MapKind]| match state.read(reg)? {
        Reg::Map(map) if wanted.contains(&maps[map].kind) => Ok(map),
        other => Err(format!("helper {helper} does not take {other:?} for a map")),
    };
    let context = |state: &State| match state.read(1)? {
        Reg::Context => Ok(()),
        other => Err(format!(
            "helper {helper} does not take {other:?} for the context"
        )),
    };
    let sized = |state: &State, memory: u8| match state.read(memory + 1)? {
        Reg::Constant(size) => state.memory(memory, size),
        other => Err(format!("a size is no constant but {other:?}")),
    };
    const PLAIN: &[MapKind] = &[MapKind::Hash, MapKind::Array];
    let result = match helper {
        // bpf_map_lookup_elem, bpf_map_update_elem, bpf_map_delete_elem
        1..=3 => {
            let map = map(state, 1, PLAIN)?;
            state.memory(2, maps[map].key_size as i32)?;
            if helper == 2 {
                state.memory(3, maps[map].value_size as i32)?;
                state.read(4)?;
            }
            if helper == 1 {
                Reg::ValueOrNull(map)
            } else {
                Reg::Unknown
            }
        }
        // bpf_probe_read
        4 => {
            sized(state, 1)?;
            state.read(3)?;
            Reg::Unknown
        }
        // bpf_ktime_get_ns, bpf_get_smp_processor_id, bpf_get_current_pid_tgid
        5 | 8 | 14 => Reg::Unknown,
        // bpf_tail_call: does not come back, or leaves R0 alone.
        12 => {
            context(state)?;
            map(state, 2, &[MapKind::Programs])?;
            state.read(3)?;
            Reg::Unset
        }
        // bpf_get_current_comm
        16 => {
            sized(state, 1)?;
            Reg::Unknown
        }
        // bpf_perf_event_output
        25 => {
            context(state)?;
            map(state, 2, &[MapKind::Perf])?;
            state.read(3)?;
            sized(state, 4)?;
            Reg::Unknown
        }
        _ => {
            return Err(format!(
                "4.4 has no helper {helper} for kprobes, or we need none"
            ));
        }
    };
    state.regs[..6].fill(Reg::Unset);
    state.regs[0] = result;
    Ok(())
}
