//! apk: Alpine versions as apk-tools 3 orders them (`src/version.c` there; the APKBUILD reference describes the form):
//! `number{.number}[letter]{_suffix[number]}[~hash][-rNumber]`.
//!
//! Tokens are compared one by one; where their kinds differ, the declaration order of [`Token`] decides. That makes
//! `_alpha`, `_beta`, `_pre`, `_rc` older and `_cvs`, `_svn`, `_git`, `_hg`, `_p` newer than their absence.
//!
//! Deviations: numbers of any length count by value (apk wraps at 64 bits), and two strings that stop being versions
//! at the same place, which apk calls equal, are ordered by their remainder, so that an unpatched build is not taken
//! for the fixed one.
use std::cmp::Ordering;

use super::digits::{compare_natural, compare_numbers, split_digits, split_while};

/// Suffixes before a release, oldest first.
const PRE_RELEASE: [&[u8]; 4] = [b"alpha", b"beta", b"pre", b"rc"];
/// Suffixes after a release, oldest first.
const POST_RELEASE: [&[u8]; 5] = [b"cvs", b"svn", b"git", b"hg", b"p"];

/// Orders two versions token by token.
pub(super) fn compare(a: &str, b: &str) -> Ordering {
    let mut scanner_a = Scanner::new(a);
    let mut scanner_b = Scanner::new(b);
    loop {
        let order = match (scanner_a.next_token(), scanner_b.next_token()) {
            (Token::End, Token::End) => return Ordering::Equal,
            (Token::Invalid(a), Token::Invalid(b)) => return compare_natural(a, b),
            (a, b) => a.compare(b),
        };
        if order.is_ne() {
            return order;
        }
    }
}

/// One token; the declaration order of the variants is the order of tokens of different kinds.
#[derive(Clone, Copy)]
enum Token<'a> {
    PreRelease(usize),
    /// From here on the text is no version; holds the remainder.
    Invalid(&'a [u8]),
    End,
    Revision(&'a [u8]),
    Hash(&'a [u8]),
    SuffixNumber(&'a [u8]),
    PostRelease(usize),
    Letter(u8),
    /// A number after the first one.
    Component(&'a [u8]),
    First(&'a [u8]),
}

impl Token<'_> {
    fn compare(self, other: Self) -> Ordering {
        match (self, other) {
            (Self::PreRelease(a), Self::PreRelease(b)) | (Self::PostRelease(a), Self::PostRelease(b)) => a.cmp(&b),
            (Self::Letter(a), Self::Letter(b)) => a.cmp(&b),
            (Self::Hash(a), Self::Hash(b)) => a.cmp(b),
            // A leading zero makes a component a fraction, compared as text (the Gentoo rule): 1.05 < 1.1.
            (Self::Component(a), Self::Component(b)) if a.starts_with(b"0") || b.starts_with(b"0") => a.cmp(b),
            (Self::First(a), Self::First(b))
            | (Self::Component(a), Self::Component(b))
            | (Self::SuffixNumber(a), Self::SuffixNumber(b))
            | (Self::Revision(a), Self::Revision(b)) => compare_numbers(a, b),
            _ => self.place().cmp(&other.place()),
        }
    }

    const fn place(self) -> u8 {
        match self {
            Self::PreRelease(_) => 0,
            Self::Invalid(_) => 1,
            Self::End => 2,
            Self::Revision(_) => 3,
            Self::Hash(_) => 4,
            Self::SuffixNumber(_) => 5,
            Self::PostRelease(_) => 6,
            Self::Letter(_) => 7,
            Self::Component(_) => 8,
            Self::First(_) => 9,
        }
    }
}

/// What was read last, which decides what may follow.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Start,
    Numbers,
    Letter,
    Suffix,
    SuffixNumber,
    Hash,
    Revision,
}

struct Scanner<'a> {
    rest: &'a [u8],
    stage: Stage,
}

impl<'a> Scanner<'a> {
    fn new(version: &'a str) -> Self {
        Self {
            rest: version.as_bytes(),
            stage: Stage::Start,
        }
    }

    fn next_token(&mut self) -> Token<'a> {
        if self.rest.is_empty() && self.stage != Stage::Start {
            return Token::End;
        }
        match self.read_token() {
            Some((token, stage, rest)) => {
                (self.stage, self.rest) = (stage, rest);
                token
            }
            None => Token::Invalid(self.rest),
        }
    }

    /// The token at the start of the rest, the stage it leads to and what follows it; `None` if none may stand here.
    fn read_token(&self) -> Option<(Token<'a>, Stage, &'a [u8])> {
        if self.stage == Stage::Start {
            let (number, rest) = read_number(self.rest)?;
            return Some((Token::First(number), Stage::Numbers, rest));
        }
        let (first, tail) = self.rest.split_first()?;
        match first {
            b'a'..=b'z' if self.stage == Stage::Numbers => Some((Token::Letter(*first), Stage::Letter, tail)),
            b'.' if self.stage == Stage::Numbers => {
                let (number, rest) = read_number(tail)?;
                Some((Token::Component(number), Stage::Numbers, rest))
            }
            b'0'..=b'9' if self.stage == Stage::Suffix => {
                let (number, rest) = split_digits(self.rest);
                Some((Token::SuffixNumber(number), Stage::SuffixNumber, rest))
            }
            b'_' if self.stage <= Stage::SuffixNumber => {
                let (name, rest) = split_while(tail, |byte| byte.is_ascii_lowercase());
                Some((read_suffix(name)?, Stage::Suffix, rest))
            }
            b'~' if self.stage < Stage::Hash => {
                let (hash, rest) = split_while(tail, |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
                (!hash.is_empty()).then_some((Token::Hash(hash), Stage::Hash, rest))
            }
            b'-' if self.stage < Stage::Revision => {
                let (number, rest) = read_number(tail.strip_prefix(b"r")?)?;
                Some((Token::Revision(number), Stage::Revision, rest))
            }
            _ => None,
        }
    }
}

/// At least one digit, and what follows the run.
fn read_number(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let (number, rest) = split_digits(text);
    (!number.is_empty()).then_some((number, rest))
}

fn read_suffix(name: &[u8]) -> Option<Token<'static>> {
    let place = |names: &[&[u8]]| names.iter().position(|known| *known == name);
    place(&PRE_RELEASE)
        .map(Token::PreRelease)
        .or_else(|| place(&POST_RELEASE).map(Token::PostRelease))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every kind of token; each rung is newer than the one before.
    #[test]
    fn ladder() {
        let rungs = [
            "",
            "x",
            "1_alpha_pre2",
            "1_alpha",
            "1_alpha2",
            "1_beta",
            "1_pre",
            "1_rc",
            "1?",
            "1",
            "1-r0",
            "1-r1",
            "1~0a",
            "1~ab",
            "1_cvs",
            "1_svn",
            "1_git",
            "1_hg",
            "1_p",
            "1_p-r9",
            "1_p9",
            "1_p10",
            "1a",
            "1a-r1",
            "1b",
            "1.0",
            "1.00",
            "1.01",
            "1.010",
            "1.1",
            "1.9",
            "1.10",
            "2",
        ];
        for pair in rungs.windows(2) {
            assert_eq!(compare(pair[0], pair[1]), Ordering::Less, "{pair:?}");
            assert_eq!(compare(pair[1], pair[0]), Ordering::Greater, "{pair:?}");
        }
    }

    #[test]
    fn remainders_that_are_no_version_keep_their_revision_order() {
        assert_eq!(compare("3.3.3p1-r2", "3.3.3p1-r10"), Ordering::Less);
        assert_eq!(compare("3.3.3p1-r2", "3.3.3p"), Ordering::Less);
    }
}
