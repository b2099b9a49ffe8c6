//! Random histories: the fake answers what the local forge answers, and the invariants hold after every step.

use std::collections::BTreeMap;

use patchwave_adapters::forge::Applied;
use patchwave_core::propose::{ForgeOp, PullRequestState};
use proptest::prelude::*;

use crate::support::{FakeScene, LocalScene, Scene, Transcript, at, put_branch, put_pull};

const WAVES: [&str; 2] = ["test", "staging"];
const TEXTS: [&str; 2] = ["one", "two"];

/// One step; numbers choose among what there is.
#[derive(Clone, Debug)]
enum Step {
    PutBranch(usize, usize),
    PutPull(usize, usize),
    Comment(u64, usize),
    CloseByEngine(u64),
    MergeByEngine { number: u64, stale: bool },
    Approve(u64),
    Merge(u64),
    Close(u64),
    Push(usize, usize),
    CommitOutside(usize),
    EditRolloutOutside(usize),
    TakeIn,
    Record(bool),
}

fn any_step() -> impl Strategy<Value = Step> {
    let two = 0..2_usize;
    let number = 1..4_u64;
    prop_oneof![
        4 => (two.clone(), two.clone()).prop_map(|(wave, text)| Step::PutBranch(wave, text)),
        4 => (two.clone(), two.clone()).prop_map(|(wave, text)| Step::PutPull(wave, text)),
        1 => (number.clone(), two.clone()).prop_map(|(number, text)| Step::Comment(number, text)),
        1 => number.clone().prop_map(Step::CloseByEngine),
        2 => (number.clone(), any::<bool>()).prop_map(|(number, stale)| Step::MergeByEngine { number, stale }),
        2 => number.clone().prop_map(Step::Approve),
        2 => number.clone().prop_map(Step::Merge),
        1 => number.prop_map(Step::Close),
        1 => (two.clone(), two.clone()).prop_map(|(wave, text)| Step::Push(wave, text)),
        2 => two.clone().prop_map(Step::CommitOutside),
        1 => two.prop_map(Step::EditRolloutOutside),
        2 => Just(Step::TakeIn),
        2 => any::<bool>().prop_map(Step::Record),
    ]
}

/// Does a step and gives the answer; an error counts by its kind only, because each store words its own.
fn take(scene: &dyn Scene, step: &Step, minute: i64) -> String {
    let forge = scene.forge();
    let apply = |op: &ForgeOp| answer(scene, op, minute);
    match *step {
        Step::PutBranch(wave, text) => apply(&put_branch(WAVES[wave], TEXTS[text])),
        Step::PutPull(wave, text) => apply(&put_pull(WAVES[wave], TEXTS[text])),
        Step::Comment(number, text) => apply(&ForgeOp::PutComment {
            number,
            marker: "<!-- m -->".into(),
            body: TEXTS[text].into(),
        }),
        Step::CloseByEngine(number) => apply(&ForgeOp::ClosePullRequest {
            number,
            reason: "over".into(),
        }),
        Step::MergeByEngine { number, stale } => {
            let view = forge.view().unwrap();
            let Some(pull) = view.pull_requests.iter().find(|pull| pull.number == number) else {
                return "none".into();
            };
            let head = if stale {
                view.base_head.clone()
            } else {
                pull.head.clone()
            };
            apply(&ForgeOp::MergePullRequest { number, head })
        }
        Step::Approve(number) => format!("{:?}", forge.approve(number, "maria", at(minute)).unwrap()),
        Step::Merge(number) => format!("{:?}", forge.merge(number, "maria", None, at(minute)).unwrap()),
        Step::Close(number) => format!("{:?}", forge.close(number, "maria", at(minute)).unwrap()),
        Step::Push(wave, text) => {
            let branch = format!("patchwave/linux-2027-01-15/{}", WAVES[wave]);
            scene.push(&branch, "lena", &[("rollouts/linux-2027-01-15/plan.json", TEXTS[text])]);
            "pushed".into()
        }
        Step::CommitOutside(text) => {
            scene.commit_outside(minute, &[("policies/a.yaml", TEXTS[text])]);
            "committed".into()
        }
        Step::EditRolloutOutside(text) => {
            scene.commit_outside(minute, &[("rollouts/linux-2027-01-15/plan.json", TEXTS[text])]);
            "committed".into()
        }
        Step::TakeIn => forge.take_in(at(minute)).map_or_else(
            |fault| format!("fault, retryable {}", fault.retryable),
            |taken| format!("{taken:?}"),
        ),
        Step::Record(stale) => {
            let view = forge.view().unwrap();
            let mut file = view.ledger.get("memory.ndjson").cloned().unwrap_or_default();
            file.extend_from_slice(format!("{minute}\n").as_bytes());
            let expected = if stale { None } else { view.ledger_head.as_deref() };
            let files = BTreeMap::from([("memory.ndjson".to_owned(), file)]);
            format!(
                "{:?}",
                forge.append_ledger(expected, &files, "Record\n", at(minute)).unwrap()
            )
        }
    }
}

/// Applies an operation, and again: the second time must write nothing ([idempotent]).
fn answer(scene: &dyn Scene, op: &ForgeOp, minute: i64) -> String {
    let forge = scene.forge();
    let first = forge.apply(op, at(minute)).unwrap();
    let (writes, view) = (forge.writes(), forge.view().unwrap());
    let second = forge.apply(op, at(minute + 1)).unwrap();
    assert!(
        !matches!(second, Applied::Done { .. }),
        "{op:?}: {first:?}, then {second:?}"
    );
    assert_eq!((writes, view), (forge.writes(), forge.view().unwrap()), "{op:?}");
    format!("{first:?} {second:?}")
}

fn play(scene: &dyn Scene, steps: &[Step]) -> String {
    let mut transcript = Transcript::default();
    scene.forge().take_in(at(0)).unwrap();
    let mut recorded: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for (minute, step) in (1..).zip(steps) {
        transcript.say(&format!("{step:?}"));
        transcript.say(&take(scene, step, minute * 10));
        let view = scene.forge().view().unwrap();
        transcript.say(&format!("{view:?}"));
        // [append-only]
        for (name, before) in &recorded {
            assert!(view.ledger[name].starts_with(before), "{name} lost a byte");
        }
        recorded.clone_from(&view.ledger);
        // What was merged stays merged, and what is open can be told from it.
        for pull in &view.pull_requests {
            assert_eq!(
                pull.merge_commit.is_some(),
                pull.state == PullRequestState::Merged,
                "{pull:?}"
            );
            assert_eq!(
                pull.ended_at.is_some(),
                pull.state != PullRequestState::Open,
                "{pull:?}"
            );
        }
    }
    transcript.text
}

proptest! {
    // Each case plays a history on the disk; the number keeps the suite within seconds.
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_fake_answers_what_the_local_forge_answers(steps in prop::collection::vec(any_step(), 1..24)) {
        let fake = FakeScene::new();
        fake.commit_outside(0, &[("patchwave.yaml", "one\n")]);
        let local = LocalScene::new();
        prop_assert_eq!(play(&fake, &steps), play(&local, &steps));
    }
}

#[cfg(feature = "github")]
proptest! {
    // Each case makes hundreds of requests; the number keeps the suite within seconds.
    #![proptest_config(ProptestConfig::with_cases(8))]

    /// Servers word some answers in their own way, so their transcripts are compared with none: the invariants are held, and
    /// another process sees the same.
    #[test]
    fn the_invariants_hold_on_github(steps in prop::collection::vec(any_step(), 1..16), lag in 0..3_u32) {
        hold_on_a_server::<patchwave_adapters::forge::GithubForge>(&steps, lag)?;
    }

    #[test]
    fn the_invariants_hold_on_gitea(steps in prop::collection::vec(any_step(), 1..16), lag in 0..3_u32) {
        hold_on_a_server::<patchwave_adapters::forge::GiteaForge>(&steps, lag)?;
    }
}

#[cfg(feature = "github")]
fn hold_on_a_server<F: crate::hosted_scene::Hosted>(steps: &[Step], lag: u32) -> Result<(), TestCaseError> {
    use crate::hosted_scene::HostedScene;
    let one = HostedScene::<F>::new();
    one.forge.double.lock().stale_reads = lag;
    play(&one, steps);
    one.forge.double.lock().past = None;
    let other = HostedScene::<F>::on(one.forge.double.clone(), None);
    prop_assert_eq!(other.forge().view().unwrap(), one.forge().view().unwrap());
    Ok(())
}
