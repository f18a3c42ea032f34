//! What `--top` knows, and what of it is shown: rows and ticks in, [`View`] out. Pure.

use std::collections::VecDeque;

use super::names::{Kept, MOUNTS_AT_MOST, NAMES_AT_MOST, Opens, Recent, WINDOW};
use crate::{
    names::tame,
    render::footer::losses,
    row::{Device, Row},
    session::Session,
    summary::{End, Summary},
};

/// Messages that are kept for the screen.
const MESSAGES_AT_MOST: usize = 100;

/// What names are sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    /// Opens a second.
    Rate,
    /// Opens since the start.
    Total,
    /// Cached opens.
    Cached,
    /// The path.
    Path,
}

impl Sort {
    /// All, in the order in which a key goes through them.
    pub const ALL: [Self; 4] = [Self::Rate, Self::Total, Self::Cached, Self::Path];

    /// As it is shown.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Rate => "rate",
            Self::Total => "total",
            Self::Cached => "cached",
            Self::Path => "path",
        }
    }
}

/// A name and what was opened of it.
#[derive(Debug, Clone)]
pub struct NameLine {
    /// Mount point and path, safe to show.
    pub path: String,
    /// Opens a second, the mean of the last [`WINDOW`] ticks.
    pub rate: f64,
    /// Since the start.
    pub opens: Opens,
}

/// A mount and what was seen on it.
#[derive(Debug, Clone)]
pub struct MountLine {
    /// Mount point, safe to show.
    pub point: String,
    /// `4.0`, `4.1`, `4.2`.
    pub version: String,
    /// Since the start.
    pub opens: Opens,
    /// Whether it is known to be affected.
    pub affected: bool,
    /// What that shows, in words.
    pub evidence: String,
}

/// Everything that is shown, as of one moment.
#[derive(Debug, Clone, Default)]
pub struct View {
    /// Sorted and filtered.
    pub names: Vec<NameLine>,
    /// Those with cached opens first.
    pub mounts: Vec<MountLine>,
    /// Of all names, also of those that fell out.
    pub all: Opens,
    /// Opens a second.
    pub rate: f64,
    /// Everything that was lost or is in doubt; empty if nothing is.
    pub lost: Vec<String>,
    /// What else is to be known, as how many names fell out.
    pub notes: Vec<String>,
}

/// What keys have set.
#[derive(Debug, Clone)]
pub struct Choice {
    /// The order.
    pub sort: Sort,
    /// Only paths with this in them.
    pub filter: String,
    /// The filter is being typed.
    pub typing: bool,
    /// The picture stands still; counting goes on.
    pub paused: bool,
    /// The help is shown.
    pub help: bool,
    /// Names above the first one shown.
    pub scroll: usize,
}

struct Name {
    opens: Opens,
    recent: Recent,
}

/// One mount: its line, and where it is.
struct Mount {
    point: String,
    version: String,
    opens: Opens,
}

/// See the module.
pub struct Model {
    names: Kept<String, Name>,
    mounts: Kept<(Option<Device>, Option<String>), Mount>,
    all: Opens,
    recent: Recent,
    /// When the last ticks were, ns; the newest first.
    ticks: VecDeque<u64>,
    end: Option<End>,
    /// Whether that is a while ago.
    pub wants_counts: bool,
    /// Kernel and so on.
    pub about: String,
    /// The client's modules are gone: no open is seen.
    pub waits: bool,
    /// What was said, the last ones.
    pub messages: VecDeque<String>,
    /// How many were said before.
    pub forgotten: u64,
    /// How it is to be shown.
    pub choice: Choice,
    /// To be printed when all is over.
    pub footer: Vec<String>,
    shown: View,
}

impl Model {
    /// Of nothing yet; it began then (ns, of any clock that the ticks have too).
    #[must_use]
    pub fn new(now_ns: u64) -> Self {
        Self {
            names: Kept::new(NAMES_AT_MOST),
            mounts: Kept::new(MOUNTS_AT_MOST),
            all: Opens::default(),
            recent: Recent::default(),
            ticks: VecDeque::from([now_ns]),
            end: None,
            wants_counts: true,
            about: String::new(),
            waits: false,
            messages: VecDeque::new(),
            forgotten: 0,
            choice: Choice {
                sort: Sort::Rate,
                filter: String::new(),
                typing: false,
                paused: false,
                help: false,
                scroll: 0,
            },
            footer: Vec::new(),
            shown: View::default(),
        }
    }

    /// The trace began with this.
    pub fn start(&mut self, session: &Session) {
        self.ticks = VecDeque::from([session.armed_ns]);
        self.about = tame(&format!("kernel {}", session.kernel));
    }

    /// Shows these mounts, also without an open.
    pub fn list(&mut self, mounts: &[crate::mounts::Mount]) {
        for mount in mounts {
            let point = mount.point.shown().to_string();
            let dev = Some(Device(mount.dev));
            let version = mount.nfs_version.clone().unwrap_or_default();
            self.mounts.get((dev, Some(point.clone())), || Mount {
                point,
                version,
                opens: Opens::default(),
            });
        }
    }

    /// Takes an open.
    pub fn row(&mut self, row: &Row) {
        self.all.add(row);
        self.recent.add();
        let name = self.names.get(row.full_path(), || Name {
            opens: Opens::default(),
            recent: Recent::default(),
        });
        name.opens.add(row);
        name.recent.add();
        let key = (row.dev, row.mount.as_deref().map(str::to_owned));
        let mount = self.mounts.get(key, || Mount {
            point: match (&row.mount, &row.dev) {
                (Some(point), _) => point.to_string(),
                (None, Some(dev)) => format!("(device {dev})"),
                (None, None) => "(not known)".to_owned(),
            },
            version: row.nfs_version.as_deref().unwrap_or_default().to_owned(),
            opens: Opens::default(),
        });
        mount.opens.add(row);
    }

    /// What was counted up to here.
    pub fn counted(&mut self, summary: &Summary) {
        self.end = Some(summary.end());
        self.wants_counts = false;
    }

    /// Something was said.
    pub fn say(&mut self, message: &str) {
        if self.messages.len() == MESSAGES_AT_MOST {
            self.messages.pop_front();
            self.forgotten += 1;
        }
        self.messages.push_back(tame(message));
    }

    /// A second, more or less, has passed: what is shown becomes what is true now.
    pub fn tick(&mut self, now_ns: u64) {
        self.ticks.push_front(now_ns);
        self.ticks.truncate(WINDOW + 1);
        if !self.choice.paused {
            self.shown = self.look();
        }
        self.wants_counts = true;
        self.recent.tick();
        for name in self.names.values_mut() {
            name.recent.tick();
        }
    }

    /// What is shown: sorted and filtered as chosen, as of the last tick.
    #[must_use]
    pub fn view(&self) -> View {
        let mut view = self.shown.clone();
        let Choice { sort, filter, .. } = &self.choice;
        view.names
            .retain(|line| line.path.contains(filter.as_str()));
        let number = |line: &NameLine| match sort {
            Sort::Cached => (line.opens.cached, line.opens.total),
            Sort::Rate | Sort::Total | Sort::Path => (line.opens.total, 0),
        };
        view.names.sort_by(|a, b| {
            let by_rate = match sort {
                Sort::Rate => b.rate.total_cmp(&a.rate),
                _ => std::cmp::Ordering::Equal,
            };
            let by_number = match sort {
                Sort::Path => std::cmp::Ordering::Equal,
                _ => number(b).cmp(&number(a)),
            };
            by_rate.then(by_number).then_with(|| a.path.cmp(&b.path))
        });
        view
    }

    /// What is true now.
    fn look(&self) -> View {
        let newest = self.ticks.front().copied().unwrap_or(0);
        let oldest = self.ticks.back().copied().unwrap_or(0);
        let seconds = newest.saturating_sub(oldest) as f64 / 1e9;
        let rate = |recent: &Recent| match seconds {
            // The first picture.
            ..0.5 => 0.0,
            _ => recent.sum() as f64 / seconds,
        };
        let losses = self.losses();
        let names = self.names.iter().map(|(path, name)| NameLine {
            path: path.clone(),
            rate: rate(&name.recent),
            opens: name.opens,
        });
        let mut mounts: Vec<MountLine> = self
            .mounts
            .iter()
            .map(|(_, mount)| mount_line(mount, !losses.is_empty()))
            .collect();
        mounts.sort_by(|a, b| {
            let order = |line: &MountLine| (line.opens.cached, line.opens.total);
            order(b).cmp(&order(a)).then_with(|| a.point.cmp(&b.point))
        });
        let mut notes = Vec::new();
        if self.names.fell_out > 0 {
            notes.push(format!(
                "{} names not opened for longest fell out (in the totals still)",
                self.names.fell_out
            ));
        }
        if self.mounts.fell_out > 0 {
            notes.push(format!("{} mounts fell out", self.mounts.fell_out));
        }
        if self.all.unknown > 0 {
            notes.push(format!("{} of unknown path", self.all.unknown));
        }
        if let Some(hidden) = self.end.as_ref().map(|end| end.hidden).filter(|n| *n > 0) {
            notes.push(format!("{hidden} filtered out"));
        }
        View {
            names: names.collect(),
            mounts,
            all: self.all,
            rate: rate(&self.recent),
            lost: self.lost(losses),
            notes,
        }
    }

    /// What the programs or the decoder lost, of whichever mount.
    fn losses(&self) -> Vec<String> {
        let end = self.end.as_ref();
        end.map_or_else(Vec::new, |end| losses(end.lost))
    }

    fn lost(&self, losses: Vec<String>) -> Vec<String> {
        let mut lost = losses;
        if self.all.incomplete > 0 {
            lost.push(format!("{} incomplete", self.all.incomplete));
        }
        lost
    }
}

/// One cached open proves "affected", as in `check` (see `check/observe.rs`), if it was seen
/// completely and nothing was lost. That there was none proves nothing: whether the client could
/// have answered by itself depends on who held the file, which is not looked at here.
fn mount_line(mount: &Mount, lossy: bool) -> MountLine {
    let Opens {
        total,
        cached,
        cached_complete,
        in_doubt,
        ..
    } = mount.opens;
    let opens = |n: u64| format!("{n} cached {}", if n == 1 { "open" } else { "opens" });
    let affected = cached_complete > 0 && in_doubt == 0 && !lossy;
    let evidence = match (total, cached) {
        _ if affected => format!("AFFECTED: {}", opens(cached_complete)),
        (0, _) => "no open seen".to_owned(),
        (1, 0) => "1 open, not cached: proves nothing".to_owned(),
        (total, 0) => format!("no cached open among {total}: proves nothing"),
        (_, cached) => format!("{}, but something was missed: no verdict", opens(cached)),
    };
    MountLine {
        point: mount.point.clone(),
        version: mount.version.clone(),
        opens: mount.opens,
        affected,
        evidence,
    }
}

#[cfg(test)]
mod tests;
