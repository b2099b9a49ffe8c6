//! GitHub asked as an App: it gets itself tokens, again before they end and when they are taken back, and says none of them.

use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use patchwave_adapters::forge::github::{AppKey, Credential};
use patchwave_adapters::forge::{Applied, Forge, GithubForge, GithubSettings};
use patchwave_adapters::secret::Secret;

use crate::double::Handle;
use crate::double::app::{ID, KEY};
use crate::double::trouble::Trouble;
use crate::heard::heard;
use crate::hosted_scene::{Hosted, repository_of, settings};
use crate::support::{at, put_branch, put_pull};

/// A forge asked as the App, its double, and the clock of both.
struct Played {
    forge: GithubForge,
    double: Handle,
    clock: Arc<Mutex<Timestamp>>,
}

fn as_app(owner: &str, id: u64, key: &str) -> Played {
    let double = repository_of::<GithubForge>(owner);
    let made = settings::<GithubForge>(&double, None, &Arc::default());
    let clock = Arc::new(Mutex::new(at(0)));
    let shown = Arc::clone(&clock);
    let forge = GithubForge::new(GithubSettings {
        api_url: GithubForge::api_url(),
        repository: made.repository,
        base: "main".to_owned(),
        credential: Credential::App(AppKey {
            id,
            private_key: Secret::new(key),
            clock: Arc::new(move || *shown.lock().unwrap()),
        }),
        layout: made.layout,
        roles: made.roles,
        copy: None,
        clone: None,
        state: None,
        patience: made.patience,
    })
    .unwrap();
    Played { forge, double, clock }
}

impl Played {
    fn new() -> Self {
        as_app("acme", ID, KEY)
    }

    fn at(&self, minute: i64) {
        *self.clock.lock().unwrap() = at(minute);
        self.double.lock().clock = at(minute);
    }

    fn tokens(&self) -> usize {
        self.double.lock().lent.len()
    }
}

#[test]
fn a_token_serves_until_shortly_before_it_ends() {
    let played = Played::new();
    played.forge.view().unwrap();
    let applied = played.forge.apply(&put_branch("test", "one"), at(1)).unwrap();
    assert!(matches!(applied, Applied::Done { .. }));
    played.forge.apply(&put_pull("test", "t"), at(1)).unwrap();
    played.at(54);
    played.forge.view().unwrap();
    assert_eq!(played.tokens(), 1);
    // It has four minutes left; by the double's clock it is still good.
    played.at(56);
    played.forge.view().unwrap();
    assert_eq!(played.tokens(), 2);
    let view = played.forge.view().unwrap();
    assert_eq!(view.pull_requests[0].author, "patchwave");
    assert_eq!(played.tokens(), 2);
}

#[test]
fn a_token_that_is_taken_back_is_got_anew_once() {
    let played = Played::new();
    played.forge.view().unwrap();
    let first = played.double.lock().lent[0].clone();
    played.double.lock().revoked.insert(first);
    played.forge.view().unwrap();
    assert_eq!(played.tokens(), 2);
    // A machine whose clock is late takes an ended token for a good one: the answer tells, and it gets another.
    played.double.lock().clock = at(70);
    *played.clock.lock().unwrap() = at(31);
    played.forge.view().unwrap();
    assert_eq!(played.tokens(), 3);
    // So late that what it is lent has ended, too: one try, no loop.
    played.double.lock().clock = at(500);
    let fault = played.forge.view().unwrap_err();
    assert!(fault.what.contains("wrong, expired or revoked"), "{fault:?}");
    assert_eq!(played.tokens(), 4);
}

#[test]
fn what_keeps_an_app_out_is_said_without_its_key() {
    let elsewhere = as_app("berta", ID, KEY).forge.view().unwrap_err();
    assert!(elsewhere.what.contains("is not installed on berta/"), "{elsewhere:?}");
    let stranger = as_app("acme", 7, KEY).forge.view().unwrap_err();
    assert!(stranger.what.contains("answered 401"), "{stranger:?}");
    let help = &stranger.help;
    assert!(
        help.contains("app.privateKeyFrom") && !help.contains("tokenFrom"),
        "{help}"
    );
    let half: String = KEY.lines().take(4).collect::<Vec<_>>().join("\n");
    let torn = as_app("acme", ID, &half).forge.view().unwrap_err();
    assert!(torn.help.contains("spec.forge.app.privateKeyFrom"), "{torn:?}");
    let secret = KEY.lines().nth(3).unwrap();
    for fault in [elsewhere, stranger, torn] {
        let said = format!("{fault} {fault:?}");
        assert!(
            !said.contains(secret) && !said.contains("eyJ") && !said.contains("ghs_planted"),
            "{said}"
        );
    }
}

#[test]
fn nothing_secret_is_logged_or_said_whatever_comes_back() {
    let text = heard(|| {
        let played = Played::new();
        played.forge.view().unwrap();
        // The double says back the token that it refuses, at the first try and at the last.
        played.double.lock().clock = at(200);
        let fault = played.forge.view().unwrap_err();
        assert!(
            !format!("{fault:?} {:?}", played.forge).contains("ghs_planted"),
            "{fault:?}"
        );
        played.double.lock().clock = at(0);
        let message = "ghs_planted";
        let status = Trouble::Status {
            method: "GET",
            path: "/pulls",
            status: 422,
            message,
        };
        played.double.lock().troubles.push(status);
        played.forge.view().unwrap_err();
    });
    let secret = KEY.lines().nth(3).unwrap();
    for planted in ["ghs_planted4", "eyJ", secret] {
        let at = text.lines().find(|line| line.contains(planted));
        assert_eq!(at, None);
    }
}
