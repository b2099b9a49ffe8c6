//! GitHub on its double as a scene of the contract: the clock is set before each call, and people act on the double.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use jiff::Timestamp;
use patchwave_adapters::forge::github::Patience;
use patchwave_adapters::forge::{
    Appended, Applied, Forge, ForgeError, GithubForge, GithubSettings, Layout, People, Refusal, TakenIn,
};
use patchwave_adapters::secret::Secret;
use patchwave_adapters::state::StateStore;
use patchwave_core::propose::{ForgeOp, ForgeView};

use crate::double::{Double, Handle, TOKEN};
use crate::support::{AnyForge, ROLLOUTS, Scene, at, files};

/// One double for all tests of the process. With a port and a proxy's address in the environment, the proxy stands between
/// the adapter and the double and holds both to what GitHub publishes.
fn double() -> &'static Double {
    static DOUBLE: OnceLock<Double> = OnceLock::new();
    DOUBLE.get_or_init(|| {
        let port = std::env::var("PATCHWAVE_GITHUB_DOUBLE_PORT").ok();
        Double::start(port.as_ref().map_or(0, |port| port.parse().unwrap()), port.is_none())
    })
}

pub fn api_url() -> String {
    std::env::var("PATCHWAVE_GITHUB_PROXY").unwrap_or_else(|_| double().url().to_owned())
}

/// A repository of its own for each scene.
pub fn repository_of(owner: &str) -> Handle {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let name = format!("{owner}/patching-{}", NEXT.fetch_add(1, Ordering::Relaxed));
    double().repository(&name, &files(&[("patchwave.yaml", "one\n")]), at(0))
}

/// GitHub as the contract plays it.
pub struct GithubScene {
    pub forge: Clocked,
}

/// The forge under test, with the double's clock set before each call, and the waits it asked for.
pub struct Clocked {
    pub github: GithubForge,
    pub double: Handle,
    pub waits: Arc<Mutex<Vec<Duration>>>,
}

impl GithubScene {
    pub fn new() -> Self {
        Self::with(None)
    }

    pub fn with(state: Option<StateStore>) -> Self {
        Self::on(repository_of("acme"), state)
    }

    /// A scene on a repository there is: another process, if it is a second one.
    pub fn on(double: Handle, state: Option<StateStore>) -> Self {
        let waits = Arc::new(Mutex::new(Vec::new()));
        let github = GithubForge::new(settings(&double, state, &waits)).unwrap();
        Self {
            forge: Clocked { github, double, waits },
        }
    }
}

pub fn settings(double: &Handle, state: Option<StateStore>, waits: &Arc<Mutex<Vec<Duration>>>) -> GithubSettings {
    let noted = Arc::clone(waits);
    GithubSettings {
        api_url: api_url(),
        repository: double.full_name.clone(),
        base: "main".to_owned(),
        token: Secret::new(TOKEN),
        layout: Layout {
            prefix: String::new(),
            rollouts: ROLLOUTS.to_owned(),
        },
        roles: BTreeSet::from(["ops".to_owned()]),
        clone: None,
        state,
        patience: Patience {
            sleep: Arc::new(move |wait| noted.lock().unwrap().push(wait)),
            seed: 7,
            ..Patience::default()
        },
    }
}

impl Clocked {
    fn set_clock(&self, now: Timestamp) {
        self.double.lock().clock = now;
    }

    /// What stops a person from acting on a pull request.
    fn unable(&self, number: u64, head: Option<&str>) -> Option<Refusal> {
        let repo = self.double.lock();
        let Some(issue) = repo.issues.get(&number) else {
            return Some(Refusal::NoSuchPullRequest { number });
        };
        let pull = issue.pull.as_ref().unwrap();
        let found = if issue.open {
            repo.head_of(&pull.branch).unwrap()
        } else {
            pull.head.clone()
        };
        if let Some(expected) = head.filter(|head| *head != found) {
            let expected = expected.to_owned();
            return Some(Refusal::HeadMoved {
                number,
                expected,
                found,
            });
        }
        let state = if pull.merged.is_some() { "merged" } else { "closed" };
        (!issue.open).then_some(Refusal::NotOpen { number, state })
    }
}

impl Forge for Clocked {
    fn take_in(&self, now: Timestamp) -> Result<TakenIn, ForgeError> {
        self.set_clock(now);
        self.github.take_in(now)
    }
    fn view(&self) -> Result<ForgeView, ForgeError> {
        self.github.view()
    }
    fn apply(&self, op: &ForgeOp, now: Timestamp) -> Result<Applied, ForgeError> {
        self.set_clock(now);
        self.github.apply(op, now)
    }
    fn append_ledger(
        &self,
        expected_head: Option<&str>,
        files: &BTreeMap<String, Vec<u8>>,
        message: &str,
        now: Timestamp,
    ) -> Result<Appended, ForgeError> {
        self.set_clock(now);
        self.github.append_ledger(expected_head, files, message, now)
    }
    fn writes(&self) -> u64 {
        self.github.writes()
    }
}

/// What the contract asks of names of people, which accounts of GitHub keep by themselves.
fn login(name: &str) -> Result<&str, ForgeError> {
    let fine = !name.is_empty() && name != "patchwave" && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    fine.then_some(name)
        .ok_or_else(|| ForgeError::terminal(format!("{name:?} is no login"), ""))
}

const DONE: fn(u64, Option<String>) -> Applied = |number, commit| Applied::Done {
    number: Some(number),
    commit,
};

impl People for Clocked {
    fn approve(&self, number: u64, by: &str, now: Timestamp) -> Result<Applied, ForgeError> {
        let by = login(by)?;
        self.set_clock(now);
        if let Some(refusal) = self.unable(number, None) {
            return Ok(Applied::Refused(refusal));
        }
        let mut repo = self.double.lock();
        let pull = repo.issues[&number].pull.clone().unwrap();
        let head = repo.head_of(&pull.branch).unwrap();
        if pull
            .reviews
            .iter()
            .any(|review| review.user == by && review.commit == head)
        {
            return Ok(Applied::Unchanged);
        }
        repo.review(number, by, "APPROVED");
        Ok(DONE(number, None))
    }

    fn merge(&self, number: u64, by: &str, head: Option<&str>, now: Timestamp) -> Result<Applied, ForgeError> {
        let by = login(by)?;
        self.set_clock(now);
        if let Some(refusal) = self.unable(number, head) {
            return Ok(Applied::Refused(refusal));
        }
        match self.double.lock().merge(number, by, "Merge\n") {
            Ok(commit) => Ok(DONE(number, Some(commit))),
            Err(paths) => Ok(Applied::Refused(Refusal::NotMergeable { number, paths })),
        }
    }

    fn close(&self, number: u64, by: &str, now: Timestamp) -> Result<Applied, ForgeError> {
        let by = login(by)?;
        self.set_clock(now);
        if let Some(refusal) = self.unable(number, None) {
            return Ok(Applied::Refused(refusal));
        }
        self.double.lock().close(number, by);
        Ok(DONE(number, None))
    }
}

impl Scene for GithubScene {
    fn forge(&self) -> &dyn AnyForge {
        &self.forge
    }
    fn push(&self, branch: &str, by: &str, list: &[(&str, &str)]) {
        self.forge.double.lock().push(branch, &files(list), by);
    }
    fn commit_outside(&self, minute: i64, list: &[(&str, &str)]) -> String {
        self.forge.set_clock(at(minute));
        self.forge.double.lock().push("main", &files(list), "user")
    }
    fn move_outside(&self, _commit: &str) {
        panic!("there is no outside of GitHub");
    }
    fn snapshot(&self) -> BTreeMap<String, String> {
        let repo = self.forge.double.lock();
        let mut found = repo.refs();
        let issues = repo.issues.iter();
        found.extend(issues.map(|(number, issue)| (format!("#{number}"), format!("{issue:?}"))));
        found
    }
}
