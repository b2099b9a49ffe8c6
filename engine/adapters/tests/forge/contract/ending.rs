//! How pull requests end: closed, merged, or in conflict.

use super::*;

pub(super) fn a_pull_request_is_closed_once(scene: &dyn Scene) {
    proposed(scene);
    done(
        scene,
        &ForgeOp::ClosePullRequest {
            number: 1,
            reason: "superseded".into(),
        },
        2,
    );
    let again = scene
        .forge()
        .apply(
            &ForgeOp::ClosePullRequest {
                number: 1,
                reason: "superseded".into(),
            },
            at(3),
        )
        .unwrap();
    assert_eq!(again, Applied::Unchanged);
    let closed = pull(scene, 1);
    assert_eq!(
        (closed.state, closed.ended_at, closed.ended_by.as_deref()),
        (PullRequestState::Closed, Some(at(2)), Some("patchwave"))
    );
    assert_eq!(closed.comments.len(), 1);
    let closed_refusal = Refusal::NotOpen {
        number: 1,
        state: "closed",
    };
    assert_eq!(
        refused(
            scene,
            &ForgeOp::MergePullRequest {
                number: 1,
                head: closed.head.clone()
            },
            3
        ),
        closed_refusal
    );
    assert_eq!(
        scene.forge().approve(1, "maria", at(3)).unwrap(),
        Applied::Refused(closed_refusal.clone())
    );
    assert_eq!(
        scene.forge().close(1, "maria", at(3)).unwrap(),
        Applied::Refused(closed_refusal)
    );
    // The next proposal of the branch is a new pull request; a person closes that one.
    done(scene, &put_branch("test", "two"), 4);
    done(scene, &put_pull("test", "again"), 4);
    scene.forge().close(2, "maria", at(5)).unwrap();
    assert_eq!(pull(scene, 2).ended_by.as_deref(), Some("maria"));
    assert_eq!(
        pull(scene, 1).head,
        closed.head,
        "a closed pull request keeps the head it had"
    );
}

pub(super) fn the_engine_merges_only_the_head_it_decided_on(scene: &dyn Scene) {
    proposed(scene);
    let stale = pull(scene, 1).head;
    done(scene, &put_branch("test", "two"), 2);
    let head = pull(scene, 1).head;
    let refusal = refused(
        scene,
        &ForgeOp::MergePullRequest {
            number: 1,
            head: stale.clone(),
        },
        3,
    );
    assert_eq!(
        refusal,
        Refusal::HeadMoved {
            number: 1,
            expected: stale.clone(),
            found: head.clone()
        }
    );
    assert!(matches!(
        scene.forge().merge(1, "maria", Some(&stale), at(3)).unwrap(),
        Applied::Refused(Refusal::HeadMoved { .. })
    ));

    let before = view(scene).base_head;
    done(
        scene,
        &ForgeOp::MergePullRequest {
            number: 1,
            head: head.clone(),
        },
        4,
    );
    let merged = pull(scene, 1);
    assert_eq!(
        (merged.state, merged.ended_at, merged.ended_by.as_deref()),
        (PullRequestState::Merged, Some(at(4)), Some("patchwave"))
    );
    assert_eq!(merged.head, head);
    assert_eq!(
        merged.files,
        BTreeMap::new(),
        "a merged one's files are those of the base branch"
    );
    let seen = view(scene);
    assert_ne!(seen.base_head, before);
    assert_eq!(merged.merge_commit.as_deref(), Some(seen.base_head.as_str()));
    assert_eq!(seen.merged_files["rollouts/linux-2027-01-15/plan.json"], b"two");
    let again = scene
        .forge()
        .apply(&ForgeOp::MergePullRequest { number: 1, head }, at(5))
        .unwrap();
    assert_eq!(again, Applied::Unchanged);
    assert_eq!(
        scene.forge().merge(1, "maria", None, at(5)).unwrap(),
        Applied::Refused(Refusal::NotOpen {
            number: 1,
            state: "merged"
        })
    );
    assert_eq!(
        refused(scene, &put_pull("test", "again"), 6),
        Refusal::NothingToMerge { branch: BRANCH.into() }
    );
    assert_eq!(
        refused(
            scene,
            &ForgeOp::ClosePullRequest {
                number: 1,
                reason: "late".into()
            },
            6
        ),
        Refusal::NotOpen {
            number: 1,
            state: "merged"
        }
    );
}

pub(super) fn what_conflicts_is_not_merged(scene: &dyn Scene) {
    proposed(scene);
    done(scene, &put_branch("staging", "other"), 1);
    done(scene, &put_pull("staging", "Wave staging"), 1);
    scene.forge().merge(1, "maria", None, at(2)).unwrap();
    let before = scene.snapshot();
    let applied = scene.forge().merge(2, "maria", None, at(3)).unwrap();
    let paths = vec!["rollouts/linux-2027-01-15/plan.json".to_owned()];
    assert_eq!(applied, Applied::Refused(Refusal::NotMergeable { number: 2, paths }));
    assert_eq!(before, scene.snapshot());
    // The same operation now has a new base to stand on, so it is not "unchanged".
    done(scene, &put_branch("staging", "other"), 4);
    assert!(matches!(
        scene.forge().merge(2, "maria", None, at(5)).unwrap(),
        Applied::Done { .. }
    ));
}
