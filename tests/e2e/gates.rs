//! Gates: what monitors show lets a wave through, holds it, breaks its soak or stops it. The answers are saved to files.

use serde_json::{Value, json};

use super::play::{ROLLOUT, patched};
use crate::support::{Run, Sandbox};

const PROMETHEUS: &str = "apiVersion: patchwave.dev/v1
kind: Source
metadata: {name: prometheus}
spec: {kind: monitor, type: prometheus, path: fleets/monitors}
";

const GATE: &str = "{promql: 'up{job=\"node\"}', source: prometheus, match: {label: instance, to: asset.name, stripPort: true}, is: \"== 1\"}";

/// The estate with gates on its first wave.
fn gated(source: &str, gates: &str) -> Sandbox {
    let mut estate = Sandbox::estate();
    estate.write("fleets/monitor.yaml", source);
    estate.edit(
        "fleets/strategies.yaml",
        "      soak: 12h\n",
        &format!("      soak: 12h\n      gates: [{gates}]\n"),
    );
    estate.at("2026-11-20T12:00:00Z").reconcile().did("pull request #1");
    estate.merge("test");
    estate
}

/// Its test machines are patched, and it soaks until one o'clock in the night.
fn soaking(source: &str, gates: &str) -> Sandbox {
    let mut estate = gated(source, gates);
    estate
        .at("2026-11-20T12:10:00Z")
        .reconcile()
        .did("released wave test batch 01");
    patched(&estate, &["t1", "t2"], "2026-11-20T13:00:00Z");
    estate
}

/// What Prometheus answers: the value of each machine at an instant.
fn up(estate: &Sandbox, at: &str, values: &[(&str, &str)]) {
    let at = at.parse::<jiff::Timestamp>().unwrap().as_second();
    let result: Vec<Value> = values
        .iter()
        .map(|(host, value)| json!({"metric": {"job": "node", "instance": format!("{host}:9100")}, "value": [at, value]}))
        .collect();
    let answer = json!({"status": "success", "data": {"resultType": "vector", "result": result}});
    save(estate, "up-job-node.json", &answer);
}

fn save(estate: &Sandbox, name: &str, answer: &Value) {
    let folder = estate.path().join("fleets/monitors");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(name), answer.to_string()).unwrap();
}

/// A run whose machines were just seen.
fn look(estate: &mut Sandbox, at: &str) -> Run {
    estate.world().observe(at);
    estate.at(at).reconcile()
}

#[test]
fn a_wave_is_promoted_on_what_its_gates_show_and_that_is_on_record() {
    let mut estate = soaking(PROMETHEUS, GATE);
    up(
        &estate,
        "2026-11-20T13:04:30Z",
        &[("t1", "1"), ("t2", "1"), ("p1", "0")],
    );
    let run = estate.at("2026-11-20T13:05:00Z").reconcile();
    run.did("wave test verified")
        .did("gate `up{job=\"node\"} == 1` is passed");
    run.waits_for("wave test soaks until");
    estate.reconcile().quiet();
    let status = estate.run(&["status"]).exits(0).out;
    assert!(
        status.contains("gate `up{job=\"node\"} == 1` passed since 2026-11-20T13:"),
        "{status}"
    );
    let explained = estate.run(&["explain", "rollout", ROLLOUT]).exits(0).out;
    assert!(explained.contains("is passed since"), "{explained}");

    up(&estate, "2026-11-21T01:04:30Z", &[("t1", "1"), ("t2", "1")]);
    look(&mut estate, "2026-11-21T01:05:00Z")
        .did("wave test promoted")
        .did("wave staging proposed");
    let ledger = estate.ledger(ROLLOUT);
    let promoted = ledger.iter().position(|l| l["data"]["moved"] == "promoted").unwrap();
    let evidence = &ledger[promoted - 1];
    assert_eq!(evidence["event"], "gates", "{evidence}");
    assert_eq!(
        evidence["data"]["gates"][0]["samples"]["t2"],
        json!({"at": "2026-11-21T01:04:30Z", "value": "1"}),
        "{evidence}"
    );
    estate.audited();
}

#[test]
fn what_a_monitor_does_not_show_holds_the_wave_and_is_no_failure() {
    let mut estate = soaking(PROMETHEUS, GATE);
    let run = estate.at("2026-11-20T13:05:00Z").reconcile();
    run.did("is unreadable (source prometheus: fleets/monitors: there is no such file or folder");
    run.waits_for("is unreadable since 2026-11-20T13:05:00Z");
    // The server is there, and one machine is missing: that is no health.
    up(&estate, "2026-11-21T01:04:30Z", &[("t1", "1")]);
    let run = look(&mut estate, "2026-11-21T01:05:00Z");
    run.did("is unmet (t2: no sample has instance `t2`; one has `t1`")
        .did_not("promoted");
    std::fs::remove_file(estate.path().join("fleets/monitors/up-job-node.json")).unwrap();
    look(&mut estate, "2026-11-21T01:30:00Z")
        .did("fleets/monitors/up-job-node.json: there is no such file or folder; save");
    // Of before the patch; then of days ago.
    up(&estate, "2026-11-20T12:59:00Z", &[("t1", "1"), ("t2", "1")]);
    look(&mut estate, "2026-11-21T02:05:00Z")
        .did_not("promoted")
        .waits_for("is not newer than its patch");
    up(&estate, "2026-11-21T03:00:00Z", &[("t1", "1"), ("t2", "1")]);
    look(&mut estate, "2026-11-23T02:05:00Z")
        .did_not("promoted")
        .waits_for("is stale");
    // Nothing but waiting, for however long.
    save(
        &estate,
        "up-job-node.json",
        &json!({"status": "success", "data": {"resultType": "vector", "result": []}}),
    );
    let run = look(&mut estate, "2026-11-26T02:05:00Z");
    run.did_not("failed")
        .waits_for("there is no sample: the answer is empty");
    estate.reconcile().quiet();
    up(&estate, "2026-11-26T03:00:00Z", &[("t1", "1"), ("t2", "1")]);
    look(&mut estate, "2026-11-26T03:05:00Z").did("wave test promoted");
    estate.audited();
}

#[test]
fn a_gate_that_was_red_is_not_made_good_by_its_last_look() {
    let mut estate = soaking(PROMETHEUS, GATE);
    up(&estate, "2026-11-20T13:04:30Z", &[("t1", "1"), ("t2", "0")]);
    estate
        .at("2026-11-20T13:05:00Z")
        .reconcile()
        .did("wave test verified")
        .did("is red (t2: its value is 0");
    up(&estate, "2026-11-21T01:04:30Z", &[("t1", "1"), ("t2", "1")]);
    look(&mut estate, "2026-11-21T01:05:00Z")
        .did_not("promoted")
        .waits_for("soaks until 2026-11-21T13:");
    up(&estate, "2026-11-21T13:05:00Z", &[("t1", "1"), ("t2", "1")]);
    look(&mut estate, "2026-11-21T13:06:00Z").did("wave test promoted");
    estate.audited();
}

#[test]
fn what_was_red_and_then_unreadable_is_not_made_good_either() {
    let mut estate = soaking(PROMETHEUS, GATE);
    up(&estate, "2026-11-20T13:04:30Z", &[("t1", "1"), ("t2", "0")]);
    estate
        .at("2026-11-20T13:05:00Z")
        .reconcile()
        .did("is red (t2: its value is 0");
    std::fs::remove_file(estate.path().join("fleets/monitors/up-job-node.json")).unwrap();
    look(&mut estate, "2026-11-20T13:10:00Z").did("is unreadable");
    up(&estate, "2026-11-21T01:30:00Z", &[("t1", "1"), ("t2", "1")]);
    look(&mut estate, "2026-11-21T01:31:00Z")
        .did_not("promoted")
        .waits_for("soaks until 2026-11-21T13:");
}

#[test]
fn what_a_person_halted_is_not_promoted() {
    let mut estate = soaking(PROMETHEUS, GATE);
    up(&estate, "2026-11-20T13:04:30Z", &[("t1", "1"), ("t2", "1")]);
    estate.at("2026-11-20T13:05:00Z").reconcile().did("wave test verified");
    estate.does(&["halt", ROLLOUT, "--reason", "wait"]).exits(0);
    up(&estate, "2026-11-21T01:04:30Z", &[("t1", "1"), ("t2", "1")]);
    look(&mut estate, "2026-11-21T01:05:00Z").did_not("promoted");
    estate.does(&["resume", ROLLOUT]).exits(0);
    estate.merge("resume");
    look(&mut estate, "2026-11-21T01:06:00Z").did("wave test promoted");
    estate.audited();
}

#[test]
fn a_gate_that_turns_breaks_the_soak_and_then_stops_the_wave() {
    let mut estate = soaking(PROMETHEUS, GATE);
    up(&estate, "2026-11-20T13:04:30Z", &[("t1", "1"), ("t2", "1")]);
    estate.at("2026-11-20T13:05:00Z").reconcile().did("is passed");
    up(&estate, "2026-11-20T20:00:00Z", &[("t1", "1"), ("t2", "0")]);
    let run = look(&mut estate, "2026-11-20T20:00:30Z");
    run.did("wave test soak-broken: gate `up{job=\"node\"} == 1` is red since 2026-11-20T20:00:30Z: t2: its value");
    run.did_not("failed").waits_for("is red since");
    estate.reconcile().quiet();
    // Green again: the soak begins anew.
    up(&estate, "2026-11-20T20:30:00Z", &[("t1", "1"), ("t2", "1")]);
    look(&mut estate, "2026-11-20T20:30:30Z").did("wave test verified");
    up(&estate, "2026-11-21T01:04:30Z", &[("t1", "1"), ("t2", "1")]);
    let run = look(&mut estate, "2026-11-21T01:05:00Z");
    run.did_not("promoted")
        .waits_for("wave test soaks until 2026-11-21T08:30:30Z");
    // Red again, for longer than the hour.
    up(&estate, "2026-11-21T02:00:00Z", &[("t1", "1"), ("t2", "0")]);
    look(&mut estate, "2026-11-21T02:00:30Z")
        .did("soak-broken")
        .did_not("failed");
    look(&mut estate, "2026-11-21T02:59:00Z").did_not("failed");
    let run = look(&mut estate, "2026-11-21T03:01:00Z");
    run.did("wave test failed: gate")
        .did("wave test halted: halted: gate")
        .did_not("staging");
    look(&mut estate, "2026-11-21T05:00:00Z").quiet();

    // A person lets it go on; the gate must be green, for a whole soak.
    estate.does(&["resume", ROLLOUT]).exits(0);
    estate.merge("resume");
    up(&estate, "2026-11-21T05:05:00Z", &[("t1", "1"), ("t2", "1")]);
    look(&mut estate, "2026-11-21T05:06:00Z")
        .did("resumed")
        .did("wave test verified")
        .did("is passed");
    up(&estate, "2026-11-21T12:00:00Z", &[("t1", "1"), ("t2", "1")]);
    look(&mut estate, "2026-11-21T12:01:00Z").did_not("promoted");
    up(&estate, "2026-11-21T17:06:00Z", &[("t1", "1"), ("t2", "1")]);
    look(&mut estate, "2026-11-21T17:07:00Z").did("wave test promoted");
    estate.audited();
}

#[test]
fn what_broke_a_soak_and_cannot_be_read_then_begins_no_new_one() {
    let mut estate = soaking(PROMETHEUS, GATE);
    up(&estate, "2026-11-20T13:04:30Z", &[("t1", "1"), ("t2", "1")]);
    estate.at("2026-11-20T13:05:00Z").reconcile().did("is passed");
    up(&estate, "2026-11-20T20:00:00Z", &[("t1", "1"), ("t2", "0")]);
    look(&mut estate, "2026-11-20T20:00:30Z").did("wave test soak-broken");
    std::fs::remove_file(estate.path().join("fleets/monitors/up-job-node.json")).unwrap();
    look(&mut estate, "2026-11-20T20:10:00Z")
        .did("is unreadable")
        .did_not("verified");
    look(&mut estate, "2026-11-20T20:20:00Z").did_not("verified");
    up(&estate, "2026-11-20T20:30:00Z", &[("t1", "1"), ("t2", "1")]);
    look(&mut estate, "2026-11-20T20:30:30Z").did("wave test verified");
    up(&estate, "2026-11-21T08:20:00Z", &[("t1", "1"), ("t2", "1")]);
    look(&mut estate, "2026-11-21T08:20:30Z").did_not("promoted");
    up(&estate, "2026-11-21T08:31:00Z", &[("t1", "1"), ("t2", "1")]);
    look(&mut estate, "2026-11-21T08:31:30Z").did("wave test promoted");
}

#[test]
fn a_gate_that_never_was_green_stops_the_wave_after_its_soak() {
    let mut estate = soaking(PROMETHEUS, GATE);
    up(&estate, "2026-11-20T13:04:30Z", &[("t1", "1"), ("t2", "0")]);
    estate
        .at("2026-11-20T13:05:00Z")
        .reconcile()
        .did("is red (t2: its value");
    up(&estate, "2026-11-21T01:30:00Z", &[("t1", "1"), ("t2", "0")]);
    look(&mut estate, "2026-11-21T01:31:00Z")
        .did_not("failed")
        .waits_for("is red since 2026-11-20T13:05:00Z");
    up(&estate, "2026-11-21T02:01:00Z", &[("t1", "1"), ("t2", "NaN")]);
    look(&mut estate, "2026-11-21T02:01:30Z")
        .did("is unmet (t2: its value")
        .did_not("failed");
    up(&estate, "2026-11-21T02:02:00Z", &[("t1", "1"), ("t2", "0")]);
    look(&mut estate, "2026-11-21T02:02:30Z")
        .did("is red")
        .did_not("failed");
    look(&mut estate, "2026-11-21T03:02:30Z")
        .did("wave test failed")
        .did("wave test halted");
    estate.audited();
}

#[test]
fn what_must_have_held_is_waited_for() {
    let gate = GATE.replace("is:", "for: 30m, is:");
    let mut estate = soaking(PROMETHEUS, &gate);
    up(&estate, "2026-11-21T01:04:30Z", &[("t1", "1"), ("t2", "1")]);
    estate.world().observe("2026-11-20T13:00:00Z");
    estate.at("2026-11-20T13:05:00Z").reconcile().did("is unmet");
    let run = look(&mut estate, "2026-11-21T01:05:00Z");
    run.did("is holding (it must hold until 2026-11-21T01:35:00Z")
        .did_not("promoted");
    // A saved single value says nothing of the time between: the looks count.
    up(&estate, "2026-11-21T01:34:00Z", &[("t1", "1"), ("t2", "1")]);
    look(&mut estate, "2026-11-21T01:34:30Z")
        .did_not("promoted")
        .waits_for("is holding");
    up(&estate, "2026-11-21T01:35:00Z", &[("t1", "1"), ("t2", "1")]);
    look(&mut estate, "2026-11-21T01:35:30Z").did("wave test promoted");
}

#[test]
fn a_change_record_holds_each_batch_until_it_is_open_and_covers_it() {
    let source = "apiVersion: patchwave.dev/v1
kind: Source
metadata: {name: changes}
spec: {kind: change, type: servicenow, path: fleets/monitors}
";
    let mut estate = gated(source, "{change: implement, source: changes}");
    let change = |state: &str, end: &str| {
        json!({"result": [{
            "number": {"display_value": "CHG0030001", "value": "CHG0030001"},
            "state": {"display_value": state, "value": if state == "Implement" { "-1" } else { "-2" }},
            "active": {"display_value": "true", "value": "true"},
            "start_date": {"display_value": "20.11.2026 13:00:00", "value": "2026-11-20 12:00:00"},
            "end_date": {"display_value": "x", "value": end},
            "correlation_id": {"display_value": "", "value": ""},
            "short_description": {"display_value": "x", "value": format!("Patch {ROLLOUT}/test")},
        }]})
    };
    let run = estate.at("2026-11-20T12:10:00Z").reconcile();
    run.did_not("released")
        .waits_for("wave test batch 01 waits: gate `change implement` is unreadable");
    save(&estate, "changes.json", &change("Scheduled", "2026-11-20 18:00:00"));
    let run = estate.at("2026-11-20T12:20:00Z").reconcile();
    run.did_not("released")
        .waits_for("CHG0030001 is in state scheduled, not implement");
    save(&estate, "changes.json", &change("Implement", "2026-11-20 12:31:00"));
    let run = estate.at("2026-11-20T12:30:00Z").reconcile();
    run.did_not("released").waits_for("does not cover the batch");
    save(&estate, "changes.json", &change("Implement", "2026-11-20 18:00:00"));
    estate
        .at("2026-11-20T12:40:00Z")
        .reconcile()
        .did("released wave test batch 01");
    estate.reconcile().quiet();
    // Once the batch has run, the change goes on to its review; what it was at the release counts.
    patched(&estate, &["t1", "t2"], "2026-11-20T13:00:00Z");
    std::fs::remove_file(estate.path().join("fleets/monitors/changes.json")).unwrap();
    estate.at("2026-11-20T13:05:00Z").reconcile().did("wave test verified");
    look(&mut estate, "2026-11-21T01:05:00Z").did("wave test promoted");
    estate.audited();
}

#[test]
fn offline_no_monitor_is_asked() {
    let source = PROMETHEUS.replace("path: fleets/monitors", "url: \"http://127.0.0.1:9\"");
    let mut estate = soaking(&source, GATE);
    estate.at("2026-11-20T13:05:00Z");
    let said = estate.run(&["--offline", "reconcile", "--once"]).exits(0).out;
    assert!(
        said.contains("is unreadable (it is not asked: `--offline` allows no network)"),
        "{said}"
    );
    estate
        .reconcile()
        .quiet()
        .waits_for("source prometheus: it cannot be reached: connection refused");
}

#[test]
fn a_member_of_the_result_files_can_be_asked_for() {
    let mut estate = soaking("", "{result: checks.smoke}");
    estate
        .at("2026-11-20T13:05:00Z")
        .reconcile()
        .did("is unmet (t1: no result file was added for it");
    let frozen = estate.frozen(ROLLOUT);
    let file = |asset: &str, passed: bool| {
        json!({
            "formatVersion": "1.0", "rollout": ROLLOUT, "wave": "test", "batch": "01", "asset": asset,
            "patchset": frozen["patchset"]["digest"], "action": "patch", "status": "ok", "stage": "done",
            "startedAt": "2026-11-20T12:20:00Z", "finishedAt": "2026-11-20T12:30:00Z", "checks": {"smoke": passed},
        })
    };
    for (asset, passed) in [("t1", true), ("t2", false)] {
        let name = format!("{asset}.json");
        std::fs::write(estate.path().join(&name), file(asset, passed).to_string()).unwrap();
        let path = estate.path().join(&name).display().to_string();
        estate.does(&["evidence", "add", ROLLOUT, "test", &path]).exits(0);
    }
    estate.reconcile().did("is red (t2: `checks.smoke` is false");
    look(&mut estate, "2026-11-21T01:05:00Z").did_not("promoted");
}

#[test]
fn nagios_counts_as_it_stands_acknowledged_or_not() {
    let source = PROMETHEUS.replace("type: prometheus", "type: nagios");
    let mut estate = soaking(&source, "{status: ok, source: prometheus}");
    let service = |status: u32, acknowledged: bool, at: &str| {
        let at = at.parse::<jiff::Timestamp>().unwrap().as_millisecond();
        json!({"app": {"description": "app", "status": status, "has_been_checked": true, "last_check": at,
            "last_state_change": at, "state_type": 1, "problem_has_been_acknowledged": acknowledged,
            "scheduled_downtime_depth": 0}})
    };
    let answer = |t2: Value, at: &str| json!({"result": {"type_code": 0}, "data": {"servicelist": {"t1": service(2, false, at), "t2": t2}}});
    save(
        &estate,
        "services.json",
        &answer(service(16, true, "2026-11-20T13:04:00Z"), "2026-11-20T13:04:00Z"),
    );
    estate
        .at("2026-11-20T13:05:00Z")
        .reconcile()
        .did("is red (t2: `app` is critical (acknowledged)");
    save(
        &estate,
        "services.json",
        &answer(service(2, false, "2026-11-21T01:04:00Z"), "2026-11-21T01:04:00Z"),
    );
    // It was red until now: the soak counts from here.
    look(&mut estate, "2026-11-21T01:05:00Z")
        .did_not("promoted")
        .waits_for("soaks until 2026-11-21T13:04:00Z");
    save(
        &estate,
        "services.json",
        &answer(service(2, false, "2026-11-21T13:04:00Z"), "2026-11-21T13:04:00Z"),
    );
    look(&mut estate, "2026-11-21T13:05:00Z").did("wave test promoted");
}
