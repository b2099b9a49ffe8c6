//! Secrets: where resources say they are found, read as late as possible, and shown nowhere.

use std::fmt;
use std::path::Path;

use patchwave_core::load::wire::SecretRef;

/// A secret. It is shown by nothing: not by `Debug`, not in an error.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// A secret from its text, blanks around it cut off (files end in a newline).
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.trim().to_owned())
    }

    /// The text. Only for the place that sends it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// `text` without the secret in it: for words that come from elsewhere.
    #[must_use]
    pub fn redact(&self, text: &str) -> String {
        if self.0.is_empty() {
            text.to_owned()
        } else {
            text.replace(&self.0, "[secret]")
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// Why a secret cannot be read. It names the place, never the content.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct SecretError {
    /// What is missing, and where it was looked for.
    pub what: String,
    /// What to do.
    pub help: String,
    /// Whether there simply is none, which a command that only reads may live with.
    pub absent: bool,
}

/// Added to the name of an environment variable it makes the one that holds the path of a file instead: the custom of
/// container images, because an environment is inherited and shown where a mounted file is not.
const FILE_SUFFIX: &str = "_FILE";

/// Reads the secret that `reference` names; a path is relative to `root`. Where the environment variable `NAME` is not set,
/// `NAME_FILE` may hold the path of a file with the secret.
///
/// # Errors
/// [`SecretError`] if there is none, or it cannot be read, or is empty.
pub fn read_secret(reference: &SecretRef, root: &Path) -> Result<Secret, SecretError> {
    read_with(reference, root, &|name| std::env::var(name).ok())
}

fn read_with(
    reference: &SecretRef,
    root: &Path,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<Secret, SecretError> {
    let absent = |what: String, help: String| SecretError {
        what,
        help,
        absent: true,
    };
    let secret = match (&reference.env, &reference.file) {
        (Some(name), _) => match (variable(name), variable(&format!("{name}{FILE_SUFFIX}"))) {
            (Some(text), _) => Secret::new(&text),
            (None, Some(path)) => of_file(&root.join(path))?,
            (None, None) => {
                return Err(absent(
                    format!("the environment variable {name} is not set"),
                    format!(
                        "set {name} to the token, in CI from its secret store, or {name}{FILE_SUFFIX} to a file with it"
                    ),
                ));
            }
        },
        (None, Some(path)) => of_file(&root.join(path))?,
        (None, None) => {
            return Err(absent(
                "a secret names neither `env` nor `file`".to_owned(),
                "write `{env: NAME}` or `{file: path}`".to_owned(),
            ));
        }
    };
    if secret.expose().is_empty() {
        let place = reference
            .env
            .as_deref()
            .or(reference.file.as_deref())
            .unwrap_or_default();
        return Err(absent(
            format!("the secret in {place} is empty"),
            "give it the token".to_owned(),
        ));
    }
    Ok(secret)
}

fn of_file(path: &Path) -> Result<Secret, SecretError> {
    let text = std::fs::read_to_string(path).map_err(|e| SecretError {
        what: format!("the secret file {} cannot be read: {e}", path.display()),
        help: "check the path and who may read it".to_owned(),
        absent: e.kind() == std::io::ErrorKind::NotFound,
    })?;
    Ok(Secret::new(&text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_shown_by_nothing() {
        let secret = Secret::new("  ghp_planted\n");
        assert_eq!(secret.expose(), "ghp_planted");
        assert_eq!(format!("{secret:?}"), "Secret");
        assert_eq!(secret.redact("bad credentials ghp_planted"), "bad credentials [secret]");
    }

    #[test]
    fn a_variable_comes_before_the_file_that_another_names() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("token"), "of the file\n").unwrap();
        let reference = SecretRef {
            env: Some("T".to_owned()),
            file: None,
        };
        let read = |set: &[(&str, &str)]| {
            read_with(&reference, folder.path(), &|name| {
                let found = set.iter().find(|(n, _)| *n == name);
                found.map(|(_, value)| (*value).to_owned())
            })
        };
        assert_eq!(read(&[("T_FILE", "token")]).unwrap().expose(), "of the file");
        let both = read(&[("T_FILE", "token"), ("T", "of the variable")]);
        assert_eq!(both.unwrap().expose(), "of the variable");
        assert!(read(&[("T_FILE", "elsewhere")]).unwrap_err().absent);
        let neither = read(&[]).unwrap_err();
        assert!(neither.absent && neither.help.contains("T_FILE"), "{neither:?}");
    }

    #[test]
    fn a_file_holds_the_secret_alone_and_a_missing_one_is_absent() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("token"), "abc\n").unwrap();
        let at = |path: &str| SecretRef {
            env: None,
            file: Some(path.to_owned()),
        };
        assert_eq!(read_secret(&at("token"), folder.path()).unwrap().expose(), "abc");
        assert!(read_secret(&at("none"), folder.path()).unwrap_err().absent);
        std::fs::write(folder.path().join("empty"), "\n").unwrap();
        assert!(read_secret(&at("empty"), folder.path()).unwrap_err().absent);
    }
}
