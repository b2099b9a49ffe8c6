//! What only Gitea has: a push over smart HTTP, labels by id, reviews that do not count, branches that are gone.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use base64::Engine as _;
use patchwave_adapters::forge::{Applied, Forge, GiteaForge, GiteaSettings, People};
use patchwave_core::propose::{ForgeOp, PullRequest, PullRequestState};

use crate::double::TOKEN;
use crate::double::trouble::Trouble;
use crate::hosted_scene::{GiteaScene, Hosted, settings};
use crate::support::{at, put_branch, put_pull};

const BRANCH: &str = "patchwave/linux-2027-01-15/test";

fn done(scene: &GiteaScene, op: &ForgeOp, minute: i64) {
    let applied = scene.forge.apply(op, at(minute)).unwrap();
    assert!(matches!(applied, Applied::Done { .. }), "{op:?} gave {applied:?}");
}

fn proposed() -> GiteaScene {
    let scene = GiteaScene::new();
    done(&scene, &put_branch("test", "one"), 1);
    done(&scene, &put_pull("test", "Wave test"), 1);
    scene
}

fn pull(scene: &GiteaScene) -> PullRequest {
    scene.forge.view().unwrap().pull_requests.remove(0)
}

#[test]
fn a_review_that_the_repository_does_not_count_approves_nothing() {
    let scene = proposed();
    scene.forge.double.lock().outsiders.insert("otto".to_owned());
    scene.forge.double.lock().review(1, "otto", "APPROVED");
    scene.forge.double.lock().review(1, "lena", "APPROVED");
    scene.forge.double.lock().dismiss(1, "lena");
    scene.forge.double.lock().review(1, "maria", "APPROVED");
    let names: Vec<String> = pull(&scene).approvals.into_iter().map(|a| a.by).collect();
    assert_eq!(names, ["maria"]);
}

#[test]
fn an_approval_withdrawn_after_the_merge_is_seen_though_the_pull_request_did_not_change() {
    let folder = tempfile::tempdir().unwrap();
    let state = || Some(patchwave_adapters::state::StateStore::new(folder.path()));
    let scene = GiteaScene::with(state());
    done(&scene, &put_branch("test", "one"), 1);
    done(&scene, &put_pull("test", "Wave test"), 1);
    scene.forge.double.lock().review(1, "maria", "APPROVED");
    scene.forge.merge(1, "otto", None, at(2)).unwrap();
    scene.forge.double.lock().clock = at(9);
    assert_eq!(pull(&scene).approvals.len(), 1);
    let withdraw = || {
        let mut repo = scene.forge.double.lock();
        repo.issues.get_mut(&1).unwrap().pull.as_mut().unwrap().reviews[0].dismissed = true;
    };
    withdraw();
    let next = GiteaScene::on(scene.forge.double.clone(), state());
    assert_eq!(pull(&next).approvals.len(), 0);
}

#[test]
fn a_branch_that_is_gone_after_the_merge_is_still_the_engines() {
    let scene = proposed();
    let before = pull(&scene);
    scene.forge.merge(1, "maria", None, at(2)).unwrap();
    let name = format!("refs/heads/{BRANCH}");
    scene
        .forge
        .double
        .lock()
        .git()
        .find_reference(&name)
        .unwrap()
        .delete()
        .unwrap();
    let merged = pull(&scene);
    assert_eq!(
        (merged.state, merged.branch.as_str()),
        (PullRequestState::Merged, BRANCH)
    );
    assert_eq!(merged.head, before.head, "approvals are compared with it");
}

#[test]
fn a_list_that_only_says_how_long_it_is_is_read_to_its_end() {
    let scene = proposed();
    for who in ["maria", "lena", "anna", "berta", "carl"] {
        scene.forge.double.lock().review(1, who, "APPROVED");
    }
    scene.forge.double.lock().page_size = Some(2);
    let names: Vec<String> = pull(&scene).approvals.into_iter().map(|a| a.by).collect();
    assert_eq!(names, ["maria", "lena", "anna", "berta", "carl"]);
}

#[test]
fn who_closed_is_found_on_the_last_page_of_a_timeline_that_counts_only_its_pages() {
    let scene = proposed();
    for text in ["one", "two", "three", "four"] {
        let op = ForgeOp::PutComment {
            number: 1,
            marker: format!("<!-- {text} -->"),
            body: text.into(),
        };
        done(&scene, &op, 2);
    }
    scene.forge.close(1, "maria", at(3)).unwrap();
    scene.forge.double.lock().page_size = Some(2);
    assert_eq!(pull(&scene).ended_by.as_deref(), Some("maria"));
}

#[test]
fn a_label_is_made_once() {
    let scene = proposed();
    done(&scene, &put_branch("staging", "one"), 2);
    done(&scene, &put_pull("staging", "Wave staging"), 2);
    let dashboard = |text: &str| ForgeOp::PutDashboard { body: text.to_owned() };
    done(&scene, &dashboard("one"), 2);
    done(&scene, &dashboard("two"), 3);
    assert_eq!(scene.forge.double.lock().labels, ["patchwave", "patchwave-dashboard"]);
}

#[cfg(unix)]
#[test]
fn a_push_that_a_rule_forbids_says_so_and_is_not_repeated() {
    let scene = proposed();
    let folder = scene.forge.double.lock().folder.path().to_owned();
    // As a protected branch does it.
    hook(
        &folder,
        "pre-receive",
        "echo 'Not allowed to push to protected branch' >&2\nexit 1",
    );
    let fault = scene.forge.apply(&put_branch("test", "two"), at(2)).unwrap_err();
    assert!(
        !fault.retryable && fault.what.contains("protected branch") && fault.help.contains("patchwave/"),
        "{fault:?}"
    );
    assert_eq!(scene.forge.waits.lock().unwrap().len(), 0);
}

#[test]
fn a_fetch_and_a_push_are_tried_again_while_the_server_is_in_trouble() {
    let scene = GiteaScene::new();
    for (method, path) in [("GET", "/info/refs"), ("POST", "/git-receive-pack")] {
        let message = "Bad Gateway";
        let broken = Trouble::Status {
            method,
            path,
            status: 502,
            message,
        };
        scene.forge.double.lock().troubles.push(broken);
    }
    done(&scene, &put_branch("test", "one"), 1);
    assert_eq!(scene.forge.waits.lock().unwrap().len(), 2);
    assert_eq!(
        scene.forge.apply(&put_branch("test", "one"), at(2)).unwrap(),
        Applied::Unchanged
    );
}

/// A push whose answer got lost is repeated and finds its own value there.
#[test]
fn a_push_whose_answer_got_lost_is_seen_as_done() {
    let scene = GiteaScene::new();
    let lost = Trouble::LostAnswer {
        method: "POST",
        path: "/git-receive-pack",
    };
    scene.forge.double.lock().troubles.push(lost);
    done(&scene, &put_branch("test", "one"), 1);
    let head = scene.forge.double.lock().head_of(BRANCH);
    assert!(head.is_some());
    done(&scene, &put_pull("test", "Wave test"), 1);
    assert_eq!(Some(pull(&scene).head), head);
}

/// A forge on the scene's repository whose copy lies here.
fn with_copy(scene: &GiteaScene, copy: &Path) -> GiteaForge {
    let made = settings::<GiteaForge>(&scene.forge.double, None, &Arc::default());
    GiteaForge::new(GiteaSettings {
        api_url: GiteaForge::api_url(),
        repository: made.repository,
        base: "main".to_owned(),
        token: made.token,
        layout: made.layout,
        roles: made.roles,
        clone_url: None,
        copy: copy.to_owned(),
        state: None,
        patience: made.patience,
    })
    .unwrap()
}

/// The program of the double's repository that Git runs under this name.
#[cfg(unix)]
fn hook(repository: &Path, name: &str, script: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    let hook = repository.join("hooks").join(name);
    std::fs::create_dir_all(hook.parent().unwrap()).unwrap();
    std::fs::write(&hook, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// Two processes share a copy: the one fetches what the other is about to note that it pushed.
#[cfg(unix)]
#[test]
fn a_push_that_succeeded_is_done_though_the_copy_shows_it_already() {
    let scene = GiteaScene::new();
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("copy.git");
    let forge = with_copy(&scene, &copy);
    forge.view().unwrap();
    let script = format!(
        "unset GIT_DIR\nwhile read old new ref; do git --git-dir='{}' update-ref $ref $new; done",
        copy.display()
    );
    let repository = scene.forge.double.lock().folder.path().to_owned();
    hook(&repository, "post-receive", &script);
    let applied = forge.apply(&put_branch("test", "one"), at(1)).unwrap();
    assert!(matches!(applied, Applied::Done { .. }), "{applied:?}");
}

#[test]
fn the_pull_requests_of_strangers_are_not_fetched() {
    let scene = proposed();
    scene.forge.close(1, "maria", at(2)).unwrap();
    {
        let repo = scene.forge.double.lock();
        let git = repo.git();
        let theirs = git.refname_to_id("refs/heads/main").unwrap();
        git.reference("refs/pull/99/head", theirs, true, "theirs").unwrap();
        // What was proposed is read of a closed one too, whose branch may be gone.
        git.find_reference(&format!("refs/heads/{BRANCH}"))
            .unwrap()
            .delete()
            .unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    let forge = with_copy(&scene, &folder.path().join("copy.git"));
    let view = forge.view().unwrap();
    assert_eq!(
        view.pull_requests[0].files["rollouts/linux-2027-01-15/plan.json"],
        b"one"
    );
    let copy = git2::Repository::open_bare(folder.path().join("copy.git")).unwrap();
    let names: Vec<String> = copy
        .references_glob("refs/pull/*")
        .unwrap()
        .names()
        .map(|n| n.unwrap().to_owned())
        .collect();
    assert_eq!(names, ["refs/pull/1/head"]);
}

/// Every file below a folder.
fn files_below(folder: &Path, found: &mut BTreeMap<String, Vec<u8>>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files_below(&path, found);
        } else {
            found.insert(path.display().to_string(), std::fs::read(&path).unwrap());
        }
    }
}

/// The arguments of every process of this machine, over and over until told to stop.
#[cfg(target_os = "linux")]
fn arguments_seen(stop: &AtomicBool) -> Vec<String> {
    let mut seen = std::collections::BTreeSet::new();
    while !stop.load(Ordering::Relaxed) {
        let processes = std::fs::read_dir("/proc").unwrap().flatten();
        for process in processes {
            if let Ok(line) = std::fs::read(process.path().join("cmdline")) {
                seen.insert(String::from_utf8_lossy(&line).replace('\0', " "));
            }
        }
    }
    seen.into_iter().collect()
}

/// While things are pushed and fetched, the token is in no argument of any process, and afterwards nowhere in the copy.
#[cfg(target_os = "linux")]
#[test]
fn the_token_is_in_no_argument_and_not_in_the_copy() {
    let scene = GiteaScene::new();
    let folder = tempfile::tempdir().unwrap();
    let forge = with_copy(&scene, &folder.path().join("copy.git"));
    let stop = Arc::new(AtomicBool::new(false));
    let watching = {
        let stop = Arc::clone(&stop);
        std::thread::spawn(move || arguments_seen(&stop))
    };
    for (minute, text) in (1..).zip(["one", "two", "three", "four", "five", "six"]) {
        forge.apply(&put_branch("test", text), at(minute)).unwrap();
    }
    forge.view().unwrap();
    stop.store(true, Ordering::Relaxed);
    let seen = watching.join().unwrap();
    let encoded = base64::engine::general_purpose::STANDARD.encode(format!("x-access-token:{TOKEN}"));
    assert!(
        seen.iter().any(|line| line.contains("git") && line.contains("fetch")),
        "the watch saw the program at work"
    );
    for line in &seen {
        assert!(!line.contains(TOKEN) && !line.contains(&encoded), "{line}");
    }
    let mut kept = BTreeMap::new();
    files_below(folder.path(), &mut kept);
    assert!(kept.len() > 5);
    for (path, bytes) in kept {
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains(TOKEN) && !text.contains(&encoded), "{path}");
    }
}
