//! Clocks that move, played over several runs: each run judges with what the runs before have remembered, and remembers.

use serde_json::{Value, json};

use super::memory::remember;
use super::*;
use crate::assess::sla_tests::{bod, cve, give, kev_source};
use crate::assess::world::{World as Estate, at, exploited, rpm};
use crate::history::{Changed, History, Memory};
use crate::name::Severity;
use crate::observe::{Epss, Score};

/// An estate and its memory.
struct Story {
    estate: Estate,
    recorded: Vec<Event>,
}

fn events(estate: &Estate) -> Vec<Event> {
    let assessment = estate.assess();
    let history = History {
        memory: estate.memory.clone(),
        ..History::default()
    };
    let world = World {
        catalog: &estate.catalog,
        observation: &estate.observation,
        assessment: &assessment,
        history: &history,
        view: &ForgeView::default(),
        readings: &GateReadings::default(),
        plan: &Plan::default(),
        render: &|_, _| Err(Vec::new()),
        digest_of_files: &|_, _, _| None,
    };
    let mut decision = Decision::default();
    remember(&world, estate.now, &mut decision);
    let recorded = decision.actions.into_iter().flat_map(|action| match action {
        Action::Record(events) => events,
        Action::Forge(_) => Vec::new(),
    });
    recorded.map(|(_, event)| event).collect()
}

impl Story {
    /// One asset `a` with one finding, published 2026-11-01, medium; rules in order, the default 30 days.
    fn new(rules: Value) -> Self {
        let mut estate = Estate::empty();
        kev_source(&mut estate, None);
        for (name, exposure) in [("inside", "internal"), ("outside", "public")] {
            estate.class(
                name,
                json!({"selector": {"matchLabels": {"net": name}}, "environment": "prod", "target": "t", "window": "w", "exposure": exposure}),
            );
        }
        estate.sla("s", json!({"rules": rules, "default": {"within": "30d"}}));
        estate.policy("p", json!({}));
        estate.asset("a", &[("net", "inside")], &[("openssl", "1-1.el9", "x86_64", "", "")]);
        let advisory = estate.advisory("A-1", vec![rpm("openssl", "2-1.el9")]);
        advisory.published = Some(at("2026-11-01T00:00:00Z"));
        advisory.severity = Severity::Medium;
        advisory.aliases = vec!["CVE-2026-1".into()];
        Self {
            estate,
            recorded: Vec::new(),
        }
    }

    /// A run at midnight of a day of November: the finding as `rule deadline`, with the original deadline where another
    /// rule has overtaken it, days without their month.
    fn run(&mut self, day: u8) -> String {
        self.estate.now = at(&format!("2026-11-{day:02}T00:00:00Z"));
        let told = self.told();
        self.recorded = events(&self.estate);
        for event in self.recorded.clone() {
            let (name, data) = event.to_parts();
            let read = Event::from_parts(&name, &data).expect("it is read as it was written");
            assert_eq!(read, event);
            self.estate.memory.take_in(read, self.estate.now);
        }
        assert_eq!(self.told(), told, "what a run remembers does not change what it judged");
        assert_eq!(events(&self.estate), [], "and is remembered once");
        told
    }

    fn told(&self) -> String {
        let assessment = self.estate.assess();
        let finding = assessment.of(&self.estate.observation, 0).next().expect("one finding");
        let judgement = finding.judgement;
        let day = |at: Option<Timestamp>| {
            let text = at.map_or("-".into(), |at| at.to_string());
            text.replace("2026-", "").replace("T00:00:00Z", "")
        };
        let original = judgement
            .original
            .map_or(String::new(), |o| format!(" was {}", day(o.deadline)));
        format!(
            "{} {}{original}",
            judgement.rule.as_ref().expect("a rule"),
            day(judgement.deadline)
        )
    }

    fn advisory(&mut self) -> &mut crate::observe::AdvisoryRecord {
        &mut self.estate.observation.advisories[0]
    }

    fn severity(&mut self, severity: Severity) {
        self.advisory().severity = severity;
    }

    fn label(&mut self, net: &str) {
        self.estate.observation.assets[0].labels = std::sync::Arc::new([("net".into(), net.into())].into());
    }

    fn changed(&self) -> Vec<&Changed> {
        fn changed(event: &Event) -> Option<&Changed> {
            match event {
                Event::Changed(changed) => Some(changed),
                _ => None,
            }
        }
        self.recorded.iter().filter_map(changed).collect()
    }
}

#[test]
fn an_entry_among_the_exploited_moves_the_deadline_once() {
    let mut story = Story::new(json!([{"name": "kev", "exploited": true, "within": "3d"}]));
    assert_eq!(story.run(5), "default 12-01");
    let entry = cve("CVE-2026-1", Some("2026-11-09T00:00:00Z"), "---");
    give(&mut story.estate, vec![entry.clone()]);
    assert_eq!(story.run(10), "kev 11-12 was 12-01");
    assert_eq!(story.run(11), "kev 11-12 was 12-01");
    // A catalogue that cannot be read takes nothing back; one that was read and has it no more does.
    give(&mut story.estate, vec![cve("CVE-2026-1", None, "---")]);
    kev_source(&mut story.estate, Some("unreachable"));
    assert_eq!(
        story.run(12),
        "kev 11-13 was 12-01",
        "its own date is not there; counted from the first sight"
    );
    kev_source(&mut story.estate, None);
    assert_eq!(story.run(13), "default 12-01");
    let notes = story.estate.assess().diagnostics;
    assert!(
        notes
            .iter()
            .any(|n| n.message.contains("are not there any more, CVE-2026-1 first")),
        "{notes:?}"
    );
    // An entry without a date counts from the first sight.
    let mut undated = entry;
    undated.exploited = exploited("");
    give(&mut story.estate, vec![undated]);
    assert_eq!(story.run(14), "kev 11-13 was 12-01");
}

#[test]
fn a_rise_of_the_severity_counts_from_the_run_that_saw_it() {
    let mut story = Story::new(json!([
        {"name": "critical", "severity": "critical", "within": "3d"}, {"name": "high", "severity": "high", "within": "7d"}]));
    assert_eq!(story.run(5), "default 12-01");
    story.severity(Severity::High);
    assert_eq!(story.run(10), "high 11-17 was 12-01");
    assert_eq!(story.run(11), "high 11-17 was 12-01");
    story.severity(Severity::Critical);
    assert_eq!(
        story.run(12),
        "critical 11-15 was 12-01",
        "the original clock is the first one"
    );
    story.severity(Severity::High);
    assert_eq!(
        story.run(13),
        "high 11-17 was 12-01",
        "corrected: at least high since the 10th"
    );
    story.severity(Severity::Medium);
    assert_eq!(story.run(14), "default 12-01");
    story.severity(Severity::Critical);
    assert_eq!(story.run(15), "critical 11-18 was 12-01", "it came back");
    story.severity(Severity::Critical);
    assert_eq!(story.run(29), "critical 11-18 was 12-01", "a breach does not wander");
}

#[test]
fn a_rise_never_gives_more_time() {
    let mut story = Story::new(json!([{"name": "high", "severity": "high", "within": "28d"}]));
    story.run(5);
    story.severity(Severity::High);
    assert_eq!(
        story.run(20),
        "high 12-01",
        "30 days from the first are earlier than 28 from the 20th"
    );
}

#[test]
fn an_unknown_severity_that_becomes_known_moves_by_what_it_counted_as() {
    let mut story = Story::new(json!([
        {"name": "critical", "severity": "critical", "within": "3d"}, {"name": "high", "severity": "high", "within": "7d"}]));
    story.severity(Severity::Unknown);
    assert_eq!(story.run(5), "high 11-08");
    story.severity(Severity::Medium);
    assert_eq!(story.run(6), "default 12-01");
    story.severity(Severity::Critical);
    assert_eq!(story.run(7), "critical 11-10 was 12-01");
}

#[test]
fn exposure_moves_by_a_label_and_by_a_class() {
    let rules = json!([{"name": "public", "exposure": "public", "within": "2d"}, {"name": "said", "when": "asset.class.exposure == \"partner\"", "within": "5d"}]);
    let mut story = Story::new(rules.clone());
    assert_eq!(story.run(5), "default 12-01");
    story.label("outside");
    assert_eq!(story.run(10), "public 11-12 was 12-01");
    story.label("inside");
    assert_eq!(story.run(11), "default 12-01");
    story.label("outside");
    assert_eq!(story.run(12), "public 11-14 was 12-01", "it counts from its return");
    let mut story = Story::new(rules);
    story.run(5);
    let class = |exposure: &str| json!({"selector": {"matchLabels": {"net": "inside"}}, "environment": "prod", "target": "t", "window": "w", "exposure": exposure});
    story.estate.class("inside", class("partner"));
    assert_eq!(story.run(10), "said 11-15 was 12-01");
    story.estate.class("inside", class("public"));
    assert_eq!(story.run(11), "public 11-13 was 12-01");
    // Without a class it keeps what is remembered, and nothing is written.
    story.label("nowhere");
    story.run(12);
    assert!(story.changed().is_empty());
}

#[test]
fn epss_counts_at_once_upwards_and_below_the_half_downwards() {
    let mut story =
        Story::new(json!([{"name": "likely", "when": "has(advisory.epss) && advisory.epss >= 0.5", "within": "4d"}]));
    let score = |story: &mut Story, probability: Option<f64>| {
        let mut facts = cve("CVE-2026-1", None, "---");
        facts.epss = probability.and_then(Score::of).map(|score| Epss {
            score,
            model: Some("v2".into()),
            at: None,
        });
        give(&mut story.estate, vec![facts]);
    };
    score(&mut story, Some(0.3));
    assert_eq!(story.run(5), "default 12-01");
    score(&mut story, Some(0.305));
    story.run(6);
    assert!(story.changed().is_empty(), "half a hundredth is no news");
    score(&mut story, Some(0.6));
    assert_eq!(story.run(10), "likely 11-14 was 12-01");
    assert_eq!(story.changed()[0].epss["v2"]["CVE-2026-1"], 0.6);
    score(&mut story, Some(0.45));
    assert_eq!(
        story.run(11),
        "likely 11-14 was 12-01",
        "a little less is no reason for more time"
    );
    score(&mut story, None);
    assert_eq!(story.run(12), "likely 11-14 was 12-01", "nor is a feed that is silent");
    score(&mut story, Some(0.2));
    assert_eq!(story.run(13), "default 12-01");
    let story_of_one_run = |probability| {
        let mut story = Story::new(
            json!([{"name": "likely", "when": "has(advisory.epss) && advisory.epss >= 0.5", "within": "4d"}]),
        );
        score(&mut story, Some(probability));
        story.run(20)
    };
    assert_eq!(
        story_of_one_run(0.7),
        "likely 11-05",
        "known from the beginning: no move"
    );
}

#[test]
fn answers_of_ssvc_move_a_table() {
    let mut story = Story::new(json!([]));
    story.estate.sla("s", bod());
    story.estate.policy(
        "p",
        json!({"cadence": {"rrule": "FREQ=YEARLY;BYMONTH=3,9;BYMONTHDAY=1"}}),
    );
    story.label("outside");
    let answers =
        |story: &mut Story, kev: Option<&str>, code: &str| give(&mut story.estate, vec![cve("CVE-2026-1", kev, code)]);
    answers(&mut story, None, "NNP");
    assert_eq!(story.run(5), "60D 12-31");
    answers(&mut story, None, "NYP");
    assert_eq!(story.run(10), "14D 11-24 was 12-31");
    answers(&mut story, None, "NYT");
    assert_eq!(story.run(11), "3D 11-14 was 12-31");
    answers(&mut story, None, "---");
    assert_eq!(story.run(12), "3D 11-14 was 12-31", "a silent feed takes nothing back");
    answers(&mut story, Some("2026-11-12T00:00:00Z"), "NYT");
    assert_eq!(story.run(13), "3DF 11-14 was 12-31");
    answers(&mut story, None, "NNP");
    assert_eq!(story.run(14), "60D 12-31", "corrected");
}

#[test]
fn an_answer_that_comes_late_is_no_move() {
    let mut story = Story::new(json!([]));
    story.estate.sla("s", bod());
    story.label("outside");
    give(&mut story.estate, vec![cve("CVE-2026-1", None, "---")]);
    assert_eq!(story.run(5), "3D 11-04", "not answered: the strictest");
    give(&mut story.estate, vec![cve("CVE-2026-1", None, "NNP")]);
    assert_eq!(story.run(6), "60D 12-31");
    let mut story = Story::new(json!([]));
    story.estate.sla("s", bod());
    story.label("outside");
    give(&mut story.estate, vec![cve("CVE-2026-1", None, "---")]);
    story.run(5);
    give(&mut story.estate, vec![cve("CVE-2026-1", None, "NYT")]);
    assert_eq!(story.run(6), "3D 11-04", "it always was");
}

#[test]
fn onboarding_counts_from_when_the_asset_came_into_scope() {
    let mut story = Story::new(json!([]));
    story.estate.sla(
        "s",
        json!({"clock": "inScope", "rules": [], "default": {"within": "10d"}}),
    );
    story
        .estate
        .policy("p", json!({"scope": {"selector": {"matchLabels": {"net": "outside"}}}}));
    story.estate.policy("q", json!({"sla": "t"}));
    story
        .estate
        .sla("t", json!({"rules": [], "default": {"within": "90d"}}));
    assert_eq!(story.run(5), "default 2027-01-30", "only the other policy takes it");
    story.label("outside");
    assert_eq!(story.run(8), "default 11-18");
    assert_eq!(story.run(12), "default 11-18");
    story.label("inside");
    assert_eq!(story.run(13), "default 2027-01-30");
    story.label("outside");
    assert_eq!(
        story.run(14),
        "default 11-18",
        "leaving and coming back restarts nothing"
    );
}

#[test]
fn detected_is_the_later_sight_and_a_reinstallation_restarts_nothing() {
    let mut story = Story::new(json!([]));
    story.estate.sla(
        "s",
        json!({"clock": "detected", "rules": [], "default": {"within": "10d"}}),
    );
    assert_eq!(story.run(5), "default 11-15");
    assert_eq!(story.run(9), "default 11-15");
    // The same machine with other packages: an asset is its name, and the machine id is new.
    let advisories = story.estate.observation.advisories.clone();
    let mut fresh = Story::new(json!([]));
    fresh.estate.memory = story.estate.memory.clone();
    fresh.estate.sla(
        "s",
        json!({"clock": "detected", "rules": [], "default": {"within": "10d"}}),
    );
    fresh.estate.observation.assets.clear();
    let packages = [
        ("openssl", "1-2.el9", "x86_64", "", ""),
        ("vim", "9-1", "x86_64", "", ""),
    ];
    fresh
        .estate
        .asset("a", &[("net", "inside")], &packages)
        .facts
        .identity
        .machine_id = Some("new".into());
    fresh.estate.observation.advisories = advisories;
    assert_eq!(fresh.run(12), "default 11-15");
    // A new advisory is detected now; so is the old one on a new asset.
    fresh.advisory().id = "A-2".into();
    assert_eq!(fresh.run(14), "default 11-24");
    fresh.estate.observation.assets[0].name = "b".into();
    assert_eq!(fresh.run(16), "default 11-26");
}

#[test]
fn available_counts_from_the_first_sight_in_the_content_of_the_class() {
    let mut story = Story::new(json!([]));
    story.estate.sla(
        "s",
        json!({"clock": "available", "unknownDate": "block", "rules": [], "default": {"within": "5d"}}),
    );
    assert_eq!(story.run(5), "default -");
    let mut other = Estate::empty();
    other.observation.tables = story.estate.observation.tables.clone();
    let set = other
        .asset("x", &[], &[("openssl", "2-1.el9", "x86_64", "", "")])
        .facts
        .packages;
    story.estate.observation.tables = other.observation.tables;
    story.estate.observation.assets[0].facts.available = set;
    assert_eq!(story.run(8), "default 11-13");
    assert_eq!(story.run(12), "default 11-13");
    assert!(story.recorded.is_empty());
}

#[test]
fn the_baseline_is_left_by_nothing_but_its_end() {
    let mut story = Story::new(json!([{"name": "kev", "exploited": true, "within": "3d"}]));
    let baseline = |expires: &str| {
        json!({"baseline": {"asOf": "2026-11-02", "approvedBy": "ciso", "expires": expires, "burnDown": [
        {"exploited": true, "within": "14d"}, {"severity": "critical", "within": "20d"}, {"within": "90d"}]}})
    };
    story.estate.policy("p", baseline("2026-11-25"));
    assert_eq!(story.run(5), "baseline 2027-01-31");
    story.severity(Severity::Critical);
    assert_eq!(story.run(6), "baseline 11-26 was 2027-01-31", "20 days from the 6th");
    give(
        &mut story.estate,
        vec![cve("CVE-2026-1", Some("2026-11-08T00:00:00Z"), "---")],
    );
    assert_eq!(story.run(8), "baseline 11-22 was 2027-01-31");
    assert_eq!(
        story.run(26),
        "kev 11-11 was 12-01",
        "it has ended: the rules count, from the advisory's own clock"
    );
}

#[test]
fn an_exception_that_ends_restarts_the_clock_of_the_move_too() {
    let mut story = Story::new(json!([{"name": "high", "severity": "high", "within": "7d"}]));
    let exception = |on_expiry: &str| json!({"advisories": ["A-1"], "expires": "2026-11-14", "onExpiry": on_expiry});
    story.estate.exception("e", exception("original-clock"));
    story.run(5);
    story.severity(Severity::High);
    story.run(10);
    assert_eq!(story.run(16), "high 11-17 was 12-01");
    story.estate.exception("e", exception("restart-clock"));
    assert_eq!(
        story.run(17),
        "high 11-22",
        "seven days from the end of the 14th; it was high before"
    );
}

#[test]
fn memory_keeps_changes_only() {
    let mut story = Story::new(json!([]));
    story.run(5);
    let seen = story.recorded.len();
    assert_eq!(seen, 3, "first run, first sights, facts: {:?}", story.recorded);
    story.run(6);
    assert!(story.recorded.is_empty());
    // An advisory that hits nothing is seen, and nothing else is remembered of it.
    story.estate.advisory("A-9", vec![rpm("nobody-has-it", "2-1.el9")]);
    story.run(7);
    assert_eq!(story.changed(), Vec::<&Changed>::new());
    story.severity(Severity::Low);
    story.run(8);
    assert_eq!(story.recorded.len(), 1);
    let (_, data) = story.recorded[0].to_parts();
    assert_eq!(data, json!({"severities": {"low": ["A-1"]}}));
    assert_ne!(story.estate.memory, Memory::default());
}
