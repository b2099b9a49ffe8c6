use super::*;

/// Histories that show each fault, so that nobody has to seek them at every test; where one does not any more, because the
/// simulation rolls otherwise now, it is sought.
const SHOWN: [(Fault, u64); 20] = [
    (Fault::RunUnmerged, 10),
    (Fault::CountMergesAsApprovals, 0),
    (Fault::CountAnybody, 788),
    (Fault::RunWithoutPermit, 0),
    (Fault::RunLate, 0),
    (Fault::IgnoreFreeze, 256),
    (Fault::IgnorePause, 704),
    (Fault::SkipHalt, 56),
    (Fault::IgnoreLabels, 272),
    (Fault::BelieveFiles, 580),
    (Fault::PromoteOnEvidence, 512),
    (Fault::BelieveOldLooks, 412),
    (Fault::ForgetOutages, 32),
    (Fault::BelieveGates, 174),
    (Fault::IgnoreBudgets, 2),
    (Fault::IgnoreLocks, 0),
    (Fault::ReleaseTwice, 0),
    (Fault::AppendBlindly, 0),
    (Fault::WriteAlways, 0),
    (Fault::RecordRestarts, 0),
];

/// A fault that so many histories do not show is one that no invariant finds.
const SOUGHT_MAX: u64 = 16 * HISTORIES;

/// Happenings without which a simulation proves nothing.
const HAPPENS: [&str; 12] = [
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
];

#[test]
fn what_must_never_happen_never_does() {
    let played = simulate(LATE_FROM + 2_048..LATE_FROM + 4_096, None);
    if let Some(failure) = played.failed.first() {
        let told = tell(failure.seed, None);
        panic!("{}", told.as_ref().unwrap_or(failure));
    }
    let never: Vec<&str> = HAPPENS.into_iter().filter(|what| played.counts.of(what) == 0).collect();
    assert!(never.is_empty(), "it never happens: {never:?}\n{}", played.counts);
}

#[test]
fn every_invariant_finds_what_is_broken_on_purpose() {
    let missed = Fault::ALL.into_par_iter().filter(|(fault, invariant)| {
        let first = SHOWN
            .iter()
            .filter(|(shown, _)| shown == fault)
            .map(|(_, seed)| *seed..seed + 1);
        let mut ranges = first.chain(bushes(&(0..SOUGHT_MAX)));
        let finds = |wanted: Range<u64>| {
            let failed = bush::grow(&wanted, Some(*fault), false).failed;
            failed.iter().flat_map(|f| &f.broken).any(|(name, _)| name == invariant)
        };
        !ranges.any(finds)
    });
    let missed: Vec<(Fault, &str)> = missed.collect();
    assert!(missed.is_empty(), "broken, and not found: {missed:?}");
}

#[test]
fn a_history_is_the_same_alone_and_in_its_bush() {
    let fault = Some(Fault::IgnoreBudgets);
    let together = bush::grow(&(0..8), fault, false).failed;
    let first = together.first().expect("the fault shows in the first histories");
    let alone = tell(first.seed, fault).expect("it fails alone as well");
    assert_eq!(alone.broken, first.broken);
    assert!(alone.to_string().contains(&format!("--seed {}", first.seed)));
}
