//! What people and the world do between two runs.

use std::collections::BTreeMap;

use patchwave_adapters::forge::People;
use patchwave_core::canonical::sha256_hex;
use patchwave_core::history::branch_rollout;
use patchwave_core::propose::{ForgeView, PullRequest, PullRequestState};
use patchwave_runner::people;

use crate::engine::{Look, Monitor};
use crate::estate::{ASSETS, InForce, ROLLOUTS, after};
use crate::history::Estate;
use crate::machines::{ADVISORIES, Outage, Seen};

/// Approves what others wrote: (who, whether of `sre`, whether of `hands`). `sre` approve for policy `linux`, `hands` deploy.
pub const PEOPLE: [(&str, bool, bool); 4] = [
    ("person-1", true, false),
    ("person-2", true, false),
    ("person-3", true, true),
    ("person-4", false, false),
];

/// Everybody does what they do.
pub fn act(estate: &mut Estate, look: &Look, view: &ForgeView) {
    let open = view.pull_requests.iter().filter(|p| p.state == PullRequestState::Open);
    for pull in open {
        review(estate, pull);
    }
    if estate.mishap(5) {
        change_resources(estate);
    }
    if estate.mishap(15) {
        edit_base(estate, view);
    }
    if estate.dice.one_in(3) {
        revert_base(estate);
    }
    label(estate, view);
    halt_or_resume(estate, look);
    if estate.dice.one_in(12) {
        waive(estate, look);
    }
}

fn review(estate: &mut Estate, pull: &PullRequest) {
    let now = estate.clock;
    if estate.mishap(16) {
        if estate.forge.close(pull.number, "person-9", now).is_ok() {
            estate.tell("closes", format_args!("#{} {}", pull.number, pull.branch));
        }
        return;
    }
    if estate.mishap(8) {
        edit_branch(estate, pull);
        return;
    }
    let roll = estate.dice.roll(12);
    // Wrong people approve as well: who deploys, who is no approver, who wrote it, who has pushed to it.
    if estate.dice.one_in(3) {
        let wrong = ["person-3", "person-4", "person-5", "patchwave"];
        let by = *estate.dice.pick(&wrong).unwrap_or(&"person-4");
        let said = estate.forge.approve(pull.number, by, now);
        estate.tell(
            "approvals that may not count",
            format_args!("#{} by {by}: {said:?}", pull.number),
        );
    }
    if roll < 9 {
        for (by, ..) in PEOPLE.iter().take(2) {
            if estate.dice.roll(6) > 0 {
                let _ = estate.forge.approve(pull.number, by, now);
            }
        }
    }
    if roll < 8 {
        let merged = estate.forge.merge(pull.number, "person-0", None, now);
        estate.tell("merges", format_args!("#{} {}: {merged:?}", pull.number, pull.branch));
    }
}

/// Halts by label, and takes labels off again.
fn label(estate: &mut Estate, view: &ForgeView) {
    if estate.mishap(14) {
        let alive = view
            .pull_requests
            .iter()
            .filter(|p| p.state != PullRequestState::Closed);
        let alive: Vec<(u64, &String)> = alive.map(|p| (p.number, &p.branch)).collect();
        if let Some((number, branch)) = estate.dice.pick(&alive).copied() {
            estate.labels.insert(number);
            estate.tell("labels to halt", format_args!("#{number} {branch}"));
        }
    } else if estate.dice.one_in(3)
        && let Some(number) = estate.labels.pop_first()
    {
        estate.tell("labels taken off", format_args!("#{number}"));
    }
}

/// A `plan.json` that asks for another version; a careful person brings the sums in line as well.
fn edited(estate: &mut Estate, files: &BTreeMap<String, Vec<u8>>, rollout: &str) -> BTreeMap<String, Vec<u8>> {
    let (path, sums) = (
        format!("{ROLLOUTS}/{rollout}/plan.json"),
        format!("{ROLLOUTS}/{rollout}/SHA256SUMS"),
    );
    let mut changed = BTreeMap::new();
    let (Some(bytes), Some(listed)) = (files.get(&path), files.get(&sums)) else {
        return changed;
    };
    let (text, listed) = (String::from_utf8_lossy(bytes), String::from_utf8_lossy(listed));
    let Some((_, _, fixed, _)) = ADVISORIES.iter().find(|(_, _, fixed, _)| text.contains(fixed)) else {
        return changed;
    };
    let other = text.replace(fixed, &format!("{fixed}_99")).into_bytes();
    if estate.dice.one_in(2) {
        let listed = listed.replace(&sha256_hex(bytes), &sha256_hex(&other));
        changed.insert(sums, listed.into_bytes());
    }
    changed.insert(path, other);
    changed
}

fn edit_branch(estate: &mut Estate, pull: &PullRequest) {
    let Some(rollout) = branch_rollout(&pull.branch) else {
        return;
    };
    let files = edited(estate, &pull.files, rollout);
    let pushed = estate.forge.push(&pull.branch, &files, "person-5", estate.clock);
    if !files.is_empty() && pushed.is_ok() {
        estate.edited.insert(rollout.to_owned());
        estate.tell("pushes onto an engine branch", format_args!("{}", pull.branch));
    }
}

fn edit_base(estate: &mut Estate, view: &ForgeView) {
    let plans = view.merged_files.keys().filter_map(|p| p.strip_suffix("/plan.json"));
    let rollouts: Vec<&str> = plans.filter_map(|p| p.split('/').nth(1)).collect();
    let Some(rollout) = estate.dice.pick(&rollouts).copied() else {
        return;
    };
    let files = edited(estate, &view.merged_files, rollout);
    if !files.is_empty() && estate.forge.push("main", &files, "person-6", estate.clock).is_ok() {
        estate.edited.insert(rollout.to_owned());
        let before = files.keys().filter_map(|path| view.merged_files.get_key_value(path));
        let before = before.map(|(path, bytes)| (path.clone(), bytes.clone()));
        estate
            .originals
            .entry(rollout.to_owned())
            .or_insert_with(|| before.collect());
        estate.tell("edits of plan.json on base", format_args!("{rollout}"));
    }
}

fn revert_base(estate: &mut Estate) {
    let Some((rollout, files)) = estate.originals.pop_first() else {
        return;
    };
    if estate.forge.push("main", &files, "person-6", estate.clock).is_ok() {
        estate.tell("reverts on base", format_args!("{rollout}"));
    }
}

fn change_resources(estate: &mut Estate) {
    let kinds = [
        (InForce::FREEZE, "freezes added or removed"),
        (InForce::OVERRIDE, "overrides added or removed"),
        (InForce::PAUSE, "pauses added or removed"),
        (InForce::STRICTER, "strategies edited"),
    ];
    if let Some((kind, word)) = estate.dice.pick(&kinds) {
        estate.in_force = InForce(estate.in_force.0 ^ kind);
        let now = estate.in_force.0;
        estate.tell(word, format_args!("{now:05b}"));
    }
}

fn halt_or_resume(estate: &mut Estate, look: &Look) {
    let now = estate.clock;
    for rollout in &look.past.history.open {
        let stopped = look.stopped(rollout);
        if stopped && estate.dice.one_in(2) {
            let asked = people::resume(&look.survey(), &estate.forge, ROLLOUTS, &rollout.name, now);
            estate.tell("asks to resume", format_args!("{} {asked:?}", rollout.name));
        } else if !stopped && estate.mishap(20) {
            let halted = people::halt(&estate.forge, ROLLOUTS, &rollout.name, "a test", "person-7", now);
            estate.tell("halts", format_args!("{} {halted:?}", rollout.name));
            // The ledger has moved: others would act on what it was.
            return;
        }
    }
}

fn waive(estate: &mut Estate, look: &Look) {
    let now = estate.clock;
    let mut failed = Vec::new();
    for rollout in &look.past.history.open {
        for wave in &rollout.waves {
            let assets = wave.batches.iter().flat_map(|b| b.failed.keys());
            failed.extend(assets.map(|a| (&rollout.name, &wave.name, a)));
        }
    }
    if let Some((rollout, wave, asset)) = estate.dice.pick(&failed) {
        let why = ("it is replaced next week", after(now, 60 * 24 * 3), "person-8");
        let place = (rollout.as_ref(), wave.as_ref(), asset.as_ref());
        let waived = people::waive(&estate.forge, ROLLOUTS, place, why, now);
        estate.tell("waivers", format_args!("{place:?} {waived:?}"));
    }
}

/// Executors hand in what they have to say.
pub fn hand_in(estate: &mut Estate) {
    let now = estate.clock;
    let (due, later): (Vec<_>, Vec<_>) = std::mem::take(&mut estate.results)
        .into_iter()
        .partition(|(_, _, at, _)| *at <= now);
    estate.results = later;
    // One commit a rollout and wave: after it the ledger has moved.
    let Some((rollout, wave, ..)) = due.first().cloned() else {
        return;
    };
    let (these, others): (Vec<_>, Vec<_>) = due.into_iter().partition(|(r, w, ..)| *r == rollout && *w == wave);
    estate.results.extend(others);
    let files: Vec<(String, Vec<u8>)> = these
        .into_iter()
        .map(|(_, _, _, bytes)| ("result.json".to_owned(), bytes))
        .collect();
    let added = people::add_evidence(&estate.forge, ROLLOUTS, (&rollout, &wave), &files, now);
    estate.tell("result files", format_args!("{rollout}/{wave} {added:?}"));
}

/// Machines come back, fall back, fall silent; somebody looks at most of them.
pub fn machines(estate: &mut Estate) {
    let now = estate.clock;
    for machine in estate.machines.values_mut() {
        machine.busy_until = machine.busy_until.filter(|until| *until > now);
    }
    let name = estate.dice.pick(&ASSETS).map_or("t1", |(name, ..)| *name);
    let (worse, roll) = (estate.mishap(4), estate.dice.roll(4));
    let better = estate.dice.one_in(2);
    let mut said = None;
    if let Some(machine) = estate.machines.get_mut(name) {
        match (worse, roll) {
            (true, 0) => {
                machine
                    .state
                    .packages
                    .insert("openssl-libs".into(), "1:3.0.7-24.el9".into());
                said = Some("assets that fell back");
            }
            (true, 1) => machine.state.pending_reboot = true,
            (true, _) => {
                machine.silent = true;
                said = Some("assets that fell silent");
            }
            (false, 0) if better => machine.broken = false,
            (false, _) if better => {
                machine.silent = false;
                machine.state.pending_reboot = false;
            }
            _ => {}
        }
    }
    if let Some(said) = said {
        estate.tell(said, format_args!("{name}"));
    }
    if estate.mishap(6) {
        return;
    }
    let mut unseen = Vec::new();
    while estate.mishap(2) {
        unseen.extend(estate.dice.pick(&ASSETS).map(|(name, ..)| *name));
    }
    for (name, machine) in &mut estate.machines {
        if !machine.silent && machine.busy_until.is_none() && !unseen.contains(name) {
            machine.looks.push(Seen {
                at: after(now, -1),
                state: machine.state.clone(),
            });
        }
    }
}

/// Advisories come out, turn out to be exploited, and their feed fails and comes back.
pub fn feeds(estate: &mut Estate) {
    let now = estate.clock;
    if estate.feed.published < ADVISORIES.len() && estate.mishap(6) {
        estate.feed.published += 1;
        let count = estate.feed.published;
        estate.tell("advisories published", format_args!("{count}"));
    }
    if estate.feed.published > 0 && estate.mishap(9) {
        let which = usize::try_from(estate.dice.roll(u64::try_from(estate.feed.published).unwrap_or(1))).unwrap_or(0);
        estate.feed.exploited.entry(which).or_insert(now);
        estate.tell("advisories exploited", format_args!("{which}"));
    }
    if estate.feed.outage != Outage::None {
        if estate.dice.one_in(2) {
            estate.feed.outage = Outage::None;
        }
    } else if estate.mishap(8) {
        let kinds = [Outage::Failed, Outage::Empty, Outage::Stale];
        estate.feed.outage = *estate.dice.pick(&kinds).unwrap_or(&Outage::Failed);
        let kind = estate.feed.outage;
        estate.tell("feed outages", format_args!("{kind:?}"));
    }
}

/// The monitor turns.
pub fn monitor(estate: &mut Estate) {
    let turned = match estate.dice.roll(4) {
        0 if estate.mishap(2) => Monitor::Red,
        1 if estate.mishap(2) => Monitor::Unreadable,
        2 | 3 => Monitor::Green,
        _ => return,
    };
    if turned != estate.monitor {
        estate.monitor = turned;
        let word = match turned {
            Monitor::Green => "monitor turns green",
            Monitor::Red => "monitor turns red",
            Monitor::Unreadable => "monitor turns silent",
        };
        estate.tell(word, format_args!(""));
    }
}
