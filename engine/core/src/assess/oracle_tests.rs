//! The factored assessment against a slow, obvious one that shares nothing between assets, over random small worlds.

use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::prelude::*;
use proptest::sample::select;
use serde_json::json;

use super::world::{P, World, at, exploited, kernel, line, rpm};
use super::*;
use crate::name::Severity;
use crate::version::compare;

/// Packages or fixes: name and version.
type Versions = Vec<(u8, u8)>;

/// Environment, tier, packages, running and default kernel, days since first seen, stale.
type AssetRecipe = (u8, u8, Versions, (u8, u8), u8, bool);

/// Fixes, severity, day of November, exploited since, CVEs.
type AdvisoryRecipe = (Versions, u8, u8, Option<u8>, u8);

/// What a random world is made of: plain numbers, so that failures shrink well.
#[derive(Clone, Debug)]
struct Recipe {
    assets: Vec<AssetRecipe>,
    advisories: Vec<AdvisoryRecipe>,
    /// Which of the optional rules are there.
    options: u8,
}

fn recipe() -> impl Strategy<Value = Recipe> {
    let packages = || proptest::collection::vec((0_u8..5, 1_u8..5), 0..6);
    let asset = (
        0_u8..3,
        0_u8..2,
        packages(),
        (0_u8..5, 0_u8..5),
        0_u8..3,
        proptest::bool::weighted(0.2),
    );
    let advisory = (packages(), 0_u8..4, 1_u8..20, proptest::option::of(1_u8..20), 0_u8..3);
    (
        proptest::collection::vec(asset, 0..7),
        proptest::collection::vec(advisory, 0..7),
        any::<u8>(),
    )
        .prop_map(|(assets, advisories, options)| Recipe {
            assets,
            advisories,
            options,
        })
}

const NAMES: [&str; 5] = ["alpha", "beta", "kernel-core", "delta", "kernel-modules"];

fn version(v: u8) -> String {
    format!("{v}-1.el9")
}

fn build(recipe: &Recipe) -> World {
    let mut world = World::empty();
    world.class("prod", json!({"selector": {"matchLabels": {"env": "prod"}}, "environment": "prod", "target": "t", "window": "w", "criticality": "critical"}));
    world.class("db", json!({"selector": {"matchLabels": {"env": "prod", "tier": "db"}}, "priority": 5, "environment": "prod", "target": "t", "window": "w", "exposure": "internal"}));
    world.class("test", json!({"when": "asset.labels.env == \"test\"", "environment": "test", "target": "t", "window": "w", "criticality": "low"}));
    let option = |bit: u8| recipe.options & (1 << bit) != 0;
    let clock = if option(0) { "detected" } else { "published" };
    world.sla(
        "s",
        json!({"clock": clock, "rules": [
        {"name": "kev", "exploited": true, "within": "2d", "lane": "emergency"},
        {"name": "tier", "selector": {"matchLabels": {"tier": "db"}}, "severity": {"atLeast": "high"}, "within": "5d"},
        {"name": "cel", "when": "advisory.severity == \"high\" && asset.class.criticality != \"low\"", "within": "7d"}],
        "default": {"within": "30d"}}),
    );
    world.policy("p", json!({"scope": {"selector": {"matchExpressions": [{"key": "env", "operator": "In", "values": ["prod", "test"]}]}},
        "holds": if option(1) { json!([{"packages": ["alpha"], "versions": ">= 3", "until": "2027-01-01"}]) } else { json!([]) }}));
    if option(2) {
        world.policy("q", json!({"scope": {"when": "asset.class.environment == \"prod\""}, "include": [{"when": "finding.package == \"beta\" && finding.installed != \"2-1.el9\""}],
            "rollout": if option(3) { "other" } else { "r" }}));
    }
    if option(4) {
        world.exception("e", json!({"selector": {"matchLabels": {"tier": "db"}}, "advisories": ["CVE-1-0", "A-2"], "outcome": "mitigated"}));
    }
    for (index, (env, tier, packages, (running, default), seen, stale)) in recipe.assets.iter().enumerate() {
        let env = ["prod", "test", "lab"][usize::from(*env)];
        let tier = ["db", "web"][usize::from(*tier)];
        let versions: Vec<String> = packages.iter().map(|(_, v)| version(*v)).collect();
        let packages: Vec<P<'_>> = packages
            .iter()
            .zip(&versions)
            .map(|((n, _), v)| (NAMES[usize::from(*n)], v.as_str(), "x86_64", "", ""))
            .collect();
        let name = format!("a{index}");
        let asset = world.asset(&name, &[("env", env), ("tier", tier)], &packages);
        let release = |v: u8| {
            if v == 0 {
                String::new()
            } else {
                format!("{}.x86_64", version(v))
            }
        };
        asset.facts.kernel = kernel(&release(*running), &release(*default));
        asset.stale = *stale;
        world
            .memory
            .assets
            .insert(name.into(), at(&format!("2026-11-{:02}T00:00:00Z", 10 + seen)));
    }
    for (index, (fixes, severity, day, since, cves)) in recipe.advisories.iter().enumerate() {
        let fixes = fixes
            .iter()
            .map(|(n, v)| rpm(NAMES[usize::from(*n)], &version(*v)))
            .collect();
        let advisory = world.advisory(&format!("A-{index}"), fixes);
        advisory.severity =
            [Severity::Unknown, Severity::Low, Severity::High, Severity::Critical][usize::from(*severity)];
        advisory.published = Some(at(&format!("2026-11-{day:02}T00:00:00Z")));
        advisory.exploited = since.and_then(|since| exploited(&format!("2026-11-{since:02}T00:00:00Z")));
        advisory.aliases = (0..*cves).map(|c| Arc::from(format!("CVE-{index}-{c}"))).collect();
        // Seen before any asset, so that the asset's first sight decides the clock `detected`.
        let seen = at("2026-11-01T00:00:00Z");
        world.memory.advisories.insert(format!("A-{index}").into(), seen);
    }
    world
}

/// (asset, advisory, package, installed, fixed, pending reboot) by looking at every asset and every fix, nothing shared.
type Open = (String, String, String, String, String, bool);

fn naive_hits(world: &World) -> BTreeSet<Open> {
    let mut all = BTreeSet::new();
    let scheme = crate::version::Scheme::Rpm;
    for asset in &world.observation.assets {
        let set = world.observation.tables.set(asset.facts.packages.unwrap());
        let text = |symbol| world.observation.tables.text(symbol).to_owned();
        let installed: Vec<(String, String)> = set
            .iter()
            .map(|id| world.observation.tables.package(*id))
            .map(|p| (text(p.name), text(p.version)))
            .collect();
        let kernel = asset.facts.kernel.clone().unwrap();
        let strip = |r: Option<Arc<str>>| r.map(|r| r.trim_end_matches(".x86_64").to_owned());
        let (running, default) = (strip(kernel.running), strip(kernel.default_boot));
        let any_kernel = |v: &Option<String>| {
            v.as_ref()
                .is_some_and(|v| installed.iter().any(|(n, x)| n.starts_with("kernel") && x == v))
        };
        for name in NAMES {
            let mut versions: Vec<String> = installed
                .iter()
                .filter(|(n, _)| n == name)
                .map(|(_, v)| v.clone())
                .collect();
            versions.sort_by(|a, b| compare(scheme, a, b));
            let Some(newest) = versions.last().cloned() else {
                continue;
            };
            let here = |v: &Option<String>| match any_kernel(v) {
                true => v.clone().filter(|v| versions.contains(v)),
                false => v.clone(),
            };
            let (runs, boots) = match name.starts_with("kernel") {
                true => (
                    here(&running),
                    if default.is_some() {
                        here(&default)
                    } else {
                        Some(newest)
                    },
                ),
                false => (None, Some(newest)),
            };
            for advisory in &world.observation.advisories {
                let fixes = advisory
                    .fixes
                    .iter()
                    .filter(|f| *f.package == *name)
                    .filter_map(|f| f.fixed.clone());
                // Every range starts at the beginning, so the highest fix is the one that leaves them all.
                let Some(fixed) = fixes.max_by(|a, b| compare(scheme, a, b)) else {
                    continue;
                };
                let lacks = |v: &Option<String>| v.clone().filter(|v| compare(scheme, v, &fixed).is_lt());
                let (old, next) = (lacks(&runs), lacks(&boots));
                let pending = old.is_some() && next.is_none() && boots.is_some();
                if let Some(version) = old.or(next) {
                    let id = advisory.id.to_string();
                    all.insert((
                        asset.name.to_string(),
                        id,
                        name.into(),
                        version,
                        fixed.to_string(),
                        pending,
                    ));
                }
            }
        }
    }
    all
}

/// The lines of one asset assessed all alone: no other asset to share anything with.
fn alone(world: &World, index: usize) -> Vec<String> {
    let mut small = world.clone();
    small.observation.assets = vec![world.observation.assets[index].clone()];
    small.lines()
}

/// The same world with its assets, packages and advisories read in another order.
fn reordered(recipe: &Recipe) -> World {
    let world = build(recipe);
    let mut tables = crate::observe::Tables::default();
    let mut assets = world.observation.assets.clone();
    for asset in assets.iter_mut().rev() {
        let ids: Vec<_> = world
            .observation
            .tables
            .set(asset.facts.packages.unwrap())
            .iter()
            .rev()
            .copied()
            .collect();
        let ids = ids
            .into_iter()
            .map(|id| {
                let old = world.observation.tables.package(id);
                let mut again = |symbol| tables.intern(world.observation.tables.text(symbol));
                let package = crate::observe::Package {
                    version: again(old.version),
                    name: again(old.name),
                    arch: again(old.arch),
                    ..old
                };
                tables.package_id(package)
            })
            .collect();
        asset.facts.packages = Some(tables.set_id(ids));
    }
    let mut other = world.clone();
    (other.observation.tables, other.observation.assets) = (tables, assets);
    for advisory in &mut other.observation.advisories {
        advisory.fixes.reverse();
    }
    other
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn hits_are_those_of_the_obvious_way(mut recipe in recipe()) {
        recipe.options &= !0b1_1110;
        // Everything in scope and claimed: then every hit is a row.
        recipe.assets.iter_mut().for_each(|a| (a.0, a.5) = (0, false));
        let world = build(&recipe);
        let assessment = world.assess();
        let ours: BTreeSet<Open> = assessment
            .findings(&world.observation)
            .map(|f| {
                let fixed = f.hit.fixed.as_deref().unwrap_or("-").to_owned();
                let advisory = world.observation.advisories[f.hit.advisory as usize].id.to_string();
                let pending = f.judgement.status == Status::PendingReboot;
                (f.asset.name.to_string(), advisory, f.hit.package.to_string(), f.hit.installed.to_string(), fixed, pending)
            })
            .collect();
        prop_assert_eq!(ours, naive_hits(&world));
    }

    #[test]
    fn sharing_between_assets_changes_no_row(recipe in recipe()) {
        let world = build(&recipe);
        let separately: Vec<String> = (0..world.observation.assets.len()).flat_map(|i| alone(&world, i)).collect();
        prop_assert_eq!(world.lines(), separately);
    }

    #[test]
    fn the_order_of_reading_never_shows(recipe in recipe()) {
        prop_assert_eq!(build(&recipe).lines(), reordered(&recipe).lines());
    }

    #[test]
    fn an_unrelated_asset_changes_nothing_else(recipe in recipe(), more in select(vec![0_u8, 1, 2])) {
        let before = build(&recipe).lines();
        let mut larger = recipe;
        larger.assets.push((more, 0, vec![(0, 1), (1, 2), (2, 1)], (1, 2), 1, false));
        let last = format!("a{} ", larger.assets.len() - 1);
        let after: Vec<String> = build(&larger).lines().into_iter().filter(|l| !l.starts_with(&last)).collect();
        prop_assert_eq!(before, after);
    }

    #[test]
    fn rows_are_sorted_and_stand_once(recipe in recipe()) {
        let world = build(&recipe);
        let assessment = world.assess();
        for index in 0..world.observation.assets.len() {
            let rows = assessment.rows(index);
            prop_assert!(rows.windows(2).all(|w| w[0].hit < w[1].hit));
            let keys: BTreeSet<_> = assessment
                .of(&world.observation, index)
                .map(|f| (f.hit.advisory, Arc::clone(&f.hit.package), Arc::clone(&f.hit.arch)))
                .collect();
            prop_assert_eq!(keys.len(), rows.len());
        }
        let used: BTreeSet<u32> = assessment.lists.iter().flat_map(|l| l.iter().map(|r| r.hit)).collect();
        prop_assert_eq!(used.len(), assessment.hits.len(), "no hit that no row points to");
    }

    #[test]
    fn an_explanation_agrees_with_the_judgement(recipe in recipe()) {
        let world = build(&recipe);
        let assessment = world.assess();
        for index in 0..world.observation.assets.len() {
            let trace = explain(&world.catalog, &world.observation, &world.memory, world.now, index, None).unwrap();
            let told: Vec<_> = trace.findings.iter().filter_map(|f| Some((f.status?, f.deadline, f.policy.clone()))).collect();
            let judged: Vec<_> = assessment
                .of(&world.observation, index)
                .map(|f| (f.judgement.status, f.judgement.deadline, f.judgement.policy.clone()))
                .collect();
            prop_assert_eq!(told, judged);
        }
    }
}

#[test]
fn a_line_names_what_was_judged() {
    let mut world = World::plain();
    world.asset("a", &[], &[("alpha", "1-1.el9", "x86_64", "", "")]);
    world.advisory("A-1", vec![rpm("alpha", "2-1.el9")]);
    let assessment = world.assess();
    let finding = assessment.findings(&world.observation).next().unwrap();
    assert!(line(&finding, &world.observation).starts_with("a A-1 alpha 1-1.el9 2-1.el9 due"));
}
