//! Shapes as the products give them, and hostile ones.

use patchwave_core::verify::CheckStatus;
use proptest::prelude::*;

use super::*;

/// As Prometheus 2.42 answers `up`.
const VECTOR: &str = r#"{"status":"success","data":{"resultType":"vector","result":[
  {"metric":{"__name__":"up","instance":"127.0.0.1:19100","job":"node"},"value":[1795235272.781,"1"]},
  {"metric":{"__name__":"up","instance":"127.0.0.1:19101","job":"node"},"value":[1795235272.781,"NaN"]}]}}"#;

const STAMPS: &str = r#"{"status":"success","data":{"resultType":"vector","result":[
  {"metric":{"instance":"127.0.0.1:19100","job":"node"},"value":[1795235272.781,"1795235271.5"]},
  {"metric":{"instance":"127.0.0.1:19101","job":"node"},"value":[1795235272.781,"1795235272.781"]}]}}"#;

const MATRIX: &str = r#"{"status":"success","data":{"resultType":"matrix","result":[
  {"metric":{"__name__":"up","instance":"127.0.0.1:19100","job":"node"},
   "values":[[1795235270.781,"1"],[1795235271.781,"0"],[1795235272.781,"1"]]}]}}"#;

#[test]
fn three_answers_of_prometheus_are_put_together() {
    let now = prometheus_values(VECTOR.as_bytes()).unwrap();
    let stamps = prometheus_values(STAMPS.as_bytes()).unwrap();
    let range = prometheus_values(MATRIX.as_bytes()).unwrap();
    let answer = prometheus_live(now, Some(stamps), Some((range, jiff_seconds(1))));
    let [first, second] = answer.series.as_slice() else {
        panic!("{answer:?}")
    };
    assert_eq!(first.sampled_at.unwrap().to_string(), "2026-11-21T04:27:51.5Z");
    assert_eq!(first.before.iter().map(|(_, v)| *v).collect::<Vec<_>>(), [1.0, 0.0]);
    // Evaluated at the very instant of the query: nobody knows when the sample was taken.
    assert_eq!(second.sampled_at, None);
    assert!(second.value.is_nan() && second.before.is_empty());
}

fn jiff_seconds(seconds: i64) -> patchwave_core::time::DurationSeconds {
    patchwave_core::time::DurationSeconds(seconds)
}

#[test]
fn a_saved_range_says_its_own_step() {
    let answer = prometheus_saved(MATRIX.as_bytes()).unwrap();
    assert_eq!(answer.step, Some(jiff_seconds(1)));
    assert_eq!(answer.series[0].sampled_at, Some(answer.series[0].at));
    let answer = prometheus_saved(VECTOR.as_bytes()).unwrap();
    assert_eq!((answer.step, answer.series.len()), (None, 2));
}

#[test]
fn prometheus_that_gives_no_values_is_an_error() {
    for (answer, why) in [
        (
            r#"{"status":"error","errorType":"bad_data","error":"1:3: parse error"}"#,
            "bad_data: 1:3: parse error",
        ),
        (r#"{"status":"success"}"#, "no `data`"),
        (
            r#"{"status":"success","data":{"resultType":"string","result":[1,"x"]}}"#,
            "type `string`",
        ),
        (
            r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"histogram":[1,{}]}]}}"#,
            "histograms",
        ),
        (
            r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1,"one"]}]}}"#,
            "no value",
        ),
        (
            r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1e300,"1"]}]}}"#,
            "no instant",
        ),
        (
            r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{"a":1},"value":[1,"1"]}]}}"#,
            "cannot be read",
        ),
        ("<html>login</html>", "no answer of Prometheus"),
        ("", "no answer of Prometheus"),
        (
            r#"{"status":"success","data":{"resultType":"vec"#,
            "no answer of Prometheus",
        ),
    ] {
        let error = prometheus_values(answer.as_bytes()).unwrap_err();
        assert!(error.contains(why), "{answer}: {error}");
    }
    // No series at all is an answer, and the judge knows that it is not a good one.
    let empty = r#"{"status":"success","data":{"resultType":"vector","result":[]}}"#;
    assert!(prometheus_values(empty.as_bytes()).unwrap().is_empty());
    let scalar = r#"{"status":"success","data":{"resultType":"scalar","result":[1795235272.781,"+Inf"]}}"#;
    assert_eq!(prometheus_values(scalar.as_bytes()).unwrap()[0].value, f64::INFINITY);
}

/// As Nagios Core 4.4.6 answers, less members that are not read.
fn nagios(detail: &str, head: &str) -> String {
    format!(
        r#"{{"format_version":0,"result":{{"query_time":1795235272000,"cgi":"statusjson.cgi","user":"","query":"servicelist",
        "query_status":"released","program_start":1795235268000,"last_data_update":1795235271000,{head}}},
        "data":{{"selectors":{{}},"servicelist":{{"h1":{{"app":{{"host_name":"h1","description":"app","plugin_output":"0 OK",
        "percent_state_change":0.00,"check_type":0,{detail}}}}}}}}}}}"#
    )
}

const FINE: &str = r#""type_code":0,"type_text":"Success","message":"""#;

fn state(status: u32, more: &str) -> String {
    format!(
        r#""status":{status},"has_been_checked":true,"last_check":1795235271000,"last_state_change":1795235269000,
        "state_type":1,"problem_has_been_acknowledged":false,"scheduled_downtime_depth":0{more}"#
    )
}

#[test]
fn nagios_gives_bits() {
    use CheckStatus as S;
    for (bit, status) in [
        (1, S::Pending),
        (2, S::Ok),
        (4, S::Warning),
        (8, S::Unknown),
        (16, S::Critical),
    ] {
        let checks = nagios_services(nagios(&state(bit, ""), FINE).as_bytes()).unwrap();
        assert_eq!(checks[0].status, status, "{bit}");
        assert_eq!(checks[0].labels["host_name"], "h1");
        assert_eq!(checks[0].checked_at.unwrap().to_string(), "2026-11-21T04:27:51Z");
        assert!(checks[0].confirmed && checks[0].handled.is_none());
    }
    // What a monitor calls a service is said on terminals: no control character gets there.
    let hostile = nagios(&state(16, ""), FINE).replace("\"description\":\"app\"", "\"description\":\"a\\u001b[2Jb\"");
    assert_eq!(nagios_services(hostile.as_bytes()).unwrap()[0].service, "a [2Jb");
    let never = r#""status":2,"has_been_checked":false,"last_check":0"#;
    let checks = nagios_services(nagios(never, FINE).as_bytes()).unwrap();
    assert_eq!((checks[0].status, checks[0].checked_at), (CheckStatus::Pending, None));
    let handled = r#""status":16,"has_been_checked":true,"last_check":1,"state_type":0,"scheduled_downtime_depth":1"#;
    let checks = nagios_services(nagios(handled, FINE).as_bytes()).unwrap();
    assert_eq!((checks[0].handled, checks[0].confirmed), (Some("in a downtime"), false));
}

#[test]
fn nagios_that_stands_still_or_refuses_is_an_error() {
    let error = nagios_services(nagios(&state(3, ""), FINE).as_bytes()).unwrap_err();
    assert!(error.contains("status of app on h1 is `3`"), "{error}");
    let still = nagios(&state(2, ""), FINE).replace(
        "\"last_data_update\":1795235271000",
        "\"last_data_update\":1795230000000",
    );
    let error = nagios_services(still.as_bytes()).unwrap_err();
    assert!(error.contains("stands still"), "{error}");
    let refused = nagios(
        &state(2, ""),
        r#""type_code":3,"type_text":"Option Missing","message":"what""#,
    );
    let error = nagios_services(refused.as_bytes()).unwrap_err();
    assert!(error.contains("Option Missing: what"), "{error}");
    // Without `details=true` a service is a bare number.
    let bare = r#"{"result":{"type_code":0},"data":{"servicelist":{"h1":{"app":2}}}}"#;
    assert!(nagios_services(bare.as_bytes()).unwrap_err().contains("details=true"));
    assert!(nagios_hosts(bare.as_bytes()).unwrap_err().contains("hostlist"));
}

#[test]
fn hosts_count_where_they_are_down() {
    let hosts = r#"{"result":{"type_code":0},"data":{"hostlist":{
        "h1":{"name":"h1","status":2,"has_been_checked":true,"last_check":1795235271000},
        "h2":{"name":"h2","status":4,"has_been_checked":true,"last_check":1795235271000,"state_type":1},
        "h3":{"name":"h3","status":1,"has_been_checked":false,"last_check":0}}}}"#;
    let checks = nagios_hosts(hosts.as_bytes()).unwrap();
    assert_eq!(checks.len(), 1);
    assert_eq!(
        (checks[0].labels["host_name"].as_str(), checks[0].status),
        ("h2", CheckStatus::Critical)
    );
    let hosts = r#"{"results":[{"name":"h1","type":"Host","attrs":{"state":0,"last_check":1795235271.5}},
        {"name":"h2","type":"Host","attrs":{"state":1,"state_type":1,"last_check":1795235271.5}}]}"#;
    assert_eq!(icinga2_hosts(hosts.as_bytes()).unwrap().len(), 1);
}

#[test]
fn icinga_gives_states_and_a_check_that_never_ran_is_pending() {
    let answer = r#"{"results":[
      {"attrs":{"acknowledgement":0,"downtime_depth":1,"host_name":"h1","last_check":1795235271.53,"last_state_change":1795235200.1,
        "state":2,"state_type":1},"joins":{},"meta":{},"name":"h1!app","type":"Service"},
      {"attrs":{"acknowledgement":0,"downtime_depth":0,"last_check":-1,"last_state_change":0,"state":3,"state_type":0},
        "joins":{},"meta":{},"name":"h2!app","type":"Service"}]}"#;
    let checks = icinga2_services(answer.as_bytes()).unwrap();
    assert_eq!(
        (checks[0].status, checks[0].handled),
        (CheckStatus::Critical, Some("in a downtime"))
    );
    assert_eq!(checks[0].since.unwrap().to_string(), "2026-11-21T04:26:40.1Z");
    assert_eq!(
        (checks[1].status, checks[1].labels["host_name"].as_str()),
        (CheckStatus::Pending, "h2")
    );
    let refused = r#"{"error":404,"status":"No objects found."}"#;
    assert!(
        icinga2_services(refused.as_bytes())
            .unwrap_err()
            .contains("404 No objects found.")
    );
    let odd = r#"{"results":[{"attrs":{"state":7},"name":"h1!app","type":"Service"}]}"#;
    assert!(icinga2_services(odd.as_bytes()).unwrap_err().contains("is 7"));
}

#[test]
fn solarwinds_gives_numbers_and_times_without_a_zone() {
    let node = |status: i64, more: &str| {
        let answer = format!(
            r#"{{"results":[{{"Caption":"h1","DNS":"h1.example","IPAddress":"10.0.0.1","Status":{status},"LastSync":"2026-11-20T12:00:00.123"{more}}}]}}"#
        );
        solarwinds_nodes(answer.as_bytes()).unwrap().remove(0)
    };
    use CheckStatus as S;
    for (number, status) in [
        (0, S::Unknown),
        (1, S::Ok),
        (2, S::Critical),
        (3, S::Warning),
        (9, S::Unknown),
        (12, S::Critical),
        (14, S::Critical),
    ] {
        assert_eq!(node(number, "").status, status, "{number}");
    }
    assert_eq!(node(1, ",\"UnManaged\":true").status, CheckStatus::Unknown);
    assert_eq!(node(1, "").checked_at.unwrap().to_string(), "2026-11-20T12:00:00.123Z");
    let bad = r#"{"results":[{"Caption":"h1","Status":1,"LastSync":"yesterday"}]}"#;
    assert!(solarwinds_nodes(bad.as_bytes()).unwrap_err().contains("yesterday"));
    assert!(solarwinds_nodes(br#"{"Message":"no"}"#).is_err());
}

#[test]
fn servicenow_gives_values_with_or_without_their_words() {
    let both = r#"{"result":[{"number":{"display_value":"CHG0030001","value":"CHG0030001"},
      "state":{"display_value":"Implement","value":"-1"},"active":{"display_value":"true","value":"true"},
      "start_date":{"display_value":"2026-11-20 23:00:00","value":"2026-11-20 22:00:00"},
      "end_date":{"display_value":"","value":""},"short_description":{"display_value":"x","value":"x"}}]}"#;
    let record = servicenow_changes(both.as_bytes()).unwrap().remove(0);
    assert_eq!(
        (record.state.as_str(), record.state_code, record.active),
        ("implement", Some(-1), true)
    );
    assert_eq!(record.start.unwrap().to_string(), "2026-11-20T22:00:00Z");
    assert_eq!(record.end, None);
    let bare = r#"{"result":[{"number":"CHG1","state":"-1","active":"false","start_date":"2026-11-20 22:00:00"}]}"#;
    let record = servicenow_changes(bare.as_bytes()).unwrap().remove(0);
    assert_eq!((record.state_code, record.active), (Some(-1), false));
    let refused = r#"{"error":{"message":"User Not Authenticated","detail":""},"status":"failure"}"#;
    assert!(
        servicenow_changes(refused.as_bytes())
            .unwrap_err()
            .contains("Not Authenticated")
    );
    let bad = r#"{"result":[{"number":"CHG1","state":"-1","start_date":"20.11.2026"}]}"#;
    assert!(
        servicenow_changes(bad.as_bytes())
            .unwrap_err()
            .contains("CHG1: `start_date` is `20.11.2026`")
    );
}

/// Every reader, for bytes of any kind.
fn read_all(bytes: &[u8]) -> [bool; 7] {
    [
        prometheus_saved(bytes).is_ok(),
        nagios_services(bytes).is_ok(),
        nagios_hosts(bytes).is_ok(),
        icinga2_services(bytes).is_ok(),
        icinga2_hosts(bytes).is_ok(),
        solarwinds_nodes(bytes).is_ok(),
        servicenow_changes(bytes).is_ok(),
    ]
}

#[test]
fn what_is_nested_without_end_is_an_error() {
    let deep = "[".repeat(200_000);
    let inside = format!(
        r#"{{"status":"success","data":{{"resultType":"vector","result":{}"#,
        "[".repeat(200_000)
    );
    for bytes in [deep.as_bytes(), inside.as_bytes()] {
        assert_eq!(read_all(bytes), [false; 7]);
    }
}

proptest! {
    /// No bytes make a reader fall over, and no answer that was cut off is taken for a whole one.
    #[test]
    fn broken_answers_are_errors(at in 0..10_000_usize, byte in any::<u8>(), noise in proptest::collection::vec(any::<u8>(), 0..200)) {
        read_all(&noise);
        let service = nagios(&state(2, ""), FINE);
        for text in [VECTOR, STAMPS, MATRIX, service.as_str()] {
            let mut bytes = text.as_bytes().to_vec();
            let place = at % bytes.len();
            bytes[place] = byte;
            read_all(&bytes);
            bytes.truncate(place);
            prop_assert_eq!(read_all(&bytes), [false; 7]);
        }
    }
}
