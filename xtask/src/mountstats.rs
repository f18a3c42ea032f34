//! Reads the per-operation counters of one mount in /proc/PID/mountstats: the kernel's own count of
//! what was sent, and so the first oracle.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Operations that an outcome carries: OPENs and LOOKUPs are judged, the rest informs.
const WANTED: &[&str] = &[
    "OPEN",
    "OPEN_NOATTR",
    "OPEN_CONFIRM",
    "LOOKUP",
    "GETATTR",
    "ACCESS",
    "CLOSE",
    "DELEGRETURN",
];

/// Counters of one operation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpCount {
    /// Operations (`om_ops`).
    pub ops: u64,
    /// Transmissions (`om_ntrans`): more than `ops` if some were sent again.
    pub transmissions: u64,
    /// Operations that ended with an error (`om_error_status`, 5.3 and later).
    pub errors: u64,
}

/// The counters of the mount at `mount_point`; none if there is no such NFS mount.
pub fn parse(mountstats: &str, mount_point: &str) -> Option<BTreeMap<String, OpCount>> {
    let head = format!(" mounted on {mount_point} with fstype nfs");
    let mut lines = mountstats.lines().skip_while(|line| !line.contains(&head));
    lines.next()?;
    let counts = lines
        .take_while(|line| !line.starts_with("device "))
        .filter_map(operation);
    Some(
        counts
            .filter(|(name, _)| WANTED.contains(&name.as_str()))
            .collect(),
    )
}

fn operation(line: &str) -> Option<(String, OpCount)> {
    let (name, numbers) = line.trim_start().split_once(": ")?;
    let numbers: Vec<u64> = numbers
        .split(' ')
        .map_while(|word| word.parse().ok())
        .collect();
    // ops, transmissions, time-outs, bytes out and in, queue, rtt, total, and since 5.3 errors
    let (&ops, &transmissions) = (numbers.first()?, numbers.get(1)?);
    let errors = numbers.get(8).copied().unwrap_or(0);
    Some((
        name.to_owned(),
        OpCount {
            ops,
            transmissions,
            errors,
        },
    ))
}

/// How far each counter moved.
pub fn difference(
    before: &BTreeMap<String, OpCount>,
    after: &BTreeMap<String, OpCount>,
) -> BTreeMap<String, OpCount> {
    let moved = |(name, now): (&String, &OpCount)| {
        let was = before.get(name).copied().unwrap_or_default();
        let count = OpCount {
            ops: now.ops.saturating_sub(was.ops),
            transmissions: now.transmissions.saturating_sub(was.transmissions),
            errors: now.errors.saturating_sub(was.errors),
        };
        (name.clone(), count)
    };
    after.iter().map(moved).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
device proc mounted on /proc with fstype proc
device 127.0.0.1:/ mounted on /other with fstype nfs4 statvers=1.1
\tper-op statistics
\t        OPEN: 99 99 0 0 0 0 0 0 0
device 127.0.0.1:/ mounted on /mnt with fstype nfs4 statvers=1.1
\topts:\trw,vers=4.0
\tper-op statistics
\t        NULL: 1 1 0 44 24 7 3 11 0
\t        OPEN: 12 13 0 100 200 1 2 3 7
\t OPEN_NOATTR: 4 4 0 1 1 1 1 1
device tmpfs mounted on /tmp with fstype tmpfs
";

    #[test]
    fn only_the_wanted_mount_and_operations_are_read() {
        let counts = parse(TEXT, "/mnt").unwrap();
        assert_eq!(counts.len(), 2);
        assert_eq!(
            counts["OPEN"],
            OpCount {
                ops: 12,
                transmissions: 13,
                errors: 7
            }
        );
        assert_eq!(
            counts["OPEN_NOATTR"],
            OpCount {
                ops: 4,
                transmissions: 4,
                errors: 0
            }
        );
        assert_eq!(parse(TEXT, "/tmp"), None);
        assert_eq!(parse(TEXT, "/mn"), None);
    }

    #[test]
    fn difference_is_per_operation() {
        let before = parse(TEXT, "/other").unwrap();
        let after = BTreeMap::from([(
            "OPEN".to_owned(),
            OpCount {
                ops: 110,
                transmissions: 112,
                errors: 0,
            },
        )]);
        let moved = difference(&before, &after);
        assert_eq!(
            moved["OPEN"],
            OpCount {
                ops: 11,
                transmissions: 13,
                errors: 0
            }
        );
    }
}
