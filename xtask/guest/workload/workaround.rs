//! After a rename over a held file: what makes the next open find the new one.

use std::{
    env,
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{DirEntryExt as _, MetadataExt as _},
    path::{Path, PathBuf},
    thread,
    time::Instant,
};

use anyhow::{Context as _, Result};
use lab_contract::cure::{Act, CURES, Cure, Cured, NAME};

use super::{
    files::{self, Bench, error_name},
    rename::until_gone,
    rename_on_server,
};

/// A directory for each cure, so that none touches what another one measures.
pub(super) fn prepare(server: &Path) -> Result<()> {
    for cure in CURES {
        let directory = server.join(cure.name);
        fs::create_dir(&directory).with_context(|| format!("create {}", directory.display()))?;
        files::write(&directory, NAME, "old")?;
        files::write(&directory, "test2.txt", "new")?;
    }
    Ok(())
}

pub(super) fn run(bench: &mut Bench) -> Result<()> {
    let client = env::current_dir().context("find the scenario's directory")?;
    let (later, at_once): (Vec<&Cure>, Vec<_>) =
        CURES.iter().partition(|cure| !cure.after.is_zero());
    let mut waiting = Vec::new();
    for cure in later {
        waiting.push(Trial::begin(bench, &client, cure)?);
    }
    for cure in at_once {
        Trial::begin(bench, &client, cure)?.end(bench)?;
    }
    waiting.into_iter().try_for_each(|trial| trial.end(bench))
}

/// A cure between the rename and the reopen.
struct Trial {
    cure: &'static Cure,
    client: PathBuf,
    server: PathBuf,
    held: File,
    /// The inode number of the old file, which NFS takes over as the fileid.
    old: u64,
    renamed: Instant,
}

impl Trial {
    fn begin(bench: &mut Bench, client: &Path, cure: &'static Cure) -> Result<Self> {
        let (client, server) = (client.join(cure.name), bench.server.join(cure.name));
        enter(&client)?;
        let old = fs::metadata(server.join(NAME)).context("stat the file on the server")?;
        let held = bench.open_read(NAME)?;
        rename_on_server(&server, "test2.txt", NAME)?;
        Ok(Self {
            cure,
            client,
            server,
            held,
            old: old.ino(),
            renamed: Instant::now(),
        })
    }

    fn end(self, bench: &mut Bench) -> Result<()> {
        thread::sleep(self.cure.after.saturating_sub(self.renamed.elapsed()));
        enter(&self.client)?;
        // To the end of the reopen, but for the cure that it is.
        let mut held = Some(self.held);
        let which = |inode| if inode == self.old { "old" } else { "new" };
        let stat = || match fs::metadata(NAME) {
            Ok(stat) => format!("{}, nlink {}", which(stat.ino()), stat.nlink()),
            Err(error) => error_name(&error),
        };
        let itself = match self.cure.act {
            Act::Nothing => "-".to_owned(),
            Act::Stat => stat(),
            Act::List => match list() {
                Ok(Some(inode)) => which(inode).to_owned(),
                Ok(None) => "no such name".to_owned(),
                Err(error) => error_name(&error),
            },
            Act::ListLong => {
                list().context("list the directory")?;
                stat()
            }
            Act::OtherMode => bench.look(NAME, OpenOptions::new().read(true).write(true)),
            Act::Close => {
                until_gone(&self.server, || {
                    drop(held.take());
                    Ok(())
                })?;
                "-".to_owned()
            }
        };
        let reads = bench.look(NAME, OpenOptions::new().read(true));
        // Freed later, it would be taken for the file that the next trial waits for.
        if held.is_some() {
            until_gone(&self.server, || {
                drop(held.take());
                Ok(())
            })?;
        }
        bench.note_cure(Cured {
            cure: self.cure.name.to_owned(),
            itself,
            reads,
        });
        Ok(())
    }
}

fn enter(directory: &Path) -> Result<()> {
    env::set_current_dir(directory).with_context(|| format!("enter {}", directory.display()))
}

/// The inode number that the directory's listing gives for the name. No stat.
fn list() -> io::Result<Option<u64>> {
    let mut found = None;
    for entry in fs::read_dir(".")? {
        let entry = entry?;
        if entry.file_name() == NAME {
            found = Some(entry.ino());
        }
    }
    Ok(found)
}
