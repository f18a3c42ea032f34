//! The client's functions let go of while its modules are gone, and probed again when they are
//! back, perhaps others.

use nfs_trace_ebpf::config::{Config, FILTER_DEV, FOLLOWING};

use super::{Attached, config};
use crate::{
    kernel::{Facts, layout::Layout},
    place::{self, Placed},
};

impl Attached {
    /// Lets go of the client's functions, whether or not they are still there. Programs, maps
    /// and what they counted stay, and the children of a command are followed.
    ///
    /// # Errors
    /// If the map refuses.
    pub fn detach_probes(&mut self) -> anyhow::Result<()> {
        self.set(FOLLOWING)?;
        self.links.detach(&mut self.ebpf);
        self.lines.let_go();
        Ok(())
    }

    /// Attaches to the client's functions as they are now, after [`Self::detach_probes`]. Every
    /// super block is wanted from then on: those that were asked for are gone. Nothing is
    /// recorded yet.
    ///
    /// # Errors
    /// If the kernel refuses a required program or probe; none is in place then.
    pub fn attach_again(&mut self, facts: &Facts, layout: &Layout) -> anyhow::Result<()> {
        let Placed {
            probes,
            verify,
            links,
        } = place::all(&mut self.ebpf, facts, self.options.detail)?;
        self.probes = probes;
        self.verify = verify;
        self.links = links;
        self.config = Config {
            filters: self.config.filters & !FILTER_DEV,
            generation: self.config.generation.wrapping_add(1),
            only_tgid: self.config.only_tgid,
            ..config(facts, layout, &self.options)
        };
        Ok(())
    }
}
