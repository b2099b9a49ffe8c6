//! What a refusal means, why there is such a rule, and where the resources stand that decided.

use std::collections::BTreeSet;

use super::{Account, AccountPart, Scene, step};
use crate::assess::{Assessment, Step};
use crate::observe::Observation;
use crate::plan::Refusal;

/// What a reason of a refusal means, and which fields decide it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meaning {
    /// The reason, as it stands in `refusals[]`.
    pub reason: &'static str,
    /// What it says.
    pub says: &'static str,
    /// Why patchwave refuses instead of going on.
    pub because: &'static str,
    /// Where the rule stands: kind and pointer.
    pub decided_by: &'static [(Kind, &'static str)],
}

/// A resource that decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The asset's class.
    Class,
    /// The policies that claim findings of the asset.
    Policy,
    /// The strategies of these policies.
    Strategy,
}

const MEANINGS: &[Meaning] = &[
    Meaning {
        reason: "budget",
        says: "the service or class cannot lose a member at all",
        because: "patching takes the asset out of service, and fewer would be left than the budget asks for",
        decided_by: &[(Kind::Class, "/spec/disruption")],
    },
    Meaning {
        reason: "conflict",
        says: "policies that differ in rollout, strategy or requirements claim one finding",
        because: "which of them is right is a decision, not a guess",
        decided_by: &[(Kind::Policy, "/spec/scope")],
    },
    Meaning {
        reason: "deadline",
        says: "a wave finishes after a deadline of its findings",
        because: "it is planned all the same; people must know that it comes too late, and what would help",
        decided_by: &[(Kind::Strategy, "/spec/waves")],
    },
    Meaning {
        reason: "incompatible",
        says: "the change leaves every row of a CompatibilityMatrix",
        because: "driver, kernel and toolkit only work in combinations somebody vouches for",
        decided_by: &[],
    },
    Meaning {
        reason: "irreversible",
        says: "the way back is worse than the policy asks",
        because: "a policy that asks for a way back must not be met by hope",
        decided_by: &[(Kind::Policy, "/spec/requires"), (Kind::Class, "/spec/protection")],
    },
    Meaning {
        reason: "limit",
        says: "more would start in one run than the policy allows",
        because: "a wrong feed or a wrong edit looks just like this; a person confirms by an Override `what: limit`",
        decided_by: &[(Kind::Policy, "/spec/limits")],
    },
    Meaning {
        reason: "needs a reboot only",
        says: "the fix is installed, and old code still runs",
        because: "there is no package to pin; a reboot or restart closes it",
        decided_by: &[(Kind::Class, "/spec/disruption")],
    },
    Meaning {
        reason: "no-class",
        says: "no class matches the asset, or several of one priority do",
        because: "without a class nobody knows its window, tool and budget",
        decided_by: &[],
    },
    Meaning {
        reason: "no-wave",
        says: "no wave of the strategy takes the asset's environment",
        because: "an asset in no wave would stay open for ever without a word",
        decided_by: &[(Kind::Strategy, "/spec/waves"), (Kind::Class, "/spec/environment")],
    },
    Meaning {
        reason: "no-window",
        says: "the asset's window is not there",
        because: "without a window nobody knows when it may be touched",
        decided_by: &[(Kind::Class, "/spec/window")],
    },
    Meaning {
        reason: "not built",
        says: "the work needs a part that this version does not have",
        because: "a name that is known but does nothing must not look like work that is done",
        decided_by: &[
            (Kind::Class, "/spec/protection/backup"),
            (Kind::Class, "/spec/protection/rollback"),
            (Kind::Class, "/spec/content"),
        ],
    },
    Meaning {
        reason: "not-installable",
        says: "the asset's own list of available packages does not have the version",
        because: "a job that cannot find its package fails in the window; the content must be there first",
        decided_by: &[(Kind::Class, "/spec/content")],
    },
    Meaning {
        reason: "target",
        says: "the class names no tool for this type of advisory",
        because: "a rollout that nobody executes is not a rollout",
        decided_by: &[(Kind::Class, "/spec/targets")],
    },
    Meaning {
        reason: "two-waves",
        says: "two waves of the strategy take the asset",
        because: "it would be patched twice, and prove itself",
        decided_by: &[(Kind::Strategy, "/spec/waves")],
    },
    Meaning {
        reason: "unknown",
        says: "findings cannot be judged",
        because: "unknown is not fine: what nobody can judge is neither planned nor counted as compliant",
        decided_by: &[(Kind::Policy, "/spec/scope")],
    },
    Meaning {
        reason: "unscheduled",
        says: "a wave has no place in time",
        because: "windows, freezes, budgets and order leave none; see what binds",
        decided_by: &[(Kind::Strategy, "/spec/waves"), (Kind::Class, "/spec/window")],
    },
    Meaning {
        reason: "untested",
        says: "no asset of an earlier wave takes or runs the same version on the same system",
        because: "production gets only what was proved before it",
        decided_by: &[(Kind::Policy, "/spec/requires")],
    },
];

/// What a reason means; none for a reason nobody has written about.
pub fn meaning(reason: &str) -> Option<&'static Meaning> {
    MEANINGS.iter().find(|m| m.reason == reason)
}

/// Explains everything refused of an asset, a rollout or a policy, or only what is refused for `reason`. None if nothing
/// is refused of it.
pub fn explain_refusals(scene: &Scene<'_>, name: &str, reason: Option<&str>) -> Option<Account> {
    let about = |r: &&Refusal| {
        let named = if r.asset.is_empty() {
            mentions(&r.detail, name)
        } else {
            r.asset.eq_ignore_ascii_case(name)
        };
        named && reason.is_none_or(|reason| *r.reason == *reason)
    };
    let refusals: Vec<&Refusal> = scene.plan.refusals.iter().filter(about).collect();
    if refusals.is_empty() {
        return None;
    }
    Some(Account {
        subject: format!("what is refused of {name}"),
        now: scene.plan.now,
        steps: Vec::new(),
        parts: refusals.into_iter().map(|r| part(scene, r)).collect(),
    })
}

/// Whether `name` stands in `text` as a word: names hold letters, digits, `-`, `.` and `_`.
fn mentions(text: &str, name: &str) -> bool {
    let inside = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    text.split(|c: char| !inside(c))
        .any(|word| word.trim_end_matches('.') == name)
}

fn part(scene: &Scene<'_>, refusal: &Refusal) -> AccountPart {
    let mut steps = vec![step("refused", refusal.detail.as_str(), "")];
    let meaning = meaning(&refusal.reason);
    if let Some(meaning) = meaning {
        steps.push(step("means", meaning.says, ""));
        steps.push(step("because", meaning.because, ""));
    }
    if let Some(binding) = refusal.binding {
        steps.push(step("binds", binding.as_str(), ""));
    }
    steps.extend(deciders(scene, refusal, meaning));
    steps.extend(refusal.fixes.iter().map(|fix| step("would help", fix.as_str(), "")));
    let whose = if refusal.asset.is_empty() {
        "the plan"
    } else {
        refusal.asset.as_ref()
    };
    AccountPart {
        title: format!("{} of {whose}", refusal.reason),
        steps,
    }
}

/// The lines of the resources that decided, as far as the refused asset tells which they are.
fn deciders(scene: &Scene<'_>, refusal: &Refusal, meaning: Option<&Meaning>) -> Vec<Step> {
    let index = index_of(scene.observation, &refusal.asset);
    let Some((meaning, index)) = meaning.zip(index) else {
        return Vec::new();
    };
    let catalog = scene.catalog;
    let class = scene.assessment.class_of.get(index).cloned().flatten();
    let class = class.and_then(|name| catalog.classes.get(&name));
    let policies = policies_of(scene.assessment, scene.observation, index);
    let policies: Vec<_> = policies.iter().filter_map(|name| catalog.policies.get(*name)).collect();
    let mut steps = Vec::new();
    for (kind, pointer) in meaning.decided_by {
        match kind {
            Kind::Class => steps.extend(class.map(|c| {
                step(
                    "class",
                    format!("{}: {}", c.name, field(pointer)),
                    catalog.at(c.doc, pointer),
                )
            })),
            Kind::Policy => steps.extend(policies.iter().map(|p| {
                step(
                    "policy",
                    format!("{}: {}", p.name, field(pointer)),
                    catalog.at(p.doc, pointer),
                )
            })),
            Kind::Strategy => {
                let names: BTreeSet<&str> = policies.iter().map(|p| p.spec.rollout.as_str()).collect();
                let strategies = names.into_iter().filter_map(|name| catalog.strategies.get(name));
                steps.extend(strategies.map(|s| {
                    step(
                        "strategy",
                        format!("{}: {}", s.name, field(pointer)),
                        catalog.at(s.doc, pointer),
                    )
                }));
            }
        }
    }
    steps
}

fn field(pointer: &str) -> &str {
    pointer.strip_prefix("/spec/").unwrap_or(pointer)
}

fn index_of(observation: &Observation, asset: &str) -> Option<usize> {
    observation.assets.binary_search_by(|a| a.name.as_ref().cmp(asset)).ok()
}

/// The policies that claim findings of an asset.
fn policies_of<'a>(assessment: &'a Assessment, observation: &'a Observation, index: usize) -> BTreeSet<&'a str> {
    let findings = assessment.of(observation, index);
    findings.filter_map(|f| f.judgement.policy.as_deref()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_found_as_a_word_only() {
        assert!(mentions(
            "rollout linux-2026-11-20, wave prod: finishes late",
            "linux-2026-11-20"
        ));
        assert!(mentions("held by web.", "web"));
        assert!(!mentions("rollout linux-2026-11-20-2, wave prod", "linux-2026-11-20"));
    }

    #[test]
    fn meanings_are_sorted_and_each_reason_has_one() {
        assert!(MEANINGS.is_sorted_by(|a, b| a.reason < b.reason));
    }
}
