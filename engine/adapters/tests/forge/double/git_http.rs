//! Git over smart HTTP: the `git http-backend` of the machine, run as the CGI program it is.

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::PoisonError;
use std::time::Duration;

use base64::Engine as _;
use git2::Oid;

use super::http::{Request, Response};
use super::records::Repo;
use super::serve::failure;
use super::trouble::{Verdict, befall};
use super::{Repos, TOKEN};

/// Repository and rest of the path of a request of Git: `/acme/patching.git/info/refs`.
fn addressed(request: &Request) -> Option<(String, String)> {
    let (name, rest) = request.path.split_once(".git/")?;
    Some((name.trim_start_matches('/').to_owned(), format!("/{rest}")))
}

/// Whether a request has the token as a password; whose name stands beside it does not matter.
fn authorized(request: &Request) -> bool {
    let encoded = request
        .headers
        .get("authorization")
        .and_then(|header| header.strip_prefix("Basic "));
    let pair = encoded.and_then(|encoded| base64::engine::general_purpose::STANDARD.decode(encoded).ok());
    let pair = pair
        .map(|pair| String::from_utf8_lossy(&pair).into_owned())
        .unwrap_or_default();
    let word = pair.split_once(':').map_or("", |(_, word)| word);
    word == TOKEN || super::app::is_lent(word)
}

/// Asks for the token, as Git expects it.
fn unauthorized() -> Response {
    Response {
        status: 401,
        headers: vec![("www-authenticate".to_owned(), "Basic realm=\"forge\"".to_owned())],
        body: b"Unauthorized".to_vec(),
        delay: Duration::ZERO,
    }
}

/// Whether a request may change something: what is pushed does, what is fetched is only asked for with a POST.
pub(super) fn writes(target: &str) -> bool {
    !target.contains(".git/") || target.ends_with("git-receive-pack")
}

/// The answer to a request of Git; none if it is one of the API.
pub(super) fn served(repos: &Repos, request: &Request) -> Option<Response> {
    let (name, path) = addressed(request)?;
    if !authorized(request) {
        return Some(unauthorized());
    }
    let found = repos.lock().unwrap_or_else(PoisonError::into_inner).get(&name).cloned();
    let Some(found) = found else {
        return Some(failure(404, "Not Found"));
    };
    let mut repo = found.lock().unwrap_or_else(PoisonError::into_inner);
    repo.log.push((request.method.clone(), request.target.clone()));
    let verdict = befall(&mut repo, request);
    if let Verdict::Instead(response) = verdict {
        return Some(response);
    }
    point_pulls(&repo);
    let before = repo.refs();
    let response = answer(&repo, request, &path);
    for (name, id) in repo.refs() {
        if let Some(branch) = name
            .strip_prefix("refs/heads/")
            .filter(|_| before.get(&name) != Some(&id))
        {
            repo.touched(branch);
        }
    }
    point_pulls(&repo);
    Some(match verdict {
        Verdict::After(response) => response,
        Verdict::Late(delay) => Response { delay, ..response },
        _ => response,
    })
}

/// Brings the references of pull requests to their heads.
pub(super) fn point_pulls(repo: &Repo) {
    let git = repo.git();
    for issue in repo.issues.values().filter(|issue| issue.pull.is_some()) {
        let id = Oid::from_str(&repo.pull_head(issue)).unwrap();
        let name = format!("refs/pull/{}/head", issue.number);
        git.reference(&name, id, true, "double").unwrap();
    }
}

/// Lets the program answer.
fn answer(repo: &Repo, request: &Request, path: &str) -> Response {
    let header = |name: &str| request.headers.get(name).cloned().unwrap_or_default();
    let query = request.target.split_once('?').map_or("", |(_, query)| query);
    let mut child = Command::new("git")
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", repo.folder.path())
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("REMOTE_USER", "engine")
        .env("REQUEST_METHOD", &request.method)
        .env("PATH_INFO", path)
        .env("QUERY_STRING", query)
        .env("CONTENT_TYPE", header("content-type"))
        .env("CONTENT_LENGTH", request.body.len().to_string())
        .env("HTTP_CONTENT_ENCODING", header("content-encoding"))
        .env("HTTP_GIT_PROTOCOL", header("git-protocol"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let body = request.body.clone();
    let writer = std::thread::spawn(move || {
        let _ = stdin.write_all(&body);
    });
    let output = child.wait_with_output().unwrap().stdout;
    writer.join().unwrap();
    let end = output.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    let mut response = Response {
        status: 200,
        headers: Vec::new(),
        body: output[end + 4..].to_vec(),
        delay: Duration::ZERO,
    };
    for line in String::from_utf8_lossy(&output[..end]).lines() {
        let Some((name, value)) = line.split_once(": ") else {
            continue;
        };
        if name == "Status" {
            response.status = value.split(' ').next().unwrap().parse().unwrap();
        } else {
            response.headers.push((name.to_ascii_lowercase(), value.to_owned()));
        }
    }
    response
}
