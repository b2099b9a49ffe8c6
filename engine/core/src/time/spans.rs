//! Half-open spans of time in order: merging, subtracting, computed as they are asked for.
//!
//! A window may be open without end, so nothing here builds a whole list: every function takes a stream of spans and
//! gives one. [In order] means: by start, and none begins before the one before it has ended; touching is allowed.

use std::iter::Peekable;

use jiff::Timestamp;

/// From `start` (included) to `end` (excluded).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Span {
    pub(super) start: Timestamp,
    pub(super) end: Timestamp,
}

/// A stream of spans whose kind does not matter.
pub(super) type Spans<'a> = Box<dyn Iterator<Item = Span> + 'a>;

/// Merges streams that are each sorted by start into one that is [In order]; what two share is given once.
pub(super) fn merge<'a>(streams: Vec<Spans<'a>>) -> impl Iterator<Item = Span> + 'a {
    let mut streams: Vec<Peekable<Spans<'a>>> = streams.into_iter().map(Iterator::peekable).collect();
    let sorted = std::iter::from_fn(move || {
        let heads = streams
            .iter_mut()
            .filter_map(|stream| stream.peek().copied().map(|head| (head, stream)));
        heads
            .min_by_key(|(head, _)| *head)
            .and_then(|(_, stream)| stream.next())
    });
    let mut reached = Timestamp::MIN;
    sorted.filter_map(move |span| {
        let start = span.start.max(reached);
        reached = span.end.max(reached);
        (start < span.end).then_some(Span { start, end: span.end })
    })
}

/// What of `open` is not in `closed`; both [In order], as is the result.
pub(super) fn subtract<'a>(
    open: impl Iterator<Item = Span> + 'a,
    closed: impl Iterator<Item = Span> + 'a,
) -> impl Iterator<Item = Span> + 'a {
    let (mut open, mut closed) = (open, closed.peekable());
    let mut rest: Option<Span> = None;
    std::iter::from_fn(move || {
        loop {
            let span = rest.take().or_else(|| open.next())?;
            while closed.next_if(|shut| shut.end <= span.start).is_some() {}
            let Some(shut) = closed.peek().filter(|shut| shut.start < span.end).copied() else {
                return Some(span);
            };
            rest = (shut.end < span.end).then_some(Span {
                start: shut.end,
                end: span.end,
            });
            if span.start < shut.start {
                return Some(Span {
                    start: span.start,
                    end: shut.start,
                });
            }
        }
    })
}

/// Joins spans that touch. `is_endless` is asked about a joined span after each step and ends the stream when it says
/// so, with that span as the last: a window that is always open would otherwise be joined for ever.
pub(super) fn join<'a>(
    spans: impl Iterator<Item = Span> + 'a,
    is_endless: impl Fn(Span) -> bool + 'a,
) -> impl Iterator<Item = Span> + 'a {
    let mut spans = spans.peekable();
    let mut done = false;
    std::iter::from_fn(move || {
        let mut joined = if done { None } else { spans.next() }?;
        while !is_endless(joined) {
            let Some(next) = spans.next_if(|next| next.start <= joined.end) else {
                return Some(joined);
            };
            joined.end = joined.end.max(next.end);
        }
        done = true;
        Some(joined)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn spans(pairs: &[(i64, i64)]) -> Vec<Span> {
        let at = |second| Timestamp::from_second(second).unwrap();
        pairs
            .iter()
            .map(|(start, end)| Span {
                start: at(*start),
                end: at(*end),
            })
            .collect()
    }

    fn boxed(pairs: &[(i64, i64)]) -> Spans<'static> {
        Box::new(spans(pairs).into_iter())
    }

    #[test]
    fn merging_trims_what_overlaps() {
        let merged: Vec<_> = merge(vec![boxed(&[(0, 10), (20, 30)]), boxed(&[(5, 12), (6, 8), (30, 31)])]).collect();
        assert_eq!(merged, spans(&[(0, 10), (10, 12), (20, 30), (30, 31)]));
    }

    #[test]
    fn subtracting_cuts_at_both_edges() {
        let rest = subtract(
            boxed(&[(0, 10), (10, 20), (30, 40)]),
            boxed(&[(-5, 1), (3, 4), (8, 12), (19, 35)]),
        );
        assert_eq!(rest.collect::<Vec<_>>(), spans(&[(1, 3), (4, 8), (12, 19), (35, 40)]));
    }

    #[test]
    fn joining_stops_at_what_is_endless() {
        let touching = (0..).flat_map(|n| spans(&[(n, n + 1)]));
        let joined: Vec<_> = join(touching, |span| span.end.as_second() - span.start.as_second() > 100).collect();
        assert_eq!(joined, spans(&[(0, 101)]));
        let apart: Vec<_> = join(boxed(&[(0, 1), (1, 2), (3, 4)]), |_| false).collect();
        assert_eq!(apart, spans(&[(0, 2), (3, 4)]));
    }

    fn any_spans() -> impl Strategy<Value = Vec<(i64, i64)>> {
        proptest::collection::vec((0_i64..120, 1_i64..30), 0..12).prop_map(|pairs| {
            let mut pairs: Vec<_> = pairs
                .into_iter()
                .map(|(start, length)| (start, start + length))
                .collect();
            pairs.sort_unstable();
            pairs
        })
    }

    proptest! {
        /// Every second is in the result exactly when it is in one of the open spans and in none of the closed ones.
        #[test]
        fn spans_are_sets_of_seconds(a in any_spans(), b in any_spans(), closed in any_spans()) {
            let open = merge(vec![boxed(&a), boxed(&b)]);
            let result: Vec<_> = join(subtract(open, merge(vec![boxed(&closed)])), |_| false).collect();
            for pair in result.windows(2) {
                prop_assert!(pair[0].end < pair[1].start);
            }
            let inside = |pairs: &[(i64, i64)], second| pairs.iter().any(|(start, end)| (*start..*end).contains(&second));
            for second in -1..160 {
                let at = Timestamp::from_second(second).unwrap();
                let expected = (inside(&a, second) || inside(&b, second)) && !inside(&closed, second);
                prop_assert_eq!(result.iter().any(|span| span.start <= at && at < span.end), expected, "second {}", second);
            }
        }
    }
}
