//! Addresses: of the API, of the next page of a list, of a name in a path.

use crate::forge::ForgeError;
use crate::loopback::is_loopback;

/// The address of `rel="next"` in a `Link` header (RFC 8288).
pub(super) fn next_link(header: &str) -> Option<&str> {
    header.split(',').find_map(|link| {
        let (address, parameters) = link.split_once(';')?;
        let next = parameters.split(';').any(|p| p.trim() == "rel=\"next\"");
        address.trim().strip_prefix('<')?.strip_suffix('>').filter(|_| next)
    })
}

/// Scheme and authority, and the path without a slash at its end.
pub(in crate::forge) fn split_url(url: &str) -> Result<(String, String), ForgeError> {
    let wrong = |why: &str| {
        ForgeError::terminal(
            format!("the forge's address {url:?} cannot be used: {why}"),
            "correct `spec.forge.apiUrl` in patchwave.yaml; for GitHub Enterprise Server it is https://HOST/api/v3, for Gitea https://HOST/api/v1",
        )
    };
    let uri: http::Uri = url.parse().map_err(|_| wrong("it is no URL"))?;
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Err(wrong("it is no URL with a scheme and a host"));
    };
    if authority.as_str().contains('@') {
        return Err(wrong("it holds a user or a password, and a secret has no place in Git"));
    }
    if scheme != "https" && !(scheme == "http" && is_loopback(authority.host())) {
        return Err(wrong("it is not https, so the token would travel in the clear"));
    }
    if uri.query().is_some() {
        return Err(wrong("it has a query"));
    }
    let path = uri.path().trim_end_matches('/').to_owned();
    Ok((format!("{scheme}://{authority}"), path))
}

/// A name as one part of a path: a slash in it separates nothing.
pub(in crate::forge) fn encoded(name: &str) -> String {
    name.bytes()
        .map(|byte| {
            if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_read_from_the_link_header() {
        let header = r#"<https://api.github.com/x?page=1>; rel="prev", <https://api.github.com/x?page=3>; rel="next""#;
        assert_eq!(next_link(header), Some("https://api.github.com/x?page=3"));
        assert_eq!(next_link(r#"<https://api.github.com/x?page=1>; rel="prev""#), None);
    }

    #[test]
    fn a_token_travels_only_over_tls() {
        assert_eq!(
            split_url("https://ghe.example.org/api/v3/").unwrap(),
            ("https://ghe.example.org".to_owned(), "/api/v3".to_owned())
        );
        assert!(split_url("http://127.0.0.1:4020").is_ok() && split_url("http://[::1]:4020").is_ok());
        for url in [
            "http://ghe.example.org/api/v3",
            "ghe.example.org",
            "https://a:b@ghe.example.org",
            "http://localhost.example.org",
            "",
        ] {
            assert!(split_url(url).is_err(), "{url}");
        }
    }
}
