//! Expected rollouts, what waits, refusals and openings.

use std::collections::BTreeMap;

use super::compare::{Fields, names};
use super::{Failure, Item, Stage};
use crate::load::schedule::window;
use crate::load::wire::{
    DetailedBatch, Expectations, ExpectedBatch, ExpectedRefusal, ExpectedRollout, ExpectedWaiting, ExpectedWave,
    ExpectedWindow,
};
use crate::plan::{Batch, Binding, Refusal, Rollout, Waiting, Wave, freezes_of};
use crate::time::{DurationSeconds, FreezeSet};

/// Every rollout, waiting finding, refusal and window that is not as expected.
pub(super) fn check(stage: &Stage<'_>, expect: &Expectations) -> Vec<Failure> {
    let mut failures: Vec<Failure> = Vec::new();
    failures.extend(
        expect
            .rollouts
            .iter()
            .enumerate()
            .filter_map(|(i, item)| rollout(stage, i, item)),
    );
    failures.extend(
        expect
            .waiting
            .iter()
            .enumerate()
            .filter_map(|(i, item)| waiting(stage, i, item)),
    );
    failures.extend(
        expect
            .refusals
            .iter()
            .enumerate()
            .filter_map(|(i, item)| refusal(stage, i, item)),
    );
    failures.extend(
        expect
            .windows
            .iter()
            .enumerate()
            .filter_map(|(i, item)| opened(stage, i, item)),
    );
    failures
}

fn rollout(stage: &Stage<'_>, position: usize, expected: &ExpectedRollout) -> Option<Failure> {
    let rollouts = &stage.world.plan.rollouts;
    let is_meant = |rollout: &&Rollout| {
        let is = |wanted: &Option<String>, name: &str| wanted.as_deref().is_none_or(|wanted| wanted == name);
        is(&expected.policy, &rollout.policy) && is(&expected.name, &rollout.name)
    };
    let candidates: Vec<Fields> = rollouts
        .iter()
        .filter(is_meant)
        .map(|r| rollout_fields(stage, expected, r))
        .collect();
    let name = match (&expected.name, &expected.policy) {
        (Some(name), _) => format!("rollout {name}"),
        (None, Some(policy)) => format!("rollout of policy {policy}"),
        (None, None) => "rollout".to_owned(),
    };
    let item = Item {
        pointer: format!("/spec/expect/rollouts/{position}"),
        name: &name,
        absent: expected.absent,
    };
    let (failure, nearest) = item.held_against(&candidates)?;
    let mut notes = Vec::new();
    if nearest.is_none() {
        notes.extend(
            rollouts
                .iter()
                .map(|r| format!("there is the rollout {} of policy {}", r.name, r.policy)),
        );
        if rollouts.is_empty() {
            notes.push("nothing is rolled out".to_owned());
        }
        notes.extend(stage.world.plan.waiting.iter().map(waits));
        notes.extend(stage.world.plan.refusals.iter().map(refused));
    } else {
        let missed = rollouts
            .iter()
            .filter(is_meant)
            .flat_map(|r| &r.waves)
            .filter(|wave| wave.binding.is_some());
        notes.extend(missed.map(|wave| {
            let binding = wave.binding.map_or("", word);
            format!(
                "wave {} misses its deadline: {binding} binds; {}",
                wave.name,
                wave.fixes.join("; ")
            )
        }));
    }
    Some(failure.noting(notes))
}

fn rollout_fields(stage: &Stage<'_>, expected: &ExpectedRollout, found: &Rollout) -> Fields {
    let ExpectedRollout {
        name: _,
        policy: _,
        lane,
        expedited,
        targets,
        advisories,
        waves,
        absent: _,
    } = expected;
    let mut fields = Fields::default();
    fields.same("lane", lane.map(|lane| lane.as_str()), Some(found.lane.as_str()));
    fields.same("expedited", *expedited, Some(found.expedited));
    let wanted = targets.as_ref().map(|targets| pairs(targets.iter()));
    let there: BTreeMap<_, _> = found.targets.iter().map(|t| (&t.name, &t.version)).collect();
    fields.same("targets", wanted, Some(pairs(there.into_iter())));
    fields.names("advisories", advisories.as_deref(), &found.advisories);
    for (index, wave) in waves.iter().enumerate() {
        fields.part(&format!("waves/{index}"), &format!("wave {}", wave.name));
        let there = found.waves.iter().find(|w| *w.name == *wave.name);
        match (there, wave.absent) {
            (Some(there), false) => wave_fields(stage, wave, there, &mut fields),
            (None, true) => {}
            (Some(_), true) => fields.presence("not in the rollout", "in the rollout"),
            (None, false) => {
                let waves: Vec<&str> = found.waves.iter().map(|w| w.name.as_ref()).collect();
                let there = format!("not in the rollout, which has {}", waves.join(", "));
                fields.presence("in the rollout", &there);
            }
        }
    }
    fields
}

fn pairs(map: impl Iterator<Item = (impl std::fmt::Display, impl std::fmt::Display)>) -> String {
    let parts: Vec<String> = map.map(|(key, value)| format!("{key} = {value}")).collect();
    format!("[{}]", parts.join(", "))
}

fn wave_fields(stage: &Stage<'_>, expected: &ExpectedWave, found: &Wave, fields: &mut Fields) {
    let ExpectedWave {
        name: _,
        needs,
        batches,
        start,
        finish,
        deadline,
        slack,
        slack_at_least,
        missed,
        binding,
        absent: _,
    } = expected;
    fields.names("needs", needs.as_deref(), &found.needs);
    if let Some(batches) = batches {
        batch_fields(stage, batches, &found.batches, fields);
    }
    fields.time(
        "start",
        *start,
        found.batches.iter().filter_map(|b| b.start).min(),
        stage.catalog,
    );
    let finished = found.batches.iter().map(|b| b.finish).collect::<Option<Vec<_>>>();
    fields.time(
        "finish",
        *finish,
        finished.and_then(|all| all.into_iter().max()),
        stage.catalog,
    );
    fields.time("deadline", *deadline, found.deadline, stage.catalog);
    let left = found.slack_seconds.map(DurationSeconds);
    fields.same("slack", *slack, left);
    if let Some(least) = slack_at_least {
        let there = left.map_or_else(|| "none".to_owned(), |left| left.to_string());
        fields.judged("slackAtLeast", least, there, left.is_some_and(|left| left >= *least));
    }
    let unplaced = found.batches.iter().any(|batch| batch.start.is_none());
    fields.same(
        "missed",
        *missed,
        Some(unplaced || found.slack_seconds.is_some_and(|s| s < 0)),
    );
    fields.same("binding", binding.as_ref(), found.binding.map(word));
}

fn batch_fields(stage: &Stage<'_>, expected: &[ExpectedBatch], found: &[Batch], fields: &mut Fields) {
    let assets = |batch: &Batch| names(&batch.assets.iter().map(|a| a.name.to_string()).collect::<Vec<_>>());
    // All batches in one line show best where a person expected another order.
    let lists: Option<Vec<String>> = expected
        .iter()
        .map(|batch| match batch {
            ExpectedBatch::Assets(list) => Some(names(list)),
            ExpectedBatch::Detailed(batch) => batch.assets.as_deref().map(names),
        })
        .collect();
    let there: Vec<String> = found.iter().map(assets).collect();
    match lists {
        Some(lists) => fields.same("batches", Some(lists.join(" ")), Some(there.join(" "))),
        None => fields.same("batches", Some(expected.len()), Some(found.len())),
    }
    for (index, batch) in expected.iter().enumerate() {
        let (ExpectedBatch::Detailed(batch), Some(found)) = (batch, found.get(index)) else {
            continue;
        };
        let DetailedBatch {
            assets: _,
            window,
            start,
            finish,
        } = batch;
        let part = |field: &str| format!("batches/{index}/{field}");
        fields.same(&part("window"), window.as_ref(), Some(&found.window.name));
        fields.time(&part("start"), *start, found.start, stage.catalog);
        fields.time(&part("finish"), *finish, found.finish, stage.catalog);
    }
}

fn waiting(stage: &Stage<'_>, position: usize, expected: &ExpectedWaiting) -> Option<Failure> {
    let ExpectedWaiting {
        policy,
        cut,
        findings,
        absent,
    } = expected;
    let all = &stage.world.plan.waiting;
    let candidates = all.iter().filter(|waiting| *waiting.policy == **policy).map(|waiting| {
        let mut fields = Fields::default();
        fields.time("cut", *cut, Some(waiting.cut), stage.catalog);
        fields.same("findings", *findings, Some(waiting.findings));
        fields
    });
    let name = format!("finding of policy {policy} that waits");
    let item = Item {
        pointer: format!("/spec/expect/waiting/{position}"),
        name: &name,
        absent: *absent,
    };
    let (failure, _) = item.held_against(&candidates.collect::<Vec<_>>())?;
    let rollouts = stage.world.plan.rollouts.iter().filter(|r| *r.policy == **policy);
    let mut notes: Vec<String> = all.iter().map(waits).collect();
    notes.extend(rollouts.map(|r| format!("the rollout {} was cut {}", r.name, r.cut)));
    Some(failure.noting(notes))
}

fn waits(waiting: &Waiting) -> String {
    format!(
        "{} finding(s) of policy {} wait for the cut at {}",
        waiting.findings, waiting.policy, waiting.cut
    )
}

fn refusal(stage: &Stage<'_>, position: usize, expected: &ExpectedRefusal) -> Option<Failure> {
    let ExpectedRefusal {
        reason,
        asset,
        detail,
        binding,
        absent,
    } = expected;
    let refusals = &stage.world.plan.refusals;
    let is_meant = |refusal: &&Refusal| {
        asset
            .as_deref()
            .is_none_or(|asset| refusal.asset.eq_ignore_ascii_case(asset))
    };
    let candidates = refusals.iter().filter(is_meant).map(|refusal| {
        let mut fields = Fields::default();
        fields.same("reason", reason.as_ref(), Some(&refusal.reason));
        fields.part_of("detail", detail.as_deref(), Some(&refusal.detail));
        fields.same("binding", binding.as_ref(), refusal.binding.map(word));
        fields
    });
    let mut name = "refusal".to_owned();
    if let Some(reason) = reason {
        name = format!("{name} `{reason}`");
    }
    if let Some(asset) = asset {
        name = format!("{name} of {asset}");
    }
    let item = Item {
        pointer: format!("/spec/expect/refusals/{position}"),
        name: &name,
        absent: *absent,
    };
    let (failure, _) = item.held_against(&candidates.collect::<Vec<_>>())?;
    let mut notes: Vec<String> = refusals.iter().map(refused).collect();
    if notes.is_empty() {
        notes.push("nothing is refused".to_owned());
    }
    Some(failure.noting(notes))
}

fn refused(refusal: &Refusal) -> String {
    let subject = if refusal.asset.is_empty() {
        "as a whole"
    } else {
        &refusal.asset
    };
    format!("refused, {} ({subject}): {}", refusal.reason, refusal.detail)
}

fn word(binding: Binding) -> &'static str {
    match binding {
        Binding::Window => "window",
        Binding::Soak => "soak",
        Binding::Size => "size",
        Binding::Freeze => "freeze",
        Binding::Predecessor => "predecessor",
        Binding::Budget => "budget",
    }
}

fn opened(stage: &Stage<'_>, position: usize, expected: &ExpectedWindow) -> Option<Failure> {
    let ExpectedWindow {
        name,
        asset,
        open,
        openings,
    } = expected;
    if open.is_none()
        && openings
            .iter()
            .all(|wanted| wanted.start.is_none() && wanted.end.is_none())
    {
        let message = format!("nothing is expected of window {name}, so it proves nothing: say `open` or `openings`");
        return Some(Failure::without_fields(
            &format!("/spec/expect/windows/{position}"),
            message,
        ));
    }
    let world = stage.world;
    let resource = stage.catalog.windows.get(name.as_str())?;
    let window = window(resource, stage.catalog).ok()?;
    let index = asset.as_ref().and_then(|asset| {
        let mut assets = world.observation.assets.iter();
        assets.position(|found| found.name.eq_ignore_ascii_case(asset))
    });
    let freezes = index.map_or(FreezeSet::EMPTY, |index| {
        freezes_of(stage.catalog, &world.observation, &world.assessment, index)
    });
    let mut fields = Fields::default();
    let status = window.status(world.now, &freezes);
    fields.same("open", *open, Some(!status.closed));
    let mut there = window.openings(world.now, &freezes);
    for (index, wanted) in openings.iter().enumerate() {
        let found = there.next();
        fields.part(&format!("openings/{index}"), &format!("opening {}", index + 1));
        fields.time("start", wanted.start, found.and_then(|o| o.start), stage.catalog);
        fields.time("end", wanted.end, found.and_then(|o| o.end), stage.catalog);
    }
    let called = format!("window {name}");
    let item = Item {
        pointer: format!("/spec/expect/windows/{position}"),
        name: &called,
        absent: false,
    };
    let (failure, _) = item.held_against(&[fields])?;
    let mut notes: Vec<String> = status
        .reason
        .iter()
        .map(|reason| format!("closed now: {reason}"))
        .collect();
    notes.push(format!(
        "its schedules stand at {}",
        stage.catalog.at(resource.doc, "/spec/schedules")
    ));
    Some(failure.noting(notes))
}
