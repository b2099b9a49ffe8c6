//! The risk decision, in the manner of SSVC: a small table anybody can recite, no score.

use super::finding::Decision;
use crate::load::wire::{Criticality, Exposure};
use crate::name::Severity;

/// What to do about a finding, from four facts.
///
/// | exploited | severity | exposed ∧ important | exposed ∨ important | neither |
/// | --- | --- | --- | --- | --- |
/// | yes | any | act | act | attend |
/// | no | critical | attend | attend | track* |
/// | no | high | attend | track* | track |
/// | no | medium | track* | track | track |
/// | no | low, none | track | track | track |
///
/// Exposed = public or partner; important = criticality high or critical. After CISA's SSVC decision tree for
/// deployers (active exploitation alone is at least *attend*, with mission impact or exposure *act*), with severity in
/// the place of technical impact, which no feed here states. `severity` is the one after `unknownSeverity`. An asset
/// without a class counts as exposed (missing exposure = public) and of medium criticality, the default.
pub(super) fn decide(
    severity: Severity,
    exploited: bool,
    exposure: Option<Exposure>,
    criticality: Option<Criticality>,
) -> Decision {
    let exposed = matches!(
        exposure.unwrap_or(Exposure::Public),
        Exposure::Public | Exposure::Partner
    );
    let important = criticality.unwrap_or_default() >= Criticality::High;
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
            let at = |exposure, criticality| decide(severity, exploited, Some(exposure), Some(criticality));
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
            decide(Severity::High, false, None, None),
            TrackStar,
            "no class: public, medium"
        );
    }
}
