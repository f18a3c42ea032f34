//! The built objects against the table of probes: no program without a row, no row
//! without a program, nothing in them that the design rules out.

use std::collections::BTreeSet;

use nfs_trace_ebpf::probes::{At, CACHED, EXIT, FORK, LAYOUT_PROGRAM, NAMES_PROGRAM, PROBES};
use object::{Object as _, ObjectSection as _, ObjectSymbol as _, RelocationTarget, SymbolKind};

/// The one for the ring buffer, and the legacy one.
const OBJECTS: [(&str, bool); 2] = [
    (env!("NFS_TRACE_PROGRAMS"), false),
    (env!("NFS_TRACE_PROGRAMS_LEGACY"), true),
];

fn bytes(path: &str) -> Vec<u8> {
    std::fs::read(path).expect("the object that the build script made")
}

/// Functions of the object and the sections they are in.
fn functions(file: &object::File<'_>) -> BTreeSet<(String, String)> {
    file.symbols()
        .filter(|symbol| symbol.kind() == SymbolKind::Text && symbol.size() > 0)
        .map(|symbol| {
            let section = symbol.section_index().expect("a defined function");
            let section = file.section_by_index(section).expect("its section");
            let name = |text: Result<&str, _>| text.expect("UTF-8").to_string();
            (name(symbol.name()), name(section.name()))
        })
        .filter(|(_, section)| section != ".text")
        .collect()
}

#[test]
fn every_row_has_its_program_and_every_program_its_row() {
    let row = |name: &str, section: &str| (name.to_string(), section.to_string());
    for (path, legacy) in OBJECTS {
        let bytes = bytes(path);
        let file = object::File::parse(&*bytes).expect("an ELF file");
        let mut in_table: BTreeSet<(String, String)> = PROBES
            .iter()
            .map(|probe| match probe.at {
                At::Entry => row(probe.program, "kprobe"),
                At::Return => row(probe.program, "kretprobe"),
            })
            .collect();
        in_table.insert(row(NAMES_PROGRAM, "kprobe"));
        in_table.insert(row(FORK.0, "tracepoint"));
        in_table.insert(row(CACHED.0, "tracepoint"));
        if legacy {
            in_table.extend([EXIT.0, LAYOUT_PROGRAM].map(|name| row(name, "kprobe")));
        } else {
            in_table.insert(row(EXIT.0, "tracepoint"));
        }
        assert_eq!(functions(&file), in_table, "{path}");
    }
}

/// Kernels refuse a program with two lines for one place (check_btf_line(), kernel/bpf/verifier.c,
/// 5.0), which an inline asm without an instruction makes.
#[test]
fn no_two_lines_are_of_one_instruction() {
    // struct btf_ext_header: at 4 its length, at 16 and 20 where the lines are behind it; then the
    // size of a line, and for each section its name, how many lines, and the lines, which begin
    // with where they are.
    for (path, _) in OBJECTS {
        let bytes = bytes(path);
        let file = object::File::parse(&*bytes).expect("an ELF file");
        let section = file.section_by_name(".BTF.ext").expect("debug information");
        let data = section.data().expect("its bytes");
        let word = |at: usize| {
            let word = data[at..at + 4].try_into().expect("four bytes");
            u32::from_ne_bytes(word) as usize
        };
        let mut at = word(4) + word(16);
        let end = at + word(20);
        let line = word(at);
        at += 4;
        let mut lines = 0;
        while at < end {
            let count = word(at + 4);
            let places = (0..count).map(|one| word(at + 8 + one * line));
            assert!(places.is_sorted_by(|a, b| a < b), "{path}");
            at += 8 + count * line;
            lines += count;
        }
        assert!(lines > 1000, "{path}: {lines} lines");
    }
}

/// nfs_lookup_verify_inode runs for every component of every path: no cost for a trace.
#[test]
fn what_is_not_asked_for_is_the_check_of_the_inode_alone() {
    let left_out: Vec<_> = PROBES
        .iter()
        .filter(|probe| !probe.asked_for(false))
        .map(|probe| probe.symbol)
        .collect();
    assert_eq!(left_out, ["nfs_lookup_verify_inode"]);
    assert!(PROBES.iter().all(|probe| probe.asked_for(true)));
}

#[test]
fn the_kernels_list_of_programs_shows_whole_names() {
    for (path, _) in OBJECTS {
        for (program, _) in functions(&object::File::parse(&*bytes(path)).expect("an ELF file")) {
            assert!(
                program.len() <= 15,
                "{program}: the kernel cuts it (BPF_OBJ_NAME_LEN is 16)"
            );
        }
    }
}

/// Exercises the rule that programs neither call each other nor a memcpy of ours:
/// kernels before 4.16 have no bpf-to-bpf calls.
#[test]
fn programs_call_only_helpers() {
    for (path, _) in OBJECTS {
        let bytes = bytes(path);
        let file = object::File::parse(&*bytes).expect("an ELF file");
        let mut seen = 0;
        for section in file.sections() {
            let name = section.name().expect("UTF-8");
            if !["kprobe", "kretprobe", "tracepoint"].contains(&name) {
                continue;
            }
            for (offset, relocation) in section.relocations() {
                seen += 1;
                let RelocationTarget::Symbol(index) = relocation.target() else {
                    panic!("{name}+{offset:#x}: relocation to no symbol");
                };
                let symbol = file.symbol_by_index(index).expect("the symbol");
                assert_ne!(
                    symbol.kind(),
                    SymbolKind::Text,
                    "{name}+{offset:#x} calls {}",
                    symbol.name().unwrap_or_default(),
                );
            }
        }
        assert!(
            seen > PROBES.len(),
            "every program uses a map, so there are relocations"
        );
    }
}

/// Instructions of each program, in the one for the ring buffer and in the legacy one; 0 where an
/// object has none of that name. What a hit costs grows with them.
const LENGTHS: &[(&str, u64, u64)] = &[
    ("nfst_atomic_in", 560, 1494),
    ("nfst_atomic_out", 499, 466),
    ("nfst_cached", 85, 98),
    ("nfst_encode", 56, 68),
    ("nfst_encode_fh", 56, 68),
    ("nfst_exit", 390, 322),
    ("nfst_fopen_in", 743, 1681),
    ("nfst_fopen_out", 576, 429),
    ("nfst_fork", 541, 65),
    ("nfst_layout", 0, 384),
    ("nfst_lookup_in", 63, 76),
    ("nfst_lookup_out", 100, 123),
    ("nfst_names", 193, 966),
    ("nfst_open_done", 58, 70),
    ("nfst_prepare", 61, 73),
    ("nfst_reval_in", 734, 1629),
    ("nfst_reval_out", 354, 391),
    ("nfst_stateid", 57, 63),
    ("nfst_task_in", 750, 296),
    ("nfst_task_out", 339, 201),
    ("nfst_try_cached", 49, 55),
    ("nfst_verf_check", 53, 59),
    ("nfst_verf_inode", 53, 59),
    ("nfst_verf_set", 53, 59),
];

/// More than this part of a program, up or down, has to be in the table above, in the commit that
/// it comes from.
const UNNOTICED: f64 = 0.05;

#[test]
fn no_program_grows_unnoticed() {
    let mut found = std::collections::BTreeMap::<String, [u64; 2]>::new();
    for (column, (path, _)) in OBJECTS.iter().enumerate() {
        let bytes = bytes(path);
        let file = object::File::parse(&*bytes).expect("an ELF file");
        let programs = functions(&file);
        for symbol in file.symbols() {
            let name = symbol.name().expect("UTF-8");
            if programs.iter().any(|(program, _)| program == name) {
                found.entry(name.into()).or_default()[column] = symbol.size() / 8;
            }
        }
    }
    let known = |name: &str| {
        let row = LENGTHS.iter().find(|(program, ..)| *program == name);
        row.map_or([0, 0], |(_, modern, legacy)| [*modern, *legacy])
    };
    let differs = |(now, then): (u64, u64)| {
        now.abs_diff(then) as f64 > then as f64 * UNNOTICED || (now == 0) != (then == 0)
    };
    let mut changed = String::new();
    for (name, now) in &found {
        let then = known(name);
        if now.iter().copied().zip(then).any(differs) {
            changed += &format!(
                "    (\"{name}\", {}, {}), // was {then:?}\n",
                now[0], now[1]
            );
        }
    }
    assert_eq!(LENGTHS.len(), found.len(), "{found:?}");
    assert_eq!(changed, "", "put these into LENGTHS");
}
