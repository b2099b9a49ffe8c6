//! Which class an asset has and which policies and exceptions it is in scope of.
//!
//! A condition that has no answer for an asset (a fact was not observed) makes that asset unknown for that rule: it is
//! neither in nor out, and is reported.

use std::sync::Arc;

use jiff::Timestamp;

use super::facts;
use super::rules::{Policy, Rules};
use super::timeline::{self, Series};
use super::trace::Steps;
use crate::load::Resource;
use crate::load::expr::{ExprError, FactValue};
use crate::load::wire::{AssetClassSpec, Exposure};
use crate::lookup::Lookup;
use crate::name::LabelSelector;
use crate::observe::Asset;

/// Whether a rule is for an asset.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Answer {
    /// It is.
    Yes,
    /// It is not.
    No,
    /// It cannot be told, and why.
    Unknown(Arc<str>),
}

impl Answer {
    pub(super) fn of(result: Result<bool, ExprError>) -> Self {
        match result {
            Ok(true) => Self::Yes,
            Ok(false) => Self::No,
            Err(error) => Self::Unknown(error.to_string().into()),
        }
    }
}

/// Answers of asset conditions by the facts they read: few distinct answers serve a whole estate.
#[derive(Default)]
pub(super) struct Answers<'c>(Lookup<&'c str, Lookup<String, Answer>>);

impl<'c> Answers<'c> {
    fn ask(&mut self, rules: &Rules<'c>, text: &'c str, get: &dyn Fn(&str) -> Option<FactValue>) -> Answer {
        let read = rules.catalog.expression(text).map_or(&[][..], |e| e.facts.as_slice());
        let key = fingerprint(read, get);
        let answers = self.0.entry(text).or_default();
        answers
            .entry(key)
            .or_insert_with(|| Answer::of(rules.holds(text, get)))
            .clone()
    }
}

/// The values of facts as one text; equal texts mean equal values.
pub(super) fn fingerprint(facts: &[&str], get: &dyn Fn(&str) -> Option<FactValue>) -> String {
    let mut key = String::new();
    for path in facts {
        // The debug form quotes texts, so values cannot run into each other.
        key.push_str(&format!("{:?};", get(path)));
    }
    key
}

/// Whether an asset's labels satisfy a selector.
pub(super) fn labelled(selector: &LabelSelector, asset: &Asset) -> bool {
    selector.matches(|key| asset.label(key))
}

/// `selector` and `when` of a resource, ANDed. An omitted one is satisfied; what omitting both means is the caller's.
fn matches<'c>(
    rules: &Rules<'c>,
    selector: Option<&LabelSelector>,
    when: Option<&'c String>,
    asset: &Asset,
    get: &dyn Fn(&str) -> Option<FactValue>,
    answers: &mut Answers<'c>,
) -> Answer {
    if selector.is_some_and(|s| !labelled(s, asset)) {
        return Answer::No;
    }
    when.map_or(Answer::Yes, |text| answers.ask(rules, text, get))
}

/// The class of an asset, or why it has none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ClassChoice {
    /// Index into [`Rules::classes`].
    One(usize),
    /// No class matches.
    None,
    /// Several of the highest priority match: indexes in order of name.
    Tie(Vec<usize>),
    /// A class that could win has no answer for this asset.
    Unknown(usize, Arc<str>),
}

impl ClassChoice {
    pub(super) fn index(&self) -> Option<usize> {
        match self {
            Self::One(index) => Some(*index),
            _ => None,
        }
    }
}

/// The class with the highest priority wins. A class that cannot be decided counts only where it could win.
pub(super) fn class<'c>(rules: &Rules<'c>, asset: &Asset, answers: &mut Answers<'c>, steps: &mut Steps) -> ClassChoice {
    let get = |path: &str| facts::of_asset(asset, path);
    let mut best: Vec<(usize, Answer)> = Vec::new();
    let mut priority = i64::MIN;
    for (index, class) in rules.classes.iter().enumerate() {
        let spec = &class.spec;
        if spec.selector.is_none() && spec.when.is_none() {
            continue;
        }
        let answer = matches(rules, spec.selector.as_ref(), spec.when.as_ref(), asset, &get, answers);
        if answer == Answer::No || (spec.priority < priority && !best.is_empty()) {
            continue;
        }
        if spec.priority > priority {
            best.clear();
            priority = spec.priority;
        }
        best.push((index, answer));
    }
    let unknown = best.iter().find_map(|(index, answer)| match answer {
        Answer::Unknown(why) => Some((*index, Arc::clone(why))),
        _ => None,
    });
    let choice = match (unknown, best.as_slice()) {
        (Some((index, why)), _) => ClassChoice::Unknown(index, why),
        (None, []) => ClassChoice::None,
        (None, [(index, _)]) => ClassChoice::One(*index),
        (None, several) => ClassChoice::Tie(several.iter().map(|(index, _)| *index).collect()),
    };
    explain_class(rules, &choice, steps);
    choice
}

fn explain_class(rules: &Rules<'_>, choice: &ClassChoice, steps: &mut Steps) {
    let at = |index: &usize| rules.classes.get(*index).map_or_else(String::new, |c| rules.at(c, ""));
    let name = |index: &usize| rules.classes.get(*index).map_or("", |c| c.name.as_ref());
    steps.say("class", || match choice {
        ClassChoice::One(index) => {
            let priority = rules.classes.get(*index).map_or(0, |c| c.spec.priority);
            (
                format!("class `{}`: the highest priority that matches, {priority}", name(index)),
                at(index),
            )
        }
        ClassChoice::None => ("no AssetClass matches".into(), String::new()),
        ClassChoice::Tie(several) => {
            let places: Vec<String> = several.iter().map(|i| format!("`{}` ({})", name(i), at(i))).collect();
            (
                format!("no class: {} match with the same priority", places.join(" and ")),
                String::new(),
            )
        }
        ClassChoice::Unknown(index, why) => (
            format!("no class: `{}` cannot be decided: {why}", name(index)),
            at(index),
        ),
    });
}

/// The class resource of a choice.
pub(super) fn chosen<'c>(rules: &Rules<'c>, class: Option<usize>) -> Option<&'c Resource<AssetClassSpec>> {
    class.and_then(|index| rules.classes.get(index)).copied()
}

/// Policies whose scope takes the asset or cannot be decided, by index; in order of name.
pub(super) fn policies<'c>(
    rules: &Rules<'c>,
    asset: &Asset,
    class: Option<usize>,
    answers: &mut Answers<'c>,
    steps: &mut Steps,
) -> Vec<(usize, Answer)> {
    let class = chosen(rules, class);
    let get = |path: &str| facts::of_asset(asset, path).or_else(|| facts::of_class(class, path));
    let mut taken = Vec::new();
    for (index, policy) in rules.policies.iter().enumerate() {
        let scope = &policy.resource.spec.scope;
        let given = scope.selector.is_some() || scope.when.is_some();
        let answer = match given {
            true => matches(
                rules,
                scope.selector.as_ref(),
                scope.when.as_ref(),
                asset,
                &get,
                answers,
            ),
            false => Answer::No,
        };
        steps.say("scope", || {
            let name = &policy.resource.name;
            let fact = match &answer {
                Answer::Yes => format!("in scope of policy `{name}`"),
                Answer::No => format!("not in scope of policy `{name}`"),
                Answer::Unknown(why) => format!("scope of policy `{name}` cannot be decided: {why}"),
            };
            (fact, rules.at(policy.resource, "/spec/scope"))
        });
        if answer != Answer::No {
            taken.push((index, answer));
        }
    }
    taken
}

/// Exceptions for the asset, by index. One that cannot be decided gives no relief, and is returned as unknown.
pub(super) fn exceptions<'c>(
    rules: &Rules<'c>,
    asset: &Asset,
    class: Option<usize>,
    answers: &mut Answers<'c>,
) -> Vec<(usize, Answer)> {
    let class = chosen(rules, class);
    let get = |path: &str| facts::of_asset(asset, path).or_else(|| facts::of_class(class, path));
    let all = rules.exceptions.iter().enumerate().map(|(index, exception)| {
        let spec = &exception.spec;
        (
            index,
            matches(rules, spec.selector.as_ref(), spec.when.as_ref(), asset, &get, answers),
        )
    });
    all.filter(|(_, answer)| *answer != Answer::No).collect()
}

/// The exposure of an asset's class over time; a missing one counts as public.
pub(super) fn exposure(rules: &Rules<'_>, asset: &Asset, class: Option<usize>) -> Option<Series<Exposure>> {
    let current = chosen(rules, class)?.spec.exposure.unwrap_or(Exposure::Public);
    let taken = rules.memory.changes.exposures.get(&asset.name);
    Some(timeline::exposures(taken, current, rules.now))
}

/// Since when an asset is in the scope of policies that count from there. An asset that is not remembered there came now.
pub(super) fn in_scope(rules: &Rules<'_>, asset: &Asset, policies: &[(usize, Answer)]) -> Vec<(Arc<str>, Timestamp)> {
    let policies = policies.iter().filter_map(|(index, _)| rules.policies.get(*index));
    let counted = policies.filter(|policy| policy.counts_scope);
    let since = |policy: &Policy<'_>| {
        let name = &policy.resource.name;
        let remembered = rules
            .memory
            .changes
            .scopes
            .get(name)
            .and_then(|assets| assets.get(&asset.name));
        (Arc::clone(name), remembered.copied().unwrap_or(rules.now))
    };
    counted.map(since).collect()
}
