//! What only a forge on a server has: answers that are late, lost, paged, refused or from the past, and people who
//! push in between.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use patchwave_adapters::forge::github::Patience;
use patchwave_adapters::forge::{Appended, Applied, Forge, ForgeError, GiteaForge, GithubForge, People, Refusal};
use patchwave_adapters::secret::Secret;
use patchwave_adapters::state::StateStore;
use patchwave_core::propose::{CommitStatus, ForgeOp, PullRequest, StatusState};

use crate::double::trouble::Trouble;
use crate::double::{LOGIN, TOKEN};
use crate::hosted_scene::{Hosted, HostedScene, PushedGithub, Settings, repository_of, settings};
use crate::support::{Scene, at, files, put_branch, put_pull};

const BRANCH: &str = "patchwave/linux-2027-01-15/test";

fn done<F: Hosted>(scene: &HostedScene<F>, op: &ForgeOp, minute: i64) {
    let applied = scene.forge.apply(op, at(minute)).unwrap();
    assert!(matches!(applied, Applied::Done { .. }), "{op:?} gave {applied:?}");
}

fn proposed<F: Hosted>() -> HostedScene<F> {
    let scene = HostedScene::<F>::new();
    done(&scene, &put_branch("test", "one"), 1);
    done(&scene, &put_pull("test", "Wave test"), 1);
    scene
}

fn trouble<F: Hosted>(scene: &HostedScene<F>, trouble: Trouble) {
    scene.forge.double.lock().troubles.push(trouble);
}

fn pull<F: Hosted>(scene: &HostedScene<F>, number: u64) -> PullRequest {
    let view = scene.forge.view().unwrap();
    view.pull_requests
        .into_iter()
        .find(|pull| pull.number == number)
        .unwrap()
}

fn comment(text: &str) -> ForgeOp {
    ForgeOp::PutComment {
        number: 1,
        marker: "<!-- m -->".into(),
        body: text.into(),
    }
}

fn record<F: Hosted>(scene: &HostedScene<F>, expected: Option<&str>, text: &str) -> Result<Appended, ForgeError> {
    let files = BTreeMap::from([("memory.ndjson".to_owned(), text.as_bytes().to_vec())]);
    scene.forge.append_ledger(expected, &files, "Record\n", at(2))
}

fn a_second_process_with_nothing_new_asks_little_and_writes_nothing<F: Hosted>() {
    let folder = tempfile::tempdir().unwrap();
    let state = || Some(StateStore::new(folder.path()));
    let first = HostedScene::<F>::with(state());
    done(&first, &put_branch("test", "one"), 1);
    done(&first, &put_pull("test", "Wave test"), 1);
    done(&first, &comment("Slack is 3 d."), 1);
    record(&first, None, "{}\n").unwrap();
    let dashboard = ForgeOp::PutDashboard {
        body: "# patchwave\n".into(),
    };
    done(&first, &dashboard, 1);
    // Some minutes later, by the forge's clock, everything is settled.
    first.forge.double.lock().clock = at(9);
    let seen = first.forge.view().unwrap();

    let double = first.forge.double.clone();
    double.lock().log.clear();
    let second = HostedScene::<F>::on(double.clone(), state());
    let again = second.forge.view().unwrap();
    assert_eq!(again, seen);
    let looked = std::mem::take(&mut double.lock().log);
    for op in [put_branch("test", "one"), put_pull("test", "Wave test"), dashboard] {
        assert_eq!(second.forge.apply(&op, at(9)).unwrap(), Applied::Unchanged, "{op:?}");
    }
    assert_eq!(second.forge.writes(), 0);
    let repo = double.lock();
    assert!(repo.writes().is_empty(), "{:?}", repo.writes());
    // References, the list of pull requests, the dashboard: asked for conditionally. Nothing of any pull request, no
    // commit, no tree and no file is read again.
    let read_again = looked.iter().filter(|(_, path)| {
        let of_a_pull = path.contains("/pulls/") || path.contains("/comments") || path.contains("/commits/");
        of_a_pull || path.contains("/git/trees/") || path.contains("/git/blobs/") || path.contains("/compare/")
    });
    assert_eq!(read_again.count(), 0, "{looked:?}");
}

fn the_state_store_keeps_what_is_in_use_and_is_not_believed_blindly<F: Hosted>() {
    let folder = tempfile::tempdir().unwrap();
    let state = || StateStore::new(folder.path());
    let scene = HostedScene::<F>::with(Some(state()));
    for text in ["one", "two", "three"] {
        done(&scene, &put_branch("test", text), 1);
        done(&scene, &put_pull("test", text), 1);
    }
    let next = HostedScene::<F>::on(scene.forge.double.clone(), Some(state()));
    done(&next, &put_branch("test", "four"), 2);
    let seen = next.forge.view().unwrap();
    let kept = state().list("forge/objects").unwrap();
    assert_eq!(kept.len(), 1, "the content of the branch's files: {kept:?}");
    // A changed content is fetched anew, answers of another form are not read.
    state().put(&kept[0], b"forged").unwrap();
    let after = HostedScene::<F>::on(scene.forge.double.clone(), Some(state()));
    assert_eq!(after.forge.view().unwrap(), seen);
    state().put("forge/answers.json", b"{}").unwrap();
    let after = HostedScene::<F>::on(scene.forge.double.clone(), Some(state()));
    assert_eq!(after.forge.view().unwrap(), seen);
}

fn every_page_of_a_list_is_read<F: Hosted>() {
    let scene = HostedScene::<F>::new();
    let waves = ["a", "b", "c", "d", "e"];
    for wave in waves {
        done(&scene, &put_branch(wave, wave), 1);
        done(&scene, &put_pull(wave, wave), 1);
    }
    for text in ["one", "two", "three"] {
        let op = ForgeOp::PutComment {
            number: 3,
            marker: format!("<!-- {text} -->"),
            body: text.into(),
        };
        done(&scene, &op, 2);
    }
    scene.forge.double.lock().page_size = Some(2);
    let other = HostedScene::<F>::on(scene.forge.double.clone(), None);
    let view = other.forge.view().unwrap();
    let titles: Vec<&str> = view.pull_requests.iter().map(|pull| pull.title.as_str()).collect();
    assert_eq!(titles, waves);
    assert_eq!(view.pull_requests[2].comments.len(), 3);
    assert_eq!(
        other.forge.apply(&put_pull("e", "e"), at(3)).unwrap(),
        Applied::Unchanged
    );
}

fn the_wait_of_a_secondary_limit_is_kept_and_the_write_is_done_once<F: Hosted>() {
    let scene = HostedScene::<F>::new();
    trouble(&scene, Trouble::SecondaryLimit { retry_after_seconds: 7 });
    done(&scene, &put_branch("test", "one"), 1);
    done(&scene, &put_pull("test", "Wave test"), 1);
    let waits = scene.forge.waits.lock().unwrap().clone();
    assert_eq!(waits.len(), 1, "{waits:?}");
    assert!(
        waits[0] >= Duration::from_secs(7) && waits[0] < Duration::from_secs(8),
        "{waits:?}"
    );
    assert_eq!(scene.forge.view().unwrap().pull_requests.len(), 1);
}

fn a_limit_used_up_for_long_is_an_error_that_says_when_it_ends<F: Hosted>() {
    let scene = proposed::<F>();
    trouble(&scene, Trouble::UsedUp { reset_seconds: 1800 });
    let fault = scene.forge.view().unwrap_err();
    assert!(
        fault.retryable && fault.what.contains("rate limit that ends in 1800 s"),
        "{fault:?}"
    );
    assert_eq!(scene.forge.waits.lock().unwrap().len(), 0);
    trouble(&scene, Trouble::UsedUp { reset_seconds: 30 });
    scene.forge.view().unwrap();
    let waits = scene.forge.waits.lock().unwrap().clone();
    assert!(
        waits[0] >= Duration::from_secs(30) && waits[0] < Duration::from_secs(31),
        "{waits:?}"
    );
}

fn a_read_is_tried_again_after_growing_waits_and_given_up_at_last<F: Hosted>() {
    let scene = proposed::<F>();
    let broken = || Trouble::Status {
        method: "GET",
        path: "/pulls",
        status: 502,
        message: "Server Error",
    };
    trouble(&scene, broken());
    scene.forge.view().unwrap();
    let waits = scene.forge.waits.lock().unwrap().clone();
    assert_eq!(waits.len(), 1);
    assert!(
        waits[0] >= Duration::from_secs(1) && waits[0] < Duration::from_secs(2),
        "{waits:?}"
    );
    (0..4).for_each(|_| trouble(&scene, broken()));
    let fault = scene.forge.view().unwrap_err();
    assert!(fault.retryable && fault.what.contains("was answered 502"), "{fault:?}");
    let waits = scene.forge.waits.lock().unwrap().clone();
    assert_eq!(waits.len(), 4);
    assert!(
        waits[3] >= Duration::from_secs(4) && waits[3] < Duration::from_secs(8),
        "{waits:?}"
    );
}

fn a_pull_request_whose_answer_got_lost_is_found_and_finished<F: Hosted>() {
    let scene = HostedScene::<F>::new();
    done(&scene, &put_branch("test", "one"), 1);
    trouble(
        &scene,
        Trouble::LostAnswer {
            method: "POST",
            path: "/pulls",
        },
    );
    done(&scene, &put_pull("test", "Wave test"), 1);
    let view = scene.forge.view().unwrap();
    assert_eq!(view.pull_requests.len(), 1);
    let pull = &view.pull_requests[0];
    assert!(
        pull.body.contains("<!-- patchwave -->"),
        "the marker came last: {pull:?}"
    );
    assert_eq!(
        (pull.labels.as_slice(), pull.reviewers.as_slice()),
        (["patchwave".to_owned()].as_slice(), ["ops".to_owned()].as_slice())
    );
}

fn a_run_that_ends_before_the_marker_is_finished_by_the_next<F: Hosted>() {
    let scene = HostedScene::<F>::new();
    done(&scene, &put_branch("test", "one"), 1);
    let refused = Trouble::Forbidden {
        method: "POST",
        path: "/labels",
        permissions: "issues=write",
    };
    trouble(&scene, refused);
    scene.forge.apply(&put_pull("test", "Wave test"), at(1)).unwrap_err();
    assert!(!pull(&scene, 1).body.contains("<!-- patchwave -->"));
    let next = HostedScene::<F>::on(scene.forge.double.clone(), None);
    done(&next, &put_pull("test", "Wave test"), 2);
    let whole = pull(&next, 1);
    assert!(
        whole.body.contains("<!-- patchwave -->") && whole.labels == ["patchwave"],
        "{whole:?}"
    );
}

fn a_comment_whose_answer_got_lost_is_not_made_twice<F: Hosted>() {
    let scene = proposed::<F>();
    trouble(
        &scene,
        Trouble::LostAnswer {
            method: "POST",
            path: "/comments",
        },
    );
    let fault = scene.forge.apply(&comment("Slack is 3 d."), at(2)).unwrap_err();
    assert!(fault.retryable, "{fault:?}");
    assert_eq!(
        scene.forge.apply(&comment("Slack is 3 d."), at(3)).unwrap(),
        Applied::Unchanged
    );
    assert_eq!(pull(&scene, 1).comments.len(), 1);
}

fn a_merge_whose_answer_got_lost_is_seen_as_done<F: Hosted>() {
    let scene = proposed::<F>();
    let head = pull(&scene, 1).head;
    let merge = ForgeOp::MergePullRequest { number: 1, head };
    trouble(
        &scene,
        Trouble::LostAnswer {
            method: F::MERGES.0,
            path: F::MERGES.1,
        },
    );
    assert!(scene.forge.apply(&merge, at(2)).unwrap_err().retryable);
    assert_eq!(scene.forge.apply(&merge, at(3)).unwrap(), Applied::Unchanged);
    assert_eq!(pull(&scene, 1).ended_by.as_deref(), Some("patchwave"));
}

fn a_merge_that_a_rule_of_the_repository_forbids_is_a_refusal_with_its_words<F: Hosted>() {
    let scene = proposed::<F>();
    let head = pull(&scene, 1).head;
    let rule = Trouble::Status {
        method: F::MERGES.0,
        path: F::MERGES.1,
        status: 405,
        message: "At least 1 approving review is required",
    };
    trouble(&scene, rule);
    let applied = scene
        .forge
        .apply(&ForgeOp::MergePullRequest { number: 1, head }, at(2))
        .unwrap();
    let reason = "At least 1 approving review is required".to_owned();
    assert_eq!(applied, Applied::Refused(Refusal::Declined { number: 1, reason }));
}

fn a_forge_that_does_not_answer_in_time_is_tried_again<F: Hosted>() {
    let scene = proposed::<F>();
    let waits = Arc::new(Mutex::new(Vec::new()));
    let made = settings::<F>(&scene.forge.double, None, &waits);
    let patience = Patience {
        timeout: Some(Duration::from_millis(400)),
        ..made.patience.clone()
    };
    let hasty = F::open(Settings { patience, ..made }).unwrap();
    trouble(
        &scene,
        Trouble::Slow {
            delay: Duration::from_secs(3),
        },
    );
    hasty.view().unwrap();
    assert_eq!(waits.lock().unwrap().len(), 1);
}

fn what_was_just_written_is_believed_over_a_replica_that_lags<F: Hosted>() {
    let scene = HostedScene::<F>::new();
    scene.forge.double.lock().stale_reads = 4;
    done(&scene, &put_branch("test", "one"), 1);
    done(&scene, &put_pull("test", "Wave test"), 1);
    let view = scene.forge.view().unwrap();
    assert_eq!(view.pull_requests.len(), 1);
    for op in [put_branch("test", "one"), put_pull("test", "Wave test")] {
        assert_eq!(scene.forge.apply(&op, at(1)).unwrap(), Applied::Unchanged, "{op:?}");
    }
    // Updated in place while every read lags.
    done(&scene, &put_branch("test", "two"), 2);
    done(&scene, &put_pull("test", "Wave test, revision 2"), 2);
    done(&scene, &comment("one"), 2);
    assert_eq!(scene.forge.apply(&comment("one"), at(2)).unwrap(), Applied::Unchanged);
    let pull = pull(&scene, 1);
    assert_eq!(pull.files["rollouts/linux-2027-01-15/plan.json"], b"two");
    assert_eq!(pull.title, "Wave test, revision 2");
    let Appended::Head { head } = record(&scene, None, "{}\n").unwrap() else {
        panic!()
    };
    assert!(matches!(
        record(&scene, Some(&head), "{}\n{}\n").unwrap(),
        Appended::Head { .. }
    ));
    assert_eq!(scene.forge.view().unwrap().ledger["memory.ndjson"], b"{}\n{}\n");
    assert_eq!(scene.forge.double.lock().issues.len(), 1, "one pull request, no second");
}

fn a_person_who_pushes_at_the_last_moment_is_not_overwritten<F: Hosted>() {
    let scene = proposed::<F>();
    let race = Trouble::Race {
        method: F::MOVES_BRANCH.0,
        path: F::MOVES_BRANCH.1,
        branch: BRANCH,
    };
    trouble(&scene, race);
    let fault = scene.forge.apply(&put_branch("test", "two"), at(2)).unwrap_err();
    assert!(
        fault.retryable && fault.what.contains("moved by another process"),
        "{fault:?}"
    );
    let refused = scene.forge.apply(&put_branch("test", "two"), at(3)).unwrap();
    let people = vec!["lena".to_owned()];
    let branch = BRANCH.to_owned();
    assert_eq!(refused, Applied::Refused(Refusal::PersonCommits { branch, people }));
}

fn a_branch_somebody_makes_at_the_last_moment_is_left_alone<F: Hosted>() {
    let scene = HostedScene::<F>::new();
    let race = Trouble::Race {
        method: F::MAKES_BRANCH.0,
        path: F::MAKES_BRANCH.1,
        branch: BRANCH,
    };
    trouble(&scene, race);
    let fault = scene.forge.apply(&put_branch("test", "one"), at(1)).unwrap_err();
    assert!(fault.retryable, "{fault:?}");
    let theirs = scene.forge.double.lock().head_of(BRANCH);
    let applied = scene.forge.apply(&put_branch("test", "one"), at(2)).unwrap();
    let (branch, people) = (BRANCH.to_owned(), vec!["lena".to_owned()]);
    assert_eq!(applied, Applied::Refused(Refusal::PersonCommits { branch, people }));
    assert_eq!(
        scene.forge.double.lock().head_of(BRANCH),
        theirs,
        "a person's branch stays"
    );
}

fn a_ledger_that_moved_at_the_last_moment_is_a_conflict<F: Hosted>() {
    let scene = HostedScene::<F>::new();
    let Appended::Head { head } = record(&scene, None, "{}\n").unwrap() else {
        panic!()
    };
    let race = Trouble::Race {
        method: F::GROWS_LEDGER.0,
        path: F::GROWS_LEDGER.1,
        branch: "patchwave/ledger",
    };
    trouble(&scene, race);
    let appended = record(&scene, Some(&head), "{}\n{}\n").unwrap();
    let theirs = scene.forge.double.lock().head_of("patchwave/ledger");
    assert_eq!(appended, Appended::Conflict { head: theirs.clone() });
    assert_ne!(theirs, Some(head));
}

fn a_review_counts_until_it_is_withdrawn<F: Hosted>() {
    let scene = proposed::<F>();
    let review = |by: &str, state: &'static str| scene.forge.double.lock().review(1, by, state);
    review("maria", "APPROVED");
    review("lena", "APPROVED");
    review("maria", "COMMENTED");
    review("lena", "CHANGES_REQUESTED");
    let names: Vec<String> = pull(&scene, 1)
        .approvals
        .into_iter()
        .map(|approval| approval.by)
        .collect();
    assert_eq!(names, ["maria"]);
    review("otto", "DISMISSED");
    assert_eq!(pull(&scene, 1).approvals.len(), 1);
}

fn a_team_of_roles_is_known_with_its_people<F: Hosted>() {
    let scene = proposed::<F>();
    let view = scene.forge.view().unwrap();
    let ops = ["ops".to_owned()];
    assert!(view.is_member("maria", &ops) && view.is_member("Lena", &ops));
    assert!(!view.is_member("otto", &ops) && !view.is_member("maria", &["other".to_owned()]));
}

/// What the forge says of these names in `roles` of a repository of this owner: known with their people, and unknown.
fn roles_of<F: Hosted>(owner: &str, names: &[&str]) -> (Vec<String>, BTreeMap<String, String>) {
    let waits = Arc::new(Mutex::new(Vec::new()));
    let mut made = settings::<F>(&repository_of::<F>(owner), None, &waits);
    made.roles = names.iter().map(|name| (*name).to_owned()).collect();
    let view = F::open(made).unwrap().view().unwrap();
    let known = view.members.unwrap().into_iter();
    let known = known.map(|(name, people)| format!("{name}: {}", people.into_iter().collect::<Vec<_>>().join(" ")));
    (known.collect(), view.unread_roles)
}

fn a_name_in_roles_is_what_the_forge_clearly_says_it_is<F: Hosted>() {
    let (known, unknown) = roles_of::<F>("acme", &["acme/ops", "team-sre", "otto", "Berta"]);
    assert_eq!(
        known,
        [
            "Berta: berta",
            "acme/ops: lena maria",
            "otto: otto",
            "team-sre: anna berta"
        ]
    );
    assert_eq!(unknown, BTreeMap::new());
}

fn a_team_that_cannot_be_read_stands_for_nobody_knows_whom<F: Hosted>() {
    // No such team, teams the token may not see (404 and 403), and a team's name that is a stranger's login.
    let (known, unknown) = roles_of::<F>("acme", &["acme/gone", "elsewhere/sre", "closed/sre", "typo", "a b"]);
    assert_eq!(known, Vec::<String>::new());
    let names: Vec<&str> = unknown.keys().map(String::as_str).collect();
    assert_eq!(names, ["a b", "acme/gone", "closed/sre", "elsewhere/sre", "typo"]);
    for team in ["acme/gone", "elsewhere/sre"] {
        assert!(unknown[team].contains("read:org"), "{unknown:?}");
    }
    assert!(unknown["elsewhere/sre"].contains("answered 404"), "{unknown:?}");
    let why = &unknown["closed/sre"];
    assert!(why.contains("answered 403") && why.contains("read:org"), "{why}");
    assert!(unknown["typo"].contains("no account of that name"), "{unknown:?}");
}

fn a_bare_name_is_not_taken_for_a_login_while_teams_cannot_be_listed<F: Hosted>() {
    // There is an account `sre`, and it is a stranger's.
    for owner in ["closed", "veiled"] {
        let (known, unknown) = roles_of::<F>(owner, &["sre"]);
        assert_eq!(known, Vec::<String>::new(), "{owner}");
        assert!(unknown["sre"].contains("read:org"), "{owner}: {unknown:?}");
    }
    // Teams can be listed and this is none, or the owner is a person and has no teams: then it is that login.
    for owner in ["acme", "berta"] {
        assert_eq!(roles_of::<F>(owner, &["sre"]).0, ["sre: sre"], "{owner}");
    }
}

fn labels_of_people_stay_and_a_reviewer_who_cannot_be_asked_stops_nothing<F: Hosted>() {
    let scene = proposed::<F>();
    let with = |labels: &[&str]| match put_pull("test", "Wave test") {
        ForgeOp::PutPullRequest {
            branch, title, body, ..
        } => ForgeOp::PutPullRequest {
            branch,
            title,
            body,
            labels: labels.iter().map(|label| (*label).to_owned()).collect(),
            reviewers: vec!["nobody".to_owned(), "ops".to_owned()],
        },
        op => op,
    };
    done(&scene, &with(&["lane/routine", "patchwave"]), 2);
    scene
        .forge
        .double
        .lock()
        .issues
        .get_mut(&1)
        .unwrap()
        .labels
        .insert("later".to_owned());
    done(&scene, &with(&["lane/emergency", "patchwave"]), 3);
    let pull = pull(&scene, 1);
    assert_eq!(pull.labels, ["lane/emergency", "later", "patchwave"]);
    assert_eq!(pull.reviewers, ["ops"]);
}

fn a_pull_request_a_person_opened_for_the_engines_branch_is_named<F: Hosted>() {
    let scene = proposed::<F>();
    scene.forge.double.lock().issues.get_mut(&1).unwrap().user = "lena".to_owned();
    let other = HostedScene::<F>::on(scene.forge.double.clone(), None);
    let Applied::Refused(Refusal::Declined { number: 1, reason }) =
        other.forge.apply(&put_pull("test", "Wave test"), at(2)).unwrap()
    else {
        panic!()
    };
    assert!(reason.contains("lena"), "{reason}");
    assert!(
        other.forge.view().unwrap().pull_requests.is_empty(),
        "it is not the engine's"
    );
}

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
    #[derive(Clone, Default)]
    struct Heard(Arc<Mutex<Vec<u8>>>);
    impl Write for Heard {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let heard = Heard::default();
    let writer = heard.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    let mut said = Vec::new();
    tracing::subscriber::with_default(subscriber, || {
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
    said.push(String::from_utf8(heard.0.lock().unwrap().clone()).unwrap());
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

fn the_engine_goes_by_its_own_name_and_nobody_else_does<F: Hosted>() {
    let scene = proposed::<F>();
    scene.forge.double.lock().review(1, "patchwave", "APPROVED");
    let pull = pull(&scene, 1);
    assert_eq!(pull.author, "patchwave");
    assert_eq!(pull.approvals[0].by, "@patchwave");
    assert_eq!(scene.forge.double.lock().issues[&1].user, LOGIN);
}

fn a_push_of_a_person_to_main_is_seen<F: Hosted>() {
    let scene = proposed::<F>();
    let head = scene.commit_outside(3, &[("rollouts/x/plan.json", "theirs")]);
    let view = scene.forge.view().unwrap();
    assert_eq!(view.base_head, head);
    assert_eq!(view.merged_files, files(&[("rollouts/x/plan.json", "theirs")]));
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

fn a_merge_that_cannot_be_is_not_even_asked_for<F: Hosted>() {
    let scene = proposed::<F>();
    let head = pull(&scene, 1).head;
    scene.forge.double.lock().mergeable_state = "blocked";
    scene.forge.double.lock().log.clear();
    let applied = scene
        .forge
        .apply(&ForgeOp::MergePullRequest { number: 1, head }, at(2))
        .unwrap();
    assert!(
        matches!(applied, Applied::Refused(Refusal::Declined { number: 1, .. })),
        "{applied:?}"
    );
    assert!(scene.forge.double.lock().writes().is_empty());
}

macro_rules! on {
    ($forge:ident: $($name:ident),* $(,)?) => { $(#[test] fn $name() { super::$name::<super::$forge>(); })* };
}

/// What holds on both; `github` and `gitea` beside it name what one of them does not have, each with the reason.
macro_rules! on_both {
    ($($name:ident),* $(,)?) => {
        mod on_github { on!(GithubForge: $($name),*); }
        mod on_pushed_github { on!(PushedGithub: $($name),*); }
        mod on_gitea { on!(GiteaForge: $($name),*); }
    };
}

on_both!(
    every_page_of_a_list_is_read,
    the_wait_of_a_secondary_limit_is_kept_and_the_write_is_done_once,
    a_limit_used_up_for_long_is_an_error_that_says_when_it_ends,
    a_read_is_tried_again_after_growing_waits_and_given_up_at_last,
    a_pull_request_whose_answer_got_lost_is_found_and_finished,
    a_run_that_ends_before_the_marker_is_finished_by_the_next,
    a_comment_whose_answer_got_lost_is_not_made_twice,
    a_merge_whose_answer_got_lost_is_seen_as_done,
    a_merge_that_a_rule_of_the_repository_forbids_is_a_refusal_with_its_words,
    a_forge_that_does_not_answer_in_time_is_tried_again,
    what_was_just_written_is_believed_over_a_replica_that_lags,
    a_person_who_pushes_at_the_last_moment_is_not_overwritten,
    a_branch_somebody_makes_at_the_last_moment_is_left_alone,
    a_ledger_that_moved_at_the_last_moment_is_a_conflict,
    a_review_counts_until_it_is_withdrawn,
    a_team_of_roles_is_known_with_its_people,
    a_name_in_roles_is_what_the_forge_clearly_says_it_is,
    a_team_that_cannot_be_read_stands_for_nobody_knows_whom,
    a_bare_name_is_not_taken_for_a_login_while_teams_cannot_be_listed,
    labels_of_people_stay_and_a_reviewer_who_cannot_be_asked_stops_nothing,
    a_pull_request_a_person_opened_for_the_engines_branch_is_named,
    bytes_that_are_no_text_and_names_that_need_care_arrive_as_they_are,
    a_project_below_the_root_of_its_repository_sees_its_own_paths,
    the_token_is_said_nowhere,
    a_wrong_repository_or_address_is_said_at_once,
    the_engine_goes_by_its_own_name_and_nobody_else_does,
    a_push_of_a_person_to_main_is_seen,
    a_status_is_set_once_and_seen_by_the_next_process,
    without_the_permission_there_are_no_statuses_and_the_run_goes_on,
    a_merge_that_cannot_be_is_not_even_asked_for,
);

mod only_on_github {
    on!(GithubForge:
        // Gitea: it keeps no files: they lie in the copy.
        the_state_store_keeps_what_is_in_use_and_is_not_believed_blindly,
        // Gitea: a push is conditional on every server.
        a_server_without_the_conditional_mutation_is_written_to_all_the_same,
        // Gitea: it answers no conditional requests; that nothing is written is `a_second_process_with_nothing_new_writes_nothing`.
        a_second_process_with_nothing_new_asks_little_and_writes_nothing,
    );
}
