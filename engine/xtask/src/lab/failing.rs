//! The wave in which things go wrong: one host is lost, the postinst of another fails, the %post of a third. And the way back.

use std::collections::BTreeMap;
use std::io::{self, Error};
use std::thread::sleep;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::chain::member;
use super::hosts::Family;
use super::phases::{Play, app};

/// The host that nobody reaches; the one whose postinst fails; the one whose %post does.
const LOST: &str = "c2";
const POSTINST: &str = "c3";
const POST: &str = "c4";
/// Those that come after them.
const UNTOUCHED: &[&str] = &["c5", "c6", "c7"];
/// `minAvailable` of the service, and its members.
const AVAILABLE: usize = 4;
const MEMBERS: usize = 7;

/// Plays both.
pub fn play(play: &mut Play<'_>) -> io::Result<()> {
    play.seen.phase(
        5,
        "a host is lost, a postinst fails, a %post fails: each is found, and the rest stays untouched",
    )?;
    let old = play.versions()?;
    let mut ran = first_batch(play)?;
    ran.extend(failing_batch(play)?);
    found_by_the_engine(play, &old)?;
    budget_held(play, &ran)?;
    play.seen.phase(6, "the way back returns exact versions")?;
    back(play, &old)
}

/// The batch of one host that goes before the others.
fn first_batch(play: &mut Play<'_>) -> io::Result<BTreeMap<String, Value>> {
    let pull = play
        .lab
        .pull_request("critical")?
        .ok_or_else(|| Error::other("no pull request"))?;
    play.lab.merge(&pull)?;
    play.until("released wave critical batch 01")?;
    play.batch_runs()?;
    let results = play.results("critical", "01")?;
    let version = play.lab.version("c1", "lab-app")?;
    play.seen
        .equal("c1: lab-app", &version.as_str(), &app(Family::Apt)[1])?;
    Ok(results)
}

/// The batch that fails, and what its results say.
fn failing_batch(play: &mut Play<'_>) -> io::Result<BTreeMap<String, Value>> {
    for (name, marker) in [(POSTINST, "fail-postinst"), (POST, "fail-post")] {
        play.lab.host(name)?.mark(marker)?;
    }
    play.until("released wave critical batch 02")?;
    sleep(Duration::from_millis(1500));
    play.lab.host(LOST)?.kill()?;
    let said = play.lab.execute()?;
    play.seen.equal("exit code of the executor", &said.code, &1)?;
    play.seen.holds(
        "it begins nothing further",
        said.out.contains("nothing further is begun"),
        &said.out,
    )?;
    let results = play.results("critical", "02")?;
    for (name, status, stage, words) in [
        (LOST, "not-attempted", "preflight", "unreachable"),
        (POSTINST, "failed", "patch", "lab-app is half-configured"),
        (POST, "failed", "validation", "scriptlet"),
    ] {
        let result = results.get(name).cloned().unwrap_or_default();
        let reason = member(&result, "reason").as_str().unwrap_or_default().to_owned();
        let as_said =
            member(&result, "status") == status && member(&result, "stage") == stage && reason.contains(words);
        let reason: String = reason.chars().take(300).collect();
        play.seen.holds(
            &format!("{name}: {status} at {stage}: {}", reason.replace('\n', " ")),
            as_said,
            &result,
        )?;
    }
    let half = play.lab.version(POSTINST, "lab-app")?;
    play.seen.equal(
        "dpkg has it half-configured",
        &half.as_str(),
        &"1.1.0-1 half-configured",
    )?;
    let whole = play.lab.version(POST, "lab-app")?;
    play.seen
        .equal("rpm has it as installed", &whole.as_str(), &app(Family::Dnf)[1])?;
    Ok(results)
}

/// The engine halts the rollout, gives no further permit, and asks for the way back.
fn found_by_the_engine(play: &mut Play<'_>, old: &BTreeMap<&'static str, String>) -> io::Result<()> {
    play.until("wave critical halted")?;
    let status = play.lab.patchwave(&["status"], &[])?.out;
    for name in [POSTINST, POST] {
        play.seen
            .holds(&format!("the status names {name}"), status.contains(name), &status)?;
    }
    let rollout = play.rollout.clone();
    for batch in ["02", "03"] {
        let said = play.lab.patchwave(&["permit", &rollout, "critical", batch], &[])?;
        let why = format!("{}{}", said.out.trim(), said.err.trim());
        play.seen.holds(
            &format!("no permit for batch {batch}: {why}"),
            said.code == 1,
            &said.code,
        )?;
    }
    play.nothing_happens("halted", "02-critical", "ansible/batch-03.yml")?;
    let said = play.lab.execute()?;
    play.seen.holds(
        "the executor runs nothing of it",
        said.out.contains("0 of 0 released batches ran"),
        &said.out,
    )?;
    for name in UNTOUCHED {
        let version = play.lab.version(name, "lab-app")?;
        play.seen
            .equal(&format!("{name}: untouched"), &Some(&version), &old.get(name))?;
    }
    Ok(())
}

/// How many members were up, from what was seen: those that a batch touched count as down from its start to the end of
/// their run, a failed or lost one for good.
fn budget_held(play: &mut Play<'_>, ran: &BTreeMap<String, Value>) -> io::Result<()> {
    let at = |result: &Value, key: &str| member(result, key).as_str().and_then(|t| t.parse::<Timestamp>().ok());
    let mut down = Vec::new();
    for (name, result) in ran {
        let ended = at(result, "finishedAt").filter(|_| member(result, "status") == "ok");
        let started = at(result, "startedAt").unwrap_or_default();
        down.push((name.clone(), started, ended.unwrap_or(Timestamp::MAX)));
    }
    let worst = down
        .iter()
        .map(|(_, start, _)| down.iter().filter(|(_, from, to)| from <= start && start < to).count())
        .max();
    let up = MEMBERS - worst.unwrap_or(MEMBERS);
    play.seen.holds(
        &format!("at least {up} of {MEMBERS} members were up at any time; the service wants {AVAILABLE}"),
        up >= AVAILABLE,
        &down,
    )?;
    let mut serving = 0;
    for name in play
        .lab
        .hosts
        .keys()
        .filter(|name| name.starts_with('c'))
        .copied()
        .collect::<Vec<_>>()
    {
        let version = play.lab.version(name, "lab-app")?;
        serving += usize::from(version.ends_with(" installed") && name != POST);
    }
    play.seen.equal("members that are whole now", &serving, &AVAILABLE)
}

/// The way back is approved, runs, and brings exactly what was there.
fn back(play: &mut Play<'_>, old: &BTreeMap<&'static str, String>) -> io::Result<()> {
    // Its power is back.
    play.lab.start(LOST)?;
    let pull = play
        .lab
        .pull_request("rollback.critical")?
        .ok_or_else(|| Error::other("nothing asks for the way back"))?;
    let body = member(&pull, "body").as_str().unwrap_or_default().to_owned();
    for name in [POSTINST, POST] {
        play.seen.holds(
            &format!("the pull request offers {name} an exact way back"),
            body.contains(&format!("| {name} | exact |")),
            &body,
        )?;
    }
    play.lab.check_out("main")?;
    play.nothing_happens_back("asked for, not approved")?;
    play.lab.merge(&pull)?;
    play.until("batch 02 may go back")?;
    sleep(Duration::from_millis(1500));
    let said = play.lab.execute()?;
    play.seen.holds(
        "the executor ran the way back",
        said.code == 0 && said.out.contains("1 of 1 released batches ran"),
        &(said.out, said.err),
    )?;
    for name in [LOST, POSTINST, POST] {
        let version = play.lab.version(name, "lab-app")?;
        play.seen
            .equal(&format!("{name}: back at"), &Some(&version), &old.get(name))?;
    }
    let audit = play.lab.on(POSTINST, "dpkg --audit")?;
    play.seen.equal("dpkg --audit", &audit.as_str(), &"")?;
    let kept = play.lab.version("c1", "lab-app")?;
    play.seen
        .equal("c1, whose batch passed, keeps", &kept.as_str(), &app(Family::Apt)[1])?;
    play.until("wave critical rolled-back")?;
    let (results, changed) = play.by_hand("02-critical", "rollback/ansible/batch-02.yml", &["true"])?;
    play.seen
        .equal("changed by a second run of the way back", &changed, &0)?;
    for (name, result) in &results {
        play.seen.holds(
            &format!("{name}: ok, and nothing changed"),
            member(result, "status") == "ok" && *member(result, "changed") == json!(false),
            result,
        )?;
    }
    Ok(())
}
