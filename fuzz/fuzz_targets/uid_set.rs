//! A set of UIDs holds what went in, however it is compressed, written, halved and split.

#![no_main]

use std::collections::BTreeSet;

use libfuzzer_sys::fuzz_target;
use postroom::message::{Uid, UidSet};

fuzz_target!(|ranges: Vec<(u32, u8)>| {
    let model: BTreeSet<Uid> =
        ranges.iter().flat_map(|&(first, more)| first..=first.saturating_add(more.into())).map(Uid).collect();

    let set: UidSet = model.iter().rev().copied().collect();

    assert_eq!((set.len(), set.is_empty()), (model.len(), model.is_empty()));
    assert!(set.iter().eq(model.iter().copied()));
    assert_eq!(read(&set.to_string()), model);
    let around = |uid: &Uid| [uid.0.wrapping_sub(1), uid.0, uid.0.wrapping_add(1)];
    assert!(model.iter().flat_map(around).all(|uid| set.contains(Uid(uid)) == model.contains(&Uid(uid))));

    let parts = set.split();
    assert!(parts.iter().all(|part| !part.is_empty() && part.to_string().len() <= 1_000));
    assert!(parts.iter().flat_map(UidSet::iter).eq(model.iter().copied()));
    match set.halves() {
        None => assert!(model.len() < 2),
        Some((lower, upper)) => {
            assert!(!lower.is_empty() && !upper.is_empty());
            assert!(lower.iter().chain(upper.iter()).eq(model.iter().copied()));
        }
    }
});

/// Reads the wire form as a server does (RFC 9051 §9, `sequence-set`).
fn read(text: &str) -> BTreeSet<Uid> {
    let number = |text: &str| text.parse::<u32>().expect("a number");
    let ranges = text.split(',').filter(|range| !range.is_empty());
    ranges
        .flat_map(|range| {
            let (lo, hi) = range.split_once(':').unwrap_or((range, range));
            number(lo)..=number(hi)
        })
        .map(Uid)
        .collect()
}
