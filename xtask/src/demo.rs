//! `cargo xtask demo`: the main job for a newcomer. One experiment on a sound and on an
//! affected client, traced, and told side by side.

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use lab_contract::{
    protocol::{NfsVersion, Outcome},
    scenario::RENAME_OPENS,
};

use crate::{
    lab::{client::Client, guest::Spec, run, sides, table},
    setup::{self, Needs},
};

const KERNEL: &str = "debian:6.1";
const SCENARIO: &str = "rename-over";
const VERSIONS: [NfsVersion; 2] = [NfsVersion::V40, NfsVersion::V41];
const CLIENTS: [Client; 2] = [Client::Stock, Client::WithoutSeries];

/// See what nfs-trace shows: one experiment on a fixed and on an affected NFS client
#[derive(Args)]
pub(crate) struct Options {}

pub(crate) fn run(_: &Options) -> Result<()> {
    setup::ensure(&Needs {
        programs: true,
        lab: true,
    })?;
    let mut sides = Vec::new();
    for client in CLIENTS {
        let spec = Spec::new(KERNEL, client);
        let vers = VERSIONS.to_vec();
        let options = run::Options {
            spec,
            vers,
            scenarios: vec![SCENARIO.into()],
            capture: None,
        };
        let report = run::execute(&options, |outcome, verdict| {
            if !verdict.is_pass() {
                print!("{}", table::line(outcome, verdict));
            }
        })?;
        let failures = report.failures();
        ensure!(
            failures == 0,
            "{failures} outcomes on client {} are not as expected",
            client.name()
        );
        sides.push(
            report
                .outcomes
                .into_iter()
                .map(|(outcome, _)| outcome)
                .collect(),
        );
    }
    print!("{}", tell(&sides)?);
    Ok(())
}

/// The whole story; `sides` holds the outcomes of each client.
fn tell(sides: &[Vec<Outcome>]) -> Result<String> {
    let mut text = format!(
        "\nThe experiment: a client holds a file open. On the server another file is renamed over\n\
         its name. The client opens the name {RENAME_OPENS} times and reads. nfs-trace shows, for each open,\n\
         what vouched for the name (name check) and what for the file (open path).\n\n"
    );
    let heads = ["fixed client (stock)", "affected client (fix taken out)"];
    text.push_str(&sides::line("", &heads.map(str::to_owned)));
    for version in VERSIONS {
        let find = |side: &Vec<Outcome>| {
            let found = side
                .iter()
                .position(|it| it.scenario == SCENARIO && it.version == Some(version));
            found.with_context(|| format!("find the outcome of NFSv{version}"))
        };
        let pair = [&sides[0][find(&sides[0])?], &sides[1][find(&sides[1])?]];
        text.push_str(&format!("NFSv{version}\n{}", sides::block(pair)?));
    }
    text.push_str(
        "\nAffected means: the client answers an open(2) of a name from its own open state, with no\n\
         OPEN and no delegation, so nobody asks the server whether the name still means that file.\n\
         What was read does not show it: from NFSv4.1 on a fixed client opens by filehandle and may\n\
         read the old file too, until the directory's cached attributes expire (30 s). The path\n\
         does. OPENs are the kernel's own count (/proc/self/mountstats); nfs-trace saw the same.\n",
    );
    Ok(text)
}
