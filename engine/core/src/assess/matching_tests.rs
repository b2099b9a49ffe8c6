use super::*;
use crate::assess::world::{World, deb, rpm};
use proptest::prelude::*;

const PLAIN: Installed<'_> = Installed {
    name: "p",
    version: "1-1",
    arch: "x86_64",
    source: "",
    source_version: "",
    module: "",
    edition: None,
};

fn fix(fixed: &str, module: &str, introduced: &str) -> Fix {
    let some = |t: &str| Some(t).filter(|t| !t.is_empty()).map(Arc::from);
    Fix {
        module: some(module),
        introduced: some(introduced),
        ..rpm("p", fixed)
    }
}

/// `affected VERSION`, `affected`, `fixed`, `undecidable`, or `-` where the advisory is not about such a build.
fn asked(fixes: &[Fix], version: &str, module: &str) -> String {
    let installed = Installed {
        version,
        module,
        ..PLAIN
    };
    match verdict(Scheme::Rpm, &fixes.iter().collect::<Vec<_>>(), &installed) {
        None => "-".into(),
        Some(Verdict::Affected(Some(fixed), _)) => format!("affected {fixed}"),
        Some(Verdict::Affected(None, _)) => "affected".into(),
        Some(Verdict::Fixed(_)) => "fixed".into(),
        Some(Verdict::Undecidable(_)) => "undecidable".into(),
    }
}

#[test]
fn the_fix_is_the_least_version_outside_every_range() {
    let two = [fix("1.5-1", "", ""), fix("2.5-1", "", "2")];
    for (version, expected) in [
        ("1.4-1", "affected 1.5-1"),
        ("1.5-1", "fixed"),
        ("1.9-1", "fixed"),
        ("2.0-1", "affected 2.5-1"),
        ("2.5-1", "fixed"),
    ] {
        assert_eq!(asked(&two, version, ""), expected, "{version}");
    }
    let overlapping = [fix("1.5-1.el9_3", "", ""), fix("1.5-1.el9_5", "", "")];
    assert_eq!(
        asked(&overlapping, "1.4-1", ""),
        "affected 1.5-1.el9_5",
        "taking the lower one would leave it open"
    );
    assert_eq!(asked(&overlapping, "1.5-1.el9_3", ""), "affected 1.5-1.el9_5");
    let endless = [fix("1.5-1", "", ""), fix("", "", "")];
    assert_eq!(
        asked(&endless, "1.4-1", ""),
        "affected",
        "no published version leaves the second range"
    );
}

#[test]
fn an_rpm_bound_without_release_bounds_the_version_only() {
    for (fixed, version, expected) in [
        ("1.5", "1.5-1.el9", "fixed"),
        ("1.5", "1.4-9.el9", "affected 1.5"),
        ("1:1.5", "1.6-1.el9", "affected 1:1.5"),
        ("1.5-1.el9", "1.5-0.el9", "affected 1.5-1.el9"),
    ] {
        assert_eq!(asked(&[fix(fixed, "", "")], version, ""), expected, "{fixed} {version}");
    }
    assert_eq!(
        asked(&[fix("2-1", "", "1.5")], "1.5-1.el9", ""),
        "affected 2-1",
        "introduced in 1.5, whatever the release"
    );
}

#[test]
fn a_last_affected_version_is_inside() {
    let last = |last: &str| {
        [Fix {
            last_affected: Some(last.into()),
            ..fix("", "", "")
        }]
    };
    for (bound, version, expected) in [
        ("1.5-1", "1.5-1", "affected"),
        ("1.5-1", "1.5-2", "fixed"),
        ("1.5", "1.5-9", "affected"),
        ("1.5", "1.6-1", "fixed"),
    ] {
        assert_eq!(asked(&last(bound), version, ""), expected, "{bound} {version}");
    }
}

#[test]
fn modular_and_plain_builds_do_not_meet() {
    let modular = "2-1.module_el8.5.0+94+aa";
    assert_eq!(asked(&[fix(modular, "", "")], "1-1.el8", ""), "-");
    assert_eq!(asked(&[fix("2-1.el8", "", "")], "1-1.module_el8.5.0+1+bb", ""), "-");
    assert_eq!(
        asked(&[fix(modular, "", "")], "1-1.module_el8.5.0+1+bb", ""),
        format!("affected {modular}")
    );
    assert_eq!(asked(&[fix("2-1", "p:1", "")], "1-1.el8", ""), "-");
    assert_eq!(
        asked(&[fix("", "", "")], "1-1.module_el8.5.0+1+bb", ""),
        "affected",
        "says nothing of builds"
    );
}

#[test]
fn a_named_stream_is_that_stream() {
    let fixes = [
        fix("10.5-1.module_el8.5.0+1", "nodejs:10", ""),
        fix("12.5-1.module_el8.5.0+1", "nodejs:12:8050:abc", ""),
    ];
    let old = "10.1-1.module_el8.3.0+1";
    assert_eq!(asked(&fixes, old, "nodejs:10:8030"), "affected 10.5-1.module_el8.5.0+1");
    assert_eq!(
        asked(&fixes, "12.1-1.module_el8.3.0+1", "nodejs:12"),
        "affected 12.5-1.module_el8.5.0+1"
    );
    assert_eq!(asked(&fixes, "10.5-1.module_el8.5.0+1", "nodejs:10"), "fixed");
    assert_eq!(asked(&fixes, "14.1-1.module_el8.3.0+1", "nodejs:14"), "-");
    assert_eq!(asked(&fixes, old, ""), "undecidable", "the stream was not observed");
    assert_eq!(
        asked(&fixes, "10.5-0.module_el8.3.0+1", ""),
        "affected 10.5-1.module_el8.5.0+1",
        "same upstream version"
    );
    assert_eq!(
        asked(&fixes, "13-1.module_el8.3.0+1", ""),
        "fixed",
        "above every fix: nothing to tell apart"
    );
}

#[test]
fn among_unnamed_modular_fixes_the_label_decides_then_the_version() {
    let koan = [
        fix("2.0.7.1-6.module_el8.3.0+2041", "", ""),
        fix("2.0.7.1-6.module_el8.5.0+94", "", ""),
    ];
    assert_eq!(
        asked(&koan, "2.0.7.1-5.module_el8.3.0+1", ""),
        "affected 2.0.7.1-6.module_el8.3.0+2041"
    );
    assert_eq!(
        asked(&koan, "2.0.7.1-5.module+el8.5.0+1", ""),
        "affected 2.0.7.1-6.module_el8.5.0+94"
    );
    assert_eq!(
        asked(&koan, "2.0.7.1-5.module_el8.4.0+1", ""),
        "undecidable",
        "same version in both"
    );
    assert_eq!(asked(&koan, "2.0.8-1.module_el8.4.0+1", ""), "fixed");
    let versions = [
        fix("1.5-2.module_el8.5.0+1", "", ""),
        fix("2.5-2.module_el8.5.0+1", "", ""),
    ];
    assert_eq!(
        asked(&versions, "1.5-1.module_el8.5.0+0", ""),
        "affected 1.5-2.module_el8.5.0+1"
    );
    assert_eq!(
        asked(&versions, "2.5-1.module_el8.6.0+0", ""),
        "affected 2.5-2.module_el8.5.0+1"
    );
    assert_eq!(asked(&versions, "1.4-1.module_el8.6.0+0", ""), "undecidable");
}

#[test]
fn source_names_are_used_where_the_feed_uses_them() {
    let mut world = World::empty();
    world.advisory("D", vec![deb("openssl", "3-1")]);
    world.advisory("E", vec![deb("libssl3", "3-1")]);
    let index = FixIndex::new(&world.observation, world.now);
    let ids = |installed: &Installed<'_>| {
        let matches = index.matches("debian", "12", installed);
        matches
            .iter()
            .map(|m| world.observation.advisories[m.advisory as usize].id.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        ids(&Installed {
            name: "libssl3",
            version: "1-1",
            source: "openssl",
            ..PLAIN
        }),
        ["D"]
    );
    assert_eq!(
        ids(&Installed {
            name: "libssl3",
            version: "1-1",
            ..PLAIN
        }),
        ["E"],
        "unknown source: the own name"
    );
    assert_eq!(
        ids(&Installed {
            name: "openssl",
            version: "1-1",
            ..PLAIN
        }),
        ["D"]
    );
}

/// `binary version / source source version` against a fix of that source.
fn of_source(name: &str, version: &str, source: &str, source_version: &str, fix: Fix) -> String {
    let mut world = World::empty();
    world.advisory("D", vec![fix]);
    let index = FixIndex::new(&world.observation, world.now);
    let installed = Installed {
        name,
        version,
        arch: "amd64",
        source,
        source_version,
        ..PLAIN
    };
    let matches = index.matches("debian", "12", &installed);
    match matches.first().map(|m| &m.verdict) {
        None => "-".into(),
        Some(Verdict::Affected(Some(fixed), _)) => format!("affected {fixed}"),
        Some(Verdict::Fixed(_)) => "fixed".into(),
        Some(other) => format!("{other:?}"),
    }
}

#[test]
fn a_fix_of_the_source_is_compared_with_the_version_of_the_source() {
    let fix = || deb("shadow", "1:4.13+dfsg1-2");
    for (version, source_version, expected) in [
        ("1:4.13+dfsg1-1", "", "affected 1:4.13+dfsg1-2"),
        // The binary counts for itself: older by its own number, and newer by it.
        ("0.9-1", "1:4.13+dfsg1-2", "fixed"),
        ("9:9-1", "1:4.13+dfsg1-1", "affected 1:4.13+dfsg1-2"),
        // Rebuilt without a change of the source.
        ("1:4.13+dfsg1-1+b1", "1:4.13+dfsg1-1", "affected 1:4.13+dfsg1-2"),
    ] {
        assert_eq!(
            of_source("login", version, "shadow", source_version, fix()),
            expected,
            "{version} {source_version}"
        );
    }
    let own = Fix {
        by_source: false,
        ..deb("login", "2-1")
    };
    assert_eq!(
        of_source("login", "1-1", "shadow", "9-1", own),
        "affected 2-1",
        "the binary's own fix"
    );
}

#[test]
fn signed_kernels_are_those_of_the_unsigned_source() {
    let image = "linux-image-6.1.0-18-amd64";
    let hits = |fixed: &str| of_source(image, "6.1.76-1", "linux-signed-amd64", "6.1.76+1", deb("linux", fixed));
    assert_eq!(hits("6.1.76-2"), "affected 6.1.76-2", "6.1.76+1 would be above it");
    assert_eq!(hits("6.1.76-1"), "fixed");
    for (source, expected) in [
        ("linux-signed-amd64", Some("linux")),
        ("linux-signed-6.1-arm64", Some("linux-6.1")),
        ("linux-signed", Some("linux")),
        ("linux-signed-aws", Some("linux-aws")),
        ("linux-signedness", None),
        ("linux", None),
    ] {
        assert_eq!(signed_source(source).as_deref(), expected, "{source}");
    }
}

proptest! {
    /// Taking the fix closes the finding, whatever the ranges.
    #[test]
    fn the_fix_fixes(ranges in proptest::collection::vec((0_u8..9, 0_u8..9), 1..6), version in 0_u8..9) {
        let fixes: Vec<Fix> = ranges
            .iter()
            .map(|(from, to)| {
                let fixed = if *to == 0 { String::new() } else { format!("{to}-1") };
                fix(&fixed, "", &if *from == 0 { String::new() } else { format!("{from}-1") })
            })
            .collect();
        let inside = |v: u8| ranges.iter().any(|(from, to)| v >= *from && (*to == 0 || v < *to));
        let answer = asked(&fixes, &format!("{version}-1"), "");
        prop_assert_eq!(answer == "fixed", !inside(version));
        if let Some(fixed) = answer.strip_prefix("affected ") {
            let fixed: u8 = fixed.trim_end_matches("-1").parse().unwrap();
            prop_assert!(fixed > version && !inside(fixed));
        }
    }
}
