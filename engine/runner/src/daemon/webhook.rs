//! Which requests may ask for a run.
//!
//! A request proves itself by the HMAC-SHA256 of its raw body under a shared secret, as GitHub sends it
//! (`X-Hub-Signature-256: sha256=<hex>`, "Validating webhook deliveries" in GitHub's documentation). What it says is not
//! read: it can only ask for a run, which then looks at the forge itself.

use std::collections::{BTreeSet, VecDeque};
use std::fmt;

use hmac::{Hmac, Mac as _};
use jiff::{SignedDuration, Timestamp};
use sha2::Sha256;

/// How many deliveries are remembered. At one a second this is more than an hour; a replay from before that costs one
/// run with nothing to do.
const REMEMBERED_MAX: usize = 4096;

/// How far a sender's own time may be from ours, either way.
const TIME_WINDOW: SignedDuration = SignedDuration::from_mins(5);

/// A longer identifier is no identifier: what is remembered is bounded in bytes too.
const DELIVERY_BYTES_MAX: usize = 128;

/// A secret. It has no `Display`, and its `Debug` says nothing.
pub struct Secret(Vec<u8>);

impl Secret {
    /// A secret of these bytes, without the line end a file has.
    ///
    /// # Errors
    /// If it is too short to be one.
    pub fn new(bytes: &[u8]) -> Result<Self, String> {
        let bytes = bytes.trim_ascii();
        if bytes.len() < SECRET_BYTES_MIN {
            return Err(format!(
                "the webhook secret has {} bytes, and fewer than {SECRET_BYTES_MIN} can be guessed",
                bytes.len()
            ));
        }
        Ok(Self(bytes.to_vec()))
    }
}

/// 128 bits, if every byte is random.
const SECRET_BYTES_MIN: usize = 16;

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// What a request shows besides its body.
#[derive(Clone, Copy, Debug, Default)]
pub struct Shown<'a> {
    /// `X-Hub-Signature-256`.
    pub signature: Option<&'a str>,
    /// `X-GitHub-Delivery`.
    pub delivery: Option<&'a str>,
    /// `Webhook-Timestamp` (Unix seconds, as Standard Webhooks has it), for senders that give one.
    pub time: Option<&'a str>,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may ask for a run.
    Accepted,
    /// It was here before: nothing is done.
    Repeated,
    /// It does not prove itself, or is too old. Which of both is not told.
    Refused,
}

/// Judges requests and remembers them.
#[derive(Debug)]
pub struct Gatekeeper {
    secret: Secret,
    order: VecDeque<String>,
    known: BTreeSet<String>,
}

impl Gatekeeper {
    /// A gatekeeper that has seen nothing.
    #[must_use]
    pub fn new(secret: Secret) -> Self {
        Self {
            secret,
            order: VecDeque::new(),
            known: BTreeSet::new(),
        }
    }

    /// Judges a request that arrived at `now`.
    ///
    /// The identifier of a delivery is not under the signature, so the signature itself is remembered as well: the same
    /// body under a new identifier is the same request.
    pub fn judge(&mut self, shown: Shown<'_>, body: &[u8], now: Timestamp) -> Verdict {
        let signature = shown.signature.and_then(|s| s.strip_prefix("sha256="));
        let Some(tag) = signature.and_then(unhex) else {
            return Verdict::Refused;
        };
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.secret.0) else {
            return Verdict::Refused;
        };
        mac.update(body);
        // In constant time: how many bytes agree must not be measurable.
        if mac.verify_slice(&tag).is_err() || !shown.time.is_none_or(|time| is_near(time, now)) {
            return Verdict::Refused;
        }
        let delivery = shown.delivery.filter(|id| id.len() <= DELIVERY_BYTES_MAX);
        let names = [
            signature.map(|s| format!("signature {}", s.to_ascii_lowercase())),
            delivery.map(|id| format!("delivery {id}")),
        ];
        let mut repeated = false;
        for name in names.into_iter().flatten() {
            repeated |= !self.remember(name);
        }
        if repeated { Verdict::Repeated } else { Verdict::Accepted }
    }

    /// False = it was known.
    fn remember(&mut self, name: String) -> bool {
        if !self.known.insert(name.clone()) {
            return false;
        }
        self.order.push_back(name);
        while self.order.len() > REMEMBERED_MAX {
            if let Some(oldest) = self.order.pop_front() {
                self.known.remove(&oldest);
            }
        }
        true
    }
}

fn is_near(seconds: &str, now: Timestamp) -> bool {
    let sent = seconds.parse().ok().and_then(|s| Timestamp::from_second(s).ok());
    sent.is_some_and(|sent| now.duration_since(sent).abs() <= TIME_WINDOW)
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|d| u8::try_from(d).ok());
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    let byte = |[high, low]: &[u8; 2]| Some(digit(high)? << 4 | digit(low)?);
    pairs.iter().map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of GitHub's documentation.
    const SECRET: &[u8] = b"It's a Secret to Everybody";
    const BODY: &[u8] = b"Hello, World!";
    const SIGNATURE: &str = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

    fn gatekeeper() -> Gatekeeper {
        Gatekeeper::new(Secret::new(SECRET).unwrap())
    }

    fn now() -> Timestamp {
        Timestamp::from_second(1_800_000_000).unwrap()
    }

    #[test]
    fn githubs_own_example_is_accepted_once() {
        let mut gatekeeper = gatekeeper();
        let shown = Shown {
            signature: Some(SIGNATURE),
            delivery: Some("1"),
            time: None,
        };
        assert_eq!(gatekeeper.judge(shown, BODY, now()), Verdict::Accepted);
        assert_eq!(gatekeeper.judge(shown, BODY, now()), Verdict::Repeated);
        let renamed = Shown {
            delivery: Some("2"),
            ..shown
        };
        assert_eq!(gatekeeper.judge(renamed, BODY, now()), Verdict::Repeated);
    }

    #[test]
    fn what_does_not_prove_itself_is_refused_and_not_remembered() {
        let mut gatekeeper = gatekeeper();
        let upper = SIGNATURE.to_uppercase();
        let flipped = SIGNATURE.replace("3e17", "3e18");
        let short = "sha256=7571";
        let plain = SIGNATURE.replace("sha256=", "");
        for signature in [
            None,
            Some(""),
            Some("sha256="),
            Some(short),
            Some("sha256=zz"),
            Some("sha1=00"),
            Some(&*upper),
            Some(&*flipped),
            Some(&*plain),
        ] {
            let shown = Shown {
                signature,
                delivery: Some("1"),
                time: None,
            };
            assert_eq!(gatekeeper.judge(shown, BODY, now()), Verdict::Refused, "{signature:?}");
        }
        let shown = Shown {
            signature: Some(SIGNATURE),
            ..Shown::default()
        };
        assert_eq!(gatekeeper.judge(shown, b"Hello, World?", now()), Verdict::Refused);
        assert!(gatekeeper.known.is_empty());
        assert_eq!(gatekeeper.judge(shown, BODY, now()), Verdict::Accepted);
    }

    #[test]
    fn a_senders_time_is_near_ours() {
        for (seconds, verdict) in [
            ("1800000000", Verdict::Accepted),
            ("1799999700", Verdict::Accepted),
            ("1800000300", Verdict::Accepted),
            ("1799999699", Verdict::Refused),
            ("1800000301", Verdict::Refused),
            ("soon", Verdict::Refused),
            ("-9223372036854775808", Verdict::Refused),
        ] {
            let shown = Shown {
                signature: Some(SIGNATURE),
                delivery: None,
                time: Some(seconds),
            };
            assert_eq!(gatekeeper().judge(shown, BODY, now()), verdict, "{seconds}");
        }
    }

    #[test]
    fn memory_is_bounded() {
        let mut gatekeeper = gatekeeper();
        for n in 0..3 * REMEMBERED_MAX {
            assert!(gatekeeper.remember(format!("delivery {n}")));
        }
        assert_eq!(
            (gatekeeper.order.len(), gatekeeper.known.len()),
            (REMEMBERED_MAX, REMEMBERED_MAX)
        );
    }

    #[test]
    fn a_secret_is_never_shown() {
        let debug = format!("{:?}", gatekeeper());
        assert!(!debug.contains("Everybody") && debug.contains("Secret(…)"), "{debug}");
        assert!(Secret::new(b"short\n").is_err());
    }
}
