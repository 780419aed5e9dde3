//! Tables in docs/MEASUREMENTS.md: each bench owns what stands between its two marks.

use anyhow::{Context, Result};

/// Replaces the text between `<!-- name:begin -->` and `<!-- name:end -->`.
///
/// # Errors
/// If the file can't be read or written, or lacks the marks.
pub(crate) fn write(name: &str, text: &str) -> Result<()> {
    let path = crate::root().join("docs/MEASUREMENTS.md");
    let old = std::fs::read_to_string(&path).context("read docs/MEASUREMENTS.md")?;
    let new =
        replace(&old, name, text).with_context(|| format!("docs/MEASUREMENTS.md has no marks for {name}"))?;
    std::fs::write(&path, new).context("write docs/MEASUREMENTS.md")
}

fn replace(old: &str, name: &str, text: &str) -> Option<String> {
    let (begin, end) = (format!("<!-- {name}:begin -->"), format!("<!-- {name}:end -->"));
    let from = old.find(&begin)? + begin.len();
    let to = from + old[from..].find(&end)?;
    Some(format!("{}\n{}\n{}", &old[..from], text.trim(), &old[to..]))
}

/// Today's date in UTC, as ISO 8601 writes it.
pub(crate) fn today() -> String {
    let now = humantime::format_rfc3339_seconds(std::time::SystemTime::now()).to_string();
    now.split('T').next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_text_between_the_marks_changes() {
        let old = "a\n<!-- x:begin -->\nold\n<!-- x:end -->\nb\n";
        assert_eq!(
            replace(old, "x", "new\n").as_deref(),
            Some("a\n<!-- x:begin -->\nnew\n<!-- x:end -->\nb\n")
        );
        assert_eq!(replace(old, "y", "new"), None);
    }
}
