//! What the answers of a forge mean: which request, which status, why, and what to do.

use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;

use super::api::Style;
use super::exchange::Answer;
use crate::forge::ForgeError;

/// The wait a secondary limit without `Retry-After` asks for ("wait for at least one minute").
///
/// <https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api>
const SECONDARY_WAIT: Duration = Duration::from_secs(60);
/// The part of an answer's own words that is shown.
const WORDS_SHOWN_MAX: usize = 600;

#[derive(Default, Deserialize)]
struct Words {
    #[serde(default)]
    message: String,
    #[serde(default)]
    errors: Vec<serde_json::Value>,
}

/// What an answer says of itself, on one line.
pub(in crate::forge) fn message(answer: &Answer) -> String {
    let words: Words = serde_json::from_slice(&answer.body).unwrap_or_default();
    let mut parts = vec![words.message];
    for error in &words.errors {
        let field = |name: &str| error.get(name).and_then(serde_json::Value::as_str);
        parts.push(
            match (error.as_str(), field("message"), field("field"), field("code")) {
                (Some(text), ..) | (None, Some(text), ..) => text.to_owned(),
                (None, None, Some(name), Some(code)) => format!("{name} is {code}"),
                _ => error.to_string(),
            },
        );
    }
    let text: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    let line = if text.is_empty() {
        // Not the forge's form: what a proxy in between says is worth as much.
        String::from_utf8_lossy(&answer.body).into_owned()
    } else {
        text.join("; ")
    };
    let line = line.replace(['\n', '\r'], " ");
    line.chars().take(WORDS_SHOWN_MAX).collect()
}

/// How long an answer asks to wait, if it is one of a rate limit. Such a request was not carried out.
pub(in crate::forge) fn asked_to_wait(answer: &Answer) -> Option<Duration> {
    if answer.status != 429 && answer.status != 403 {
        return None;
    }
    if let Some(seconds) = answer.header("retry-after").and_then(|text| text.trim().parse().ok()) {
        return Some(Duration::from_secs(seconds));
    }
    if answer.header("x-ratelimit-remaining") == Some("0") {
        // Both instants are the forge's, so that this machine's clock does not matter.
        let reset: Option<i64> = answer.header("x-ratelimit-reset").and_then(|text| text.parse().ok());
        let now = answer.header("date").and_then(http_date).map(Timestamp::as_second);
        let wait = reset.zip(now).map(|(reset, now)| reset.saturating_sub(now).max(1));
        return Some(wait.map_or(SECONDARY_WAIT, |seconds| Duration::from_secs(seconds.unsigned_abs())));
    }
    let secondary = answer.status == 429 || message(answer).contains("secondary rate limit");
    secondary.then_some(SECONDARY_WAIT)
}

/// An instant as HTTP writes it.
pub(in crate::forge) fn http_date(text: &str) -> Option<Timestamp> {
    jiff::fmt::rfc2822::parse(text).ok().map(|zoned| zoned.timestamp())
}

/// An answer that nothing was prepared for.
pub(in crate::forge) fn unexpected(
    shown: &str,
    answer: &Answer,
    style: &Style,
    repository: &str,
    redact: &dyn Fn(&str) -> String,
) -> ForgeError {
    let said = redact(&message(answer));
    let said = if said.is_empty() {
        String::new()
    } else {
        format!(" ({said})")
    };
    let status = answer.status;
    let what = |why: &str| format!("{shown} was answered {status}{said}: {why}");
    match status {
        300..=399 => ForgeError::terminal(
            what("the repository was moved or renamed"),
            "write its present name into `spec.forge.repository`",
        ),
        401 => ForgeError::terminal(
            what("the token is wrong, expired or revoked"),
            "make a new token and put it where `spec.forge.tokenFrom` says",
        ),
        403 if said.contains("archived") => ForgeError::terminal(
            what("the repository is archived, so nothing can be written"),
            "unarchive it, or name another one in `spec.forge.repository`",
        ),
        403 if said.contains("not permitted to create or approve") => ForgeError::terminal(
            what("the organisation or the repository does not let workflows open pull requests"),
            "allow it in its settings (Actions, General), or use the token of a GitHub App",
        ),
        403 => ForgeError::terminal(what("the token lacks a permission"), (style.permission)(shown, answer)),
        404 => ForgeError::terminal(
            what("there is no such thing, or the token may not see it"),
            format!("check that {repository} exists and that the token was given access to it"),
        ),
        409 => ForgeError::retryable(
            what("the repository is empty, or was changed at the same moment"),
            "give the repository a first commit; otherwise run the command again",
        ),
        410 => ForgeError::terminal(
            what("issues are switched off in this repository"),
            "switch issues on in its settings: the dashboard is an issue",
        ),
        422 => ForgeError::terminal(
            what("the forge does not accept what was asked"),
            "the words in brackets are the forge's own; a rule of the repository (protected branch, ruleset, commit signing) may forbid it",
        ),
        500.. => ForgeError::retryable(
            what("the forge is in trouble"),
            "nothing was lost: run the command again later, and look at the forge's status page",
        ),
        _ => ForgeError::terminal(
            what("patchwave does not know this answer"),
            "report it with these words",
        ),
    }
}

/// Which permission is missing: what GitHub says itself, else what the request needs.
pub(in crate::forge) fn permission_of_github(shown: &str, answer: &Answer) -> String {
    if let Some(needed) = answer
        .header("x-accepted-github-permissions")
        .filter(|text| !text.is_empty())
    {
        return format!("give the token the permission {}", needed.replace('=', ": "));
    }
    if let Some(needed) = answer.header("x-accepted-oauth-scopes").filter(|text| !text.is_empty()) {
        let has = answer.header("x-oauth-scopes").unwrap_or_default();
        return format!("give the token one of the scopes {needed} (it has: {has})");
    }
    let needed = if shown.contains("/git/") || shown.contains("/merge") {
        "Contents: write"
    } else if shown.contains("/pulls") {
        "Pull requests: write"
    } else if shown.contains("/check-runs") {
        "Checks: write"
    } else if shown.contains("/statuses") {
        "Commit statuses: write"
    } else if shown.contains("/issues") {
        "Issues: write"
    } else if shown.contains("/teams") {
        "Members: read of the organisation (a classic token: the scope read:org)"
    } else {
        "Contents, Pull requests and Issues: write"
    };
    format!("give the token the permission {needed}")
}

/// A request that was not answered.
pub(in crate::forge) fn no_answer(shown: &str, why: &str, tried: u32) -> ForgeError {
    let times = if tried == 1 {
        String::new()
    } else {
        format!(" after {tried} tries")
    };
    ForgeError::retryable(
        format!("{shown} was not answered{times}: {why}"),
        "check the network and `spec.forge.apiUrl`; what was written stays as it is, and the next run goes on from there",
    )
}

/// A request that was refused for a rate limit, for longer than it is waited.
pub(in crate::forge) fn limited(shown: &str, wait: Duration) -> ForgeError {
    ForgeError::retryable(
        format!("{shown} was refused for a rate limit that ends in {} s", wait.as_secs()),
        "run the command again after that time; a token of an App has a larger limit than a person's",
    )
}

/// Something that must be there and is not.
pub(in crate::forge) fn missing(shown: &str, repository: &str) -> ForgeError {
    ForgeError::terminal(
        format!("{shown} was answered 404: there is no such thing, or the token may not see it"),
        format!("check that {repository} exists and that the token was given access to it"),
    )
}

/// An answer whose form is another than documented.
pub(in crate::forge) fn unreadable(shown: &str, why: &str) -> ForgeError {
    ForgeError::terminal(
        format!("the answer to {shown} cannot be read: {why}"),
        "check that `spec.forge.apiUrl` is the address of the API and not of a proxy's page",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    const STYLE: Style = Style {
        name: "GitHub",
        accept: "",
        page: "",
        permission: permission_of_github,
    };

    fn answer(status: u16, headers: &[(&'static str, &str)], body: &str) -> Answer {
        let mut map = http::HeaderMap::new();
        for (name, value) in headers {
            map.insert(http::HeaderName::from_static(name), value.parse().unwrap());
        }
        Answer {
            status,
            headers: map,
            body: body.as_bytes().to_vec(),
        }
    }

    #[test]
    fn a_wait_is_taken_from_what_the_forge_says() {
        let seconds = |a: &Answer| asked_to_wait(a).map(|wait| wait.as_secs());
        assert_eq!(seconds(&answer(429, &[("retry-after", "7")], "")), Some(7));
        let used_up = [
            ("x-ratelimit-remaining", "0"),
            ("x-ratelimit-reset", "1800000030"),
            ("date", "Fri, 15 Jan 2027 08:00:00 GMT"),
        ];
        assert_eq!(seconds(&answer(403, &used_up, "")), Some(30));
        let secondary = r#"{"message":"You have exceeded a secondary rate limit"}"#;
        assert_eq!(seconds(&answer(403, &[], secondary)), Some(60));
        assert_eq!(seconds(&answer(403, &[], r#"{"message":"Forbidden"}"#)), None);
        assert_eq!(seconds(&answer(200, &[("retry-after", "7")], "")), None);
    }

    #[test]
    fn a_missing_permission_is_named_and_the_token_is_not() {
        let token = Secret::new("ghp_planted");
        let said = r#"{"message":"Resource not accessible to ghp_planted"}"#;
        let given = answer(403, &[("x-accepted-github-permissions", "pull_requests=write")], said);
        let fault = unexpected(
            "POST https://api.github.com/repos/a/b/pulls",
            &given,
            &STYLE,
            "a/b",
            &|text| token.redact(text),
        );
        assert!(fault.help.contains("pull_requests: write"), "{fault:?}");
        assert!(!format!("{fault:?}").contains("ghp_planted"), "{fault:?}");
        let scopes = answer(
            403,
            &[("x-accepted-oauth-scopes", "repo"), ("x-oauth-scopes", "gist")],
            "",
        );
        let fault = unexpected(
            "GET https://api.github.com/repos/a/b/git/refs",
            &scopes,
            &STYLE,
            "a/b",
            &|text| token.redact(text),
        );
        assert!(fault.help.contains("scopes repo (it has: gist)"), "{fault:?}");
        let guessed = unexpected(
            "POST https://h/repos/a/b/issues",
            &answer(403, &[], ""),
            &STYLE,
            "a/b",
            &|text| token.redact(text),
        );
        assert!(guessed.help.contains("Issues: write"), "{guessed:?}");
    }

    #[test]
    fn the_fields_of_a_refusal_are_said() {
        let body =
            r#"{"message":"Validation Failed","errors":[{"field":"head","code":"invalid"},{"message":"No commits"}]}"#;
        assert_eq!(
            message(&answer(422, &[], body)),
            "Validation Failed; head is invalid; No commits"
        );
    }
}
