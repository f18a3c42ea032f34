//! `cargo xtask lab list`: what can be asked of the lab.

use clap::ValueEnum as _;
use lab_contract::{check::CHECKS, scenario::SCENARIOS, verdicts::CASES};

use super::client::Client;

/// Also said by the help of `--kernel`.
const KERNELS: &[(&str, &str)] = &[
    ("debian:5.10", "Debian 11"),
    ("debian:6.1", "Debian 12"),
    ("debian:6.12", "Debian 13, as backported to Debian 12"),
    (
        "debian:7",
        "the newest of that series that the package registry serves",
    ),
    (
        "like:4.4",
        "no real 4.4: Linux 5.10 that refuses what 4.4 does not have, with the NFS client of then",
    ),
    (
        "like:4.14",
        "the same for 4.14 (both are built once, some minutes)",
    ),
    (
        "BZIMAGE",
        "your own, with --modules DIR unless all is built in",
    ),
];

pub(crate) fn run() {
    println!("kernels (--kernel)");
    KERNELS
        .iter()
        .for_each(|(name, what)| println!("  {name:<18} {what}"));
    println!("  or --tree DIR: the kernel and the modules of a build tree");
    println!("\nclients (--client)");
    for client in Client::value_variants() {
        let what = client
            .to_possible_value()
            .and_then(|value| value.get_help().map(ToString::to_string))
            .unwrap_or_default();
        let kernels = match client.patched_series() {
            [] => "all".to_owned(),
            series => series.join(", "),
        };
        println!("  {:<18} {kernels:<18} {what}", client.name());
    }
    println!("\nscenarios (--scenario)");
    for scenario in SCENARIOS {
        let opens = scenario
            .opens
            .map_or("?".to_owned(), |opens| opens.to_string());
        let slow = if scenario.slow {
            " (SLOW: over a minute on each version, so only if it is named)"
        } else {
            ""
        };
        println!(
            "  {:<12} {opens:>5}  {}{slow}",
            scenario.name, scenario.what
        );
    }
    println!("\nchecks (lab checks --check)");
    for check in CHECKS {
        println!("  {:<18} {}", check.name, check.what);
    }
    println!("\ncases (lab verdicts --case)");
    for case in CASES {
        println!("  {:<20} {}", case.name, case.what);
    }
}
