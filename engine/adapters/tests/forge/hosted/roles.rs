//! Whom the names in `roles` stand for, and how the engine is told from people.

use super::*;

fn a_team_of_roles_is_known_with_its_people<F: Hosted>() {
    let scene = proposed::<F>();
    let view = scene.forge.view().unwrap();
    let ops = ["ops".to_owned()];
    assert!(view.is_member("maria", &ops) && view.is_member("Lena", &ops));
    assert!(!view.is_member("otto", &ops) && !view.is_member("maria", &["other".to_owned()]));
}

/// What the forge says of these names in `roles` of a repository of this owner: known with their people, and unknown.
fn roles_of<F: Hosted>(owner: &str, names: &[&str]) -> (Vec<String>, BTreeMap<String, String>) {
    let waits = Arc::new(Mutex::new(Vec::new()));
    let mut made = settings::<F>(&repository_of::<F>(owner), None, &waits);
    made.roles = names.iter().map(|name| (*name).to_owned()).collect();
    let view = F::open(made).unwrap().view().unwrap();
    let known = view.members.unwrap().into_iter();
    let known = known.map(|(name, people)| format!("{name}: {}", people.into_iter().collect::<Vec<_>>().join(" ")));
    (known.collect(), view.unread_roles)
}

fn a_name_in_roles_is_what_the_forge_clearly_says_it_is<F: Hosted>() {
    let (known, unknown) = roles_of::<F>("acme", &["acme/ops", "team-sre", "otto", "Berta"]);
    assert_eq!(
        known,
        [
            "Berta: berta",
            "acme/ops: lena maria",
            "otto: otto",
            "team-sre: anna berta"
        ]
    );
    assert_eq!(unknown, BTreeMap::new());
}

fn a_team_that_cannot_be_read_stands_for_nobody_knows_whom<F: Hosted>() {
    // No such team, teams the token may not see (404 and 403), and a team's name that is a stranger's login.
    let (known, unknown) = roles_of::<F>("acme", &["acme/gone", "elsewhere/sre", "closed/sre", "typo", "a b"]);
    assert_eq!(known, Vec::<String>::new());
    let names: Vec<&str> = unknown.keys().map(String::as_str).collect();
    assert_eq!(names, ["a b", "acme/gone", "closed/sre", "elsewhere/sre", "typo"]);
    for team in ["acme/gone", "elsewhere/sre"] {
        assert!(unknown[team].contains("read:org"), "{unknown:?}");
    }
    assert!(unknown["elsewhere/sre"].contains("answered 404"), "{unknown:?}");
    let why = &unknown["closed/sre"];
    assert!(why.contains("answered 403") && why.contains("read:org"), "{why}");
    assert!(unknown["typo"].contains("no account of that name"), "{unknown:?}");
}

fn a_bare_name_is_not_taken_for_a_login_while_teams_cannot_be_listed<F: Hosted>() {
    // There is an account `sre`, and it is a stranger's.
    for owner in ["closed", "veiled"] {
        let (known, unknown) = roles_of::<F>(owner, &["sre"]);
        assert_eq!(known, Vec::<String>::new(), "{owner}");
        assert!(unknown["sre"].contains("read:org"), "{owner}: {unknown:?}");
    }
    // Teams can be listed and this is none, or the owner is a person and has no teams: then it is that login.
    for owner in ["acme", "berta"] {
        assert_eq!(roles_of::<F>(owner, &["sre"]).0, ["sre: sre"], "{owner}");
    }
}

fn an_organisation_is_nobody_who_could_approve<F: Hosted>() {
    let (known, unknown) = roles_of::<F>("acme", &["acme", "veiled"]);
    assert_eq!(known, Vec::<String>::new());
    for name in ["acme", "veiled"] {
        assert!(unknown[name].contains("organisation"), "{unknown:?}");
    }
}

fn the_engine_goes_by_its_own_name_and_nobody_else_does<F: Hosted>() {
    let scene = proposed::<F>();
    scene.forge.double.lock().review(1, "patchwave", "APPROVED");
    let pull = pull(&scene, 1);
    assert_eq!(pull.author, "patchwave");
    assert_eq!(pull.approvals[0].by, "@patchwave");
    assert_eq!(scene.forge.double.lock().issues[&1].user, LOGIN);
}

on_both!(
    a_team_of_roles_is_known_with_its_people,
    a_name_in_roles_is_what_the_forge_clearly_says_it_is,
    a_team_that_cannot_be_read_stands_for_nobody_knows_whom,
    a_bare_name_is_not_taken_for_a_login_while_teams_cannot_be_listed,
    an_organisation_is_nobody_who_could_approve,
    the_engine_goes_by_its_own_name_and_nobody_else_does,
);
