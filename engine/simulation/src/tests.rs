use super::*;

/// A fault that so many histories do not show is one that no invariant finds.
const SOUGHT_MAX: u64 = 24 * HISTORIES;

#[test]
fn what_must_never_happen_never_does() {
    let played = simulate(0..2_048, None);
    println!("{}", played.counts);
    if let Some(failure) = played.failed.first() {
        let told = tell(failure.seed, None);
        panic!("{}", told.as_ref().unwrap_or(failure));
    }
    // Histories in which nothing happens prove nothing.
    for what in [
        "merges",
        "closes",
        "crashes",
        "halts",
        "labels to halt",
        "feed outages",
        "rollouts of the emergency lane",
        "waves promoted",
        "waves failed",
        "waves edited",
        "ledger: resume",
        "runs that another runner joined",
    ] {
        assert!(played.counts.of(what) > 0, "{what}: never");
    }
}

#[test]
fn every_invariant_finds_what_is_broken_on_purpose() {
    let found = Fault::ALL.into_par_iter().map(|(fault, invariant)| {
        let mut bushes = bushes(&(0..SOUGHT_MAX));
        let caught = bushes.find_map(|wanted| bush::grow(&wanted, Some(fault), false).failed.into_iter().next());
        let names = caught.map(|failure| failure.broken.iter().map(|(name, _)| *name).collect::<Vec<_>>());
        match names {
            Some(names) if names.contains(&invariant) => None,
            Some(names) => Some(format!(
                "{fault:?} is found by {}, not by {invariant}",
                names.join(", ")
            )),
            None => Some(format!("{fault:?} is not found in {SOUGHT_MAX} histories")),
        }
    });
    let wrong: Vec<String> = found.flatten().collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
