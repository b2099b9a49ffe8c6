//! Trying a target out before anybody depends on it: does everything render, does every file parse, does any value get out.
//!
//! A template is right if whatever stands in a value, its file still has the shape it had: the same documents, keys and
//! lists, other texts. So every text that a template may show is replaced by hostile ones and the file is read again.

mod hostile;
mod world;

use std::collections::BTreeMap;

use pulldown_cmark::{Event, Options, Parser};
use rayon::prelude::*;
use serde_json::Value;

pub use hostile::{HOSTILE_TEXTS, hostile_texts};

use super::faults::Faults;
use super::pack::{Pack, PackFault, Packs};
use super::{RenderInput, freeze, pages, wave_views};
use crate::load::wire::{Escape, FileSpec};
use crate::source::yaml::{Fault, LIMITS, read};
use crate::version::Scheme;

/// What a trial showed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trial {
    /// Files of the plain rendering, by path relative to the wave's folder.
    pub files: BTreeMap<String, Vec<u8>>,
    /// Renderings with hostile texts.
    pub tried: usize,
    /// Those that the template refused (a `plain` or `number` that is none).
    pub refused: usize,
    /// What is wrong, sorted.
    pub faults: Vec<PackFault>,
}

/// The shape of a file by another reader than ours, and why it cannot be read; `None` where that reader does not know the
/// format. It sees every file that is written, so it may keep them too.
pub type Shape<'a> = &'a (dyn Fn(&str, &str) -> Option<Result<String, String>> + Sync);

/// Renders `pack` on a small rollout that shows everything its specification says it can do, plainly and with every text
/// replaced by each of `hostile`, and reads each file again by `shape`.
pub fn trial(pack: &Pack, hooks: &BTreeMap<String, String>, hostile: &[String], shape: Shape<'_>) -> Trial {
    let mut pack = pack.clone();
    if pack.spec.ecosystems.is_empty() && pack.spec.kinds.is_empty() {
        // A pack that installs nothing writes about what others do.
        pack.spec.ecosystems.push(Scheme::Rpm);
    }
    let pack = &pack;
    let world = world::world(&pack.spec);
    let mut packs = Packs {
        targets: BTreeMap::new(),
        hooks: hooks.clone(),
    };
    packs.targets.insert(pack.spec.name.clone(), pack.clone());
    let names: Vec<_> = world.rollout.waves.iter().map(|wave| wave.name.clone()).collect();
    let input = RenderInput {
        rollout: &world.rollout,
        waves: &names,
        catalog: &world.catalog,
        observation: &world.observation,
        packs: &packs,
        openings: &BTreeMap::new(),
        frozen: None,
        carried: &BTreeMap::new(),
    };
    let mut faults = Faults::default();
    let frozen = freeze::freeze(&input, &mut faults);
    let views = wave_views(&input, &frozen, &mut faults);
    let mut trial = Trial::default();
    let told = |message: String| PackFault {
        file: format!("{}/target.yaml", pack.spec.name),
        message,
    };
    if let Err(found) = faults.done() {
        let said = found.iter().map(|fault| {
            told(format!(
                "a trial cannot be rendered: {}: {}",
                fault.subject, fault.message
            ))
        });
        trial.faults = said.collect();
        return trial;
    }
    // The last wave needs another, so that nothing is empty.
    for (wave, view) in views.iter().rev().take(1) {
        let (context, small) = pages::contexts(&input, &frozen, wave, view, &pack.spec.name);
        for spec in &pack.spec.files {
            try_file(pack, spec, (&context, &small), hostile, shape, &mut trial);
        }
    }
    trial.faults.sort();
    trial.faults.dedup();
    trial
}

fn try_file(
    pack: &Pack,
    spec: &FileSpec,
    (context, small): (&Value, &Value),
    hostile: &[String],
    shape: Shape<'_>,
    trial: &mut Trial,
) {
    let source = spec
        .template
        .as_deref()
        .or(spec.copy.as_deref())
        .unwrap_or("target.yaml");
    let fault = |message: String| PackFault {
        file: format!("{}/{source}", pack.spec.name),
        message,
    };
    let plain = match pages::one_kind(pack, spec, context, small) {
        Ok(files) => files,
        Err(why) => return trial.faults.push(fault(format!("does not render: {why}"))),
    };
    let shapes: BTreeMap<&String, Option<Result<String, String>>> = plain
        .iter()
        .map(|(path, bytes)| (path, shape_of(path, bytes, shape)))
        .collect();
    for (path, found) in &shapes {
        if let Some(Err(why)) = found {
            trial.faults.push(fault(format!("`{path}` cannot be read: {why}")));
        }
    }
    if spec.escape != Escape::None && shapes.values().all(|s| !matches!(s, Some(Err(_)))) {
        let shapes: Vec<_> = shapes.into_values().collect();
        let attempts = hostile.par_iter().enumerate().map(|(turn, text)| {
            let attempt = |one_in| {
                let (context, small) = Replacing { text, one_in, turn }.in_both(context, small);
                escape(pack, spec, (&context, &small), &shapes, shape)
            };
            // Where every text at once is refused, some of them may still pass.
            let all = attempt(1);
            let some = all.is_none().then(|| attempt(7));
            (text, [Some(all), some])
        });
        let attempts: Vec<_> = attempts.collect();
        for (text, outcome) in attempts
            .iter()
            .flat_map(|(text, all)| all.iter().flatten().map(move |o| (text, o)))
        {
            trial.tried += 1;
            trial.refused += usize::from(outcome.is_none());
            // The first few say what is wrong; hundreds more would hide it.
            if let Some(Err(how)) = outcome
                && trial
                    .faults
                    .iter()
                    .filter(|known| known.message.contains(BREAKS_OUT))
                    .count()
                    < TOLD_MAX
            {
                let text: String = text.chars().take(80).collect();
                trial
                    .faults
                    .push(fault(format!("the text {text:?} {BREAKS_OUT}: {how}")));
            }
        }
    }
    trial.files.extend(plain);
}

/// Renders once more and compares: none = refused, else whether and how a file lost its shape.
fn escape(
    pack: &Pack,
    spec: &FileSpec,
    (context, small): (&Value, &Value),
    shapes: &[Option<Result<String, String>>],
    shape: Shape<'_>,
) -> Option<Result<(), String>> {
    let files = pages::one_kind(pack, spec, context, small).ok()?;
    let lost = files.iter().zip(shapes).find_map(|((path, bytes), before)| {
        let now = shape_of(path, bytes, shape);
        (now != *before).then(|| match now {
            Some(Err(why)) => format!("`{path}`: {why}"),
            _ => format!("the structure of `{path}` changes"),
        })
    });
    Some(lost.map_or(Ok(()), Err))
}

fn shape_of(path: &str, bytes: &[u8], other: Shape<'_>) -> Option<Result<String, String>> {
    let text = String::from_utf8_lossy(bytes);
    let others = other(path, &text);
    let ours = match path.rsplit_once('.').map(|(_, extension)| extension) {
        Some("json") => {
            let value: Result<Value, _> = serde_json::from_str(&text);
            Some(value.map(|value| outline(&value)).map_err(|error| error.to_string()))
        }
        Some("yml" | "yaml") => Some(yaml_shape(&text)),
        Some("md") => Some(Ok(markdown_shape(&text))),
        _ => None,
    };
    match (ours, others) {
        (Some(Ok(ours)), Some(Ok(others))) => Some(Ok(format!("{ours}\n{others}"))),
        (Some(Err(why)), _) | (_, Some(Err(why))) => Some(Err(why)),
        (ours, others) => ours.or(others),
    }
}

fn yaml_shape(text: &str) -> Result<String, String> {
    // `!unsafe` is Ansible's own tag; what it tags is a plain value.
    let reading = read(&text.replace(" !unsafe\n", "\n").replace(" !unsafe '", " '"), LIMITS);
    let bad = reading
        .problems
        .iter()
        .find(|problem| problem.fault != Fault::LookAlike);
    match bad {
        Some(problem) => Err(problem.message.clone()),
        None => Ok(reading
            .documents
            .iter()
            .map(|document| outline(&document.value))
            .collect()),
    }
}

/// What a page is made of, without its texts: blocks, tables and their cells, emphasis, code, links with where they go, HTML.
/// A text that stays one leaves all of it as it was.
fn markdown_shape(text: &str) -> String {
    let mut shape = String::new();
    for event in Parser::new_ext(
        text,
        Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS,
    ) {
        match event {
            // One text may come in several pieces.
            Event::Text(_) | Event::SoftBreak => {}
            Event::Code(_) => shape.push_str("code "),
            Event::Start(tag) => shape.push_str(&format!("{:?} ", tag.to_end())),
            Event::End(_) => shape.push_str(". "),
            other => shape.push_str(&format!("{other:?} ")),
        }
    }
    // Lines count too: a page is read as text as well, and one value is one line.
    format!("{shape}{}", text.lines().count())
}

/// The structure of a value without its texts: names of members do not count either, since a value may stand there.
fn outline(value: &Value) -> String {
    match value {
        Value::Array(items) => format!("[{}]", items.iter().map(outline).collect::<Vec<_>>().join(",")),
        Value::Object(map) => {
            let mut members: Vec<String> = map.values().map(outline).collect();
            members.sort();
            format!("{{{}}}", members.join(","))
        }
        Value::String(_) => "t".to_owned(),
        Value::Number(_) => "n".to_owned(),
        Value::Bool(_) => "b".to_owned(),
        Value::Null => "0".to_owned(),
    }
}

/// What is said of a text that gets out.
const BREAKS_OUT: &str = "breaks out";

/// Texts that break out, told one by one.
const TOLD_MAX: usize = 5;

/// The members of a context that hold a name which decides a path or a branch of the template, and never reach a file as text.
const DECIDING: &[&str] = &[
    "scheme",
    "manager",
    "rollback",
    "reboot",
    "kind",
    "lane",
    "id",
    "number",
    "folder",
    "secureBoot",
    "mig",
    "role",
];

/// Longest text that is put where a name stands. Names are bounded by their grammar, and may be keys, of which YAML reads no
/// more than 1,024 characters (YAML 1.2, 7.4.3).
const NAME_MAX: usize = 1024;

/// Replaces texts by a hostile one.
struct Replacing<'t> {
    text: &'t str,
    /// One text in so many, other ones for each `turn`: where one makes the template refuse, others may not.
    one_in: usize,
    turn: usize,
}

impl Replacing<'_> {
    fn in_both(&self, context: &Value, small: &Value) -> (Value, Value) {
        (self.within(context, "", &mut 0), self.within(small, "", &mut 0))
    }

    /// `name` is the member that `value` stands in, `place` counts the texts so far. Each text stays unlike every other,
    /// because names that were different are.
    fn within(&self, value: &Value, name: &str, place: &mut usize) -> Value {
        match value {
            // What is empty is a word for "none" and decides whether something is written at all.
            Value::String(old) if !old.is_empty() => {
                *place += 1;
                let chosen = (*place + self.turn).is_multiple_of(self.one_in);
                let fits = name != "name" || self.text.len() <= NAME_MAX;
                if !chosen || !fits || self.text.is_empty() || DECIDING.contains(&name) {
                    value.clone()
                } else if self.turn.is_multiple_of(2) {
                    format!("{}{place}", self.text).into()
                } else {
                    format!("{place}{}", self.text).into()
                }
            }
            Value::Array(items) => items.iter().map(|item| self.within(item, name, place)).collect(),
            Value::Object(map) => {
                let members = map.iter();
                let members = members.map(|(name, member)| (name.clone(), self.within(member, name, place)));
                Value::Object(members.collect())
            }
            other => other.clone(),
        }
    }
}
