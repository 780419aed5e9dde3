//! Text from others, made safe to show: nothing in it can turn the line around, hide, or break the layout.

/// One line of at most `chars` characters: no controls, white space made single, ends trimmed.
pub fn line(text: &str, chars: usize) -> String {
    let mut line = String::new();
    // A gap is written before the word after it, so that none stands at the end.
    let (mut left, mut is_gap) = (chars, false);
    for c in text.chars().filter(|c| !turns_text(*c)) {
        if c.is_whitespace() || c.is_control() {
            is_gap = !line.is_empty();
            continue;
        }
        let needed = if is_gap { 2 } else { 1 };
        if left < needed {
            break;
        }
        if is_gap {
            line.push(' ');
        }
        line.push(c);
        left -= needed;
        is_gap = false;
    }
    line
}

/// Several lines of at most `chars` characters together: line feeds stay, every other control goes, ends are trimmed.
pub fn lines(text: &str, chars: usize) -> String {
    let kept = text.chars().filter_map(|c| match c {
        '\n' => Some('\n'),
        '\t' => Some(' '),
        c if c.is_control() || turns_text(c) => None,
        c => Some(c),
    });
    // What is trimmed does not count.
    let kept: String = kept.skip_while(|c| c.is_whitespace()).take(chars).collect();
    kept.trim_end().to_owned()
}

/// Marks that turn text around or order it (Unicode Bidirectional Algorithm, explicit formatting), separators of lines
/// that are no line feed, and the byte order mark.
const fn turns_text(c: char) -> bool {
    matches!(
        c,
        '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}'
            | '\u{2029}' | '\u{feff}'
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_line_has_no_controls_and_single_spaces() {
        for (text, want) in [
            ("  Ada \n\t Lovelace\0 ", "Ada Lovelace"),
            ("a\u{202e}b\u{2066}c", "abc"),
            ("", ""),
            ("\u{1b}[31mred", "[31mred"),
            ("e\u{301}👩\u{200d}🔬", "e\u{301}👩\u{200d}🔬"),
        ] {
            assert_eq!(line(text, 64), want, "{text:?}");
        }
        assert_eq!(line("abc def", 5), "abc d");
        assert_eq!(line("abc def", 4), "abc", "no space at the end");
    }

    #[test]
    fn lines_keep_their_line_feeds_alone() {
        assert_eq!(lines("\r\n a\r\n\tb \u{2028}\n\n", 64), "a\n b");
        assert_eq!(lines("abcdef", 3), "abc");
    }

    proptest! {
        #[test]
        fn cleaning_twice_changes_nothing(text in ".{0,80}", chars in 0usize..40) {
            let once = line(&text, chars);
            prop_assert_eq!(&line(&once, chars), &once);
            prop_assert!(once.chars().count() <= chars);
            let once = lines(&text, chars);
            prop_assert_eq!(&lines(&once, chars), &once);
            prop_assert!(once.chars().count() <= chars);
        }
    }
}
