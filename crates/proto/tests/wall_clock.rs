//! A step of the wall clock (NTP, a hand, a new time zone) cannot reach a core: none of them can read it.

use std::path::{Path, PathBuf};

#[test]
fn no_core_reads_a_clock() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources = Vec::new();
    collect(&root.join("src"), &mut sources);
    assert!(sources.len() > 20, "{sources:?}");
    for path in sources {
        // Tests may take the time to count from; cores may not.
        let inside = path.strip_prefix(root).expect("it was found there").with_extension("");
        let names = inside.iter().filter_map(|name| name.to_str());
        if names.into_iter().any(|name| name.ends_with("test") || name.ends_with("tests")) {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("a source file");
        let core = text.split("\nmod tests {").next().unwrap_or_default();
        for word in ["SystemTime", "UNIX_EPOCH", "Instant::now", ".elapsed()"] {
            let line =
                core.lines().position(|line| line.contains(word) && !line.trim_start().starts_with("//"));
            assert_eq!(line, None, "{word} in {}", path.display());
        }
    }
}

#[test]
fn the_linter_forbids_it_too() {
    let rules = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("clippy.toml"))
        .expect("clippy.toml");
    for method in ["std::time::Instant::now", "std::time::SystemTime::now", "std::thread::sleep"] {
        assert!(rules.contains(&format!("\"{method}\"")), "{method} is not banned");
    }
}

fn collect(folder: &Path, sources: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(&path, sources);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            sources.push(path);
        }
    }
}
