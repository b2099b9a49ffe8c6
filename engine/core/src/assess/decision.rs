//! The risk decision, in the manner of SSVC: a small table anybody can recite, no score of our own.

use super::finding::Decision;
use crate::load::wire::{Criticality, Exposure};
use crate::name::Severity;
use crate::observe::Score;

/// An EPSS score from here on makes exploitation likely. FIRST works its example of a threshold with 0.1: about one CVE in
/// twenty is above it, and most of what is exploited. The hysteresis lies in the score that counts ([`Score::counted`]).
pub(super) const LIKELY: Score = Score::hundredths(10);

/// What to do about a finding, from five facts.
///
/// | exploited | severity | exposed ∧ important | exposed ∨ important | neither |
/// | --- | --- | --- | --- | --- |
/// | yes | any | act | act | attend |
/// | no | critical | attend | attend | track* |
/// | no | high | attend | track* | track |
/// | no | medium | track* | track | track |
/// | no | low, none | track | track | track |
///
/// Where exploitation is likely (EPSS from 0.1 on) and not known, a severity from low on counts as the next higher one.
///
/// Exposed = public or partner; important = criticality high or critical. After CISA's SSVC decision tree for
/// deployers (active exploitation alone is at least *attend*, with mission impact or exposure *act*), with severity in
/// the place of technical impact, which no feed here states. `severity` is the one after `unknownSeverity`. An asset
/// without a class counts as exposed (missing exposure = public) and of medium criticality, the default.
pub(super) fn decide(
    severity: Severity,
    exploited: bool,
    epss: Option<Score>,
    exposure: Option<Exposure>,
    criticality: Option<Criticality>,
) -> Decision {
    let exposed = matches!(
        exposure.unwrap_or(Exposure::Public),
        Exposure::Public | Exposure::Partner
    );
    let important = criticality.unwrap_or_default() >= Criticality::High;
    let severity = match (epss >= Some(LIKELY), severity) {
        (true, Severity::Low) => Severity::Medium,
        (true, Severity::Medium) => Severity::High,
        (true, Severity::High) => Severity::Critical,
        _ => severity,
    };
    let weight = u8::from(exposed) + u8::from(important);
    match (exploited, severity, weight) {
        (true, _, 1..) => Decision::Act,
        (true, _, _) | (false, Severity::Critical, 1..) | (false, Severity::High, 2) => Decision::Attend,
        (false, Severity::Critical, _) | (false, Severity::High, 1) | (false, Severity::Medium, 2) => {
            Decision::TrackStar
        }
        _ => Decision::Track,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_the_doc_comment() {
        use Decision::{Act, Attend, Track, TrackStar};
        let rows = [
            (true, Severity::Low, [Act, Act, Attend]),
            (true, Severity::Critical, [Act, Act, Attend]),
            (false, Severity::Critical, [Attend, Attend, TrackStar]),
            (false, Severity::High, [Attend, TrackStar, Track]),
            (false, Severity::Medium, [TrackStar, Track, Track]),
            (false, Severity::Low, [Track, Track, Track]),
            (false, Severity::None, [Track, Track, Track]),
        ];
        for (exploited, severity, expected) in rows {
            let at = |exposure, criticality| decide(severity, exploited, None, Some(exposure), Some(criticality));
            let both = at(Exposure::Public, Criticality::Critical);
            let one = at(Exposure::Internal, Criticality::High);
            assert_eq!(
                [both, one, at(Exposure::Isolated, Criticality::Medium)],
                expected,
                "{exploited} {severity}"
            );
            assert_eq!(at(Exposure::Partner, Criticality::Low), one);
        }
        assert_eq!(
            decide(Severity::High, false, None, None, None),
            TrackStar,
            "no class: public, medium"
        );
    }

    #[test]
    fn a_likely_exploitation_counts_as_one_severity_more() {
        let at = |severity, score| decide(severity, false, Score::of(score), Some(Exposure::Internal), None);
        for (severity, unlikely, likely) in [
            (Severity::None, Decision::Track, Decision::Track),
            (Severity::Low, Decision::Track, Decision::Track),
            (Severity::Medium, Decision::Track, Decision::Track),
            (Severity::High, Decision::Track, Decision::TrackStar),
            (Severity::Critical, Decision::TrackStar, Decision::TrackStar),
        ] {
            assert_eq!(
                (at(severity, 0.09), at(severity, 0.1)),
                (unlikely, likely),
                "{severity}"
            );
        }
        let exposed = decide(Severity::Medium, false, Score::of(0.5), Some(Exposure::Public), None);
        assert_eq!(exposed, Decision::TrackStar);
    }
}
