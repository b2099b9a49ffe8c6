//! What a run reads again, keeps and leaves alone.

use super::*;

fn a_second_process_with_nothing_new_asks_little_and_writes_nothing<F: Hosted>() {
    let folder = tempfile::tempdir().unwrap();
    let state = || Some(StateStore::new(folder.path()));
    let first = HostedScene::<F>::with(state());
    done(&first, &put_branch("test", "one"), 1);
    done(&first, &put_pull("test", "Wave test"), 1);
    done(&first, &comment("Slack is 3 d."), 1);
    record(&first, None, "{}\n").unwrap();
    let dashboard = ForgeOp::PutDashboard {
        body: "# patchwave\n".into(),
    };
    done(&first, &dashboard, 1);
    // Some minutes later, by the forge's clock, everything is settled.
    first.forge.double.lock().clock = at(9);
    let seen = first.forge.view().unwrap();

    let double = first.forge.double.clone();
    double.lock().log.clear();
    let second = HostedScene::<F>::on(double.clone(), state());
    let again = second.forge.view().unwrap();
    assert_eq!(again, seen);
    let looked = std::mem::take(&mut double.lock().log);
    for op in [put_branch("test", "one"), put_pull("test", "Wave test"), dashboard] {
        assert_eq!(second.forge.apply(&op, at(9)).unwrap(), Applied::Unchanged, "{op:?}");
    }
    assert_eq!(second.forge.writes(), 0);
    let repo = double.lock();
    assert!(repo.writes().is_empty(), "{:?}", repo.writes());
    // References, the list of pull requests, the dashboard: asked for conditionally. Nothing of any pull request, no
    // commit, no tree and no file is read again.
    let read_again = looked.iter().filter(|(_, path)| {
        let of_a_pull = path.contains("/pulls/") || path.contains("/comments") || path.contains("/commits/");
        of_a_pull || path.contains("/git/trees/") || path.contains("/git/blobs/") || path.contains("/compare/")
    });
    assert_eq!(read_again.count(), 0, "{looked:?}");
}

fn the_state_store_keeps_what_is_in_use_and_is_not_believed_blindly<F: Hosted>() {
    let folder = tempfile::tempdir().unwrap();
    let state = || StateStore::new(folder.path());
    let scene = HostedScene::<F>::with(Some(state()));
    for text in ["one", "two", "three"] {
        done(&scene, &put_branch("test", text), 1);
        done(&scene, &put_pull("test", text), 1);
    }
    let next = HostedScene::<F>::on(scene.forge.double.clone(), Some(state()));
    done(&next, &put_branch("test", "four"), 2);
    let seen = next.forge.view().unwrap();
    let kept = state().list("forge/objects").unwrap();
    assert_eq!(kept.len(), 1, "the content of the branch's files: {kept:?}");
    // A changed content is fetched anew, answers of another form are not read.
    state().put(&kept[0], b"forged").unwrap();
    let after = HostedScene::<F>::on(scene.forge.double.clone(), Some(state()));
    assert_eq!(after.forge.view().unwrap(), seen);
    state().put("forge/answers.json", b"{}").unwrap();
    let after = HostedScene::<F>::on(scene.forge.double.clone(), Some(state()));
    assert_eq!(after.forge.view().unwrap(), seen);
}

fn every_page_of_a_list_is_read<F: Hosted>() {
    let scene = HostedScene::<F>::new();
    let waves = ["a", "b", "c", "d", "e"];
    for wave in waves {
        done(&scene, &put_branch(wave, wave), 1);
        done(&scene, &put_pull(wave, wave), 1);
    }
    for text in ["one", "two", "three"] {
        let op = ForgeOp::PutComment {
            number: 3,
            marker: format!("<!-- {text} -->"),
            body: text.into(),
        };
        done(&scene, &op, 2);
    }
    scene.forge.double.lock().page_size = Some(2);
    let other = HostedScene::<F>::on(scene.forge.double.clone(), None);
    let view = other.forge.view().unwrap();
    let titles: Vec<&str> = view.pull_requests.iter().map(|pull| pull.title.as_str()).collect();
    assert_eq!(titles, waves);
    assert_eq!(view.pull_requests[2].comments.len(), 3);
    assert_eq!(
        other.forge.apply(&put_pull("e", "e"), at(3)).unwrap(),
        Applied::Unchanged
    );
}

/// A list without its end would make a pull request, or a person's commit, one that is not there.
fn a_list_that_breaks_off_or_is_not_there_is_no_empty_one<F: Hosted>() {
    let scene = proposed::<F>();
    done(&scene, &put_branch("staging", "one"), 1);
    done(&scene, &put_pull("staging", "Wave staging"), 1);
    scene.push(BRANCH, "lena", &[("a.txt", "a")]);
    scene.forge.merge(1, "maria", None, at(2)).unwrap();
    scene.forge.double.lock().page_size = Some(1);
    for path in ["/pulls?state=all", "&page=2", "/pulls/1/commits"] {
        let other = HostedScene::<F>::on(scene.forge.double.clone(), None);
        let absent = Trouble::Status {
            method: "GET",
            path,
            status: 404,
            message: "Not Found",
        };
        trouble(&other, absent);
        let fault = other.forge.view().unwrap_err();
        assert!(fault.what.contains("404"), "{path}: {fault:?}");
        assert_eq!(other.forge.view().unwrap().pull_requests.len(), 2, "{path}");
    }
}

fn a_kept_page_that_has_become_full_leads_to_the_next<F: Hosted>() {
    let folder = tempfile::tempdir().unwrap();
    let state = || Some(StateStore::new(folder.path()));
    let scene = HostedScene::<F>::with(state());
    scene.forge.double.lock().page_size = Some(2);
    for wave in ["a", "b"] {
        done(&scene, &put_branch(wave, wave), 1);
        done(&scene, &put_pull(wave, wave), 1);
    }
    assert_eq!(scene.forge.view().unwrap().pull_requests.len(), 2);
    let other = HostedScene::<F>::on(scene.forge.double.clone(), None);
    done(&other, &put_branch("c", "c"), 2);
    done(&other, &put_pull("c", "c"), 2);
    let next = HostedScene::<F>::on(scene.forge.double.clone(), state());
    assert_eq!(next.forge.view().unwrap().pull_requests.len(), 3);
}

on_both!(
    every_page_of_a_list_is_read,
    a_list_that_breaks_off_or_is_not_there_is_no_empty_one,
    a_kept_page_that_has_become_full_leads_to_the_next,
);

mod only_on_github {
    on!(GithubForge:
        // Gitea keeps no files: they lie in the copy.
        the_state_store_keeps_what_is_in_use_and_is_not_believed_blindly,
        // Gitea answers no conditional requests; that nothing is written twice there is a scenario of the contract, which the
        // end-to-end tests of the command play on its double too.
        a_second_process_with_nothing_new_asks_little_and_writes_nothing,
    );
}
