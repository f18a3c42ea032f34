//! Times, sizes and names as they are typed.

use std::time::Duration;

use nfs_trace_ebpf::probes::{CACHED, Need, PROBES, Probe};

use crate::recording::LEAST_PART;

/// At least a millisecond, at most a year, so that every deadline can be reckoned.
pub(super) fn time(text: &str) -> Result<Duration, String> {
    const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);
    let time = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if (Duration::from_millis(1)..=YEAR).contains(&time) {
        Ok(time)
    } else {
        Err("must be from 1ms to 365days".into())
    }
}

/// A time that something is done again after: at least a second.
pub(super) fn period(text: &str) -> Result<Duration, String> {
    let period = time(text)?;
    if period < Duration::from_secs(1) {
        return Err("must be at least 1s".into());
    }
    Ok(period)
}

/// The name of a probe that can be done without.
pub(super) fn withheld(text: &str) -> Result<String, String> {
    let named = |need_required: bool| {
        PROBES
            .iter()
            .filter(move |probe| (probe.need == Need::Required) == need_required)
            .flat_map(Probe::names)
    };
    let (_, _, event) = CACHED;
    if named(false).chain([event]).any(|name| name == text) {
        return Ok(text.into());
    }
    if named(true).any(|name| name == text) {
        return Err("nothing can be traced without it".into());
    }
    Err("not a function that is probed: `nfs-trace probes` lists them".into())
}

/// Bytes, as 4096, 512K, 100M or 2G.
pub(super) fn part_size(text: &str) -> Result<u64, String> {
    let (digits, shift) = match text.as_bytes().last() {
        Some(b'k' | b'K') => (&text[..text.len() - 1], 10),
        Some(b'm' | b'M') => (&text[..text.len() - 1], 20),
        Some(b'g' | b'G') => (&text[..text.len() - 1], 30),
        _ => (text, 0),
    };
    let bytes = digits.parse::<u64>().ok();
    bytes
        .and_then(|bytes| bytes.checked_mul(1 << shift))
        .filter(|bytes| *bytes >= LEAST_PART)
        .ok_or_else(|| "must be a size as 100M or 2G, at least 1M".into())
}

pub(super) fn buffer_size(text: &str) -> Result<u32, String> {
    match text.parse::<u32>() {
        Ok(kib) if kib.is_power_of_two() && (4..=1 << 20).contains(&kib) => Ok(kib),
        _ => Err("must be a power of two from 4 to 1048576".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_a_unit_or_none() {
        for (text, bytes) in [
            ("1M", 1 << 20),
            ("100m", 100 << 20),
            ("2G", 2 << 30),
            ("2048K", 2 << 20),
            ("1048576", 1 << 20),
        ] {
            assert_eq!(part_size(text), Ok(bytes), "{text}");
        }
        for text in [
            "",
            "M",
            "1",
            "1023K",
            "1T",
            "-1M",
            "1.5G",
            "1 M",
            "99999999999G",
        ] {
            assert!(part_size(text).is_err(), "{text}");
        }
    }
}
