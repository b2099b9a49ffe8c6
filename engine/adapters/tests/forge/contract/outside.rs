//! What holds where people commit outside the forge.

use super::*;

pub(super) fn new_commits_outside_move_main_forward(scene: &dyn Scene) {
    scene.forge().take_in(at(0)).unwrap();
    let head = scene.commit_outside(1, &[("policies/a.yaml", "a")]);
    assert_eq!(
        scene.forge().take_in(at(1)).unwrap(),
        TakenIn::FastForward { to: head.clone() }
    );
    assert_eq!(view(scene).base_head, head);
    assert_eq!(scene.forge().take_in(at(2)).unwrap(), TakenIn::Unchanged);
}

pub(super) fn commits_outside_join_merged_rollouts(scene: &dyn Scene) {
    proposed(scene);
    scene.forge().merge(1, "maria", None, at(2)).unwrap();
    let head = scene.commit_outside(3, &[("policies/a.yaml", "a")]);
    let joined = scene.forge().take_in(at(3)).unwrap();
    let TakenIn::Merged {
        head: from,
        commit,
        kept,
    } = &joined
    else {
        panic!("{joined:?}")
    };
    assert_eq!((from, &kept[..]), (&head, &[][..]));
    let seen = view(scene);
    assert_eq!(&seen.base_head, commit);
    assert_eq!(seen.merged_files["rollouts/linux-2027-01-15/plan.json"], b"one");
    assert_eq!(seen.pull_requests[0].state, PullRequestState::Merged);
    assert_eq!(seen.pull_requests[0].ended_at, Some(at(2)));
    assert_eq!(scene.forge().take_in(at(4)).unwrap(), TakenIn::Unchanged);
}

pub(super) fn a_rollout_edited_outside_yields_to_the_forge(scene: &dyn Scene) {
    proposed(scene);
    scene.forge().merge(1, "maria", None, at(2)).unwrap();
    scene.commit_outside(
        3,
        &[
            ("rollouts/linux-2027-01-15/plan.json", "forged"),
            ("policies/a.yaml", "a"),
        ],
    );
    let TakenIn::Merged { kept, .. } = scene.forge().take_in(at(3)).unwrap() else {
        panic!()
    };
    assert_eq!(kept, ["rollouts/linux-2027-01-15/plan.json"]);
    assert_eq!(view(scene).merged_files["rollouts/linux-2027-01-15/plan.json"], b"one");
}

pub(super) fn any_other_conflict_is_an_error_that_says_how_to_go_on(scene: &dyn Scene) {
    scene.forge().take_in(at(0)).unwrap();
    done(scene, &put_branch("test", "one"), 1);
    scene.push(BRANCH, "lena", &[("policies/a.yaml", "lena's")]);
    done(scene, &put_pull("test", "t"), 1);
    scene.forge().merge(1, "maria", None, at(2)).unwrap();
    scene.commit_outside(3, &[("policies/a.yaml", "mine")]);
    let before = view(scene);
    let fault = scene.forge().take_in(at(3)).unwrap_err();
    assert!(
        !fault.retryable && fault.what.contains("policies/a.yaml") && fault.help.contains("git pull"),
        "{fault:?}"
    );
    assert_eq!(before, view(scene));
}

pub(super) fn an_amended_head_is_taken_in_without_a_conflict(scene: &dyn Scene) {
    let first = scene.commit_outside(1, &[("policies/a.yaml", "a")]);
    scene.forge().take_in(at(1)).unwrap();
    scene.commit_outside(2, &[("policies/a.yaml", "draft")]);
    scene.forge().take_in(at(2)).unwrap();
    done(scene, &put_branch("test", "one"), 2);
    done(scene, &put_pull("test", "t"), 2);
    scene.forge().merge(1, "maria", None, at(2)).unwrap();
    scene.move_outside(&first);
    assert_eq!(
        scene.forge().take_in(at(3)).unwrap(),
        TakenIn::Unchanged,
        "an older commit is nothing new"
    );
    scene.commit_outside(4, &[("policies/a.yaml", "final")]);
    let taken = scene.forge().take_in(at(4)).unwrap();
    assert!(matches!(taken, TakenIn::Merged { .. }), "{taken:?}");
    assert_eq!(view(scene).merged_files["rollouts/linux-2027-01-15/plan.json"], b"one");
}
