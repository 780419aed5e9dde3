//! Finds the links in what people write.

/// A part of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part<'a> {
    /// To be read.
    Words(&'a str),
    /// To be clicked: `http://` or `https://` and nothing else, so that no line starts a program.
    Link(&'a str),
}

/// The parts of a line in order; together they are the line.
pub(super) fn parts(line: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut rest = line;
    while let Some(start) = next_link(rest) {
        let tail = &rest[start..];
        let length = link_length(tail);
        let scheme = if tail.starts_with("https") { "https://" } else { "http://" };
        if length <= scheme.len() {
            // A scheme without a host is words.
            let end = start + scheme.len();
            push_words(&mut parts, line, rest, end);
            rest = &rest[end..];
            continue;
        }
        push_words(&mut parts, line, rest, start);
        parts.push(Part::Link(&tail[..length]));
        rest = &tail[length..];
    }
    push_words(&mut parts, line, rest, rest.len());
    parts
}

/// Adds the first `end` bytes of `rest`, joined to words right before them.
fn push_words<'a>(parts: &mut Vec<Part<'a>>, line: &'a str, rest: &'a str, end: usize) {
    if end == 0 {
        return;
    }
    let start = line.len() - rest.len();
    if let Some(Part::Words(before)) = parts.last_mut() {
        *before = &line[start - before.len()..start + end];
    } else {
        parts.push(Part::Words(&rest[..end]));
    }
}

fn next_link(words: &str) -> Option<usize> {
    let mut from = 0;
    while let Some(found) = words[from..].find("http") {
        let at = from + found;
        let is_start = words[..at].chars().next_back().is_none_or(|before| !before.is_alphanumeric());
        let tail = &words[at..];
        if is_start && (tail.starts_with("http://") || tail.starts_with("https://")) {
            return Some(at);
        }
        from = at + "http".len();
    }
    None
}

/// Up to the next space; what closes a sentence or a bracket that was opened before the link is not part of it.
fn link_length(tail: &str) -> usize {
    let link =
        tail.split(|c: char| c.is_whitespace() || c.is_control() || "<>\"".contains(c)).next().unwrap_or("");
    // Counted once: a peer may send thousands of them, and every line is looked at in every paint.
    let unopened =
        |open: char, close: char| link.matches(close).count().saturating_sub(link.matches(open).count());
    let (mut round, mut square) = (unopened('(', ')'), unopened('[', ']'));
    for (at, last) in link.char_indices().rev() {
        let ends = match last {
            '.' | ',' | ';' | ':' | '!' | '?' | '\'' => true,
            ')' => take_one(&mut round),
            ']' => take_one(&mut square),
            _ => false,
        };
        if !ends {
            return at + last.len_utf8();
        }
    }
    0
}

/// Whether there is one; then there is one less.
const fn take_one(count: &mut usize) -> bool {
    let is_there = *count > 0;
    *count = count.saturating_sub(1);
    is_there
}

#[cfg(test)]
mod tests {
    use super::Part::{Link, Words};
    use super::*;

    #[test]
    fn links_are_found_without_the_punctuation_around_them() {
        let cases: [(&str, &[Part<'_>]); 12] = [
            ("", &[]),
            ("hello", &[Words("hello")]),
            ("https://a.b/c?d=e#f", &[Link("https://a.b/c?d=e#f")]),
            ("see https://a.b.", &[Words("see "), Link("https://a.b"), Words(".")]),
            ("(http://a.b/c_(d))!", &[Words("("), Link("http://a.b/c_(d)"), Words(")!")]),
            ("a http://b, c http://d", &[Words("a "), Link("http://b"), Words(", c "), Link("http://d")]),
            ("<https://a.b>", &[Words("<"), Link("https://a.b"), Words(">")]),
            ("https://", &[Words("https://")]),
            ("https:// and http://...", &[Words("https:// and http://...")]),
            ("xhttp://a.b", &[Words("xhttp://a.b")]),
            ("javascript:alert(1) file:///etc", &[Words("javascript:alert(1) file:///etc")]),
            (
                "\u{e9}https://a.b \u{2014}http://\u{fc}.de\u{3002}",
                &[Words("\u{e9}https://a.b \u{2014}"), Link("http://\u{fc}.de\u{3002}")],
            ),
        ];
        for (line, want) in cases {
            assert_eq!(parts(line), want, "{line:?}");
        }
    }

    #[test]
    fn a_line_of_nothing_but_brackets_is_no_harder_than_another() {
        // Counted anew for each bracket these would take minutes.
        let closers = ")]".repeat(1_000_000);
        let line = format!("https://a.b{closers}");
        assert_eq!(parts(&line), [Link("https://a.b"), Words(&closers)]);
        let (open, close) = ("(".repeat(1_000_000), ")".repeat(1_000_001));
        let line = format!("https://a.b/{open}{close}");
        assert_eq!(parts(&line), [Link(&line[..line.len() - 1]), Words(")")]);
    }

    #[test]
    fn the_parts_of_any_line_are_the_line() {
        let pieces = ["http", "https://", "a.b", " ", ").", "\u{e9}", "<", "http://x", "\n", ":", "("];
        for seed in 0..4000_usize {
            let line: String = (0..6)
                .map(|index| pieces[(seed / 11_usize.pow(index % 4) + seed % 7 * index as usize) % 11])
                .collect();
            let joined: String = parts(&line)
                .iter()
                .map(|part| match part {
                    Words(words) | Link(words) => *words,
                })
                .collect();
            assert_eq!(joined, line);
        }
    }
}
