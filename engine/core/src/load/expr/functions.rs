//! The functions expressions may call: those of the CEL standard library, without regular expressions.

use cel::common::ast::{CallExpr, Expr, IdedExpr, LiteralValue};
use cel::{Context, Value};

use super::ENVIRONMENT;
use super::check::compatible;
use super::facts::Type;

/// One way to call a function.
#[derive(Clone, Debug)]
pub(super) struct Signature {
    name: &'static str,
    /// The value in front of the dot; `None` for a plain call.
    target: Option<Type>,
    args: Vec<Type>,
    /// What it gives.
    pub(super) gives: Type,
    /// How it is written, for messages.
    pub(super) written: &'static str,
}

impl Signature {
    /// Whether these are its arguments.
    pub(super) fn takes(&self, target: Option<&Type>, args: &[Type]) -> bool {
        let front = match (&self.target, target) {
            (None, None) => true,
            (Some(wanted), Some(given)) => compatible(wanted, given),
            _ => false,
        };
        front && self.args.len() == args.len() && self.args.iter().zip(args).all(|(w, g)| compatible(w, g))
    }
}

fn all() -> Vec<Signature> {
    use Type::{Any, Bool, Duration, Float, Int, Text, Time};
    let list = || Type::List(Box::new(Any));
    let map = || Type::Map(Box::new(Any));
    let plain = |name, arg, gives, written| Signature {
        name,
        target: None,
        args: vec![arg],
        gives,
        written,
    };
    let method = |name, target, args, gives, written| Signature {
        name,
        target: Some(target),
        args,
        gives,
        written,
    };
    let mut all = vec![
        plain("size", Text, Int, "size(text)"),
        plain("size", list(), Int, "size(list)"),
        plain("size", map(), Int, "size(map)"),
        method("size", Text, vec![], Int, "text.size()"),
        method("size", list(), vec![], Int, "list.size()"),
        method("size", map(), vec![], Int, "map.size()"),
        method("contains", Text, vec![Text], Bool, "text.contains(\"…\")"),
        method("startsWith", Text, vec![Text], Bool, "text.startsWith(\"…\")"),
        method("endsWith", Text, vec![Text], Bool, "text.endsWith(\"…\")"),
        plain("timestamp", Text, Time, "timestamp(\"2026-11-20T00:00:00Z\")"),
        plain("timestamp", Time, Time, "timestamp(time)"),
        plain("duration", Text, Duration, "duration(\"24h\")"),
        plain("duration", Duration, Duration, "duration(duration)"),
    ];
    for from in [Text, Int, Float] {
        all.push(plain("int", from.clone(), Int, "int(value)"));
        all.push(plain("double", from.clone(), Float, "double(value)"));
        all.push(plain("string", from, Text, "string(value)"));
    }
    for from in [Bool, Time, Duration] {
        all.push(plain("string", from, Text, "string(value)"));
    }
    for name in [
        "getFullYear",
        "getMonth",
        "getDate",
        "getDayOfMonth",
        "getDayOfWeek",
        "getDayOfYear",
    ] {
        all.push(method(name, Time, vec![], Int, "time.getDayOfWeek()"));
        all.push(method(
            name,
            Time,
            vec![Text],
            Int,
            "time.getDayOfWeek(\"Europe/Berlin\")",
        ));
    }
    for name in ["getHours", "getMinutes", "getSeconds", "getMilliseconds"] {
        all.push(method(name, Time, vec![], Int, "time.getHours()"));
        all.push(method(name, Time, vec![Text], Int, "time.getHours(\"Europe/Berlin\")"));
        all.push(method(name, Duration, vec![], Int, "duration.getHours()"));
    }
    all
}

static ALL: std::sync::LazyLock<Vec<Signature>> = std::sync::LazyLock::new(all);

/// The ways to call a function.
pub(super) fn named(name: &str) -> impl Iterator<Item = &'static Signature> {
    ALL.iter().filter(move |s| s.name == name)
}

/// Every name there is; macros included, because people look for them too.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    ALL.iter()
        .map(|s| s.name)
        .chain(["has", "all", "exists", "exists_one", "filter", "map"])
}

/// Why a call with a literal text can never succeed: `timestamp("yesterday")`.
pub(super) fn constant_fault(call: &CallExpr) -> Option<String> {
    let [
        IdedExpr {
            expr: Expr::Literal(LiteralValue::String(text)),
            ..
        },
    ] = call.args.as_slice()
    else {
        return None;
    };
    if call.target.is_some() || !matches!(call.func_name.as_str(), "timestamp" | "duration" | "int" | "double") {
        return None;
    }
    let node = IdedExpr {
        id: 0,
        expr: Expr::Call(call.clone()),
    };
    let context = Context::with_env(std::sync::Arc::clone(&ENVIRONMENT));
    let example = match call.func_name.as_str() {
        "timestamp" => "an instant such as 2026-11-20T00:00:00Z",
        "duration" => "a duration such as 24h or 90m",
        _ => "a number",
    };
    Value::resolve(&node, &context)
        .is_err()
        .then(|| format!("\"{}\" is not {example}", text.inner()))
}
