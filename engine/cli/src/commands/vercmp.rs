//! `vercmp`: version order from the command line. Needs no repository.

use std::io::{self, BufRead, BufReader, BufWriter, ErrorKind, Write};

use patchwave_core::version::{Scheme, Verdict, verdict_line};

use crate::exit::{Exit, Failure};

/// Compares `a` with `b`, or every line of standard input.
pub fn run(scheme: Scheme, pair: Option<(&str, &str)>) -> Result<Exit, Failure> {
    let mut out = BufWriter::new(io::stdout().lock());
    let unreadable = match pair {
        Some((a, b)) => {
            let verdict = verdict_line(scheme, &format!("{a}\t{b}"));
            writeln!(out, "{verdict}")
                .and_then(|()| out.flush())
                .map(|()| verdict == Verdict::Unreadable)
        }
        None => lines(scheme, io::stdin().lock(), &mut out),
    };
    match unreadable {
        Ok(unreadable) => Ok(if unreadable { Exit::Error } else { Exit::Done }),
        // A reader that has gone away (`| head`) has all it wanted.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(Exit::Done),
        Err(error) => Err(error.into()),
    }
}

/// One verdict a line, and whether any line was unreadable. Verdicts leave as soon as no further line is at hand, so
/// that a program may ask one question after the other.
fn lines(scheme: Scheme, input: impl io::Read, out: &mut impl Write) -> io::Result<bool> {
    let mut input = BufReader::new(input);
    let (mut unreadable, mut line) = (false, Vec::new());
    loop {
        if input.buffer().is_empty() {
            out.flush()?;
        }
        line.clear();
        if input.read_until(b'\n', &mut line)? == 0 {
            return Ok(unreadable);
        }
        // Bytes that are no UTF-8 are replaced, never dropped: for rpm they are separators either way.
        let verdict = verdict_line(scheme, &String::from_utf8_lossy(&line));
        unreadable |= verdict == Verdict::Unreadable;
        writeln!(out, "{verdict}")?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_has_its_verdict() {
        let mut out = Vec::new();
        let input: &[u8] = b"1\t2\r\n\n 2 \t1\n1\t2\t3\n\xff\t1\n3\t3";
        assert!(
            lines(Scheme::Rpm, input, &mut out).unwrap(),
            "an empty line and three fields are unreadable"
        );
        assert_eq!(String::from_utf8(out).unwrap(), "<\n?\n>\n?\n<\n=\n");
    }

    /// Gives one question, and the next one only after the answer has left.
    struct Asker<'a> {
        answers: &'a std::cell::RefCell<Vec<u8>>,
        asked: usize,
    }

    impl io::Read for Asker<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            assert_eq!(
                self.answers.borrow().len(),
                2 * self.asked,
                "the last answer has left before the next question"
            );
            if self.asked == 3 {
                return Ok(0);
            }
            self.asked += 1;
            (&b"1\t2\n"[..]).read(buffer)
        }
    }

    struct Shared<'a>(&'a std::cell::RefCell<Vec<u8>>);

    impl Write for Shared<'_> {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.borrow_mut().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn an_answer_does_not_wait_for_the_next_question() {
        let answers = std::cell::RefCell::default();
        let mut out = BufWriter::new(Shared(&answers));
        assert!(
            !lines(
                Scheme::Rpm,
                Asker {
                    answers: &answers,
                    asked: 0
                },
                &mut out
            )
            .unwrap()
        );
    }
}
