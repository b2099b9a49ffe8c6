//! What each product is asked, and what its answer is taken for; live and saved say the same.

use std::path::Path;

use patchwave_core::time::DurationSeconds;
use patchwave_core::verify::{Ask, CheckStatus, GateAnswer};

use crate::support::{Server, asked, noon, promql};

fn vector(value: &str) -> String {
    format!(
        r#"{{"status":"success","data":{{"resultType":"vector","result":[{{"metric":{{"instance":"a:9100"}},"value":[1795176000,"{value}"]}}]}}}}"#
    )
}

#[test]
fn prometheus_is_asked_for_now_for_its_samples_and_for_the_time_before() {
    let root = tempfile::tempdir().unwrap();
    let server = Server::says("200 OK", |head| {
        if head.contains("query_range") {
            r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"instance":"a:9100"},"values":[[1795175996,"1"],[1795176000,"1"]]}]}}"#.into()
        } else if head.contains("timestamp") {
            vector("1795175999.5")
        } else {
            vector("1")
        }
    });
    let ask = Ask::Promql {
        query: "up{job=\"node\"} offset 1m".into(),
        back: Some(DurationSeconds(1800)),
        assets: 2,
        at: noon(),
    };
    let spec = format!("kind: monitor, type: prometheus, url: \"{}/\"", server.url());
    let Ok(GateAnswer::Series(answer)) = asked(root.path(), &spec, ask) else {
        panic!("an answer")
    };
    assert_eq!(answer.step, Some(DurationSeconds(4)));
    let series = &answer.series[0];
    assert_eq!((series.value, series.before.len()), (1.0, 1));
    assert_eq!(series.sampled_at.unwrap().to_string(), "2026-11-20T11:59:59.5Z");
    let seen = server.seen();
    assert_eq!(seen.len(), 3);
    assert!(
        seen[0].starts_with("GET /api/v1/query?query=up%7Bjob%3D%22node%22%7D%20offset%201m&time=2026-11-20T12"),
        "{}",
        seen[0]
    );
    assert!(
        seen[2].contains("start=2026-11-20T11%3A30%3A00Z") || seen[2].contains("start=2026-11-20T11:30:00Z"),
        "{}",
        seen[2]
    );
    assert!(!seen[0].to_lowercase().contains("authorization"), "{}", seen[0]);
}

#[test]
fn a_query_that_is_refused_says_why() {
    let root = tempfile::tempdir().unwrap();
    let server = Server::says("400 Bad Request", |_| {
        r#"{"status":"error","errorType":"bad_data","error":"parse error"}"#.into()
    });
    let spec = format!("kind: monitor, type: prometheus, url: \"{}\"", server.url());
    let why = asked(root.path(), &spec, promql()).unwrap_err();
    assert!(why.contains("bad_data: parse error"), "{why}");
}

const SERVICES: &str = r#"{"result":{"type_code":0},"data":{"servicelist":{"a":{"app":{"status":2,"has_been_checked":true,"last_check":1795175999000}}}}}"#;
const HOSTS: &str = r#"{"result":{"type_code":0},"data":{"hostlist":{"b":{"status":4,"has_been_checked":true,"last_check":1795175999000}}}}"#;

fn statuses(root: &Path, spec: &str) -> Vec<CheckStatus> {
    match asked(root, spec, Ask::Status) {
        Ok(GateAnswer::Checks(checks)) => checks.into_iter().map(|c| c.status).collect(),
        other => panic!("{other:?}"),
    }
}

fn saved(root: &Path, files: &[(&str, &str)]) {
    std::fs::create_dir_all(root.join("saved")).unwrap();
    for (name, text) in files {
        std::fs::write(root.join("saved").join(name), text).unwrap();
    }
}

#[test]
fn nagios_is_asked_for_services_and_hosts() {
    let root = tempfile::tempdir().unwrap();
    let server = Server::says("200 OK", |head| {
        (if head.contains("query=servicelist") {
            SERVICES
        } else {
            HOSTS
        })
        .into()
    });
    let spec = format!("kind: monitor, type: nagios, url: \"{}/cgi-bin/nagios4\"", server.url());
    assert_eq!(statuses(root.path(), &spec), [CheckStatus::Ok, CheckStatus::Critical]);
    assert!(server.seen()[0].starts_with("GET /cgi-bin/nagios4/statusjson.cgi?query=servicelist&details=true "));
    saved(root.path(), &[("services.json", SERVICES), ("hosts.json", HOSTS)]);
    let path = "kind: monitor, type: nagios, path: saved";
    assert_eq!(statuses(root.path(), path), [CheckStatus::Ok, CheckStatus::Critical]);
    let file = "kind: monitor, type: nagios, path: saved/services.json";
    assert_eq!(statuses(root.path(), file), [CheckStatus::Ok]);
}

#[test]
fn icinga_is_asked_with_basic_authentication() {
    let root = tempfile::tempdir().unwrap();
    std::fs::write(root.path().join("account"), "reader:pw\n").unwrap();
    let services = r#"{"results":[{"name":"a!app","attrs":{"host_name":"a","state":0,"state_type":1,"last_check":1795175999.5}}]}"#;
    let server = Server::says("200 OK", move |head| {
        if head.contains("/v1/objects/services?") {
            services.into()
        } else {
            r#"{"results":[]}"#.into()
        }
    });
    let spec = format!(
        "kind: monitor, type: icinga2, url: \"{}\", secretRef: {{file: account}}",
        server.url()
    );
    assert_eq!(statuses(root.path(), &spec), [CheckStatus::Ok]);
    let seen = server.seen();
    assert!(
        seen[0].to_lowercase().contains("authorization: basic cmvhzgvyonb3"),
        "{}",
        seen[0]
    );
    assert!(
        seen[0].contains("attrs=last_state_change") && seen[0].contains("attrs=host_name"),
        "{}",
        seen[0]
    );
    saved(root.path(), &[("services.json", services)]);
    assert_eq!(
        statuses(root.path(), "kind: monitor, type: icinga2, path: saved"),
        [CheckStatus::Ok]
    );
}

#[test]
fn solarwinds_is_asked_by_post() {
    let root = tempfile::tempdir().unwrap();
    let nodes = r#"{"results":[{"Caption":"a","Status":1,"LastSync":"2026-11-20T11:59:00"}]}"#;
    let server = Server::says("200 OK", move |_| nodes.into());
    let spec = format!("kind: monitor, type: solarwinds, url: \"{}\"", server.url());
    assert_eq!(statuses(root.path(), &spec), [CheckStatus::Ok]);
    assert!(
        server.seen()[0].starts_with("POST /SolarWinds/InformationService/v3/Json/Query "),
        "{:?}",
        server.seen()
    );
    saved(root.path(), &[("nodes.json", nodes)]);
    assert_eq!(
        statuses(root.path(), "kind: monitor, type: solarwinds, path: saved"),
        [CheckStatus::Ok]
    );
}

#[test]
fn servicenow_is_asked_for_the_records_of_a_wave() {
    let root = tempfile::tempdir().unwrap();
    let changes = r#"{"result":[{"number":"CHG1","state":"-1","active":"true","correlation_id":"linux/test"}]}"#;
    let server = Server::says("200 OK", move |_| changes.into());
    let ask = || Ask::Change {
        subject: "linux/test".into(),
    };
    let spec = format!("kind: change, type: servicenow, url: \"{}\"", server.url());
    let live = asked(root.path(), &spec, ask()).unwrap();
    let seen = server.seen();
    assert!(
        seen[0].starts_with("GET /api/now/table/change_request?sysparm_query=correlation_id"),
        "{}",
        seen[0]
    );
    saved(root.path(), &[("changes.json", changes)]);
    assert_eq!(
        asked(root.path(), "kind: change, type: servicenow, path: saved", ask()).unwrap(),
        live
    );
}

#[test]
fn a_page_is_what_it_answers() {
    let root = tempfile::tempdir().unwrap();
    let server = Server::says("503 Service Unavailable", |_| "down".into());
    let spec = format!("kind: monitor, type: http, url: \"{}\"", server.url());
    let ask = || Ask::Page {
        address: "/health".into(),
        at: noon(),
    };
    let live = asked(root.path(), &spec, ask()).unwrap();
    saved(
        root.path(),
        &[(
            "health.json",
            r#"{"at":"2026-11-20T12:00:00Z","status":503,"body":"down"}"#,
        )],
    );
    assert_eq!(
        asked(root.path(), "kind: monitor, type: http, path: saved", ask()).unwrap(),
        live
    );
}

#[test]
fn saved_answers_have_names_and_a_product_is_asked_for_what_it_knows() {
    let root = tempfile::tempdir().unwrap();
    saved(root.path(), &[("up-job-node.json", &vector("1"))]);
    let spec = "kind: monitor, type: prometheus, path: saved";
    assert!(matches!(asked(root.path(), spec, promql()), Ok(GateAnswer::Series(_))));
    let other = Ask::Promql {
        query: "../../etc/passwd".into(),
        back: None,
        assets: 1,
        at: noon(),
    };
    let why = asked(root.path(), spec, other).unwrap_err();
    assert!(why.contains("saved/etc-passwd.json: there is no such file"), "{why}");
    for kind in ["prometheus", "nagios", "icinga2", "solarwinds", "http", "servicenow"] {
        let spec = format!("kind: monitor, type: {kind}, path: saved");
        let wrong = if kind == "prometheus" { Ask::Status } else { promql() };
        let why = asked(root.path(), &spec, wrong).unwrap_err();
        assert!(why.contains("cannot be asked for"), "{kind}: {why}");
    }
}
