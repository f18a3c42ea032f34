//! The standard library's source for the compiler: the programs' `core` is built from it.
//!
//! From where it is first found: in the toolchain, by rustup, in Debian's package of exactly
//! this version, and last for an installed nightly compiler. A trial build proves each.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail, ensure};
use serde::{Deserialize, Serialize};

use super::{Tools, bpf_linker, debian_rust, trial};
use crate::{cache, exec, workspace};

/// Where cargo looks below the sysroot.
const PLACE: &str = "lib/rustlib/src/rust";

/// What worked, and for which compiler it did.
#[derive(Serialize, Deserialize)]
struct Choice {
    compiler: Compiler,
    linker: String,
    said: String,
    tools: Tools,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Compiler {
    /// `1.95.0`, `1.97.0-nightly`
    release: String,
    /// All that `rustc -vV` prints
    version: String,
    sysroot: PathBuf,
}

/// A way to get the source: what to say of it, and the tools to build with.
type Way = fn(&Compiler) -> Result<(String, Tools)>;

const WAYS: [Way; 4] = [installed, by_rustup, by_debian, for_a_nightly];

/// The tools to build with, chosen once for a compiler and a linker.
pub(super) fn ensure(linker_folder: Option<&Path>) -> Result<Tools> {
    let compiler = Compiler::of(None)?;
    let known = read_choice().ok().filter(|choice| {
        choice.compiler == compiler
            && choice.linker == bpf_linker::VERSION
            && choice.tools.path.as_deref() == linker_folder
            && choice
                .tools
                .source_of(&compiler)
                .is_ok_and(|library| has_core(&library))
    });
    if let Some(Choice { tools, .. }) = known {
        return Ok(tools);
    }
    let _lock = cache::lock("rust-src")?;
    let mut refused = Vec::new();
    for way in WAYS {
        let tried = way(&compiler).and_then(|(said, mut tools)| {
            tools.path = linker_folder.map(Path::to_owned);
            eprintln!("setup: trying rust-src: {said}");
            trial::build(&tools).with_context(|| said.clone())?;
            Ok((said, tools))
        });
        match tried {
            Ok((said, tools)) => {
                eprintln!("setup: a trial program builds with it");
                let linker = bpf_linker::VERSION.to_owned();
                let choice = Choice {
                    compiler,
                    linker,
                    said,
                    tools,
                };
                write_choice(&choice)?;
                return Ok(choice.tools);
            }
            Err(error) => refused.push(format!("- {error:#}")),
        }
    }
    let release = &compiler.release;
    bail!(
        "find the library source of rustc {release}: run `rustup component add rust-src` \
         where rustup can download. Tried:\n{}",
        refused.join("\n")
    );
}

/// In words, what was chosen.
pub(super) fn chosen() -> Result<String> {
    Ok(read_choice()?.said)
}

fn installed(compiler: &Compiler) -> Result<(String, Tools)> {
    let Compiler {
        release, sysroot, ..
    } = compiler;
    let library = sysroot.join(PLACE).join("library");
    ensure!(
        has_core(&library),
        "the toolchain has none in {}",
        library.display()
    );
    Ok((format!("rustc {release} has it"), Tools::default()))
}

fn by_rustup(compiler: &Compiler) -> Result<(String, Tools)> {
    exec::require("rustup", "rustup")?;
    eprintln!("setup: asking rustup for rust-src");
    let mut add = Command::new("rustup");
    add.current_dir(workspace::root())
        .args(["component", "add", "rust-src"]);
    exec::run(&mut add)?;
    installed(compiler).map(|(said, tools)| (format!("{said}, from rustup"), tools))
}

fn by_debian(compiler: &Compiler) -> Result<(String, Tools)> {
    let Compiler {
        release, sysroot, ..
    } = compiler;
    let (package, source) = debian_rust::exactly(release)?;
    let tools = match link(&source, &sysroot.join(PLACE)) {
        Ok(()) => Tools::default(),
        // Not ours to write: cargo's own tests have a door for that.
        Err(_) => Tools {
            rust_src: Some(source.join("library")),
            ..Tools::default()
        },
    };
    Ok((format!("Debian's {package} for rustc {release}"), tools))
}

fn for_a_nightly(_: &Compiler) -> Result<(String, Tools)> {
    let toolchains = exec::output(Command::new("rustup").args(["toolchain", "list"]))?;
    let nightly = toolchains
        .split_whitespace()
        .find(|name| name.starts_with("nightly"))
        .context("there is no nightly toolchain either")?;
    let compiler = Compiler::of(Some(nightly))?;
    let mut tools = Tools {
        toolchain: Some(nightly.to_owned()),
        ..Tools::default()
    };
    if let Ok((said, _)) = installed(&compiler) {
        return Ok((said, tools));
    }
    let (package, source) = debian_rust::nearest(&compiler.release)?;
    tools.rust_src = Some(source.join("library"));
    Ok((
        format!("Debian's {package} for rustc {}", compiler.release),
        tools,
    ))
}

impl Compiler {
    /// The workspace's, or another installed toolchain's.
    fn of(toolchain: Option<&str>) -> Result<Self> {
        let ask = |what: &[&str]| {
            let mut rustc = Command::new("rustc");
            rustc.current_dir(workspace::root()).args(what);
            if let Some(toolchain) = toolchain {
                rustc.env("RUSTUP_TOOLCHAIN", toolchain);
            }
            exec::output(&mut rustc)
        };
        let version = ask(&["-vV"])?;
        let release = version
            .lines()
            .find_map(|line| line.strip_prefix("release: "))
            .context("find the release in what rustc -vV prints")?
            .to_owned();
        let sysroot = PathBuf::from(ask(&["--print", "sysroot"])?.trim());
        Ok(Self {
            release,
            version,
            sysroot,
        })
    }
}

impl Tools {
    /// The library that a build with these tools uses.
    fn source_of(&self, compiler: &Compiler) -> Result<PathBuf> {
        if let Some(library) = &self.rust_src {
            return Ok(library.clone());
        }
        let sysroot = match &self.toolchain {
            Some(toolchain) => Compiler::of(Some(toolchain))?.sysroot,
            None => compiler.sysroot.clone(),
        };
        Ok(sysroot.join(PLACE).join("library"))
    }
}

fn has_core(library: &Path) -> bool {
    library.join("core/src/lib.rs").exists()
}

/// A link of before may lead to a cache that is gone.
fn link(source: &Path, place: &Path) -> Result<()> {
    if place.is_symlink() {
        fs::remove_file(place).with_context(|| format!("remove the link {}", place.display()))?;
    }
    if let Some(folder) = place.parent() {
        cache::create_dir(folder)?;
    }
    symlink(source, place).with_context(|| format!("link {}", place.display()))
}

fn choice_file() -> Result<PathBuf> {
    Ok(cache::root()?.join("setup/rust-src.json"))
}

fn read_choice() -> Result<Choice> {
    let text = cache::read(&choice_file()?)?;
    serde_json::from_str(&text).context("read the choice of rust-src")
}

fn write_choice(choice: &Choice) -> Result<()> {
    let text = serde_json::to_string_pretty(choice).context("write the choice of rust-src")?;
    cache::write(&choice_file()?, text)
}
