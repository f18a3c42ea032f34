//! BTF made by hand: a base with structs, and a module on top of it.

use super::{Btf, BtfError};

/// Writes BTF: types are words, strings get their offsets as they are named.
struct Writer {
    words: Vec<u32>,
    strings: Vec<u8>,
    below: u32,
}

impl Writer {
    fn new(below: u32) -> Self {
        // Only a base begins with the empty string.
        let strings = if below == 0 { vec![0] } else { vec![] };
        Self {
            words: vec![],
            strings,
            below,
        }
    }

    fn text(&mut self, text: &str) -> u32 {
        if text.is_empty() {
            return 0;
        }
        let offset = self.below + self.strings.len() as u32;
        self.strings.extend_from_slice(text.as_bytes());
        self.strings.push(0);
        offset
    }

    fn item(&mut self, name: &str, kind: u32, vlen: u32, last: u32, tail: &[u32]) {
        let name = self.text(name);
        self.words.extend([name, kind << 24 | vlen, last]);
        self.words.extend(tail);
    }

    fn bytes(&self) -> Vec<u8> {
        let types = (self.words.len() * 4) as u32;
        let mut bytes = vec![0x9f, 0xeb, 1, 0];
        for word in [24, 0, types, types, self.strings.len() as u32] {
            bytes.extend(u32::to_ne_bytes(word));
        }
        for word in &self.words {
            bytes.extend(word.to_ne_bytes());
        }
        bytes.extend_from_slice(&self.strings);
        bytes
    }
}

/// 1 int; 2 struct qstr { union { struct { int hash, len; }; int both; }; int name; };
/// 3 the union; 4 the inner struct; 5 struct dentry { int x; const qstr d_name; };
/// 6 const -> 2; 7 pointer -> 5; 8 typedef int
fn base() -> Writer {
    let mut w = Writer::new(0);
    let (hash, len, both, name) = (
        w.text("hash"),
        w.text("len"),
        w.text("both"),
        w.text("name"),
    );
    w.item("int", 1, 0, 4, &[32]);
    w.item("qstr", 4, 2, 12, &[0, 3, 0, name, 1, 64]);
    w.item("", 5, 2, 8, &[0, 4, 0, both, 1, 0]);
    w.item("", 4, 2, 8, &[hash, 1, 0, len, 1, 32]);
    let (x, d_name) = (w.text("x"), w.text("d_name"));
    w.item("dentry", 4, 2, 20, &[x, 1, 0, d_name, 6, 64]);
    w.item("", 10, 0, 2, &[]);
    w.item("", 2, 0, 5, &[]);
    w.item("u32", 8, 0, 1, &[]);
    w
}

#[test]
fn members_are_found_through_qualifiers_and_anonymous_parts() {
    let btf = Btf::parse(base().bytes()).unwrap();
    assert_eq!(btf.member_offset("dentry", "x"), Some(0));
    assert_eq!(btf.member_offset("dentry", "d_name"), Some(8));
    assert_eq!(btf.member_offset("dentry", "d_name.len"), Some(12));
    assert_eq!(btf.member_offset("dentry", "d_name.name"), Some(16));
    assert_eq!(btf.member_offset("dentry", "d_nope"), None);
    assert_eq!(btf.member_offset("dentry", "x.y"), None);
    assert_eq!(btf.member_offset("inode", "x"), None);
}

#[test]
fn a_module_builds_on_its_base() {
    let base = base();
    let root = Btf::parse(base.bytes()).unwrap();
    let mut w = Writer::new(base.strings.len() as u32);
    // 9 prototype (u32, struct dentry *); 10 the function; 11 struct with a dentry
    let (a, b) = (w.text("flags"), w.text("dentry_arg"));
    w.item("", 13, 2, 1, &[a, 8, b, 7]);
    w.item("nfs4_lookup_revalidate", 12, 0, 9, &[]);
    let inner = w.text("inner");
    w.item("nfs_thing", 4, 1, 20, &[inner, 5, 96]);
    let module = Btf::parse_split(w.bytes(), &root).unwrap();
    assert_eq!(
        module.pointer_parameter("nfs4_lookup_revalidate", "dentry"),
        Some(1)
    );
    assert_eq!(
        module.pointer_parameter("nfs4_lookup_revalidate", "inode"),
        None
    );
    assert_eq!(module.pointer_parameter("other", "dentry"), None);
    assert_eq!(
        module.parameters("nfs4_lookup_revalidate").unwrap(),
        ["flags", "dentry_arg"]
    );
    assert_eq!(module.parameters("other"), None);
    assert_eq!(module.parameters("nfs_thing"), None, "a struct has none");
    assert_eq!(
        module.member_offset("nfs_thing", "inner.d_name.len"),
        Some(24)
    );
    assert_eq!(
        module.member_offset("dentry", "x"),
        Some(0),
        "base types are reached"
    );
}

#[test]
fn parameters_are_read_where_the_function_is() {
    let mut base = base();
    // 9 prototype (state, mode); 10 its function; 11 an empty prototype; 12 its function;
    // 13 a function whose type is no prototype
    let (state, mode) = (base.text("state"), base.text("mode"));
    base.item("", 13, 2, 1, &[state, 7, mode, 1]);
    base.item("can_open_cached", 12, 0, 9, &[]);
    base.item("", 13, 0, 1, &[]);
    base.item("nothing", 12, 0, 11, &[]);
    base.item("odd", 12, 0, 1, &[]);
    let root = Btf::parse(base.bytes()).unwrap();
    // 14 prototype whose first name lies in the base; 15 the function of the same name
    let mut w = Writer::new(base.strings.len() as u32);
    let claim = w.text("claim");
    w.item("", 13, 2, 1, &[state, 7, claim, 1]);
    w.item("can_open_cached", 12, 0, 14, &[]);
    let module = Btf::parse_split(w.bytes(), &root).unwrap();
    assert_eq!(
        root.parameters("can_open_cached").unwrap(),
        ["state", "mode"]
    );
    assert_eq!(
        module.parameters("can_open_cached").unwrap(),
        ["state", "claim"]
    );
    assert_eq!(module.parameters("nothing").unwrap(), [""; 0]);
    assert_eq!(root.parameters("odd"), None, "its type is no prototype");
}

#[test]
fn bit_fields_have_no_offset() {
    let mut w = Writer::new(0);
    let (flag, plain) = (w.text("flag"), w.text("plain"));
    w.item("int", 1, 0, 4, &[32]);
    // kind_flag set: offsets carry a bit-field size in their upper byte.
    w.item("s", 4 | 1 << 7, 2, 8, &[flag, 1, 1 << 24 | 3, plain, 1, 32]);
    let btf = Btf::parse(w.bytes()).unwrap();
    assert_eq!(btf.member_offset("s", "flag"), None);
    assert_eq!(btf.member_offset("s", "plain"), Some(4));
}

/// Exercises every truncation and every single flipped byte: errors or answers,
/// but no panic.
#[test]
fn damage_is_never_a_panic() {
    let mut base = base();
    let name = base.text("name of a parameter");
    base.item("", 13, 2, 1, &[name, 7, name, 1]);
    base.item("f", 12, 0, 9, &[]);
    let bytes = base.bytes();
    for len in 0..bytes.len() {
        assert!(Btf::parse(bytes[..len].to_vec()).is_err(), "cut at {len}");
    }
    for at in 0..bytes.len() {
        for flip in [0x01, 0x80, 0xff] {
            let mut bytes = bytes.clone();
            bytes[at] ^= flip;
            if let Ok(btf) = Btf::parse(bytes) {
                let _ = btf.member_offset("dentry", "d_name.len");
                let _ = btf.pointer_parameter("f", "dentry");
                let _ = btf.parameters("f");
            }
        }
    }
    assert_eq!(Btf::parse(vec![0; 64]).unwrap_err(), BtfError::Magic(0));
}
