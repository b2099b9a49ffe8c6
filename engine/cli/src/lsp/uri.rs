//! `file:` addresses of files. `lsp-types` has no way between the two, and the rule is short (RFC 8089, RFC 3986 §2.1).

use std::path::{Path, PathBuf};
use std::str::FromStr as _;

use lsp_types::Uri;

/// The address of a file; `None` if its path is not UTF-8.
pub fn of_path(path: &Path) -> Option<Uri> {
    let text = path.to_str()?.replace('\\', "/");
    let mut address = String::from("file://");
    if !text.starts_with('/') {
        address.push('/');
    }
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte) {
            address.push(char::from(byte));
        } else {
            address.push_str(&format!("%{byte:02X}"));
        }
    }
    Uri::from_str(&address).ok()
}

/// The file of an address; `None` if it is no `file:` address.
pub fn to_path(uri: &Uri) -> Option<PathBuf> {
    let rest = uri.as_str().strip_prefix("file://")?;
    let path = rest.get(rest.find('/')?..)?;
    let mut bytes = Vec::new();
    let mut encoded = path.bytes();
    while let Some(byte) = encoded.next() {
        if byte == b'%' {
            let digits = [encoded.next()?, encoded.next()?];
            bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    let text = String::from_utf8(bytes).ok()?;
    // `/c:/x` is a path with a drive.
    let drive = text.as_bytes().get(2) == Some(&b':');
    let path = if drive {
        text.strip_prefix('/').unwrap_or(&text)
    } else {
        &text
    };
    Some(PathBuf::from(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_comes_back() {
        for path in ["/a/b.yaml", "/mit leer/größe#1?.yaml", "/a/100%.yaml"] {
            let uri = of_path(Path::new(path)).unwrap();
            assert_eq!(to_path(&uri).as_deref(), Some(Path::new(path)), "{}", uri.as_str());
        }
        let drive = Uri::from_str("file:///c%3A/x/y.yaml").unwrap();
        assert_eq!(to_path(&drive).as_deref(), Some(Path::new("c:/x/y.yaml")));
        assert_eq!(to_path(&Uri::from_str("untitled:x").unwrap()), None);
    }
}
