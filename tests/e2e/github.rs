//! A project whose forge is GitHub or Gitea: the whole loop against doubles of them.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use super::play::ROLLOUT;
use crate::double::{Double, Handle, TOKEN};
use crate::support::{Said, Sandbox, pw};

/// An estate whose forge is a repository of a double of GitHub, and the double's side of it.
struct Estate {
    sandbox: Sandbox,
    double: Handle,
    now: String,
}

impl Drop for Estate {
    fn drop(&mut self) {
        assert!(std::thread::panicking() || !self.double.lock().tells_the_token());
    }
}

impl Estate {
    fn new() -> Self {
        let double = Double::start(0, true);
        Self::on(&double, "github", double.url())
    }

    fn on_gitea() -> Self {
        let double = Double::start_gitea(0);
        Self::on(&double, "gitea", &format!("{}/api/v1", double.url()))
    }

    fn on(double: &Double, kind: &str, api_url: &str) -> Self {
        let now = "2026-11-20T12:00:00Z";
        let files = BTreeMap::from([("README.md".to_owned(), b"patching\n".to_vec())]);
        let handle = double.repository("acme/patching", &files, now.parse().unwrap());
        let sandbox = Sandbox::estate();
        let forge = format!(
            "forge: {{type: {kind}, repository: {}, apiUrl: \"{api_url}\", tokenFrom: {{env: FORGE_TOKEN}}}}",
            handle.full_name
        );
        sandbox.edit("patchwave.yaml", "forge: {type: local}", &forge);
        Self {
            sandbox,
            double: handle,
            now: now.to_owned(),
        }
    }

    fn at(&mut self, now: &str) -> &mut Self {
        self.now = now.to_owned();
        self.double.lock().clock = now.parse().unwrap();
        self
    }

    fn with(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Said {
        let mut all = vec!["--now", &self.now];
        all.extend_from_slice(arguments);
        pw(self.sandbox.path(), &all, "", environment)
    }

    fn run(&self, arguments: &[&str]) -> Said {
        self.with(arguments, &[("FORGE_TOKEN", TOKEN)])
    }

    /// Reconciles once; gives what was done and what waits, and how many writing requests the double saw.
    fn reconcile(&self) -> (String, usize) {
        self.double.lock().log.clear();
        let said = self.run(&["reconcile", "--once", "--format", "json"]).exits(0).json();
        let text = |field: &str| {
            said[field]
                .as_array()
                .unwrap()
                .iter()
                .map(Value::to_string)
                .collect::<Vec<_>>()
        };
        let seen = self.double.lock().writes().len();
        assert_eq!(
            said["writes"].as_u64(),
            Some(seen as u64),
            "what is said was written is what was written"
        );
        (format!("{:?} {:?}", text("done"), text("waits")), seen)
    }
}

#[test]
fn the_loop_opens_follows_and_merges_on_github_and_a_second_run_writes_nothing() {
    the_loop_opens_follows_and_merges_and_a_second_run_writes_nothing(Estate::new());
}

#[test]
fn the_loop_opens_follows_and_merges_on_gitea_and_a_second_run_writes_nothing() {
    the_loop_opens_follows_and_merges_and_a_second_run_writes_nothing(Estate::on_gitea());
}

fn the_loop_opens_follows_and_merges_and_a_second_run_writes_nothing(mut estate: Estate) {
    let (said, writes) = estate.reconcile();
    assert!(
        said.contains("opened or updated pull request #") && writes > 0,
        "{said}"
    );
    assert_eq!(estate.reconcile().1, 0);
    estate.at("2026-11-20T12:01:00Z");
    let (said, writes) = estate.reconcile();
    assert_eq!(writes, 0, "{said}");

    let number = {
        let repo = estate.double.lock();
        let pull = repo.issues.values().find(|issue| issue.pull.is_some()).unwrap();
        assert!(
            pull.body.contains("digest=") && pull.labels.contains("lane/routine"),
            "{pull:?}"
        );
        assert_eq!(
            pull.pull.as_ref().unwrap().teams.iter().collect::<Vec<_>>(),
            ["team-sre"]
        );
        assert!(repo.head_of("patchwave/ledger").is_some());
        let dashboard = repo.issues.values().find(|issue| issue.pull.is_none()).unwrap();
        assert!(dashboard.labels.contains("patchwave-dashboard") && dashboard.body.contains(ROLLOUT));
        pull.number
    };

    // An approval of somebody outside the team does not count; one of the team does.
    estate.at("2026-11-20T12:05:00Z");
    estate.double.lock().review(number, "otto", "APPROVED");
    estate.double.lock().merge(number, "otto", "Merge\n").unwrap();
    let (said, _) = estate.reconcile();
    assert!(said.contains("merged by otto with 0 of 1 approvals"), "{said}");
    estate.at("2026-11-20T12:10:00Z");
    estate.double.lock().review(number, "anna", "APPROVED");
    let head = estate.double.lock().issues[&number].pull.clone().unwrap().head;
    estate
        .double
        .lock()
        .issues
        .get_mut(&number)
        .unwrap()
        .pull
        .as_mut()
        .unwrap()
        .reviews[1]
        .commit = head;
    let (said, _) = estate.reconcile();
    assert!(said.contains("released wave test batch 01"), "{said}");
    assert_eq!(estate.reconcile().1, 0);

    let plan = {
        let repo = estate.double.lock();
        let git = repo.git();
        let tree = git
            .revparse_single(&format!("main:rollouts/{ROLLOUT}/plan.json"))
            .unwrap();
        serde_json::from_slice(tree.as_blob().unwrap().content()).unwrap()
    };
    let world = estate.sandbox.world();
    world.patch(&plan, &["t1", "t2"]);
    world.observe("2026-11-20T13:00:00Z");
    let (said, _) = estate.at("2026-11-20T13:05:00Z").reconcile();
    assert!(said.contains("wave test verified"), "{said}");
    let said: Vec<String> = {
        let repo = estate.double.lock();
        repo.statuses
            .iter()
            .map(|(_, s)| format!("{} {}", s["state"], s["description"]))
            .collect()
    };
    assert_eq!(
        said.last().unwrap(),
        "\"pending\" \"soaking since 2026-11-20T13:00:00Z\"",
        "{said:?}"
    );
    assert_eq!(estate.reconcile().1, 0);
    estate.run(&["-q", "audit", "verify"]).exits(0);
    let status = estate.run(&["status"]).exits(0);
    assert!(status.out.contains(ROLLOUT), "{status:?}");
}

#[test]
fn people_act_on_github_itself() {
    let estate = Estate::new();
    estate.reconcile();
    let listed = estate.run(&["forge", "list"]).exits(0);
    assert!(listed.out.contains(ROLLOUT), "{listed:?}");
    for part in [
        &["forge", "merge", "1"][..],
        &["forge", "approve", "1", "--as", "anna"],
        &["forge", "close", "1"],
    ] {
        let said = estate.run(part).exits(1);
        assert!(
            said.err.contains("acme/patching act on its forge themselves"),
            "{said:?}"
        );
    }
}

#[test]
fn a_command_that_writes_says_that_it_needs_the_token() {
    let estate = Estate::new();
    let said = estate.with(&["reconcile", "--once"], &[]).exits(1);
    assert!(
        said.err.contains("the environment variable FORGE_TOKEN is not set"),
        "{said:?}"
    );
    let said = estate.run(&["--offline", "reconcile", "--once"]).exits(1);
    assert!(said.err.contains("--offline"), "{said:?}");
    let wrong = [("FORGE_TOKEN", "ghp_planted00000000deadbeef")];
    let said = estate.with(&["reconcile", "--once"], &wrong).exits(1);
    assert!(said.err.contains("wrong, expired or revoked"), "{said:?}");
    assert!(estate.double.lock().log.is_empty());
}

fn fetched(folder: &Path, from: &Path) {
    let repository = git2::Repository::open(folder).unwrap();
    let mut remote = repository.remote_anonymous(from.to_str().unwrap()).unwrap();
    let every = "+refs/heads/*:refs/remotes/origin/*";
    remote.fetch(&[every], None, None).unwrap();
}

#[test]
fn a_plan_needs_no_token_and_sees_what_the_clone_has() {
    let mut estate = Estate::new();
    estate.reconcile();
    let unknown = estate.with(&["plan"], &[]).exits(0);
    assert!(unknown.err.contains("rollouts are not known"), "{unknown:?}");
    let from = estate.double.lock().folder.path().to_owned();
    fetched(estate.sandbox.path(), &from);
    estate.at("2026-11-20T12:30:00Z");
    estate.double.lock().log.clear();
    for environment in [&[][..], &[("FORGE_TOKEN", "")]] {
        let said = estate.with(&["plan", "--format", "json"], environment).exits(0);
        assert!(said.err.contains("refs/remotes/origin/ of this clone"), "{said:?}");
        let plan = said.json();
        assert_eq!(plan["rollouts"][0]["name"], ROLLOUT);
        assert_eq!(plan["rollouts"][0]["waves"][0]["state"], "proposed", "{plan}");
    }
    let offline = estate.run(&["--offline", "plan"]).exits(0);
    assert!(offline.out.contains(ROLLOUT), "{offline:?}");
    assert!(estate.double.lock().log.is_empty(), "nothing was asked of the forge");
}

#[test]
fn what_only_a_clone_knows_is_not_permitted() {
    let mut estate = Estate::new();
    estate.reconcile();
    {
        let mut repo = estate.double.lock();
        let number = repo.issues.values().find(|issue| issue.pull.is_some()).unwrap().number;
        repo.review(number, "anna", "APPROVED");
        repo.merge(number, "anna", "Merge\n").unwrap();
    }
    estate.at("2026-11-20T12:10:00Z").reconcile();
    let from = estate.double.lock().folder.path().to_owned();
    fetched(estate.sandbox.path(), &from);
    let permit = ["permit", ROLLOUT, "test", "01", "--format", "json"];
    estate.run(&permit).exits(0);
    // The clone does not hear of what happens on the forge from here on.
    estate
        .run(&["halt", ROLLOUT, "--reason", "the disk is full", "--as", "anna"])
        .exits(0);
    let offline = estate.run(&[&["--offline"][..], &permit].concat()).exits(1);
    let without_token = estate.with(&permit, &[]).exits(1);
    for said in [offline, without_token] {
        let reason = said.json()["reason"].clone();
        assert!(
            reason.as_str().unwrap().contains("the forge cannot be asked"),
            "{reason}"
        );
    }
}

#[test]
fn a_person_who_pushes_to_the_branch_is_left_alone_there() {
    let mut estate = Estate::new();
    estate.reconcile();
    let branch = format!("patchwave/{ROLLOUT}/test");
    let theirs = BTreeMap::from([("rollouts/NOTES.md".to_owned(), b"think of the backup\n".to_vec())]);
    estate.double.lock().push(&branch, &theirs, "berta");
    let head = estate.double.lock().head_of(&branch);
    estate.sandbox.edit("fleets/strategies.yaml", "soak: 12h", "soak: 13h");
    estate.at("2026-11-20T12:40:00Z").reconcile();
    estate.reconcile();
    assert_eq!(estate.double.lock().head_of(&branch), head);
}

#[test]
fn a_label_halts_before_the_next_asset() {
    let mut estate = Estate::new();
    estate.reconcile();
    let number = {
        let mut repo = estate.double.lock();
        let number = repo.issues.values().find(|issue| issue.pull.is_some()).unwrap().number;
        repo.review(number, "anna", "APPROVED");
        repo.merge(number, "anna", "Merge\n").unwrap();
        number
    };
    estate.at("2026-11-20T12:10:00Z");
    let (said, _) = estate.reconcile();
    assert!(said.contains("released wave test batch 01"), "{said}");
    let permit = ["permit", ROLLOUT, "test", "01"];
    estate.run(&permit).exits(0);
    let label = |on: bool| {
        let mut repo = estate.double.lock();
        let labels = &mut repo.issues.get_mut(&number).unwrap().labels;
        let _ = if on {
            labels.insert("halt".into())
        } else {
            labels.remove("halt")
        };
    };
    // No run is needed in between: the executor that asks next is told.
    label(true);
    let refused = estate.run(&permit).exits(1);
    assert!(
        refused.out.contains("has the label `halt`") || refused.err.contains("has the label `halt`"),
        "{refused:?}"
    );
    let (said, _) = estate.reconcile();
    assert!(said.contains("halted"), "{said}");
    assert_eq!(estate.reconcile().1, 0);
    // Taking the label off is not enough: going on needs the normal approval.
    label(false);
    estate.reconcile();
    estate.run(&permit).exits(1);
    let status = estate.run(&["status"]).exits(0);
    assert!(
        status.out.contains("HALTED") && status.out.contains("take it off"),
        "{status:?}"
    );
}
