//! Limits, lost answers, slow servers and replicas that lag.

use super::*;

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

fn a_merge_is_believed_over_a_replica_that_lags<F: Hosted>() {
    // Up to more reads than are tried.
    for reads in [1, 3, 12] {
        let scene = proposed::<F>();
        let head = pull(&scene, 1).head;
        scene.forge.double.lock().stale_reads = reads;
        done(&scene, &ForgeOp::MergePullRequest { number: 1, head }, 2);
        assert_eq!(pull(&scene, 1).state, PullRequestState::Merged, "{reads}");
    }
}

on_both!(
    the_wait_of_a_secondary_limit_is_kept_and_the_write_is_done_once,
    a_limit_used_up_for_long_is_an_error_that_says_when_it_ends,
    a_read_is_tried_again_after_growing_waits_and_given_up_at_last,
    a_pull_request_whose_answer_got_lost_is_found_and_finished,
    a_run_that_ends_before_the_marker_is_finished_by_the_next,
    a_comment_whose_answer_got_lost_is_not_made_twice,
    a_merge_whose_answer_got_lost_is_seen_as_done,
    a_forge_that_does_not_answer_in_time_is_tried_again,
    what_was_just_written_is_believed_over_a_replica_that_lags,
    a_merge_is_believed_over_a_replica_that_lags,
);
