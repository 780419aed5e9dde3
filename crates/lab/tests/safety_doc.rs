//! docs/SAFETY.md is kept: each of its rows names tests, and each of them exists.

use std::path::{Path, PathBuf};

#[test]
fn every_row_names_tests_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let document = std::fs::read_to_string(root.join("docs/SAFETY.md")).expect("docs/SAFETY.md");
    let (mut rows, mut named) = (0, 0);
    for (number, line) in (1..).zip(document.lines()) {
        if !line.starts_with("| ") || line.ends_with("| tests |") {
            continue;
        }
        rows += 1;
        // A test's path is what stands between backticks and begins with a crate's short name.
        let tests: Vec<&str> =
            line.split('`').skip(1).step_by(2).filter(|text| folder(text).is_some()).collect();
        assert!(!tests.is_empty(), "line {number} names no test: {line}");
        for test in tests {
            named += 1;
            assert!(exists(&root, test), "line {number} names `{test}`, which does not exist");
        }
    }
    assert!(rows > 60 && named > 90, "{rows} rows with {named} tests were read");
}

#[test]
fn a_test_that_does_not_exist_is_found_out() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    assert!(exists(&root, "lab::safety_doc::a_test_that_does_not_exist_is_found_out"));
    assert!(!exists(&root, "lab::safety_doc::a_test_that_was_deleted"));
    assert!(!exists(&root, "lab::safety_doc::exists"), "a function that is no test");
    assert!(!exists(&root, "lab::no_such_file::a_test_that_does_not_exist_is_found_out"));
}

/// Folder of the crate that a test's path begins with.
fn folder(path: &str) -> Option<&'static str> {
    match path.split("::").next() {
        Some("proto") if path.contains("::") => Some("crates/proto"),
        Some("lab") if path.contains("::") => Some("crates/lab"),
        Some("peer") if path.contains("::") => Some("crates/peer"),
        Some("robot") if path.contains("::") => Some("robot"),
        Some("app") if path.contains("::") => Some("app"),
        Some("signaling") if path.contains("::") => Some("signaling"),
        Some(_) | None => None,
    }
}

/// Whether the crate's source has a test of that path.
fn exists(root: &Path, path: &str) -> bool {
    let Some(folder) = folder(path) else { return false };
    let segments: Vec<&str> = path.split("::").skip(1).collect();
    let Some((name, modules)) = segments.split_last() else { return false };
    files(&root.join(folder), modules).iter().any(|file| {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        lines.iter().enumerate().any(|(index, line)| {
            let function = line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ");
            let this =
                function.and_then(|rest| rest.strip_prefix(name)).is_some_and(|rest| rest.starts_with('('));
            let attributes = lines[..index].iter().rev().take_while(|line| line.starts_with("#["));
            this && attributes.into_iter().any(|line| *line == "#[test]" || line.starts_with("#[tokio::test"))
        })
    })
}

/// Where a module may be: its own file, its folder, or inside the file of the module around it.
fn files(folder: &Path, modules: &[&str]) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for end in [modules.len(), modules.len().saturating_sub(1)] {
        let module: PathBuf = modules[..end].iter().collect();
        if end == 0 {
            continue;
        }
        for base in ["src", "tests"] {
            files.push(folder.join(base).join(&module).with_extension("rs"));
            files.push(folder.join(base).join(&module).join("mod.rs"));
        }
    }
    files
}
