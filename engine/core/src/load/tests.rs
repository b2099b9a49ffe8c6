use proptest::prelude::*;

use super::*;
use crate::diag::{Code, Severity, render};
use crate::source::SourceFile;

const PROJECT: &str = "apiVersion: patchwave.dev/v1\nkind: Project\nmetadata: {name: p}\n";

fn now() -> Timestamp {
    "2026-11-20T12:00:00Z".parse().unwrap()
}

fn set(files: &[(&str, &str)]) -> SourceSet {
    let mut all = vec![SourceFile::new(PROJECT_FILE, PROJECT)];
    all.extend(files.iter().map(|(path, text)| SourceFile::new(*path, *text)));
    SourceSet {
        files: all,
        ..SourceSet::default()
    }
}

fn codes(set: &SourceSet) -> Vec<String> {
    let (_, diagnostics) = load(set, now());
    let place = |d: &crate::diag::Diagnostic| d.location.as_ref().map_or_else(String::new, ToString::to_string);
    diagnostics
        .iter()
        .filter(|d| d.severity == Severity::Error)
        .map(|d| format!("{} {}", d.code, place(d)))
        .collect()
}

fn class(extra: &str) -> String {
    format!(
        "apiVersion: patchwave.dev/v1\nkind: AssetClass\nmetadata: {{name: c}}\nspec:\n  selector: {{}}\n  environment: x\n  \
         exposure: public\n  window: {{fromLabel: w}}\n{extra}"
    )
}

#[test]
fn a_fault_in_one_document_hides_nothing_elsewhere() {
    let broken =
        "apiVersion: patchwave.dev/v1\nkind: SlaPolicy\nmetadata:\n  name: standard\nspec: [\n---\nkind: Nothing\n";
    let policy = "apiVersion: patchwave.dev/v1\nkind: PatchPolicy\nmetadata: {name: a}\nspec:\n  scop: 1\n  scope: {when: asset.nam == \"x\"}\n  \
                  include: [{types: [security]}]\n  sla: standard\n  rollout: missing\n";
    let found = codes(&set(&[("policies/a.yaml", broken), ("policies/b.yaml", policy)]));
    // The SlaPolicy that is no YAML is still known by name, so `sla: standard` does not dangle.
    let expected = [
        "PW0001 policies/a.yaml:5:7",
        "PW0107 policies/a.yaml:7:1",
        "PW0105 policies/a.yaml:7:7",
        "PW0101 policies/b.yaml:5:3",
        "PW0302 policies/b.yaml:6:17",
        "PW0201 policies/b.yaml:9:12",
    ];
    assert_eq!(found, expected);
}

#[test]
fn an_unknown_field_does_not_keep_the_resource_out() {
    let text = class("  target: ansible\n  colour: red\n  protection: {rollback: snapshot-revert}\n");
    let set = set(&[("fleets/c.yaml", &text)]);
    let (catalog, diagnostics) = load(&set, now());
    let found: Vec<Code> = diagnostics.iter().map(|d| d.code).collect();
    assert_eq!(found, [Code::UnknownField, Code::SnapshotRevertState]);
    assert!(catalog.classes.contains_key("c"));
}

#[test]
fn templates_of_the_repository_are_known_names() {
    let text = class("  target: storage-arrays\n  hooks: {always: [{name: page-someone}]}\n");
    let mut set = set(&[("fleets/c.yaml", &text)]);
    assert_eq!(codes(&set), ["PW0207 fleets/c.yaml:9:11", "PW0207 fleets/c.yaml:10:27"]);
    set.present.extend([
        "templates/storage-arrays/target.yaml".to_owned(),
        "templates/hooks/page-someone.yml".to_owned(),
    ]);
    assert_eq!(codes(&set), Vec::<String>::new());
}

#[test]
fn the_catalog_knows_lines() {
    let text = class("  target: ansible\n");
    let (catalog, _) = load(&set(&[("fleets/c.yaml", &text)]), now());
    let class = &catalog.classes["c"];
    assert_eq!(catalog.at(class.doc, "/spec/target"), "fleets/c.yaml:9");
    assert_eq!(catalog.project_name.as_ref(), "p");
}

#[test]
fn a_zone_decides_what_a_bare_date_means() {
    let freeze = "apiVersion: patchwave.dev/v1\nkind: PatchException\nmetadata: {name: e}\nspec: {packages: [a], expires: 2026-11-19, reason: r, approvedBy: x}\n";
    let project = format!("{PROJECT}spec: {{defaults: {{timezone: America/Los_Angeles}}}}\n");
    let files = vec![
        SourceFile::new(PROJECT_FILE, project),
        SourceFile::new("policies/e.yaml", freeze),
    ];
    let set = SourceSet {
        files,
        ..SourceSet::default()
    };
    let code = |now: &str| {
        load(&set, now.parse().unwrap())
            .1
            .iter()
            .map(|d| d.code)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        code("2026-11-20T07:59:59Z"),
        [Code::ExceptionExpiring],
        "the day is inside until midnight there"
    );
    assert_eq!(code("2026-11-20T08:00:00Z"), [Code::ExceptionExpired]);
}

#[test]
fn a_project_with_a_fault_still_says_where_things_are() {
    let load_project = |text: &str| {
        let files = vec![SourceFile::new(PROJECT_FILE, text)];
        let (catalog, diagnostics) = load(
            &SourceSet {
                files,
                ..SourceSet::default()
            },
            now(),
        );
        (
            catalog.project.paths.policies,
            diagnostics.iter().map(|d| d.code).collect::<Vec<_>>(),
        )
    };
    let project = |rest: &str| format!("{PROJECT}spec:\n  paths: {{policies: rules}}\n{rest}");
    assert_eq!(load_project(&project("")), ("rules".into(), vec![]));
    assert_eq!(
        load_project(&project("  colour: red\n")),
        ("rules".into(), vec![Code::UnknownField])
    );
    assert_eq!(
        load_project(&project("  forge: {type: svn}\n")),
        ("rules".into(), vec![Code::WrongValue])
    );
    assert_eq!(
        load_project(&project("  forge: {type: [\n")),
        ("policies".into(), vec![Code::YamlSyntax])
    );
}

#[test]
fn a_decision_table_is_looked_for_where_the_repository_was_looked_into() {
    let text = "apiVersion: patchwave.dev/v1\nkind: SlaPolicy\nmetadata: {name: s}\nspec:\n  table: {file: tables/mine.json}\n  outcomes:\n    24H: {within: 1d}\n    STANDARD: {within: 9d}\n  default: {within: 1d}\n";
    let mut set = set(&[("policies/s.yaml", text)]);
    assert_eq!(codes(&set), Vec::<String>::new());
    set.present.insert("tables/other.json".into());
    assert_eq!(codes(&set), ["PW0201 policies/s.yaml:5:17"]);
    set.unread
        .insert("tables/mine.json".into(), "it may not be read".into());
    set.present.clear();
    assert_eq!(codes(&set), ["PW0201 policies/s.yaml:5:17"]);
    let table = include_str!("table/packs/critical-24h.json");
    set.blobs.insert("tables/mine.json".into(), table.into());
    assert_eq!(codes(&set), Vec::<String>::new());
    assert!(load(&set, now()).0.tables.contains_key("s"));
    set.blobs
        .insert("tables/mine.json".into(), table.replace("\"high\"", "\"hihg\""));
    assert!(codes(&set).iter().all(|c| c == "PW0410 policies/s.yaml:5:17"));
    assert!(load(&set, now()).0.tables.is_empty());
}

#[test]
fn a_table_and_its_outcomes_fit() {
    let sla = |spec: &str| {
        let text = format!(
            "apiVersion: patchwave.dev/v1\nkind: SlaPolicy\nmetadata: {{name: s}}\nspec:\n  default: {{within: 1d}}\n{spec}"
        );
        codes(&set(&[("policies/s.yaml", &text)]))
    };
    let pack = "  table: {pack: critical-24h}\n";
    assert_eq!(sla(pack), ["PW0410 policies/s.yaml:6:3", "PW0410 policies/s.yaml:6:3"]);
    let one = "  outcomes:\n    24H: {within: 1d}\n    SOON: {within: 9d}\n";
    assert_eq!(
        sla(&format!("{pack}{one}")),
        ["PW0410 policies/s.yaml:7:3", "PW0410 policies/s.yaml:9:5"]
    );
    assert_eq!(sla(&format!("  rules: []\n{one}")), ["PW0109 policies/s.yaml:8:5"]);
    assert_eq!(sla("  table: {pack: nist}\n"), ["PW0207 policies/s.yaml:6:17"]);
}

#[test]
fn a_secret_is_never_repeated() {
    let text = "apiVersion: patchwave.dev/v1\nkind: Source\nmetadata: {name: a}\nspec: {kind: monitor, type: promtheus, url: \"https://u:hunter2@x.example\"}\n---\napiVersion: patchwave.dev/v1\nkind: Source\nmetadata: {name: b}\nspec: {kind: monitor, type: prometheus, url: \"u:hunter2@x.example\"}\n";
    let set = set(&[("fleets/a.yaml", text)]);
    let (_, diagnostics) = load(&set, now());
    let shown = render::text::document(&diagnostics, &set, false) + &render::json::document(&diagnostics).to_string();
    assert!(shown.contains("PW0402") && !shown.contains("hunter2"), "{shown}");
}

/// Pieces that are nearly resources, so that random files reach deep into the loader.
fn piece() -> impl Strategy<Value = String> {
    let words = prop_oneof![
        Just("name"),
        Just("standard"),
        Just("x"),
        Just("1"),
        Just("1.10"),
        Just("yes"),
        Just("*a"),
        Just("24h"),
        Just("asset.name"),
        Just("{}"),
        Just("[]"),
        Just("[a, b]"),
        Just("{atLeast: low}"),
        Just("2027-01-01"),
        Just("\"\""),
        Just("~"),
        Just("100%"),
    ];
    let keys = prop_oneof![
        Just("selector"),
        Just("when"),
        Just("waves"),
        Just("needs"),
        Just("sla"),
        Just("rollout"),
        Just("sources"),
        Just("assets"),
        Just("services"),
        Just("dependsOn"),
        Just("schedules"),
        Just("rrule"),
        Just("window"),
        Just("scope"),
        Just("include"),
    ];
    let kinds = proptest::sample::select(schema::kind_names().collect::<Vec<_>>());
    let fields = proptest::collection::vec((keys, words), 0..6);
    (kinds, 0..4_u8, fields).prop_map(|(kind, name, fields)| {
        let mut text =
            format!("---\napiVersion: patchwave.dev/v1\nkind: {kind}\nmetadata: {{name: n{name}}}\nspec:\n  a: &a b\n");
        for (key, value) in fields {
            text += &format!("  {key}: {value}\n");
        }
        text
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_loaded_without_panic(text in "(?s)[ -~\\n\u{e4}]{0,300}") {
        let (_, diagnostics) = load(&set(&[("policies/a.yaml", &text)]), now());
        prop_assert!(diagnostics.iter().all(|d| d.location.is_some()));
    }

    #[test]
    fn the_order_of_files_does_not_matter(
        pieces in proptest::collection::vec(piece(), 1..8),
        order in Just((0..9_usize).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let names: Vec<String> = (0..pieces.len()).map(|i| format!("policies/{i}.yaml")).collect();
        let files: Vec<(&str, &str)> = names.iter().zip(&pieces).map(|(n, p)| (n.as_str(), p.as_str())).collect();
        let straight = set(&files);
        let mut shuffled = straight.clone();
        shuffled.files = order.iter().filter_map(|i| straight.files.get(*i).cloned()).collect();
        let (a, b) = (load(&straight, now()), load(&shuffled, now()));
        prop_assert_eq!(render::text::document(&a.1, &straight, false), render::text::document(&b.1, &shuffled, false));
        prop_assert_eq!(format!("{:?}", a.0), format!("{:?}", b.0));
    }

    #[test]
    fn a_file_of_its_own_changes_no_other_diagnostics(pieces in proptest::collection::vec(piece(), 1..5)) {
        let alone: Vec<(&str, &str)> = vec![("policies/a.yaml", pieces[0].as_str())];
        let syntax = "x: [\n";
        let mut with = alone.clone();
        with.push(("policies/zz.yaml", syntax));
        let (a, b) = (codes(&set(&alone)), codes(&set(&with)));
        prop_assert_eq!(&b[..a.len()], &a[..], "a file with a syntax error hides nothing in another");
    }
}

/// Found by mutation: a thousand copies of a wave each looked for the openings of all their batches.
#[test]
fn copies_of_a_wave_are_counted_once() {
    let class = class("  target: ansible\n").replace("window: {fromLabel: w}", "window: w");
    let window = "---\napiVersion: patchwave.dev/v1\nkind: MaintenanceWindow\nmetadata: {name: w}\nspec: {schedules: [{rrule: FREQ=WEEKLY;BYDAY=TU, \
                  start: \"22:00\", duration: 1h}]}\n";
    let assets: String = (0..40).map(|i| format!("{{name: a{i}}},")).collect();
    let waves: String = (0..1_000)
        .map(|i| format!("{{name: w{i}, environments: [x]}},"))
        .collect();
    let more = format!(
        "---\napiVersion: patchwave.dev/v1\nkind: Fleet\nmetadata: {{name: f}}\nspec: {{assets: [{assets}]}}\n\
         ---\napiVersion: patchwave.dev/v1\nkind: RolloutStrategy\nmetadata: {{name: r}}\nspec: {{waves: [{waves}]}}\n"
    );
    let (_, diagnostics) = load(&set(&[("fleets/c.yaml", &format!("{class}{window}{more}"))]), now());
    let told = diagnostics.iter().filter(|d| d.code == Code::WaveNeedsOpenings).count();
    assert_eq!(told, 1_000);
}

#[test]
fn the_faults_of_a_file_and_of_a_document_are_bounded() {
    let broken = "---\n[\n".repeat(5_000);
    assert_eq!(codes(&set(&[("policies/a.yaml", &broken)])).len(), 501);
    let wrong = "{name: 1}, ".repeat(5_000);
    let fleet =
        format!("apiVersion: patchwave.dev/v1\nkind: Fleet\nmetadata: {{name: f}}\nspec: {{assets: [{wrong}]}}\n");
    let found = codes(&set(&[("fleets/f.yaml", &fleet)]));
    assert_eq!(
        (found.len(), found.first().map(String::as_str)),
        (101, Some("PW0004 fleets/f.yaml:1:1"))
    );
}

#[test]
fn a_long_circle_is_told_short() {
    let services: Vec<String> = (0..3_000)
        .map(|n| format!("{{name: s{n}, members: {{}}, dependsOn: [s{}]}}", (n + 1) % 3_000))
        .collect();
    let fleet = format!(
        "apiVersion: patchwave.dev/v1\nkind: Fleet\nmetadata: {{name: f}}\nspec: {{assets: [{{name: a}}], services: [{}]}}",
        services.join(", ")
    );
    let (_, diagnostics) = load(&set(&[("fleets/f.yaml", &fleet)]), now());
    let circle = diagnostics.iter().find(|d| d.code == Code::ServiceCycle).unwrap();
    assert!(
        circle.message.contains("`s23` → … (2976 more) → `s0`"),
        "{}",
        circle.message
    );
    assert!(circle.message.len() < 500 && circle.related.len() < 30);
}
