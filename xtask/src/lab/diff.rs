//! `cargo xtask lab diff`: the same scenarios on two kernels or clients, paths side by side.
//! What does my patch do?

use anyhow::{Context as _, Result, ensure};
use clap::{Args, ValueEnum as _};
use lab_contract::{
    protocol::{NfsVersion, Outcome},
    scenario::PREFLIGHT,
};

use super::{client::Client, guest::Spec, like, run, sides, table};

/// Run scenarios on two guests and show the paths side by side; fails if they differ
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
    let measure = |spec: &Spec| -> Result<Vec<Outcome>> {
        let options = run::Options {
            spec: spec.clone(),
            vers: vers.clone(),
            scenarios: scenarios.clone(),
            capture: None,
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
    let mut differing = 0;
    println!();
    print!("{}", sides::line("", &[before.clone(), after.clone()]));
    for left in outcomes[0].iter().filter(|it| it.scenario != PREFLIGHT) {
        let key = |it: &&Outcome| it.scenario == left.scenario && it.version == left.version;
        let right = outcomes[1]
            .iter()
            .find(key)
            .with_context(|| format!("find the outcome of {} on {after}", left.scenario))?;
        let version = left.version.map(String::from).unwrap_or_default();
        println!("{} over NFSv{version}", left.scenario);
        print!("{}", sides::block([left, right])?);
        differing += usize::from(!sides::same([left, right])?);
    }
    ensure!(differing == 0, "{differing} outcomes differ");
    println!("no difference");
    Ok(())
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
        assert_eq!(tree.tree.unwrap(), std::path::Path::new("/usr/src/linux"));
        let image = spec("/boot/bzImage,/lib/modules/7.0").unwrap();
        assert_eq!(image.kernel, "/boot/bzImage");
        assert_eq!(
            image.modules.unwrap(),
            std::path::Path::new("/lib/modules/7.0")
        );
        assert_eq!(spec("/boot/bzImage").unwrap().modules, None);
    }
}
