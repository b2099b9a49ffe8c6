//! What every forge must do, run on the local forge, on the fake, and on the doubles of GitHub and Gitea.

use std::collections::BTreeMap;

use crate::support::{FakeScene, LocalScene, Scene, at, files, put_branch, put_pull};
use patchwave_adapters::forge::{Appended, Applied, Refusal, TakenIn};
use patchwave_core::propose::{ForgeOp, ForgeView, GENESIS, PullRequest, PullRequestState, append, head};
use serde_json::json;

mod ending;
mod outside;

use ending::*;
use outside::*;

const BRANCH: &str = "patchwave/linux-2027-01-15/test";

fn view(scene: &dyn Scene) -> ForgeView {
    scene.forge().view().unwrap()
}

fn pull(scene: &dyn Scene, number: u64) -> PullRequest {
    view(scene)
        .pull_requests
        .into_iter()
        .find(|pull| pull.number == number)
        .unwrap()
}

fn done(scene: &dyn Scene, op: &ForgeOp, minute: i64) {
    let applied = scene.forge().apply(op, at(minute)).unwrap();
    assert!(matches!(applied, Applied::Done { .. }), "{op:?} gave {applied:?}");
}

fn refused(scene: &dyn Scene, op: &ForgeOp, minute: i64) -> Refusal {
    let before = scene.snapshot();
    let applied = scene.forge().apply(op, at(minute)).unwrap();
    assert_eq!(before, scene.snapshot(), "a refusal writes nothing");
    match applied {
        Applied::Refused(refusal) => refusal,
        applied => panic!("{op:?} gave {applied:?}"),
    }
}

/// A first commit outside, a branch and its pull request 1.
fn proposed(scene: &dyn Scene) {
    scene.forge().take_in(at(0)).unwrap();
    done(scene, &put_branch("test", "one"), 1);
    done(scene, &put_pull("test", "Wave test"), 1);
}

fn an_operation_done_twice_writes_once(scene: &dyn Scene) {
    proposed(scene);
    let comment = ForgeOp::PutComment {
        number: 1,
        marker: "<!-- slack -->".into(),
        body: "Slack is 3 d.".into(),
    };
    let dashboard = ForgeOp::PutDashboard {
        body: "Pending: 1".into(),
    };
    done(scene, &comment, 2);
    done(scene, &dashboard, 2);
    let (before, writes) = (scene.snapshot(), scene.forge().writes());
    for op in [
        &put_branch("test", "one"),
        &put_pull("test", "Wave test"),
        &comment,
        &dashboard,
    ] {
        assert_eq!(scene.forge().apply(op, at(99)).unwrap(), Applied::Unchanged, "{op:?}");
    }
    assert_eq!(scene.forge().take_in(at(99)).unwrap(), TakenIn::Unchanged);
    assert_eq!(before, scene.snapshot());
    assert_eq!(writes, scene.forge().writes());
    let seen = view(scene);
    assert_eq!(seen.pull_requests.len(), 1);
    assert_eq!(seen.dashboard.as_deref(), Some("Pending: 1"));
    let pull = &seen.pull_requests[0];
    assert_eq!(
        (pull.opened_at, pull.author.as_str(), pull.engine_only()),
        (at(1), "patchwave", true)
    );
    assert_eq!((pull.state, pull.branch.as_str()), (PullRequestState::Open, BRANCH));
    assert_eq!(pull.files["rollouts/linux-2027-01-15/plan.json"], b"one");
    assert_eq!(pull.files.len(), 2, "only what is below the rollouts folder");
    assert_eq!(seen.merged_files, BTreeMap::new());
}

fn only_the_ledger_trailer_may_differ_without_a_write(scene: &dyn Scene) {
    proposed(scene);
    let with = |message: &str| match put_branch("test", "one") {
        ForgeOp::PutBranch {
            branch,
            files,
            replace_under,
            ..
        } => ForgeOp::PutBranch {
            branch,
            files,
            replace_under,
            message: message.to_owned(),
        },
        op => op,
    };
    let later = with("Propose test\n\nPatchwave-Digest: one\nPatchwave-Ledger: 1111\n");
    assert_eq!(scene.forge().apply(&later, at(9)).unwrap(), Applied::Unchanged);
    done(
        scene,
        &with("Propose test\n\nPatchwave-Digest: two\nPatchwave-Ledger: 1111\n"),
        9,
    );
}

fn a_branch_is_updated_in_place_and_loses_its_approvals(scene: &dyn Scene) {
    proposed(scene);
    let approved = scene.forge().approve(1, "maria", at(2)).unwrap();
    assert!(matches!(approved, Applied::Done { number: Some(1), .. }));
    assert_eq!(scene.forge().approve(1, "maria", at(3)).unwrap(), Applied::Unchanged);
    let first = pull(scene, 1);
    assert_eq!(first.approvals.len(), 1);
    assert_eq!(first.approvals[0].head, first.head);

    done(scene, &put_branch("test", "two"), 4);
    done(scene, &put_pull("test", "Wave test, revision 2"), 4);
    let second = pull(scene, 1);
    assert_ne!(first.head, second.head);
    assert_eq!(second.title, "Wave test, revision 2");
    assert!(
        second.approvals.iter().all(|approval| approval.head != second.head),
        "an approval is of the old head"
    );
    scene.forge().approve(1, "maria", at(5)).unwrap();
    assert_eq!(pull(scene, 1).approvals.len(), 2);
}

fn files_that_are_not_wanted_any_more_go(scene: &dyn Scene) {
    scene.commit_outside(1, &[("rollouts/other/keep.txt", "kept")]);
    scene.forge().take_in(at(1)).unwrap();
    let with = |list: &[(&str, &str)]| ForgeOp::PutBranch {
        branch: BRANCH.into(),
        files: files(list),
        replace_under: vec!["rollouts/r".into()],
        message: "m\n".into(),
    };
    done(scene, &with(&[("rollouts/r/a", "1"), ("rollouts/r/b/c", "1")]), 1);
    // A file becomes a folder and a folder goes.
    done(scene, &with(&[("rollouts/r/a/x", "2")]), 2);
    done(scene, &put_pull("test", "t"), 2);
    scene.forge().merge(1, "maria", None, at(3)).unwrap();
    let merged: Vec<String> = view(scene).merged_files.into_keys().collect();
    assert_eq!(merged, ["rollouts/other/keep.txt", "rollouts/r/a/x"]);
}

fn a_comment_is_edited_in_place(scene: &dyn Scene) {
    proposed(scene);
    let say = |body: &str, marker: &str| ForgeOp::PutComment {
        number: 1,
        marker: marker.into(),
        body: body.into(),
    };
    done(scene, &say("one", "<!-- a -->"), 2);
    done(scene, &say("other", "<!-- b -->"), 3);
    done(scene, &say("two", "<!-- a -->"), 4);
    let comments = pull(scene, 1).comments;
    let said: Vec<_> = comments.iter().map(|c| (c.at, c.body.as_str())).collect();
    assert_eq!(said, [(at(2), "two\n\n<!-- a -->"), (at(3), "other\n\n<!-- b -->")]);
    assert_eq!(
        refused(
            scene,
            &ForgeOp::PutComment {
                number: 7,
                marker: "m".into(),
                body: "b".into()
            },
            5
        ),
        Refusal::NoSuchPullRequest { number: 7 }
    );
}

fn a_persons_commit_is_never_overwritten(scene: &dyn Scene) {
    proposed(scene);
    scene.push(BRANCH, "lena", &[("rollouts/linux-2027-01-15/plan.json", "mine")]);
    let pull = pull(scene, 1);
    assert_eq!(pull.committers, ["lena"], "people are named as their approvals are");
    let refusal = refused(scene, &put_branch("test", "two"), 3);
    assert_eq!(
        refusal,
        Refusal::PersonCommits {
            branch: BRANCH.into(),
            people: vec!["lena".into()]
        }
    );
    // People may still merge what they made of it.
    scene.forge().merge(1, "maria", Some(&pull.head), at(4)).unwrap();
    assert_eq!(view(scene).merged_files["rollouts/linux-2027-01-15/plan.json"], b"mine");
    assert!(!self::pull(scene, 1).engine_only());
}

fn the_ledger_only_grows_and_only_from_where_it_was_read(scene: &dyn Scene) {
    scene.forge().take_in(at(0)).unwrap();
    let forge = scene.forge();
    let put = |expected: Option<&str>, name: &str, bytes: &[u8]| {
        forge.append_ledger(
            expected,
            &BTreeMap::from([(name.to_owned(), bytes.to_vec())]),
            "Record\n",
            at(1),
        )
    };
    let mut memory = append(b"", at(1), "patchwave", "first-seen", json!({"asset": "web-01"})).unwrap();
    let Appended::Head { head: one } = put(None, "memory.ndjson", &memory).unwrap() else {
        panic!()
    };
    let line = append(&memory, at(2), "patchwave", "first-seen", json!({"asset": "web-02"})).unwrap();
    memory.extend(line);
    let stale = put(None, "memory.ndjson", &memory).unwrap();
    assert_eq!(
        stale,
        Appended::Conflict {
            head: Some(one.clone())
        }
    );
    let Appended::Head { head: two } = put(Some(&one), "memory.ndjson", &memory).unwrap() else {
        panic!()
    };
    assert!(matches!(
        put(Some(&two), "r.ndjson", b"x\n").unwrap(),
        Appended::Head { .. }
    ));
    let seen = view(scene);
    assert_eq!(seen.ledger["memory.ndjson"], memory);
    assert_eq!(seen.ledger["r.ndjson"], b"x\n");
    assert_ne!(head(&seen.ledger["memory.ndjson"]), GENESIS);
    let current = seen.ledger_head.as_deref();
    // Nothing new: nothing written. A changed byte, a lost line, a half line: refused.
    let (before, writes) = (scene.snapshot(), forge.writes());
    assert_eq!(
        put(current, "memory.ndjson", &memory).unwrap(),
        Appended::Head {
            head: current.unwrap().to_owned()
        }
    );
    assert!(put(current, "memory.ndjson", b"other\n").is_err());
    assert!(put(current, "memory.ndjson", b"").is_err());
    assert!(put(current, "r.ndjson", b"x\ny").is_err());
    assert!(put(current, "../r.ndjson", b"x\n").is_err());
    assert_eq!((before, writes), (scene.snapshot(), forge.writes()));
}

fn looking_writes_nothing(scene: &dyn Scene) {
    proposed(scene);
    let (before, writes) = (scene.snapshot(), scene.forge().writes());
    let one = view(scene);
    assert_eq!(one, view(scene));
    assert_eq!((before, writes), (scene.snapshot(), scene.forge().writes()));
}

fn names_of_people_are_checked(scene: &dyn Scene) {
    proposed(scene);
    let before = scene.snapshot();
    for name in ["", "  ", "patchwave", "a<b>", "a\nb"] {
        assert!(scene.forge().approve(1, name, at(2)).is_err(), "{name:?}");
        assert!(scene.forge().merge(1, name, None, at(2)).is_err(), "{name:?}");
        assert!(scene.forge().close(1, name, at(2)).is_err(), "{name:?}");
    }
    for branch in [
        "main",
        "patchwave/ledger",
        "patchwave/ledger/x",
        "patchwave/a..b",
        "patchwave/",
    ] {
        let op = ForgeOp::PutBranch {
            branch: branch.into(),
            files: files(&[]),
            replace_under: vec![],
            message: "m".into(),
        };
        assert!(scene.forge().apply(&op, at(2)).is_err(), "{branch:?}");
    }
    for path in ["../x", "/x", ".git/config", "a//b"] {
        let op = ForgeOp::PutBranch {
            branch: BRANCH.into(),
            files: files(&[(path, "")]),
            replace_under: vec![],
            message: "m".into(),
        };
        assert!(scene.forge().apply(&op, at(2)).is_err(), "{path:?}");
    }
    assert_eq!(before, scene.snapshot());
}

macro_rules! everywhere {
    ($($name:ident),* $(,)?) => {
        mod local { $(#[test] fn $name() { super::$name(&super::LocalScene::new()); })* }
        mod fake { $(#[test] fn $name() { super::$name(&super::fake_scene()); })* }
        #[cfg(feature = "github")]
        mod github {
            $(#[test] fn $name() { super::$name(&crate::hosted_scene::GithubScene::new()); })*
        }
        #[cfg(feature = "github")]
        mod pushed_github {
            $(#[test] fn $name() { super::$name(&crate::hosted_scene::PushedScene::new()); })*
        }
        #[cfg(feature = "github")]
        mod gitea {
            $(#[test] fn $name() { super::$name(&crate::hosted_scene::GiteaScene::new()); })*
        }
    };
}

/// What holds where people commit outside the forge. Left out are GitHub and Gitea: people push to them, so there is no outside.
macro_rules! with_an_outside {
    ($($name:ident),* $(,)?) => {
        mod local_outside { $(#[test] fn $name() { super::$name(&super::LocalScene::new()); })* }
        mod fake_outside { $(#[test] fn $name() { super::$name(&super::fake_scene()); })* }
    };
}

fn fake_scene() -> FakeScene {
    let scene = FakeScene::new();
    scene.commit_outside(0, &[("patchwave.yaml", "one\n")]);
    scene
}

everywhere!(
    an_operation_done_twice_writes_once,
    only_the_ledger_trailer_may_differ_without_a_write,
    a_branch_is_updated_in_place_and_loses_its_approvals,
    files_that_are_not_wanted_any_more_go,
    a_comment_is_edited_in_place,
    a_persons_commit_is_never_overwritten,
    a_pull_request_is_closed_once,
    the_engine_merges_only_the_head_it_decided_on,
    what_conflicts_is_not_merged,
    the_ledger_only_grows_and_only_from_where_it_was_read,
    looking_writes_nothing,
    names_of_people_are_checked,
);

with_an_outside!(
    new_commits_outside_move_main_forward,
    commits_outside_join_merged_rollouts,
    a_rollout_edited_outside_yields_to_the_forge,
    any_other_conflict_is_an_error_that_says_how_to_go_on,
    an_amended_head_is_taken_in_without_a_conflict,
);
