//! Version order against checked-in pairs, and the properties that make ranks possible.
//!
//! The pairs stand in `tests/oracle/versions/<scheme>.tsv`, `A<TAB>B<TAB>verdict` a line. The verdicts of rpm and deb
//! are those of the real tools; `differential.py` beside them asks those again, and about any number of random pairs.
use std::cmp::Ordering;

use patchwave_core::version::{Ranks, Scheme, Verdict, compare, ranks, verdict_line};
use proptest::prelude::*;

/// The checked-in pairs of a scheme and how many there have to be, so that a file cannot silently lose its content.
fn pairs_of(scheme: Scheme) -> (&'static str, usize) {
    match scheme {
        Scheme::Rpm => (include_str!("../../../tests/oracle/versions/rpm.tsv"), 200),
        Scheme::Deb => (include_str!("../../../tests/oracle/versions/deb.tsv"), 200),
        Scheme::Apk => (include_str!("../../../tests/oracle/versions/apk.tsv"), 200),
        Scheme::Semver => (include_str!("../../../tests/oracle/versions/semver.tsv"), 200),
        Scheme::Windows => (include_str!("../../../tests/oracle/versions/windows.tsv"), 40),
        Scheme::Nvidia => (include_str!("../../../tests/oracle/versions/nvidia.tsv"), 40),
        Scheme::Dotted => (include_str!("../../../tests/oracle/versions/dotted.tsv"), 40),
    }
}

#[test]
fn checked_in_pairs() {
    let mut wrong = Vec::new();
    for scheme in Scheme::ALL {
        let (text, least) = pairs_of(*scheme);
        let mut count = 0;
        for (number, line) in text.lines().enumerate() {
            if line.is_empty() || line.starts_with("# ") {
                continue;
            }
            count += 1;
            let place = format!("{scheme}.tsv:{}", number + 1);
            let (pair, expected) = line
                .rsplit_once('\t')
                .unwrap_or_else(|| panic!("{place}: {line:?} has no verdict"));
            let (a, b) = pair
                .split_once('\t')
                .unwrap_or_else(|| panic!("{place}: {line:?} has no second version"));
            let mirrored = match expected {
                "<" => ">",
                ">" => "<",
                "=" => "=",
                _ => panic!("{place}: {expected:?} is no verdict"),
            };
            for (a, b, expected) in [(a, b, expected), (b, a, mirrored)] {
                let got = verdict_line(*scheme, &format!("{a}\t{b}"));
                if got.as_str() != expected {
                    wrong.push(format!("{place}: {a} {expected} {b}, but compare says {got}"));
                }
            }
        }
        assert!(
            count >= least,
            "{scheme}.tsv has {count} pairs, at least {least} are wanted"
        );
    }
    assert!(
        wrong.is_empty(),
        "{} wrong verdicts:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

fn any_scheme() -> impl Strategy<Value = Scheme> {
    prop::sample::select(Scheme::ALL)
}

/// Few pieces, so that strings often share prefixes and are often equal by value while they differ in spelling.
fn nasty() -> impl Strategy<Value = String> {
    const PIECES: &[&str] = &[
        "0",
        "00",
        "1",
        "01",
        "2",
        "9",
        "10",
        "18446744073709551616",
        "a",
        "b",
        "z",
        "A",
        "f",
        "p",
        "v",
        "rc",
        "_alpha",
        "_pre",
        "_p",
        "_git",
        "_x",
        "-r",
        "-r0",
        "-",
        "~",
        "^",
        ".",
        "..",
        "+",
        "_",
        ":",
        "1:",
        "+1:",
        " ",
        "é",
        "日",
        "\0",
        "\t",
    ];
    let pieces = prop::collection::vec(prop::sample::select(PIECES), 1..7).prop_map(|pieces| pieces.concat());
    prop_oneof![9 => pieces, 1 => any::<String>()]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn order_is_reflexive_and_antisymmetric(scheme in any_scheme(), a in nasty(), b in nasty()) {
        prop_assert_eq!(compare(scheme, &a, &a), Ordering::Equal);
        prop_assert_eq!(compare(scheme, &a, &b), compare(scheme, &b, &a).reverse());
    }

    /// All six orders of three strings are consistent; equality is a congruence, too.
    #[test]
    fn order_is_transitive(scheme in any_scheme(), versions in prop::array::uniform3(nasty())) {
        let mut sorted = versions;
        sorted.sort_by(|a, b| compare(scheme, a, b));
        let [a, b, c] = &sorted;
        let (ab, bc, ac) = (compare(scheme, a, b), compare(scheme, b, c), compare(scheme, a, c));
        prop_assert!(ab.is_le() && bc.is_le(), "{:?} {:?} {:?}: {:?} {:?}", a, b, c, ab, bc);
        prop_assert_eq!(ac, ab.then(bc), "{:?} {:?} {:?}", a, b, c);
    }

    #[test]
    fn blanks_around_do_not_count(scheme in any_scheme(), a in nasty(), b in nasty()) {
        prop_assert_eq!(compare(scheme, &format!(" \t{a}\r\n"), &b), compare(scheme, &a, &b));
    }

    #[test]
    fn two_filled_fields_always_have_a_verdict(scheme in any_scheme(), a in "[^\t]{1,12}", b in "[^\t]{1,12}") {
        let filled = |field: &str| field.contains(|c: char| !c.is_ascii_whitespace() && c != '\u{b}');
        let readable = verdict_line(scheme, &format!("{a}\t{b}")) != Verdict::Unreadable;
        prop_assert_eq!(readable, filled(&a) && filled(&b));
    }

    #[test]
    fn ranks_compare_as_versions_do(scheme in any_scheme(), versions in prop::collection::vec(nasty(), 1..12)) {
        let versions: Vec<&str> = versions.iter().map(String::as_str).collect();
        let by_position = ranks(scheme, &versions);
        let by_value = Ranks::new(scheme, versions.iter().copied());
        for (a, rank_a) in versions.iter().zip(&by_position) {
            prop_assert_eq!(by_value.rank(a), Some(*rank_a));
            for (b, rank_b) in versions.iter().zip(&by_position) {
                prop_assert_eq!(rank_a.cmp(rank_b), compare(scheme, a, b), "{:?} {:?}", a, b);
            }
        }
        let mut distinct = by_position;
        distinct.sort_unstable();
        distinct.dedup();
        let dense = (0..).take(by_value.len()).collect::<Vec<u32>>();
        prop_assert_eq!(distinct, dense, "ranks have no gaps");
    }

    #[test]
    fn semver_ignores_build_metadata_and_one_leading_v(a in nasty(), build in "[0-9A-Za-z.+-]{0,8}") {
        let plain = a.trim_matches(|c: char| c.is_ascii_whitespace());
        prop_assert_eq!(compare(Scheme::Semver, &format!("{plain}+{build}"), plain), Ordering::Equal);
        if !plain.starts_with(['v', 'V']) {
            prop_assert_eq!(compare(Scheme::Semver, &format!("v{plain}"), plain), Ordering::Equal);
        }
    }
}
