//! `--metrics FILE`: counts of a live trace for a Prometheus that is already there, in a file that
//! the textfile collector of its node_exporter reads.
//!
//! ```text
//! Pipeline -> Row, Summary -> counts -> exposition -> file
//! ```

mod counts;
mod exposition;
mod file;

use std::{
    cell::RefCell,
    io,
    path::{Path, PathBuf},
    rc::Rc,
    time::Duration,
};

use jiff::Timestamp;
use tokio::time::{Interval, MissedTickBehavior, interval_at};

use self::counts::Counts;
use crate::{
    cli::LiveArgs,
    diagnostics,
    mounts::{self, Mount},
    names::escape_path,
    notice::{Notice, What},
    render::Render,
    row::Row,
    session::Session,
    summary::Summary,
};

/// The file and what goes into it. Clones are the same one: who waits writes it too.
#[derive(Clone)]
pub struct Metrics(Rc<RefCell<State>>);

struct State {
    path: PathBuf,
    every: Duration,
    started: Timestamp,
    counts: Counts,
    /// The last time it could not be written, and that was said.
    failing: bool,
}

impl Metrics {
    /// Makes the file, in which nothing is attached yet; nothing if none is asked for.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn create(args: &LiveArgs) -> anyhow::Result<Option<Self>> {
        let Some(path) = &args.metrics.metrics else {
            return Ok(None);
        };
        if path.extension().is_none_or(|end| end != "prom") {
            diagnostics::say(&format_args!(
                "--metrics {}: node_exporter reads only files whose names end in .prom",
                escape_path(path)
            ));
        }
        let mut state = State {
            path: path.clone(),
            every: args.metrics.metrics_every,
            started: Timestamp::now(),
            counts: Counts::default(),
            failing: false,
        };
        state.write()?;
        Ok(Some(Self(Rc::new(RefCell::new(state)))))
    }

    /// Tracing begins: these mounts' opens are counted, of those that hold `wanted` (with none, of
    /// all).
    pub fn begin(&self, session: &Session, wanted: &[PathBuf]) {
        let mut state = self.0.borrow_mut();
        state.counts.attached(session);
        for mount in expected(&session.mounts, wanted) {
            let version = mount.nfs_version.as_deref();
            state
                .counts
                .expect(mount.point.shown().to_string(), version);
        }
        state.write_or_say();
    }

    /// When to write it.
    #[must_use]
    pub fn interval(&self) -> Interval {
        let every = self.0.borrow().every;
        let mut interval = interval_at(tokio::time::Instant::now() + every, every);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        interval
    }

    /// The trace is over, however it ended.
    pub fn ended(&self) {
        let mut state = self.0.borrow_mut();
        if state.counts.attached {
            state.counts.attached = false;
            state.write_or_say();
        }
    }

    /// Writes what is known.
    pub fn write(&self) {
        self.0.borrow_mut().write_or_say();
    }
}

/// The mounts whose opens will be counted; of several of one super block the first, as rows have
/// it.
fn expected<'a>(all: &'a [Mount], wanted: &[PathBuf]) -> Vec<&'a Mount> {
    let wanted = wanted.iter().filter_map(|path| mounts::real(path).ok());
    let wanted: Vec<u32> = wanted
        .filter_map(|path| mounts::covering(all, &path))
        .map(|mount| mount.dev)
        .collect();
    let is_first = |at: usize, mount: &Mount| all[..at].iter().all(|it| it.dev != mount.dev);
    let is_wanted = |mount: &Mount| wanted.is_empty() || wanted.contains(&mount.dev);
    all.iter()
        .enumerate()
        .filter(|(at, mount)| is_first(*at, mount) && is_wanted(mount))
        .map(|(_, mount)| mount)
        .collect()
}

impl State {
    fn write(&mut self) -> io::Result<()> {
        let text = self
            .counts
            .text(seconds(self.started), seconds(Timestamp::now()));
        file::replace(&self.path, &text).map_err(|error| failed(&self.path, &error))
    }

    /// A disk that is full for a while is no reason to end: that the file is old can be seen in it.
    fn write_or_say(&mut self) {
        match self.write() {
            Ok(()) if self.failing => {
                let path = escape_path(&self.path);
                diagnostics::say(&format_args!("the metrics `{path}` are written again"));
                self.failing = false;
            }
            Err(error) if !self.failing => {
                diagnostics::say(&format_args!("{error}: trying again"));
                self.failing = true;
            }
            Ok(()) | Err(_) => {}
        }
    }
}

fn failed(path: &Path, error: &io::Error) -> io::Error {
    let path = escape_path(path);
    let text = format!("failed to write the metrics `{path}`: {error}");
    io::Error::new(error.kind(), text)
}

fn seconds(time: Timestamp) -> f64 {
    time.as_millisecond() as f64 / 1e3
}

impl Render for Metrics {
    /// Told by [`Metrics::begin`].
    fn start(&mut self, _session: &Session) -> io::Result<()> {
        Ok(())
    }

    fn row(&mut self, row: &Row) -> io::Result<()> {
        self.0.borrow_mut().counts.count(row);
        Ok(())
    }

    fn notice(&mut self, notice: &Notice<'_>) -> io::Result<()> {
        let mut state = self.0.borrow_mut();
        match &notice.what {
            What::Gone { .. } | What::Refused { .. } => state.counts.attached = false,
            What::Attached(attached) => state.counts.attached_again(attached.layout),
        }
        state.write_or_say();
        Ok(())
    }

    fn counts(&mut self, summary: &Summary) -> io::Result<()> {
        self.0.borrow_mut().counts.sums(summary);
        Ok(())
    }

    fn end(&mut self, summary: &Summary) -> io::Result<()> {
        let mut state = self.0.borrow_mut();
        state.counts.sums(summary);
        state.counts.attached = false;
        state.write()
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::mounts::parse;

    fn metrics(path: &Path) -> Metrics {
        Metrics(Rc::new(RefCell::new(State {
            path: path.into(),
            every: Duration::from_secs(15),
            started: Timestamp::now(),
            counts: Counts::default(),
            failing: false,
        })))
    }

    fn folder(test: &str) -> PathBuf {
        let name = format!("nfs-trace-metrics-{test}-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        let _ = fs::remove_dir_all(&folder);
        folder
    }

    #[test]
    fn what_cannot_be_written_for_a_while_is_written_later() {
        let folder = folder("later");
        let path = folder.join("a.prom");
        let metrics = metrics(&path);
        metrics.write();
        assert!(metrics.0.borrow().failing);
        metrics.write();
        fs::create_dir_all(&folder).unwrap();
        metrics.write();
        assert!(!metrics.0.borrow().failing);
        assert!(path.exists());
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn modules_that_go_and_come_back_are_told_at_once() {
        let folder = folder("modules");
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("a.prom");
        let mut metrics = metrics(&path);
        let attached = || {
            let text = fs::read_to_string(&path).unwrap();
            text.contains("\nnfs_trace_attached 1\n")
        };
        let mut told = |what| {
            let (ts_ns, time) = (0, Timestamp::UNIX_EPOCH);
            metrics.notice(&Notice { ts_ns, time, what }).unwrap();
        };
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
        let file = fs::File::open(file.join("6.1-stock-create-v4.0.nfst")).unwrap();
        let mut reader = crate::recording::Reader::new(file);
        let Ok(Some(crate::recording::Item::Begin(header))) = reader.read() else {
            panic!("no recording");
        };
        let session = header.session;
        told(What::Attached(crate::notice::Attached::new(&session, 5)));
        assert!(attached());
        let module = Some("nfsv4");
        told(What::Gone { module });
        assert!(!attached());
        told(What::Attached(crate::notice::Attached::new(&session, 5)));
        let why = "not yet".into();
        told(What::Refused { why });
        assert!(!attached());
        // However it ends.
        told(What::Attached(crate::notice::Attached::new(&session, 5)));
        assert!(attached());
        metrics.ended();
        assert!(!attached());
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn mounts_are_expected_once_and_as_they_are_asked_for() {
        let mount = |dev: u32, point: &str| {
            let line = format!("1 0 0:{dev} / {point} rw - nfs4 s:/ rw,vers=4.2");
            parse(&line).expect("a mount")
        };
        let all = [mount(53, "/"), mount(54, "/proc"), mount(54, "/bound")];
        let points = |wanted: &[PathBuf]| {
            let expected = expected(&all, wanted).into_iter();
            expected
                .map(|it| it.point.to_path_buf())
                .collect::<Vec<_>>()
        };
        assert_eq!(points(&[]), [Path::new("/"), Path::new("/proc")]);
        assert_eq!(points(&["/proc/self".into()]), [Path::new("/proc")]);
        assert_eq!(points(&["/dev".into()]), [Path::new("/")]);
    }
}
