//! # What it does
//! Looks for passwords and tokens in every text of every resource: in addresses, under keys named like a secret, and by
//! the prefixes that vendors give their tokens.
//!
//! # Why is this bad
//! Git forgets nothing, and a pull request shows it to everyone who may read.
//!
//! # Example
//! ```yaml
//! spec: {url: "https://reader:hunter2@monitor.example"}
//! ```
//!
//! # Fix
//! Name where the secret is found (`secretRef: {env: …}` or `{file: …}`), and renew it: once pushed it is known.

use serde_json::Value;

use super::{Context, Rule};
use crate::diag::{Code, Diagnostics};
use crate::source::{DocId, escape_token};

/// Secrets in plain text.
pub static RULE: Rule = Rule {
    name: "secrets",
    codes: &[Code::PlainTextSecret],
    check,
};

/// What vendors start their tokens with, from their own pages on secret scanning: GitHub, GitLab, Slack, AWS, Google,
/// npm, PyPI, HashiCorp Vault, and PEM private keys.
const PREFIXES: &[&str] = &[
    "ghp_",
    "gho_",
    "ghu_",
    "ghs_",
    "ghr_",
    "github_pat_",
    "glpat-",
    "xoxb-",
    "xoxp-",
    "xoxa-",
    "AKIA",
    "ASIA",
    "AIza",
    "npm_",
    "pypi-",
    "hvs.",
    "-----BEGIN PRIVATE KEY",
    "-----BEGIN RSA PRIVATE KEY",
    "-----BEGIN OPENSSH PRIVATE KEY",
    "-----BEGIN EC PRIVATE KEY",
];

/// How the last word of a key says that its value is a secret.
const KEYS: &[&str] = &[
    "password",
    "passwd",
    "passphrase",
    "token",
    "secret",
    "apikey",
    "privatekey",
    "accesskey",
];

fn check(context: &Context<'_>, diagnostics: &mut Diagnostics) {
    for (id, doc) in context.documents.iter() {
        walk(context, id, &doc.value, "", "", diagnostics);
    }
}

fn walk(context: &Context<'_>, id: DocId, value: &Value, key: &str, pointer: &str, diagnostics: &mut Diagnostics) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                walk(
                    context,
                    id,
                    value,
                    key,
                    &format!("{pointer}/{}", escape_token(key)),
                    diagnostics,
                );
            }
        }
        Value::Array(items) => {
            for (i, item) in items.iter().enumerate() {
                walk(context, id, item, key, &format!("{pointer}/{i}"), diagnostics);
            }
        }
        Value::String(text) => {
            if let Some(why) = secret(key, text, pointer) {
                diagnostics.push(
                    context
                        .at(
                            Code::PlainTextSecret,
                            id,
                            pointer,
                            format!("{why}; a secret must not stand in Git"),
                        )
                        .help("name where it is found, for example `{env: NAME}` or `{file: PATH}`, and renew it"),
                );
            }
        }
        _ => {}
    }
}

/// Why a text is taken for a secret. Never shows the text.
fn secret(key: &str, text: &str, pointer: &str) -> Option<&'static str> {
    let reference = pointer
        .rsplit('/')
        .nth(1)
        .is_some_and(|parent| parent.ends_with("From") || parent == "secretRef");
    if reference {
        let name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let is_name = !text.starts_with(|c: char| c.is_ascii_digit()) && text.chars().all(name) && text.len() <= 128;
        return (key == "env" && !is_name)
            .then_some("this is no name of an environment variable, but may be the secret itself");
    }
    if PREFIXES.iter().any(|prefix| starts_a_word(text, prefix)) {
        return Some("this looks like a token or a private key");
    }
    if has_password(text) {
        return Some("this address contains a password");
    }
    let key: String = key
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .collect::<String>()
        .to_lowercase();
    let placeholder = text.is_empty() || text.contains("{{") || text.starts_with('$');
    (KEYS.iter().any(|k| key.ends_with(k)) && !placeholder).then_some("this key is named like a secret")
}

/// Whether a word of the text starts with `prefix` and goes on long enough to be a token.
fn starts_a_word(text: &str, prefix: &str) -> bool {
    /// The shortest token of the vendors above has 20 characters with its prefix.
    const TOKEN_MIN: usize = 16;
    text.match_indices(prefix).any(|(start, _)| {
        let alone = !text
            .get(..start)
            .and_then(|t| t.chars().next_back())
            .is_some_and(char::is_alphanumeric);
        let rest = text.get(start..).unwrap_or("");
        let length = rest
            .chars()
            .take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
            .count();
        alone && (length >= TOKEN_MIN || prefix.starts_with("-----"))
    })
}

/// `scheme://user:password@host`, or a query such as `?token=…`.
fn has_password(text: &str) -> bool {
    text.match_indices("://").any(|(at, scheme)| {
        let rest = text.get(at + scheme.len()..).unwrap_or("");
        let address = rest
            .split(|c: char| c.is_whitespace() || matches!(c, '"' | '\''))
            .next()
            .unwrap_or("");
        let authority = address.split(['/', '?', '#']).next().unwrap_or("");
        let user = authority.rsplit_once('@').and_then(|(user, _)| user.split_once(':'));
        let query = address.split_once('?').map_or("", |(_, query)| query);
        let secret_query = query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .any(|(name, value)| {
                let name: String = name
                    .chars()
                    .filter(char::is_ascii_alphanumeric)
                    .collect::<String>()
                    .to_lowercase();
                !value.is_empty() && !value.starts_with(['$', '{']) && KEYS.iter().any(|k| name.ends_with(k))
            });
        let webhook = authority == "hooks.slack.com" && address.len() > authority.len() + 20;
        user.is_some_and(|(_, password)| !password.is_empty() && !password.starts_with(['$', '{']))
            || secret_query
            || webhook
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_told_from_names() {
        for (key, text, pointer) in [
            ("url", "https://reader:hunter2@monitor.example/api", "/spec/url"),
            ("url", "https://x.example/hook?access_token=abc", "/spec/url"),
            (
                "command",
                "curl -H 'Authorization: ghp_0123456789abcdefghij'",
                "/spec/checks/0/command",
            ),
            ("api-token", "abc", "/metadata/annotations/api-token"),
            ("env", "ghp-0123 4567", "/spec/tokenFrom/env"),
        ] {
            assert!(secret(key, text, pointer).is_some(), "{text}");
        }
        for (key, text, pointer) in [
            ("url", "https://monitor.example:8443/a@b:c", "/spec/url"),
            ("env", "PATCHWAVE_GITHUB_TOKEN", "/spec/forge/tokenFrom/env"),
            ("file", "/run/secrets/token", "/spec/secretRef/file"),
            ("description", "the token lives in the vault", "/spec/description"),
            ("token", "{{ vault_token }}", "/metadata/annotations/token"),
            ("to", "team-linux@acme.example", "/spec/channels/0/to/0"),
            ("name", "AKIA", "/metadata/name"),
        ] {
            assert_eq!(secret(key, text, pointer), None, "{text}");
        }
    }
}
