//! Inputs that grow on purpose: small ideas repeated until a bound is met.

use std::fmt::Write as _;

use super::mutate::BYTES_MAX;
use super::random::Random;

/// A document of a kind.
fn resource(kind: &str, name: &str, spec: &str) -> String {
    format!("---\napiVersion: patchwave.dev/v1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec: {spec}\n")
}

/// Repeats `part` with a number until there are `count`, or 8 MiB.
fn many(count: usize, part: impl Fn(usize) -> String) -> String {
    let mut out = String::new();
    for i in 0..count {
        let next = part(i);
        if out.len() + next.len() > BYTES_MAX {
            break;
        }
        out += &next;
    }
    out
}

/// A name of the bomb, and its text.
pub fn bomb(random: &mut Random) -> (&'static str, String) {
    let all: &[(&str, fn(&mut Random) -> String)] = &[
        ("aliases", aliases),
        ("deep-flow", |r| "[".repeat(r.size(BYTES_MAX))),
        ("deep-flow-map", |r| "{a: ".repeat(r.size(BYTES_MAX / 4))),
        ("deep-block", |r| {
            many(r.size(4_000), |i| format!("{}- \n", " ".repeat(i)))
        }),
        ("deep-inline-block", |r| "- ".repeat(r.size(BYTES_MAX / 2))),
        ("deep-keys", |r| "? ".repeat(r.size(BYTES_MAX / 2))),
        ("empty-documents", |r| "---\n".repeat(r.size(BYTES_MAX / 4))),
        ("broken-documents", |r| "---\n[\n".repeat(r.size(BYTES_MAX / 6))),
        ("broken-quotes", |r| "---\n'\n".repeat(r.size(BYTES_MAX / 6))),
        ("small-documents", |r| "---\na: 1\n".repeat(r.size(100_000))),
        ("look-alikes", |r| {
            format!("a: [{}]\n", "yes, ".repeat(r.size(BYTES_MAX / 5 - 8)))
        }),
        ("huge-scalar", |r| {
            format!("a: \"{}\"\n", "x".repeat(r.size(BYTES_MAX - 8)))
        }),
        ("huge-line", |r| {
            format!("a: [{}]\n", "1,".repeat(r.size(BYTES_MAX / 2 - 8)))
        }),
        ("comment", |r| format!("# {}\n", "é".repeat(r.size(BYTES_MAX / 2 - 8)))),
        ("anchors", |r| many(r.size(250_000), |i| format!("- &a{i} x\n"))),
        ("same-keys", |r| {
            format!("{{{}}}\n", "a: 1, ".repeat(r.size(BYTES_MAX / 6 - 8)))
        }),
        ("keys", |r| many(r.size(250_000), |i| format!("k{i}: 1\n"))),
        ("merge-keys", |r| {
            format!("a: &a {{x: 1}}\nb: {{{}}}\n", "<<: *a, ".repeat(r.size(100_000)))
        }),
        ("tags", |r| many(r.size(250_000), |i| format!("- !t{i} x\n"))),
        ("unknown-kinds", |r| {
            many(r.size(100_000), |i| resource(&format!("Fleat{i}"), "a", "{}"))
        }),
        ("unknown-fields", |r| {
            fleet(&many(r.size(100_000), |i| format!(", fielt{i}: 1")))
        }),
        ("unknown-names", |r| {
            let n = r.size(100_000);
            many(n, |i| {
                resource("SlaPolicy", &format!("sla-{i}"), "{rules: [], default: {within: 1d}}")
            }) + &many(n, |i| {
                resource(
                    "PatchPolicy",
                    &format!("p-{i}"),
                    &format!("{{scope: {{selector: {{}}}}, include: [{{}}], sla: slb-{i}, rollout: none-{i}}}"),
                )
            })
        }),
        ("same-names", |r| {
            "---\napiVersion: patchwave.dev/v1\nkind: Fleet\nmetadata: {name: a}\nspec: {sources: [x]}\n"
                .repeat(r.size(90_000))
        }),
        ("bad-names", |r| {
            many(r.size(80_000), |i| {
                resource("Fleet", &format!("A_{i}"), "{sources: [x]}")
            })
        }),
        ("assets", |r| {
            format!(
                "{{sources: [x], assets: [{}]}}",
                many(r.size(150_000), |i| format!("{{name: a{i}}},"))
            )
            .pipe(|s| resource("Fleet", "f", &s))
        }),
        ("assets-and-classes", assets_and_classes),
        ("services", |r| {
            let n = r.size(60_000);
            let services = many(n, |i| {
                format!("{{name: s{i}, members: {{}}, dependsOn: [s{}]}},", (i + 1) % n)
            });
            resource(
                "Fleet",
                "f",
                &format!("{{assets: [{{name: a}}], services: [{services}]}}"),
            )
        }),
        ("services-and-assets", |r| {
            let n = r.size(40_000);
            let services = many(n, |i| {
                format!("{{name: s{i}, members: {{matchLabels: {{a: b}}}}, minAvailable: 1}},")
            });
            let assets = many(n, |i| format!("{{name: a{i}, labels: {{a: b}}}},"));
            resource("Fleet", "f", &format!("{{assets: [{assets}], services: [{services}]}}"))
        }),
        ("waves-chain", |r| {
            let n = r.size(60_000);
            strategy(&many(n, |i| {
                format!(
                    "{{name: w{i}, needs: [w{}], environments: [e], soak: 1d}},",
                    i.saturating_sub(1) + usize::from(i == 0) * n
                )
            }))
        }),
        ("waves-backwards", |r| {
            let n = r.size(60_000);
            strategy(&many(n, |i| {
                format!("{{name: w{i}, needs: [w{}], environments: [e], soak: 1d}},", i + 1)
            }))
        }),
        ("waves-all-need-all", |r| {
            let n = r.size(700);
            let needs = |i: usize| many(i, |j| format!("w{j},"));
            strategy(&many(n, |i| {
                format!("{{name: w{i}, needs: [{}], environments: [e], soak: 1d}},", needs(i))
            }))
        }),
        ("wave-environments", |r| {
            strategy(&format!(
                "{{name: w, environments: [{}]}}",
                many(r.size(200_000), |i| format!("e{i},"))
            ))
        }),
        ("rules", |r| {
            resource(
                "SlaPolicy",
                "standard",
                &format!(
                    "{{rules: [{}], default: {{within: 1d}}}}",
                    many(r.size(100_000), |i| format!(
                        "{{name: r{i}, environment: e{i}, within: 1d}},"
                    ))
                ),
            )
        }),
        ("rule-selectors", |r| {
            let n = r.size(2_000);
            let values = many(200, |i| format!("v{i},"));
            resource(
                "SlaPolicy",
                "standard",
                &format!(
                    "{{rules: [{}], default: {{within: 1d}}}}",
                    many(n, |i| format!(
                        "{{selector: {{matchExpressions: [{{key: k{i}, operator: In, values: [{values}]}}]}}, within: 1d}},"
                    ))
                ),
            )
        }),
        ("selector", |r| {
            resource(
                "PatchException",
                "e",
                &format!(
                    "{{selector: {{matchExpressions: [{}]}}, packages: [x], expires: 2030-01-01, reason: r, approvedBy: a}}",
                    many(r.size(80_000), |i| format!(
                        "{{key: k{i}, operator: In, values: [a, b, c]}},"
                    ))
                ),
            )
        }),
        ("exceptions", |r| {
            many(r.size(80_000), |i| {
                resource(
                    "PatchException",
                    &format!("e{i}"),
                    &format!("{{advisories: [CVE-2026-{i}], expires: 2030-01-01, reason: r, approvedBy: a}}"),
                )
            })
        }),
        ("expressions", |r| {
            many(r.size(40_000), |i| {
                resource(
                    "ChangeFreeze",
                    &format!("f{i}"),
                    &format!(
                        "{{when: 'asset.name == \"a{i}\" && asset.os.id in [\"a\", \"b\"]', from: 2026-01-01, to: 2030-01-01}}"
                    ),
                )
            })
        }),
        ("same-expression", |r| {
            many(r.size(40_000), |i| {
                resource(
                    "ChangeFreeze",
                    &format!("f{i}"),
                    "{when: 'asset.nam == asset.labls', from: 2026-01-01, to: 2030-01-01}",
                )
            })
        }),
        ("expression", |r| {
            let body = expression(r);
            resource(
                "ChangeFreeze",
                "f",
                &format!(
                    "{{when: {}, from: 2026-01-01, to: 2030-01-01}}",
                    serde_json::Value::from(body)
                ),
            )
        }),
        ("windows", |r| {
            let rule = rule(r);
            many(r.size(20_000), |i| {
                resource(
                    "MaintenanceWindow",
                    &format!("w{i}"),
                    &format!("{{schedules: [{{rrule: {rule}, start: \"22:00\", duration: 4h}}]}}"),
                )
            })
        }),
        ("schedules", |r| {
            let n = r.size(20_000);
            let schedules = many(n, |i| {
                format!(
                    "{{rrule: {}, start: \"{:02}:{:02}\", duration: {}h, from: 2000-01-01}},",
                    rule(r_at(i).as_mut()),
                    i % 24,
                    i % 60,
                    i % 900 + 1
                )
            });
            resource("MaintenanceWindow", "w", &format!("{{schedules: [{schedules}]}}"))
        }),
        ("recurrence", |r| {
            let rule = rule(r);
            let duration = *r.one(&["1s", "4h", "24h", "3650d", "99999d"]).unwrap_or(&"4h");
            resource(
                "MaintenanceWindow",
                "w",
                &format!(
                    "{{schedules: [{{rrule: '{rule}', start: \"22:00\", duration: {duration}, from: 1900-01-01}}], cutoff: 3h}}"
                ),
            ) + &resource(
                "ChangeFreeze",
                "f",
                &format!("{{rule: {{rrule: '{rule}', start: \"00:00\", duration: {duration}}}}}"),
            ) + &resource(
                "PatchPolicy",
                "p",
                &format!(
                    "{{scope: {{selector: {{}}}}, include: [{{}}], sla: standard, rollout: standard, cadence: {{rrule: '{rule}'}}}}"
                ),
            )
        }),
        ("batches", |r| {
            strategy(&format!(
                "{{name: w, environments: [e], batches: [{}]}}",
                "1, ".repeat(r.size(200_000))
            ))
        }),
        ("gates", |r| {
            strategy(&format!(
                "{{name: w, environments: [e], gates: [{}]}}",
                "{promql: 'up == 1', source: p, match: {label: i, to: asset.fqd}},".repeat(r.size(100_000))
            ))
        }),
        ("promql", |r| {
            strategy(&format!(
                "{{name: w, environments: [e], gates: [{{promql: '{}', source: p, scope: global}}]}}",
                "a == bool 1 or ".repeat(r.size(17_000))
            ))
        }),
        ("policies", |r| {
            many(r.size(50_000), |i| {
                resource(
                    "PatchPolicy",
                    &format!("p{i}"),
                    "{scope: {selector: {}}, include: [{types: [security]}], sla: standard, rollout: standard}",
                )
            })
        }),
        ("globs", |r| {
            resource(
                "PatchPolicy",
                "p",
                &format!(
                    "{{scope: {{selector: {{}}}}, include: [{{packages: [\"{}\"]}}], sla: standard, rollout: standard}}",
                    "*a".repeat(r.size(100_000))
                ),
            )
        }),
        ("matrix", |r| {
            resource(
                "CompatibilityMatrix",
                "m",
                &format!(
                    "{{rows: [{}]}}",
                    many(r.size(60_000), |i| format!(
                        "{{driver: \">={i}\", cuda: [\"1\", \"2\"]}},"
                    ))
                ),
            )
        }),
        ("control-characters", |r| {
            format!("a: \"{}\"\n", "\u{202e}\u{0}\u{7f}".repeat(r.size(50_000)))
        }),
        ("long-keys", |r| {
            many(r.size(40), |i| format!("{}{i}: 1\n", "k".repeat(200_000)))
        }),
        ("block-scalar", |r| {
            format!("a: |\n{}", "  x\n".repeat(r.size(BYTES_MAX / 4 - 8)))
        }),
        ("folded-blank", |r| {
            format!("a: >\n{}x\n", "\n".repeat(r.size(BYTES_MAX - 16)))
        }),
        ("blank", |r| " ".repeat(r.size(BYTES_MAX))),
        ("tabs", |r| "\t\n".repeat(r.size(BYTES_MAX / 2))),
    ];
    all.get(random.below(all.len()))
        .map_or(("none", String::new()), |(name, make)| (*name, make(random)))
}

trait Pipe: Sized {
    fn pipe<T>(self, f: impl FnOnce(Self) -> T) -> T {
        f(self)
    }
}
impl Pipe for String {}

fn r_at(index: usize) -> Box<Random> {
    Box::new(Random::new(7, index as u64))
}

fn fleet(fields: &str) -> String {
    resource("Fleet", "f", &format!("{{sources: [x]{fields}}}"))
}

fn strategy(waves: &str) -> String {
    resource("RolloutStrategy", "standard", &format!("{{waves: [{waves}]}}"))
        + &resource("SlaPolicy", "standard", "{rules: [], default: {within: 1h}}")
        + &resource(
            "PatchPolicy",
            "p",
            "{scope: {selector: {}}, include: [{}], sla: standard, rollout: standard}",
        )
}

fn assets_and_classes(random: &mut Random) -> String {
    let (assets, classes) = (random.size(20_000), random.size(20_000));
    let assets = many(assets, |i| format!("{{name: a{i}, labels: {{n: x{i}}}}},"));
    let class = |i: usize| {
        let spec = format!(
            "{{selector: {{matchLabels: {{n: y{i}}}}}, environment: e{i}, target: ansible, window: w, priority: {i}}}"
        );
        resource("AssetClass", &format!("c{i}"), &spec)
    };
    let fleet = resource("Fleet", "f", &format!("{{assets: [{assets}]}}"));
    let wave = many(classes, |i| format!("e{i},"));
    fleet + &many(classes, class) + &strategy(&format!("{{name: w, environments: [{wave}]}}"))
}

fn aliases(random: &mut Random) -> String {
    let mut out = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for i in 1..random.size(60) {
        let _ = writeln!(out, "a{i}: &a{i} [{}]", format!("*a{}, ", i - 1).repeat(9));
    }
    out
}

fn expression(random: &mut Random) -> String {
    let n = random.size(2_000);
    match random.below(9) {
        0 => "(".repeat(n) + "true" + &")".repeat(n),
        1 => "!".repeat(n) + "true",
        2 => "true".to_owned() + &" && true".repeat(n),
        3 => "true ? ".repeat(n) + "true" + &" : false".repeat(n),
        4 => "[".repeat(n) + &"]".repeat(n) + " == []",
        5 => "asset".to_owned() + &".labels".repeat(n) + " == 1",
        6 => "asset.name".to_owned() + &"[0]".repeat(n) + " == 1",
        7 => {
            let depth = random.size(40);
            (0..depth)
                .map(|i| format!("[1,2,3,4,5,6,7,8,9].all(x{i}, "))
                .collect::<String>()
                + "true"
                + &")".repeat(depth)
        }
        _ => "asset.name == '".to_owned() + &"\\u0041".repeat(n) + "'",
    }
}

fn rule(random: &mut Random) -> String {
    let list = |random: &mut Random, parts: &[&str]| {
        let n = random.size(400);
        let parts: Vec<&str> = (0..n).filter_map(|_| random.one(parts).copied()).collect();
        parts.join(",")
    };
    let freq = *random
        .one(&["DAILY", "WEEKLY", "MONTHLY", "YEARLY"])
        .unwrap_or(&"DAILY");
    let mut rule = format!("FREQ={freq}");
    for part in 0..9 {
        if !random.once_in(4) {
            continue;
        }
        rule += &match part {
            0 => format!(
                ";COUNT={}",
                random.one(&["1", "1000000000", "4294967295", "0"]).unwrap_or(&"1")
            ),
            1 => format!(
                ";INTERVAL={}",
                random.one(&["1", "2", "65535", "4294967295", "0"]).unwrap_or(&"1")
            ),
            2 => format!(";BYMONTH={}", list(random, &["1", "2", "4", "12"])),
            3 => format!(";BYMONTHDAY={}", list(random, &["1", "29", "30", "31", "-1", "-31"])),
            4 => format!(
                ";BYDAY={}",
                list(random, &["MO", "SU", "5MO", "-5SU", "53TU", "-53FR", "2TU"])
            ),
            5 => format!(";BYSETPOS={}", list(random, &["1", "-1", "366", "-366", "5"])),
            6 => format!(";BYYEARDAY={}", list(random, &["1", "366", "-366", "60"])),
            7 => format!(";BYWEEKNO={}", list(random, &["1", "53", "-53"])),
            _ => format!(
                ";UNTIL={}",
                random
                    .one(&["19000101T000000Z", "99991231T235959Z", "20270101"])
                    .unwrap_or(&"20270101")
            ),
        };
    }
    rule
}
