//! Answering one request, whichever forge is played: who asks, what goes wrong, what a replica shows, and pages.

use std::sync::PoisonError;
use std::time::Duration;

use serde_json::{Value, json};

use super::Repos;
use super::app;
use super::http::{Request, Response};
use super::records::{Past, Repo};
use super::trouble::{Verdict, befall};

/// What one forge does its own way.
pub(super) struct Manner {
    /// Whether a request comes from the engine's account.
    pub(super) authorized: fn(&Request) -> bool,
    /// Requests about no repository.
    pub(super) people: fn(&Request, &Value) -> Option<Reply>,
    /// Which repository a request is about, and the rest of its path.
    pub(super) addressed: fn(&Request, &Value) -> Option<(String, String)>,
    pub(super) route: fn(&mut Repo, &Request, &str, &Value, Option<&Past>) -> Reply,
    /// The parameter that asks for a length of pages, and the length without it.
    pub(super) page: (&'static str, usize),
}

pub(super) type Reply = Result<(u16, Value), (u16, String)>;

/// A failure as GitHub words it.
pub(super) fn failure(status: u16, message: &str) -> Response {
    let body =
        json!({"message": message, "documentation_url": "https://docs.github.com/rest", "status": status.to_string()});
    respond(status, &body)
}

/// An answer; nothing at all for null.
pub(super) fn respond(status: u16, body: &Value) -> Response {
    let json = ("content-type".to_owned(), "application/json; charset=utf-8".to_owned());
    let (headers, body) = if body.is_null() {
        (Vec::new(), Vec::new())
    } else {
        (vec![json], serde_json::to_vec(body).unwrap())
    };
    Response {
        status,
        headers,
        body,
        delay: Duration::ZERO,
    }
}

/// Answers one request.
pub(super) fn answer(manner: &Manner, repos: &Repos, request: &Request, conditional: bool) -> Response {
    if !(manner.authorized)(request) {
        // The real one does not repeat the token; a careless proxy might.
        let token = request.headers.get("authorization").map_or("", String::as_str);
        return failure(401, &format!("Bad credentials {token}"));
    }
    let body: Value = serde_json::from_slice(&request.body).unwrap_or(Value::Null);
    if let Some(reply) = (manner.people)(request, &body) {
        return shown(manner, None, request, reply);
    }
    let Some((name, rest)) = (manner.addressed)(request, &body) else {
        return failure(404, "Not Found");
    };
    let repo = repos.lock().unwrap_or_else(PoisonError::into_inner).get(&name).cloned();
    let Some(repo) = repo else {
        return failure(404, "Not Found");
    };
    let mut repo = repo.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(refused) = app::refused(&mut repo, request) {
        return refused;
    }
    repo.log.push((request.method.clone(), request.target.clone()));
    let verdict = befall(&mut repo, request);
    let mut response = match verdict {
        Verdict::Instead(response) => response,
        Verdict::After(response) => {
            carry_out(manner, &mut repo, request, &rest, &body);
            response
        }
        Verdict::Late(delay) => {
            let mut response = carry_out(manner, &mut repo, request, &rest, &body);
            response.delay = delay;
            response
        }
        Verdict::Usual => carry_out(manner, &mut repo, request, &rest, &body),
    };
    let date = jiff::fmt::rfc2822::DateTimePrinter::new()
        .timestamp_to_rfc9110_string(&repo.clock)
        .unwrap();
    response.headers.push(("date".to_owned(), date));
    if response.status == 200 && request.method == "GET" && conditional {
        let etag = format!("\"{}\"", patchwave_core::canonical::sha256_hex(&response.body));
        if request.headers.get("if-none-match") == Some(&etag) {
            response.status = 304;
        }
        response.headers.push(("etag".to_owned(), etag));
    }
    response
}

/// Carries a request out. Reads shortly after a write may be answered from the past.
fn carry_out(manner: &Manner, repo: &mut Repo, request: &Request, rest: &str, body: &Value) -> Response {
    let reading = request.method == "GET";
    if !reading && repo.stale_reads > 0 {
        repo.past = Some((repo.stale_reads, repo.present()));
    }
    let mut from_the_past = None;
    if reading && let Some((left, past)) = repo.past.take() {
        from_the_past = Some(past.clone());
        repo.past = (left > 1).then_some((left - 1, past));
    }
    let reply = match &from_the_past {
        Some(past) => {
            let now = std::mem::replace(&mut repo.issues, past.issues.clone());
            let reply = (manner.route)(repo, request, rest, body, Some(past));
            repo.issues = now;
            reply
        }
        None => (manner.route)(repo, request, rest, body, None),
    };
    shown(manner, repo.page_size, request, reply)
}

/// A reply as it is sent: a list that was read in pages, of this many entries if not of as many as are asked for.
fn shown(manner: &Manner, page_size: Option<usize>, request: &Request, reply: Reply) -> Response {
    match reply {
        Ok((status, Value::Array(items))) if request.method == "GET" => {
            page(manner, page_size, request, status, &items)
        }
        Ok((status, body)) => respond(status, &body),
        Err((status, message)) => failure(status, &message),
    }
}

fn page(manner: &Manner, page_size: Option<usize>, request: &Request, status: u16, items: &[Value]) -> Response {
    let asked = |name: &str| request.query.get(name).and_then(|text| text.parse::<usize>().ok());
    let size = page_size.or_else(|| asked(manner.page.0)).unwrap_or(manner.page.1);
    let at = asked("page").unwrap_or(1);
    let shown: Vec<Value> = items.iter().skip((at - 1) * size).take(size).cloned().collect();
    let mut response = respond(status, &Value::Array(shown));
    // Gitea tells of some lists only how long they are.
    let counted = ["/reviews", "/labels", "/teams", "/timeline", "/members"];
    let only_counted = manner.page.0 == "limit" && counted.iter().any(|end| request.path.ends_with(end));
    if manner.page.0 == "limit" {
        // Of a timeline it counts what is on the page.
        let count = if request.path.ends_with("/timeline") {
            items.iter().skip((at - 1) * size).take(size).count()
        } else {
            items.len()
        };
        response.headers.push(("x-total-count".to_owned(), count.to_string()));
    }
    if items.len() > at * size && !only_counted {
        let others: String = request
            .target
            .split_once('?')
            .map_or("", |(_, query)| query)
            .split('&')
            .filter(|pair| !pair.is_empty() && !pair.starts_with("page="))
            .map(|pair| format!("{pair}&"))
            .collect();
        let path = request.target.split('?').next().unwrap();
        let link = format!("<https://api.github.com{path}?{others}page={}>; rel=\"next\"", at + 1);
        response.headers.push(("link".to_owned(), link));
    }
    response
}
