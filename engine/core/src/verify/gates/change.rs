//! Change records: one must be open, in the state that is asked, and cover the batch that is about to be released.
//!
//! Of all gates this one is asked before a batch runs, not after: once every batch ran, the change goes on to its review,
//! and its planned time is over. What was recorded at the release of the last batch is what counts for the promotion. A
//! record in another state holds the batch back and never stops the rollout: people bring changes into their states.

use std::sync::Arc;

use jiff::Timestamp;

use super::{ALL, ChangeRecord, GateAnswer, GateReading, listed, recorded_since, result};
use crate::history::{GateProgress, GateResult, GateSample, GateState};
use crate::load::wire::Gate;

/// The batch that is about to be released.
#[derive(Clone, Copy, Debug)]
pub struct ChangeScene<'a> {
    /// What a record must be about.
    pub subject: &'a str,
    /// When the batch is planned to start and to be done.
    pub span: (Timestamp, Timestamp),
    /// How the gate stands by the ledger.
    pub recorded: Option<&'a GateProgress>,
    /// The instant.
    pub now: Timestamp,
}

/// The states of a change as ServiceNow ships them, by the number the table keeps
/// (<https://www.servicenow.com/docs/bundle/zurich-it-service-management/page/product/change-management/concept/c_ChangeStateModel.html>).
const STATES: [(i32, &str); 8] = [
    (-5, "new"),
    (-4, "assess"),
    (-3, "authorize"),
    (-2, "scheduled"),
    (-1, "implement"),
    (0, "review"),
    (3, "closed"),
    (4, "canceled"),
];

/// Judges a `change` gate before the release of a batch; none for another gate, or one that was not asked.
pub fn judge_change(
    gate: &Gate,
    number: u32,
    reading: Option<&GateReading>,
    scene: &ChangeScene<'_>,
) -> Option<GateResult> {
    let wanted = gate.change.as_deref()?;
    let (state, reason, sample) = match reading? {
        Err(why) => (GateState::Unreadable, Some(why.clone()), None),
        Ok(GateAnswer::Changes(records)) => match covering(wanted, records, scene) {
            Ok(record) => (GateState::Passed, None, Some(record)),
            Err(why) => (GateState::Unmet, Some(why), None),
        },
        Ok(_) => {
            let why = "the source gives no change records".to_owned();
            (GateState::Unreadable, Some(why), None)
        }
    };
    let began = recorded_since(state, scene.recorded, scene.now);
    let samples = sample.into_iter().map(|record| {
        let sample = GateSample {
            at: scene.now,
            value: format!("{} {}", record.number, record.state),
        };
        (Arc::from(ALL), sample)
    });
    Some(GateResult {
        reason,
        samples: samples.collect(),
        ..result(gate, number, state, began)
    })
}

fn covering<'r>(
    wanted: &str,
    records: &'r [ChangeRecord],
    scene: &ChangeScene<'_>,
) -> Result<&'r ChangeRecord, String> {
    let about: Vec<&ChangeRecord> = records.iter().filter(|r| r.is_about(scene.subject)).collect();
    if about.is_empty() {
        return Err(format!(
            "no change record has the correlation id or a short description with `{}`",
            scene.subject
        ));
    }
    let mut faults = Vec::new();
    for record in about {
        match record.fault(wanted, scene.span) {
            None => return Ok(record),
            Some(fault) => faults.push(format!("{} {fault}", record.number)),
        }
    }
    Err(listed(&faults).unwrap_or_default())
}

impl ChangeRecord {
    /// Whether one of its texts names the subject as a whole: `linux/test` is not in `linux/test-2`.
    fn is_about(&self, subject: &str) -> bool {
        let part = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '/';
        self.subjects
            .iter()
            .any(|text| text.split(|c| !part(c)).any(|word| word.trim_matches('/') == subject))
    }

    /// Why it does not allow a batch of `span`; none if it does.
    fn fault(&self, wanted: &str, (start, finish): (Timestamp, Timestamp)) -> Option<String> {
        let code = STATES
            .iter()
            .find(|(_, word)| wanted.eq_ignore_ascii_case(word))
            .map(|(code, _)| *code);
        let in_state = self.state.eq_ignore_ascii_case(wanted) || (code.is_some() && self.state_code == code);
        if !self.active {
            return Some(format!("is not open (state {})", self.state));
        }
        if !in_state {
            return Some(format!("is in state {}, not {wanted}", self.state));
        }
        match (self.start, self.end) {
            (Some(from), Some(to)) if from <= start && finish <= to => None,
            (Some(from), Some(to)) => Some(format!(
                "is planned from {from} to {to}, which does not cover the batch from {start} to {finish}"
            )),
            _ => Some("has no planned start and end, so nobody knows whether it covers the batch".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(state: &str, from: &str, to: &str) -> ChangeRecord {
        ChangeRecord {
            number: "CHG0030001".into(),
            state: state.into(),
            state_code: None,
            subjects: vec!["Patch linux-2026/test, please".into()],
            start: from.parse().ok(),
            end: to.parse().ok(),
            active: true,
        }
    }

    fn at(hour: &str) -> Timestamp {
        format!("2026-11-20T{hour}:00Z").parse().unwrap()
    }

    fn judged(records: Vec<ChangeRecord>) -> GateResult {
        let gate = Gate {
            change: Some("implement".into()),
            ..Gate::default()
        };
        let scene = ChangeScene {
            subject: "linux-2026/test",
            span: (at("12:00"), at("13:00")),
            recorded: None,
            now: at("12:00"),
        };
        judge_change(&gate, 1, Some(&Ok(GateAnswer::Changes(records))), &scene).unwrap()
    }

    const DAY: (&str, &str) = ("2026-11-20T10:00:00Z", "2026-11-20T18:00:00Z");

    #[test]
    fn an_open_record_in_its_state_that_covers_the_batch_passes() {
        let result = judged(vec![record("implement", DAY.0, DAY.1)]);
        assert_eq!(result.state, GateState::Passed, "{result:?}");
        assert_eq!(result.samples[ALL].value, "CHG0030001 implement");
        // The number of the state stands for a word in another language.
        let mut german = record("umsetzen", DAY.0, DAY.1);
        german.state_code = Some(-1);
        assert_eq!(judged(vec![german]).state, GateState::Passed);
    }

    #[test]
    fn anything_else_holds_the_batch_back_and_says_why() {
        let mut closed = record("implement", DAY.0, DAY.1);
        closed.active = false;
        let mut other = record("implement", DAY.0, DAY.1);
        other.subjects = vec!["linux-2026/test-2".into(), "xlinux-2026/test".into()];
        for (records, why) in [
            (vec![], "no change record"),
            (vec![other], "no change record"),
            (vec![closed], "is not open"),
            (
                vec![record("scheduled", DAY.0, DAY.1)],
                "is in state scheduled, not implement",
            ),
            (
                vec![record("implement", "2026-11-20T12:30:00Z", DAY.1)],
                "does not cover",
            ),
            (
                vec![record("implement", DAY.0, "2026-11-20T12:30:00Z")],
                "does not cover",
            ),
            (vec![record("implement", "", "")], "no planned start and end"),
        ] {
            let result = judged(records);
            assert_eq!(result.state, GateState::Unmet, "{result:?}");
            assert!(result.reason.as_deref().unwrap().contains(why), "{result:?}");
        }
    }
}
