//! What the double does wrong when it is told to.

use std::time::Duration;

use super::http::{Request, Response};
use super::records::Repo;
use super::serve::failure;

/// One piece of trouble, used up by the requests it happens to.
#[derive(Clone, Debug)]
pub enum Trouble {
    /// The next request of this method whose path or query holds this text is answered so.
    Status {
        method: &'static str,
        path: &'static str,
        status: u16,
        message: &'static str,
    },
    /// The same, after it was carried out: the answer got lost on the way.
    LostAnswer { method: &'static str, path: &'static str },
    /// The next writing request is refused by the secondary limit.
    SecondaryLimit { retry_after_seconds: u64 },
    /// The hourly limit is used up for the next request, until so many seconds from now.
    UsedUp { reset_seconds: i64 },
    /// The next request is answered late.
    Slow { delay: Duration },
    /// A permission is missing for the next such request.
    Forbidden {
        method: &'static str,
        path: &'static str,
        permissions: &'static str,
    },
    /// Somebody moves the branch right before the next request of this method whose path holds this text.
    Race {
        method: &'static str,
        path: &'static str,
        branch: &'static str,
    },
}

/// What comes of a request because of trouble.
pub(super) enum Verdict {
    /// It is carried out and answered as usual.
    Usual,
    /// It is answered so and not carried out.
    Instead(Response),
    /// It is carried out and answered so.
    After(Response),
    /// It is carried out and answered late.
    Late(Duration),
}

pub(super) fn befall(repo: &mut Repo, request: &Request) -> Verdict {
    let at = |method: &str, path: &str| {
        request.method == method && (request.path.contains(path) || request.target.contains(path))
    };
    let of_git = request.path.contains(".git/");
    let hit = repo.troubles.iter().position(|trouble| match trouble {
        Trouble::Status { method, path, .. }
        | Trouble::LostAnswer { method, path }
        | Trouble::Forbidden { method, path, .. }
        | Trouble::Race { method, path, .. } => at(method, path),
        Trouble::SecondaryLimit { .. } => request.method != "GET" && request.path != "/graphql" && !of_git,
        Trouble::UsedUp { .. } | Trouble::Slow { .. } => !of_git,
    });
    let Some(index) = hit else { return Verdict::Usual };
    let with = |status: u16, message: &str, headers: &[(&str, String)]| {
        let mut response = failure(status, message);
        for (name, value) in headers {
            response.headers.push(((*name).to_owned(), value.clone()));
        }
        response
    };
    match repo.troubles.remove(index) {
        Trouble::Status { status, message, .. } => Verdict::Instead(failure(status, message)),
        Trouble::LostAnswer { .. } => Verdict::After(failure(502, "Server Error")),
        Trouble::SecondaryLimit { retry_after_seconds } => {
            let said = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.";
            // Before Gitea it is a proxy that counts requests.
            let status = if request.path.starts_with("/api/v1/") { 429 } else { 403 };
            Verdict::Instead(with(status, said, &[("retry-after", retry_after_seconds.to_string())]))
        }
        Trouble::UsedUp { reset_seconds } => {
            let reset = repo.clock.as_second() + reset_seconds;
            let headers = [
                ("x-ratelimit-remaining", "0".to_owned()),
                ("x-ratelimit-reset", reset.to_string()),
            ];
            Verdict::Instead(with(403, "API rate limit exceeded", &headers))
        }
        Trouble::Slow { delay } => Verdict::Late(delay),
        Trouble::Forbidden { permissions, .. } => {
            let headers = [("x-accepted-github-permissions", permissions.to_owned())];
            let said = "Resource not accessible by personal access token";
            Verdict::Instead(with(403, said, &headers))
        }
        Trouble::Race { branch, .. } => {
            let files = [("raced.txt".to_owned(), b"raced".to_vec())].into();
            repo.push(branch, &files, "lena");
            Verdict::Usual
        }
    }
}
