//! Merging by property, on small estates in which names and keys collide often.

use proptest::prelude::*;

use super::merge_tests::{Owned, Said, Words, lines, merged, notes};

proptest! {
    /// \[order\]: permuting sources and records changes nothing.
    #[test]
    fn order_does_not_count(
        records in prop::collection::vec((0..3_usize, 0..5_usize, 0..4_u8, 0..3_u8, 0..3_u8, 0..3_u8), 0..14),
        seed in any::<u64>(),
    ) {
        const SOURCES: [&str; 3] = ["one", "two", "three"];
        let text = |(_, name, hour, machine, fqdn, package): &(usize, usize, u8, u8, u8, u8)| {
            let facts = format!("machine=m{machine} fqdn=h{fqdn} package={package}");
            (["a", "b", "B", "c", "d"][*name].to_owned(), format!("0{hour}"), facts)
        };
        let observed = |order: &[usize], sources: &[usize]| {
            let said: Vec<(&str, Vec<Owned>)> = sources.iter().map(|s| {
                (SOURCES[*s], order.iter().filter(|i| records[**i].0 == *s).map(|i| text(&records[*i])).collect())
            }).collect();
            let said: Vec<(&str, Vec<Words<'_>>)> = said.iter().map(|(s, r)| {
                (*s, r.iter().map(|(n, h, f)| (n.as_str(), h.as_str(), f.as_str())).collect())
            }).collect();
            let said: Vec<Said<'_>> = said.iter().map(|(s, r)| (*s, r.as_slice())).collect();
            let fleets = [("f", r#"{"sources":["one","two"],"assets":[{"name":"a"}]}"#)];
            let observation = merged(&fleets, &[("one", ""), ("two", ""), ("three", "")], &said);
            let facts: Vec<_> = observation.assets.iter().map(|a| format!("{:?} {:?}", a.facts.identity, a.observed_at)).collect();
            (lines(&observation), facts, notes(&observation), observation.unmanaged)
        };
        let straight: Vec<usize> = (0..records.len()).collect();
        let mut shuffled = straight.clone();
        shuffled.sort_by_key(|i| (*i as u64 + 1).wrapping_mul(seed | 1).rotate_left(17));
        let mut sources = vec![0, 1, 2];
        sources.rotate_left((seed % 3) as usize);
        prop_assert_eq!(observed(&straight, &[0, 1, 2]), observed(&shuffled, &sources));
    }

    /// Every asset of the fleet's sources is a member, once; nobody is both member and unmanaged.
    #[test]
    fn nobody_is_lost(names in prop::collection::vec((0..2_usize, 0..6_u8, 0..3_u8), 0..12)) {
        let records = |source: usize| -> Vec<(String, String)> {
            names.iter().filter(|n| n.0 == source).map(|n| (format!("n{}", n.1), format!("machine=m{}", n.2))).collect()
        };
        let (one, two) = (records(0), records(1));
        let said = |records: &'_ [(String, String)]| -> Vec<(String, String)> { records.to_vec() };
        let (one, two) = (said(&one), said(&two));
        let one: Vec<_> = one.iter().map(|(n, f)| (n.as_str(), "03", f.as_str())).collect();
        let two: Vec<_> = two.iter().map(|(n, f)| (n.as_str(), "03", f.as_str())).collect();
        let observation = merged(&[("f", r#"{"sources":["one","two"]}"#)], &[("one", ""), ("two", "")], &[("one", &one), ("two", &two)]);
        let told = notes(&observation).join("\n");
        for (name, ..) in one.iter().chain(&two) {
            let member = observation.assets.iter().any(|a| &*a.name == *name);
            prop_assert!(member || told.contains(&format!("is called `{name}`")), "{} {}", name, told);
        }
        let mut assets: Vec<_> = observation.assets.iter().map(|a| a.name.to_lowercase()).collect();
        assets.dedup();
        prop_assert_eq!(assets.len(), observation.assets.len());
        prop_assert!(observation.unmanaged.is_empty());
    }
}
