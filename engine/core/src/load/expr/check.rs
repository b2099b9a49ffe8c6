//! Types of expressions. The evaluator compares anything with anything and answers `false`; a condition that can never
//! hold is a mistake a person wants to hear about while editing, so we check the tree ourselves.

use std::collections::{BTreeMap, BTreeSet};

use cel::common::ast::{
    CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr, LiteralValue, SelectExpr, operators as op,
};

use super::facts::{self, Fact, FactType, Type};
use super::functions::{self, Signature};
use super::{ExprFault, resolve};
use crate::diag::{Code, Severity, nearest, nearest_or_list};

/// The nodes directly below a node.
pub(super) fn children(node: &IdedExpr) -> Vec<&IdedExpr> {
    match &node.expr {
        Expr::Call(call) => call.target.as_deref().into_iter().chain(&call.args).collect(),
        Expr::List(list) => list.elements.iter().collect(),
        Expr::Map(map) => map.entries.iter().flat_map(|e| entry_nodes(&e.expr)).collect(),
        Expr::Struct(s) => s.entries.iter().flat_map(|e| entry_nodes(&e.expr)).collect(),
        Expr::Select(select) => vec![&*select.operand],
        Expr::Comprehension(c) => vec![&c.iter_range, &c.accu_init, &c.loop_cond, &c.loop_step, &c.result],
        Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) => Vec::new(),
    }
}

fn entry_nodes(entry: &EntryExpr) -> Vec<&IdedExpr> {
    match entry {
        EntryExpr::StructField(field) => vec![&field.value],
        EntryExpr::MapEntry(pair) => vec![&pair.key, &pair.value],
    }
}

/// Facts known to be there.
type Present = BTreeSet<String>;

/// Checks a whole condition.
pub(super) fn condition(tree: &IdedExpr, text: &str) -> Vec<ExprFault> {
    let mut checker = Checker {
        text,
        variables: BTreeMap::new(),
        faults: Vec::new(),
    };
    let result = checker.node(tree, &Present::new());
    if !matches!(result, Type::Bool | Type::Any) {
        let message = format!(
            "this expression gives {}, but a condition must be true or false",
            result.name()
        );
        checker
            .faults
            .push(ExprFault::new(Code::ExpressionType, message).help("compare it with something"));
    }
    checker.faults
}

/// The facts that are surely there when `node` turned out to be `outcome`.
fn present_when(node: &IdedExpr, outcome: bool) -> Present {
    let both = |a: Present, b: Present| a.intersection(&b).cloned().collect();
    let either = |a: Present, b: Present| a.union(&b).cloned().collect();
    match &node.expr {
        Expr::Ident(name) if outcome => resolve::presence_of(name).map(str::to_owned).into_iter().collect(),
        Expr::Call(CallExpr { func_name, args, .. }) => match (func_name.as_str(), args.as_slice()) {
            (op::LOGICAL_NOT, [inner]) => present_when(inner, !outcome),
            (op::LOGICAL_AND, [a, b]) if outcome => either(present_when(a, true), present_when(b, true)),
            (op::LOGICAL_AND, [a, b]) => both(present_when(a, false), present_when(b, false)),
            (op::LOGICAL_OR, [a, b]) if !outcome => either(present_when(a, false), present_when(b, false)),
            (op::LOGICAL_OR, [a, b]) => both(present_when(a, true), present_when(b, true)),
            (op::CONDITIONAL, [c, a, b]) => both(
                either(present_when(c, true), present_when(a, outcome)),
                either(present_when(c, false), present_when(b, outcome)),
            ),
            _ => Present::new(),
        },
        _ => Present::new(),
    }
}

struct Checker<'a> {
    text: &'a str,
    variables: BTreeMap<String, Type>,
    faults: Vec<ExprFault>,
}

impl Checker<'_> {
    fn fault(&mut self, fault: ExprFault, needle: &str) {
        self.faults.push(ExprFault {
            at: resolve::place(self.text, needle),
            ..fault
        });
    }

    fn node(&mut self, node: &IdedExpr, present: &Present) -> Type {
        match &node.expr {
            Expr::Unspecified => Type::Any,
            Expr::Literal(literal) => literal_type(literal),
            Expr::Ident(name) => self.ident(name, present),
            Expr::Select(select) => self.select(select, present),
            Expr::Call(call) => self.call(call, present),
            Expr::List(list) => {
                let types: Vec<Type> = list.elements.iter().map(|e| self.node(e, present)).collect();
                Type::List(Box::new(common(types)))
            }
            Expr::Map(_) => {
                let types: Vec<Type> = children(node)
                    .into_iter()
                    .skip(1)
                    .step_by(2)
                    .map(|n| self.node(n, present))
                    .collect();
                Type::Map(Box::new(common(types)))
            }
            Expr::Struct(s) => {
                let fault = ExprFault::new(Code::ExpressionType, format!("there is no type `{}`", s.type_name));
                self.fault(fault, &s.type_name);
                Type::Any
            }
            Expr::Comprehension(c) => self.comprehension(c, present),
        }
    }

    fn ident(&mut self, name: &str, present: &Present) -> Type {
        if resolve::presence_of(name).is_some() {
            return Type::Bool;
        }
        let Some(fact) = facts::find(name) else {
            return self.variables.get(name).cloned().unwrap_or(Type::Any);
        };
        if fact.optional && !present.contains(name) {
            let fault = ExprFault::new(
                Code::UnguardedFact,
                format!("`{name}` may be missing, so it needs `has({name})`"),
            )
            .help(format!("write `has({name}) && …` in front of it"));
            self.fault(fault, name);
        }
        fact.kind.as_type()
    }

    fn select(&mut self, select: &SelectExpr, present: &Present) -> Type {
        match self.node(&select.operand, present) {
            Type::Map(_) | Type::Any if select.test => Type::Bool,
            Type::Map(value) => *value,
            Type::Any => Type::Any,
            other => {
                let message = format!("{} has no part `{}`", other.name(), select.field);
                self.fault(ExprFault::new(Code::ExpressionType, message), &select.field);
                Type::Any
            }
        }
    }

    fn call(&mut self, call: &CallExpr, present: &Present) -> Type {
        match (call.func_name.as_str(), call.args.as_slice()) {
            (op::LOGICAL_AND | op::LOGICAL_OR, [a, b]) => {
                self.condition_part(a, present);
                let first = call.func_name == op::LOGICAL_AND;
                let present: Present = present.union(&present_when(a, first)).cloned().collect();
                self.condition_part(b, &present);
                Type::Bool
            }
            (op::LOGICAL_NOT | op::NOT_STRICTLY_FALSE, [a]) => {
                self.condition_part(a, present);
                Type::Bool
            }
            (op::CONDITIONAL, [c, a, b]) => {
                self.condition_part(c, present);
                let when = |outcome| present.union(&present_when(c, outcome)).cloned().collect::<Present>();
                let types = vec![self.node(a, &when(true)), self.node(b, &when(false))];
                common(types)
            }
            (op::EQUALS | op::NOT_EQUALS, [a, b]) => self.equality(a, b, present),
            (op::LESS | op::LESS_EQUALS | op::GREATER | op::GREATER_EQUALS, [a, b]) => self.order(a, b, present),
            (op::IN, [a, b]) => self.membership(a, b, present),
            (op::INDEX, [a, b]) => self.index(a, b, present),
            (op::ADD | op::SUBSTRACT | op::MULTIPLY | op::DIVIDE | op::MODULO, [a, b]) => {
                let types = (self.node(a, present), self.node(b, present));
                self.arithmetic(&call.func_name, types)
            }
            (op::NEGATE, [a]) => self.negate(a, present),
            _ => self.function(call, present),
        }
    }

    fn condition_part(&mut self, node: &IdedExpr, present: &Present) {
        let found = self.node(node, present);
        if !matches!(found, Type::Bool | Type::Any) {
            let message = format!(
                "`&&`, `||`, `!` and `?` need conditions, but here stands {}",
                found.name()
            );
            let fault = ExprFault::new(Code::ExpressionType, message).help("compare it with something");
            self.fault(fault, fact_of(node).map_or("", |f| f.path));
        }
    }

    fn mismatch(&mut self, what: &str, a: &Type, b: &Type, needle: &str) {
        let message = format!("{what} {} with {} can never hold", a.name(), b.name());
        let help = match (a, b) {
            (Type::Time, Type::Text) | (Type::Text, Type::Time) => Some("write timestamp(\"2026-11-20T00:00:00Z\")"),
            (Type::Duration, Type::Text) | (Type::Text, Type::Duration) => Some("write duration(\"24h\")"),
            (Type::Null, _) | (_, Type::Null) => Some("facts are never null; ask with has(…)"),
            (Type::Bool, Type::Text) | (Type::Text, Type::Bool) => Some("true and false are written without quotes"),
            (Type::Text, Type::Int | Type::Float) | (Type::Int | Type::Float, Type::Text) => {
                Some("texts are written in quotes, numbers without")
            }
            _ => None,
        };
        let fault = ExprFault {
            help: help.map(str::to_owned),
            ..ExprFault::new(Code::ExpressionType, message)
        };
        self.fault(fault, needle);
    }

    fn equality(&mut self, a: &IdedExpr, b: &IdedExpr, present: &Present) -> Type {
        let (left, right) = (self.node(a, present), self.node(b, present));
        let needle = fact_of(a).or_else(|| fact_of(b)).map_or("", |f| f.path);
        if !compatible(&left, &right) {
            self.mismatch("comparing", &left, &right, needle);
        }
        for (fact, literal) in [(fact_of(a), b), (fact_of(b), a)] {
            if let Some(fact) = fact.filter(|f| f.kind == FactType::Text) {
                self.word(fact, literal);
            }
        }
        Type::Bool
    }

    /// A fact that can only be certain words, compared with another word.
    fn word(&mut self, fact: &Fact, literal: &IdedExpr) {
        let Expr::Literal(LiteralValue::String(text)) = &literal.expr else {
            return;
        };
        let word = text.inner();
        if fact.words.is_empty() || fact.words.contains(&word) {
            return;
        }
        let near = nearest(word, fact.words.iter().copied())
            .map(|n| format!("{n} "))
            .unwrap_or_default();
        let help = format!("{near}It can be: {}", fact.words.join(", "));
        let fault = ExprFault::new(Code::UnknownWord, format!("`{}` is never \"{word}\"", fact.path)).help(help);
        self.fault(fault, &format!("\"{word}\""));
        if let Some(last) = self.faults.last_mut().filter(|f| f.at.is_none()) {
            last.at = resolve::place(self.text, word);
        }
    }

    fn order(&mut self, a: &IdedExpr, b: &IdedExpr, present: &Present) -> Type {
        let (left, right) = (self.node(a, present), self.node(b, present));
        let fact = fact_of(a).or_else(|| fact_of(b));
        let needle = fact.map_or("", |f| f.path);
        let ordered = matches!(
            left,
            Type::Any | Type::Int | Type::Float | Type::Text | Type::Time | Type::Duration | Type::Bool
        );
        if !compatible(&left, &right) || !ordered {
            self.mismatch("ordering", &left, &right, needle);
        } else if let Some(fact) = fact.filter(|f| !f.words.is_empty()) {
            let message = format!(
                "`{}` would be ordered letter by letter, which is not its order",
                fact.path
            );
            let help = format!(
                "list the words: `{} in [\"…\", \"…\"]`; it can be: {}",
                fact.path,
                fact.words.join(", ")
            );
            self.fault(ExprFault::new(Code::ExpressionType, message).help(help), needle);
        } else if let Some(fact) = fact.filter(|f| f.kind == FactType::Version) {
            let message = format!(
                "`{}` is ordered letter by letter here, so \"9.10\" comes before \"9.9\"",
                fact.path
            );
            let warning = ExprFault {
                severity: Severity::Warning,
                ..ExprFault::new(Code::ExpressionType, message)
            };
            self.fault(warning.help("use startsWith(…), or say it with labels"), needle);
        }
        Type::Bool
    }

    fn membership(&mut self, a: &IdedExpr, b: &IdedExpr, present: &Present) -> Type {
        let (item, list) = (self.node(a, present), self.node(b, present));
        match &list {
            Type::List(element) if !compatible(&item, element) => self.mismatch("looking for", &item, element, "in"),
            Type::Map(_) if !compatible(&item, &Type::Text) => self.mismatch("looking for", &item, &Type::Text, "in"),
            Type::List(_) | Type::Map(_) | Type::Any => {}
            other => {
                let message = format!("`in` needs a list or a map on its right, not {}", other.name());
                self.fault(ExprFault::new(Code::ExpressionType, message), "in");
            }
        }
        if let Some(fact) = fact_of(a).filter(|f| f.kind == FactType::Text)
            && let Expr::List(list) = &b.expr
        {
            for literal in &list.elements {
                self.word(fact, literal);
            }
        }
        if let Some(fact) = fact_of(b).filter(|f| f.kind == FactType::Texts) {
            self.word(fact, a);
        }
        Type::Bool
    }

    fn index(&mut self, a: &IdedExpr, b: &IdedExpr, present: &Present) -> Type {
        match (self.node(a, present), self.node(b, present)) {
            (Type::Map(value), Type::Text | Type::Any) => *value,
            (Type::List(value), Type::Int | Type::Any) => *value,
            (Type::Any, _) => Type::Any,
            (of, by) => {
                let message = format!("{} cannot be indexed by {}", of.name(), by.name());
                self.fault(ExprFault::new(Code::ExpressionType, message), "[");
                Type::Any
            }
        }
    }

    fn arithmetic(&mut self, operator: &str, (a, b): (Type, Type)) -> Type {
        use Type::{Any, Duration, Float, Int, List, Text, Time};
        match (operator, &a, &b) {
            (_, Any, _) | (_, _, Any) => Any,
            (_, Int, Int) => Int,
            (op::ADD | op::SUBSTRACT | op::MULTIPLY | op::DIVIDE, Float, Float) => Float,
            (op::ADD, Text, Text) => Text,
            (op::ADD, List(x), List(y)) => List(Box::new(common(vec![(**x).clone(), (**y).clone()]))),
            (op::ADD | op::SUBSTRACT, Time, Duration) | (op::ADD, Duration, Time) => Time,
            (op::SUBSTRACT, Time, Time) | (op::ADD | op::SUBSTRACT, Duration, Duration) => Duration,
            _ => {
                let sign = operator.trim_matches('_');
                let message = format!("`{sign}` does not go with {} and {}", a.name(), b.name());
                self.fault(ExprFault::new(Code::ExpressionType, message), sign);
                Any
            }
        }
    }

    fn negate(&mut self, a: &IdedExpr, present: &Present) -> Type {
        let found = self.node(a, present);
        if !matches!(found, Type::Int | Type::Float | Type::Any) {
            let message = format!("`-` does not go with {}", found.name());
            self.fault(ExprFault::new(Code::ExpressionType, message), "-");
            return Type::Any;
        }
        found
    }

    fn function(&mut self, call: &CallExpr, present: &Present) -> Type {
        let target = call.target.as_deref().map(|t| self.node(t, present));
        let args: Vec<Type> = call.args.iter().map(|a| self.node(a, present)).collect();
        let name = call.func_name.as_str();
        if name == "matches" {
            let fault = ExprFault::new(
                Code::UnknownFunction,
                "regular expressions are not available in conditions",
            )
            .help("use startsWith, endsWith, contains, or labels");
            self.fault(fault, name);
            return Type::Bool;
        }
        let known: Vec<&Signature> = functions::named(name).collect();
        if known.is_empty() {
            let fault = ExprFault::new(Code::UnknownFunction, format!("there is no function `{name}`"));
            let help = nearest_or_list(name, functions::names());
            self.fault(ExprFault { help, ..fault }, name);
            return Type::Any;
        }
        let Some(signature) = known.iter().find(|s| s.takes(target.as_ref(), &args)) else {
            let ways: Vec<&str> = known.iter().map(|s| s.written).collect();
            let fault = ExprFault::new(
                Code::ExpressionType,
                format!("`{name}` does not take what it is given here"),
            );
            self.fault(fault.help(format!("write {}", ways.join(" or "))), name);
            return known.first().map_or(Type::Any, |s| s.gives.clone());
        };
        if let Some(reason) = functions::constant_fault(call) {
            self.fault(ExprFault::new(Code::ExpressionType, reason), name);
        }
        signature.gives.clone()
    }

    fn comprehension(&mut self, c: &ComprehensionExpr, present: &Present) -> Type {
        let element = match self.node(&c.iter_range, present) {
            Type::List(element) => *element,
            Type::Map(_) => Type::Text,
            Type::Any => Type::Any,
            other => {
                let message = format!(
                    "`all`, `exists`, `filter` and `map` need a list or a map, not {}",
                    other.name()
                );
                let needle = fact_of(&c.iter_range).map_or("", |f| f.path);
                self.fault(ExprFault::new(Code::ExpressionType, message), needle);
                Type::Any
            }
        };
        let start = self.node(&c.accu_init, present);
        let saved = self.variables.clone();
        self.variables.insert(c.iter_var.clone(), element);
        if let Some(second) = &c.iter_var2 {
            self.variables.insert(second.clone(), Type::Any);
        }
        self.variables.insert(c.accu_var.clone(), start);
        for part in [&c.loop_cond, &c.loop_step] {
            self.node(part, present);
        }
        let result = self.node(&c.result, present);
        self.variables = saved;
        result
    }
}

fn literal_type(literal: &LiteralValue) -> Type {
    match literal {
        LiteralValue::Boolean(_) => Type::Bool,
        LiteralValue::Bytes(_) => Type::Any,
        LiteralValue::Double(_) => Type::Float,
        LiteralValue::Int(_) | LiteralValue::UInt(_) => Type::Int,
        LiteralValue::Null => Type::Null,
        LiteralValue::String(_) => Type::Text,
    }
}

fn fact_of(node: &IdedExpr) -> Option<&'static Fact> {
    match &node.expr {
        Expr::Ident(name) => facts::find(name),
        _ => None,
    }
}

/// The type of all of them, or any.
fn common(types: Vec<Type>) -> Type {
    let mut types = types.into_iter();
    let Some(first) = types.next() else { return Type::Any };
    if types.all(|t| t == first) { first } else { Type::Any }
}

/// Whether two values could be equal. CEL compares numbers of all kinds (CEL specification, heterogeneous equality).
pub(super) fn compatible(a: &Type, b: &Type) -> bool {
    match (a, b) {
        (Type::Any, _) | (_, Type::Any) => true,
        (Type::Int | Type::Float, Type::Int | Type::Float) => true,
        (Type::List(a), Type::List(b)) | (Type::Map(a), Type::Map(b)) => compatible(a, b),
        _ => a == b,
    }
}
