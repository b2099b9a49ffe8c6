//! What only the local forge has: a work tree beside it, files on a disk, and processes that end in the middle.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::{LocalScene, ROLLOUTS, Scene, at, commit, files, put_branch, put_pull, references};
use git2::{Oid, Repository};
use patchwave_adapters::files::read_ref_tree;
use patchwave_adapters::forge::local::Interrupt;
use patchwave_adapters::forge::{Appended, Applied, Forge, ForgeError, LocalForge, People, TakenIn};
use patchwave_core::propose::{ForgeOp, PullRequestState};

fn first_commit(folder: &Path) -> Repository {
    let repo = Repository::init(folder).unwrap();
    commit(
        &repo,
        "HEAD",
        &files(&[("patchwave.yaml", "one\n"), ("policies/a.yaml", "a\n")]),
        "user",
        at(0),
    );
    repo
}

/// A whole life: made, proposed, approved, merged, HEAD moved on, recorded.
fn live(folder: &Path, interrupt: Option<Interrupt>) -> Result<(), ForgeError> {
    let (forge, _) = LocalForge::open_or_create_with(folder, ROLLOUTS, at(6), interrupt)?;
    // The process ends here, not the power: waiting for the disk would only slow the test.
    fs::write(forge.path().join("patchwave.config"), "").unwrap();
    let open = |forge: &LocalForge| forge.view().map(|view| view.pull_requests);
    if open(&forge)?.iter().all(|pull| pull.state == PullRequestState::Open) {
        forge.apply(&put_branch("test", "one"), at(2))?;
        forge.apply(&put_pull("test", "Wave test"), at(2))?;
        forge.approve(1, "maria", at(3))?;
        forge.merge(1, "maria", None, at(4))?;
    }
    let view = forge.view()?;
    if view.ledger.is_empty() {
        let record = BTreeMap::from([("memory.ndjson".to_owned(), b"{}\n".to_vec())]);
        forge.append_ledger(view.ledger_head.as_deref(), &record, "Record\n", at(5))?;
    }
    let repo = Repository::open(folder).unwrap();
    if repo.head().unwrap().peel_to_commit().unwrap().parent_count() == 0 {
        commit(&repo, "HEAD", &files(&[("policies/b.yaml", "b\n")]), "user", at(6));
    }
    forge.take_in(at(6))?;
    Ok(())
}

#[test]
fn a_run_that_ends_between_any_two_writes_is_finished_by_the_next() {
    let whole = tempfile::tempdir().unwrap();
    first_commit(whole.path());
    live(whole.path(), None).unwrap();
    let bare = |folder: &Path| Repository::open_bare(folder.join(".patchwave/forge.git")).unwrap();
    let expected = references(&bare(whole.path()));

    let mut steps = 0;
    loop {
        let folder = tempfile::tempdir().unwrap();
        first_commit(folder.path());
        let left = Arc::new(AtomicUsize::new(steps));
        let stop: Interrupt = {
            let left = Arc::clone(&left);
            Arc::new(move |step| {
                let more = left
                    .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1))
                    .is_ok();
                if more {
                    Ok(())
                } else {
                    Err(ForgeError::retryable(format!("ended before {step}"), ""))
                }
            })
        };
        let ended = live(folder.path(), Some(stop));
        // Whatever is there can be read: every reference leads to a whole history.
        if let Some(forge) = LocalForge::open(folder.path(), ROLLOUTS).unwrap() {
            forge.view().unwrap();
            let repo = bare(folder.path());
            for id in references(&repo).into_values() {
                let mut walk = repo.revwalk().unwrap();
                walk.push(Oid::from_str(&id).unwrap()).unwrap();
                assert!(walk.all(|id| repo.find_commit(id.unwrap()).unwrap().tree().is_ok()));
            }
        }
        live(folder.path(), None).unwrap_or_else(|fault| panic!("after {ended:?}: {fault:?}"));
        let now = references(&bare(folder.path()));
        // The records' history may differ by how often they were written; what they say may not.
        let without_records = |mut refs: BTreeMap<String, String>| {
            refs.remove("refs/patchwave/forge");
            refs
        };
        assert_eq!(
            without_records(now),
            without_records(expected.clone()),
            "after {ended:?}"
        );
        let view = |folder: &Path| LocalForge::open(folder, ROLLOUTS).unwrap().unwrap().view().unwrap();
        assert_eq!(view(folder.path()), view(whole.path()), "after {ended:?}");
        if ended.is_ok() {
            break;
        }
        steps += 1;
    }
    assert!(steps > 25, "only {steps} writes were interrupted");
}

#[test]
fn the_same_calls_leave_the_same_ids() {
    let run = || {
        let folder = tempfile::tempdir().unwrap();
        first_commit(folder.path());
        live(folder.path(), None).unwrap();
        references(&Repository::open_bare(folder.path().join(".patchwave/forge.git")).unwrap())
    };
    assert_eq!(run(), run());
}

#[test]
fn the_users_repository_is_not_written() {
    let folder = tempfile::tempdir().unwrap();
    let repo = first_commit(folder.path());
    fs::write(folder.path().join("dirty.yaml"), "not committed").unwrap();
    let before = references(&repo);
    let (forge, taken) = LocalForge::open_or_create(folder.path(), ROLLOUTS, at(1)).unwrap();
    assert_eq!(
        taken,
        TakenIn::FastForward {
            to: repo.head().unwrap().target().unwrap().to_string()
        }
    );
    forge.apply(&put_branch("test", "one"), at(2)).unwrap();
    assert_eq!(before, references(&repo));
    assert!(!folder.path().join(".git/FETCH_HEAD").exists());
    assert_eq!(fs::read(folder.path().join("dirty.yaml")).unwrap(), b"not committed");
    assert!(
        repo.status_should_ignore(Path::new(".patchwave/forge.git/HEAD"))
            .unwrap()
    );
}

#[test]
fn opening_makes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    first_commit(folder.path());
    assert!(LocalForge::open(folder.path(), ROLLOUTS).unwrap().is_none());
    assert!(!folder.path().join(".patchwave").exists());
}

#[test]
fn a_plain_folder_works_and_may_become_a_repository_later() {
    let folder = tempfile::tempdir().unwrap();
    let (forge, taken) = LocalForge::open_or_create(folder.path(), ROLLOUTS, at(1)).unwrap();
    assert!(
        matches!(&taken, TakenIn::Nothing { reason } if reason.contains("not a Git repository")),
        "{taken:?}"
    );
    forge.apply(&put_branch("test", "one"), at(2)).unwrap();
    forge.apply(&put_pull("test", "t"), at(2)).unwrap();
    forge.merge(1, "maria", None, at(3)).unwrap();
    let writes = forge.writes();
    assert!(matches!(forge.take_in(at(4)).unwrap(), TakenIn::Nothing { .. }));
    assert_eq!(forge.writes(), writes);

    let repo = Repository::init(folder.path()).unwrap();
    assert!(matches!(forge.take_in(at(5)).unwrap(), TakenIn::Nothing { reason } if reason.contains("no commit")));
    commit(&repo, "HEAD", &files(&[("patchwave.yaml", "p")]), "user", at(6));
    assert!(matches!(forge.take_in(at(6)).unwrap(), TakenIn::Merged { .. }));
    let main = Repository::open_bare(forge.path()).unwrap();
    let tree = main.head().unwrap().peel_to_tree().unwrap();
    assert!(tree.get_path(Path::new("patchwave.yaml")).is_ok());
    assert!(tree.get_path(Path::new("rollouts/linux-2027-01-15/plan.json")).is_ok());
}

#[test]
fn a_project_below_the_root_keeps_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let repo = Repository::init(folder.path()).unwrap();
    commit(
        &repo,
        "HEAD",
        &files(&[("infra/patch/patchwave.yaml", "p"), ("README", "r")]),
        "user",
        at(0),
    );
    let project = folder.path().join("infra/patch");
    fs::create_dir_all(&project).unwrap();
    let (forge, _) = LocalForge::open_or_create(&project, ROLLOUTS, at(1)).unwrap();
    forge.apply(&put_branch("test", "one"), at(2)).unwrap();
    assert_eq!(
        forge.apply(&put_branch("test", "one"), at(9)).unwrap(),
        Applied::Unchanged
    );
    forge.apply(&put_pull("test", "t"), at(2)).unwrap();
    forge.merge(1, "maria", None, at(3)).unwrap();
    assert!(
        forge
            .view()
            .unwrap()
            .merged_files
            .contains_key("rollouts/linux-2027-01-15/plan.json")
    );
    let bare = Repository::open_bare(forge.path()).unwrap();
    let main = bare.head().unwrap().peel_to_tree().unwrap();
    assert!(
        main.get_path(Path::new("infra/patch/rollouts/linux-2027-01-15/plan.json"))
            .is_ok()
    );
}

#[test]
fn a_shallow_clone_is_taken_in() {
    let folder = tempfile::tempdir().unwrap();
    let repo = first_commit(folder.path());
    let first = repo.head().unwrap().target().unwrap();
    let second = commit(&repo, "HEAD", &files(&[("policies/b.yaml", "b")]), "user", at(1));
    // What `git clone --depth 1` leaves: the parent is named and not there.
    fs::write(folder.path().join(".git/shallow"), format!("{second}\n")).unwrap();
    let hex = first.to_string();
    let (start, rest) = hex.split_at(2);
    fs::remove_file(folder.path().join(".git/objects").join(start).join(rest)).unwrap();

    let (forge, _) = LocalForge::open_or_create(folder.path(), ROLLOUTS, at(2)).unwrap();
    assert_eq!(forge.view().unwrap().base_head, second.to_string());
    forge.apply(&put_branch("test", "one"), at(2)).unwrap();
    forge.apply(&put_pull("test", "t"), at(2)).unwrap();
    forge.merge(1, "maria", None, at(3)).unwrap();
    let repo = Repository::open(folder.path()).unwrap();
    commit(&repo, "HEAD", &files(&[("policies/c.yaml", "c")]), "user", at(4));
    assert!(matches!(forge.take_in(at(4)).unwrap(), TakenIn::Merged { .. }));
    assert_eq!(forge.view().unwrap().pull_requests[0].state, PullRequestState::Merged);
}

#[test]
fn a_linked_work_tree_has_a_forge_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let repo = first_commit(&folder.path().join("main"));
    let linked = folder.path().join("linked");
    repo.worktree("linked", &linked, None).unwrap();
    let (forge, taken) = LocalForge::open_or_create(&linked, ROLLOUTS, at(1)).unwrap();
    assert_eq!(
        taken,
        TakenIn::FastForward {
            to: repo.head().unwrap().target().unwrap().to_string()
        }
    );
    assert!(forge.path().starts_with(&linked));
    assert!(
        LocalForge::open(&folder.path().join("main"), ROLLOUTS)
            .unwrap()
            .is_none()
    );
}

#[test]
fn a_merge_by_hand_is_seen() {
    let scene = LocalScene::new();
    scene.forge().apply(&put_branch("test", "one"), at(1)).unwrap();
    scene.forge().apply(&put_pull("test", "t"), at(1)).unwrap();
    let bare = scene.bare();
    let head = bare
        .refname_to_id("refs/heads/patchwave/linux-2027-01-15/test")
        .unwrap();
    let main = bare.refname_to_id("refs/heads/main").unwrap();
    let by = git2::Signature::new("lena", "lena@example.org", &git2::Time::new(at(2).as_second(), 0)).unwrap();
    let tree = bare.find_commit(head).unwrap().tree().unwrap();
    let parents = [&bare.find_commit(main).unwrap(), &bare.find_commit(head).unwrap()];
    let merge = bare
        .commit(Some("refs/heads/main"), &by, &by, "Merge\n", &tree, &parents)
        .unwrap();
    let pull = scene.forge().view().unwrap().pull_requests.remove(0);
    assert_eq!(
        (pull.state, pull.ended_by.as_deref(), pull.ended_at),
        (PullRequestState::Merged, Some("lena"), Some(at(2)))
    );
    assert_eq!(pull.merge_commit, Some(merge.to_string()));
}

#[test]
fn two_processes_cannot_both_append() {
    let scene = LocalScene::new();
    let other = LocalForge::open(scene.folder.path(), ROLLOUTS).unwrap().unwrap();
    let record = |text: &str| BTreeMap::from([("memory.ndjson".to_owned(), text.as_bytes().to_vec())]);
    let first = scene.forge().append_ledger(None, &record("a\n"), "m\n", at(1)).unwrap();
    let second = other.append_ledger(None, &record("b\n"), "m\n", at(1)).unwrap();
    let Appended::Head { head } = first else {
        panic!("{first:?}")
    };
    assert_eq!(second, Appended::Conflict { head: Some(head) });
}

#[test]
fn a_leftover_of_an_unfinished_forge_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    first_commit(folder.path());
    let left = folder.path().join(".patchwave/forge.git.new-1");
    fs::create_dir_all(left.join("refs/heads")).unwrap();
    fs::write(left.join("refs/heads/main.lock"), "").unwrap();
    LocalForge::open_or_create(folder.path(), ROLLOUTS, at(1)).unwrap();
    assert!(!left.exists());
}

#[test]
fn a_lock_of_a_killed_process_is_taken_over_and_nothing_else_is() {
    let scene = LocalScene::new();
    let record = |text: &str| BTreeMap::from([("memory.ndjson".to_owned(), text.as_bytes().to_vec())]);
    let heads = scene.folder.path().join(".patchwave/forge.git/refs/heads/patchwave");
    fs::create_dir_all(&heads).unwrap();
    let lock = heads.join("ledger.lock");
    fs::create_dir(&lock).unwrap();
    let fault = scene
        .forge()
        .append_ledger(None, &record("a\n"), "m\n", at(1))
        .unwrap_err();
    assert!(fault.what.contains("ledger.lock") && fault.retryable, "{fault:?}");
    fs::remove_dir(&lock).unwrap();
    fs::write(&lock, "").unwrap();
    let done = scene.forge().append_ledger(None, &record("a\n"), "m\n", at(1)).unwrap();
    assert!(matches!(done, Appended::Head { .. }), "{done:?}");
    assert!(!lock.exists());
}

#[test]
fn resources_are_read_at_another_reference() {
    let folder = tempfile::tempdir().unwrap();
    let repo = first_commit(folder.path());
    commit(
        &repo,
        "HEAD",
        &files(&[("policies/a.yaml", "changed\n"), ("policies/x.txt", "x")]),
        "user",
        at(1),
    );
    let names = ["patchwave.yaml".to_owned()];
    let folders = ["policies".to_owned(), "fleets".to_owned()];
    let read = |reference: &str| read_ref_tree(folder.path(), reference, &names, &folders);
    let before = read("HEAD~1").unwrap();
    let texts: Vec<_> = before
        .resources
        .iter()
        .map(|file| (file.path.as_str(), &file.bytes[..]))
        .collect();
    assert_eq!(texts, [("patchwave.yaml", &b"one\n"[..]), ("policies/a.yaml", b"a\n")]);
    let after = read("HEAD").unwrap();
    assert_eq!(after.resources[1].bytes, b"changed\n");
    assert_eq!(after.others, ["policies/x.txt"]);
    let fault = read("no-such-branch").unwrap_err();
    assert!(fault.help.contains("fetch"), "{fault:?}");
    assert!(read_ref_tree(tempfile::tempdir().unwrap().path(), "HEAD", &names, &folders).is_err());
}

#[test]
fn many_files_are_written_as_one_pack() {
    let scene = LocalScene::new();
    let packs = || {
        let folder = scene.bare().path().join("objects/pack");
        fs::read_dir(folder)
            .unwrap()
            .filter(|f| f.as_ref().unwrap().path().extension().is_some_and(|e| e == "pack"))
            .count()
    };
    let before = packs();
    let files: BTreeMap<String, Vec<u8>> = (0..200)
        .map(|n| (format!("rollouts/r/f{n}.yml"), format!("file {n}\n").into_bytes()))
        .collect();
    let op = ForgeOp::PutBranch {
        branch: "patchwave/r/test".into(),
        files: files.clone(),
        replace_under: vec!["rollouts/r/".into()],
        message: "r\n".into(),
    };
    assert!(matches!(scene.forge().apply(&op, at(1)).unwrap(), Applied::Done { .. }));
    assert_eq!(packs(), before + 1);
    assert_eq!(scene.forge().apply(&op, at(2)).unwrap(), Applied::Unchanged);
    scene.forge().apply(&put_pull_of("patchwave/r/test"), at(2)).unwrap();
    assert_eq!(scene.forge().view().unwrap().pull_requests[0].files, files);
    // Nearly the same again needs no second pack.
    let mut fewer = files;
    fewer.pop_first();
    fewer.insert("rollouts/r/new.yml".into(), b"new\n".to_vec());
    let ForgeOp::PutBranch {
        branch,
        replace_under,
        message,
        ..
    } = op
    else {
        panic!()
    };
    let op = ForgeOp::PutBranch {
        branch,
        files: fewer.clone(),
        replace_under,
        message,
    };
    scene.forge().apply(&op, at(3)).unwrap();
    assert_eq!(packs(), before + 1);
    assert_eq!(scene.forge().view().unwrap().pull_requests[0].files, fewer);
}

fn put_pull_of(branch: &str) -> ForgeOp {
    ForgeOp::PutPullRequest {
        branch: branch.into(),
        title: "t".into(),
        body: "b".into(),
        labels: vec![],
        reviewers: vec![],
    }
}
