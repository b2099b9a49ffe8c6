//! People and rules that come in between.

use super::*;

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
    review("otto", "APPROVED");
    scene.forge.double.lock().dismiss(1, "otto");
    assert_eq!(pull(&scene, 1).approvals.len(), 1);
}

/// Whoever asked for changes has taken the approval back, and does not give it again when somebody else sets that aside.
fn an_approval_does_not_come_back_when_the_request_for_changes_after_it_is_dismissed<F: Hosted>() {
    let scene = proposed::<F>();
    scene.forge.double.lock().review(1, "maria", "APPROVED");
    scene.forge.double.lock().review(1, "maria", "CHANGES_REQUESTED");
    assert_eq!(pull(&scene, 1).approvals.len(), 0);
    scene.forge.double.lock().dismiss(1, "maria");
    assert_eq!(pull(&scene, 1).approvals.len(), 0);
    scene.forge.double.lock().review(1, "maria", "APPROVED");
    assert_eq!(pull(&scene, 1).approvals.len(), 1);
}

/// A commit is signed with whatever its author wrote; whoever has no account behind it may be anybody who approves.
fn a_commit_of_nobody_known_makes_the_committers_unknown<F: Hosted>() {
    let scene = proposed::<F>();
    assert_eq!(pull(&scene, 1).committers_unknown, None);
    scene.push(BRANCH, "lena", &[("a.txt", "a")]);
    let known = pull(&scene, 1);
    assert_eq!(
        (known.committers, known.committers_unknown),
        (vec!["lena".to_owned()], None)
    );
    let stranger = |repo: &mut crate::double::Repo| {
        repo.push_signed(BRANCH, &files(&[("b.txt", "b")]), "Some One", "one@laptop.local")
    };
    let commit = stranger(&mut scene.forge.double.lock());
    let unknown = pull(&scene, 1);
    assert_eq!(unknown.committers, ["Some One", "lena"]);
    let why = unknown.committers_unknown.unwrap();
    assert!(
        why.contains(commit.split_at(12).0) && why.contains("not known to the forge"),
        "{why}"
    );
    scene.forge.merge(1, "maria", None, at(3)).unwrap();
    assert_eq!(pull(&scene, 1).committers_unknown, Some(why), "merged it is as unknown");
}

/// What says that there is nothing is not always true: replicas lag.
fn a_person_is_not_overwritten_while_no_commit_is_shown<F: Hosted>() {
    let scene = proposed::<F>();
    scene.push(BRANCH, "lena", &[("a.txt", "a")]);
    let theirs = scene.forge.double.lock().head_of(BRANCH);
    for path in ["/compare/", "/commits?sha="] {
        let absent = Trouble::Status {
            method: "GET",
            path,
            status: 404,
            message: "Not Found",
        };
        trouble(&scene, absent);
    }
    let fault = scene.forge.apply(&put_branch("test", "two"), at(2)).unwrap_err();
    assert!(fault.retryable, "{fault:?}");
    assert_eq!(scene.forge.double.lock().head_of(BRANCH), theirs);
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

fn with_labels(labels: &[&str], reviewers: &[&str]) -> ForgeOp {
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    match put_pull("test", "Wave test") {
        ForgeOp::PutPullRequest {
            branch, title, body, ..
        } => ForgeOp::PutPullRequest {
            branch,
            title,
            body,
            labels: owned(labels),
            reviewers: owned(reviewers),
        },
        op => op,
    }
}

fn a_label_longer_than_forges_take_is_shortened_and_stays_the_engines<F: Hosted>() {
    let scene = proposed::<F>();
    let [one, other] = ["one", "other"].map(|end| format!("policy/{}-{end}", "a-long-name".repeat(5)));
    let op = with_labels(&[&one, "patchwave"], &[]);
    done(&scene, &op, 2);
    assert_eq!(scene.forge.apply(&op, at(2)).unwrap(), Applied::Unchanged);
    let first = pull(&scene, 1).labels;
    assert_eq!(first.len(), 2);
    assert!(first.iter().all(|label| label.chars().count() <= 50), "{first:?}");
    // Another long name is another label, and the one that is not wanted any more goes.
    done(&scene, &with_labels(&[&other, "patchwave"], &[]), 3);
    let second = pull(&scene, 1).labels;
    assert!(second.len() == 2 && second != first, "{first:?} {second:?}");
}

fn a_label_the_forge_does_not_take_stops_nothing<F: Hosted>() {
    let scene = proposed::<F>();
    let refused = Trouble::Status {
        method: "POST",
        path: "/issues/1/labels",
        status: 422,
        message: "Validation Failed",
    };
    trouble(&scene, refused);
    done(
        &scene,
        &with_labels(&["lane/routine", "patchwave"], &["ops", "maria"]),
        2,
    );
    let shown = pull(&scene, 1);
    assert_eq!(shown.labels, ["patchwave"]);
    assert_eq!(shown.reviewers, ["maria", "ops"]);
}

fn a_reviewer_is_asked_once_however_the_name_is_written<F: Hosted>() {
    let scene = proposed::<F>();
    scene.forge.double.lock().review(1, "maria", "COMMENTED");
    scene.forge.double.lock().log.clear();
    let op = with_labels(&["patchwave"], &["Maria", "Ops"]);
    assert_eq!(scene.forge.apply(&op, at(2)).unwrap(), Applied::Unchanged);
    assert!(scene.forge.double.lock().writes().is_empty());
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

fn a_push_of_a_person_to_main_is_seen<F: Hosted>() {
    let scene = proposed::<F>();
    let head = scene.commit_outside(3, &[("rollouts/x/plan.json", "theirs")]);
    let view = scene.forge.view().unwrap();
    assert_eq!(view.base_head, head);
    assert_eq!(view.merged_files, files(&[("rollouts/x/plan.json", "theirs")]));
}

on_both!(
    a_merge_that_a_rule_of_the_repository_forbids_is_a_refusal_with_its_words,
    a_merge_that_cannot_be_is_not_even_asked_for,
    a_person_who_pushes_at_the_last_moment_is_not_overwritten,
    a_branch_somebody_makes_at_the_last_moment_is_left_alone,
    a_ledger_that_moved_at_the_last_moment_is_a_conflict,
    a_review_counts_until_it_is_withdrawn,
    an_approval_does_not_come_back_when_the_request_for_changes_after_it_is_dismissed,
    a_commit_of_nobody_known_makes_the_committers_unknown,
    a_label_longer_than_forges_take_is_shortened_and_stays_the_engines,
    a_label_the_forge_does_not_take_stops_nothing,
    a_reviewer_is_asked_once_however_the_name_is_written,
    labels_of_people_stay_and_a_reviewer_who_cannot_be_asked_stops_nothing,
    a_pull_request_a_person_opened_for_the_engines_branch_is_named,
    a_push_of_a_person_to_main_is_seen,
);

mod only_on_github {
    on!(GithubForge:
        // Gitea: commits are read from the copy.
        a_person_is_not_overwritten_while_no_commit_is_shown,
    );
}
