//! What is opened, larger and larger: names, tasks, mounts, paths. All of it is held open, so that
//! every open is a cached one.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    sync::Barrier,
    thread,
    time::Instant,
};

use anyhow::{Context as _, Result};
use lab_contract::{
    benched::{self, Benched},
    grown::{Dimension, Shape},
    protocol::{Job, Message, NfsVersion},
};

use super::{OPENS, SETTLE, count, nanos, watcher::Watcher};
use crate::{client, serial, server::EXPORT};

const ROUNDS: usize = 3;
/// Names of one file; ext4 takes 65,000.
const LINKS: usize = 50_000;

/// Every shape of the job in every way of it: exactly one result each.
pub(crate) fn all(job: &Job) -> Result<()> {
    let version = *job.versions.first().context("find an NFS version")?;
    client::mount(version)?;
    let begun = Instant::now();
    let shapes: Vec<Shape> = job
        .scenarios
        .iter()
        .filter_map(|it| it.parse().ok())
        .collect();
    let held = Held::new(version, &shapes)?;
    serial::log(format!(
        "{} names are there, after {} million instructions",
        held.dentries.len(),
        nanos(begun) / 1_000_000
    ));
    for way in job.scenarios.iter().filter_map(|it| benched::way(it)) {
        let begun = Instant::now();
        let watcher = Watcher::start(&way.watch, str::to_owned)?;
        let armed = nanos(begun);
        thread::sleep(SETTLE);
        for &shape in &shapes {
            let benched = Benched {
                way: way.name.into(),
                shape: shape.name(),
                armed,
                ..held.measure(shape)?
            };
            serial::send(&Message::Benched(benched));
        }
        watcher.end()?;
    }
    serial::send(&Message::Done);
    Ok(())
}

/// All that is opened, and what holds it.
struct Held {
    dentries: Vec<PathBuf>,
    mounts: Vec<PathBuf>,
    depths: Vec<(usize, PathBuf)>,
    names: Vec<(usize, PathBuf)>,
    files: Vec<File>,
}

impl Held {
    fn new(version: NfsVersion, shapes: &[Shape]) -> Result<Self> {
        let mut held = Self {
            dentries: Vec::new(),
            mounts: Vec::new(),
            depths: Vec::new(),
            names: Vec::new(),
            files: Vec::new(),
        };
        let sizes_of = |dimension| {
            let of = shapes.iter().filter(move |it| it.dimension == dimension);
            of.map(|shape| shape.size)
        };
        // The first of them is what tasks open.
        held.dentries(sizes_of(Dimension::Dentries).max().unwrap_or(1))?;
        held.mounts(sizes_of(Dimension::Mounts).max().unwrap_or(0), version)?;
        for depth in sizes_of(Dimension::Depth) {
            let mut path: PathBuf = vec!["d"; depth - 1].iter().collect();
            path.push(format!("depth{depth}"));
            held.hold(&path)?;
            held.depths.push((depth, path));
        }
        for length in sizes_of(Dimension::Name) {
            let path = PathBuf::from("n".repeat(length));
            held.hold(&path)?;
            held.names.push((length, path));
        }
        Ok(held)
    }

    /// Makes a file on the server and holds it open on the client.
    fn hold(&mut self, path: &Path) -> Result<()> {
        let on_server = Path::new(EXPORT).join(path);
        let folder = on_server.parent().unwrap_or(&on_server);
        fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
        fs::write(&on_server, "held").with_context(|| format!("make {}", on_server.display()))?;
        self.files.push(open(&Path::new(client::MOUNT).join(path))?);
        Ok(())
    }

    /// Names of a few files, all of them in the client's cache.
    fn dentries(&mut self, most: usize) -> Result<()> {
        const FOLDER: &str = "names";
        let mut of = PathBuf::new();
        for number in 0..most {
            let path = Path::new(FOLDER).join(format!("{number:06}"));
            if number % LINKS == 0 {
                self.hold(&path)?;
                of = Path::new(EXPORT).join(&path);
            } else {
                let link = Path::new(EXPORT).join(&path);
                fs::hard_link(&of, &link).with_context(|| format!("make {}", link.display()))?;
            }
            self.dentries.push(Path::new(client::MOUNT).join(path));
        }
        // As `ls -l` does: READDIR brings the files as well, and asks for more of them the more
        // they are looked at. A LOOKUP for each name would take ten times as long.
        let folder = Path::new(client::MOUNT).join(FOLDER);
        for entry in fs::read_dir(&folder).with_context(|| format!("list {}", folder.display()))? {
            let path = entry?.path();
            fs::symlink_metadata(&path).with_context(|| format!("look at {}", path.display()))?;
        }
        Ok(())
    }

    fn mounts(&mut self, most: usize, version: NfsVersion) -> Result<()> {
        let on_server = Path::new(EXPORT).join("mounted");
        fs::write(&on_server, "held").with_context(|| format!("make {}", on_server.display()))?;
        for number in 0..most {
            let point = format!("/mount{number}");
            fs::create_dir_all(&point).with_context(|| format!("make {point}"))?;
            client::mount_with(version, "/", &point, ",nosharecache")?;
            let path = Path::new(&point).join("mounted");
            self.files.push(open(&path)?);
            self.mounts.push(path);
        }
        Ok(())
    }

    fn measure(&self, shape: Shape) -> Result<Benched> {
        let on_mount = |paths: &[(usize, PathBuf)]| {
            let path = paths.iter().find(|(size, _)| *size == shape.size);
            path.map(|(_, path)| Path::new(client::MOUNT).join(path))
        };
        let paths: Vec<PathBuf> = match shape.dimension {
            Dimension::Tasks => self.dentries.iter().take(1).cloned().collect(),
            Dimension::Dentries => self.dentries.iter().take(shape.size).cloned().collect(),
            Dimension::Mounts => self.mounts.iter().take(shape.size).cloned().collect(),
            Dimension::Depth => on_mount(&self.depths).into_iter().collect(),
            Dimension::Name => on_mount(&self.names).into_iter().collect(),
        };
        let opens = OPENS.max(paths.len() as u64);
        let (tasks, opens) = match shape.dimension {
            Dimension::Tasks => (shape.size, opens.next_multiple_of(shape.size as u64)),
            _ => (1, opens),
        };
        // Many names are a long round, and one is enough.
        let rounds = if opens > OPENS * 2 { 1 } else { ROUNDS };
        round(&paths, tasks, opens)?;
        let rounds = (0..rounds)
            .map(|_| round(&paths, tasks, opens))
            .collect::<Result<_>>()?;
        Ok(Benched {
            opens,
            rounds,
            ..Benched::default()
        })
    }
}

/// Instructions that it takes to open the paths in turn, by each of the tasks, with all that a reader
/// does for them afterwards.
fn round(paths: &[PathBuf], tasks: usize, opens: u64) -> Result<u64> {
    let each = opens as usize / tasks;
    let begin = Barrier::new(tasks);
    let run = || -> Result<()> {
        begin.wait();
        for path in paths.iter().cycle().take(each) {
            open(path)?;
            thread::yield_now();
        }
        Ok(())
    };
    let (took, _) = count(|| {
        thread::scope(|scope| {
            let running: Vec<_> = (0..tasks).map(|_| scope.spawn(run)).collect();
            let join =
                |task: thread::ScopedJoinHandle<'_, _>| task.join().expect("a task panicked");
            running.into_iter().try_for_each(join)
        })
    })?;
    Ok(took)
}

fn open(path: &Path) -> Result<File> {
    File::open(path).with_context(|| format!("open {}", path.display()))
}
