//! Requests with patience: rate limits, repeats where a repeat is safe, answers kept for conditional requests.

mod pages;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::Method;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::address::{next_link, split_url};
use super::auth::{AppKey, Auth, Credential, Lent};
use super::exchange::{Answer, Exchange, Request};
use super::fault;
use super::kept::{Kept, KeptAnswers, Trust, settled};
use super::patience::{Backoff, Patience};
pub(in crate::forge) use pages::PAGES_MAX;

use crate::forge::ForgeError;
use crate::secret::Secret;
use crate::state::StateStore;

/// Whether a request may be sent again without knowing what became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::forge) enum Repeat {
    /// Twice leaves what once leaves.
    Safe,
    /// Twice would be two comments, two pull requests.
    Once,
}

/// How a forge is spoken to.
pub(in crate::forge) struct Style {
    /// Its name in messages.
    pub(in crate::forge) name: &'static str,
    /// The media type asked for.
    pub(in crate::forge) accept: &'static str,
    /// The query that asks for long pages.
    pub(in crate::forge) page: &'static str,
    /// What to give a token that lacks a permission for a request.
    pub(in crate::forge) permission: fn(shown: &str, answer: &Answer) -> String,
}

/// The REST API of one repository.
pub(in crate::forge) struct Api {
    style: &'static Style,
    exchange: Exchange,
    auth: Auth,
    address: String,
    prefix: String,
    repository: String,
    patience: Patience,
    backoff: Mutex<Backoff>,
    kept: Mutex<KeptAnswers>,
    writes: AtomicU64,
}

impl Api {
    /// # Errors
    /// [`ForgeError`] if the address is none, or would send the token in the clear.
    pub(in crate::forge) fn new(
        style: &'static Style,
        api_url: &str,
        repository: &str,
        credential: Credential,
        patience: Patience,
        state: Option<StateStore>,
    ) -> Result<Self, ForgeError> {
        let (address, prefix) = split_url(api_url)?;
        let exchange = Exchange::new(&address, style.accept, patience.timeout)?;
        let of = format!("{address}{prefix}/{repository}");
        Ok(Self {
            style,
            exchange,
            auth: Auth::new(credential),
            address,
            prefix,
            repository: repository.to_owned(),
            backoff: Mutex::new(Backoff::new(patience.seed)),
            patience,
            kept: Mutex::new(KeptAnswers::read(of, state)),
            writes: AtomicU64::new(0),
        })
    }

    /// The path of something in the repository: `pulls/7`.
    pub(in crate::forge) fn repo(&self, rest: &str) -> String {
        let slash = if rest.is_empty() { "" } else { "/" };
        format!("{}/repos/{}{slash}{rest}", self.prefix, self.repository)
    }

    /// The path of something outside the repository: `orgs/acme/teams/sre/members`.
    pub(in crate::forge) fn top(&self, rest: &str) -> String {
        format!("{}/{rest}", self.prefix)
    }

    /// Where the repository is cloned from, if the API's address ends in `suffix` after that of the site.
    pub(in crate::forge) fn clone_url(&self, suffix: &str) -> Option<String> {
        let site = self.prefix.strip_suffix(suffix)?;
        Some(format!("{}{site}/{}.git", self.address, self.repository))
    }

    /// Where the repository is cloned from if the API has a host of its own, whose name begins so.
    pub(in crate::forge) fn clone_url_beside(&self, host_of_api: &str) -> String {
        let (scheme, host) = self.address.split_once("://").unwrap_or(("https", &self.address));
        let host = host.strip_prefix(host_of_api).unwrap_or(host);
        format!("{scheme}://{host}{}/{}.git", self.prefix, self.repository)
    }

    /// The token to send: the one that was given, or one of the App's installation, which is got when there is none that
    /// lasts.
    pub(in crate::forge) fn token(&self) -> Result<Secret, ForgeError> {
        match self.auth.token() {
            Ok(token) => Ok(token),
            Err(app) => self.lend(app),
        }
    }

    /// Gets a token of the App's installation on this repository, and for this repository alone.
    fn lend(&self, app: &AppKey) -> Result<Secret, ForgeError> {
        #[derive(Deserialize)]
        struct Installation {
            id: u64,
        }
        #[derive(Deserialize)]
        struct Token {
            token: String,
            expires_at: jiff::Timestamp,
        }
        let statement = self.auth.statement(app)?;
        let asked = Request {
            method: Method::GET,
            path: self.repo("installation"),
            body: None,
            etag: None,
        };
        let answer = self.send_as(&asked, Repeat::Safe, Some(&statement))?;
        if answer.status == 404 {
            return Err(ForgeError::terminal(
                format!("the GitHub App {} is not installed on {}", app.id, self.repository),
                "install it on this repository, and check `spec.forge.app.id`",
            ));
        }
        let installation: Installation = self.success(&asked, &answer)?;
        let name = self.repository.rsplit('/').next().unwrap_or_default();
        let asked = Request {
            method: Method::POST,
            path: self.top(&format!("app/installations/{}/access_tokens", installation.id)),
            body: Some(serde_json::json!({"repositories": [name]})),
            etag: None,
        };
        // A token more does no harm, so that this may be repeated.
        let answer = self.send_as(&asked, Repeat::Safe, Some(&statement))?;
        let token: Token = self.success(&asked, &answer)?;
        Ok(self.auth.keep(Lent {
            token: Secret::new(&token.token),
            until: token.expires_at,
        }))
    }

    /// The path of the GraphQL API: beside `v3` on GitHub Enterprise Server, below the root on github.com.
    fn graphql_path(&self) -> String {
        let root = self.prefix.strip_suffix("/v3").unwrap_or(&self.prefix);
        format!("{root}/graphql")
    }

    pub(in crate::forge) const fn style(&self) -> &'static Style {
        self.style
    }

    /// The query that asks for long pages.
    pub(in crate::forge) const fn page(&self) -> &'static str {
        self.style.page
    }

    pub(in crate::forge) fn repository(&self) -> &str {
        &self.repository
    }

    /// Writing requests sent so far.
    pub(in crate::forge) fn writes(&self) -> u64 {
        self.writes.load(Ordering::Relaxed)
    }

    fn kept_answers(&self) -> MutexGuard<'_, KeptAnswers> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn backoff(&self) -> MutexGuard<'_, Backoff> {
        self.backoff.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps the answers this run used for the next one.
    pub(in crate::forge) fn keep(&self) {
        self.kept_answers().keep();
    }

    /// Reads one thing; none = there is none.
    pub(in crate::forge) fn get<T: Serialize + DeserializeOwned>(
        &self,
        path: &str,
        trust: Trust<'_>,
    ) -> Result<Option<T>, ForgeError> {
        match self.kept::<T>(path, trust)? {
            Some(kept) => self.parse(path, &kept.body).map(Some),
            None => Ok(None),
        }
    }

    /// Reads one thing that must be there.
    pub(in crate::forge) fn need<T: Serialize + DeserializeOwned>(
        &self,
        path: &str,
        trust: Trust<'_>,
    ) -> Result<T, ForgeError> {
        self.get(path, trust)?
            .ok_or_else(|| fault::missing(&self.shown(&Method::GET, path), &self.repository))
    }

    /// An answer, kept or new. Of a new one only the fields that are read are kept.
    fn kept<T: Serialize + DeserializeOwned>(&self, path: &str, trust: Trust<'_>) -> Result<Option<Kept>, ForgeError> {
        let known = self.kept_answers().of_path(path);
        if let Some(known) = &known {
            let good = match trust {
                Trust::Asked => false,
                Trust::Forever => true,
                Trust::Stamped(stamp) => known.stamp.as_deref() == Some(stamp),
            };
            if good {
                return Ok(Some(known.clone()));
            }
        }
        let request = Request {
            method: Method::GET,
            path: path.to_owned(),
            body: None,
            etag: known.as_ref().and_then(|known| known.etag.clone()),
        };
        let answer = self.send(&request, Repeat::Safe)?;
        let before = known.as_ref().and_then(|known| known.stamp.clone());
        let next_before = known.as_ref().and_then(|known| known.next.clone());
        let unchanged = answer.status == 304;
        let mut kept = match (answer.status, known) {
            // Unchanged is what stands on the page; whether another follows is said anew.
            (304, Some(known)) => Kept {
                next: self.next_page(&answer)?.or(known.next),
                total: total(&answer).or(known.total),
                ..known
            },
            (200, _) => Kept {
                etag: answer.header("etag").map(str::to_owned),
                next: self.next_page(&answer)?,
                total: total(&answer),
                stamp: None,
                body: self.slim::<T>(path, &answer)?,
            },
            (404, _) => {
                self.forget(path);
                return Ok(None);
            }
            _ => return Err(self.fault(&request, &answer)),
        };
        kept.stamp = match trust {
            Trust::Stamped(stamp) if settled(stamp, &answer) => Some(stamp.to_owned()),
            _ => None,
        };
        let changed = !unchanged || kept.stamp != before || kept.next != next_before;
        self.kept_answers().put(path, kept.clone(), changed);
        Ok(Some(kept))
    }

    fn slim<T: Serialize + DeserializeOwned>(&self, path: &str, answer: &Answer) -> Result<String, ForgeError> {
        let read: T = self.parse(path, &String::from_utf8_lossy(&answer.body))?;
        serde_json::to_string(&read).map_err(|e| fault::unreadable(&self.shown(&Method::GET, path), &e.to_string()))
    }

    /// The status a read is answered with, where it alone says something.
    pub(in crate::forge) fn status_of(&self, path: &str) -> Result<u16, ForgeError> {
        let request = Request {
            method: Method::GET,
            path: path.to_owned(),
            body: None,
            etag: None,
        };
        Ok(self.send(&request, Repeat::Safe)?.status)
    }

    /// Forgets a kept answer that something just written has made wrong.
    pub(in crate::forge) fn forget(&self, path: &str) {
        self.kept_answers().forget(path);
    }

    /// The path of the next page, from the `Link` header. Only the path is taken, so the token goes nowhere else.
    fn next_page(&self, answer: &Answer) -> Result<Option<String>, ForgeError> {
        let Some(link) = answer.header("link").and_then(next_link) else {
            return Ok(None);
        };
        let uri: http::Uri = link
            .parse()
            .map_err(|_| fault::unreadable("the next page of a list", "its address is none"))?;
        Ok(uri.path_and_query().map(|path| path.as_str().to_owned()))
    }

    /// Sends a writing request (`null` = without a body) and counts it.
    pub(in crate::forge) fn write(
        &self,
        method: Method,
        path: &str,
        body: serde_json::Value,
        repeat: Repeat,
    ) -> Result<(Request, Answer), ForgeError> {
        let request = Request {
            method,
            path: path.to_owned(),
            body: Some(body).filter(|body| !body.is_null()),
            etag: None,
        };
        self.writes.fetch_add(1, Ordering::Relaxed);
        let answer = self.send(&request, repeat)?;
        Ok((request, answer))
    }

    /// Sends a writing request that must succeed.
    pub(in crate::forge) fn put<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: serde_json::Value,
        repeat: Repeat,
    ) -> Result<T, ForgeError> {
        let (request, answer) = self.write(method, path, body, repeat)?;
        self.success(&request, &answer)
    }

    /// What an answer says, which must be one of success.
    pub(in crate::forge) fn success<T: DeserializeOwned>(
        &self,
        request: &Request,
        answer: &Answer,
    ) -> Result<T, ForgeError> {
        if !answer.is_success() {
            return Err(self.fault(request, answer));
        }
        let body = String::from_utf8_lossy(&answer.body);
        self.parse(&request.path, &body)
    }

    /// Asks the GraphQL API; the error side of the inner result is the messages of the errors it names.
    pub(in crate::forge) fn graphql<T: DeserializeOwned>(
        &self,
        query: &str,
        variables: serde_json::Value,
        writes: bool,
    ) -> Result<Result<T, String>, ForgeError> {
        #[derive(Deserialize)]
        struct Message {
            message: String,
        }
        #[derive(Deserialize)]
        struct Reply {
            data: Option<serde_json::Value>,
            #[serde(default)]
            errors: Vec<Message>,
        }
        let request = Request {
            method: Method::POST,
            path: self.graphql_path(),
            body: Some(serde_json::json!({"query": query, "variables": variables})),
            etag: None,
        };
        if writes {
            self.writes.fetch_add(1, Ordering::Relaxed);
        }
        let answer = self.send(&request, Repeat::Safe)?;
        let reply: Reply = self.success(&request, &answer)?;
        if !reply.errors.is_empty() {
            let messages: Vec<String> = reply.errors.into_iter().map(|error| error.message).collect();
            return Ok(Err(self.auth.redact(&messages.join("; "))));
        }
        let data = reply.data.unwrap_or_default();
        serde_json::from_value(data)
            .map(Ok)
            .map_err(|e| fault::unreadable(&self.shown(&Method::POST, &request.path), &e.to_string()))
    }

    /// Sends a request until it is answered, patience ends, or a repeat would not be safe.
    pub(in crate::forge) fn send(&self, request: &Request, repeat: Repeat) -> Result<Answer, ForgeError> {
        let answer = self.send_as(request, repeat, None)?;
        // A token that was taken back before its time: such a request was not carried out.
        if answer.status == 401 && self.auth.drop_token() {
            return self.send_as(request, repeat, None);
        }
        Ok(answer)
    }

    /// The same with this secret, or else the token.
    fn send_as(&self, request: &Request, repeat: Repeat, secret: Option<&Secret>) -> Result<Answer, ForgeError> {
        let shown = self.shown(&request.method, &request.path);
        let mut tried = 0;
        let bearer = match secret {
            Some(secret) => secret.clone(),
            None => self.token()?,
        };
        loop {
            tried += 1;
            let more = tried < self.patience.tries;
            match self.exchange.send(request, &bearer) {
                Err(why) if repeat == Repeat::Safe && more => {
                    tracing::debug!(request = shown, why = self.auth.redact(&why), "no answer; trying again");
                    (self.patience.sleep)(self.wait_after(tried));
                }
                Err(why) => return Err(fault::no_answer(&shown, &self.auth.redact(&why), tried)),
                Ok(answer) => match fault::asked_to_wait(&answer) {
                    Some(wait) if more && wait <= self.patience.wait_max => {
                        tracing::info!(request = shown, seconds = wait.as_secs(), "the forge asks to wait");
                        (self.patience.sleep)(wait + self.backoff().jitter(Duration::from_secs(1)));
                    }
                    Some(wait) => return Err(fault::limited(&shown, wait)),
                    None if answer.status >= 500 && repeat == Repeat::Safe && more => {
                        tracing::debug!(request = shown, status = answer.status, "trying again");
                        (self.patience.sleep)(self.wait_after(tried));
                    }
                    None => return Ok(answer),
                },
            }
        }
    }

    /// Waits before something is tried once more; false = it was tried often enough.
    pub(in crate::forge) fn wait_before_another(&self, tried: u32) -> bool {
        let more = tried < self.patience.tries;
        if more {
            (self.patience.sleep)(self.wait_after(tried));
        }
        more
    }

    fn wait_after(&self, tried: u32) -> Duration {
        self.backoff().after(tried).min(self.patience.wait_max)
    }

    /// What an unexpected answer means, and what to do about it.
    pub(in crate::forge) fn fault(&self, request: &Request, answer: &Answer) -> ForgeError {
        let shown = self.shown(&request.method, &request.path);
        let mut found = fault::unexpected(&shown, answer, self.style, &self.repository, &|text| {
            self.auth.redact(text)
        });
        if answer.status == 401 && self.auth.is_app() {
            "check `spec.forge.app.id`, that the key where `spec.forge.app.privateKeyFrom` says is one of that App's, and \
             that this machine's clock is right"
                .clone_into(&mut found.help);
        }
        found
    }

    fn shown(&self, method: &Method, path: &str) -> String {
        format!("{method} {}{path}", self.address)
    }

    fn parse<T: DeserializeOwned>(&self, path: &str, body: &str) -> Result<T, ForgeError> {
        serde_json::from_str(body)
            .map_err(|e| fault::unreadable(&self.shown(&Method::GET, path), &self.auth.redact(&e.to_string())))
    }
}

/// So many entries a list has, where the forge says it.
fn total(answer: &Answer) -> Option<usize> {
    answer.header("x-total-count").and_then(|text| text.parse().ok())
}
