//! A GitHub App: what it proves itself with is checked, and it is lent tokens that end.

use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use ring::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey};
use serde_json::{Value, json};

use super::answers::time;
use super::http::{Request, Response};
use super::records::Repo;
use super::serve::failure;

/// The App's private key. It is planted, made for these tests, and opens nothing.
pub const KEY: &str = include_str!("app.pem");
/// The App's id.
pub const ID: u64 = 4711;
/// How a lent token begins; it ends in the instant until which it is good.
const LENT: &str = "ghs_planted4f6a91c2e80b7d35";
const TOKEN_SECONDS: i64 = 3600;
/// GitHub takes a statement for ten minutes at most.
const STATEMENT_SECONDS_MAX: i64 = 600;

fn public_key() -> Vec<u8> {
    let body: String = KEY.lines().filter(|line| !line.starts_with("-----")).collect();
    let der = base64::engine::general_purpose::STANDARD.decode(body).unwrap();
    RsaKeyPair::from_der(&der).unwrap().public_key().as_ref().to_vec()
}

/// When the App stated who it is; none if this is no statement of its, or one that lasts too long.
pub(super) fn stated_at(bearer: &str) -> Option<Timestamp> {
    let (signed, signature) = bearer.rsplit_once('.')?;
    let (head, claims) = signed.split_once('.')?;
    let decoded = |part: &str| URL_SAFE_NO_PAD.decode(part).ok();
    let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public_key());
    key.verify(signed.as_bytes(), &decoded(signature)?).ok()?;
    let read = |part: &str| -> Option<Value> { serde_json::from_slice(&decoded(part)?).ok() };
    let (head, claims) = (read(head)?, read(claims)?);
    let (from, to) = (claims["iat"].as_i64()?, claims["exp"].as_i64()?);
    let issuer = claims["iss"].as_str().and_then(|text| text.parse().ok());
    let fine = head["alg"] == "RS256" && issuer == Some(ID) && to - from <= STATEMENT_SECONDS_MAX;
    // It is backdated by a minute.
    Timestamp::from_second(from + 60).ok().filter(|_| fine)
}

pub(super) fn installation() -> Value {
    json!({"id": 77, "app_id": ID, "account": super::answers::user("acme")})
}

/// A token for the repositories that were asked for, good for an hour.
pub(super) fn lend(stated: Timestamp, asked: &Value) -> Value {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let until = stated.as_second() + TOKEN_SECONDS;
    assert_eq!(
        asked["repositories"].as_array().map(Vec::len),
        Some(1),
        "no more than is needed"
    );
    let token = format!("{LENT}_{}_{until}", NEXT.fetch_add(1, Ordering::Relaxed));
    json!({"token": token, "expires_at": time(Timestamp::from_second(until).unwrap())})
}

pub(super) fn is_lent(bearer: &str) -> bool {
    bearer.starts_with(LENT)
}

/// The refusal of a lent token that has ended, by the double's clock, or was taken back.
pub(super) fn refused(repo: &mut Repo, request: &Request) -> Option<Response> {
    let bearer = request
        .headers
        .get("authorization")?
        .strip_prefix("Bearer ")?
        .to_owned();
    if !is_lent(&bearer) {
        return None;
    }
    let until: i64 = bearer.rsplit_once('_').unwrap().1.parse().unwrap();
    if repo.lent.last() != Some(&bearer) {
        repo.lent.push(bearer.clone());
    }
    let ended = repo.clock.as_second() >= until || repo.revoked.contains(&bearer);
    ended.then(|| failure(401, &format!("Bad credentials {bearer}")))
}
