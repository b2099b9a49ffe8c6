use super::*;
use proptest::prelude::*;

fn codes(text: &str) -> Vec<&'static str> {
    match compile(text) {
        Ok((_, warnings)) => warnings.iter().map(|f| f.code.id()).collect(),
        Err(faults) => faults.iter().map(|f| f.code.id()).collect(),
    }
}

fn world(path: &str) -> Option<FactValue> {
    Some(match path {
        "asset.os.family" => FactValue::Str("rhel".into()),
        "asset.labels" => FactValue::Map(BTreeMap::from([("env".into(), "prod".into())])),
        "asset.class.priority" => FactValue::Int(20),
        "asset.class.criticality" => FactValue::Str("high".into()),
        "advisory.severity" => FactValue::Str("high".into()),
        "advisory.types" => FactValue::List(vec!["security".into()]),
        "advisory.exploited" => FactValue::Bool(true),
        "advisory.epss" => FactValue::Float(0.5),
        "advisory.published" => FactValue::Time("2026-11-19T00:00:00Z".parse().unwrap()),
        _ => return None,
    })
}

fn eval(text: &str) -> Result<bool, ExprError> {
    compile(text)
        .unwrap_or_else(|faults| panic!("{text}: {faults:?}"))
        .0
        .eval(&world)
}

#[test]
fn conditions_are_answered() {
    for (text, expected) in [
        (r#"asset.os.family in ["rhel", "debian"]"#, true),
        (
            r#"advisory.severity == "high" && asset.class.criticality != "low""#,
            true,
        ),
        (r#"asset.labels.env == "prod""#, true),
        (r#"asset.labels["env"] == "test""#, false),
        (r#"has(asset.labels.tier) && asset.labels.tier == "db""#, false),
        (r#""env" in asset.labels"#, true),
        (r#""security" in advisory.types"#, true),
        (r#"advisory.types.exists(t, t == "security")"#, true),
        ("has(advisory.epss) && advisory.epss > 0.1", true),
        ("has(advisory.epss) ? advisory.epss > 0.9 : false", false),
        ("!has(asset.fleet) || asset.fleet == \"eu\"", true),
        (r#"advisory.published > timestamp("2026-11-01T00:00:00Z")"#, true),
        (
            r#"asset.os.family.startsWith("rh") && asset.class.priority >= 20"#,
            true,
        ),
        ("true", true),
    ] {
        assert_eq!(eval(text), Ok(expected), "{text}");
    }
}

#[test]
fn what_was_not_observed_is_named() {
    let missing = eval(r#"asset.os.id == "x""#);
    assert_eq!(missing, Err(ExprError::Unobserved("asset.os.id".into())));
    // The outcome does not depend on it: no error.
    assert_eq!(eval(r#"asset.os.family == "rhel" || asset.os.id == "x""#), Ok(true));
    assert!(matches!(eval(r#"asset.labels.tier == "db""#), Err(ExprError::Evaluation(e)) if e.contains("tier")));
}

#[test]
fn facts_are_checked() {
    for (text, expected) in [
        (r#"asset.os.famly == "rhel""#, "PW0302"),
        (r#"os.family == "rhel""#, "PW0302"),
        (r#"asset.os == "rhel""#, "PW0302"),
        (r#"asset.os.family.x == "rhel""#, "PW0302"),
        ("asset.fleet == \"eu\"", "PW0303"),
        ("has(asset.fleet) || asset.fleet == \"eu\"", "PW0303"),
        ("!has(asset.fleet) && asset.fleet == \"eu\"", "PW0303"),
        ("has(asset.fleet) ? true : asset.fleet == \"eu\"", "PW0303"),
        ("asset.os.family == 3", "PW0304"),
        ("asset.os.family", "PW0304"),
        ("advisory.exploited == \"true\"", "PW0304"),
        ("advisory.published > \"2026-01-01\"", "PW0304"),
        ("advisory.published > timestamp(\"soon\")", "PW0304"),
        ("asset.labels == null", "PW0304"),
        ("1 + \"a\" == 2", "PW0304"),
        ("advisory.severity >= \"high\"", "PW0304"),
        ("asset.os.family.contains(3)", "PW0304"),
        ("asset.os.family.upper() == \"X\"", "PW0305"),
        ("asset.os.family.matches(\"r.*\")", "PW0305"),
        ("advisory.severity == \"hihg\"", "PW0306"),
        ("asset.class.criticality in [\"high\", \"extreme\"]", "PW0306"),
        ("asset.lifecycle != \"gone\"", "PW0306"),
        ("\"securty\" in advisory.types", "PW0306"),
        ("asset.os.family ==", "PW0301"),
        ("", "PW0301"),
    ] {
        assert_eq!(codes(text), [expected], "{text}");
    }
    assert_eq!(codes("asset.os.version < \"9.4\""), ["PW0304"], "only a warning");
    assert!(compile("asset.os.version < \"9.4\"").is_ok());
}

#[test]
fn guards_count_where_they_hold() {
    for text in [
        "has(asset.fleet) && asset.fleet == \"eu\"",
        "!has(asset.fleet) || asset.fleet == \"eu\"",
        "!(has(asset.fleet) && asset.fleet == \"eu\")",
        "has(asset.fleet) && has(asset.address) && (asset.fleet == asset.address)",
        "has(advisory.aliases) && advisory.aliases.exists(a, a.startsWith(\"CVE-\"))",
        "has(asset.identity.fqdn) && asset.identity.fqdn.endsWith(\".example\")",
    ] {
        assert_eq!(codes(text), Vec::<&str>::new(), "{text}");
    }
}

#[test]
fn faults_say_where_and_what_to_do() {
    let text = "asset.os.famly == \"rhel\"";
    let faults = compile(text).unwrap_err();
    assert_eq!(text.get(faults[0].at.clone().unwrap()), Some("asset.os.famly"));
    assert_eq!(faults[0].help.as_deref(), Some("did you mean `asset.os.family`?"));
}

#[test]
fn size_and_depth_are_bounded() {
    assert_eq!(codes(&format!("\"{}\" == \"\"", "x".repeat(5000))), ["PW0307"]);
    for deep in ["(", "[", "!", "-"] {
        assert!(
            codes(&deep.repeat(4000))
                .iter()
                .all(|c| *c == "PW0307" || *c == "PW0301")
        );
    }
    for chain in ["1+", "1-", "1*", "1<", "a.", "true?true:", "!", "- "] {
        let text = format!("{}1", chain.repeat(4000 / chain.len()));
        assert!(!codes(&text).is_empty(), "{chain}");
    }
    let long: Vec<String> = (0..100).map(|n| format!("asset.name == \"web-{n}\"")).collect();
    assert_eq!(codes(&long.join(" || ")), Vec::<&str>::new());
    assert_eq!(codes(&long.join(" && ")), Vec::<&str>::new());
    let nested = format!("{}asset.name == \"x\"{}", "(".repeat(20), ")".repeat(20));
    assert_eq!(codes(&nested), Vec::<&str>::new());
}

#[test]
fn loops_inside_loops_are_bounded() {
    let two = "advisory.types.exists(t, [\"a\", \"b\"].exists(x, t == x))";
    assert_eq!(codes(two), Vec::<&str>::new());
    for list in ["[1,2,3,4,5,6,7,8,9]", "advisory.types"] {
        let open: Vec<String> = (0..6).map(|n| format!("{list}.all(x{n}, ")).collect();
        let text = format!("{}true{}", open.concat(), ")".repeat(6));
        assert_eq!(codes(&text), ["PW0307"], "{text}");
    }
    // A list in a variable, and a list made of lists, are as long as what they are made of.
    let ones = vec!["1"; 300].join(",");
    let text = format!("[[{ones}]].all(x, x.all(y, x.all(z, true)))");
    assert_eq!(codes(&text), ["PW0307"]);
    let text = format!("([{ones}] + [{ones}]).all(x, [{ones}].all(y, true))");
    assert_eq!(codes(&text), ["PW0307"]);
}

proptest! {
    #[test]
    fn compiling_never_panics(text in "[ -~\\n\u{e4}]{0,80}") {
        let _ = compile(&text);
    }

    #[test]
    fn pieces_of_conditions_never_panic(pieces in proptest::collection::vec(
        proptest::sample::select(vec!["asset", ".", "os", "family", "labels", "has(", "(", ")", "[", "]", "\"x\"", "==", "&&", "||", "!",
            "in", "exists(", "t", ",", "1", "-", "?", ":", "{", "}", "advisory.types", "null", "timestamp(", "<", "b'x'", "1u", "0x"]), 0..24)
    ) {
        if let Ok((expression, _)) = compile(&pieces.concat()) {
            let _ = expression.eval(&world);
        }
        if let Ok((expression, _)) = compile(&pieces.join(" ")) {
            let _ = expression.eval(&|_| None);
        }
    }
}

#[test]
fn the_deepest_allowed_condition_fits_a_worker_thread() {
    for (open, inner, close) in [
        ("(", "asset.name == \"x\"", ")"),
        ("!(", "asset.name == \"x\"", ")"),
        ("advisory.types.exists(t, ", "t == \"security\"", ")"),
        ("true ? true : (", "false", ")"),
        ("size([", "1", "]) == 1 ? [1] : [2]"),
    ] {
        for depth in 1..40 {
            let text = format!("{}{inner}{}", open.repeat(depth), close.repeat(depth));
            let compiled = std::thread::Builder::new().stack_size(2 << 20).spawn(move || {
                if let Ok((expression, _)) = compile(&text) {
                    let _ = expression.eval(&world);
                }
            });
            compiled.unwrap().join().unwrap();
        }
    }
}
