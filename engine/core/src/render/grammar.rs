//! What a value must look like before it may stand in an artifact.
//!
//! Every value comes from a feed, an observation or a form, so it is hostile until it passed the grammar of its type
//! \[Hostile\]. Grammars are closed sets of ASCII characters: none holds a quote, a brace, a blank, a control character
//! or a letter that looks like another, so what passes means the same in YAML, Jinja, a shell word and a file name.
//! Escaping (see [`super::helpers`]) comes on top, not instead.

use core::net::IpAddr;

use super::helpers::is_plain;
use crate::version::Scheme;

/// Longest package name or version taken. Debian and RPM know no limit; real ones stay below 120 characters, and a file
/// name holds 255 bytes.
const WORD_MAX: usize = 255;

/// A type of value, with the rule it must follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grammar {
    /// Name of an asset: at most 253 of `[A-Za-z0-9._-]`, beginning with a letter, digit or underscore, so that it is
    /// never read as an option or a hidden file.
    Asset,
    /// A host name (RFC 1123, underscores allowed as asset names have them) or an IP address.
    Host,
    /// Name of a resource, rollout, wave or hook: lower-case letters, digits and `-`.
    Name,
    /// Id of a batch: digits.
    Batch,
    /// Package name of a version scheme.
    Package(Scheme),
    /// Name of an image: words of package names with `/` between, the first of several may be a registry with its port
    /// (`registry.corp.example:5000/shop/web`; OCI distribution specification, `name`).
    Repository,
    /// Exact version of a version scheme: `[epoch:]version-release` of RPM, `[epoch:]upstream[-revision]` of Debian.
    Version(Scheme),
    /// Architecture of a package or machine.
    Arch,
    /// `name:stream[:version[:context]]`.
    Module,
    /// `ID` or release of os-release.
    Os,
    /// SHA-256 in lower-case hex.
    Digest,
    /// A GUID in lower case: 8-4-4-4-12 hex digits.
    Guid,
    /// Number of a Microsoft article, without `KB`: 5 to 10 digits.
    Article,
    /// A vendor's id of an advisory: `RHSA-2025:10073`, `DSA-5678-1`, `CVE-2025-1`.
    Advisory,
    /// Free text of one line that people named a thing by (a content view, an update's title): no control, direction or
    /// look-alike-format character, at most 255 bytes. It stands only where its file's escape is applied.
    Text,
}

impl Grammar {
    /// Whether `value` follows the rule; if not, what the rule is.
    ///
    /// # Errors
    /// The rule in words, to follow "because it is not".
    pub fn check(self, value: &str) -> Result<(), &'static str> {
        if self.accepts(value) { Ok(()) } else { Err(self.rule()) }
    }

    fn accepts(self, value: &str) -> bool {
        match self {
            Self::Asset => is_asset(value),
            Self::Host => value.parse::<IpAddr>().is_ok() || is_host_name(value),
            Self::Name => word(value, WORD_MAX, is_lower_alnum, |c| is_lower_alnum(c) || c == '-'),
            Self::Batch => word(value, 9, |c| c.is_ascii_digit(), |c| c.is_ascii_digit()),
            Self::Package(scheme) => is_package(scheme, value),
            Self::Repository => is_repository(value),
            Self::Version(scheme) => is_version(scheme, value),
            Self::Arch => word(value, 64, is_lower_alnum, |c| {
                is_lower_alnum(c) || matches!(c, '_' | '-')
            }),
            Self::Module => is_module(value),
            Self::Os => word(value, 64, is_alnum, |c| is_alnum(c) || matches!(c, '.' | '_' | '-')),
            Self::Guid => is_guid(value),
            Self::Article => (5..=10).contains(&value.len()) && value.bytes().all(|b| b.is_ascii_digit()),
            Self::Advisory => word(value, 128, is_alnum, |c| {
                is_alnum(c) || matches!(c, '-' | '_' | '.' | ':')
            }),
            Self::Text => {
                !value.is_empty() && value.len() <= WORD_MAX && value.trim() == value && value.chars().all(is_plain)
            }
            Self::Digest => value.len() == 64 && value.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f')),
        }
    }

    const fn rule(self) -> &'static str {
        match self {
            Self::Asset => "1 to 253 of A-Z a-z 0-9 . _ - beginning with a letter, digit or _",
            Self::Host => "a host name or an IP address",
            Self::Name => "a name of lower-case letters, digits and -",
            Self::Batch => "a batch number",
            Self::Package(Scheme::Deb) => "a Debian package name (Debian Policy 5.6.7)",
            Self::Package(Scheme::Rpm) => "an RPM package name",
            Self::Package(_) => "a package name",
            Self::Repository => "a repository of images",
            Self::Version(Scheme::Deb) => "a Debian version [epoch:]upstream[-revision] (deb-version(7))",
            Self::Version(Scheme::Rpm) => "an RPM version [epoch:]version-release",
            Self::Version(_) => "a version",
            Self::Arch => "an architecture",
            Self::Module => "a module stream name:stream[:version[:context]]",
            Self::Os => "an os-release ID or release",
            Self::Digest => "a SHA-256 in hex",
            Self::Guid => "a GUID in lower case",
            Self::Article => "the number of an article (5 to 10 digits)",
            Self::Advisory => "an id of an advisory",
            Self::Text => "one line of at most 255 bytes without control or direction characters",
        }
    }
}

/// `value` made fit for a message: shortened, control and direction characters made visible.
pub fn shown(value: &str) -> String {
    const SHOWN_MAX: usize = 80;
    let mut text: String = value.chars().take(SHOWN_MAX).flat_map(char::escape_debug).collect();
    if value.chars().nth(SHOWN_MAX).is_some() {
        text.push('…');
    }
    text
}

fn word(value: &str, max: usize, first: impl Fn(char) -> bool, rest: impl Fn(char) -> bool) -> bool {
    let mut chars = value.chars();
    value.len() <= max && chars.next().is_some_and(first) && chars.all(rest)
}

const fn is_alnum(c: char) -> bool {
    c.is_ascii_alphanumeric()
}

const fn is_lower_alnum(c: char) -> bool {
    matches!(c, 'a'..='z' | '0'..='9')
}

fn is_guid(value: &str) -> bool {
    let parts = value.split('-');
    let lengths: Vec<usize> = parts.clone().map(str::len).collect();
    lengths == [8, 4, 4, 4, 12] && parts.flat_map(str::chars).all(|c| matches!(c, '0'..='9' | 'a'..='f'))
}

fn is_asset(value: &str) -> bool {
    word(
        value,
        253,
        |c| is_alnum(c) || c == '_',
        |c| is_alnum(c) || matches!(c, '.' | '_' | '-'),
    )
}

fn is_host_name(value: &str) -> bool {
    let label = |l: &str| {
        word(
            l,
            63,
            |c| is_alnum(c) || c == '_',
            |c| is_alnum(c) || matches!(c, '_' | '-'),
        ) && !l.ends_with('-')
    };
    value.len() <= 253 && value.strip_suffix('.').unwrap_or(value).split('.').all(label)
}

fn is_package(scheme: Scheme, value: &str) -> bool {
    match scheme {
        // Debian Policy 5.6.7: lower case, digits, `+`, `-`, `.`, at least two characters.
        Scheme::Deb => {
            value.len() >= 2
                && word(value, WORD_MAX, is_lower_alnum, |c| {
                    is_lower_alnum(c) || matches!(c, '+' | '-' | '.')
                })
        }
        // rpm's build/parsePreamble.c: letters, digits and `-._+%{}~^`; the macro characters never reach a built package.
        _ => word(value, WORD_MAX, is_alnum, |c| {
            is_alnum(c) || matches!(c, '+' | '-' | '.' | '_' | '~' | '^')
        }),
    }
}

fn is_repository(value: &str) -> bool {
    let part = |text: &str| {
        word(text, WORD_MAX, is_alnum, |c| {
            is_alnum(c) || matches!(c, '+' | '-' | '.' | '_' | '~' | '^')
        })
    };
    let (registry, path) = value
        .split_once('/')
        .map_or((None, value), |(registry, path)| (Some(registry), path));
    let host = |text: &str| match text.split_once(':') {
        Some((name, port)) => part(name) && word(port, 5, |c| c.is_ascii_digit(), |c| c.is_ascii_digit()),
        None => part(text),
    };
    value.len() <= WORD_MAX && registry.is_none_or(host) && path.split('/').all(part)
}

fn is_version(scheme: Scheme, value: &str) -> bool {
    let (epoch, rest) = value
        .split_once(':')
        .map_or((None, value), |(epoch, rest)| (Some(epoch), rest));
    if !epoch.is_none_or(|e| word(e, 10, |c| c.is_ascii_digit(), |c| c.is_ascii_digit())) || value.len() > WORD_MAX {
        return false;
    }
    let part = |text: &str, extra: &[char]| word(text, WORD_MAX, is_alnum, |c| is_alnum(c) || extra.contains(&c));
    match scheme {
        Scheme::Deb => part(rest, &['.', '+', '~', '-', ':']),
        // Without its release a version is not exact: dnf would take any release of it.
        Scheme::Rpm => rest.split_once('-').is_some_and(|(version, release)| {
            part(version, &['.', '_', '+', '~', '^']) && part(release, &['.', '_', '+', '~', '^'])
        }),
        _ => part(rest, &['.', '_', '+', '~', '-']),
    }
}

fn is_module(value: &str) -> bool {
    let parts = value.split(':');
    let count = parts.clone().count();
    (2..=4).contains(&count)
        && parts
            .into_iter()
            .all(|p| word(p, 128, is_alnum, |c| is_alnum(c) || matches!(c, '.' | '_' | '+' | '-')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn yes(grammar: Grammar, values: &[&str]) {
        for value in values {
            assert_eq!(grammar.check(value), Ok(()), "{value}");
        }
    }

    fn no(grammar: Grammar, values: &[&str]) {
        for value in values {
            assert!(grammar.check(value).is_err(), "{value:?} passed {grammar:?}");
        }
    }

    #[test]
    fn real_packages_pass() {
        yes(
            Grammar::Package(Scheme::Rpm),
            &["libstdc++", "java-1.8.0-openjdk", "python3.11", "R-core", "kernel-core"],
        );
        yes(
            Grammar::Package(Scheme::Deb),
            &["g++-12", "libssl3", "linux-image-6.1.0-18-amd64", "libc6"],
        );
        yes(
            Grammar::Version(Scheme::Rpm),
            &["1:3.0.7-27.el9", "5.14.0-427.13.1.el9_4", "2.0~rc1^git1-3.fc41"],
        );
        yes(
            Grammar::Version(Scheme::Deb),
            &["3.0.2-0ubuntu1.18", "1:9.2p1-2+deb12u3", "2.36-9+deb12u4", "20230311"],
        );
        yes(
            Grammar::Host,
            &[
                "web-1",
                "db_2.corp.example",
                "10.0.0.11",
                "2001:db8::1",
                "web-1.corp.example.",
            ],
        );
        yes(
            Grammar::Module,
            &["postgresql:15", "nodejs:18:9040020240301111035:rhel9"],
        );
        yes(
            Grammar::Repository,
            &[
                "nginx",
                "library/nginx",
                "ghcr.io/acme/shop-api",
                "registry.corp.example:5000/a/b_c.d",
                "golden-web",
            ],
        );
        yes(Grammar::Asset, &["web-1", "DB_01.corp", "_edge"]);
    }

    #[test]
    fn what_is_not_exact_or_not_plain_is_refused() {
        no(
            Grammar::Version(Scheme::Rpm),
            &["3.0.7", "a:1-1", "1-1-1", "1:-1", "1-1 --nogpgcheck", "*-1", "1-*"],
        );
        no(Grammar::Version(Scheme::Deb), &["", "1=2", "1.0 -o x", ":1", "1*"]);
        no(
            Grammar::Package(Scheme::Deb),
            &["a", "Libssl3", "-y", "libssl3=1", "lib*"],
        );
        no(
            Grammar::Repository,
            &[
                "",
                "/",
                "a/",
                "/etc/passwd",
                "../x",
                "a/../b",
                "a b",
                "a:1",
                "a:x/b",
                "a@b",
                "https://a/b",
                "-a",
                "a//b",
            ],
        );
        no(Grammar::Asset, &["-i", ".ssh", "../etc", "a/b", "a b", ""]);
        no(
            Grammar::Host,
            &["-oProxyCommand=x", "a..b", "a b", "host;id", "1.2.3.4 -p"],
        );
        no(Grammar::Module, &["postgresql", "a:b:c:d:e", "a:"]);
    }
}
