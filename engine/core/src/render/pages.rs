//! From views to files: each file of a pack, once a wave, batch or asset.

use std::collections::{BTreeMap, BTreeSet};

use rayon::prelude::*;
use serde_json::{Value, json};

use super::asset::{AssetView, HookView, UpdateView, shared_content};
use super::change;
use super::faults::Faults;
use super::pack::{DOCUMENTS, Pack};
use super::wire::{FrozenRollout, FrozenWave};
use super::{RenderInput, WaveView};
use crate::load::wire::{Approval, FileSpec, OnFailure, Per};

/// Files of one wave, by path relative to its folder.
pub(super) fn wave_files(
    input: &RenderInput<'_>,
    frozen: &FrozenRollout,
    wave: &FrozenWave,
    view: &WaveView,
    faults: &mut Faults,
) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let targets: BTreeSet<&str> = view
        .batches
        .iter()
        .flat_map(|b| b.assets.keys())
        .map(String::as_str)
        .collect();
    let head = with(&wave_head(input, frozen, wave, view), "tools", tools(input, &targets));
    // What is copied for each batch and asset: neither the whole patch set nor all batches, or it would grow squarely.
    let small = without(&without(&head, "targets"), "change");
    for name in targets.iter().copied().chain([DOCUMENTS]) {
        let Some(pack) = input.packs.targets.get(name) else {
            continue;
        };
        let of = (name != DOCUMENTS).then_some(name);
        let context = wave_context(&head, view, of);
        let small = of.map_or_else(|| small.clone(), |target| with(&small, "target", target.into()));
        for spec in &pack.spec.files {
            match one_kind(pack, spec, &context, &small) {
                Ok(found) => files.extend(found),
                Err(error) => faults.push(format!("target {name}"), error, Some(format!("templates/{name}"))),
            }
        }
        if of.is_some() {
            files.extend(hook_files(input, name, view));
        }
    }
    files
}

/// The tools of the wave, with the command lines of their first batch.
fn tools(input: &RenderInput<'_>, targets: &BTreeSet<&str>) -> Value {
    let specs = targets
        .iter()
        .filter_map(|name| Some(&input.packs.targets.get(*name)?.spec));
    let typed = |lines: &[String]| -> Vec<String> { lines.iter().map(|line| line.replace("{batch}", "01")).collect() };
    let tools = specs.map(|spec| {
        json!({
            "name": spec.name, "unproven": spec.accepted_by.is_empty(), "limits": spec.limits,
            "ahead": typed(&spec.runbook.ahead), "run": typed(&spec.runbook.run),
            "withdraw": typed(&spec.runbook.withdraw), "back": typed(&spec.runbook.back),
        })
    });
    tools.collect()
}

/// What every file of the wave sees, with what its triage asks for and what its merge accepts.
fn wave_head(input: &RenderInput<'_>, frozen: &FrozenRollout, wave: &FrozenWave, view: &WaveView) -> Value {
    let mut head = with(&head(input, frozen, wave), "change", change::record(frozen, wave, view));
    if let Some(wave_head) = head.get_mut("wave").and_then(Value::as_object_mut) {
        wave_head.insert("forensics".into(), json!(forensics(frozen, wave)));
        wave_head.insert("agreements".into(), json!(agreements(view)));
    }
    head
}

/// The updates whose license agreement the merge of the wave accepts, once each.
fn agreements(view: &WaveView) -> BTreeSet<&UpdateView> {
    let assets = view.batches.iter().flat_map(|batch| batch.assets.values()).flatten();
    assets
        .flat_map(|asset| &asset.updates)
        .filter(|update| update.eula)
        .collect()
}

/// What a file of the wave sees, and what those of a batch or asset see besides it, for one pack.
pub(super) fn contexts(
    input: &RenderInput<'_>,
    frozen: &FrozenRollout,
    wave: &FrozenWave,
    view: &WaveView,
    target: &str,
) -> (Value, Value) {
    let tools = tools(input, &BTreeSet::from([target]));
    let head = with(&wave_head(input, frozen, wave, view), "tools", tools);
    let small = with(&without(&without(&head, "targets"), "change"), "target", target.into());
    (
        wave_context(&head, view, (target != DOCUMENTS).then_some(target)),
        small,
    )
}

/// Task files of the hooks the wave uses, beside the target's own files.
fn hook_files(input: &RenderInput<'_>, target: &str, view: &WaveView) -> BTreeMap<String, Vec<u8>> {
    let batches = view.batches.iter();
    let used = batches.flat_map(|batch| {
        let assets = batch.assets.get(target).map_or(&[][..], |a| a);
        let own = assets
            .iter()
            .flat_map(|a| [&a.before, &a.after, &a.on_failure, &a.always]);
        own.chain([&batch.before, &batch.after]).flatten()
    });
    used.filter_map(|hook: &HookView| {
        let text = input.packs.hooks.get(&hook.name)?;
        Some((format!("{target}/hooks/{}.yml", hook.name), text.clone().into_bytes()))
    })
    .collect()
}

/// Assets of the wave on which forensic triage is asked for.
fn forensics<'f>(frozen: &'f FrozenRollout, wave: &FrozenWave) -> Vec<&'f str> {
    let mine: BTreeSet<&str> = wave
        .batches
        .iter()
        .flat_map(|b| &b.assets)
        .map(|a| a.name.as_str())
        .collect();
    let asked = frozen.rollout.forensics.iter().map(String::as_str);
    asked.filter(|name| mine.contains(name)).collect()
}

/// What every template of a wave sees.
fn head(input: &RenderInput<'_>, frozen: &FrozenRollout, wave: &FrozenWave) -> Value {
    let rollout = &frozen.rollout;
    let policy = input.catalog.policies.get(rollout.policy.as_str()).map(|p| &p.spec);
    let roles = policy.map(|p| p.roles.clone()).unwrap_or_default();
    json!({
        "rollout": {
            "name": rollout.name, "policy": rollout.policy, "strategy": rollout.strategy,
            "lane": rollout.lane.as_str(), "revision": rollout.revision, "cut": rollout.cut.to_string(),
            "expedited": rollout.expedited, "reproducible": rollout.reproducible,
            "digest": frozen.patchset.digest, "advisories": rollout.advisories,
            "description": policy.and_then(|p| p.description.clone()).unwrap_or_default(),
            "owner": policy.and_then(|p| p.owner.clone()).unwrap_or_default(),
        },
        "roles": {
            "accountable": roles.accountable.unwrap_or_default(), "responsible": roles.responsible,
            "testers": roles.testers, "approvers": roles.approvers, "deployers": roles.deployers,
            "informed": roles.informed,
        },
        "targets": frozen.patchset.targets.iter().map(|t| json!({
            "name": t.name, "version": t.version, "arch": t.arch, "osId": t.os_id, "osMajor": t.os_major,
            "scheme": t.scheme.as_str(), "module": t.module.as_deref().unwrap_or_default(),
        })).collect::<Vec<_>>(),
        "wave": {
            "name": wave.name, "number": wave.number, "folder": wave.folder(), "needs": wave.needs,
            "soak": span(wave.soak_seconds),
            "approval": match wave.approval {
                Approval::Automatic => "automatic".to_owned(),
                Approval::PullRequest { reviewers } => format!("{reviewers} by members of the approvers"),
            },
            "promoteAt": wave.promote_at.patched.to_string(),
            "maxFailures": wave.max_failures.to_string(),
            "onFailure": match wave.on_failure { OnFailure::Halt => "halt", OnFailure::Rollback => "rollback" },
            "deadline": wave.deadline.map(|d| d.to_string()).unwrap_or_default(),
        },
    })
}

/// Whole days, hours, minutes and seconds, for people: `1d 2h`.
fn span(seconds: i64) -> String {
    let parts = [
        ("d", seconds / 86_400),
        ("h", seconds / 3600 % 24),
        ("m", seconds / 60 % 60),
        ("s", seconds % 60),
    ];
    let words: Vec<String> = parts
        .iter()
        .filter(|(_, n)| *n > 0)
        .map(|(unit, n)| format!("{n}{unit}"))
        .collect();
    if words.is_empty() {
        "none".into()
    } else {
        words.join(" ")
    }
}

/// The head with the batches of the wave; of one target, or of all.
fn wave_context(head: &Value, view: &WaveView, target: Option<&str>) -> Value {
    let batches: Vec<Value> = view
        .batches
        .iter()
        .map(|batch| {
            let mut assets: Vec<&AssetView> = batch
                .assets
                .iter()
                .filter(|(name, _)| target.is_none_or(|t| t == *name))
                .flat_map(|(_, a)| a)
                .collect();
            assets.sort_by(|a, b| a.name.cmp(&b.name));
            json!({
                "id": batch.id, "window": batch.window, "assets": assets,
                "before": batch.before, "after": batch.after, "group": batch.group,
                "weekly": batch.weekly.as_ref().ok(),
                "weeklyWhy": batch.weekly.as_ref().err().map_or("", String::as_str),
            })
        })
        .filter(|batch| {
            batch
                .get("assets")
                .and_then(Value::as_array)
                .is_some_and(|a| !a.is_empty())
        })
        .collect();
    let context = with(head, "batches", Value::Array(batches));
    let Some(target) = target else {
        return context;
    };
    let own = view.batches.iter().filter_map(|batch| batch.assets.get(target));
    let contents = json!(shared_content(own.flatten()));
    with(&with(&context, "contents", contents), "target", target.into())
}

fn with(context: &Value, key: &str, value: Value) -> Value {
    let mut context = context.clone();
    if let Value::Object(map) = &mut context {
        map.insert(key.to_owned(), value);
    }
    context
}

fn without(context: &Value, key: &str) -> Value {
    let members = context.as_object().into_iter().flatten();
    members
        .filter(|(name, _)| *name != key)
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// Every file of one kind: `context` is what a file of the wave sees, `head` what those of a batch or asset see besides it.
pub(super) fn one_kind(
    pack: &Pack,
    spec: &FileSpec,
    context: &Value,
    head: &Value,
) -> Result<BTreeMap<String, Vec<u8>>, String> {
    if !spec.folders.is_empty() {
        return Ok(copies(pack, spec, &words(context)));
    }
    if let Some(name) = &spec.copy {
        let text = pack
            .files
            .get(name)
            .ok_or_else(|| format!("`{name}` is not in the folder"))?;
        return Ok(BTreeMap::from([(spec.path.clone(), text.clone().into_bytes())]));
    }
    let registry = pack
        .registry(&spec.path)
        .ok_or_else(|| format!("`{}` has no template", spec.path))?;
    let none = Vec::new();
    let batches = context.get("batches").and_then(Value::as_array).unwrap_or(&none);
    let text_of = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let write = |path: String, context: &Value| {
        let text = registry.render("main", context).map_err(|e| format!("`{path}`: {e}"))?;
        Ok::<_, String>((path, text.into_bytes()))
    };
    if spec.per == Per::Wave {
        return Ok(BTreeMap::from([write(spec.path.clone(), context)?]));
    }
    let of_batch = |batch: &Value| {
        let of_batch = with(head, "batch", batch.clone());
        let path = spec.path.replace("{batch}", &text_of(batch, "id"));
        if spec.per == Per::Batch {
            return Ok(vec![write(path, &of_batch)?]);
        }
        let assets = batch.get("assets").and_then(Value::as_array).unwrap_or(&none);
        let of_asset = |asset: &Value| {
            let path = path.replace("{asset}", &text_of(asset, "name"));
            write(path, &with(&of_batch, "asset", asset.clone()))
        };
        assets.iter().map(of_asset).collect::<Result<Vec<_>, _>>()
    };
    // Batches share nothing; their files come back in order of path whoever is first.
    let files = batches.par_iter().map(of_batch).collect::<Result<Vec<_>, String>>()?;
    Ok(files.into_iter().flatten().collect())
}

/// The files of folders that a wave with these words needs.
fn copies(pack: &Pack, spec: &FileSpec, words: &BTreeSet<&str>) -> BTreeMap<String, Vec<u8>> {
    let needed = |rest: &str| {
        let mut rules = spec
            .only
            .iter()
            .filter(|(beginning, _)| rest.starts_with(beginning.as_str()));
        rules.all(|(_, wanted)| wanted.iter().any(|word| words.contains(word.as_str())))
    };
    let of_folder = |folder: &String| {
        let folder = format!("{folder}/");
        let files = pack.files.iter();
        files.filter_map(move |(path, text)| Some((path.strip_prefix(&folder)?.to_owned(), text)))
    };
    let copied = spec.folders.iter().flat_map(of_folder).filter(|(rest, _)| needed(rest));
    copied
        .map(|(rest, text)| (format!("{}/{rest}", spec.path), text.clone().into_bytes()))
        .collect()
}

/// What a wave has to do with: package managers, types of service, kinds of backup.
fn words(context: &Value) -> BTreeSet<&str> {
    let batches = list_of(context, "batches");
    let assets = batches.flat_map(|batch| list_of(batch, "assets"));
    let words = assets.flat_map(|asset| {
        let own = [asset.get("manager"), asset.get("backup")].into_iter().flatten();
        own.chain(list_of(asset, "ha").filter_map(|service| service.get("type")))
    });
    words.filter_map(Value::as_str).collect()
}

fn list_of<'v>(value: &'v Value, key: &str) -> impl Iterator<Item = &'v Value> {
    value.get(key).and_then(Value::as_array).into_iter().flatten()
}
