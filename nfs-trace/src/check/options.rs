//! What of a mount matters to the answer: its options and capabilities, as the kernel shows
//! them in /proc/self/mountstats (nfs_show_stats, fs/nfs/super.c). Pure.

use std::path::Path;

use serde::Serialize;

use crate::mounts::unescape;

/// NFS_CAP_ATOMIC_OPEN_V1 (include/linux/nfs_fs_sb.h): an OPEN may name the file by its
/// filehandle. Set by v4.1 and later, and taken away when a server refuses such an OPEN.
const ATOMIC_OPEN_V1: u32 = 1 << 17;

/// Which names the client keeps, option `lookupcache=`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LookupCache {
    /// All, also those that the server does not have.
    #[default]
    All,
    /// Only names that exist.
    Positive,
    /// None: each use of a name asks the server.
    None,
}

/// One mount's options, with the kernel's defaults where it shows none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MountFacts {
    /// `4.0`, `4.1`, `4.2`
    pub nfs_version: Option<String>,
    /// NFS_CAP_*
    pub caps: Option<u32>,
    /// Whether an OPEN of a known name goes by filehandle. This, not the version, decides
    /// how an open behaves.
    pub atomic_open_v1: Option<bool>,
    /// Close-to-open checks are off.
    pub nocto: bool,
    /// Which names are kept.
    pub lookupcache: LookupCache,
    /// Attributes are cached; false with `noac`.
    pub ac: bool,
    /// Seconds for which the attributes of files are kept: while they change, and at most.
    pub acregmin: u32,
    /// See `acregmin`.
    pub acregmax: u32,
    /// The same for directories.
    pub acdirmin: u32,
    /// See `acdirmin`.
    pub acdirmax: u32,
    /// GETATTRs sent so far.
    pub getattrs: u64,
}

impl Default for MountFacts {
    /// NFS_DEF_AC* (include/linux/nfs_fs.h).
    fn default() -> Self {
        Self {
            nfs_version: None,
            caps: None,
            atomic_open_v1: None,
            nocto: false,
            lookupcache: LookupCache::All,
            ac: true,
            acregmin: 3,
            acregmax: 60,
            acdirmin: 30,
            acdirmax: 60,
            getattrs: 0,
        }
    }
}

/// The facts of the mount at `point`, from the text of mountstats.
#[must_use]
pub fn parse(mountstats: &str, point: &Path) -> Option<MountFacts> {
    let mut found = None;
    let mut here = false;
    for line in mountstats.lines() {
        if line.starts_with("device ") {
            here = mounted_on(line).is_some_and(|on| Path::new(&on) == point);
            // The last one mounted covers earlier ones at the same place.
            if here {
                found = Some(MountFacts::default());
            }
        } else if let Some(facts) = found.as_mut().filter(|_| here) {
            facts.take(line);
        }
    }
    found
}

/// `device srv:/x mounted on /mnt/a\040b with fstype nfs4 statvers=1.1` -> `/mnt/a b`, of NFS
/// only.
fn mounted_on(line: &str) -> Option<String> {
    let (_, after) = line.split_once(" mounted on ")?;
    let (point, fs_type) = after.rsplit_once(" with fstype ")?;
    fs_type.starts_with("nfs").then(|| unescape(point))
}

impl MountFacts {
    /// Takes over what a line of the mount's block says.
    fn take(&mut self, line: &str) {
        let line = line.trim_start();
        if let Some(options) = line.strip_prefix("opts:") {
            options
                .trim()
                .split(',')
                .for_each(|option| self.option(option));
        } else if let Some(caps) = line.strip_prefix("caps:") {
            let hex = caps
                .trim()
                .split(',')
                .find_map(|item| item.strip_prefix("caps=0x"));
            self.caps = hex.and_then(|hex| u32::from_str_radix(hex, 16).ok());
            self.atomic_open_v1 = self.caps.map(|caps| caps & ATOMIC_OPEN_V1 != 0);
        } else if let Some(counts) = line.strip_prefix("GETATTR:") {
            let sent = counts.split_ascii_whitespace().next();
            self.getattrs = sent.and_then(|sent| sent.parse().ok()).unwrap_or(0);
        }
    }

    fn option(&mut self, option: &str) {
        let (key, value) = option.split_once('=').unwrap_or((option, ""));
        let seconds = |kept: &mut u32| {
            if let Ok(value) = value.parse() {
                *kept = value;
            }
        };
        match key {
            // Old kernels say "4" for 4.0.
            "vers" if value == "4" => self.nfs_version = Some("4.0".into()),
            "vers" => self.nfs_version = Some(value.into()),
            "nocto" => self.nocto = true,
            "noac" => self.ac = false,
            "lookupcache" => {
                self.lookupcache = match value {
                    "none" => LookupCache::None,
                    "pos" | "positive" => LookupCache::Positive,
                    _ => LookupCache::All,
                }
            }
            "acregmin" => seconds(&mut self.acregmin),
            "acregmax" => seconds(&mut self.acregmax),
            "acdirmin" => seconds(&mut self.acdirmin),
            "acdirmax" => seconds(&mut self.acdirmax),
            _ => {}
        }
    }

    /// Why every use of a name asks the server anew, if it does.
    fn always_asks(&self) -> Option<&'static str> {
        if self.lookupcache == LookupCache::None {
            Some("lookupcache=none")
        } else if !self.ac {
            Some("noac")
        } else if self.acdirmax == 0 {
            Some("acdirmax=0")
        } else {
            None
        }
    }
}

/// On an affected client with ATOMIC_OPEN_V1: what `cached` opens had checked besides the
/// name, from the GETATTRs that all of the mount sent meanwhile. Before 4.18
/// nfs_lookup_verify_inode() asks for the file's attributes on each open, later kernels leave
/// that to the OPEN, which is not sent.
#[must_use]
pub fn unchecked(after: &MountFacts, getattrs_before: u64, cached: usize) -> Option<String> {
    if cached == 0 || after.atomic_open_v1 != Some(true) {
        return None;
    }
    let sent = after.getattrs.saturating_sub(getattrs_before);
    let cached = cached as u64;
    Some(if sent < cached {
        format!(
            "the file itself was not checked (GETATTRs sent: {sent}, for {cached} opens from \
             cached open state), only its name, against the directory's cached attributes: as \
             Linux 4.18 to 4.19.63 do over v4.1 and later"
        )
    } else {
        format!(
            "the file's attributes may have been asked for (GETATTRs sent: {sent}, for {cached} \
             opens from cached open state), as Linux before 4.18 does over v4.1 and later unless \
             mounted with nocto"
        )
    })
}

/// What of these facts matters to the answer, a sentence each. `lookupcache=positive` and the
/// times for files are not among them: they change nothing about a name that exists, nor
/// whether an OPEN is sent.
#[must_use]
pub fn remarks(facts: &MountFacts) -> Vec<String> {
    let mut remarks = Vec::new();
    // init_caps of v4.1 and v4.2 have it, that of v4.0 has not (fs/nfs/nfs4proc.c).
    if let Some(version) = &facts.nfs_version
        && version != "4.0"
        && facts.atomic_open_v1 == Some(false)
    {
        remarks.push(format!(
            "the server refused an OPEN by filehandle (capability ATOMIC_OPEN_V1 is gone), so \
             opens on this v{version} mount behave as over v4.0"
        ));
    }
    // fs/nfs/dir.c: nfs_check_verifier() knows of lookupcache=none and of the age of the
    // directory's attributes, and is called on open where ATOMIC_OPEN_V1 is set or c7944ebb
    // is in.
    match (facts.atomic_open_v1, facts.always_asks()) {
        (Some(true), None) => {
            let (least, most) = (facts.acdirmin, facts.acdirmax);
            let time = if least == most {
                format!("{most} s")
            } else {
                format!("{least} to {most} s")
            };
            remarks.push(format!(
                "an OPEN goes by filehandle here and does not check the name, and the \
                 directory's attributes are trusted for {time}: for so long a file that was \
                 renamed over the name can go unnoticed, on a fixed client too"
            ));
        }
        (Some(true), Some(why)) => remarks.push(format!(
            "{why}: each open asks the server about the name or its directory first, so a file \
             renamed over the name is noticed even where no OPEN is sent"
        )),
        (Some(false), Some(why)) => remarks.push(format!(
            "{why} does not help an unfixed client here: without c7944ebb an open over v4.0 \
             accepts a name in its cache without any check"
        )),
        (Some(false), None) | (None, _) => {}
    }
    if facts.nocto {
        // Only nfs_lookup_verify_inode() and nfs_close_context() ask for it.
        remarks.push(
            "nocto leaves out checks of attributes on open and close, as the admin wished, \
             but no OPEN: a cached open is the bug here, too"
                .to_string(),
        );
    }
    remarks
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A block as Linux 6.1 writes it, `more` among its options.
    fn block(point: &str, version: &str, caps: &str, more: &str) -> String {
        format!(
            "device 127.0.0.1:/ mounted on {point} with fstype nfs4 statvers=1.1\n\
             \topts:\trw,vers={version},rsize=131072,wsize=131072,namlen=255,{more}hard,\
             proto=tcp,timeo=600,retrans=2,sec=sys,clientaddr=127.0.0.1,local_lock=none\n\
             \tage:\t12\n\
             \timpl_id:\tname='',domain='',date='0,0'\n\
             \tcaps:\tcaps={caps},wtmult=512,dtsize=131072,bsize=0,namlen=255\n\
             \tnfsv4:\tbm0=0xfdffbfff,bm1=0xf9be3e,bm2=0x60800,acl=0x3,sessions,\
             pnfs=not configured,lease_time=10,lease_expired=0\n\
             \tsec:\tflavor=1,pseudoflavor=1\n\
             \tevents:\t1 2 0 0 \n\
             \tRPC iostats version: 1.1  p/v: 100003/4 (nfs)\n\
             \txprt:\ttcp 0 0 1 0 0 40 40 0 41 0 2 0 0\n\
             \tper-op statistics\n\
             \t        NULL: 1 1 0 44 24 0 0 0 0\n\
             \t     GETATTR: 7 8 0 1400 1680 0 3 3 0\n\n"
        )
    }

    const TIMES: &str = "acregmin=3,acregmax=60,acdirmin=30,acdirmax=60,";
    const WITH_V1: &str = "0x3ffbffff";
    const WITHOUT_V1: &str = "0x3ff9ffff";

    fn facts(version: &str, caps: &str, more: &str) -> MountFacts {
        let text = block("/mnt", version, caps, more);
        parse(&text, Path::new("/mnt")).unwrap()
    }

    #[test]
    fn an_ordinary_mount_has_the_defaults() {
        let expected = MountFacts {
            nfs_version: Some("4.1".into()),
            caps: Some(0x3ffb_ffff),
            atomic_open_v1: Some(true),
            getattrs: 7,
            ..MountFacts::default()
        };
        assert_eq!(facts("4.1", WITH_V1, TIMES), expected);
        assert_eq!(facts("4.1", WITH_V1, ""), expected);
        assert_eq!(facts("4", WITHOUT_V1, "").nfs_version.unwrap(), "4.0");
    }

    #[test]
    fn each_option_is_read() {
        let more = "acregmin=0,acregmax=1,acdirmin=2,acdirmax=5,nocto,noac,lookupcache=pos,";
        let expected = MountFacts {
            nfs_version: Some("4.0".into()),
            caps: Some(0x3ff9_ffff),
            atomic_open_v1: Some(false),
            nocto: true,
            lookupcache: LookupCache::Positive,
            ac: false,
            acregmin: 0,
            acregmax: 1,
            acdirmin: 2,
            acdirmax: 5,
            getattrs: 7,
        };
        assert_eq!(facts("4.0", WITHOUT_V1, more), expected);
        let none = facts("4.2", WITH_V1, "lookupcache=none,");
        assert_eq!(none.lookupcache, LookupCache::None);
    }

    #[test]
    fn what_a_cached_open_had_checked_follows_from_the_getattrs() {
        let after = facts("4.1", WITH_V1, "");
        let said = |before, cached| unchecked(&after, before, cached).unwrap();
        assert!(said(6, 9).starts_with("the file itself was not checked (GETATTRs sent: 1,"));
        assert!(said(0, 7).starts_with("the file's attributes may have been asked for"));
        assert_eq!(unchecked(&after, 7, 0), None, "no cached open");
        let v40 = facts("4.0", WITHOUT_V1, "");
        assert_eq!(
            unchecked(&v40, 7, 9),
            None,
            "over v4.0 the name is not checked either"
        );
    }

    #[test]
    fn only_the_mount_that_was_asked_for_is_read() {
        let text = "device proc mounted on /proc with fstype proc\n".to_string()
            + &block("/mnt/a\\040b", "4.0", WITHOUT_V1, "nocto,")
            + "device /dev/sda1 mounted on /mnt with fstype ext4\n"
            + &block("/mnt", "4.2", "odd", "")
            + &block("/twice", "4.0", WITHOUT_V1, "nocto,")
            + &block("/twice", "4.1", WITH_V1, "");
        let at = |point: &str| parse(&text, Path::new(point));
        assert!(at("/mnt/a b").unwrap().nocto);
        let odd = at("/mnt").unwrap();
        assert_eq!((odd.caps, odd.atomic_open_v1), (None, None));
        assert!(!odd.nocto);
        let last = at("/twice").unwrap();
        assert_eq!(last.nfs_version.as_deref(), Some("4.1"));
        assert!(!last.nocto);
        assert_eq!(at("/proc"), None, "not NFS");
        assert_eq!(at("/mnt/a"), None);
    }

    /// Each mount gets the remarks with these words, and no other.
    #[test]
    fn what_matters_is_remarked() {
        let on_v1 = |more: &str| facts("4.1", WITH_V1, more);
        let on_v0 = |more: &str| facts("4.0", WITHOUT_V1, more);
        for (facts, expected) in [
            (on_v0(""), &[][..]),
            (on_v0("lookupcache=pos,"), &[]),
            (on_v1(""), &["trusted for 30 to 60 s"]),
            (on_v1("acdirmin=5,acdirmax=5,"), &["trusted for 5 s"]),
            (on_v1("lookupcache=none,"), &["lookupcache=none: each"]),
            (on_v1("noac,"), &["noac: each open"]),
            (on_v1("acdirmin=0,acdirmax=0,"), &["acdirmax=0: each"]),
            (on_v0("lookupcache=none,"), &["lookupcache=none does not"]),
            (on_v0("noac,nocto,"), &["noac does not", "nocto leaves"]),
            (
                facts("4.2", WITHOUT_V1, ""),
                &["this v4.2 mount behave as over v4.0"],
            ),
            (MountFacts::default(), &[]),
        ] {
            let found = remarks(&facts);
            assert_eq!(found.len(), expected.len(), "{found:?}");
            for (remark, words) in found.iter().zip(expected) {
                assert!(remark.contains(words), "{remark}");
            }
        }
    }
}
