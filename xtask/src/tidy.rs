//! Rules of the workspace that no compiler knows: crate edges, licences, file lengths, documents that exist.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result, bail};
use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, PackageId};

/// A file this long is split by role (docs/STYLE.md).
const LINES_MAX: usize = 600;

/// What each package of ours may use of ours, as drawn in ARCHITECTURE.md. Tests may use more.
const EDGES: &[(&str, &[&str])] = &[
    ("farwheel-proto", &[]),
    ("farwheel-media", &["farwheel-proto"]),
    ("farwheel-peer", &["farwheel-proto"]),
    ("farwheel-portal", &["farwheel-proto", "farwheel-media"]),
    ("farwheel-signaling", &["farwheel-proto"]),
    ("farwheel", &["farwheel-proto", "farwheel-peer", "farwheel-media", "farwheel-portal"]),
    ("farwheel-robot", &["farwheel-proto", "farwheel-peer", "farwheel-media"]),
    (
        "farwheel-lab",
        &[
            "farwheel-proto",
            "farwheel-peer",
            "farwheel-media",
            "farwheel-signaling",
            "farwheel",
            "farwheel-robot",
        ],
    ),
    ("xtask", &[]),
];

/// What of others a package must not use: the engine outside its crate, input and output in the pure one.
const BANNED: &[(&str, &[&str])] = &[
    ("farwheel-proto", &["tokio", "rand", "socket2", "rustix", "webrtc", "rtc"]),
    ("farwheel-media", &["webrtc", "rtc"]),
    ("farwheel-peer", &["egui", "eframe"]),
    ("farwheel-portal", &["webrtc", "rtc", "tokio"]),
    ("farwheel-signaling", &["webrtc", "rtc"]),
    ("farwheel", &["webrtc", "rtc"]),
    ("farwheel-robot", &["webrtc", "rtc"]),
    ("farwheel-lab", &["webrtc", "rtc"]),
];

/// Checks every rule and reports all that is broken.
///
/// # Errors
/// If a rule is broken or the workspace can't be read.
pub(crate) fn run() -> Result<()> {
    let metadata =
        MetadataCommand::new().current_dir(crate::root()).exec().context("read the workspace's metadata")?;
    let mut broken = Vec::new();
    broken.extend(edges(&metadata));
    broken.extend(licences(&metadata)?);
    broken.extend(lengths(&crate::root())?);
    broken.extend(links(&crate::root())?);
    if broken.is_empty() {
        println!("    crate edges, licences, file lengths and links are in order");
        return Ok(());
    }
    bail!("{} rules broken:\n  {}", broken.len(), broken.join("\n  "))
}

fn edges(metadata: &Metadata) -> Vec<String> {
    let find = |table: &'static [(&str, &[&str])], package: &str| -> Option<&'static [&'static str]> {
        table.iter().find(|(name, _)| *name == package).map(|(_, others)| *others)
    };
    let mut broken = Vec::new();
    for package in metadata.workspace_packages() {
        let from = package.name.as_str();
        let Some(allowed) = find(EDGES, from) else {
            broken.push(format!(
                "{from} has no place among the edges in xtask/src/tidy.rs and ARCHITECTURE.md"
            ));
            continue;
        };
        let banned = find(BANNED, from).unwrap_or_default();
        for dependency in package.dependencies.iter().filter(|d| d.kind != DependencyKind::Development) {
            let to = dependency.name.as_str();
            let is_ours = find(EDGES, to).is_some();
            if banned.contains(&to) || is_ours && !allowed.contains(&to) {
                broken.push(format!("{from} depends on {to}, which ARCHITECTURE.md rules out"));
            }
        }
    }
    broken
}

fn licences(metadata: &Metadata) -> Result<Vec<String>> {
    let text = std::fs::read_to_string(crate::root().join("deny.toml")).context("read deny.toml")?;
    let deny: toml::Table = text.parse().context("parse deny.toml")?;
    let allowed: Vec<spdx::Licensee> = deny["licenses"]["allow"]
        .as_array()
        .context("licenses.allow in deny.toml is a list")?
        .iter()
        .filter_map(|value| spdx::Licensee::parse(value.as_str()?).ok())
        .collect();
    let resolve = metadata.resolve.as_ref().context("cargo resolves dependencies")?;
    let used = reachable(resolve, &metadata.workspace_members);
    let mut broken = Vec::new();
    for package in metadata.packages.iter().filter(|package| used.contains(&package.id)) {
        let Some(licence) = &package.license else {
            if package.license_file.is_none() {
                broken.push(format!("{} {} names no licence", package.name, package.version));
            }
            continue;
        };
        // Older manifests write `A/B` for `A OR B`.
        let expression = spdx::Expression::parse_mode(licence, spdx::ParseMode::LAX)
            .with_context(|| format!("licence of {}: {licence}", package.name))?;
        if !expression.evaluate(|requirement| allowed.iter().any(|have| have.satisfies(requirement))) {
            broken.push(format!(
                "{} {} is under {licence}, which deny.toml does not allow",
                package.name, package.version
            ));
        }
    }
    Ok(broken)
}

fn reachable(resolve: &cargo_metadata::Resolve, roots: &[PackageId]) -> BTreeSet<PackageId> {
    let nodes: BTreeMap<_, _> = resolve.nodes.iter().map(|node| (&node.id, node)).collect();
    let mut seen = BTreeSet::new();
    let mut open: Vec<_> = roots.to_vec();
    while let Some(id) = open.pop() {
        if let Some(node) = nodes.get(&id)
            && seen.insert(id)
        {
            open.extend(node.deps.iter().map(|dep| dep.pkg.clone()));
        }
    }
    seen
}

fn lengths(root: &Path) -> Result<Vec<String>> {
    let mut broken = Vec::new();
    for file in tracked(root, &["*.rs"])? {
        let lines = std::fs::read_to_string(root.join(&file)).unwrap_or_default().lines().count();
        if lines > LINES_MAX {
            broken.push(format!("{file} has {lines} lines, split it by role at {LINES_MAX}"));
        }
    }
    Ok(broken)
}

/// Relative links of every Markdown file lead somewhere.
fn links(root: &Path) -> Result<Vec<String>> {
    let mut broken = Vec::new();
    for file in tracked(root, &["*.md"])? {
        let text = std::fs::read_to_string(root.join(&file)).unwrap_or_default();
        let folder = root.join(&file).parent().map(Path::to_owned).unwrap_or_default();
        for piece in text.split("](").skip(1) {
            let target = piece.split([')', ' ', '#']).next().unwrap_or_default();
            let outside = target.is_empty() || target.contains("://") || target.starts_with("mailto:");
            if !outside && !folder.join(target).exists() {
                broken.push(format!("{file} links to {target}, which does not exist"));
            }
        }
    }
    Ok(broken)
}

fn tracked(root: &Path, patterns: &[&str]) -> Result<Vec<String>> {
    let out = std::process::Command::new("git")
        .current_dir(root)
        .args(["ls-files", "--"])
        .args(patterns)
        .output()
        .context("ask git for the files (tidy runs in a checkout)")?;
    Ok(String::from_utf8_lossy(&out.stdout)
        .lines()
        .filter(|f| root.join(f).exists())
        .map(str::to_owned)
        .collect())
}
