//! Which layout is chosen, and what is said of the others.

use super::*;

fn offsets(inode_ino: u32) -> Offsets {
    Offsets {
        inode_ino,
        ..Offsets::NONE
    }
}

fn candidate(source: Source, what: &str, variants: &[u32]) -> Candidate {
    Candidate {
        source,
        what: what.into(),
        remark: String::new(),
        variants: Ok(variants.iter().copied().map(offsets).collect()),
        claim_is_sure: source == Source::Btf,
        revalidate_dentry_arg: (source == Source::Btf).then_some(2),
    }
}

/// A kernel where i_ino is at 56.
fn at_56(offsets: &Offsets) -> Result<Misread, &'static str> {
    Ok(match offsets.inode_ino {
        56 => vec![],
        48 => vec!["inode number"],
        _ => vec!["name", "inode number"],
    })
}

#[test]
fn the_first_that_fits_is_taken() {
    let btf = || candidate(Source::Btf, "the BTF", &[56]);
    let table = || candidate(Source::Table, "the table", &[64, 56, 48]);
    let chosen = choose(vec![btf(), table()], at_56);
    assert_eq!(
        chosen,
        Layout {
            source: Source::Btf,
            why: String::new(),
            offsets: offsets(56),
            claim_is_sure: true,
            revalidate_dentry_arg: Some(2),
        }
    );
    let mut asked = Vec::new();
    let chosen = choose(vec![table(), btf()], |offsets| {
        asked.push(offsets.inode_ino);
        at_56(offsets)
    });
    assert_eq!(
        (chosen.source, chosen.offsets),
        (Source::Table, offsets(56))
    );
    assert_eq!(chosen.revalidate_dentry_arg, None);
    assert_eq!(asked, [64, 56], "and the others are not tried any more");
}

#[test]
fn what_does_not_fit_is_named_with_what_is_wrong() {
    let wrong = candidate(Source::Btf, "the BTF of x", &[64]);
    let mut table = candidate(Source::Table, "the table", &[56]);
    table.remark = "from y".into();
    let chosen = choose(vec![wrong.clone(), table], at_56);
    assert_eq!(chosen.source, Source::Table);
    assert_eq!(
        chosen.why,
        "the BTF of x does not fit this kernel (wrong for a known file: name, inode number); \
         from y"
    );
    let table = candidate(Source::Table, "the table", &[64, 48, 40]);
    let none = choose(vec![wrong, table], at_56);
    assert_eq!((none.source, none.offsets), (Source::None, Offsets::NONE));
    assert!(
        none.why.ends_with(
            "; the table does not fit this kernel (wrong for a known file: inode number)"
        ),
        "the variant that comes closest: {}",
        none.why
    );
}

#[test]
fn what_is_not_there_is_said() {
    let mut btf = candidate(Source::Btf, "the BTF", &[]);
    btf.variants = Err("this kernel has no BTF".into());
    let table = candidate(Source::Table, "the table", &[56]);
    let chosen = choose(vec![btf.clone(), table], at_56);
    assert_eq!(chosen.source, Source::Table);
    assert_eq!(chosen.why, "this kernel has no BTF");
    assert_eq!(
        choose(vec![btf], at_56),
        Layout::none("this kernel has no BTF".into())
    );
}

#[test]
fn without_calibration_no_layout_is_used() {
    let both = vec![
        candidate(Source::Btf, "the BTF", &[56]),
        candidate(Source::Table, "the table", &[56]),
    ];
    let mut times = 0;
    let none = choose(both, |_| {
        times += 1;
        Err("no privilege")
    });
    assert_eq!(
        none,
        Layout::none("the BTF could not be tried: no privilege".into())
    );
    assert_eq!(times, 1, "the next would not fare better");
}

#[test]
fn a_claim_that_is_not_sure_is_checked() {
    let mut layout = Layout::none(String::new());
    layout.offsets.opendata_name = 104;
    layout.offsets.opendata_claim = 136;
    assert_eq!(layout.for_programs().opendata_name, 104);
    layout.claim_is_sure = true;
    assert_eq!(layout.for_programs().opendata_name, ABSENT);
    assert_eq!(layout.for_programs().opendata_claim, 136);
}

#[test]
fn every_field_has_a_place_of_its_own() {
    let mut offsets = Offsets::NONE;
    for (number, (_, place)) in (0..).zip(FIELDS) {
        assert_eq!(*place(&mut offsets), ABSENT);
        *place(&mut offsets) = number;
    }
    let numbers: Vec<_> = named(&offsets).map(|(_, offset)| offset).collect();
    assert_eq!(numbers, (0..FIELDS.len() as u32).collect::<Vec<_>>());
    assert_eq!(Layout::none(String::new()).missing().len(), FIELDS.len());
}
