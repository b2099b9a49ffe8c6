//! How long an expression may run. Loops inside loops multiply: a few of them in one line would take hours for every
//! asset, and the evaluator itself counts nothing.

use cel::common::ast::{Expr, IdedExpr};

use super::ExprFault;
use super::check::children;
use crate::diag::Code;

/// Most steps for one asset. A comparison of every label with every package group of an asset stays below it; at some ten
/// million steps a second it is a few milliseconds, and answers are shared by assets that are alike.
pub const STEPS_MAX: u64 = 20_000;

/// How many entries a list of facts is taken to have: more groups, labels or types than assets have in practice.
const FACTS_LISTED: u64 = 64;

/// The fault of an expression that would run too long.
pub(super) fn fault(tree: &IdedExpr) -> Option<ExprFault> {
    let unknown = longest_list(tree).max(FACTS_LISTED);
    let steps = steps(tree, unknown);
    (steps > STEPS_MAX).then(|| {
        let message = format!(
            "loops inside loops: this could take {steps} steps for every asset; at most {STEPS_MAX} are allowed"
        );
        ExprFault::new(Code::ExpressionLimit, message)
            .help("use `in` instead of an inner loop, or split it into several rules")
    })
}

/// Steps at most; a range that is not written out is taken to have `unknown` entries.
fn steps(node: &IdedExpr, unknown: u64) -> u64 {
    let Expr::Comprehension(c) = &node.expr else {
        let below = children(node).into_iter().map(|child| steps(child, unknown));
        return below.fold(1, u64::saturating_add);
    };
    let once = [&c.iter_range, &c.accu_init, &c.result].map(|part| steps(part, unknown));
    let each = [&c.loop_cond, &c.loop_step].map(|part| steps(part, unknown));
    let each = each.into_iter().fold(0, u64::saturating_add);
    let rounds = entries(&c.iter_range, unknown).saturating_mul(each);
    once.into_iter().fold(rounds, u64::saturating_add)
}

/// How many entries a range has at most.
fn entries(range: &IdedExpr, unknown: u64) -> u64 {
    let written = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    match &range.expr {
        Expr::List(list) => written(list.elements.len()),
        Expr::Map(map) => written(map.entries.len()),
        Expr::Comprehension(c) => entries(&c.iter_range, unknown),
        // What is joined of lists is as long as they are together.
        Expr::Call(call) => {
            let parts = call.target.as_deref().into_iter().chain(&call.args);
            parts.map(|part| entries(part, unknown)).fold(0, u64::saturating_add)
        }
        _ => unknown,
    }
}

/// The length of the longest list or map written out anywhere in the expression.
fn longest_list(node: &IdedExpr) -> u64 {
    let here = match &node.expr {
        Expr::List(_) | Expr::Map(_) => entries(node, 0),
        _ => 0,
    };
    children(node).into_iter().map(longest_list).fold(here, u64::max)
}
