//! What a name in `roles` is on GitHub.

use super::wire;
use crate::forge::ForgeError;
use crate::forge::hosted::roles::{RoleName, Stands};
use crate::forge::hosted::wire::{Team, User};
use crate::forge::rest::api::Api;
use crate::forge::rest::kept::Trust;

/// 404 is no answer: GitHub says it of what a token may not see, too. That a bare name is a person's is clear only when the
/// organisation's teams can be listed without it, or the owner is no organisation and so has no teams.
pub(super) fn stands_for(api: &Api, role: RoleName<'_>) -> Result<Stands, ForgeError> {
    let RoleName {
        organisation,
        name,
        bare,
    } = role;
    let teams = format!("orgs/{organisation}/teams");
    let path = api.top(&format!("{teams}/{name}/members?per_page=100"));
    let no_team = || {
        Ok(Stands::Unknown(format!(
            "GET {path} was answered 404: there is no team {organisation}/{name}, or the token may not see it; correct the \
             name, or give the token the permission Members: read of the organisation (a classic token: the scope read:org)"
        )))
    };
    match api.pages::<User>(&path, Trust::Asked) {
        Ok(Some(members)) => {
            return Ok(Stands::Team(members.into_iter().map(|user| user.login).collect()));
        }
        Ok(None) if bare => {}
        Ok(None) => return no_team(),
        Err(why) => return Stands::unknown(why),
    }
    if account(api, organisation)?.is_none_or(|owner| owner.kind != "User") {
        let listed = match api.pages::<Team>(&api.top(&format!("{teams}?per_page=100")), Trust::Asked) {
            Ok(listed) => listed,
            Err(why) => return Stands::unknown(why),
        };
        if listed.is_none_or(|teams| teams.iter().any(|team| team.called().eq_ignore_ascii_case(name))) {
            return no_team();
        }
    }
    Ok(match account(api, name)? {
        Some(account) if account.kind == "Organization" => Stands::an_organisation(name),
        Some(account) => Stands::Person(account.login),
        None => Stands::neither(organisation, name),
    })
}

fn account(api: &Api, login: &str) -> Result<Option<wire::Account>, ForgeError> {
    api.get(&api.top(&format!("users/{login}")), Trust::Asked)
}
