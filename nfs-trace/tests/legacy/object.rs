//! The legacy object as the loader sees it: programs with their maps put in, and the maps.

use object::{Object as _, ObjectSection as _, ObjectSymbol as _, RelocationTarget, SymbolKind};

/// One map.
#[derive(Debug)]
pub(crate) struct Map {
    pub(crate) name: String,
    pub(crate) kind: MapKind,
    pub(crate) key_size: u32,
    pub(crate) value_size: u32,
    pub(crate) flags: u32,
}

/// enum bpf_map_type, as far as 4.4 has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MapKind {
    Hash,
    Array,
    Programs,
    Perf,
    Newer(u32),
}

/// One instruction; the second half of a wide one has code 0.
#[derive(Clone, Copy)]
pub(crate) struct Insn {
    pub(crate) code: u8,
    pub(crate) dst: u8,
    pub(crate) src: u8,
    pub(crate) off: i16,
    pub(crate) imm: i32,
    /// The map that a relocation puts in.
    pub(crate) map: Option<usize>,
}

impl std::fmt::Display for Insn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{:02x} dst {} src {} off {} imm {}",
            self.code, self.dst, self.src, self.off, self.imm
        )
    }
}

/// One program.
pub(crate) struct Program {
    pub(crate) name: String,
    pub(crate) section: String,
    pub(crate) insns: Vec<Insn>,
}

/// bpf_probe_read_kernel, and what the loader puts in its place where it is missing: aya's
/// `Function::sanitize` does it to every call.
const PROBE_READ_KERNEL: i32 = 113;
const PROBE_READ: i32 = 4;

/// Reads the object that the build script made.
pub(crate) fn read() -> (Vec<Program>, Vec<Map>) {
    let bytes = std::fs::read(env!("NFS_TRACE_PROGRAMS_LEGACY")).expect("the object");
    let file = object::File::parse(&*bytes).expect("an ELF file");
    let maps = maps(&file);
    let mut programs = Vec::new();
    for symbol in file.symbols() {
        if symbol.kind() != SymbolKind::Text || symbol.size() == 0 {
            continue;
        }
        let section = symbol.section_index().expect("a defined function");
        let section = file.section_by_index(section).expect("its section");
        let name = section.name().expect("UTF-8");
        // What the compiler brings along; nothing may call it.
        if name == ".text" {
            continue;
        }
        let (start, size) = (symbol.address() as usize, symbol.size() as usize);
        let data = &section.data().expect("code")[start..start + size];
        let mut insns: Vec<Insn> = data.chunks_exact(8).map(insn).collect();
        for (offset, relocation) in section.relocations() {
            let Some(at) = (offset as usize).checked_sub(start).filter(|at| *at < size) else {
                continue;
            };
            let RelocationTarget::Symbol(index) = relocation.target() else {
                panic!("{name}+{offset:#x}: relocation to no symbol");
            };
            let target = file.symbol_by_index(index).expect("the symbol");
            let target = target.name().expect("UTF-8");
            let map = maps.iter().position(|map| map.name == target);
            insns[at / 8].map =
                Some(map.unwrap_or_else(|| panic!("{name}+{offset:#x} refers to {target}")));
        }
        programs.push(Program {
            name: symbol.name().expect("UTF-8").into(),
            section: name.into(),
            insns,
        });
    }
    (programs, maps)
}

/// Names of the sections that are loaded.
pub(crate) fn sections() -> Vec<String> {
    let bytes = std::fs::read(env!("NFS_TRACE_PROGRAMS_LEGACY")).expect("the object");
    let file = object::File::parse(&*bytes).expect("an ELF file");
    let name = |section: object::Section<'_, '_>| section.name().expect("UTF-8").to_string();
    file.sections()
        .filter(|it| it.size() > 0)
        .map(name)
        .collect()
}

fn insn(bytes: &[u8]) -> Insn {
    let code = bytes[0];
    let mut imm = i32::from_le_bytes(bytes[4..8].try_into().expect("four bytes"));
    if code == 0x85 && bytes[1] == 0 && imm == PROBE_READ_KERNEL {
        imm = PROBE_READ;
    }
    Insn {
        code,
        dst: bytes[1] & 0xf,
        src: bytes[1] >> 4,
        off: i16::from_le_bytes([bytes[2], bytes[3]]),
        imm,
        map: None,
    }
}

/// struct bpf_map_def of aya: seven words.
fn maps(file: &object::File<'_>) -> Vec<Map> {
    let section = file.section_by_name("maps").expect("the section of maps");
    let data = section.data().expect("definitions");
    file.symbols()
        .filter(|symbol| symbol.section_index() == Some(section.index()) && symbol.size() > 0)
        .map(|symbol| {
            let start = symbol.address() as usize;
            let word = |at: usize| {
                let bytes = &data[start + at * 4..start + at * 4 + 4];
                u32::from_le_bytes(bytes.try_into().expect("four bytes"))
            };
            Map {
                name: symbol.name().expect("UTF-8").into(),
                kind: match word(0) {
                    1 => MapKind::Hash,
                    2 => MapKind::Array,
                    3 => MapKind::Programs,
                    4 => MapKind::Perf,
                    newer => MapKind::Newer(newer),
                },
                key_size: word(1),
                value_size: word(2),
                flags: word(4),
            }
        })
        .collect()
}
