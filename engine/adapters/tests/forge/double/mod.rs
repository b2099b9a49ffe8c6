//! A double of GitHub: its REST API over a real bare Git repository, on the loopback interface.
//!
//! What it answers has the shape GitHub publishes (`shapes.json` holds the required fields with the example values of
//! GitHub's OpenAPI description), which the contract check proves with a validating proxy in between. It keeps a log of
//! requests, so that tests can count writes, and misbehaves when told to.

mod answers;
mod http;
mod records;
mod rest;
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
    /// Starts one on a port (0 = any that is free). One that is not `conditional` answers every read in full, because a
    /// validating proxy reads a body even where there is none.
    pub fn start(port: u16, conditional: bool) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let repos = Repos::default();
        let served = Arc::clone(&repos);
        http::serve(listener, move |request| rest::answer(&served, request, conditional));
        Self { url, repos }
    }

    /// Address of its API.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Makes a repository `owner/name` whose branch main has one commit. The owner is the organisation `acme`, one that shows
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
