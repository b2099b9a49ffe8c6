//! Turns paths such as `asset.os.family` into single variables that carry the whole path, and `has(asset.fleet)` into a
//! variable that is true or false. After that the evaluator looks facts up directly, and a missing fact names itself.

use std::collections::BTreeSet;
use std::ops::Range;

use cel::common::ast::{
    CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedEntryExpr, IdedExpr, ListExpr, MapExpr, SelectExpr, StructExpr,
};
use cel::parser::ParseErrors;

use super::facts::{self, FACTS, Fact, FactType, ROOTS};
use super::{DEPTH_MAX, ExprFault};
use crate::diag::{Code, nearest};

/// The variable that says whether a fact is there. The blank keeps it apart from anything a person can write.
pub(super) fn presence(path: &str) -> String {
    format!("has {path}")
}

/// The path inside a presence variable.
pub(super) fn presence_of(variable: &str) -> Option<&str> {
    variable.strip_prefix("has ")
}

/// How deep the text nests, before any parser sees it: brackets, and chains of operators that build a tree as deep as
/// they are long (`----x`, `a + b + c`). `&&` and `||` chains are balanced by the parser and cost nothing. A macro
/// such as `exists(` expands to several levels and counts as three.
pub(super) fn nesting(text: &str) -> usize {
    /// A comparison is one operator and a path of facts has three dots: only longer chains count.
    const CHAIN_FREE: usize = 8;
    let (mut open, mut depth, mut deepest, mut chain) = (Vec::new(), 0_usize, 0, 0_usize);
    let (mut quote, mut escaped) = (None, false);
    let mut word = String::new();
    for c in text.chars() {
        if let Some(mark) = quote {
            if !escaped && c == mark {
                quote = None;
            }
            escaped = !escaped && c == '\\';
            continue;
        }
        match c {
            '"' | '\'' => quote = Some(c),
            '(' | '[' | '{' => {
                let macros = ["exists", "exists_one", "all", "map", "filter"];
                let weight = if macros.contains(&word.as_str()) { 3 } else { 1 };
                open.push(weight);
                depth += weight;
                chain = 0;
            }
            ')' | ']' | '}' => depth = depth.saturating_sub(open.pop().unwrap_or(0)),
            '+' | '-' | '*' | '/' | '%' | '!' | '?' | '<' | '>' | '.' => chain += 1,
            '&' | '|' | ',' => chain = 0,
            _ => {}
        }
        if c.is_alphanumeric() || c == '_' {
            word.push(c)
        } else if !c.is_whitespace() {
            word.clear()
        }
        deepest = deepest.max(depth + chain.saturating_sub(CHAIN_FREE));
    }
    deepest.min(DEPTH_MAX + 1)
}

/// The parser's complaints, in our words and with byte ranges.
pub(super) fn syntax(text: &str, errors: &ParseErrors) -> Vec<ExprFault> {
    let mut faults: Vec<ExprFault> = errors
        .errors
        .iter()
        .map(|error| {
            let message = error.msg.lines().next().unwrap_or_default();
            let message = message.strip_prefix("Syntax error: ").unwrap_or(message);
            if message.contains("Recursion limit") {
                return super::too_deep();
            }
            ExprFault {
                at: byte_at(text, error.pos),
                ..ExprFault::new(
                    Code::ExpressionSyntax,
                    format!("this is not a CEL expression: {message}"),
                )
            }
        })
        .collect();
    faults.dedup();
    // What follows the first error is mostly its echo.
    faults.truncate(1);
    if faults.is_empty() {
        faults.push(ExprFault::new(Code::ExpressionSyntax, "this is not a CEL expression"));
    }
    faults
}

/// Line and column of the parser (from 1) as a byte range of one character.
fn byte_at(text: &str, (line, column): (isize, isize)) -> Option<Range<usize>> {
    let index = usize::try_from(line.checked_sub(1)?).ok()?;
    let start: usize = text.split_inclusive('\n').take(index).map(str::len).sum();
    let skip = usize::try_from(column.checked_sub(1)?).ok()?;
    let (offset, c) = text.get(start..)?.char_indices().nth(skip)?;
    Some(start + offset..start + offset + c.len_utf8())
}

/// Where `needle` first stands in the expression outside other words.
pub(super) fn place(text: &str, needle: &str) -> Option<Range<usize>> {
    let inside = |c: char| c.is_alphanumeric() || c == '_';
    let word = needle.starts_with(inside);
    let alone = |start: &usize| {
        let before = text.get(..*start).and_then(|t| t.chars().next_back());
        let after = text.get(start + needle.len()..).and_then(|t| t.chars().next());
        !word || !(before.is_some_and(|c| inside(c) || c == '.') || after.is_some_and(inside))
    };
    if needle.is_empty() {
        return None;
    }
    let starts: Vec<usize> = text.match_indices(needle).map(|(start, _)| start).collect();
    let found = starts.iter().copied().find(alone).or_else(|| starts.first().copied())?;
    Some(found..found + needle.len())
}

/// An expression after its facts were found.
pub(super) struct Resolved {
    pub(super) tree: IdedExpr,
    pub(super) read: BTreeSet<&'static str>,
    pub(super) asked: BTreeSet<&'static str>,
    pub(super) faults: Vec<ExprFault>,
}

/// Replaces every path of a fact by its variable.
pub(super) fn facts(tree: IdedExpr, text: &str) -> Resolved {
    let mut resolver = Resolver {
        text,
        bound: Vec::new(),
        read: BTreeSet::new(),
        asked: BTreeSet::new(),
        faults: Vec::new(),
    };
    let tree = resolver.node(tree);
    Resolved {
        tree,
        read: resolver.read,
        asked: resolver.asked,
        faults: resolver.faults,
    }
}

struct Resolver<'a> {
    text: &'a str,
    /// Variables of the macros around the node (`exists(t, …)`).
    bound: Vec<String>,
    read: BTreeSet<&'static str>,
    asked: BTreeSet<&'static str>,
    faults: Vec<ExprFault>,
}

impl Resolver<'_> {
    fn node(&mut self, node: IdedExpr) -> IdedExpr {
        let id = node.id;
        if let Some((segments, test)) = path_of(&node, &self.bound) {
            return self.path(id, &segments, test);
        }
        let expr = match node.expr {
            Expr::Call(CallExpr {
                func_name,
                target,
                args,
            }) => Expr::Call(CallExpr {
                func_name,
                target: target.map(|t| Box::new(self.node(*t))),
                args: self.nodes(args),
            }),
            Expr::List(ListExpr {
                elements,
                optional_indices,
            }) => Expr::List(ListExpr {
                elements: self.nodes(elements),
                optional_indices,
            }),
            Expr::Map(MapExpr { entries }) => Expr::Map(MapExpr {
                entries: self.entries(entries),
            }),
            Expr::Struct(StructExpr { type_name, entries }) => Expr::Struct(StructExpr {
                type_name,
                entries: self.entries(entries),
            }),
            Expr::Select(SelectExpr { operand, field, test }) => Expr::Select(SelectExpr {
                operand: Box::new(self.node(*operand)),
                field,
                test,
            }),
            Expr::Comprehension(c) => Expr::Comprehension(Box::new(self.comprehension(*c))),
            other => other,
        };
        IdedExpr { id, expr }
    }

    fn nodes(&mut self, nodes: Vec<IdedExpr>) -> Vec<IdedExpr> {
        nodes.into_iter().map(|n| self.node(n)).collect()
    }

    fn entries(&mut self, entries: Vec<IdedEntryExpr>) -> Vec<IdedEntryExpr> {
        entries
            .into_iter()
            .map(|entry| {
                let expr = match entry.expr {
                    EntryExpr::StructField(mut field) => {
                        field.value = self.node(field.value);
                        EntryExpr::StructField(field)
                    }
                    EntryExpr::MapEntry(mut pair) => {
                        pair.key = self.node(pair.key);
                        pair.value = self.node(pair.value);
                        EntryExpr::MapEntry(pair)
                    }
                };
                IdedEntryExpr { id: entry.id, expr }
            })
            .collect()
    }

    fn comprehension(&mut self, c: ComprehensionExpr) -> ComprehensionExpr {
        let iter_range = self.node(c.iter_range);
        let accu_init = self.node(c.accu_init);
        let names: Vec<String> = [Some(&c.iter_var), c.iter_var2.as_ref(), Some(&c.accu_var)]
            .into_iter()
            .flatten()
            .cloned()
            .collect();
        for name in names.iter().filter(|n| ROOTS.contains(&n.as_str())) {
            let fault = ExprFault::new(
                Code::ExpressionType,
                format!("`{name}` cannot be the name of an element"),
            );
            self.fault(
                fault.help(format!("`{name}` means the facts; choose another name")),
                name,
            );
        }
        let before = self.bound.len();
        self.bound.extend(names);
        let loop_cond = self.node(c.loop_cond);
        let loop_step = self.node(c.loop_step);
        let result = self.node(c.result);
        self.bound.truncate(before);
        ComprehensionExpr {
            iter_range,
            accu_init,
            loop_cond,
            loop_step,
            result,
            ..c
        }
    }

    fn fault(&mut self, fault: ExprFault, needle: &str) {
        self.faults.push(ExprFault {
            at: place(self.text, needle),
            ..fault
        });
    }

    fn path(&mut self, id: u64, segments: &[String], test: bool) -> IdedExpr {
        let written = segments.join(".");
        let unknown = IdedExpr {
            id,
            expr: Expr::Unspecified,
        };
        let Some((fact, used)) = longest_fact(segments) else {
            let fault = unknown_fact(&written, segments);
            self.fault(fault, &written);
            return unknown;
        };
        let rest: Vec<&String> = segments.iter().skip(used).collect();
        if rest.is_empty() && test {
            self.asked.insert(fact.path);
            return IdedExpr {
                id,
                expr: Expr::Ident(presence(fact.path)),
            };
        }
        self.read.insert(fact.path);
        let mut node = IdedExpr {
            id,
            expr: Expr::Ident(fact.path.to_owned()),
        };
        if fact.kind != FactType::Labels && !rest.is_empty() {
            let what = fact.kind.as_type().name();
            let fault = ExprFault::new(Code::UnknownFact, format!("`{}` is {what} and has no parts", fact.path));
            self.fault(fault.help(format!("write `{}`", fact.path)), &written);
            return unknown;
        }
        if let [key] = rest.as_slice() {
            let select = SelectExpr {
                operand: Box::new(node),
                field: (*key).clone(),
                test,
            };
            node = IdedExpr {
                id,
                expr: Expr::Select(select),
            };
        } else if rest.len() > 1 {
            let (keys, labels) = (
                segments.iter().skip(used).cloned().collect::<Vec<_>>().join("."),
                fact.path,
            );
            let fault = ExprFault::new(
                Code::UnknownFact,
                format!("a label is a text: `{written}` asks for parts of one"),
            );
            self.fault(
                fault.help(format!("a key with dots is written `{labels}[\"{keys}\"]`")),
                &written,
            );
            return unknown;
        }
        node
    }
}

/// The fact a path starts with, and how many segments it takes.
fn longest_fact(segments: &[String]) -> Option<(&'static Fact, usize)> {
    (1..=segments.len()).rev().find_map(|count| {
        let path = segments.iter().take(count).cloned().collect::<Vec<_>>().join(".");
        facts::find(&path).map(|fact| (fact, count))
    })
}

fn unknown_fact(written: &str, segments: &[String]) -> ExprFault {
    let below = facts::group(written);
    if !below.is_empty() {
        return ExprFault::new(
            Code::UnknownFact,
            format!("`{written}` is a group of facts, not a fact"),
        )
        .help(format!("choose one: {}", below.join(", ")));
    }
    let tail = segments.last().map_or("", String::as_str);
    let elsewhere = FACTS
        .iter()
        .map(|f| f.path)
        .find(|p| p.ends_with(&format!(".{written}")));
    let help = elsewhere
        .map(|path| format!("did you mean `{path}`?"))
        .or_else(|| nearest(written, FACTS.iter().map(|f| f.path)))
        .or_else(|| {
            FACTS
                .iter()
                .map(|f| f.path)
                .find(|p| p.ends_with(&format!(".{tail}")))
                .map(|p| format!("did you mean `{p}`?"))
        })
        .unwrap_or_else(|| "facts start with asset, advisory or finding".into());
    ExprFault::new(Code::UnknownFact, format!("there is no fact `{written}`")).help(help)
}

/// `a.b.c` or `has(a.b.c)` as its segments, unless it starts with a variable of a macro.
fn path_of(node: &IdedExpr, bound: &[String]) -> Option<(Vec<String>, bool)> {
    let mut test = false;
    let mut segments = Vec::new();
    let mut at = node;
    loop {
        match &at.expr {
            Expr::Ident(name) => {
                if bound.iter().any(|b| b == name) {
                    return None;
                }
                segments.push(name.trim_start_matches('.').to_owned());
                segments.reverse();
                return Some((segments, test));
            }
            // `has(…)` can only be outermost: what is below a presence test is no path.
            Expr::Select(select) if !select.test || segments.is_empty() => {
                test |= select.test;
                segments.push(select.field.clone());
                at = &select.operand;
            }
            _ => return None,
        }
    }
}
