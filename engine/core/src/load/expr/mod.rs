//! Conditions in CEL (`when:`), checked before anything is judged by them.
//!
//! An [`Expression`] is compiled once and asked often: facts are looked up by path and only those it reads are built, so
//! asking one is a matter of microseconds. The crate that evaluates knows no types, so `check` does: unknown facts,
//! optional facts without `has(…)`, comparisons that could never hold are errors while loading, not surprises at night.

mod check;
pub mod facts;
mod functions;
mod resolve;
mod steps;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, LazyLock};

use cel::common::ast::{Expr, IdedExpr};
use cel::objects::{Key, Map};
use cel::parser::PrattParser;
use cel::{Context, Env, ExecutionError, Value};
use jiff::Timestamp;

use crate::diag::{Code, Severity};

/// Longest expression in bytes; a longer one is a program, and belongs into several rules.
pub const BYTES_MAX: usize = 4096;

/// Deepest nesting.
pub const DEPTH_MAX: usize = 32;

/// The value of a fact.
#[derive(Clone, Debug, PartialEq)]
pub enum FactValue {
    /// A text.
    Str(String),
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number with a fraction.
    Float(f64),
    /// A point in time.
    Time(Timestamp),
    /// A list of texts.
    List(Vec<String>),
    /// A map from text to text.
    Map(BTreeMap<String, String>),
}

/// Why an expression has no answer for one asset.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExprError {
    /// A fact that is never optional was not observed.
    #[error("`{0}` was not observed")]
    Unobserved(String),
    /// Anything else that can go wrong at run time: a missing label, an index out of range, an overflow.
    #[error("{0}")]
    Evaluation(String),
}

/// A fault found while compiling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExprFault {
    /// Which fault.
    pub code: Code,
    /// How bad.
    pub severity: Severity,
    /// What is wrong and why.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
    /// Where, as bytes of the expression; `None` = all of it.
    pub at: Option<Range<usize>>,
}

impl ExprFault {
    fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            severity: code.severity(),
            message: message.into(),
            help: None,
            at: None,
        }
    }

    fn help(self, help: impl Into<String>) -> Self {
        Self {
            help: Some(help.into()),
            ..self
        }
    }
}

/// A checked condition.
pub struct Expression {
    /// As written.
    pub text: String,
    /// Paths of the facts it reads or asks for with `has(…)`, sorted, each once.
    pub facts: Vec<&'static str>,
    /// The tree, facts replaced by variables that carry their whole path.
    tree: IdedExpr,
    /// Facts whose value is read.
    read: Vec<&'static str>,
    /// Facts asked for with `has(…)`.
    asked: Vec<&'static str>,
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Expression")
            .field("text", &self.text)
            .field("facts", &self.facts)
            .finish_non_exhaustive()
    }
}

static ENVIRONMENT: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::stdlib()));

/// Compiles and checks one expression.
///
/// # Errors
/// Every fault found; faults that are only warnings do not prevent an expression and come with it.
pub fn compile(text: &str) -> Result<(Expression, Vec<ExprFault>), Vec<ExprFault>> {
    if text.len() > BYTES_MAX {
        let message = format!("the expression has {} bytes; at most {BYTES_MAX} are read", text.len());
        return Err(vec![
            ExprFault::new(Code::ExpressionLimit, message).help("split it into several rules"),
        ]);
    }
    if resolve::nesting(text) > DEPTH_MAX {
        return Err(vec![too_deep()]);
    }
    // The crate's other parser needs over 100 kB of stack a level in an unoptimised build, which a depth of 32 on a worker
    // thread does not have.
    let parser = PrattParser::new().max_recursion_depth(RECURSION_MAX);
    let tree = parser.parse(text).map_err(|errors| resolve::syntax(text, &errors))?;
    if depth(&tree) > TREE_DEPTH_MAX {
        return Err(vec![too_deep()]);
    }
    let resolved = resolve::facts(tree, text);
    let mut faults = resolved.faults;
    faults.extend(check::condition(&resolved.tree, text));
    faults.extend(steps::fault(&resolved.tree));
    if faults.iter().any(|f| f.severity == Severity::Error) {
        return Err(faults);
    }
    let all: BTreeSet<&'static str> = resolved.read.iter().chain(&resolved.asked).copied().collect();
    let expression = Expression {
        text: text.to_owned(),
        facts: all.into_iter().collect(),
        tree: resolved.tree,
        read: resolved.read.into_iter().collect(),
        asked: resolved.asked.into_iter().collect(),
    };
    Ok((expression, faults))
}

/// Macros such as `exists` expand to a few levels each, so the tree may be somewhat deeper than the text.
const TREE_DEPTH_MAX: usize = 2 * DEPTH_MAX;

/// What the parser counts as depth: our own check of the text is the stricter one, this only bounds the stack.
const RECURSION_MAX: u16 = 3 * DEPTH_MAX as u16;

fn too_deep() -> ExprFault {
    ExprFault::new(
        Code::ExpressionLimit,
        format!("the expression is nested deeper than {DEPTH_MAX} levels"),
    )
    .help("split it into several rules")
}

fn depth(node: &IdedExpr) -> usize {
    1 + check::children(node).into_iter().map(depth).max().unwrap_or(0)
}

impl Expression {
    /// Answers for one asset (and advisory, and finding). `get` gives the value of a fact by its path, `None` if it was
    /// not observed; it is asked only for the facts this expression names.
    ///
    /// # Errors
    /// A never-optional fact that is needed and missing, or a fault of evaluation such as a missing label.
    pub fn eval(&self, get: &dyn Fn(&str) -> Option<FactValue>) -> Result<bool, ExprError> {
        let mut context = Context::with_env(Arc::clone(&ENVIRONMENT));
        for path in &self.asked {
            context.add_variable_from_value(resolve::presence(path), get(path).is_some());
        }
        for path in &self.read {
            if let Some(value) = get(path) {
                context.add_variable_from_value(*path, cel_value(value));
            }
        }
        match Value::resolve(&self.tree, &context) {
            Ok(Value::Bool(answer)) => Ok(answer),
            Ok(_) => Err(ExprError::Evaluation(format!("`{}` gave no yes or no", self.text))),
            Err(ExecutionError::UndeclaredReference(name)) => Err(ExprError::Unobserved(name.to_string())),
            Err(ExecutionError::NoSuchKey(key)) => Err(ExprError::Evaluation(format!(
                "there is no label `{key}`; ask with has(…) or `in` first"
            ))),
            Err(error) => Err(ExprError::Evaluation(error.to_string())),
        }
    }
}

fn cel_value(value: FactValue) -> Value {
    match value {
        FactValue::Str(text) => Value::String(Arc::new(text)),
        FactValue::Bool(bool) => Value::Bool(bool),
        FactValue::Int(int) => Value::Int(int),
        FactValue::Float(float) => Value::Float(float),
        FactValue::Time(time) => {
            let nanoseconds = u32::try_from(time.subsec_nanosecond()).unwrap_or(0);
            // Both libraries reach year 9999 and further back than any advisory.
            let utc = chrono::DateTime::from_timestamp(time.as_second(), nanoseconds).unwrap_or_default();
            Value::Timestamp(utc.fixed_offset())
        }
        FactValue::List(texts) => Value::List(Arc::new(
            texts.into_iter().map(|t| Value::String(Arc::new(t))).collect(),
        )),
        FactValue::Map(map) => {
            let entries = map
                .into_iter()
                .map(|(k, v)| (Key::String(Arc::new(k)), Value::String(Arc::new(v))));
            Value::Map(Map {
                map: Arc::new(entries.collect()),
            })
        }
    }
}

/// Whether the expression is the constant `true`.
pub fn is_constant_true(expression: &Expression) -> bool {
    matches!(&expression.tree.expr, Expr::Literal(cel::common::ast::LiteralValue::Boolean(b)) if *b.inner())
}

#[cfg(test)]
mod tests;
