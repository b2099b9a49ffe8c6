//! A page of the manual as the tests see it: headings, and the blocks below them.

use std::ops::Range;
use std::path::Path;

use jiff::Timestamp;

/// One Markdown page.
pub struct Page {
    /// Its file name, for example `sla.md`.
    pub name: String,
    /// Its text, line by line.
    pub lines: Vec<String>,
    /// The instant of everything on it, unless a world says another.
    pub now: Timestamp,
    /// The page whose first heading gives the repository this one starts from.
    pub base: Option<String>,
    /// Its headings, in order.
    pub sections: Vec<Section>,
}

/// A heading and what stands below it, up to the next heading of any level.
pub struct Section {
    pub title: String,
    /// From 1.
    pub line: usize,
    /// How many `#`.
    pub level: usize,
    /// The heading it stands under, as an index.
    pub parent: Option<usize>,
    pub blocks: Vec<Block>,
}

/// A fenced block.
pub struct Block {
    /// The first word behind the fence.
    pub language: String,
    /// The other words.
    pub words: Vec<String>,
    /// The lines inside, as indexes from 0.
    pub inside: Range<usize>,
    pub text: String,
}

impl Block {
    /// The value of `key=value` behind the fence.
    pub fn option(&self, key: &str) -> Option<&str> {
        let value = |word: &'_ String| word.strip_prefix(key).is_some_and(|rest| rest.starts_with('='));
        let word = self.words.iter().find(|w| value(w))?;
        word.get(key.len() + 1..)
    }

    pub fn has(&self, word: &str) -> bool {
        self.words.iter().any(|w| w == word)
    }

    /// The line of the fence, from 1.
    pub fn line(&self) -> usize {
        self.inside.start
    }

    /// What must come out, rather than what goes in.
    pub fn is_expectation(&self) -> bool {
        crate::shows::is_shown(&self.language)
    }
}

/// Reads a page.
///
/// # Errors
/// What is wrong with its form.
pub fn read(path: &Path) -> Result<Page, String> {
    let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let (front, body) = front_matter(&lines);
    let setting = |key: &str| {
        let mut found = front.iter().filter_map(|line| line.split_once(':'));
        found.find(|(k, _)| k.trim() == key).map(|(_, v)| v.trim().to_owned())
    };
    let now =
        setting("now").ok_or_else(|| format!("{name}: the front matter needs a line `now: 2026-11-20T12:00:00Z`"))?;
    let now = now.parse().map_err(|e| format!("{name}: now: {e}"))?;
    let sections = sections(&name, &lines, body)?;
    Ok(Page {
        base: setting("base"),
        now,
        sections,
        lines,
        name,
    })
}

fn front_matter(lines: &[String]) -> (&[String], usize) {
    if lines.first().is_none_or(|l| l != "---") {
        return (&[], 0);
    }
    match lines.iter().skip(1).position(|l| l == "---") {
        Some(end) => (&lines[1..=end], end + 2),
        None => (&[], 0),
    }
}

fn sections(name: &str, lines: &[String], body: usize) -> Result<Vec<Section>, String> {
    let mut sections: Vec<Section> = Vec::new();
    let mut at = body;
    while let Some(line) = lines.get(at) {
        let level = line.chars().take_while(|c| *c == '#').count();
        if level > 0 && line[level..].starts_with(' ') {
            let parent = sections.iter().rposition(|s| s.level < level);
            sections.push(Section {
                title: line[level..].trim().to_owned(),
                line: at + 1,
                level,
                parent,
                blocks: Vec::new(),
            });
        } else if line.starts_with("```") {
            let fence: String = line.chars().take_while(|c| *c == '`').collect();
            let inside = at + 1;
            let length = lines.iter().skip(inside).position(|l| l.trim_end() == fence);
            let length = length.ok_or_else(|| format!("{name}:{inside}: this block has no end"))?;
            let section = sections.last_mut();
            let section = section.ok_or_else(|| format!("{name}:{inside}: a block before the first heading"))?;
            let mut words = line[fence.len()..].split_whitespace().map(str::to_owned);
            let text: String = lines[inside..inside + length]
                .iter()
                .map(|l| format!("{l}\n"))
                .collect();
            section.blocks.push(Block {
                language: words.next().unwrap_or_default(),
                words: words.collect(),
                inside: inside..inside + length,
                text,
            });
            at = inside + length;
        }
        at += 1;
    }
    Ok(sections)
}
