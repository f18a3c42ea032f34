//! `cargo xtask lab diff`: the same scenarios on two kernels or clients. The guests record, and
//! `nfs-trace diff` compares the recordings. What does my patch do?

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail, ensure};
use clap::{Args, ValueEnum as _};
use lab_contract::{
    protocol::{NfsVersion, Outcome},
    scenario::PREFLIGHT,
};

use super::{client::Client, guest::Spec, like, run, sides, table};
use crate::{build, cache, exec, workspace};

/// Run scenarios on two guests and compare open by open, as `nfs-trace diff` does; fails if they
/// differ
#[derive(Args)]
pub(crate) struct Options {
    /// KERNEL or KERNEL/CLIENT, as debian:6.1/without-series; or tree:DIR, a build tree; or
    /// BZIMAGE,MODULES
    #[arg(long)]
    before: String,
    /// The same, to compare with
    #[arg(long)]
    after: String,
    /// NFS versions
    #[arg(long, value_delimiter = ',', default_value = "4.0,4.1")]
    vers: Vec<NfsVersion>,
    /// Scenarios (see `lab list`)
    #[arg(
        long = "scenario",
        value_delimiter = ',',
        default_value = "reopen,rename-over"
    )]
    scenarios: Vec<String>,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let Options {
        before,
        after,
        vers,
        scenarios,
    } = options;
    let specs = [spec(before)?, spec(after)?];
    let compare = Compare::new()?;
    let measure = |spec: &Spec| -> Result<Vec<Outcome>> {
        let options = run::Options {
            spec: spec.clone(),
            vers: vers.clone(),
            scenarios: scenarios.clone(),
            capture: Some(compare.folder.clone()),
        };
        // Only what could not be measured matters here; judging is for `lab run`.
        let report = run::execute(&options, |outcome, verdict| {
            if outcome.error.is_some() {
                print!("{}", table::line(outcome, verdict));
            }
        })?;
        Ok(report
            .outcomes
            .into_iter()
            .map(|(outcome, _)| outcome)
            .collect())
    };
    let outcomes = [measure(&specs[0])?, measure(&specs[1])?];
    let mut differing = Vec::new();
    println!("before  {before}\nafter   {after}");
    for left in outcomes[0].iter().filter(|it| it.scenario != PREFLIGHT) {
        let key = |it: &&Outcome| it.scenario == left.scenario && it.version == left.version;
        let right = outcomes[1]
            .iter()
            .find(key)
            .with_context(|| format!("find the outcome of {} on {after}", left.scenario))?;
        let name = name(left);
        println!("\n{name}");
        let same = compare.show([left, right])?;
        print!("{}", sides::oracles([left, right]));
        if !same || left.workload.reads != right.workload.reads {
            differing.push(name);
        }
    }
    println!();
    ensure!(
        differing.is_empty(),
        "they differ: {}",
        differing.join(", ")
    );
    println!("no difference");
    Ok(())
}

/// `reopen over NFSv4.1`
fn name(outcome: &Outcome) -> String {
    let version = outcome.version.map(String::from).unwrap_or_default();
    format!("{} over NFSv{version}", outcome.scenario)
}

/// `nfs-trace diff`, and where the recordings are.
struct Compare {
    program: PathBuf,
    folder: PathBuf,
}

impl Compare {
    fn new() -> Result<Self> {
        // The guests run the same one.
        let program = build::static_binary("nfs-trace", "nfs-trace")?;
        let folder = workspace::root().join("target/lab/diff");
        Ok(Self { program, folder })
    }

    /// Shows what differs. Returns whether nothing does.
    fn show(&self, pair: [&Outcome; 2]) -> Result<bool> {
        let mut names = Vec::new();
        for (side, outcome) in ["before", "after"].into_iter().zip(pair) {
            let version = outcome.version.map(String::from).unwrap_or_default();
            let file = Path::new(side).join(format!("{}-v{version}.nfst", outcome.scenario));
            let path = self.folder.join(&file);
            cache::create_dir(path.parent().unwrap_or(&path))?;
            let _ = fs::remove_file(&path);
            if let Some(error) = &outcome.error {
                bail!("{side}: {} could not be measured: {error}", name(outcome));
            }
            let recording = run::recording(outcome)?.with_context(|| {
                format!(
                    "take the recording of {} out of the guest: it has too many opens for that",
                    name(outcome)
                )
            })?;
            cache::write(&path, recording)?;
            names.push(file);
        }
        let mut command = Command::new(&self.program);
        command.current_dir(&self.folder).arg("diff").args(names);
        match exec::status(&mut command)? {
            0 => Ok(true),
            1 => Ok(false),
            3 => {
                println!("  (not the same, as far as can be said)");
                Ok(false)
            }
            status => bail!("nfs-trace diff ended with {status}"),
        }
    }
}

fn spec(text: &str) -> Result<Spec> {
    if let Some(tree) = text.strip_prefix("tree:") {
        let mut spec = Spec::new("", Client::Stock);
        spec.tree = Some(tree.into());
        return Ok(spec);
    }
    if !text.starts_with("debian:") && !like::is_spec(text) {
        let (image, modules) = match text.split_once(',') {
            Some((image, modules)) => (image, Some(modules)),
            None => (text, None),
        };
        let mut spec = Spec::new(image, Client::Stock);
        spec.modules = modules.map(Into::into);
        return Ok(spec);
    }
    let (kernel, client) = text.split_once('/').unwrap_or((text, "stock"));
    let client = Client::from_str(client, false)
        .map_err(|_| anyhow::anyhow!("no client `{client}`: see `cargo xtask lab list`"))?;
    Ok(Spec::new(kernel, client))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_side_is_a_kernel_of_the_lab_or_ones_own() {
        let lab = spec("debian:6.1/without-series").unwrap();
        assert_eq!(
            (&*lab.kernel, lab.client),
            ("debian:6.1", Client::WithoutSeries)
        );
        assert_eq!(spec("debian:7").unwrap().client, Client::Stock);
        assert!(spec("debian:7/none").is_err());
        let tree = spec("tree:/usr/src/linux").unwrap();
        assert_eq!(tree.tree.unwrap(), Path::new("/usr/src/linux"));
        let image = spec("/boot/bzImage,/lib/modules/7.0").unwrap();
        assert_eq!(image.kernel, "/boot/bzImage");
        assert_eq!(image.modules.unwrap(), Path::new("/lib/modules/7.0"));
        assert_eq!(spec("/boot/bzImage").unwrap().modules, None);
    }
}
