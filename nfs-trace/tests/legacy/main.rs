//! The legacy object against what Linux 4.4 takes: its instruction set, helpers, maps,
//! sections, and its verifier.

mod object;
mod state;
mod verifier;

use std::collections::BTreeSet;

use crate::object::{MapKind, Program, read, sections};

/// Sections that become programs, a licence or maps. Anything else that is loaded would be
/// global data, which came with 5.2; BTF and debug information are not loaded where the
/// kernel has no use for them.
const LOADED: &[&str] = &["kprobe", "kretprobe", "tracepoint", "license", "maps"];

#[test]
fn there_are_no_globals() {
    let ignored = |name: &str| {
        [".text", ".strtab", ".symtab", ".BTF", ".BTF.ext"].contains(&name)
            || name.starts_with(".debug_")
            || name.starts_with(".rel")
    };
    let odd: Vec<_> = sections()
        .into_iter()
        .filter(|name| !name.is_empty() && !LOADED.contains(&name.as_str()) && !ignored(name))
        .collect();
    assert_eq!(odd, Vec::<String>::new());
}

#[test]
fn maps_are_of_kinds_that_4_4_has() {
    let (_, maps) = read();
    assert!(!maps.is_empty());
    for map in &maps {
        assert!(!matches!(map.kind, MapKind::Newer(_)), "{map:?}");
        assert_eq!(map.flags, 0, "{map:?}: flags came with 4.6");
    }
    assert_eq!(
        maps.iter().filter(|map| map.kind == MapKind::Perf).count(),
        1
    );
}

/// Instruction set v1 (Documentation/networking/filter.txt of 4.4): no JLT and the like
/// (4.14), no 32 bit jumps (5.1), no atomics but the addition, no sign extension (6.6).
#[test]
fn instructions_are_of_the_first_set() {
    let (programs, _) = read();
    let mut seen = BTreeSet::new();
    for program in &programs {
        let mut wide = false;
        for (at, insn) in program.insns.iter().enumerate() {
            let place = || format!("{}, instruction {at}: {insn}", program.name);
            if wide {
                assert_eq!(insn.code, 0, "{}", place());
                wide = false;
                continue;
            }
            seen.insert(insn.code);
            match insn.code & 7 {
                // LD: the wide constant alone.
                0 => {
                    assert_eq!(insn.code, 0x18, "{}", place());
                    wide = true;
                }
                // LDX, ST, STX: MEM (and the addition of STX).
                1 | 2 => assert_eq!(insn.code & 0xe0, 0x60, "{}", place()),
                3 => assert!(
                    insn.code & 0xe0 == 0x60 || (insn.code & 0xe0 == 0xc0 && insn.imm == 0),
                    "{}",
                    place()
                ),
                // ALU and ALU64, without sign extension; ARSH is of 64 bits alone.
                class @ (4 | 7) => {
                    assert!(insn.code & 0xf0 <= 0xd0, "{}", place());
                    assert_eq!(insn.off, 0, "{}", place());
                    assert!(class == 7 || insn.code & 0xf0 != 0xc0, "{}", place());
                    assert!(class == 4 || insn.code & 0xf0 != 0xd0, "{}", place());
                }
                5 => {
                    assert!(insn.code & 0xf0 <= 0x90, "{}", place());
                    let call = insn.code == 0x85;
                    assert!(!call || insn.src == 0, "{}: not a helper", place());
                }
                _ => panic!("{}: 32 bit jump", place()),
            }
        }
    }
    assert!(seen.contains(&0x85) && seen.contains(&0x18));
}

#[test]
fn the_verifier_of_4_4_takes_every_program() {
    let (programs, maps) = read();
    let mut refusals = Vec::new();
    println!(
        "{:16} {:10} {:>6} {:>8}",
        "PROGRAM", "SECTION", "LENGTH", "FOLLOWED"
    );
    // 4.4 has no programs for tracepoints; where they are, so is a later verifier.
    let probes = |it: &&Program| it.section != "tracepoint";
    for program in programs.iter().filter(probes) {
        let followed = verifier::verify(program, &maps);
        let steps = followed.as_ref().map_or("-".into(), ToString::to_string);
        let Program {
            name,
            section,
            insns,
        } = program;
        println!("{name:16} {section:10} {:>6} {steps:>8}", insns.len());
        refusals.extend(followed.err());
    }
    assert_eq!(refusals, Vec::<String>::new());
    for program in &programs {
        assert!(program.insns.len() < verifier::INSNS_AT_MOST);
    }
}
