//! Which guests `cargo xtask test` boots: kernel x client x version x transport x layout, as one
//! table. `--full` runs all of it; without, the rows marked `slice`, which hold every value of
//! every column and fit into half an hour on two processors under emulation.

use lab_contract::protocol::NfsVersion::{self, V40, V41, V42};

use crate::lab::{
    client::Client::{
        self, AffectedOnV40, Be189f7eOnly, Stock, WithoutBe189f7e, WithoutSeries, WithoutV40,
    },
    guest::Spec,
};

/// What is run in a guest. No names: all but what is slow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Task {
    /// Scenarios, judged by what is expected of the client.
    Run(&'static [&'static str]),
    /// Checks of the program itself.
    Checks(&'static [&'static str]),
    /// Cases of `nfs-trace check`.
    Verdicts(&'static [&'static str]),
}

/// How records come from the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    Ring,
    Perf,
}

/// Where names come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    Btf,
    Table,
    None,
}

/// One guest.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    pub(crate) kernel: &'static str,
    pub(crate) client: Client,
    pub(crate) versions: &'static [NfsVersion],
    pub(crate) transport: Transport,
    pub(crate) layout: Layout,
    pub(crate) task: Task,
    /// Run without `--full` too.
    pub(crate) slice: bool,
}

use Layout::{Btf, Table};
use Task::{Checks, Run, Verdicts};
use Transport::{Perf, Ring};

const ALL: &[NfsVersion] = &[V40, V41, V42];
/// v4.2 answers as v4.1 does.
const BOTH: &[NfsVersion] = &[V40, V41];

/// In a guest's own words: what the paths of an affected client are known by.
const TELLING: &[&str] = &["reopen", "rename-over", "unlinked", "delegation"];
/// Those that need no name.
const NAMELESS: &[&str] = &["reopen", "rename-over", "first-open", "other-mode"];
/// Checks that depend on the kernel more than on the program.
const OF_KERNEL: &[&str] = &[
    "command",
    "kill-9",
    "text",
    "layout",
    "without-probe",
    "busy-end",
    "many-tasks",
    "not-allowed",
    "module-gone",
    "module-swap",
];
/// Those of them that depend on how records and names come.
const OF_TRANSPORT: &[&str] = &["text", "without-probe", "many-tasks", "module-swap"];
/// The same where NFS is built in, without BTF.
const OF_OLD: &[&str] = &[
    "command",
    "kill-9",
    "text",
    "without-probe",
    "many-tasks",
    "not-allowed",
];
/// Cases that depend on the kernel.
const OF_CLIENT: &[&str] = &["file", "mount", "reproduce", "observe", "several"];

const fn row(
    kernel: &'static str,
    client: Client,
    versions: &'static [NfsVersion],
    (transport, layout): (Transport, Layout),
    task: Task,
) -> Row {
    Row {
        kernel,
        client,
        versions,
        transport,
        layout,
        task,
        slice: false,
    }
}

const fn slice(row: Row) -> Row {
    Row { slice: true, ..row }
}

const BEST: (Transport, Layout) = (Ring, Btf);
const OLD: (Transport, Layout) = (Perf, Table);

/// The table. The longest of a slice come first: guests run two at a time.
#[rustfmt::skip]
pub(crate) const MATRIX: &[Row] = &[
    slice(row("debian:6.1", Stock, &[V41], BEST, Checks(&[]))),
    slice(row("debian:6.1", WithoutSeries, &[V40], BEST, Verdicts(&[]))),
    slice(row("debian:7", Stock, &[V41], BEST, Checks(OF_KERNEL))),
    slice(row("debian:5.10", Stock, &[V41], (Perf, Btf), Checks(OF_TRANSPORT))),
    slice(row("debian:6.1", Stock, &[V42], BEST, Run(&[]))),
    slice(row("debian:6.1", WithoutSeries, &[V40], BEST, Run(&[]))),
    slice(row("debian:7", Stock, &[V40], BEST, Run(&[]))),
    slice(row("debian:5.10", Stock, &[V40], BEST, Run(&[]))),
    slice(row("debian:6.12", Stock, &[V41], BEST, Run(&[]))),
    slice(row("debian:6.1", Stock, &[V41], BEST, Verdicts(OF_CLIENT))),
    slice(row("debian:7", Stock, &[V41], BEST, Verdicts(OF_CLIENT))),
    slice(row("debian:6.1", Be189f7eOnly, &[V40], BEST, Verdicts(OF_CLIENT))),
    slice(row("debian:5.10", WithoutSeries, &[V40], OLD, Verdicts(OF_CLIENT))),
    slice(row("debian:6.1", WithoutBe189f7e, BOTH, BEST, Run(TELLING))),
    slice(row("debian:6.1", Be189f7eOnly, BOTH, BEST, Run(TELLING))),
    slice(row("debian:5.10", WithoutSeries, BOTH, OLD, Run(TELLING))),
    slice(row("debian:6.12", WithoutSeries, &[V40], OLD, Run(TELLING))),
    slice(row("debian:6.1", AffectedOnV40, BOTH, BEST, Verdicts(&["several"]))),
    slice(row("debian:6.1", WithoutSeries, &[V40], (Perf, Layout::None), Run(NAMELESS))),
    slice(row("debian:7", WithoutBe189f7e, &[V41], BEST, Run(TELLING))),
    slice(row("debian:7", WithoutV40, BOTH, BEST, Run(&["reopen"]))),

    row("debian:6.1", Stock, BOTH, BEST, Run(&[])),
    row("debian:6.1", WithoutSeries, &[V41], BEST, Run(&[])),
    row("debian:6.1", AffectedOnV40, BOTH, BEST, Run(&["reopen", "rename-over"])),
    row("debian:6.1", Stock, ALL, BEST, Verdicts(&[])),
    row("debian:6.1", WithoutSeries, BOTH, BEST, Run(&[lab_contract::scenario::WORKAROUND])),
    row("debian:6.1", WithoutSeries, ALL, (Perf, Btf), Run(&[])),
    row("debian:6.1", WithoutSeries, ALL, OLD, Run(TELLING)),
    row("debian:6.1", WithoutBe189f7e, ALL, BEST, Run(&[])),
    row("debian:6.1", WithoutBe189f7e, ALL, BEST, Verdicts(&[])),
    row("debian:6.1", Be189f7eOnly, ALL, BEST, Verdicts(&[])),
    row("debian:6.1", WithoutSeries, &[V41, V42], BEST, Verdicts(&[])),
    row("debian:6.1", Stock, &[V41], (Perf, Btf), Checks(&[])),
    row("debian:5.10", Stock, ALL, OLD, Run(&[])),
    row("debian:5.10", WithoutSeries, ALL, BEST, Run(&[])),
    row("debian:5.10", WithoutBe189f7e, ALL, BEST, Run(&[])),
    row("debian:5.10", WithoutSeries, ALL, BEST, Verdicts(&[])),
    row("debian:5.10", WithoutSeries, &[V40], (Ring, Layout::None), Run(NAMELESS)),
    row("debian:5.10", WithoutBe189f7e, &[V40], (Perf, Btf), Run(TELLING)),
    row("debian:5.10", Stock, &[V41], BEST, Checks(&[])),
    row("debian:5.10", Stock, &[V41], (Perf, Btf), Checks(OF_KERNEL)),
    row("debian:6.12", Stock, ALL, BEST, Run(&[])),
    row("debian:6.12", WithoutSeries, ALL, BEST, Run(&[])),
    row("debian:6.12", WithoutBe189f7e, ALL, (Perf, Btf), Run(&[])),
    row("debian:6.12", WithoutBe189f7e, &[V41], (Ring, Table), Run(TELLING)),
    row("debian:6.12", Stock, ALL, BEST, Verdicts(&[])),
    row("debian:6.12", Stock, &[V41], BEST, Checks(OF_KERNEL)),
    row("debian:6.12", Stock, &[V41], (Perf, Btf), Checks(&[])),
    row("debian:7", Stock, &[V41], BEST, Run(&[])),
    row("debian:7", WithoutV40, &[V41], BEST, Verdicts(&["several"])),
    row("debian:7", Stock, ALL, OLD, Run(&[])),
    row("debian:7", Stock, &[V40], (Ring, Layout::None), Run(NAMELESS)),
    row("debian:7", WithoutSeries, ALL, BEST, Run(&[])),
    row("debian:7", WithoutBe189f7e, ALL, (Perf, Btf), Run(&[])),
    row("debian:7", WithoutSeries, &[V40], OLD, Run(TELLING)),
    row("debian:7", WithoutSeries, ALL, BEST, Verdicts(&[])),
    row("debian:7", Stock, ALL, BEST, Verdicts(&[])),
    row("debian:7", Stock, &[V41], BEST, Checks(&[])),
    row("like:4.4", Stock, ALL, OLD, Run(&[])),
    row("like:4.4", Stock, &[V40], OLD, Checks(OF_OLD)),
    row("like:4.4", Stock, BOTH, OLD, Verdicts(OF_CLIENT)),
    row("like:4.14", Stock, ALL, OLD, Run(&[])),
    row("like:4.14", Stock, &[V40], OLD, Checks(OF_OLD)),
    row("like:4.14", Stock, BOTH, OLD, Verdicts(OF_CLIENT)),
];

impl Row {
    /// What `lab` takes. What the kernel chooses by itself is not asked for.
    pub(crate) fn spec(&self) -> Spec {
        let mut spec = Spec::new(self.kernel, self.client);
        spec.transport = (self.transport != Ring).then(|| self.transport.word().to_owned());
        spec.layout = (self.layout != Btf).then(|| self.layout.word().to_owned());
        spec
    }

    /// `checks 6.12 stock v4.1 ring btf: 9 checks`
    pub(crate) fn name(&self) -> String {
        let (task, what, names) = match self.task {
            Run(names) => ("run", "scenarios", names),
            Checks(names) => ("checks", "checks", names),
            Verdicts(names) => ("verdicts", "cases", names),
        };
        let versions: Vec<_> = self.versions.iter().map(ToString::to_string).collect();
        let which = match names {
            [] => format!("all {what}"),
            [name] => (*name).to_owned(),
            names => format!("{} {what}", names.len()),
        };
        format!(
            "{task} {} {} v{} {} {}: {which}",
            self.kernel.trim_start_matches("debian:"),
            self.client.name(),
            versions.join(","),
            self.transport.word(),
            self.layout.word(),
        )
    }
}

impl Transport {
    fn word(self) -> &'static str {
        match self {
            Ring => "ring",
            Perf => "perf",
        }
    }
}

impl Layout {
    fn word(self) -> &'static str {
        match self {
            Btf => "btf",
            Table => "table",
            Layout::None => "none",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Every value of every column of the whole table is in the slice, but for the kernels that
    /// are built first (a quarter of an hour each).
    #[test]
    fn the_slice_holds_every_value_of_every_column() {
        let columns: [fn(&Row) -> Vec<String>; 6] = [
            |row| vec![row.kernel.to_owned()],
            |row| vec![row.client.name().to_owned()],
            |row| row.versions.iter().map(ToString::to_string).collect(),
            |row| vec![row.transport.word().to_owned()],
            |row| vec![row.layout.word().to_owned()],
            |row| vec![row.name()[..3].to_owned()],
        ];
        for column in columns {
            let values = |slice: bool| -> BTreeSet<String> {
                let rows = MATRIX
                    .iter()
                    .filter(|row| row.slice || !slice && !row.kernel.starts_with("like:"));
                rows.flat_map(column).collect()
            };
            assert_eq!(values(true), values(false));
        }
    }

    /// Affected behaviour is tested with each layout source and both transports, on more than one
    /// kernel each (but without any layout).
    #[test]
    fn affected_clients_are_seen_through_everything() {
        let seen: BTreeSet<(&str, &str, &str)> = MATRIX
            .iter()
            .filter(|row| row.client.is_affected(V40) && matches!(row.task, Run(_)))
            .map(|row| (row.kernel, row.transport.word(), row.layout.word()))
            .collect();
        for transport in [Ring, Perf] {
            for layout in [Btf, Table] {
                let kernels = seen.iter().filter(|(_, through, by)| {
                    *through == transport.word() && *by == layout.word()
                });
                assert!(kernels.count() >= 1, "{transport:?} {layout:?}");
            }
        }
        for kernel in ["debian:5.10", "debian:6.1", "debian:6.12"] {
            let ways = seen.iter().filter(|(of, ..)| *of == kernel).count();
            assert!(ways >= 2, "{kernel}: {ways}");
        }
    }

    #[test]
    fn no_row_stands_twice() {
        let names: BTreeSet<_> = MATRIX.iter().map(Row::name).collect();
        assert_eq!(names.len(), MATRIX.len());
    }
}
