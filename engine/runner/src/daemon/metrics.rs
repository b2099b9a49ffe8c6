//! The counts of runs in Prometheus' text format, version 0.0.4.

use jiff::Timestamp;
use prometheus::{
    Encoder as _, Error, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder,
};

use super::{Ending, Outcome};

/// What `Content-Type` the text has.
pub const CONTENT_TYPE: &str = prometheus::TEXT_FORMAT;

/// Bounds of the run durations, in seconds: from a small estate with nothing new to a large one read cold.
const DURATION_BOUNDS: [f64; 9] = [0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0];

/// The metrics of a process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    runs: IntCounter,
    failures: IntCounter,
    duration: Histogram,
    last_success: IntGauge,
    rollouts: IntGaugeVec,
    findings: IntGaugeVec,
    refusals: IntGauge,
    missed_deadlines: IntGauge,
    writes: IntCounter,
    webhooks: IntCounterVec,
    active: IntGauge,
}

impl Metrics {
    /// Metrics that have counted nothing.
    ///
    /// # Errors
    /// Never but for a name registered twice.
    pub fn new() -> Result<Self, Error> {
        let gauges = |name: &str, help: &str, label: &str| IntGaugeVec::new(Opts::new(name, help), &[label]);
        let buckets = HistogramOpts::new("patchwave_run_duration_seconds", "How long runs took.");
        let metrics = Self {
            registry: Registry::new(),
            runs: IntCounter::new("patchwave_runs_total", "Runs that ended, good or not.")?,
            failures: IntCounter::new("patchwave_run_failures_total", "Runs that failed.")?,
            duration: Histogram::with_opts(buckets.buckets(DURATION_BOUNDS.to_vec()))?,
            last_success: IntGauge::new(
                "patchwave_last_success_timestamp_seconds",
                "When the last good run ended, as a Unix time; 0 = none since the start.",
            )?,
            rollouts: gauges(
                "patchwave_open_rollouts",
                "Open rollouts by the state of the wave they are at.",
                "state",
            )?,
            findings: gauges("patchwave_findings", "Findings by status.", "status")?,
            refusals: IntGauge::new("patchwave_refusals", "What the plan refuses.")?,
            missed_deadlines: IntGauge::new(
                "patchwave_missed_deadlines",
                "Waves of the plan that will miss, or have missed, their deadline.",
            )?,
            writes: IntCounter::new("patchwave_forge_writes_total", "Reference updates on the forge.")?,
            webhooks: IntCounterVec::new(
                Opts::new(
                    "patchwave_webhooks_total",
                    "Requests to the webhook by what became of them.",
                ),
                &["outcome"],
            )?,
            active: IntGauge::new(
                "patchwave_active",
                "1 = the last run acted; 0 = it failed, or this process stands by while another holds the lease.",
            )?,
        };
        metrics.registry.register(Box::new(metrics.runs.clone()))?;
        metrics.registry.register(Box::new(metrics.failures.clone()))?;
        metrics.registry.register(Box::new(metrics.duration.clone()))?;
        metrics.registry.register(Box::new(metrics.last_success.clone()))?;
        metrics.registry.register(Box::new(metrics.rollouts.clone()))?;
        metrics.registry.register(Box::new(metrics.findings.clone()))?;
        metrics.registry.register(Box::new(metrics.refusals.clone()))?;
        metrics.registry.register(Box::new(metrics.missed_deadlines.clone()))?;
        metrics.registry.register(Box::new(metrics.writes.clone()))?;
        metrics.registry.register(Box::new(metrics.webhooks.clone()))?;
        metrics.registry.register(Box::new(metrics.active.clone()))?;
        Ok(metrics)
    }

    /// Counts a run; standing by is none. What a run without counts found is not known, so the gauges keep what the one
    /// before found.
    pub fn count(&self, outcome: &Outcome, seconds: f64, now: Timestamp) {
        self.active.set(i64::from(outcome.ending == Ending::Good));
        match outcome.ending {
            Ending::Standby(_) => return,
            Ending::Good => self.last_success.set(now.as_second()),
            Ending::Failed(_) => self.failures.inc(),
        }
        self.runs.inc();
        self.duration.observe(seconds);
        let Some(tally) = &outcome.tally else { return };
        self.writes.inc_by(tally.writes);
        self.refusals.set(tally.refusals);
        self.missed_deadlines.set(tally.missed_deadlines);
        for (gauge, counts) in [(&self.rollouts, &tally.rollouts), (&self.findings, &tally.findings)] {
            gauge.reset();
            for (label, n) in counts {
                gauge.with_label_values(&[label]).set(*n);
            }
        }
    }

    /// Counts a request to the webhook.
    pub fn webhook(&self, outcome: &str) {
        self.webhooks.with_label_values(&[outcome]).inc();
    }

    /// The text.
    ///
    /// # Errors
    /// Never but for a fault of the encoder.
    pub fn text(&self) -> Result<Vec<u8>, Error> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    use super::super::tally::Tally;
    use super::*;

    fn counted() -> String {
        let metrics = Metrics::new().unwrap();
        let tally = Tally {
            done: 3,
            writes: 5,
            rollouts: BTreeMap::from([("released".to_owned(), 2)]),
            findings: BTreeMap::from([("due".to_owned(), 7), ("breached".to_owned(), 1)]),
            refusals: 4,
            missed_deadlines: 1,
        };
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let outcome = |tally: Option<&Tally>, ending| Outcome {
            tally: tally.cloned(),
            ending,
        };
        metrics.count(&outcome(Some(&tally), Ending::Good), 2.5, now);
        metrics.count(&outcome(None, Ending::Failed("a source is gone".to_owned())), 1.0, now);
        metrics.count(&outcome(None, Ending::Standby("b holds it".to_owned())), 0.1, now);
        assert_eq!(metrics.active.get(), 0);
        let later = Tally {
            findings: BTreeMap::from([("due".to_owned(), 6)]),
            ..tally
        };
        metrics.count(&outcome(Some(&later), Ending::Good), 2.5, now);
        metrics.webhook("accepted");
        String::from_utf8(metrics.text().unwrap()).unwrap()
    }

    #[test]
    fn runs_are_counted_and_what_is_gone_is_gone() {
        let text = counted();
        for line in [
            "patchwave_runs_total 3",
            "patchwave_run_failures_total 1",
            "patchwave_run_duration_seconds_count 3",
            "patchwave_last_success_timestamp_seconds 1800000000",
            "patchwave_open_rollouts{state=\"released\"} 2",
            "patchwave_findings{status=\"due\"} 6",
            "patchwave_refusals 4",
            "patchwave_active 1",
            "patchwave_missed_deadlines 1",
            "patchwave_forge_writes_total 10",
            "patchwave_webhooks_total{outcome=\"accepted\"} 1",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} is missing:\n{text}");
        }
        assert!(!text.contains("breached"), "{text}");
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the judge of the format is a program")]
    fn prometheus_own_linter_has_nothing_to_say() {
        let linter = Command::new("promtool")
            .args(["check", "metrics"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let Ok(mut linter) = linter else {
            // The checks before a change lands have it; a machine without it loses only this test.
            return;
        };
        linter.stdin.take().unwrap().write_all(counted().as_bytes()).unwrap();
        let said = linter.wait_with_output().unwrap();
        let words = String::from_utf8_lossy(&said.stdout).into_owned() + &String::from_utf8_lossy(&said.stderr);
        assert!(said.status.success() && words.trim().is_empty(), "{words}");
    }
}
