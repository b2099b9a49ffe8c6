//! Doubles of GitHub and of Gitea: their APIs over real bare Git repositories, on the loopback interface.
//!
//! What they answer has the shape that is published (`shapes.json` holds the required fields with the example values of
//! GitHub's OpenAPI description), which the contract checks prove with a validating proxy in between. They keep a log of
//! requests, so that tests can count writes, and misbehave when told to. Both have the same inside ([`Repo`]) and
//! answer `git` over smart HTTP.

mod answers;
pub mod app;
mod git_data;
mod git_http;
mod gitea;
mod http;
pub mod records;
mod rest;
mod serve;
pub mod trouble;

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

pub use records::Repo;

/// The token of the engine's account. It is planted: it must turn up nowhere.
pub const TOKEN: &str = "ghp_planted7f3c1e9a5b2d4680";
/// Login of the engine's account.
pub const LOGIN: &str = "acme-patching[bot]";

type Repos = Arc<Mutex<BTreeMap<String, Arc<Mutex<Repo>>>>>;

/// A running double. It ends with the process.
#[derive(Clone)]
pub struct Double {
    url: String,
    repos: Repos,
}

impl Double {
    /// Starts GitHub on a port (0 = any that is free). One that is not `conditional` answers every read in full, because a
    /// validating proxy reads a body even where there is none.
    pub fn start(port: u16, conditional: bool) -> Self {
        Self::serving(port, move |repos, request| {
            let of_git = git_http::served(repos, request);
            of_git.unwrap_or_else(|| serve::answer(&rest::MANNER, repos, request, conditional))
        })
    }

    /// Starts Gitea on a port (0 = any that is free).
    pub fn start_gitea(port: u16) -> Self {
        Self::serving(port, gitea::answer)
    }

    fn serving(port: u16, answer: impl Fn(&Repos, &http::Request) -> http::Response + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let repos = Repos::default();
        let served = Arc::clone(&repos);
        http::serve(listener, move |request| answer(&served, request));
        Self { url, repos }
    }

    /// Its address; GitHub's API lies at its root, Gitea's below `/api/v1`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Makes a repository `owner/name` whose branch main has one commit of these files; without any it is
    /// empty. The owner is the organisation `acme`, one that shows
    /// its teams to nobody (`closed` says so, `veiled` says that there are none), or a person.
    pub fn repository(&self, full_name: &str, files: &BTreeMap<String, Vec<u8>>, now: Timestamp) -> Handle {
        let full_name = full_name.to_owned();
        let repo = Arc::new(Mutex::new(Repo::new(&full_name, files, now)));
        let mut repos = self.repos.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(
            repos.insert(full_name.clone(), Arc::clone(&repo)).is_none(),
            "{full_name} is there already"
        );
        Handle { full_name, repo }
    }
}

/// A repository of the double, held from the inside.
#[derive(Clone)]
pub struct Handle {
    pub full_name: String,
    repo: Arc<Mutex<Repo>>,
}

impl Handle {
    pub fn lock(&self) -> MutexGuard<'_, Repo> {
        self.repo.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
