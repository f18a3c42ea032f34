//! `cargo xtask bench`: what watching opens costs, in instructions, which no load of the machine
//! changes. Guests are emulated with one processor whose clock counts instructions.

mod figures;
mod growth;
mod guest;
mod table;
mod targets;

use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use lab_contract::{
    benched::{FLOOR, RECORD, TRACE, UNTRACED, WAYS, way},
    grown::{Shape, shapes},
};

use serde::Serialize;

use self::{
    figures::{Figures, Kind},
    growth::Growth,
};
use crate::{cache, lab::client::Client, workspace};

/// The kinds of open, and the client that answers so: no lease is given, one file is held.
const KINDS: &[(&str, Client)] = &[("cached", Client::WithoutSeries), ("wire", Client::Stock)];

/// Count the instructions that each way of watching opens adds
///
/// Guests are emulated, and their clock counts instructions: a figure is the same on any machine,
/// whatever else runs there.
#[derive(Args)]
pub(crate) struct Options {
    /// The kernel, as `lab run` takes it
    #[arg(long, default_value = "debian:6.1")]
    kernel: String,
    /// Take this static nfs-trace instead of building one
    #[arg(long, value_name = "FILE")]
    tracer: Option<PathBuf>,
    /// Cached opens alone, and only what is ours: under three minutes
    #[arg(long)]
    quick: bool,
    /// Cached opens alone, of more and more names, tasks, mounts, longer paths and names: how the cost
    /// grows
    #[arg(long, conflicts_with_all = ["quick", "kind", "way", "against"])]
    growth: bool,
    /// What grows, as `depth=8` [default: all]
    #[arg(long, value_delimiter = ',', requires = "growth")]
    shape: Vec<Shape>,
    /// Kinds of open: cached, wire [default: both]
    #[arg(long, value_delimiter = ',', value_parser = ["cached", "wire"])]
    kind: Vec<String>,
    /// Ways of watching them [default: all]; untraced is always one
    #[arg(long, value_delimiter = ',')]
    way: Vec<String>,
    /// Where the figures go [default: target/bench.json, or growth.json]
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Compare with the figures of another run
    #[arg(long, value_name = "FILE")]
    against: Option<PathBuf>,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    if options.growth {
        return grow(options);
    }
    let names = ways(options)?;
    let before: Option<Figures> = match &options.against {
        Some(path) => Some(
            serde_json::from_str(&cache::read(path)?)
                .with_context(|| format!("read the figures in {}", path.display()))?,
        ),
        None => None,
    };
    let mut figures = Figures::default();
    for (kind, client) in KINDS {
        let asked = if options.kind.is_empty() {
            !options.quick || *kind == "cached"
        } else {
            options.kind.iter().any(|asked| asked == kind)
        };
        if asked {
            let (release, rows) = guest::run(
                &options.kernel,
                *client,
                options.tracer.as_deref(),
                &names,
                &[],
            )?;
            figures.kernel = release;
            let kind = Kind::new(kind, rows);
            print!("{}", table::table(&kind));
            figures.kinds.push(kind);
        }
    }
    print!("{}", targets::text(&figures));
    if let Some(before) = &before {
        print!("{}", table::compared(before, &figures));
    }
    keep(options, "bench.json", &figures)
}

/// Measures how the cost grows.
fn grow(options: &Options) -> Result<()> {
    let names = [UNTRACED, FLOOR, RECORD, TRACE].map(str::to_owned);
    let asked = |shape: &Shape| options.shape.is_empty() || options.shape.contains(shape);
    let shapes: Vec<Shape> = shapes().filter(asked).collect();
    let (tracer, client) = (options.tracer.as_deref(), Client::WithoutSeries);
    let (kernel, rows) = guest::run(&options.kernel, client, tracer, &names, &shapes)?;
    let growth = Growth::new(&kernel, &rows);
    print!("{}", growth.table());
    keep(options, "growth.json", &growth)
}

fn keep(options: &Options, name: &str, figures: &impl Serialize) -> Result<()> {
    let path = match &options.json {
        Some(path) => path.clone(),
        None => workspace::root().join("target").join(name),
    };
    cache::write(&path, serde_json::to_vec_pretty(figures)?)?;
    println!("figures: {}", path.display());
    Ok(())
}

/// The ways that were asked for, in the order of the table.
fn ways(options: &Options) -> Result<Vec<String>> {
    for name in &options.way {
        let names: Vec<&str> = WAYS.iter().map(|way| way.name).collect();
        ensure!(
            way(name).is_some(),
            "no way `{name}`: use {}",
            names.join(", ")
        );
    }
    let asked = |name: &str| options.way.iter().any(|asked| asked == name);
    let chosen = WAYS.iter().filter(|way| {
        way.name == UNTRACED
            || if options.way.is_empty() {
                !options.quick || way.quick
            } else {
                asked(way.name)
            }
    });
    Ok(chosen.map(|way| way.name.to_owned()).collect())
}
