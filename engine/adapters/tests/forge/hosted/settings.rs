//! What a repository, a token and a server may be like.

use super::*;
use crate::heard::heard;

fn bytes_that_are_no_text_and_names_that_need_care_arrive_as_they_are<F: Hosted>() {
    let scene = HostedScene::<F>::new();
    let list = BTreeMap::from([
        ("rollouts/r/a b#c?.bin".to_owned(), vec![0, 159, 146, 150, 255]),
        ("rollouts/r/ä.txt".to_owned(), "ü\r\n".as_bytes().to_vec()),
        ("rollouts/r/empty".to_owned(), Vec::new()),
    ]);
    let op = ForgeOp::PutBranch {
        branch: BRANCH.to_owned(),
        files: list.clone(),
        replace_under: vec!["rollouts/r/".to_owned()],
        message: "m\n".to_owned(),
    };
    done(&scene, &op, 1);
    done(&scene, &put_pull("test", "t"), 1);
    let other = HostedScene::<F>::on(scene.forge.double.clone(), None);
    assert_eq!(pull(&other, 1).files, list);
    assert_eq!(other.forge.apply(&op, at(2)).unwrap(), Applied::Unchanged);
}

fn a_project_below_the_root_of_its_repository_sees_its_own_paths<F: Hosted>() {
    let scene = proposed::<F>();
    let waits = Arc::new(Mutex::new(Vec::new()));
    let mut made = settings::<F>(&scene.forge.double, None, &waits);
    made.layout.prefix = "infra/patching/".to_owned();
    let below = F::open(made).unwrap();
    let applied = below.apply(&put_branch("below", "one"), at(2)).unwrap();
    assert!(matches!(applied, Applied::Done { .. }));
    below.apply(&put_pull("below", "t"), at(2)).unwrap();
    let view = below.view().unwrap();
    let pull = view.pull_requests.iter().find(|pull| pull.number == 2).unwrap();
    assert_eq!(pull.files["rollouts/linux-2027-01-15/plan.json"], b"one");
    assert_eq!(
        view.pull_requests[0].files,
        BTreeMap::new(),
        "another project's files are none of its own"
    );
}

/// Everything the adapter says while things go wrong: errors, what they show when debugged, and the log at its finest.
fn the_token_is_said_nowhere<F: Hosted>() {
    let mut said = Vec::new();
    let text = heard(|| {
        let scene = proposed::<F>();
        for status in [400, 401, 403, 404, 409, 410, 422, 500] {
            for _ in 0..4 {
                trouble(
                    &scene,
                    Trouble::Status {
                        method: "GET",
                        path: "/pulls",
                        status,
                        message: TOKEN,
                    },
                );
            }
            if let Err(fault) = scene.forge.view() {
                said.push(format!("{fault} {} {fault:?}", fault.help));
            }
            scene.forge.double.lock().troubles.clear();
        }
        let permissions = "pull_requests=write";
        trouble(
            &scene,
            Trouble::Forbidden {
                method: "POST",
                path: "/pulls",
                permissions,
            },
        );
        done(&scene, &put_branch("staging", "one"), 2);
        let fault = scene.forge.apply(&put_pull("staging", "t"), at(2)).unwrap_err();
        assert!(fault.help.contains(F::PERMISSION), "{fault:?}");
        said.push(format!("{fault:?} {:?}", scene.forge.tested));
        let waits = Arc::new(Mutex::new(Vec::new()));
        let mut wrong = settings::<F>(&scene.forge.double, None, &waits);
        wrong.token = Secret::new("ghp_planted00000000deadbeef");
        said.push(format!("{:?}", wrong.token));
        let fault = F::open(wrong).unwrap().view().unwrap_err();
        assert!(fault.what.contains("wrong, expired or revoked"), "{fault:?}");
        said.push(format!("{fault:?}"));
    });
    assert!(said.len() > 8, "{said:?}");
    said.push(text);
    for text in said {
        assert!(!text.contains("ghp_planted"), "{text}");
    }
}

fn a_wrong_repository_or_address_is_said_at_once<F: Hosted>() {
    let scene = proposed::<F>();
    let waits = Arc::new(Mutex::new(Vec::new()));
    let with = |change: &dyn Fn(&mut Settings)| {
        let mut made = settings::<F>(&scene.forge.double, None, &waits);
        change(&mut made);
        made
    };
    for repository in ["", "acme", "acme/../x", "a/b/c", "acme/pa tching"] {
        let made = with(&|made| made.repository = repository.to_owned());
        assert!(F::open(made).is_err(), "{repository}");
    }
    let absent = with(&|made| made.repository = "acme/absent".to_owned());
    let fault = F::open(absent).unwrap().view().unwrap_err();
    assert!(!fault.retryable && fault.what.contains("acme/absent"), "{fault:?}");
    let silent = with(&|made| made.api_url = format!("http://127.0.0.1:1{}", F::API_PATH));
    let fault = F::open(silent).unwrap().view().unwrap_err();
    assert!(fault.retryable && fault.what.contains("after 4 tries"), "{fault:?}");
}

fn a_status_is_set_once_and_seen_by_the_next_process<F: Hosted>() {
    let scene = proposed::<F>();
    let head = pull(&scene, 1).head;
    scene.forge.merge(1, "maria", None, at(2)).unwrap();
    let put = |text: &str| ForgeOp::PutStatus {
        commit: head.clone(),
        status: CommitStatus::new(StatusState::Pending, text),
    };
    done(&scene, &put("approved"), 3);
    assert_eq!(scene.forge.apply(&put("approved"), at(3)).unwrap(), Applied::Unchanged);
    done(&scene, &put("soaking"), 4);
    let other = HostedScene::<F>::on(scene.forge.double.clone(), None);
    let seen = other.forge.view().unwrap().statuses.unwrap();
    assert_eq!(seen[&head], CommitStatus::new(StatusState::Pending, "soaking"));
    assert_eq!(other.forge.apply(&put("soaking"), at(5)).unwrap(), Applied::Unchanged);
}

/// Gitea shows where a branch is now even for what is merged.
fn a_status_is_that_of_the_merged_head_though_the_branch_went_on<F: Hosted>() {
    let scene = proposed::<F>();
    let head = pull(&scene, 1).head;
    scene.forge.merge(1, "maria", None, at(2)).unwrap();
    let status = CommitStatus::new(StatusState::Pending, "soaking");
    let put = ForgeOp::PutStatus {
        commit: head.clone(),
        status: status.clone(),
    };
    done(&scene, &put, 3);
    scene.push(BRANCH, "lena", &[("a.txt", "a")]);
    let other = HostedScene::<F>::on(scene.forge.double.clone(), None);
    assert_eq!(
        other.forge.view().unwrap().statuses.unwrap(),
        BTreeMap::from([(head, status)])
    );
}

fn without_the_permission_there_are_no_statuses_and_the_run_goes_on<F: Hosted>() {
    let scene = proposed::<F>();
    let head = pull(&scene, 1).head;
    scene.forge.merge(1, "maria", None, at(2)).unwrap();
    let forbidden = |method: &'static str, path: &'static str| Trouble::Forbidden {
        method,
        path,
        permissions: "statuses=write",
    };
    trouble(&scene, forbidden("GET", "/statuses"));
    let blind = HostedScene::<F>::on(scene.forge.double.clone(), None);
    assert_eq!(blind.forge.view().unwrap().statuses, None);
    trouble(&scene, forbidden("POST", "/statuses"));
    let status = CommitStatus::new(StatusState::Pending, "approved");
    let put = ForgeOp::PutStatus { commit: head, status };
    let applied = scene.forge.apply(&put, at(6)).unwrap();
    assert!(
        matches!(applied, Applied::Refused(Refusal::Forbidden { .. })),
        "{applied:?}"
    );
}

fn a_server_without_the_conditional_mutation_is_written_to_all_the_same<F: Hosted>() {
    let scene = proposed::<F>();
    scene.forge.double.lock().old_server = true;
    done(&scene, &put_branch("test", "two"), 2);
    assert_eq!(pull(&scene, 1).files["rollouts/linux-2027-01-15/plan.json"], b"two");
    scene.push(BRANCH, "lena", &[("a.txt", "a")]);
    let applied = scene.forge.apply(&put_branch("test", "three"), at(3)).unwrap();
    assert!(matches!(applied, Applied::Refused(Refusal::PersonCommits { .. })));
}

fn a_tree_too_large_for_one_answer_is_read_folder_by_folder_or_not_at_all<F: Hosted>() {
    let scene = proposed::<F>();
    let files = pull(&scene, 1).files;
    let again = |truncates| {
        scene.forge.double.lock().truncates = truncates;
        HostedScene::<F>::on(scene.forge.double.clone(), None).forge.view()
    };
    assert_eq!(again(Truncates::Recursive).unwrap().pull_requests[0].files, files);
    let fault = again(Truncates::Everything).unwrap_err();
    assert!(fault.what.contains("breaks off"), "{fault:?}");
}

fn a_content_that_arrives_as_another_is_an_error<F: Hosted>() {
    let scene = HostedScene::<F>::new();
    scene.forge.double.lock().garbles = true;
    let op = ForgeOp::PutBranch {
        branch: BRANCH.to_owned(),
        files: BTreeMap::from([("rollouts/r/a.bin".to_owned(), vec![0, 159, 146, 150])]),
        replace_under: Vec::new(),
        message: "m\n".to_owned(),
    };
    let fault = scene.forge.apply(&op, at(1)).unwrap_err();
    assert!(fault.what.contains("not the one"), "{fault:?}");
    assert_eq!(scene.forge.double.lock().head_of(BRANCH), None);
}

/// A replica of the API may be late where what is pushed is not.
fn the_fence_is_read_where_the_ledger_is_written<F: Hosted>() {
    let scene = HostedScene::<F>::new();
    let files = BTreeMap::from([("memory.ndjson".to_owned(), b"{}\n".to_vec())]);
    let message = "Record\n\nPatchwave-Fence: 7\n";
    scene.forge.append_ledger(None, &files, message, at(1)).unwrap();
    scene.forge.double.lock().log.clear();
    assert_eq!(scene.forge.fence().unwrap(), Some(7));
    let asked = scene.forge.double.lock().log.clone();
    assert!(asked.iter().all(|(_, path)| path.contains(".git/")), "{asked:?}");
}

on_both!(
    bytes_that_are_no_text_and_names_that_need_care_arrive_as_they_are,
    a_project_below_the_root_of_its_repository_sees_its_own_paths,
    the_token_is_said_nowhere,
    a_wrong_repository_or_address_is_said_at_once,
    a_status_is_set_once_and_seen_by_the_next_process,
    a_status_is_that_of_the_merged_head_though_the_branch_went_on,
    without_the_permission_there_are_no_statuses_and_the_run_goes_on,
);

mod only_on_github {
    on!(GithubForge:
        // Gitea: a push is conditional on every server.
        a_server_without_the_conditional_mutation_is_written_to_all_the_same,
        // Gitea: trees and contents are those of the copy.
        a_tree_too_large_for_one_answer_is_read_folder_by_folder_or_not_at_all,
        a_content_that_arrives_as_another_is_an_error,
    );
}

mod only_pushed {
    on!(PushedGithub: the_fence_is_read_where_the_ledger_is_written,);
}
