//! Expected assets and findings.

use super::compare::Fields;
use super::{Failure, Item, Stage};
use crate::assess::{Finding, FindingTrace, Step, explain, scope};
use crate::diag::nearest_or_list;
use crate::load::Resource;
use crate::load::wire::{Expectations, ExpectedAsset, ExpectedFinding, SlaPolicySpec};

/// Every asset and finding that is not as expected.
pub(super) fn check(stage: &Stage<'_>, expect: &Expectations) -> Vec<Failure> {
    let assets = expect.assets.iter().enumerate();
    let findings = expect.findings.iter().enumerate();
    let mut failures: Vec<Failure> = assets.filter_map(|(index, item)| asset(stage, index, item)).collect();
    failures.extend(findings.filter_map(|(index, item)| finding(stage, index, item)));
    failures
}

fn index_of(stage: &Stage<'_>, name: &str) -> Option<usize> {
    let assets = &stage.world.observation.assets;
    assets.iter().position(|asset| asset.name.eq_ignore_ascii_case(name))
}

fn asset(stage: &Stage<'_>, position: usize, expected: &ExpectedAsset) -> Option<Failure> {
    let ExpectedAsset {
        asset,
        class,
        status,
        policies,
    } = expected;
    if class.is_none() && status.is_none() && policies.is_none() {
        let message =
            format!("nothing is expected of asset {asset}, so it proves nothing: say its class, status or policies");
        return Some(Failure::without_fields(
            &format!("/spec/expect/assets/{position}"),
            message,
        ));
    }
    let observation = &stage.world.observation;
    let index = index_of(stage, asset);
    let fields = index.map(|index| {
        let mut fields = Fields::default();
        let found = stage.world.assessment.class_of.get(index).and_then(Option::as_ref);
        fields.same("class", class.as_ref(), found);
        let found = stage.world.assessment.asset_status(observation, index);
        fields.same("status", status.as_ref(), found.map(|status| status.as_str()));
        let scopes = scope(stage.catalog, observation);
        let found = scopes.get(index).map(Vec::as_slice).unwrap_or_default();
        fields.names("policies", policies.as_deref(), found);
        fields
    });
    let name = format!("asset {asset}");
    let item = Item {
        pointer: format!("/spec/expect/assets/{position}"),
        name: &name,
        absent: false,
    };
    let (failure, _) = item.held_against(fields.as_slice())?;
    let notes = index.map(|index| why(stage, index, None).0);
    Some(failure.noting(notes.unwrap_or_default()))
}

fn finding(stage: &Stage<'_>, position: usize, expected: &ExpectedFinding) -> Option<Failure> {
    if let Some(failure) = ruleless(stage, position, expected) {
        return Some(failure);
    }
    let index = index_of(stage, &expected.asset);
    let found: Vec<Finding<'_>> = index
        .into_iter()
        .flat_map(|index| named(stage, index, expected))
        .collect();
    let candidates: Vec<Fields> = found.iter().map(|finding| fields(stage, expected, finding)).collect();
    let name = match &expected.package {
        Some(package) => format!("finding of {} in {package} on {}", expected.advisory, expected.asset),
        None => format!("finding of {} on {}", expected.advisory, expected.asset),
    };
    let item = Item {
        pointer: format!("/spec/expect/findings/{position}"),
        name: &name,
        absent: expected.absent,
    };
    let (failure, nearest) = item.held_against(&candidates)?;
    let Some(index) = index else { return Some(failure) };
    let (general, traces) = why(stage, index, Some(&expected.advisory));
    let nearest = nearest.and_then(|n| found.get(n).zip(candidates.get(n)));
    let mut notes = Vec::new();
    match nearest {
        Some((finding, fields)) => {
            notes.extend(rules(stage, expected, finding, fields));
            let trace = traces
                .iter()
                .find(|t| t.package == finding.hit.package && t.arch == finding.hit.arch);
            notes.extend(trace.map(|trace| lines(&trace.steps)).unwrap_or_default());
        }
        None => {
            notes.extend(general);
            notes.extend(traces.iter().flat_map(|trace| lines(&trace.steps)));
        }
    }
    Some(failure.noting(notes))
}

/// The findings of an asset that the expected one may mean.
fn named<'a>(stage: &Stage<'a>, index: usize, expected: &'a ExpectedFinding) -> impl Iterator<Item = Finding<'a>> {
    let observation = &stage.world.observation;
    stage.world.assessment.of(observation, index).filter(move |finding| {
        let advisory = observation.advisories.get(finding.hit.advisory as usize);
        let is_called = advisory.is_some_and(|a| {
            *a.id == *expected.advisory || a.aliases.iter().any(|alias| **alias == *expected.advisory)
        });
        is_called
            && expected
                .package
                .as_ref()
                .is_none_or(|package| *finding.hit.package == **package)
    })
}

fn fields(stage: &Stage<'_>, expected: &ExpectedFinding, finding: &Finding<'_>) -> Fields {
    let ExpectedFinding {
        asset: _,
        advisory: _,
        package: _,
        fixed,
        clock_start,
        deadline,
        lane,
        policy,
        sla,
        rule,
        status,
        timeliness,
        decision,
        detail,
        lifecycle,
        absent: _,
    } = expected;
    let Finding {
        asset, hit, judgement, ..
    } = finding;
    let mut fields = Fields::default();
    fields.same("fixed", fixed.as_ref(), hit.fixed.as_ref());
    fields.time("clockStart", *clock_start, judgement.clock_start, stage.catalog);
    fields.time("deadline", *deadline, judgement.deadline, stage.catalog);
    fields.same("lane", lane.map(|lane| lane.as_str()), Some(judgement.lane.as_str()));
    fields.same("policy", policy.as_ref(), judgement.policy.as_ref());
    fields.same("sla", sla.as_ref(), judgement.sla.as_ref());
    fields.same("rule", rule.as_ref(), judgement.rule.as_ref());
    fields.same("status", status.as_ref(), Some(judgement.status.as_str()));
    fields.same("timeliness", timeliness.as_ref(), Some(judgement.timeliness.as_str()));
    fields.same("decision", decision.as_ref(), Some(judgement.decision.as_str()));
    fields.part_of("detail", detail.as_deref(), judgement.detail.as_deref());
    fields.same(
        "lifecycle",
        lifecycle.map(|l| l.as_str()),
        Some(asset.lifecycle.as_str()),
    );
    fields
}

/// What the engine says of an asset, or of one advisory on it.
fn why(stage: &Stage<'_>, index: usize, advisory: Option<&str>) -> (Vec<String>, Vec<FindingTrace>) {
    let world = stage.world;
    let trace = explain(
        stage.catalog,
        &world.observation,
        &world.history.memory,
        world.now,
        index,
        advisory,
    );
    trace.map_or_else(Default::default, |trace| (lines(&trace.steps), trace.findings))
}

fn lines(steps: &[Step]) -> Vec<String> {
    let line = |step: &Step| match step.at.as_str() {
        "" => format!("{}: {}", step.what, step.fact),
        at => format!("{}: {} ({at})", step.what, step.fact),
    };
    steps.iter().map(line).collect()
}

/// Where the rule that decided stands, and the one that was expected to.
fn rules(stage: &Stage<'_>, expected: &ExpectedFinding, finding: &Finding<'_>, fields: &Fields) -> Vec<String> {
    if !fields.wrong(&["rule", "sla", "deadline", "lane", "clockStart"]) {
        return Vec::new();
    }
    let judgement = finding.judgement;
    let (Some(sla), Some(rule)) = (judgement.sla.as_deref(), judgement.rule.as_deref()) else {
        return vec!["no rule decided: the finding has no deadline".to_owned()];
    };
    let mut notes = Vec::new();
    if let Some(at) = rule_place(stage, sla, rule) {
        notes.push(format!("decided by rule `{rule}` of SlaPolicy `{sla}` at {at}"));
    }
    let (wanted_sla, wanted) = (expected.sla.as_deref().unwrap_or(sla), expected.rule.as_deref());
    if let Some(wanted) = wanted.filter(|wanted| (wanted_sla, *wanted) != (sla, rule)) {
        notes.push(match rule_place(stage, wanted_sla, wanted) {
            Some(at) => format!("the expected rule `{wanted}` stands at {at}"),
            None => {
                let names = stage.catalog.slas.get(wanted_sla).into_iter().flat_map(rule_names);
                let help = nearest_or_list(wanted, names).map_or_else(String::new, |help| format!("; {help}"));
                format!("SlaPolicy `{wanted_sla}` has no rule `{wanted}`{help}")
            }
        });
    }
    notes
}

/// The names that rules, or outcomes, of an SLA have.
fn rule_names(sla: &Resource<SlaPolicySpec>) -> impl Iterator<Item = &str> {
    let rules = sla.spec.rules.iter().filter_map(|rule| rule.name.as_deref());
    rules.chain(sla.spec.outcomes.keys().map(String::as_str))
}

/// An `absent` finding of a rule that no SLA has is never there, whatever the policies say: the test proves nothing.
fn ruleless(stage: &Stage<'_>, position: usize, expected: &ExpectedFinding) -> Option<Failure> {
    let rule = expected.rule.as_deref().filter(|_| expected.absent)?;
    let slas = &stage.catalog.slas;
    let meant = |name: &str| expected.sla.as_deref().is_none_or(|wanted| wanted == name);
    let is_one = ANSWERS_WITHOUT_A_RULE.contains(&rule)
        || (slas.keys().filter(|name| meant(name))).any(|sla| rule_place(stage, sla, rule).is_some());
    if is_one {
        return None;
    }
    let names = slas.values().filter(|sla| meant(&sla.name)).flat_map(rule_names);
    let help = nearest_or_list(rule, names).map_or_else(String::new, |help| format!("; {help}"));
    let message = match &expected.sla {
        Some(sla) => format!("SlaPolicy `{sla}` has no rule `{rule}`, so its absence proves nothing{help}"),
        None => format!("no SlaPolicy has a rule `{rule}`, so its absence proves nothing{help}"),
    };
    Some(Failure::without_fields(
        &format!("/spec/expect/findings/{position}/rule"),
        message,
    ))
}

/// What stands in place of a rule where none decided: the baseline of the policy, or no answer at all.
const ANSWERS_WITHOUT_A_RULE: [&str; 3] = ["baseline", "none", "table"];

/// `file:line` of a rule, given as findings name it.
fn rule_place(stage: &Stage<'_>, sla: &str, rule: &str) -> Option<String> {
    let resource = stage.catalog.slas.get(sla)?;
    let pointer = match rule {
        "default" => "/spec/default".to_owned(),
        _ => {
            let numbered = rule
                .strip_prefix('#')
                .and_then(|n| n.parse::<usize>().ok()?.checked_sub(1));
            let named = || resource.spec.rules.iter().position(|r| r.name.as_deref() == Some(rule));
            let index = named().or(numbered).filter(|index| *index < resource.spec.rules.len());
            match index {
                Some(index) => format!("/spec/rules/{index}"),
                None => {
                    resource.spec.outcomes.get(rule)?;
                    format!("/spec/outcomes/{}", crate::source::escape_token(rule))
                }
            }
        }
    };
    Some(stage.catalog.at(resource.doc, &pointer))
}
