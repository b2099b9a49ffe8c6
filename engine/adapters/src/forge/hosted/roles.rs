//! Whom the names in `roles` stand for, as far as a forge says. What it does not say clearly is not guessed: read as a
//! person's name, a team's would let in whoever has that login, and read as an empty team, a team of deployers would let its
//! own approvals count.

use std::collections::{BTreeMap, BTreeSet};

use super::words::team_of;
use crate::forge::ForgeError;

/// What a name in `roles` is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::forge) enum Stands {
    /// A team, with the logins of its people.
    Team(BTreeSet<String>),
    /// A person with this login.
    Person(String),
    /// The forge does not say: why, and what to do.
    Unknown(String),
}

impl Stands {
    /// What an answer that decides nothing leaves; an error that may be gone the next time is one of the whole look.
    pub(in crate::forge) fn unknown(why: ForgeError) -> Result<Self, ForgeError> {
        if why.retryable {
            return Err(why);
        }
        Ok(Self::Unknown(format!("{why}; {}", why.help)))
    }

    /// A bare name that is an organisation's: many people, none of whom is known by it.
    pub(in crate::forge) fn an_organisation(name: &str) -> Self {
        Self::Unknown(format!(
            "{name} is an organisation, which approves nothing itself; write one of its teams as {name}/team"
        ))
    }

    /// A bare name that clearly is no team, and no account either.
    pub(in crate::forge) fn neither(organisation: &str, name: &str) -> Self {
        Self::Unknown(format!(
            "{organisation} has no team {name} that the token may see, and the forge has no account of that name; correct \
             the name, or write the team of another organisation as organisation/team"
        ))
    }
}

/// A name in `roles`, taken apart.
#[derive(Clone, Copy, Debug)]
pub(in crate::forge) struct RoleName<'a> {
    /// The organisation whose team it may be.
    pub(in crate::forge) organisation: &'a str,
    /// The team, or the person.
    pub(in crate::forge) name: &'a str,
    /// No organisation was named, so that it may be a person's.
    pub(in crate::forge) bare: bool,
}

/// The names in `roles` and what they are.
#[derive(Clone, Debug, Default)]
pub(in crate::forge) struct Roles(BTreeMap<String, Stands>);

impl Roles {
    /// Asks for each name; `owner` is the organisation of a bare one.
    pub(in crate::forge) fn read(
        names: &BTreeSet<String>,
        owner: &str,
        ask: impl Fn(RoleName<'_>) -> Result<Stands, ForgeError>,
    ) -> Result<Self, ForgeError> {
        let mut found = BTreeMap::new();
        for written in names {
            let bare = !written.contains('/');
            let stands = match team_of(written, owner) {
                Some((organisation, name)) => ask(RoleName {
                    organisation,
                    name,
                    bare,
                })?,
                // Accounts of apps end so, and teams cannot.
                None if bare && written.ends_with("[bot]") => Stands::Person(written.trim_start_matches('@').to_owned()),
                None => Stands::Unknown(
                    "it can be the name of no team and no account; write a team as organisation/team, a person as their login"
                        .to_owned(),
                ),
            };
            if let Stands::Unknown(why) = &stands {
                tracing::warn!("who `{written}` of `roles` stands for is not known: {why}");
            }
            found.insert(written.clone(), stands);
        }
        Ok(Self(found))
    }

    /// Each name that is known → the people it stands for.
    pub(in crate::forge) fn members(&self) -> BTreeMap<String, BTreeSet<String>> {
        let known = self.0.iter().filter_map(|(name, stands)| match stands {
            Stands::Team(people) => Some((name.clone(), people.clone())),
            Stands::Person(login) => Some((name.clone(), BTreeSet::from([login.clone()]))),
            Stands::Unknown(_) => None,
        });
        known.collect()
    }

    /// Each name that is not known → why.
    pub(in crate::forge) fn unread(&self) -> BTreeMap<String, String> {
        let unknown = self.0.iter().filter_map(|(name, stands)| match stands {
            Stands::Unknown(why) => Some((name.clone(), why.clone())),
            Stands::Team(_) | Stands::Person(_) => None,
        });
        unknown.collect()
    }

    /// The people of a team, if the name is one's.
    pub(in crate::forge) fn team(&self, name: &str) -> Option<&BTreeSet<String>> {
        match self.0.get(name) {
            Some(Stands::Team(people)) => Some(people),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_clear_answer_decides() {
        let names = ["sre", "acme/ops", "a b", "build[bot]"].map(str::to_owned);
        let ask = |role: RoleName<'_>| {
            let why = ForgeError::terminal("answered 404", "look");
            match (role.organisation, role.name, role.bare) {
                ("acme", "sre", true) => Stands::unknown(why),
                ("acme", "ops", false) => Ok(Stands::Team(BTreeSet::from(["maria".to_owned()]))),
                other => panic!("{other:?}"),
            }
        };
        let roles = Roles::read(&BTreeSet::from(names), "acme", ask).unwrap();
        let known: Vec<String> = roles.members().into_keys().collect();
        assert_eq!(known, ["acme/ops", "build[bot]"]);
        assert_eq!(roles.unread()["sre"], "answered 404; look");
        assert!(roles.unread().contains_key("a b"));
        assert!(roles.team("acme/ops").is_some() && roles.team("build[bot]").is_none());
        let late = |_: RoleName<'_>| Stands::unknown(ForgeError::retryable("answered 502", ""));
        assert!(Roles::read(&BTreeSet::from(["sre".to_owned()]), "acme", late).is_err());
    }
}
