//! The inside of `{…}` and `[…]` up to the cursor: which key or entry is being typed.

use super::cursor::Cursor;

/// Open brackets, from the outside in.
#[derive(Clone, Debug, Default)]
pub struct Flow {
    frames: Vec<Frame>,
    quote: Option<char>,
    comment: bool,
    seen: bool,
}

#[derive(Clone, Debug, Default)]
struct Frame {
    map: bool,
    /// The key whose value is being typed.
    key: Option<String>,
    index: usize,
    /// Keys written so far.
    keys: Vec<String>,
    pending: String,
    pending_start: Option<usize>,
}

impl Frame {
    fn new(map: bool) -> Self {
        Self { map, ..Self::default() }
    }

    fn token(&self) -> String {
        match (&self.key, self.map) {
            (Some(key), _) => key.clone(),
            (None, true) => String::new(),
            (None, false) => self.index.to_string(),
        }
    }

    fn clear(&mut self) {
        self.pending.clear();
        self.pending_start = None;
    }
}

impl Flow {
    /// Whether every bracket that was opened is closed.
    pub fn is_closed(&self) -> bool {
        self.seen && self.frames.is_empty()
    }

    /// Reads on; `start` is the byte of the first character.
    pub fn feed(&mut self, text: &str, start: usize) {
        let mut characters = text.char_indices().peekable();
        while let Some((at, c)) = characters.next() {
            let next = characters.peek().map(|(_, c)| *c);
            self.character(c, next, start + at);
        }
    }

    fn character(&mut self, c: char, next: Option<char>, at: usize) {
        if self.comment {
            self.comment = c != '\n';
            return;
        }
        if let Some(quote) = self.quote {
            if c == quote {
                self.quote = None;
            }
            self.keep(c, at);
            return;
        }
        match c {
            '"' | '\'' if self.frames.last().is_some_and(|frame| frame.pending.trim().is_empty()) => {
                self.quote = Some(c);
                self.keep(c, at);
            }
            '#' if self
                .frames
                .last()
                .is_some_and(|f| f.pending.is_empty() || f.pending.ends_with(' ')) =>
            {
                self.comment = true;
            }
            '{' | '[' => {
                self.seen = true;
                self.frames.push(Frame::new(c == '{'));
            }
            '}' | ']' => {
                self.frames.pop();
            }
            ',' => {
                if let Some(frame) = self.frames.last_mut() {
                    frame.key = None;
                    frame.index += 1;
                    frame.clear();
                }
            }
            ':' if next.is_none_or(|n| n.is_whitespace() || matches!(n, ',' | '{' | '[' | '}')) => {
                if let Some(frame) = self.frames.last_mut().filter(|frame| frame.map && frame.key.is_none()) {
                    let key = frame.pending.trim().trim_matches(['"', '\'']).to_owned();
                    frame.keys.push(key.clone());
                    frame.key = Some(key);
                    frame.clear();
                }
            }
            _ => self.keep(c, at),
        }
    }

    fn keep(&mut self, c: char, at: usize) {
        if let Some(frame) = self.frames.last_mut() {
            if frame.pending_start.is_none() && c.is_whitespace() {
                return;
            }
            frame.pending_start.get_or_insert(at);
            frame.pending.push(c);
        }
    }

    /// The place of the cursor at `byte`, with what follows it on its line.
    pub fn cursor(&self, mut path: Vec<String>, rest: &str, byte: usize) -> Cursor {
        let depth = self.frames.len();
        let mut frames = self.frames.iter();
        let last = frames.next_back();
        path.extend(frames.map(Frame::token));
        let Some(last) = last else {
            return Cursor::default();
        };
        let after_key = last.key.is_some();
        if after_key || !last.map {
            path.push(last.token());
        }
        let word_end = rest.find([',', '}', ']', ':', '\n']).unwrap_or(rest.len());
        let tail = rest
            .get(..word_end)
            .unwrap_or_default()
            .split(" #")
            .next()
            .unwrap_or_default();
        // Blanks before the next bracket are not part of the word, unless the word goes on behind them.
        let tail = tail.trim_end();
        let colon_follows = rest.get(word_end..).is_some_and(|rest| rest.starts_with(':'));
        Cursor {
            path,
            after_key,
            word: last.pending_start.unwrap_or(byte)..byte + tail.len(),
            siblings: self.keys_with(rest, depth, last),
            colon_follows,
            flow: true,
            ..Cursor::default()
        }
    }

    /// The keys of the innermost mapping, those behind the cursor included, the one under it left out.
    fn keys_with(&self, rest: &str, depth: usize, last: &Frame) -> Vec<String> {
        let mut ahead = self.clone();
        let mut keys = last.keys.clone();
        for (at, c) in rest.char_indices() {
            let next = rest.get(at + c.len_utf8()..).and_then(|rest| rest.chars().next());
            ahead.character(c, next, at);
            match ahead.frames.get(depth.saturating_sub(1)) {
                Some(frame) if ahead.frames.len() >= depth => keys.clone_from(&frame.keys),
                _ => break,
            }
        }
        let typed = last.keys.len();
        let under = keys.len() > typed
            && last.key.is_none()
            && rest.trim_start().find([',', '}']) > rest.trim_start().find(':');
        if under {
            keys.remove(typed);
        }
        keys
    }
}
