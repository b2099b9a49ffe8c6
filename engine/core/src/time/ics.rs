//! Openings as an iCalendar object (RFC 5545), for calendars that people subscribe to.

use jiff::Timestamp;

use super::recurrence::seconds_after;
use super::window::{ENDLESS_DAYS, Opening};

/// RFC 5545, section 3.1: a line should not be longer than 75 octets, without its line break.
const LINE_OCTETS: usize = 75;

/// One calendar with an event for each opening, all times in UTC, lines ended by CRLF.
///
/// `windows` are names with their openings. The UID of an event is made of name and start, so a calendar that is read
/// again updates its events instead of doubling them. iCalendar has no event without start or end: an opening without
/// start is written from `now` on, one without end 400 days long, and the description says so.
pub fn ics(windows: &[(&str, &[Opening])], now: Timestamp) -> String {
    let mut text = String::new();
    for line in [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//patchwave//maintenance windows//EN",
        "CALSCALE:GREGORIAN",
    ] {
        push_line(&mut text, line);
    }
    for (name, openings) in windows {
        for opening in *openings {
            push_event(&mut text, name, opening, now);
        }
    }
    push_line(&mut text, "END:VCALENDAR");
    text
}

fn push_event(text: &mut String, name: &str, opening: &Opening, now: Timestamp) {
    let start = opening.start.unwrap_or(now);
    let end = opening
        .end
        .unwrap_or_else(|| seconds_after(start.max(now), ENDLESS_DAYS * 86_400));
    let key = opening.start.map_or_else(|| "always".to_owned(), utc);
    let mut notes = Vec::new();
    if opening.start.is_none() {
        notes.push("Open for more than 400 days already.");
    }
    if opening.end.is_none() {
        notes.push("No end within 400 days.");
    }
    push_line(text, "BEGIN:VEVENT");
    push_line(text, &format!("UID:{}-{key}@patchwave", escape(name)));
    push_line(text, &format!("DTSTAMP:{}", utc(now)));
    push_line(text, &format!("DTSTART:{}", utc(start)));
    push_line(text, &format!("DTEND:{}", utc(end)));
    push_line(
        text,
        &format!("SUMMARY:{}", escape(&format!("Maintenance window {name}"))),
    );
    if !notes.is_empty() {
        push_line(text, &format!("DESCRIPTION:{}", escape(&notes.join(" "))));
    }
    // The opening says when work may happen, not that anybody is busy.
    push_line(text, "TRANSP:TRANSPARENT");
    push_line(text, "END:VEVENT");
}

fn utc(at: Timestamp) -> String {
    at.strftime("%Y%m%dT%H%M%SZ").to_string()
}

/// RFC 5545, section 3.3.11. Other control characters are not allowed in a text at all and are left out.
fn escape(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut escaped, c| {
        match c {
            '\\' | ';' | ',' => escaped.extend(['\\', c]),
            '\n' => escaped.push_str("\\n"),
            c if c.is_control() => {}
            c => escaped.push(c),
        }
        escaped
    })
}

/// Adds a line, folded between characters, never inside one.
fn push_line(text: &mut String, line: &str) {
    let mut octets = 0;
    for c in line.chars() {
        if octets + c.len_utf8() > LINE_OCTETS {
            text.push_str("\r\n ");
            octets = 1;
        }
        octets += c.len_utf8();
        text.push(c);
    }
    text.push_str("\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn events_have_stable_names_and_utc_times() {
        let opening = Opening {
            start: Some(at("2026-11-24T21:00:00Z")),
            end: Some(at("2026-11-25T03:00:00Z")),
        };
        let text = ics(&[("prod-nights", &[opening])], at("2026-11-22T13:08:00Z"));
        let expected = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//patchwave//maintenance windows//EN\r\n\
            CALSCALE:GREGORIAN\r\nBEGIN:VEVENT\r\nUID:prod-nights-20261124T210000Z@patchwave\r\n\
            DTSTAMP:20261122T130800Z\r\nDTSTART:20261124T210000Z\r\nDTEND:20261125T030000Z\r\n\
            SUMMARY:Maintenance window prod-nights\r\nTRANSP:TRANSPARENT\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn an_endless_opening_is_bounded_and_says_so() {
        let text = ics(
            &[("any-time", &[Opening { start: None, end: None }])],
            at("2026-11-20T12:00:00Z"),
        );
        assert!(text.contains("UID:any-time-always@patchwave\r\n"), "{text}");
        assert!(
            text.contains("DTSTART:20261120T120000Z\r\nDTEND:20271225T120000Z\r\n"),
            "{text}"
        );
        assert!(
            text.contains("DESCRIPTION:Open for more than 400 days already. No end within 400 days.\r\n"),
            "{text}"
        );
    }

    #[test]
    fn long_lines_are_folded_between_characters_and_text_is_escaped() {
        let name = format!("a;b,c\\d\n{}", "é".repeat(90));
        let text = ics(
            &[(&name, &[Opening { start: None, end: None }])],
            at("2026-11-20T12:00:00Z"),
        );
        assert!(text.split("\r\n").all(|line| line.len() <= LINE_OCTETS), "{text}");
        let unfolded = text.replace("\r\n ", "");
        assert!(
            unfolded.contains(&format!(
                "SUMMARY:Maintenance window a\\;b\\,c\\\\d\\n{}\r\n",
                "é".repeat(90)
            )),
            "{text}"
        );
    }
}
