//! Who asks: a token, or a GitHub App that gets itself tokens.
//!
//! An App proves itself with a signed statement of ten minutes at most, and gets with it a token of an hour for its
//! installation on the repository, which is asked for again shortly before it ends or when the forge no longer takes it.
//!
//! <https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app>

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::json;

use crate::forge::ForgeError;
use crate::secret::Secret;

/// The statement starts in the past, because clocks differ; GitHub advises a minute.
const STATEMENT_BACKDATED: SignedDuration = SignedDuration::from_secs(60);
/// How long the statement lasts; GitHub takes ten minutes at most, counted from its own clock.
const STATEMENT_LASTS: SignedDuration = SignedDuration::from_mins(9);
/// A token that ends sooner is not used any more: a run must not lose it between two requests that belong together.
const TOKEN_LEFT_MIN: SignedDuration = SignedDuration::from_mins(5);

/// Who asks.
#[derive(Clone, Debug)]
pub enum Credential {
    /// A token of an account, or of an App that something else has got.
    Token(Secret),
    /// A GitHub App.
    App(AppKey),
}

/// A GitHub App and the key it proves itself with.
#[derive(Clone)]
pub struct AppKey {
    /// Its id.
    pub id: u64,
    /// Its private key as GitHub gives it: PEM, PKCS #1 or PKCS #8.
    pub private_key: Secret,
    /// The present time. Decisions may be taken as of another instant; a signature may not.
    pub clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
}

impl AppKey {
    /// An App with the clock of this machine.
    #[must_use]
    pub fn new(id: u64, private_key: Secret) -> Self {
        Self {
            id,
            private_key,
            clock: Arc::new(Timestamp::now),
        }
    }
}

impl fmt::Debug for AppKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AppKey").field("id", &self.id).finish_non_exhaustive()
    }
}

/// A token of an App's installation.
#[derive(Clone)]
pub(in crate::forge) struct Lent {
    pub(in crate::forge) token: Secret,
    pub(in crate::forge) until: Timestamp,
}

/// The credential, and what was got with it.
pub(super) struct Auth {
    credential: Credential,
    lent: Mutex<Option<Lent>>,
    /// Everything secret that this process has sent, so that it can be taken out of words that come back.
    sent: Mutex<Vec<Secret>>,
}

impl Auth {
    pub(super) fn new(credential: Credential) -> Self {
        let sent = match &credential {
            Credential::Token(token) => vec![token.clone()],
            Credential::App(_) => Vec::new(),
        };
        Self {
            credential,
            lent: Mutex::new(None),
            sent: Mutex::new(sent),
        }
    }

    fn lent(&self) -> MutexGuard<'_, Option<Lent>> {
        self.lent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sent(&self) -> MutexGuard<'_, Vec<Secret>> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A text without anything secret that was sent.
    pub(super) fn redact(&self, text: &str) -> String {
        self.sent()
            .iter()
            .fold(text.to_owned(), |text, secret| secret.redact(&text))
    }

    /// Whether it is a GitHub App that asks.
    pub(super) const fn is_app(&self) -> bool {
        matches!(self.credential, Credential::App(_))
    }

    /// The token to send, if it is there and good for a while; else the App that must get one.
    pub(super) fn token(&self) -> Result<Secret, &AppKey> {
        match &self.credential {
            Credential::Token(token) => Ok(token.clone()),
            Credential::App(app) => {
                let good = |lent: &&Lent| lent.until.duration_since((app.clock)()) > TOKEN_LEFT_MIN;
                self.lent()
                    .as_ref()
                    .filter(good)
                    .map(|lent| lent.token.clone())
                    .ok_or(app)
            }
        }
    }

    /// Keeps a token that an App has got.
    pub(super) fn keep(&self, lent: Lent) -> Secret {
        let token = lent.token.clone();
        self.sent().push(token.clone());
        *self.lent() = Some(lent);
        token
    }

    /// Drops a token the forge does not take; false = there is no getting another.
    pub(super) fn drop_token(&self) -> bool {
        self.lent().take().is_some()
    }

    /// What an App proves itself with: a JSON Web Token, RS256 (RFC 7519, RFC 7518 §3.3).
    pub(super) fn statement(&self, app: &AppKey) -> Result<Secret, ForgeError> {
        let now = (app.clock)();
        let part = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let seconds = |at: Timestamp, plus: SignedDuration| at.as_second().saturating_add(plus.as_secs());
        let claims = json!({
            "iat": seconds(now, -STATEMENT_BACKDATED), "exp": seconds(now, STATEMENT_LASTS), "iss": app.id.to_string(),
        });
        let signed = format!("{}.{}", part(json!({"alg": "RS256", "typ": "JWT"})), part(claims));
        let key = key_pair(&app.private_key)?;
        let mut signature = vec![0; key.public().modulus_len()];
        key.sign(
            &RSA_PKCS1_SHA256,
            &SystemRandom::new(),
            signed.as_bytes(),
            &mut signature,
        )
        .map_err(|_| unusable("it does not sign"))?;
        let statement = Secret::new(&format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)));
        self.sent().push(statement.clone());
        Ok(statement)
    }
}

fn key_pair(pem: &Secret) -> Result<RsaKeyPair, ForgeError> {
    let key = PrivateKeyDer::from_pem_slice(pem.expose().as_bytes()).map_err(|_| unusable("it is no PEM of one"))?;
    // The error says which rule of RSA keys is broken, nothing of the key.
    match &key {
        PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der()),
        PrivateKeyDer::Pkcs8(der) => RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()),
        _ => return Err(unusable("it is no RSA key")),
    }
    .map_err(|rejected| unusable(&rejected.to_string()))
}

fn unusable(why: &str) -> ForgeError {
    ForgeError::terminal(
        format!("the private key of the GitHub App cannot be used: {why}"),
        "make a private key in the App's settings and put the whole file where `spec.forge.app.privateKeyFrom` says",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_is_none_is_told_without_what_it_holds() {
        for text in [
            "",
            "planted",
            "-----BEGIN RSA PRIVATE KEY-----\ncGxhbnRlZA==\n-----END RSA PRIVATE KEY-----\n",
        ] {
            let app = AppKey {
                id: 7,
                private_key: Secret::new(text),
                clock: Arc::new(|| Timestamp::UNIX_EPOCH),
            };
            let auth = Auth::new(Credential::App(app.clone()));
            let fault = auth.statement(&app).err().unwrap();
            assert!(
                fault.what.contains("cannot be used") && !format!("{fault:?} {app:?}").contains("planted"),
                "{fault:?}"
            );
        }
    }
}
