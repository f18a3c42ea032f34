//! What a trace has counted, as metrics. Pure.

use std::collections::BTreeMap;

use super::exposition::{Exposition, Kind};
use crate::{
    names::escape,
    row::Row,
    session::Session,
    summary::{KernelCounts, Reloads, Summary},
    trace::PathWord,
};

/// Mounts that have numbers of their own; those of any more are added up. Each is eight series.
const MOUNTS: usize = 100;
/// Instead of the mount point, of those; and where it is not known. A mount point begins with `/`.
const OTHER: &str = "other";
const UNKNOWN: &str = "unknown";

/// What is counted.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// Version, kernel, transport and layout of the trace that runs; nothing before it does.
    about: Option<[String; 4]>,
    /// Whether every open is seen now.
    pub(super) attached: bool,
    /// By mount point and NFS version.
    mounts: BTreeMap<(String, String), Opens>,
    kernel: KernelCounts,
    reloads: Reloads,
    undecodable: u64,
}

/// Opens on one mount.
#[derive(Debug, Default)]
struct Opens {
    by_path: [u64; PathWord::ALL.len()],
    stale_retries: u64,
    incomplete: u64,
}

impl Counts {
    /// Tracing has begun, again or for the first time.
    pub(super) fn attached(&mut self, session: &Session) {
        let Session {
            version,
            kernel,
            transport,
            layout,
            ..
        } = session;
        let facts = [version, kernel, transport, layout];
        self.about = Some(facts.map(|fact| escape(fact.as_bytes())));
        self.attached = true;
    }

    /// The client's modules are back, and traced.
    pub(super) fn attached_again(&mut self, new_layout: &str) {
        if let Some([_, _, _, layout]) = &mut self.about {
            *layout = new_layout.into();
        }
        self.attached = true;
    }

    /// Opens on this mount will be counted: they are 0 until one comes, and not missing.
    pub(super) fn expect(&mut self, mount: String, version: Option<&str>) {
        self.of(Some(mount), version);
    }

    fn of(&mut self, mount: Option<String>, version: Option<&str>) -> &mut Opens {
        let version = version.unwrap_or(UNKNOWN).to_owned();
        let mount = mount.unwrap_or_else(|| UNKNOWN.into());
        let mut key = (mount, version);
        if !self.mounts.contains_key(&key) && self.mounts.len() >= MOUNTS {
            key.0 = OTHER.into();
        }
        self.mounts.entry(key).or_default()
    }

    /// Counts an open.
    pub(super) fn count(&mut self, row: &Row) {
        let opens = self.of(
            row.mount.as_deref().map(Into::into),
            row.nfs_version.as_deref(),
        );
        let words = opens.by_path.iter_mut().zip(PathWord::ALL);
        for (count, _) in words.filter(|(_, word)| *word == row.open_path) {
            *count += 1;
        }
        opens.stale_retries += u64::from(row.stale_retries);
        opens.incomplete += u64::from(!row.complete);
    }

    /// What was counted elsewhere up to now.
    pub(super) fn sums(&mut self, summary: &Summary) {
        // A count that was lower would look like one that began anew.
        let records = self.kernel.records.max(summary.kernel.records);
        self.kernel.clone_from(&summary.kernel);
        self.kernel.records = records;
        self.reloads = summary.reloads;
        self.undecodable = summary.undecodable;
    }

    /// The document. Times are seconds since 1970.
    pub(super) fn text(&self, started: f64, now: f64) -> String {
        let mut document = Exposition::default();
        if let Some([version, kernel, transport, layout]) = &self.about {
            let labels = [
                ("version", version.as_str()),
                ("kernel", kernel),
                ("transport", transport),
                ("layout", layout),
            ];
            document
                .metric("nfs_trace_info", Kind::Gauge, "What is running; always 1.")
                .sample(&labels, 1);
        }
        document
            .metric(
                "nfs_trace_attached",
                Kind::Gauge,
                "1 while every open is seen, 0 while the NFS client's modules are not loaded and \
                 when tracing has ended.",
            )
            .sample(&[], u8::from(self.attached));
        document
            .metric(
                "nfs_trace_start_time_seconds",
                Kind::Gauge,
                "When nfs-trace was started, in seconds since 1970.",
            )
            .sample(&[], format_args!("{started:.3}"));
        document
            .metric(
                "nfs_trace_last_write_timestamp_seconds",
                Kind::Gauge,
                "When this was written, in seconds since 1970: old if nfs-trace was killed.",
            )
            .sample(&[], format_args!("{now:.3}"));
        self.opens(&mut document);
        self.missing(&mut document);
        document.finish()
    }

    fn opens(&self, document: &mut Exposition) {
        let mut metric = document.metric(
            "nfs_trace_opens_total",
            Kind::Counter,
            "open(2) calls of files on NFSv4 mounts, by what vouched for the file. cached: nothing \
             did, which in an ordinary open is the bug.",
        );
        for ((mount, version), opens) in &self.mounts {
            for (word, count) in PathWord::ALL.iter().zip(opens.by_path) {
                let labels = [
                    ("mount", mount.as_str()),
                    ("nfs_version", version),
                    ("open_path", word.word()),
                ];
                metric.sample(&labels, count);
            }
        }
        let mut by_mount = |name, help, of: fn(&Opens) -> u64| {
            let mut metric = document.metric(name, Kind::Counter, help);
            for ((mount, version), opens) in &self.mounts {
                let labels = [("mount", mount.as_str()), ("nfs_version", version)];
                metric.sample(&labels, of(opens));
            }
        };
        by_mount(
            "nfs_trace_stale_retries_total",
            "Times that an open was tried again because the server no longer had that file under \
             that name (EOPENSTALE).",
            |opens| opens.stale_retries,
        );
        by_mount(
            "nfs_trace_incomplete_opens_total",
            "Opens of which not everything was seen.",
            |opens| opens.incomplete,
        );
    }

    fn missing(&self, document: &mut Exposition) {
        let lost = self.kernel.lost(self.undecodable);
        document
            .metric(
                "nfs_trace_lost_total",
                Kind::Counter,
                "What was lost: records that found no room, returns that the kernel missed, program \
                 runs that it skipped, children of the command that were not followed, records \
                 that made no sense.",
            )
            .sample(&[("what", "records")], lost.records)
            .sample(&[("what", "returns")], lost.returns)
            .sample(&[("what", "program_runs")], lost.skipped)
            .sample(&[("what", "children")], lost.children)
            .sample(&[("what", "undecodable")], lost.undecodable);
        document
            .metric(
                "nfs_trace_module_unloads_total",
                Kind::Counter,
                "Times that the NFS client's modules were unloaded under the trace.",
            )
            .sample(&[], self.reloads.gone);
        let unseen = self.reloads.unseen_ms as f64 / 1e3;
        document
            .metric(
                "nfs_trace_unseen_seconds_total",
                Kind::Counter,
                "Time between the loading of the client's modules and attaching to them: opens \
                 were not seen.",
            )
            .sample(&[], unseen);
    }
}

#[cfg(test)]
mod tests;
