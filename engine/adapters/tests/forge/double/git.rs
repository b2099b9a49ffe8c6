//! Git over smart HTTP: the real `git http-backend` on the double's repositories, with the token as the password.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::PoisonError;
use std::time::Duration;

use base64::Engine as _;

use super::http::{Request, Response};
use super::{Repos, TOKEN};

/// The answer to a request of a Git client; none if it is none.
pub(super) fn answer(repos: &Repos, request: &Request) -> Option<Response> {
    let (name, rest) = request.path.strip_prefix('/')?.split_once(".git/")?;
    if !is_let_in(request) {
        return Some(plain(401, &[("www-authenticate", "Basic realm=\"GitHub\"")], b""));
    }
    let repo = repos.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
    let Some(repo) = repo else {
        return Some(plain(404, &[], b"Repository not found."));
    };
    let mut repo = repo.lock().unwrap_or_else(PoisonError::into_inner);
    let before = repo.refs();
    let answer = backend(&repo.folder.path().display().to_string(), rest, request);
    for (reference, _) in repo.refs().iter().filter(|(name, id)| before.get(*name) != Some(id)) {
        if let Some(branch) = reference.strip_prefix("refs/heads/") {
            repo.touched(branch);
        }
    }
    Some(answer)
}

fn is_let_in(request: &Request) -> bool {
    let given = request.headers.get("authorization").map_or("", String::as_str);
    // The scheme is told in any case.
    let basic = given
        .split_once(' ')
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("basic"));
    let decoded = basic.and_then(|(_, text)| base64::engine::general_purpose::STANDARD.decode(text).ok());
    decoded.is_some_and(|said| {
        String::from_utf8_lossy(&said)
            .split_once(':')
            .is_some_and(|(_, word)| word == TOKEN)
    })
}

fn backend(root: &str, rest: &str, request: &Request) -> Response {
    let header = |name: &str| request.headers.get(name).map_or("", String::as_str);
    let query = request.target.split_once('?').map_or("", |(_, query)| query);
    let mut child = Command::new("git")
        .arg("http-backend")
        .env_clear()
        .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
        .env("HOME", root)
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("GIT_CONFIG_COUNT", "1")
        .env("GIT_CONFIG_KEY_0", "http.receivepack")
        .env("GIT_CONFIG_VALUE_0", "true")
        .env("PATH_INFO", format!("/{rest}"))
        .env("QUERY_STRING", query)
        .env("REQUEST_METHOD", &request.method)
        .env("CONTENT_TYPE", header("content-type"))
        .env("CONTENT_LENGTH", request.body.len().to_string())
        .env("HTTP_CONTENT_ENCODING", header("content-encoding"))
        .env("GIT_PROTOCOL", header("git-protocol"))
        .env("REMOTE_USER", "double")
        .env("REMOTE_ADDR", "127.0.0.1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let body = request.body.clone();
    // Beside the reading: a backend that answers before it has read everything must not wait for us.
    let writer = std::thread::spawn(move || input.write_all(&body));
    let said = child.wait_with_output().unwrap().stdout;
    let _ = writer.join();
    let end = said.windows(4).position(|w| w == b"\r\n\r\n").unwrap_or(said.len());
    let (head, body) = (String::from_utf8_lossy(&said[..end]).into_owned(), said.get(end + 4..));
    let headers: Vec<(&str, &str)> = head.lines().filter_map(|line| line.split_once(": ")).collect();
    let status = headers.iter().find(|(name, _)| *name == "Status");
    let status = status.and_then(|(_, text)| text.get(..3)?.parse().ok()).unwrap_or(200);
    plain(status, &headers, body.unwrap_or_default())
}

fn plain(status: u16, headers: &[(&str, &str)], body: &[u8]) -> Response {
    // The length is told by whoever sends the body.
    let kept = headers
        .iter()
        .filter(|(name, _)| *name != "Status" && !name.eq_ignore_ascii_case("content-length"));
    Response {
        status,
        headers: kept
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        body: body.to_vec(),
        delay: Duration::ZERO,
    }
}
