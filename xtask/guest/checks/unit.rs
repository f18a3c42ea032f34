//! The systemd unit's command line without systemd: as root with no more than the unit's
//! capabilities, no new privileges, and a network of its own.

use std::{
    fs::{self, File},
    os::fd::AsFd as _,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use lab_contract::{protocol::NfsVersion, unit};
use rustix::{
    process::{Resource, Rlimit, setrlimit},
    thread::{
        CapabilitySet, LinkNameSpaceType, move_into_link_name_space,
        remove_capability_from_bounding_set, set_no_new_privs,
    },
};

use super::{
    Held,
    ground::{Ground, mount_both, wait_for},
    held, kernel,
    metrics::{opens, text, value},
    modules::{is_module, load, unload_all},
    tool::Tool,
};

const FOLDER: &str = "/var/lib/prometheus/node-exporter";
const OPENS: u64 = 11;
const AFTER: u64 = 7;
const WITHIN: Duration = Duration::from_secs(90);

const PARANOID: &str = "/proc/sys/kernel/perf_event_paranoid";

/// include/uapi/linux/capability.h
const NUMBERS: [(&str, u32); 3] = [("CAP_SYS_ADMIN", 21), ("CAP_PERFMON", 38), ("CAP_BPF", 39)];

pub(super) fn capabilities(ground: &Ground) -> Result<Held> {
    let names = unit::settings("CapabilityBoundingSet").last();
    let numbers = numbers_of(names)?;
    fs::create_dir_all(FOLDER).with_context(|| format!("create {FOLDER}"))?;
    let memory: Vec<&str> = unit::settings("LimitMEMLOCK").collect();
    ensure!(memory == ["infinity"], "LimitMEMLOCK={memory:?}");
    // Of the whole guest: everything else in it may raise it by itself.
    let unlimited = Rlimit {
        current: None,
        maximum: None,
    };
    setrlimit(Resource::Memlock, unlimited).context("raise the limit of locked memory")?;
    let network = Network::new()?;
    let arguments = unit::arguments().context("find the command of the unit")?;
    let arguments: Vec<&str> = arguments
        .iter()
        .map(String::as_str)
        .chain(["--metrics-every", "1s"])
        .collect();
    let file = arguments
        .iter()
        .find(|argument| argument.starts_with(FOLDER))
        .context("find the file of the unit")?;

    ground.file("a")?;
    let tool = network.run(&arguments, &numbers)?;
    // Written before, with 0.
    wait_for("the unit's trace attached", WITHIN, || {
        Ok(text(file).is_ok_and(|text| text.contains("\nnfs_trace_attached 1\n")))
    })
    .with_context(|| format!("it said: {}", tool.said()))?;
    let wanted = numbers.iter().fold(0, |set, number| set | 1_u64 << number);
    let status = tool.status()?;
    for line in [
        format!("CapEff:\t{wanted:016x}"),
        "NoNewPrivs:\t1".to_owned(),
    ] {
        ensure!(status.contains(&line), "no `{line}` in {status}");
    }
    let counted = |opened: u64| {
        wait_for("the opens are counted", WITHIN, || {
            Ok(opens(&text(file)?)? == opened)
        })
        .with_context(|| format!("it said: {}", tool.said()))
    };
    ground.opens("alpha", OPENS, "a")?;
    counted(OPENS)?;
    let mut swapped = "the client is built in";
    if is_module("nfsv4")? {
        // The kernel's announcements reach this network too.
        unload_all()?;
        tool.wait_said("was unloaded: waiting until it is back", 1)?;
        ["nfs", "nfsv4"].into_iter().try_for_each(load)?;
        tool.wait_said("attached again after ", 1)?;
        mount_both(NfsVersion::V41)?;
        ground.opens("beta", AFTER, "a")?;
        counted(OPENS + AFTER)?;
        swapped = "also after its modules were loaded again";
    }
    let ended = tool.stop()?;
    ended.expect(0)?;
    ensure!(ended.out.is_empty(), "it prints {}", ended.out);
    ensure!(
        value(&text(file)?, "nfs_trace_attached")? == 0.0,
        "{}",
        text(file)?
    );

    let ended = network.run(&arguments, &[])?.end()?;
    ended.refuses(69, &["no privilege"])?;

    let mut fewer = "no fewer before 5.8".to_owned();
    if kernel::is_at_least((5, 8))? {
        let names = unit::fewer_settings("CapabilityBoundingSet").last();
        with_fewer(&network, &arguments, &numbers_of(names)?)?;
        fewer = format!("{} with {PARANOID} at 2", names.unwrap_or_default());
    }
    let names = names.unwrap_or_default();
    held(format!(
        "{names}: {OPENS} opens counted, {swapped}; {fewer}"
    ))
}

/// With the drop-in's capabilities, each of which is needed. Debian's kernels ask for CAP_SYS_ADMIN
/// if the limit is above 2, as it is by default.
fn with_fewer(network: &Network, arguments: &[&str], numbers: &[u32]) -> Result<()> {
    let before = fs::read_to_string(PARANOID).with_context(|| format!("read {PARANOID}"))?;
    fs::write(PARANOID, "2").with_context(|| format!("write {PARANOID}"))?;
    let duration = [arguments, &["--duration", "1s"]].concat();
    let ended = network.run(&duration, numbers)?.end()?;
    ended.expect(0)?;
    for without in numbers {
        let fewer: Vec<u32> = numbers
            .iter()
            .filter(|it| *it != without)
            .copied()
            .collect();
        let ended = network.run(arguments, &fewer)?.end()?;
        ended.refuses(69, &["no privilege"])?;
    }
    fs::write(PARANOID, before).with_context(|| format!("write {PARANOID}"))
}

fn numbers_of(names: Option<&str>) -> Result<Vec<u32>> {
    let names = names.context("find the capabilities")?;
    names.split(' ').map(number).collect()
}

fn number(name: &str) -> Result<u32> {
    let row = NUMBERS.iter().find(|(known, _)| *known == name);
    row.map(|(_, number)| *number)
        .with_context(|| format!("no capability `{name}` in the table"))
}

/// A network without anything in it, for as long as this lives.
struct Network(Child);

impl Network {
    fn new() -> Result<Self> {
        let holder = Command::new("busybox")
            .args(["unshare", "-n", "busybox", "sleep", "100000"])
            .stdin(Stdio::null())
            .spawn()
            .context("start busybox")?;
        let this = Self(holder);
        let ours = fs::read_link("/proc/self/ns/net").context("read our network")?;
        wait_for("a network of its own", WITHIN, || {
            Ok(fs::read_link(this.path()).is_ok_and(|its| its != ours))
        })?;
        Ok(this)
    }

    fn path(&self) -> String {
        format!("/proc/{}/ns/net", self.0.id())
    }

    /// Starts nfs-trace in it, with these capabilities at most. They and the network belong to
    /// a thread, and go on to what it starts.
    fn run(&self, arguments: &[&str], capabilities: &[u32]) -> Result<Tool> {
        let start = || {
            let network = File::open(self.path()).context("open the network")?;
            move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network))
                .context("enter the network")?;
            for number in (0..64).filter(|number| !capabilities.contains(number)) {
                let one = CapabilitySet::from_bits_retain(1 << number);
                match remove_capability_from_bounding_set(one) {
                    // More than this kernel has.
                    Err(rustix::io::Errno::INVAL) => {}
                    done => done.with_context(|| format!("drop capability {number}"))?,
                }
            }
            set_no_new_privs(true).context("drop new privileges")?;
            Tool::start(arguments)
        };
        thread::scope(|scope| scope.spawn(start).join())
            .unwrap_or_else(|_| bail!("starting nfs-trace panicked"))
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
