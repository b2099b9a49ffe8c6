//! GitHub and Gitea on their doubles as scenes of the contract: the clock is set before each call, and people act on the
//! double.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use jiff::Timestamp;
use patchwave_adapters::forge::github::{Credential, Patience};
use patchwave_adapters::forge::{
    Appended, Applied, Forge, ForgeError, GiteaForge, GiteaSettings, GithubForge, GithubSettings, Layout, People,
    Refusal, TakenIn,
};
use patchwave_adapters::secret::Secret;
use patchwave_adapters::state::StateStore;
use patchwave_core::propose::{ForgeOp, ForgeView};

use crate::double::{Double, Handle, TOKEN};
use crate::support::{AnyForge, ROLLOUTS, Scene, at, files};

/// What a forge on a server is made from, whichever it is.
#[derive(Clone)]
pub struct Settings {
    pub api_url: String,
    pub repository: String,
    pub token: Secret,
    pub layout: Layout,
    pub roles: BTreeSet<String>,
    pub state: Option<StateStore>,
    pub patience: Patience,
}

/// Where a request of one forge is to be met by trouble: method and part of the path.
pub type Place = (&'static str, &'static str);

/// A forge on a server with its double.
pub trait Hosted: Forge + std::fmt::Debug + Sized {
    /// The request that makes a branch.
    const MAKES_BRANCH: Place;
    /// The request that moves a branch.
    const MOVES_BRANCH: Place;
    /// The request that grows the ledger.
    const GROWS_LEDGER: Place;
    /// The request that merges.
    const MERGES: Place;
    /// Where the API lies below the address of the server.
    const API_PATH: &str;
    /// What is said to be missing where a pull request may not be opened.
    const PERMISSION: &str;

    fn open(settings: Settings) -> Result<Self, ForgeError>;
    fn double() -> &'static Double;
    fn api_url() -> String;
}

/// Starts a double with the port and proxy from the environment, if they are there: then the proxy stands between the adapter
/// and the double and holds both to what is published.
fn started(name: &str, start: impl Fn(u16, bool) -> Double) -> Double {
    let port = std::env::var(format!("PATCHWAVE_{name}_DOUBLE_PORT")).ok();
    start(port.as_ref().map_or(0, |port| port.parse().unwrap()), port.is_none())
}

fn address(name: &str, double: &Double) -> String {
    std::env::var(format!("PATCHWAVE_{name}_PROXY")).unwrap_or_else(|_| double.url().to_owned())
}

/// GitHub, pushed to.
#[derive(Debug)]
pub struct PushedGithub(GithubForge);

impl Forge for PushedGithub {
    fn take_in(&self, now: Timestamp) -> Result<TakenIn, ForgeError> {
        self.0.take_in(now)
    }
    fn view(&self) -> Result<ForgeView, ForgeError> {
        self.0.view()
    }
    fn apply(&self, op: &ForgeOp, now: Timestamp) -> Result<Applied, ForgeError> {
        self.0.apply(op, now)
    }
    fn append_ledger(
        &self,
        expected_head: Option<&str>,
        files: &BTreeMap<String, Vec<u8>>,
        message: &str,
        now: Timestamp,
    ) -> Result<Appended, ForgeError> {
        self.0.append_ledger(expected_head, files, message, now)
    }
    fn fence(&self) -> Result<Option<u64>, ForgeError> {
        self.0.fence()
    }
    fn writes(&self) -> u64 {
        self.0.writes()
    }
}

impl Hosted for PushedGithub {
    const MAKES_BRANCH: Place = GiteaForge::MAKES_BRANCH;
    const MOVES_BRANCH: Place = GiteaForge::MOVES_BRANCH;
    const GROWS_LEDGER: Place = GiteaForge::GROWS_LEDGER;
    const MERGES: Place = GithubForge::MERGES;
    const API_PATH: &str = GithubForge::API_PATH;
    const PERMISSION: &str = GithubForge::PERMISSION;

    fn open(settings: Settings) -> Result<Self, ForgeError> {
        github(settings, Some(tempfile::tempdir().unwrap().keep())).map(Self)
    }

    fn double() -> &'static Double {
        GithubForge::double()
    }

    /// A proxy knows the API alone.
    fn api_url() -> String {
        Self::double().url().to_owned()
    }
}

fn github(settings: Settings, copy: Option<std::path::PathBuf>) -> Result<GithubForge, ForgeError> {
    GithubForge::new(GithubSettings {
        api_url: settings.api_url,
        repository: settings.repository,
        base: "main".to_owned(),
        credential: Credential::Token(settings.token),
        layout: settings.layout,
        roles: settings.roles,
        copy,
        clone: None,
        state: settings.state,
        patience: settings.patience,
    })
}

impl Hosted for GithubForge {
    const MAKES_BRANCH: Place = ("POST", "/git/refs");
    const MOVES_BRANCH: Place = ("POST", "/graphql");
    const GROWS_LEDGER: Place = ("PATCH", "/git/refs/heads/patchwave/ledger");
    const MERGES: Place = ("PUT", "/merge");
    const API_PATH: &str = "";
    const PERMISSION: &str = "pull_requests: write";

    fn open(settings: Settings) -> Result<Self, ForgeError> {
        github(settings, None)
    }

    fn double() -> &'static Double {
        static DOUBLE: OnceLock<Double> = OnceLock::new();
        DOUBLE.get_or_init(|| started("GITHUB", Double::start))
    }

    fn api_url() -> String {
        address("GITHUB", Self::double())
    }
}

fn direct(gitea: &Double) -> String {
    format!("{}{}", gitea.url(), GiteaForge::API_PATH)
}

impl Hosted for GiteaForge {
    const MAKES_BRANCH: Place = ("POST", "/git-receive-pack");
    const MOVES_BRANCH: Place = ("POST", "/git-receive-pack");
    const GROWS_LEDGER: Place = ("POST", "/git-receive-pack");
    const MERGES: Place = ("POST", "/merge");
    const API_PATH: &str = "/api/v1";
    const PERMISSION: &str = "write:repository";

    fn open(settings: Settings) -> Result<Self, ForgeError> {
        // Only the API is described, so only its requests go through a proxy.
        let through_a_proxy =
            settings.api_url.starts_with(&Self::api_url()) && Self::api_url() != direct(Self::double());
        let clone_url = format!("{}/{}.git", Self::double().url(), settings.repository);
        Self::new(GiteaSettings {
            clone_url: through_a_proxy.then_some(clone_url),
            api_url: settings.api_url,
            repository: settings.repository,
            base: "main".to_owned(),
            token: settings.token,
            layout: settings.layout,
            roles: settings.roles,
            copy: tempfile::tempdir().unwrap().keep(),
            state: settings.state,
            patience: settings.patience,
        })
    }

    fn double() -> &'static Double {
        static DOUBLE: OnceLock<Double> = OnceLock::new();
        DOUBLE.get_or_init(|| started("GITEA", |port, _| Double::start_gitea(port)))
    }

    fn api_url() -> String {
        format!("{}{}", address("GITEA", Self::double()), Self::API_PATH)
    }
}

/// A repository of its own for each scene.
pub fn repository_of<F: Hosted>(owner: &str) -> Handle {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let name = format!("{owner}/patching-{}", NEXT.fetch_add(1, Ordering::Relaxed));
    F::double().repository(&name, &files(&[("patchwave.yaml", "one\n")]), at(0))
}

/// A forge on a server as the contract plays it.
pub struct HostedScene<F> {
    pub forge: Clocked<F>,
}

pub type GithubScene = HostedScene<GithubForge>;
pub type PushedScene = HostedScene<PushedGithub>;
pub type GiteaScene = HostedScene<GiteaForge>;

/// The forge under test, with the double's clock set before each call, and the waits it asked for.
pub struct Clocked<F> {
    pub tested: F,
    pub double: Handle,
    pub waits: Arc<Mutex<Vec<Duration>>>,
}

impl<F> Drop for HostedScene<F> {
    fn drop(&mut self) {
        assert!(std::thread::panicking() || !self.forge.double.lock().tells_the_token());
    }
}

impl<F: Hosted> HostedScene<F> {
    pub fn new() -> Self {
        Self::with(None)
    }

    pub fn with(state: Option<StateStore>) -> Self {
        Self::on(repository_of::<F>("acme"), state)
    }

    /// A scene on a repository there is: another process, if it is a second one.
    pub fn on(double: Handle, state: Option<StateStore>) -> Self {
        let waits = Arc::new(Mutex::new(Vec::new()));
        let tested = F::open(settings::<F>(&double, state, &waits)).unwrap();
        Self {
            forge: Clocked { tested, double, waits },
        }
    }
}

pub fn settings<F: Hosted>(double: &Handle, state: Option<StateStore>, waits: &Arc<Mutex<Vec<Duration>>>) -> Settings {
    let noted = Arc::clone(waits);
    Settings {
        api_url: F::api_url(),
        repository: double.full_name.clone(),
        token: Secret::new(TOKEN),
        layout: Layout {
            prefix: String::new(),
            rollouts: ROLLOUTS.to_owned(),
        },
        roles: BTreeSet::from(["ops".to_owned()]),
        state,
        patience: Patience {
            sleep: Arc::new(move |wait| noted.lock().unwrap().push(wait)),
            seed: 7,
            ..Patience::default()
        },
    }
}

impl<F> Clocked<F> {
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

impl<F: Forge> Forge for Clocked<F> {
    fn take_in(&self, now: Timestamp) -> Result<TakenIn, ForgeError> {
        self.set_clock(now);
        self.tested.take_in(now)
    }
    fn view(&self) -> Result<ForgeView, ForgeError> {
        self.tested.view()
    }
    fn apply(&self, op: &ForgeOp, now: Timestamp) -> Result<Applied, ForgeError> {
        self.set_clock(now);
        self.tested.apply(op, now)
    }
    fn append_ledger(
        &self,
        expected_head: Option<&str>,
        files: &BTreeMap<String, Vec<u8>>,
        message: &str,
        now: Timestamp,
    ) -> Result<Appended, ForgeError> {
        self.set_clock(now);
        self.tested.append_ledger(expected_head, files, message, now)
    }
    fn fence(&self) -> Result<Option<u64>, ForgeError> {
        self.tested.fence()
    }
    fn writes(&self) -> u64 {
        self.tested.writes()
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

impl<F> People for Clocked<F> {
    fn approve(&self, number: u64, by: &str, now: Timestamp) -> Result<Applied, ForgeError> {
        let by = login(by)?;
        self.set_clock(now);
        // A merged pull request can be reviewed like an open one.
        let refusal = self.unable(number, None);
        let merged = matches!(refusal, Some(Refusal::NotOpen { state: "merged", .. }));
        if let Some(refusal) = refusal.filter(|_| !merged) {
            return Ok(Applied::Refused(refusal));
        }
        let mut repo = self.double.lock();
        let pull = repo.issues[&number].pull.clone().unwrap();
        let head = if merged {
            pull.head.clone()
        } else {
            repo.head_of(&pull.branch).unwrap()
        };
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

impl<F: Hosted> Scene for HostedScene<F> {
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
        panic!("there is no outside of a forge that people push to");
    }
    fn snapshot(&self) -> BTreeMap<String, String> {
        let repo = self.forge.double.lock();
        let mut found = repo.refs();
        // The server's own, which follow when they are asked for.
        found.retain(|name, _| !name.starts_with("refs/pull/"));
        let issues = repo.issues.iter();
        found.extend(issues.map(|(number, issue)| (format!("#{number}"), format!("{issue:?}"))));
        found
    }
}
