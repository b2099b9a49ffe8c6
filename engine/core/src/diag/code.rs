//! Every code there is, in one list. A code is never reused and never renumbered: people search for it and suppress it.
//!
//! The first digits are the family: 00 reading YAML, 01 schema, 02 names and references, 03 expressions, 04 rules that
//! refuse, 05 rules that advise.

use std::fmt;

use super::Severity;

macro_rules! codes {
    ($($name:ident $id:literal $severity:ident $title:literal $about:literal)+) => {
        /// Which problem a diagnostic is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $(#[doc = $about] $name,)+
        }

        impl Code {
            /// All codes, in order of their number.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// `PW0101`.
            pub const fn id(self) -> &'static str {
                match self { $(Self::$name => $id),+ }
            }

            /// Two to five words.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$name => $title),+ }
            }

            /// One line: what it means.
            pub const fn about(self) -> &'static str {
                match self { $(Self::$name => $about),+ }
            }

            /// How bad it is by nature.
            pub const fn severity(self) -> Severity {
                match self { $(Self::$name => Severity::$severity),+ }
            }
        }
    };
}

codes! {
    YamlSyntax "PW0001" Error "YAML syntax" "The text is not YAML; the document could not be read."
    DuplicateKey "PW0002" Error "duplicate key" "A key stands twice in one mapping; YAML does not say which counts."
    LookAlike "PW0003" Warning "ambiguous scalar" "An unquoted word that YAML 1.1 tools read as a boolean or a number."
    InputLimit "PW0004" Error "input too large" "A file, value, nesting or alias expansion exceeds what is read."
    UnsupportedYaml "PW0005" Error "unsupported YAML" "YAML that has no meaning in a resource, such as a local tag or infinity."
    UnreadableFile "PW0006" Error "unreadable file" "A file could not be read as text."

    UnknownField "PW0101" Error "unknown field" "A field that this kind of resource does not have."
    MissingField "PW0102" Error "missing field" "A field that must be there is missing."
    WrongType "PW0103" Error "wrong type" "A value of the wrong type, such as a number where a text is needed."
    WrongValue "PW0104" Error "wrong value" "A value of the right type that the field does not take."
    UnknownKind "PW0105" Error "unknown kind" "A `kind` that patchwave does not have."
    UnknownApiVersion "PW0106" Error "unknown apiVersion" "An `apiVersion` other than `patchwave.dev/v1`."
    NotAResource "PW0107" Error "not a resource" "A document without `apiVersion` and `kind`."
    WrongName "PW0108" Error "wrong name" "A `metadata.name` that is not a DNS-1123 label."
    WrongCombination "PW0109" Error "fields do not fit together" "Fields that exclude each other, or one that needs another."

    DanglingReference "PW0201" Error "dangling reference" "A name that no resource has."
    DuplicateName "PW0202" Error "duplicate name" "Two resources of one kind, or two things of one list, with the same name."
    AmbiguousReference "PW0203" Error "ambiguous reference" "A name that could mean more than one thing."
    NoProject "PW0204" Error "no project" "There is no `patchwave.yaml` with a Project, or more than one."
    WaveCycle "PW0205" Error "cycle of waves" "Waves that need each other could never start."
    ServiceCycle "PW0206" Error "cycle of services" "Services that depend on each other could never be ordered."
    UnknownName "PW0207" Error "unknown name" "A target, source type, table pack, backup, hook or similar word that does not exist."
    NotBuiltYet "PW0208" Warning "not built yet" "A known word whose implementation is not in this version; work that needs it is refused."
    SourceKindMismatch "PW0209" Error "source type of another kind" "A source type that does not give what the source's kind says."

    ExpressionSyntax "PW0301" Error "CEL syntax" "The text is not a CEL expression."
    UnknownFact "PW0302" Error "unknown fact" "An expression reads something that is not in the table of facts."
    UnguardedFact "PW0303" Error "optional fact without has()" "A fact that may be missing is read without asking `has(…)` first."
    ExpressionType "PW0304" Error "CEL type" "Values of types that do not go together, or an expression that is not a condition."
    UnknownFunction "PW0305" Error "unknown function" "A function that expressions do not have."
    UnknownWord "PW0306" Error "comparison with an unknown word" "A fact is compared with a word it can never be, so the condition is constant."
    ExpressionLimit "PW0307" Error "expression too large" "An expression longer than 4 KiB or nested deeper than 32."
    FactOutOfScope "PW0308" Error "fact not available here" "An expression reads a fact that is not known where it stands."

    SnapshotRevertState "PW0401" Error "rollback throws data away" "`snapshot-revert` on a class that is not `stateless`."
    PlainTextSecret "PW0402" Error "plain-text secret" "A password or token written into Git."
    WindowNeverOpens "PW0403" Error "window never opens" "A maintenance window whose rules have no occurrence."
    EmptyPeriod "PW0404" Error "period ends before it starts" "A freeze or baseline whose end is not after its start."
    OverrideNotAllowed "PW0405" Error "override by someone else" "An override by a role that the freeze does not let override it."
    UnsafePath "PW0406" Error "path leaves the repository" "A folder of the project that is absolute or contains `..`."
    DecisionTable "PW0410" Error "decision table cannot be used" "A table that is not whole, asks what is not known, or does not fit its outcomes."

    ExceptionExpired "PW0501" Warning "exception has expired" "An exception that no longer counts."
    ExceptionExpiring "PW0502" Warning "exception expires soon" "An exception that ends within 14 days."
    ExceptionTooBroad "PW0503" Warning "exception for everything" "An exception that names no advisory, no package and no asset."
    OverrideExpired "PW0504" Warning "override has expired" "An override that no longer counts and still waits for removal or review."
    ShadowedRule "PW0505" Warning "rule is never reached" "An SLA rule behind one that always matches first."
    AutomaticInProduction "PW0506" Warning "automatic approval in production" "A wave that touches production and asks nobody."
    BareComparison "PW0507" Warning "gate passes while one asset is up" "A PromQL gate that filters with a comparison passes as long as one series is left."
    ExposureMissing "PW0508" Info "exposure assumed public" "An asset class without `exposure` is treated as public."
    UnusedResource "PW0509" Warning "resource is not used" "A resource that nothing refers to."
    ServiceTooSmall "PW0510" Warning "service cannot spare a member" "A service whose listed members are no more than its `minAvailable`."
    FreezeOver "PW0511" Info "freeze is over" "A freeze that lies in the past."
    WaveUncovered "PW0512" Warning "environment without a wave" "An environment of the asset classes that no wave of a strategy takes."
    SlaShorterThanSoak "PW0513" Warning "SLA shorter than the soak" "An SLA that is shorter than the soak times before the last wave."
    BaselineExpired "PW0514" Warning "baseline has expired" "A baseline whose burn-down no longer counts."
    PauseOver "PW0515" Info "pause is over" "A pause that has ended and can be removed."
    WindowOver "PW0516" Warning "window is over" "A maintenance window whose last opening lies in the past."
    UnknownEnvironment "PW0517" Warning "environment without a class" "A wave names an environment that no asset class has."
    HoldOver "PW0518" Warning "hold has ended" "A hold that keeps nothing back any more."
    CutBeforeRelease "PW0519" Warning "cut before the vendor's release" "A cadence that cuts on Patch Tuesday before Microsoft has released."
    AssetUncovered "PW0520" Warning "asset without a class" "A listed asset that no asset class selects by its labels."
    OverrideTooBroad "PW0521" Warning "override of everything" "An override that names no freeze, window or policy, and so lifts them all."
    WaveNeedsOpenings "PW0522" Warning "wave needs several openings" "A wave whose batches do not fit into one opening of its window."
    FilePassedOver "PW0523" Warning "file is not read" "A file below the roots that looks like a resource file but is not named `*.yaml` or `*.yml`."
    GateOutlastsSoak "PW0524" Warning "gate holds longer than the soak" "A gate whose `for` is longer than the soak of its wave, and so decides how long it takes."
    SelectsNothing "PW0525" Warning "selects no asset" "A selector that matches none of the assets, in a repository that lists them all."
    SelectorImpossible "PW0526" Warning "selector contradicts itself" "A selector whose requirements no labels can satisfy."
    ClassNeverChosen "PW0527" Warning "class is never chosen" "An asset class behind one of higher priority that selects all the same assets."
    ReviewOverdue "PW0528" Warning "review is overdue" "An override whose review date has passed."
    UnknownLabel "PW0529" Warning "label that no asset has" "A label key that no listed asset, fleet or selector has, so it is probably misspelt."
    EcosystemUnmatched "PW0530" Warning "ecosystem without inventory" "An ecosystem whose packages no inventory reports, so the fix can match nothing."
    ReasonMissing "PW0531" Info "no reason given" "An exclude that does not say why it is there."
    ExceptionUnknownAdvisory "PW0532" Warning "exception for nothing known" "An exception that names an advisory which the repository, without any feed, does not have."
    ApproversMissing "PW0533" Warning "anybody may approve" "A policy without `roles.approvers` on a forge with people, where then everybody's approval counts."
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_ordered_and_described() {
        let ids: Vec<_> = Code::ALL.iter().map(|c| c.id()).collect();
        let mut sorted = ids.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(ids, sorted, "ids are unique and the list is in their order");
        for code in Code::ALL {
            let id = code.id();
            assert!(
                id.len() == 6
                    && id
                        .strip_prefix("PW")
                        .is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit())),
                "{id}"
            );
            assert!(!code.title().is_empty() && !code.title().ends_with('.'), "{id}");
            assert!(code.about().ends_with('.') && code.about().len() < 120, "{id}");
        }
    }
}
