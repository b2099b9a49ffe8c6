//! The real server, spoken to with the messages an editor sends.

mod editor;

use std::fs;
use std::path::Path;

use editor::Editor;
use lsp_server::{Message, Notification, Request};
use patchwave_core::load::wire::Paths;
use patchwave_core::source::{SourceFile, SourceSet};
use patchwave_runner::repository::Files;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::position::Encoding;
use super::workspace::Workspace;
use super::*;
use crate::layout;

const NOW: &str = "2026-10-23T12:00:00Z";
const PROJECT: &str = "apiVersion: patchwave.dev/v1\nkind: Project\nmetadata: {name: p}\n";
const SLA: &str = "# größe 🦀\napiVersion: patchwave.dev/v1\nkind: SlaPolicy\nmetadata:\n  name: standard\nspec:\n  default: {within: 30d}\n  rules: [{name: high, severity: high, within: 7d}]\n";
const POLICY: &str = "apiVersion: patchwave.dev/v1
kind: PatchPolicy
metadata: {name: linux}
spec:
  scope: {selector: {}}
  include: [{types: [security]}]
  sla: standrad
  rollout: waves
";
const OTHERS: &str = "apiVersion: patchwave.dev/v1
kind: RolloutStrategy
metadata: {name: waves}
spec: {waves: [{name: test, environments: [test]}]}
---
apiVersion: patchwave.dev/v1
kind: MaintenanceWindow
metadata: {name: nights}
spec: {schedules: [{rrule: FREQ=DAILY, start: \"02:30\", duration: 2h}]}
---
apiVersion: patchwave.dev/v1
kind: AssetClass
metadata: {name: web}
spec:
  selector: {matchLabels: {tier: web}}
  environment: test
  exposure: internal
  target: ansible
  window: nights
---
apiVersion: patchwave.dev/v1
kind: Fleet
metadata: {name: eu}
spec:
  labels: {site: fra}
  assets: [{name: a, labels: {tier: web, env: test}}]
";

fn estate() -> Editor {
    let files = [
        ("patchwave.yaml", PROJECT),
        ("policies/sla.yaml", SLA),
        ("policies/linux.yaml", POLICY),
        ("fleets/others.yaml", OTHERS),
    ];
    Editor::start(&files, &[])
}

#[test]
fn an_error_appears_is_fixed_by_an_edit_and_goes() {
    let mut editor = estate();
    editor.open("policies/linux.yaml", POLICY);
    assert_eq!(editor.problems("policies/linux.yaml"), ["PW0201 6:7"]);
    let first = editor.published("policies/linux.yaml").unwrap().remove(0);
    assert_eq!(first["source"], "patchwave");
    assert!(
        first["codeDescription"]["href"]
            .as_str()
            .unwrap()
            .ends_with("docs/diagnostics.md#pw0201")
    );
    assert!(first["message"].as_str().unwrap().contains("did you mean `standard`?"));

    let uri = editor.uri("policies/linux.yaml");
    let range = first["range"].clone();
    let params = json!({"textDocument": {"uri": uri}, "range": range, "context": {"diagnostics": []}});
    let actions = editor.ask("textDocument/codeAction", params);
    assert_eq!(actions[0]["title"], "Write standard");
    let edit = actions[0]["edit"]["changes"][&uri][0].clone();
    assert_eq!((edit["newText"].as_str(), &edit["range"]), (Some("standard"), &range));

    // The fix as the editor sends it: a change of a range.
    let change = json!({"range": range, "text": "standard"});
    let params = json!({"textDocument": {"uri": uri, "version": 2}, "contentChanges": [change]});
    editor.tell("textDocument/didChange", params);
    assert!(editor.problems("policies/linux.yaml").is_empty());

    // A syntax error elsewhere is not an error of the buffer, and the file on disk counts again when it is closed.
    editor.tell("textDocument/didClose", json!({"textDocument": {"uri": uri}}));
    assert_eq!(editor.problems("policies/linux.yaml"), ["PW0201 6:7"]);
    editor.end();
}

#[test]
fn names_lead_to_resources_and_back() {
    let mut editor = estate();
    let policy = POLICY.replace("standrad", "stan§dard");
    let (text, params) = editor.place("policies/linux.yaml", &policy);
    editor.open("policies/linux.yaml", &text);
    let place = editor.ask("textDocument/definition", params.clone());
    assert_eq!(place["uri"], json!(editor.uri("policies/sla.yaml")));
    assert_eq!(place["range"]["start"], json!({"line": 4, "character": 8}));

    // From the name of the resource itself, to all that use it.
    let (_, params) = editor.place("policies/sla.yaml", &SLA.replace("standard", "stan§dard"));
    let mut all = params.clone();
    all["context"] = json!({"includeDeclaration": true});
    let places = editor.ask("textDocument/references", all);
    let found: Vec<&str> = places
        .as_array()
        .unwrap()
        .iter()
        .map(|p| p["uri"].as_str().unwrap())
        .collect();
    assert_eq!(
        found,
        [editor.uri("policies/sla.yaml"), editor.uri("policies/linux.yaml")]
    );

    let symbols = editor.ask(
        "textDocument/documentSymbol",
        json!({"textDocument": {"uri": editor.uri("fleets/others.yaml")}}),
    );
    let names: Vec<&str> = symbols
        .as_array()
        .unwrap()
        .iter()
        .map(|s| s["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["waves", "nights", "web", "eu"]);

    // In a document that is not YAML at the moment, the lines say enough.
    let broken = "apiVersion: patchwave.dev/v1\nkind: PatchPolicy\nspec:\n  sla: stan§dard\n";
    let (text, params) = editor.place("policies/linux.yaml", &format!("{broken}  include: [\n"));
    editor.write("policies/linux.yaml", &text);
    let place = editor.ask("textDocument/definition", params);
    assert_eq!(place["uri"], json!(editor.uri("policies/sla.yaml")));
    editor.end();
}

#[test]
fn a_half_typed_file_is_completed() {
    let mut editor = estate();
    let file = "policies/new.yaml";
    editor.open(file, "");
    let head = "apiVersion: patchwave.dev/v1\nkind: PatchPolicy\nmetadata: {name: x}\nspec:\n";
    assert_eq!(editor.labels(file, &format!("{head}  sla: §")), ["standard"]);
    assert_eq!(editor.labels(file, &format!("{head}  rollout: wa§")), ["waves"]);
    let fields = editor.complete(file, &format!("{head}  sla: standard\n  §"));
    let labels: Vec<&str> = fields.iter().map(|f| f["label"].as_str().unwrap()).collect();
    assert_eq!(
        labels.get(..3),
        Some(["scope", "include", "rollout"].as_slice()),
        "required first, without what is there"
    );
    assert_eq!(fields[0]["detail"], "required, mapping");
    assert_eq!(fields[0]["textEdit"]["newText"], "scope:\n    ");
    assert!(
        fields[2]["documentation"]["value"]
            .as_str()
            .unwrap()
            .contains("RolloutStrategy")
    );
    assert_eq!(
        editor.labels(file, &format!("{head}  mode: pro§")),
        ["observe", "propose", "enforce"]
    );
    assert_eq!(
        editor
            .labels(file, &format!("{head}  include: [{{types: [sec§"))
            .first()
            .unwrap(),
        "security"
    );
    let scope = format!("{head}  scope:\n    selector:\n      matchLabels:\n        ");
    assert_eq!(editor.labels(file, &format!("{scope}§")), ["env", "site", "tier"]);
    assert_eq!(editor.labels(file, &format!("{scope}tier: §")), ["web"]);
    assert_eq!(
        editor.labels(
            file,
            &format!("{head}  scope: {{selector: {{matchLabels: {{env: test, si§")
        ),
        ["site", "tier"]
    );
    let kinds = editor.labels(file, "apiVersion: patchwave.dev/v1\nkind: §");
    assert!(
        kinds.contains(&"PatchPolicy".to_owned()) && kinds.len() == 17,
        "{kinds:?}"
    );
    assert_eq!(
        editor.labels(file, "§").get(..3),
        Some(["apiVersion", "kind", "metadata"].map(str::to_owned).as_slice())
    );
    let source = "apiVersion: patchwave.dev/v1\nkind: Source\nspec:\n  type: n§";
    assert!(editor.labels(file, source).contains(&"native".to_owned()));
    assert!(editor.labels(file, "kind: Source # wo§").is_empty());
    let window = "kind: MaintenanceWindow\nspec:\n  schedules:\n    - rrule: FREQ=DAILY\n      ";
    assert_eq!(
        editor.labels(file, &format!("{window}start: §")),
        ["\"22:00\"", "\"02:30\""]
    );
    assert_eq!(
        editor.labels(file, &format!("{window}duration: §")).first().unwrap(),
        "24h"
    );
    assert_eq!(
        editor
            .labels(file, &format!("{head}  scope:\n    when: §"))
            .first()
            .unwrap(),
        "asset.os.family == \"rhel\""
    );
    let sla = "kind: SlaPolicy\nspec:\n  rules:\n    - within: §";
    assert_eq!(
        editor.labels(file, sla),
        ["next-cycle", "72h", "14d", "24h", "7d", "2h30m", "PT15M"],
        "each once"
    );
    let class = "kind: AssetClass\nspec:\n  targets:\n    - use: an§";
    assert!(editor.labels(file, class).contains(&"ansible".to_owned()));
    editor.end();
}

#[test]
fn hovering_explains() {
    let mut editor = estate();
    let policy = POLICY.replace("standrad", "standard");
    editor.open("policies/linux.yaml", &policy);
    let file = "policies/linux.yaml";
    let text = editor.hover(file, &policy.replace("sla:", "sl§a:"));
    assert!(
        text.contains("**`sla`** — text") && text.contains("SlaPolicy"),
        "{text}"
    );
    assert!(text.contains("→ SlaPolicy `standard` (policies/sla.yaml:5)"), "{text}");
    let text = editor.hover(file, &policy.replace("  sla", "  release: {minAge: 2§d}\n  sla"));
    assert!(
        text.contains("Default: `0s`") && text.contains("48 hours (172800 s)"),
        "{text}"
    );
    let text = editor.hover(file, &policy.replace("  sla", "  mode: enf§orce\n  sla"));
    assert!(
        text.contains("`enforce`: Opens pull requests and refuses to be bypassed."),
        "{text}"
    );
    editor.open("fleets/others.yaml", OTHERS);
    let text = editor.hover(
        "fleets/others.yaml",
        &OTHERS.replace("window: nights", "window: nig§hts"),
    );
    assert!(
        text.contains("→ MaintenanceWindow `nights` (fleets/others.yaml:8)"),
        "{text}"
    );
    assert!(
        text.contains("- Sat 2026-10-24 02:30 UTC – Sat 2026-10-24 04:30 UTC"),
        "{text}"
    );
    assert_eq!(text.matches("\n- ").count(), 3);
    let text = editor.hover("fleets/others.yaml", &OTHERS.replace("kind: Fleet", "kind: Fle§et"));
    assert!(text.contains("`Fleet`: "), "{text}");
    editor.end();
}

#[test]
fn formatting_is_that_of_fmt_and_columns_are_utf8_where_agreed() {
    let files = [("patchwave.yaml", PROJECT), ("policies/a.yaml", SLA)];
    let mut editor = Editor::start(&files, &["utf-16", "utf-8"]);
    let text = SLA.replace("name: high", "name:   größe, nothing: 1");
    editor.open("policies/a.yaml", &text);
    let problems = editor.problems("policies/a.yaml");
    let column = "  rules: [{name:   größe, ".len();
    assert!(problems.contains(&format!("PW0101 7:{column}")), "{problems:?}");
    let params = json!({"textDocument": {"uri": editor.uri("policies/a.yaml")}, "options": {"tabSize": 8, "insertSpaces": false}});
    let edits = editor.ask("textDocument/formatting", params.clone());
    assert_eq!(edits[0]["newText"].as_str(), layout::canonical(&text).ok().as_deref());
    editor.write("policies/a.yaml", "a: [1");
    assert_eq!(
        editor.ask("textDocument/formatting", params),
        Value::Null,
        "what is no YAML is left alone"
    );
    editor.end();
}

#[test]
fn a_question_that_still_waits_is_taken_back() {
    let folder = TempDir::new().unwrap();
    let (editor, server) = Connection::memory();
    let say = |message: Message| editor.sender.send(message).unwrap();
    let ask = |id: i32, method: &str, params: Value| say(Request::new(id.into(), method.to_owned(), params).into());
    let tell = |method: &str, params: Value| say(Notification::new(method.to_owned(), params).into());
    // All of it has arrived before the server looks.
    ask(1, "initialize", json!({"capabilities": {}}));
    tell("initialized", json!({}));
    ask(2, "textDocument/hover", json!({}));
    tell("$/cancelRequest", json!({"id": 2}));
    ask(3, "shutdown", Value::Null);
    tell("exit", Value::Null);
    let exit = server::serve(&server, folder.path(), &|| NOW.parse().unwrap());
    assert_eq!(exit.ok(), Some(Exit::Done));
    let answers: Vec<Message> = editor.receiver.try_iter().collect();
    let codes = answers.iter().filter_map(|message| match message {
        Message::Response(response) => {
            let value = serde_json::to_value(response).unwrap();
            Some((value["id"].clone(), value["error"]["code"].clone()))
        }
        _ => None,
    });
    let expected = [
        (json!(1), Value::Null),
        (json!(2), json!(-32800)),
        (json!(3), Value::Null),
    ];
    assert_eq!(codes.collect::<Vec<_>>(), expected);
    assert_eq!(
        answers.len(),
        3,
        "a folder without a Project is none of ours: nothing is said of it"
    );
}

#[test]
fn files_on_disk_count_until_they_are_open() {
    let mut editor = estate();
    assert_eq!(
        editor.problems("policies/linux.yaml"),
        ["PW0201 6:7"],
        "nothing is open, and it is said all the same"
    );
    fs::write(
        editor.path("policies/linux.yaml"),
        POLICY.replace("standrad", "standard"),
    )
    .unwrap();
    let changes = json!([{"uri": editor.uri("policies/linux.yaml"), "type": 2}]);
    editor.tell("workspace/didChangeWatchedFiles", json!({"changes": changes}));
    assert!(editor.problems("policies/linux.yaml").is_empty());
    fs::remove_file(editor.path("policies/sla.yaml")).unwrap();
    let changes = json!([{"uri": editor.uri("policies/sla.yaml"), "type": 3}]);
    editor.tell("workspace/didChangeWatchedFiles", json!({"changes": changes}));
    assert_eq!(editor.problems("policies/linux.yaml"), ["PW0201 6:7"]);
    let unknown = editor.send("textDocument/nothing", json!({}));
    assert_eq!(editor.answer(&unknown), Err(-32601));
    let outside = json!({"textDocument": {"uri": "file:///elsewhere/x.yaml"}, "position": {"line": 0, "character": 0}});
    assert_eq!(editor.ask("textDocument/hover", outside), Value::Null);
    editor.end();
}

#[test]
fn a_keystroke_in_a_large_repository_reads_one_file() {
    const FILES: usize = 10_000;
    let source = |n: usize| {
        let text = format!(
            "apiVersion: patchwave.dev/v1\nkind: Source\nmetadata: {{name: s{n}}}\nspec: {{kind: inventory, type: native, path: fleets/o}}\n"
        );
        SourceFile::new(format!("fleets/s{n}.yaml"), text)
    };
    let project = SourceFile::new("patchwave.yaml", PROJECT);
    let set = SourceSet {
        files: (1..FILES).map(source).chain([project]).collect(),
        ..SourceSet::default()
    };
    let files = Files {
        set,
        paths: Paths::default(),
    };
    let now = NOW.parse().unwrap();
    let mut workspace = Workspace::new("/nowhere".into(), files, Encoding::Utf16, now);
    assert_eq!(workspace.parses(), FILES as u64);
    let text = source(7).text;
    for typed in 1..=2 {
        workspace.edit("fleets/s7.yaml".into(), format!("{text}# {typed}\n"));
        workspace.refresh(now);
        assert_eq!(workspace.parses(), (FILES + typed) as u64, "one file for one keystroke");
    }
    assert!(!workspace.refresh(now), "nothing changed, nothing is done");
    workspace.edit("elsewhere/x.yaml".into(), "a: 1".into());
    assert!(!workspace.refresh(now), "what is no resource changes nothing");
    assert_eq!(
        workspace.relative(Path::new("/nowhere/fleets/s7.yaml")).as_deref(),
        Some("fleets/s7.yaml")
    );
}
