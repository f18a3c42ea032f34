//! The floor: empty programs in all the places where nfs-trace has some. Whatever is on these
//! functions costs as much.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use aya::{Ebpf, programs::KProbe};
use object::{
    Architecture, BinaryFormat, Endianness, SectionKind, SymbolFlags, SymbolKind, SymbolScope,
    write::{Object, Symbol, SymbolSection},
};

/// Every kprobe of this kernel: address, `k` or `r`, symbol+offset (report_probe,
/// kernel/kprobes.c).
const LIST: &str = "/sys/kernel/debug/kprobes/list";
const ENTRY: &str = "empty_in";
const RETURN: &str = "empty_out";

/// A place: the function, and whether it is its return.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    symbol: String,
    on_return: bool,
}

/// Where something is attached now.
pub(super) fn places() -> Result<Vec<Place>> {
    let list = fs::read_to_string(LIST).with_context(|| format!("read {LIST}"))?;
    Ok(list.lines().filter_map(place).collect())
}

fn place(line: &str) -> Option<Place> {
    let mut words = line.split_whitespace().skip(1);
    let on_return = words.next()? == "r";
    let (symbol, _) = words.next()?.split_once('+')?;
    Some(Place {
        symbol: symbol.into(),
        on_return,
    })
}

/// Attaches the empty programs where those of nfs-trace were. They are there for as long as what is
/// returned.
pub(super) fn start(places: &[Place]) -> Result<Ebpf> {
    ensure!(
        !places.is_empty(),
        "{LIST} was empty while nfs-trace ran: does it attach in other ways now?"
    );
    let mut ebpf = Ebpf::load(&programs()?).context("load the empty programs")?;
    for name in [ENTRY, RETURN] {
        program(&mut ebpf, name)?.load()?;
    }
    // Returns first, as nfs-trace does.
    for Place { symbol, on_return } in places.iter().rev() {
        let name = if *on_return { RETURN } else { ENTRY };
        program(&mut ebpf, name)?
            .attach(symbol, 0)
            .with_context(|| format!("attach {name} to {symbol}"))?;
    }
    ensure!(
        sorted(self::places()?) == sorted(places.to_vec()),
        "the empty programs are not in the places of those of nfs-trace"
    );
    Ok(ebpf)
}

fn sorted(mut places: Vec<Place>) -> Vec<Place> {
    places.sort();
    places
}

fn program<'a>(ebpf: &'a mut Ebpf, name: &str) -> Result<&'a mut KProbe> {
    let program = ebpf.program_mut(name).context("find the empty program")?;
    Ok(program.try_into()?)
}

/// An object with two programs of two instructions each.
fn programs() -> Result<Vec<u8>> {
    /// r0 = 0; exit. A program that returns 0 ends what a probe does (kprobe_perf_func,
    /// kernel/trace/trace_kprobe.c).
    const EMPTY: [u8; 16] = [0xb7, 0, 0, 0, 0, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0];
    let mut object = Object::new(BinaryFormat::Elf, Architecture::Bpf, Endianness::Little);
    for (section, name) in [("kprobe", ENTRY), ("kretprobe", RETURN)] {
        let section = object.add_section(Vec::new(), section.into(), SectionKind::Text);
        object.append_section_data(section, &EMPTY, 8);
        object.add_symbol(Symbol {
            name: name.into(),
            value: 0,
            size: EMPTY.len() as u64,
            kind: SymbolKind::Text,
            scope: SymbolScope::Linkage,
            weak: false,
            section: SymbolSection::Section(section),
            flags: SymbolFlags::None,
        });
    }
    let license = object.add_section(Vec::new(), b"license".into(), SectionKind::Data);
    object.append_section_data(license, b"GPL\0", 1);
    object.write().context("write the object of empty programs")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_from_the_kernels_list() {
        let read = |line: &str| place(line).map(|it| (it.symbol, it.on_return));
        assert_eq!(
            read("ffffffffc0a1b2c0  r  nfs4_file_open+0x0    [nfsv4] [FTRACE]"),
            Some(("nfs4_file_open".into(), true))
        );
        assert_eq!(
            read("ffffffffc0a1b2c0  k  nfs_atomic_open+0x4    [nfs] "),
            Some(("nfs_atomic_open".into(), false))
        );
        assert_eq!(read(""), None);
    }

    #[test]
    fn the_object_has_a_program_for_each_kind_of_place() {
        use object::{Object as _, ObjectSection as _};
        let bytes = programs().unwrap();
        let object = object::File::parse(&*bytes).unwrap();
        for section in ["kprobe", "kretprobe"] {
            let section = object.section_by_name(section).unwrap();
            assert_eq!(section.data().unwrap().len(), 16);
        }
    }
}
