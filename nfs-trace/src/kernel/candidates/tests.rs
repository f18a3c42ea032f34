//! Files that are no BTF, or not that of one kernel.

use std::env;

use super::*;

const VERSION: (u32, u32) = (6, 1);

/// A file of these bytes, removed at the end.
struct Written(PathBuf);

impl Written {
    fn new(name: &str, bytes: &[u8]) -> Self {
        let path = env::temp_dir().join(format!("nfs-trace-btf-{}-{name}", std::process::id()));
        fs::write(&path, bytes).unwrap();
        Self(path)
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// BTF with struct super_block { int pad, s_dev; } and nfs4_lookup_revalidate(struct dentry *),
/// whose strings begin as they do in BTF that stands alone, or not.
fn btf(alone: bool) -> Vec<u8> {
    let strings = b"\0int\0super_block\0pad\0s_dev\0dentry\0nfs4_lookup_revalidate\0";
    let strings = if alone { &strings[..] } else { &strings[1..] };
    let types: &[&[u32]] = &[
        &[1, 1 << 24, 4, 32],                       // 1: int
        &[5, 4 << 24 | 2, 8, 17, 1, 0, 21, 1, 128], // 2: struct super_block
        &[27, 4 << 24, 0],                          // 3: struct dentry
        &[0, 2 << 24, 3],                           // 4: a pointer to it
        &[0, 13 << 24 | 1, 1, 27, 4],               // 5: int (struct dentry *)
        &[34, 12 << 24, 5],                         // 6: the function
    ];
    let types: Vec<u8> = types
        .iter()
        .flat_map(|words| words.iter())
        .flat_map(|word| word.to_ne_bytes())
        .collect();
    let mut bytes = vec![];
    bytes.extend(0xeb9f_u16.to_ne_bytes());
    bytes.extend([1, 0]);
    let size = types.len() as u32;
    for word in [24, 0, size, size, strings.len() as u32] {
        bytes.extend(u32::to_ne_bytes(word));
    }
    bytes.extend(types);
    bytes.extend(strings);
    bytes
}

#[test]
fn a_file_of_btf_is_read() {
    let file = Written::new("alone", &btf(true));
    let candidate = of_files(std::slice::from_ref(&file.0), VERSION).unwrap();
    let offsets = candidate.variants.unwrap()[0];
    assert_eq!(offsets.sb_dev, 16);
    assert_eq!(offsets.inode_ino, ABSENT);
    assert!(!candidate.claim_is_sure, "it is not the kernel's own");
    let own = Btf::parse(btf(true)).unwrap();
    let argument = own.pointer_parameter("nfs4_lookup_revalidate", "dentry");
    assert_eq!((argument, candidate.revalidate_dentry_arg), (Some(0), None));
    assert!(candidate.what.contains("alone"), "{}", candidate.what);
}

/// Exercises what may be wrong with a file: one error, which names it.
#[test]
fn what_is_no_btf_is_refused() {
    let good = btf(true);
    let mut other_order = good.clone();
    other_order.swap(0, 1);
    let elf = fs::read(env::current_exe().unwrap()).unwrap();
    for (name, bytes, why) in [
        ("empty", &[][..], "cut short"),
        ("text", b"vmlinux\n", "not BTF"),
        ("order", &other_order, "other byte order"),
        ("short", &good[..good.len() - 9], "cut short"),
        ("elf", &elf, "no section .BTF"),
        ("elf-short", &elf[..40], "damaged ELF"),
    ] {
        let file = Written::new(name, bytes);
        let error = of_files(std::slice::from_ref(&file.0), VERSION).unwrap_err();
        assert!(error.contains(why), "{name}: {error}");
        assert!(error.starts_with(&file.0.display().to_string()), "{error}");
        assert!(!error.contains('\n'), "{error}");
    }
    let gone = of_files(&["/nonexistent/btf".into()], VERSION).unwrap_err();
    assert!(gone.contains("No such file"), "{gone}");
}

#[test]
fn there_is_one_file_that_stands_alone() {
    let (one, two) = (
        Written::new("one", &btf(true)),
        Written::new("two", &btf(true)),
    );
    let error = of_files(&[one.0.clone(), two.0.clone()], VERSION).unwrap_err();
    assert!(error.starts_with(&two.0.display().to_string()), "{error}");
    assert!(error.contains("stands alone"), "{error}");
    let split = Written::new("split", &btf(false));
    // In any order.
    of_files(&[split.0.clone(), one.0.clone()], VERSION).unwrap();
}
