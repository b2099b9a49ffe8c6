//! Git over smart HTTP: the `git http-backend` of the machine, run as the CGI program it is.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use base64::Engine as _;

use super::TOKEN;
use super::http::{Request, Response};
use super::records::Repo;

/// Repository and rest of the path of a request of Git: `/acme/patching.git/info/refs`.
pub(super) fn addressed(request: &Request) -> Option<(String, String)> {
    let (name, rest) = request.path.split_once(".git/")?;
    Some((name.trim_start_matches('/').to_owned(), format!("/{rest}")))
}

/// Whether a request has the token as a password; whose name stands beside it does not matter.
pub(super) fn authorized(request: &Request) -> bool {
    let encoded = request
        .headers
        .get("authorization")
        .and_then(|header| header.strip_prefix("Basic "));
    let pair = encoded.and_then(|encoded| base64::engine::general_purpose::STANDARD.decode(encoded).ok());
    pair.is_some_and(|pair| String::from_utf8_lossy(&pair).split_once(':').map(|(_, word)| word) == Some(TOKEN))
}

/// Asks for the token, as Git expects it.
pub(super) fn unauthorized() -> Response {
    Response {
        status: 401,
        headers: vec![("www-authenticate".to_owned(), "Basic realm=\"Gitea\"".to_owned())],
        body: b"Unauthorized".to_vec(),
        delay: Duration::ZERO,
    }
}

/// Whether a request may change something: what is pushed does, what is fetched is only asked for with a POST.
pub(super) fn writes(target: &str) -> bool {
    !target.contains(".git/") || target.ends_with("git-receive-pack")
}

/// Lets the program answer.
pub(super) fn answer(repo: &Repo, request: &Request, path: &str) -> Response {
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
