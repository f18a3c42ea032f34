//! The systemd unit that is shipped, as far as host and guest ask: what it runs, and with which
//! capabilities.

/// Its name.
pub const NAME: &str = "nfs-trace-metrics.service";

/// Its text.
pub const TEXT: &str = include_str!("../../packaging/nfs-trace-metrics.service");

/// The drop-in for kernels that do with fewer capabilities.
const FEWER: &str = include_str!("../../packaging/fewer-capabilities.conf");

/// What a setting is set to, each time it is.
pub fn settings(key: &str) -> impl Iterator<Item = &'static str> {
    settings_in(TEXT, key)
}

/// The same of the drop-in for kernels that do with fewer capabilities.
pub fn fewer_settings(key: &str) -> impl Iterator<Item = &'static str> {
    settings_in(FEWER, key)
}

fn settings_in(text: &'static str, key: &str) -> impl Iterator<Item = &'static str> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(move |line| line.strip_prefix(key)?.strip_prefix('='))
}

/// What nfs-trace is told, with the variables as the unit sets them and split as systemd does:
/// `${NAME}` is one word, `$NAME` any number. Nothing if it does not run nfs-trace, or uses a
/// variable that is not set.
#[must_use]
pub fn arguments() -> Option<Vec<String>> {
    let mut commands = settings("ExecStart");
    let (command, None) = (commands.next()?, commands.next()) else {
        return None;
    };
    let arguments = command.strip_prefix("/usr/bin/nfs-trace ")?;
    let value = |name: &str| {
        settings("Environment").find_map(|set| set.strip_prefix(name)?.strip_prefix('='))
    };
    let mut words = Vec::new();
    for word in arguments.split(' ') {
        if let Some(name) = word.strip_prefix("${") {
            words.push(value(name.strip_suffix('}')?)?.to_owned());
        } else if let Some(name) = word.strip_prefix('$') {
            words.extend(value(name)?.split_whitespace().map(str::to_owned));
        } else {
            words.push(word.to_owned());
        }
    }
    Some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_runs_a_trace_that_prints_nowhere() {
        assert_eq!(
            arguments().unwrap(),
            [
                "trace",
                "--wait-module",
                "--output",
                "/dev/null",
                "--metrics",
                "/var/lib/prometheus/node-exporter/nfs_trace.prom"
            ]
        );
        let written: Vec<_> = settings("ReadWritePaths").collect();
        assert_eq!(written, ["-/var/lib/prometheus/node-exporter"]);
        assert_eq!(
            settings("CapabilityBoundingSet").collect::<Vec<_>>(),
            ["CAP_SYS_ADMIN"]
        );
        assert_eq!(
            fewer_settings("CapabilityBoundingSet").collect::<Vec<_>>(),
            ["", "CAP_BPF CAP_PERFMON"]
        );
    }
}
