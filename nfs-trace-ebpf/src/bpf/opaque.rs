//! Values that the compiler does not see through, for one instruction: black_box() would put each
//! on the stack and read it again.
//!
//! An instruction, and not none: the line of an empty one gets the place of the next, and kernels
//! refuse programs with two lines of one place (check_btf_line(), kernel/bpf/verifier.c, 5.0).

use core::arch::asm;

/// The same value, as far as the compiler knows any.
#[inline(always)]
pub(crate) fn opaque(value: u64) -> u64 {
    let same;
    // SAFETY: writes one register.
    unsafe { asm!("{0} = {1}", lateout(reg) same, in(reg) value, options(pure, nomem, nostack)) };
    same
}

/// A zero that does not become part of a call of memset, which programs must not have.
#[inline(always)]
pub(crate) fn zero() -> u64 {
    let zero;
    // SAFETY: writes one register.
    unsafe { asm!("{0} = 0", out(reg) zero, options(pure, nomem, nostack)) };
    zero
}
