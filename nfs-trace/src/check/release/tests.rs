//! Each branch of the table at its edges, and version strings that look like another's.

use super::*;

const SMP: &str = "#1 SMP Thu Nov 15 10:48:41 UTC 2018";
const UBUNTU: &str = "#45-Ubuntu SMP Thu Nov 15 19:32:57 UTC 2018";

fn os(id: &str, version_id: &str) -> Os {
    Os {
        id: id.into(),
        version_id: version_id.into(),
        pretty_name: String::new(),
    }
}

/// The level that the table gives; asserts that the finding is the one that goes with it.
fn level_on(release: &str, version: &str, os: &Os) -> Option<FixLevel> {
    let found = look(release, version, os);
    let finding = match found.fix_level {
        Some(FixLevel::None) => Finding::PointsToAffected,
        Some(_) => Finding::PointsToNotAffected,
        None => Finding::Nothing,
    };
    assert_eq!((found.kind, found.finding), (Kind::Release, finding));
    assert!(found.seen.starts_with(release), "{found:?}");
    assert!(found.means.ends_with(NEVER), "{found:?}");
    found.fix_level
}

fn level(release: &str) -> Option<FixLevel> {
    level_on(release, SMP, &Os::default())
}

const NONE: Option<FixLevel> = Some(FixLevel::None);
const FIRST: Option<FixLevel> = Some(FixLevel::Be189f7e);
const FULL: Option<FixLevel> = Some(FixLevel::Full);

#[test]
fn upstream_branches_differ() {
    for (release, expected) in [
        ("7.3.4", FULL),
        ("5.0.0", FULL),
        ("4.20.0", FULL),
        ("4.20.0-rc1", FULL),
        ("4.19.64", FULL),
        ("4.19.63", NONE),
        ("4.19.0-rc8", NONE),
        ("4.19.0", NONE),
        ("4.18.20", NONE),
        ("4.15.11", NONE),
        ("4.14.336", FULL),
        ("4.14.136", FULL),
        ("4.14.135", NONE),
        ("4.13.16", UNKNOWN),
        ("4.10.0", UNKNOWN),
        ("4.9.337", NONE),
        ("4.9.0", NONE),
        ("4.5.0", UNKNOWN),
        ("4.4.221", UNKNOWN),
        ("4.4.220", NONE),
        ("3.10.108", UNKNOWN),
        ("", UNKNOWN),
        ("odd", UNKNOWN),
        ("99999999999.1", UNKNOWN),
    ] {
        assert_eq!(level(release), expected, "{release}");
    }
}

/// A suffix means a vendor's kernel or one's own: what it starts from it has, and what it
/// does not start from it may have been given.
#[test]
fn a_suffix_is_no_upstream_version() {
    for (release, expected) in [
        ("4.19.66-v7+", FULL),
        ("4.19.50-v7+", UNKNOWN),
        ("4.19.63+", UNKNOWN),
        ("4.14.138-114.102.amzn2.x86_64", FULL),
        ("4.14.133-113.112.amzn2.x86_64", UNKNOWN),
        ("4.14.35-1902.5.2.2.el7uek.x86_64", UNKNOWN),
        ("4.14.0-115.el7a.aarch64", UNKNOWN),
        ("4.9.337-tegra", UNKNOWN),
        ("4.19.94-1.el7.elrepo.x86_64", FULL),
        ("4.18.0-1.el7.elrepo.x86_64", UNKNOWN),
        ("4.4.180-94.100-default", UNKNOWN),   // SLES 12 SP3
        ("4.12.14-122.7-default", UNKNOWN),    // SLES 12 SP5
        ("5.3.18-150300.59.93-default", FULL), // SLES 15 SP3
        ("5.14.0-70.el9.x86_64", FULL),
        ("6.6.87.2-microsoft-standard-WSL2", FULL),
        ("4.15.0-42-generic", UNKNOWN), // no Ubuntu by uname -v
    ] {
        assert_eq!(level(release), expected, "{release}");
    }
}

#[test]
fn rhel_numbers_its_own_way() {
    for (release, expected) in [
        ("3.10.0-514.el7.x86_64", NONE),
        ("3.10.0-693.21.1.el7.x86_64", NONE),
        ("3.10.0-693.2.2.rt56.623.el7.x86_64", NONE),
        ("3.10.0-862.el7.x86_64", UNKNOWN),
        ("3.10.0-957.27.2.el7.x86_64", UNKNOWN),
        ("3.10.0-1062.el7.x86_64", FIRST),
        ("3.10.0-1127.el7.x86_64", FIRST),
        ("3.10.0-1160.el7.centos.plus.x86_64", FIRST),
        ("4.18.0-80.el8.x86_64", UNKNOWN),
        ("4.18.0-147.el8.x86_64", FIRST),
        ("4.18.0-147.5.1.el8_1.x86_64", FIRST),
        ("4.18.0-193.el8.x86_64", UNKNOWN),
        ("4.18.0-240.el8.x86_64", FULL),
        ("4.18.0-553.el8_10.x86_64", FULL),
    ] {
        assert_eq!(level(release), expected, "{release}");
    }
    assert_eq!(level("3.10.0-1127.8.2.vz7.151.14"), UNKNOWN);
}

#[test]
fn opensuse_has_two_steps() {
    let leap =
        |release: &str, version_id: &str| level_on(release, SMP, &os("opensuse-leap", version_id));
    assert_eq!(leap("4.12.14-lp150.12.58-default", "15.0"), NONE);
    assert_eq!(leap("4.12.14-lp150.12.61-default", "15.0"), FIRST);
    assert_eq!(leap("4.12.14-lp151.27-default", "15.1"), NONE);
    assert_eq!(leap("4.12.14-lp151.28.4-default", "15.1"), FIRST);
    assert_eq!(leap("4.12.14-lp151.28.16-default", "15.1"), FIRST);
    assert_eq!(leap("4.12.14-lp151.28.20-default", "15.1"), FULL);
    assert_eq!(leap("5.3.18-lp152.106-default", "15.2"), FULL);
    let old = os("opensuse", "42.3");
    assert_eq!(level_on("4.4.176-96-default", SMP, &old), NONE);
    assert_eq!(level_on("4.4.179-99-default", SMP, &old), FIRST);
    assert_eq!(
        level_on("4.4.179-99-default", SMP, &os("sles", "12.3")),
        UNKNOWN
    );
}

#[test]
fn ubuntu_is_known_unfixed_up_to_a_point() {
    for (release, expected) in [
        ("4.4.0-187-generic", NONE),
        ("4.4.0-188-generic", UNKNOWN),
        ("4.15.0-42-generic", NONE),
        ("4.15.0-43-generic", UNKNOWN),
        ("4.15.0-1021-aws", UNKNOWN), // numbers of its own
        ("4.18.0-17-generic", NONE),
        ("4.18.0-18-generic", UNKNOWN),
        ("4.8.0-58-generic", UNKNOWN),
        ("5.4.0-42-generic", FULL),
    ] {
        let found = level_on(release, UBUNTU, &os("ubuntu", "18.04"));
        assert_eq!(found, expected, "{release}");
    }
    // In a container the kernel stays that of the host.
    let in_container = level_on("4.15.0-42-generic", UBUNTU, &os("rhel", "7.9"));
    assert_eq!(in_container, NONE);
}

#[test]
fn debian_tells_its_version_elsewhere() {
    let debian = |release: &str, package: &str| {
        let version = format!("#1 SMP Debian {package} (2019-08-28)");
        let found = look(release, &version, &os("debian", "10"));
        let seen = format!("{release}, Debian {package}");
        assert!(found.seen.starts_with(&seen), "{found:?}");
        level_on(release, &version, &os("debian", "10"))
    };
    assert_eq!(debian("4.19.0-5-amd64", "4.19.37-5+deb10u2"), NONE);
    assert_eq!(debian("4.19.0-5-amd64", "4.19.67-2"), FULL);
    assert_eq!(debian("4.9.0-19-amd64", "4.9.320-2"), NONE);
    assert_eq!(debian("3.16.0-11-amd64", "3.16.84-1"), UNKNOWN);
    assert_eq!(debian("6.1.0-56-amd64", "6.1.192-2"), FULL);
    assert_eq!(debian("6.6.31+rpt-rpi-v8", "1:6.6.31-1+rpt1"), FULL);
    assert_eq!(
        level_on("4.19.0-5-amd64", "#1 SMP Debian ", &os("", "")),
        UNKNOWN
    );
    assert_eq!(
        level_on("4.19.0-5-amd64", SMP, &os("debian", "10")),
        UNKNOWN
    );
}

#[test]
fn the_variant_of_4_18_is_named() {
    let variant = |release| {
        look(release, SMP, &Os::default())
            .means
            .contains("the file never")
    };
    assert!(variant("4.18.5") && variant("4.19.63"));
    assert!(!variant("4.17.0") && !variant("4.19.64"));
}

#[test]
fn advice_names_what_to_install_unless_it_is_there() {
    let fixed = |release, version| fixed_versions(release, version, &Os::default());
    let rhel = fixed("3.10.0-693.el7.x86_64", SMP).unwrap();
    assert!(rhel.contains("kernel-3.10.0-1062.el7"), "{rhel}");
    let rhel = fixed("4.18.0-147.el8.x86_64", SMP).unwrap();
    assert!(rhel.contains("4.18.0-240.el8"), "{rhel}");
    let ubuntu = fixed("4.15.0-42-generic", UBUNTU).unwrap();
    assert!(ubuntu.contains("Ubuntu"), "{ubuntu}");
    let debian = fixed("4.9.0-19-amd64", "#1 SMP Debian 4.9.320-2 (2022-06-30)").unwrap();
    assert!(debian.contains("Debian 11"), "{debian}");
    let amazon = fixed("4.14.133-113.112.amzn2.x86_64", SMP).unwrap();
    assert!(amazon.starts_with("upstream, 4.14.y"), "{amazon}");
    assert_eq!(fixed("6.1.0-56-amd64", SMP), None, "it is there");
    assert_eq!(fixed("4.12.14-122.7-default", SMP), None, "not known");
}

#[test]
fn the_table_is_in_order() {
    for branch in TABLE {
        let (start, end) = branch.range;
        assert!(start < end, "{}", branch.name);
        assert_eq!(branch.steps[0].0, start, "{}", branch.name);
        assert!(
            branch.steps.iter().map(|(start, _)| start).is_sorted(),
            "{}",
            branch.name
        );
        assert!(branch.steps.iter().all(|(start, _)| *start < end));
        assert!(!branch.source.is_empty() && !branch.fixed.is_empty());
    }
}

#[test]
fn os_release_is_read_with_and_without_quotes() {
    let text = "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nNAME='x'\nVERSION_ID=\"12\"\n\
                ID=debian\nID_LIKE=other\n";
    assert_eq!(
        Os::parse(text),
        Os {
            id: "debian".into(),
            version_id: "12".into(),
            pretty_name: "Debian GNU/Linux 12 (bookworm)".into(),
        }
    );
    assert_eq!(Os::parse("# nothing\nVERSION_IDS=1\n"), Os::default());
}
