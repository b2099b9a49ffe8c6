//! The CompatibilityMatrix: what may change, alone and together, and which row is missed by what.

use std::sync::Arc;

use crate::support::estate::*;
use crate::support::*;
use patchwave_core::history::History;
use patchwave_core::name::Severity;
use patchwave_core::observe::{AdvisoryRecord, Asset, Gpu, Kernel};
use patchwave_core::plan::Plan;

const MATRIX: &str = "---
apiVersion: patchwave.dev/v1
kind: CompatibilityMatrix
metadata: {name: cuda}
spec:
  selector: {matchLabels: {gpu: \"true\"}}
  rows:
    - {nvidiaDriver: \">=550.54.15 <560\", cuda: \">=12.4 <12.6\", kernel: \"<6.9\", gpu: [hopper, ampere]}
    - {nvidiaDriver: \">=560 <570\", cuda: \">=12.4 <12.8\", kernel: \">=6.9\", gpu: [hopper]}
";

fn driver(version: &str) -> AdvisoryRecord {
    advisory(
        "NV-1",
        Severity::High,
        "2026-11-18T00:00:00Z",
        &[("nvidia-driver", version)],
    )
}

fn kernel(version: &str) -> AdvisoryRecord {
    advisory(
        "K-1",
        Severity::High,
        "2026-11-18T00:00:00Z",
        &[("kernel-core", version)],
    )
}

/// One GPU machine in the test environment with kernel 5.14.0 and driver 550.54.15 beside openssl.
fn plan_of(advisories: &[AdvisoryRecord], edit: impl Fn(&mut Asset)) -> Plan {
    let mut gpu = machine("t1", &[("env", "test"), ("gpu", "true")]);
    gpu.packages = vec![
        ("kernel-core".into(), "5.14.0-427.el9".into(), "kernel".into()),
        (
            "nvidia-driver".into(),
            "3:550.54.15-1.el9".into(),
            "nvidia-driver".into(),
        ),
        ("openssl-libs".into(), "1:3.0.7-24.el9".into(), "openssl".into()),
    ];
    let now = at(NOW);
    let mut observation = observation("f", &[], &[gpu], advisories, now);
    for asset in &mut observation.assets {
        asset.facts.kernel = Some(Kernel {
            running: Some("5.14.0-427.el9.x86_64".into()),
            default_boot: None,
        });
        asset.facts.gpu = Some(Arc::new(Gpu {
            driver: Some("550.54.15".into()),
            loaded: Some("550.54.15".into()),
            cuda: Some("12.4".into()),
            devices: vec!["NVIDIA H100 80GB HBM3".into()],
            ..Gpu::default()
        }));
        edit(asset);
    }
    let yaml = resources(&[]) + MATRIX;
    World::new(catalog(&yaml, now), observation, History::default(), now).plan(now)
}

fn taken(plan: &Plan) -> Vec<&str> {
    let targets = plan.rollouts.iter().flat_map(|r| &r.targets);
    targets.map(|t| t.name.as_ref()).collect()
}

#[test]
fn a_change_within_a_row_is_taken() {
    let plan = plan_of(&[driver("3:550.90.07-1.el9"), openssl()], |_| {});
    assert_eq!(refusals(&plan), []);
    assert_eq!(taken(&plan), ["nvidia-driver", "openssl-libs"]);
}

#[test]
fn a_change_out_of_every_row_is_refused_with_the_nearest_row() {
    let plan = plan_of(&[driver("3:565.57.01-1.el9"), openssl()], |_| {});
    assert_eq!(refusals(&plan), [("incompatible", "t1")]);
    let detail = &plan.refusals[0].detail;
    // Both rows are missed by one column; the first counts.
    assert!(
        detail.contains("nearest is row 1 (policies/all.yaml:")
            && detail.contains("missed by nvidiaDriver 565.57.01, which is not >=550.54.15 <560"),
        "{detail}"
    );
    assert_eq!(taken(&plan), ["openssl-libs"], "the rest goes on");
}

#[test]
fn changes_that_land_in_a_row_together_are_allowed_together() {
    let both = [driver("3:565.57.01-1.el9"), kernel("6.12.0-1.el9")];
    let plan = plan_of(&both, |_| {});
    assert_eq!(refusals(&plan), []);
    assert_eq!(taken(&plan), ["kernel-core", "nvidia-driver"]);
    // The kernel alone leads out of every row; with a driver that fits the old kernel only, the driver goes alone.
    assert_eq!(refusals(&plan_of(&both[1..], |_| {})), [("incompatible", "t1")]);
    let plan = plan_of(&[driver("3:550.90.07-1.el9"), kernel("6.12.0-1.el9")], |_| {});
    assert_eq!(
        (taken(&plan), refusals(&plan)),
        (vec!["nvidia-driver"], vec![("incompatible", "t1")])
    );
}

#[test]
fn what_is_not_observed_satisfies_no_row_that_speaks_of_it() {
    let without_cuda = |asset: &mut Asset| {
        let gpu = asset.facts.gpu.as_deref().cloned().unwrap();
        asset.facts.gpu = Some(Arc::new(Gpu { cuda: None, ..gpu }));
    };
    let plan = plan_of(&[driver("3:550.90.07-1.el9"), openssl()], without_cuda);
    assert_eq!(refusals(&plan), [("incompatible", "t1")]);
    assert!(
        plan.refusals[0]
            .detail
            .contains("missed by cuda, which was not observed"),
        "{:?}",
        plan.refusals
    );
    // What the matrix does not speak of goes on, whatever the rest is like.
    assert_eq!(taken(&plan), ["openssl-libs"]);
    let plain = |asset: &mut Asset| asset.labels = Arc::new([("env".into(), "test".into())].into());
    assert_eq!(
        refusals(&plan_of(&[driver("3:565.57.01-1.el9")], plain)),
        [],
        "the selector leaves it out"
    );
}

#[test]
fn a_range_nobody_can_read_is_an_error_with_its_line() {
    use patchwave_core::load::load;
    use patchwave_core::source::{SourceFile, SourceSet};
    let yaml = resources(&[]) + &MATRIX.replace("\">=12.4 <12.6\"", "about 12");
    let project = "apiVersion: patchwave.dev/v1\nkind: Project\nmetadata:\n  name: test\n";
    let files = vec![
        SourceFile::new("patchwave.yaml", project),
        SourceFile::new("policies/all.yaml", yaml),
    ];
    let set = SourceSet {
        files,
        ..SourceSet::default()
    };
    let (_, diagnostics) = load(&set, at(NOW));
    let found: Vec<_> = diagnostics
        .iter()
        .filter(|d| d.message.contains("no range of versions"))
        .collect();
    assert_eq!(found.len(), 1, "{diagnostics:#?}");
    assert_eq!(found[0].code.id(), "PW0104");
}
