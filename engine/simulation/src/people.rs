//! What people and the world do between two runs.

use std::collections::BTreeMap;

use patchwave_adapters::forge::People;
use patchwave_core::history::branch_rollout;
use patchwave_core::propose::{ForgeView, PullRequest, PullRequestState};
use patchwave_runner::people;

use crate::engine::{Look, Monitor};
use crate::estate::{ASSETS, InForce, ROLLOUTS, after};
use crate::history::Estate;
use crate::machines::{ADVISORIES, Outage, Seen};

/// Everybody does what they do.
pub fn act(estate: &mut Estate, look: &Look, view: &ForgeView) {
    let open: Vec<&PullRequest> = view
        .pull_requests
        .iter()
        .filter(|p| p.state == PullRequestState::Open)
        .collect();
    for pull in open {
        review(estate, pull);
    }
    if estate.dice.one_in(8) {
        change_resources(estate);
    }
    if estate.dice.one_in(30) {
        edit_base(estate, view);
    }
    if estate.dice.one_in(3) {
        revert_base(estate);
    }
    halt_or_resume(estate, look);
    if estate.dice.one_in(12) {
        waive(estate, look);
    }
}

fn review(estate: &mut Estate, pull: &PullRequest) {
    let now = estate.clock;
    match estate.dice.roll(24) {
        0 => {
            if estate.forge.close(pull.number, "person-9", now).is_ok() {
                estate.tell("closes", &format!("#{} {}", pull.number, pull.branch));
            }
        }
        1 => edit_branch(estate, pull),
        2..=14 => {
            let approvals = estate.dice.roll(4);
            for person in 1..=approvals {
                let by = format!("person-{person}");
                let _ = estate.forge.approve(pull.number, &by, now);
            }
            let merged = estate.forge.merge(pull.number, "person-0", None, now);
            estate.tell(
                "merges",
                &format!("#{} {} with {approvals}: {merged:?}", pull.number, pull.branch),
            );
        }
        15..=17 => {
            let by = format!("person-{}", 1 + estate.dice.roll(3));
            let _ = estate.forge.approve(pull.number, &by, now);
        }
        _ => {}
    }
}

/// Another version of the last target in a `plan.json`.
fn edited(bytes: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(bytes);
    for (_, package, fixed, _) in ADVISORIES {
        let _ = package;
        if text.contains(fixed) {
            return text.replace(fixed, &format!("{fixed}_99")).into_bytes();
        }
    }
    bytes.to_vec()
}

fn edit_branch(estate: &mut Estate, pull: &PullRequest) {
    let Some(rollout) = branch_rollout(&pull.branch) else {
        return;
    };
    let path = format!("{ROLLOUTS}/{rollout}/plan.json");
    let Some(bytes) = pull.files.get(&path) else { return };
    let files = BTreeMap::from([(path, edited(bytes))]);
    if estate
        .forge
        .push(&pull.branch, &files, "person-5", estate.clock)
        .is_ok()
    {
        estate.edited.insert(rollout.to_owned());
        estate.tell("edits of a branch", &pull.branch);
    }
}

fn edit_base(estate: &mut Estate, view: &ForgeView) {
    let plans: Vec<&String> = view.merged_files.keys().filter(|p| p.ends_with("/plan.json")).collect();
    let Some(path) = estate.dice.pick(&plans).map(|p| (*p).clone()) else {
        return;
    };
    let Some(bytes) = view.merged_files.get(&path) else {
        return;
    };
    let files = BTreeMap::from([(path.clone(), edited(bytes))]);
    if estate.forge.push("main", &files, "person-6", estate.clock).is_ok() {
        if let Some(rollout) = path.split('/').nth(1) {
            estate.edited.insert(rollout.to_owned());
        }
        estate.originals.insert(path.clone(), bytes.clone());
        estate.tell("edits of base", &path);
    }
}

fn revert_base(estate: &mut Estate) {
    let Some((path, bytes)) = estate.originals.pop_first() else {
        return;
    };
    let files = BTreeMap::from([(path.clone(), bytes)]);
    if estate.forge.push("main", &files, "person-6", estate.clock).is_ok() {
        estate.tell("reverts on base", &path);
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
        let now = format!("{:05b}", estate.in_force.0);
        estate.tell(word, &now);
    }
}

fn halt_or_resume(estate: &mut Estate, look: &Look) {
    let now = estate.clock;
    for rollout in &look.history.open {
        let stopped = look.stopped(rollout);
        if stopped && estate.dice.one_in(2) {
            let asked = people::resume(&look.survey(), &estate.forge, ROLLOUTS, &rollout.name, now);
            estate.tell("asks to resume", &format!("{} {asked:?}", rollout.name));
        } else if !stopped && estate.dice.one_in(25) {
            let halted = people::halt(&look.survey(), &estate.forge, &rollout.name, "a test", "person-7", now);
            estate.tell("halts", &format!("{} {halted:?}", rollout.name));
            // The ledger has moved: others would act on what it was.
            return;
        }
    }
}

fn waive(estate: &mut Estate, look: &Look) {
    let now = estate.clock;
    let mut failed = Vec::new();
    for rollout in &look.history.open {
        for wave in &rollout.waves {
            let assets = wave.batches.iter().flat_map(|b| b.failed.keys());
            failed.extend(assets.map(|a| (&rollout.name, &wave.name, a)));
        }
    }
    if let Some((rollout, wave, asset)) = estate.dice.pick(&failed) {
        let why = ("it is replaced next week", after(now, 60 * 24 * 3), "person-8");
        let place = (rollout.as_ref(), wave.as_ref(), asset.as_ref());
        let waived = people::waive(&look.survey(), &estate.forge, place, why, now);
        estate.tell("waivers", &format!("{place:?} {waived:?}"));
    }
}

/// Executors hand in what they have to say.
pub fn hand_in(estate: &mut Estate, look: &Look) {
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
    let added = people::add_evidence(&look.survey(), &estate.forge, (&rollout, &wave), &files, now);
    estate.tell("result files", &format!("{rollout}/{wave} {added:?}"));
}

/// Machines come back, fall back, fall silent; somebody looks at most of them.
pub fn machines(estate: &mut Estate) {
    let now = estate.clock;
    for machine in estate.machines.values_mut() {
        machine.busy_until = machine.busy_until.filter(|until| *until > now);
    }
    let name = estate.dice.pick(&ASSETS).map_or("t1", |(name, ..)| *name);
    let roll = estate.dice.roll(16);
    let mut said = None;
    if let Some(machine) = estate.machines.get_mut(name) {
        match roll {
            0 => {
                machine
                    .state
                    .packages
                    .insert("openssl-libs".into(), "1:3.0.7-24.el9".into());
                said = Some("assets fell back");
            }
            1 => machine.state.pending_reboot = !machine.state.pending_reboot,
            2 => machine.silent = !machine.silent,
            3..=5 => machine.broken = false,
            6 | 7 => {
                machine.silent = false;
                machine.state.pending_reboot = false;
            }
            _ => {}
        }
    }
    if let Some(said) = said {
        estate.tell(said, name);
    }
    if estate.dice.one_in(6) {
        return;
    }
    let mut unseen = Vec::new();
    for _ in 0..estate.dice.roll(3) {
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
    if estate.feed.published < ADVISORIES.len() && estate.dice.one_in(6) {
        estate.feed.published += 1;
        estate.tell("advisories published", &estate.feed.published.to_string());
    }
    if estate.feed.published > 0 && estate.dice.one_in(14) {
        let which = usize::try_from(estate.dice.roll(u64::try_from(estate.feed.published).unwrap_or(1))).unwrap_or(0);
        estate.feed.exploited.entry(which).or_insert(now);
        estate.tell("advisories exploited", &which.to_string());
    }
    if estate.feed.outage != Outage::None {
        if estate.dice.one_in(2) {
            estate.feed.outage = Outage::None;
        }
    } else if estate.dice.one_in(12) {
        let kinds = [Outage::Failed, Outage::Empty, Outage::Stale];
        estate.feed.outage = *estate.dice.pick(&kinds).unwrap_or(&Outage::Failed);
        estate.tell("feed outages", &format!("{:?}", estate.feed.outage));
    }
}

/// The monitor turns.
pub fn monitor(estate: &mut Estate) {
    let turned = match estate.dice.roll(16) {
        0 => Monitor::Red,
        1 => Monitor::Unreadable,
        2..=8 => Monitor::Green,
        _ => return,
    };
    if turned != estate.monitor {
        estate.monitor = turned;
        let word = match turned {
            Monitor::Green => "monitor turns green",
            Monitor::Red => "monitor turns red",
            Monitor::Unreadable => "monitor turns silent",
        };
        estate.tell(word, "");
    }
}
