//! The programs, built for BPF. On the host this is an empty binary, so that the
//! whole workspace can be checked at once.

#![cfg_attr(target_arch = "bpf", no_std, no_main)]
// For `bpf::opaque`; building core for this target takes unstable features anyway.
#![cfg_attr(target_arch = "bpf", feature(asm_experimental_arch))]

#[cfg(target_arch = "bpf")]
mod bpf;

#[cfg(not(target_arch = "bpf"))]
fn main() {}

/// Required by `no_std`; no program can reach it, the verifier would refuse it.
#[cfg(target_arch = "bpf")]
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

/// Helpers that read kernel memory are for GPL-compatible programs only; the
/// sources are offered under MIT or Apache-2.0, and as BPF programs "Dual MIT/GPL".
#[cfg(target_arch = "bpf")]
#[unsafe(no_mangle)]
#[unsafe(link_section = "license")]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
