//! What only a forge on a server has: answers that are late, lost, paged, refused or from the past, and people who
//! push in between.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use patchwave_adapters::forge::github::Patience;
use patchwave_adapters::forge::{Appended, Applied, Forge, ForgeError, GiteaForge, GithubForge, People, Refusal};
use patchwave_adapters::secret::Secret;
use patchwave_adapters::state::StateStore;
use patchwave_core::propose::{CommitStatus, ForgeOp, PullRequest, PullRequestState, StatusState};

use crate::double::records::Truncates;
use crate::double::trouble::Trouble;
use crate::double::{LOGIN, TOKEN};
use crate::hosted_scene::{Hosted, HostedScene, PushedGithub, Settings, repository_of, settings};
use crate::support::{Scene, at, files, put_branch, put_pull};

macro_rules! on {
    ($forge:ident: $($name:ident),* $(,)?) => { $(#[test] fn $name() { super::$name::<super::$forge>(); })* };
}

/// What holds on both; `only_on_github` names what Gitea does not have, each with the reason.
macro_rules! on_both {
    ($($name:ident),* $(,)?) => {
        mod on_github { on!(GithubForge: $($name),*); }
        mod on_pushed_github { on!(PushedGithub: $($name),*); }
        mod on_gitea { on!(GiteaForge: $($name),*); }
    };
}

mod again;
mod people;
mod roles;
mod settings;
mod trouble;

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
