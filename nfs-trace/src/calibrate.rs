//! Whether a layout is right: a program reads a file of /proc with it while we open that, and
//! what it reads has to be what stat(2) says. No layout is used before.

use std::{
    ffi::OsStr,
    fs::{self, File, OpenOptions},
    io,
    os::unix::{ffi::OsStrExt as _, fs::MetadataExt as _, fs::OpenOptionsExt as _},
    path::{Path, PathBuf},
    process, slice, thread,
};

use anyhow::{Context as _, anyhow};
use aya::{Ebpf, maps::Array, programs::KProbe};
use nfs_trace_ebpf::{
    calibration::{SAMPLE_SIZE, Sample},
    config::{CONFIG_MAP, CONFIG_SIZE, Config, Offsets},
    probes::{LAYOUT_PROGRAM, LAYOUT_SYMBOLS},
};
use rustix::fs::{OFlags, fcntl_getfl, major, minor};
use zerocopy::{FromBytes as _, IntoBytes as _};

use crate::{
    cli::LayoutArgs,
    exit::ExitError,
    kernel::{
        Facts, candidates,
        layout::{Layout, Misread, Source, choose},
        leftovers::Lines,
    },
    object,
    refusal::refused,
    transport::allow_maps,
};

/// Files of /proc whose open goes through single_open(), with flags to open them with. Two, so
/// that no field is right by chance.
const FILES: [(&str, OFlags); 2] = [("status", OFlags::NONBLOCK), ("statm", OFlags::SYNC)];

/// The layout to use, of those that are there and asked for.
///
/// # Errors
/// If a file that was named is not what it should be. That no layout fits is no error.
pub fn layout(args: &LayoutArgs, facts: &Facts) -> anyhow::Result<Layout> {
    let wrong = |option: &str| {
        let option = option.to_string();
        move |why: String| ExitError::usage(format!("{option}: {why}"))
    };
    let version = facts.version();
    let wanted = |source| args.layout.is_none_or(|asked| asked == source);
    let asked = if args.layout.is_some() {
        "as asked for"
    } else {
        ""
    };
    // Also when they are not wanted: a file that is damaged is said to be.
    let files = match args.btf.as_slice() {
        [] => None,
        paths => Some(candidates::of_files(paths, version).map_err(wrong("--btf"))?),
    };
    let table = match &args.layout_table {
        None => None,
        Some(path) => Some(candidates::of_table(path).map_err(wrong("--layout-table"))?),
    };
    let mut all = Vec::new();
    if wanted(Source::Btf) {
        all.push(files.unwrap_or_else(|| candidates::of_kernel(version)));
    }
    if wanted(Source::Table) {
        all.push(table.unwrap_or_else(|| candidates::built_in(version, asked.into())));
    }
    if all.is_empty() {
        return Ok(Layout::none(asked.into()));
    }
    // Goes after the calibration.
    let _lines = Lines::of(facts);
    let mut calibration = None;
    Ok(choose(all, |offsets| {
        let calibration = match &mut calibration {
            Some(calibration) => calibration,
            none => none.insert(Calibration::start().map_err(|error| first_line(&error))?),
        };
        calibration
            .misread(offsets)
            .map_err(|error| first_line(&error))
    }))
}

/// Of what the verifier says, the beginning is enough here.
fn first_line(error: &anyhow::Error) -> String {
    log::debug!("calibration: {error:#}");
    let text = format!("{error:#}");
    text.lines().next().unwrap_or_default().to_string()
}

/// The program, loaded.
struct Calibration {
    ebpf: Ebpf,
    /// Functions that it is not attached to yet.
    symbols: slice::Iter<'static, &'static str>,
    /// Opens so far.
    opens: u32,
}

impl Calibration {
    /// Loads the program and attaches it.
    fn start() -> anyhow::Result<Self> {
        allow_maps();
        let mut this = Self {
            ebpf: object::load_for_calibration()?,
            symbols: LAYOUT_SYMBOLS.iter(),
            opens: 0,
        };
        let what = format!("the program {LAYOUT_PROGRAM}");
        let loaded = this.program()?.load();
        loaded.map_err(|error| refused(&what, error))?;
        this.attach_next()?;
        Ok(this)
    }

    fn program(&mut self) -> anyhow::Result<&mut KProbe> {
        let program = self
            .ebpf
            .program_mut(LAYOUT_PROGRAM)
            .with_context(|| format!("the object has no program {LAYOUT_PROGRAM}"))?;
        Ok(program.try_into()?)
    }

    /// Attaches it to the next function that can be probed. One is enough, unless a compiler
    /// made it a part of those that call it.
    fn attach_next(&mut self) -> anyhow::Result<()> {
        let mut refusal = anyhow!("our own open of a file of /proc was not seen");
        while let Some(symbol) = self.symbols.next() {
            match self.program()?.attach(symbol, 0) {
                Ok(_) => return Ok(()),
                Err(error) => refusal = refused(&format!("the probe on {symbol}"), error),
            }
        }
        Err(refusal)
    }

    /// What these offsets get wrong.
    fn misread(&mut self, offsets: &Offsets) -> anyhow::Result<Misread> {
        let mut misread = Misread::new();
        for (name, flags) in FILES {
            let (mut sample, mut known) = self.sample(offsets, name, flags)?;
            while sample.taken == 0 {
                self.attach_next()?;
                (sample, known) = self.sample(offsets, name, flags)?;
            }
            for word in differences(&sample, &known) {
                if !misread.contains(&word) {
                    misread.push(word);
                }
            }
        }
        Ok(misread)
    }

    /// Opens a file and has it read by these offsets.
    fn sample(
        &mut self,
        offsets: &Offsets,
        name: &str,
        flags: OFlags,
    ) -> anyhow::Result<(Sample, Known)> {
        self.opens += 1;
        let thread = format!("nfst{}.{}", process::id(), self.opens);
        let config = Config {
            offsets: *offsets,
            ..Config::NONE
        };
        let config: [u8; CONFIG_SIZE] = zerocopy::transmute!(config);
        self.array(CONFIG_MAP)?.set(0, config, 0)?;
        let mut asked = Sample::default();
        let comm = asked.comm.as_mut_bytes();
        for (to, from) in comm.iter_mut().zip(thread.bytes()) {
            *to = from;
        }
        let asked: [u8; SAMPLE_SIZE] = zerocopy::transmute!(asked);
        self.array("SAMPLE")?.set(0, asked, 0)?;
        let name = name.to_string();
        let known = thread::Builder::new()
            .name(thread)
            .spawn(move || Known::open(&name, flags))
            .and_then(|thread| {
                thread
                    .join()
                    .unwrap_or_else(|_| Err(io::ErrorKind::Other.into()))
            })
            .context("failed to open a file of /proc")?;
        let found = self.array::<SAMPLE_SIZE>("SAMPLE")?.get(&0, 0)?;
        let found = Sample::read_from_bytes(&found).map_err(|_| anyhow!("size of the sample"))?;
        Ok((found, known))
    }

    fn array<const N: usize>(
        &mut self,
        name: &str,
    ) -> anyhow::Result<Array<&mut aya::maps::MapData, [u8; N]>> {
        let map = self
            .ebpf
            .map_mut(name)
            .with_context(|| format!("no map {name}"))?;
        Ok(Array::try_from(map)?)
    }
}

/// What is true for an open file of /proc.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Known {
    path: PathBuf,
    flags: u32,
    mode: u32,
    /// As the kernel keeps it: the major in bits 20 and up.
    dev: u32,
    ino: u64,
}

impl Known {
    /// Opens the file and asks for it.
    fn open(name: &str, flags: OFlags) -> io::Result<Self> {
        // /proc/self is a link.
        let path = fs::canonicalize(Path::new("/proc/self").join(name))?;
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(flags.bits().cast_signed())
            .open(&path)?;
        Self::of(&file, path)
    }

    fn of(file: &File, path: PathBuf) -> io::Result<Self> {
        let stat = file.metadata()?;
        Ok(Self {
            path,
            flags: fcntl_getfl(file)?.bits(),
            mode: stat.mode(),
            dev: major(stat.dev()) << 20 | minor(stat.dev()),
            ino: stat.ino(),
        })
    }

    /// The names on the way from the file to the root of /proc, which is called `/`.
    fn names(&self) -> Vec<&OsStr> {
        let below = self.path.strip_prefix("/proc").unwrap_or(&self.path);
        below.iter().rev().chain([OsStr::new("/")]).collect()
    }
}

/// What is not as it is known to be.
fn differences(sample: &Sample, known: &Known) -> Misread {
    let names = known.names();
    let root = names.len() - 1;
    let name_is = |index: usize, name: &OsStr| {
        sample.names.get(index).is_some_and(|found| {
            let text = found.text.as_bytes();
            found.len as usize == name.len()
                && text.starts_with(name.as_bytes())
                && (found.root == 1) == (index == root)
        })
    };
    let name = names
        .iter()
        .enumerate()
        .all(|(index, name)| name_is(index, name));
    [
        (name, "name"),
        (sample.flags == known.flags, "flags of the open"),
        (sample.one_inode == 1, "inode"),
        (sample.mode == known.mode, "mode"),
        (sample.ino == known.ino, "inode number"),
        (
            sample.dentry_dev == known.dev && sample.inode_dev == known.dev,
            "device",
        ),
    ]
    .into_iter()
    .filter(|(right, _)| !right)
    .map(|(_, word)| word)
    .collect()
}

#[cfg(test)]
mod tests {
    use nfs_trace_ebpf::calibration::Component;

    use super::*;

    fn component(name: &str, root: u32) -> Component {
        let mut component = Component {
            len: name.len() as u32,
            root,
            // What lies behind a name may be anything.
            text: [u64::MAX; 2],
        };
        component.text.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        component
    }

    fn fitting() -> (Sample, Known) {
        let known = Known {
            path: "/proc/4711/status".into(),
            flags: 0x8800,
            mode: 0o100_444,
            dev: 22,
            ino: 4_026_532_000,
        };
        let sample = Sample {
            taken: 1,
            flags: 0x8800,
            mode: 0o100_444,
            one_inode: 1,
            dentry_dev: 22,
            inode_dev: 22,
            ino: 4_026_532_000,
            names: [
                component("status", 0),
                component("4711", 0),
                component("/", 1),
            ],
            ..Sample::default()
        };
        (sample, known)
    }

    #[test]
    fn what_is_right_has_no_difference() {
        let (sample, known) = fitting();
        assert_eq!(differences(&sample, &known), Misread::new());
    }

    /// Each single thing that is wrong is found, and nothing else.
    #[test]
    fn each_difference_is_named_alone() {
        type Spoil = fn(&mut Sample);
        let cases: [(Spoil, &str); 12] = [
            (|it| it.names[0] = component("statuS", 0), "name"),
            (|it| it.names[0].len = 5, "name"),
            (|it| it.names[1] = component("4712", 0), "name"),
            (|it| it.names[1].root = 1, "name"),
            (|it| it.names[2].root = 0, "name"),
            (|it| it.names[2] = Component::default(), "name"),
            (|it| it.flags = 0x8000, "flags of the open"),
            (|it| it.one_inode = 0, "inode"),
            (|it| it.mode = 0o444, "mode"),
            (|it| it.ino += 1 << 32, "inode number"),
            (|it| it.dentry_dev = 0, "device"),
            (|it| it.inode_dev = 23, "device"),
        ];
        for (spoil, word) in cases {
            let (mut sample, known) = fitting();
            spoil(&mut sample);
            assert_eq!(differences(&sample, &known), [word], "{sample:?}");
        }
    }

    #[test]
    fn a_file_of_proc_is_known() {
        let known = Known::open("status", OFlags::NONBLOCK).unwrap();
        let pid = process::id().to_string();
        assert_eq!(known.names(), ["status", &pid, "/"]);
        assert_eq!(known.mode & 0o170_000, 0o100_000);
        assert_ne!(known.flags & OFlags::NONBLOCK.bits(), 0);
        let other = Known::open("statm", OFlags::SYNC).unwrap();
        assert_ne!((other.flags, other.ino), (known.flags, known.ino));
        assert_eq!(other.dev, known.dev);
    }
}
