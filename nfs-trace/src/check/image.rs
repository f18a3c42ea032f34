//! Evidence from the running kernel's image: functions that only came with the fix, and the
//! parameters of can_open_cached. Pure, and never more than a pointer: a developer's build
//! may have the functions and not the fix.

use super::evidence::{Evidence, Finding, FixLevel, Kind};
use crate::kernel::symbols::{Symbols, TELLING};

/// Module and function whose parameters [`look`] wants.
pub const OPENER: (&str, &str) = ("nfsv4", "can_open_cached");
/// The parameter that be189f7e7f03 added to it.
const CLAIM: &str = "claim";
/// Parameters that it had before: state, mode, open_mode.
const PARAMETERS_BEFORE: usize = 3;
/// A function of nfsv4 that is always a symbol: its address is in a table of operations.
const NFSV4: &str = "nfs4_file_open";

/// Judges an image by its symbols, and by the names of can_open_cached's parameters where BTF
/// has that function (Debian's builds have only a part of it, which is in no BTF).
#[must_use]
pub fn look(symbols: &Symbols, can_open_cached: Option<&[String]>) -> Evidence {
    let function = |names: &[String]| format!("{}({})", OPENER.1, names.join(", "));
    let evidence = |seen: String, finding, fix_level, means: &str| Evidence {
        kind: Kind::Image,
        looked_at: "kernel symbols (kallsyms) and types (BTF)".to_string(),
        seen,
        finding,
        fix_level,
        means: means.to_string(),
    };
    let has_claim = |names: &&[String]| names.iter().any(|name| name == CLAIM);
    // The test that decides comes before the functions that came with it.
    if let Some(names) = can_open_cached
        && names.len() == PARAMETERS_BEFORE
        && !has_claim(&names)
    {
        return evidence(
            function(names),
            Finding::PointsToAffected,
            Some(FixLevel::None),
            "be189f7e added the parameter `claim`, which keeps ordinary opens from being \
             served from cached open state; here it is missing",
        );
    }
    if let Some(found) = TELLING.iter().find_map(|name| symbols.made_of(name)) {
        return evidence(
            format!("function {found}"),
            Finding::PointsToNotAffected,
            Some(FixLevel::Full),
            "it came with the patches of 4.20 that check names on open, and no release is \
             known that has those without be189f7e",
        );
    }
    if let Some(names) = can_open_cached.filter(has_claim) {
        return evidence(
            function(names),
            Finding::PointsToNotAffected,
            Some(FixLevel::Be189f7e),
            "the parameter `claim` came with be189f7e, so this kernel has at least that patch",
        );
    }
    let nothing = |seen: &str, means: &str| evidence(seen.into(), Finding::Nothing, None, means);
    if !symbols.readable() {
        nothing(
            "/proc/kallsyms lists no function",
            "where the kernel does not show its symbols, its image tells nothing",
        )
    } else if symbols.get(NFSV4).is_none() {
        nothing(
            "module nfsv4 is not loaded",
            "only a loaded client can be looked at: run `modprobe nfsv4`, then check again",
        )
    } else {
        nothing(
            &format!("no function {}", TELLING.join(" or ")),
            "kernels with be189f7e alone do not have them either (RHEL 7.7 and 8.1), and a \
             compiler may have inlined them, so this proves nothing",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn symbols(names: &[&str]) -> Symbols {
        let text: String = names
            .iter()
            .map(|name| format!("0000000000000000 t {name}\t[nfs]\n"))
            .collect();
        Symbols::parse(&text, |_| true)
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(ToString::to_string).collect()
    }

    fn judged(names: &[&str], can_open_cached: Option<&[String]>) -> (Finding, Option<FixLevel>) {
        let found = look(&symbols(names), can_open_cached);
        assert_eq!(found.kind, Kind::Image);
        (found.finding, found.fix_level)
    }

    const FULL: (Finding, Option<FixLevel>) = (Finding::PointsToNotAffected, Some(FixLevel::Full));
    const NOTHING: (Finding, Option<FixLevel>) = (Finding::Nothing, None);

    #[test]
    fn functions_of_the_series_point_to_all_of_it() {
        for function in [
            "nfs_lookup_revalidate_dentry",
            "nfs_lookup_revalidate_dentry.constprop.0",
            "nfs4_do_lookup_revalidate",
            "nfs4_do_lookup_revalidate.isra.0",
        ] {
            assert_eq!(judged(&[NFSV4, function], None), FULL, "{function}");
            // They are in nfs.ko, so nfsv4.ko need not be loaded.
            assert_eq!(judged(&[function], None), FULL, "{function}");
        }
    }

    #[test]
    fn names_alike_are_no_sign() {
        for function in [
            "nfs4_lookup_revalidate",
            "nfs_lookup_revalidate",
            "__nfs4_do_lookup_revalidate",
            "nfs4_do_lookup_revalidate_x",
        ] {
            assert_eq!(judged(&[NFSV4, function], None), NOTHING, "{function}");
        }
    }

    #[test]
    fn the_parameter_claim_points_to_the_first_patch_at_least() {
        let fixed = names(&["state", "mode", "open_mode", "claim"]);
        assert_eq!(
            judged(&[NFSV4], Some(&fixed)),
            (Finding::PointsToNotAffected, Some(FixLevel::Be189f7e))
        );
        assert_eq!(
            judged(&[NFSV4, "nfs_lookup_revalidate_dentry"], Some(&fixed)),
            FULL
        );
    }

    #[test]
    fn its_absence_points_to_an_affected_kernel_whatever_else_is_there() {
        let before = names(&["state", "mode", "open_mode"]);
        for symbols in [&[NFSV4][..], &[NFSV4, "nfs_lookup_revalidate_dentry"]] {
            assert_eq!(
                judged(symbols, Some(&before)),
                (Finding::PointsToAffected, Some(FixLevel::None))
            );
        }
        let odd = names(&["state", "mode", "open_mode", "x"]);
        assert_eq!(judged(&[NFSV4], Some(&odd)), NOTHING);
    }

    #[test]
    fn what_was_not_seen_says_nothing_and_why() {
        let found = look(&Symbols::default(), None);
        assert_eq!(found.finding, Finding::Nothing);
        assert!(found.seen.contains("kallsyms"), "{found:?}");
        let found = look(&symbols(&["vfs_open", "nfs4_lookup_revalidate"]), None);
        assert_eq!(found.finding, Finding::Nothing);
        assert!(found.means.contains("modprobe nfsv4"), "{found:?}");
        let found = look(&symbols(&[NFSV4]), None);
        assert_eq!(found.finding, Finding::Nothing);
        assert!(found.means.contains("be189f7e alone"), "{found:?}");
    }
}
