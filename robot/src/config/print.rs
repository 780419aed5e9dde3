//! `--print-config`: the effective configuration as a file that can be used again.

use std::fmt::Write as _;

use super::layers::{Layers, Origin};
use super::settings::{Kind, SETTINGS, Visibility};

/// The effective configuration as TOML, each value with where it comes from as a comment. Secrets are not shown.
pub fn as_toml(layers: &Layers) -> String {
    let mut out = String::new();
    let mut table = "";
    for setting in SETTINGS {
        if setting.table() != table {
            let gap = if table.is_empty() { "" } else { "\n" };
            table = setting.table();
            writeln!(out, "{gap}[{table}]").expect("a String takes every write");
        }
        let line = match layers.get(setting.key) {
            None => format!("# {} is not set", setting.name()),
            Some((_, origin)) if setting.visibility == Visibility::Secret => {
                format!("# {} is set but not shown; {}", setting.name(), origin_in_words(setting, origin))
            }
            Some((text, origin)) => {
                let value = match setting.kind {
                    Kind::Text => toml::Value::String(text.to_owned()).to_string(),
                    Kind::Bool | Kind::Integer => text.to_owned(),
                    Kind::Number => number(text),
                };
                format!(
                    "{:<32} # {}",
                    format!("{} = {value}", setting.name()),
                    origin_in_words(setting, origin)
                )
            }
        };
        writeln!(out, "{line}").expect("a String takes every write");
    }
    out
}

fn origin_in_words(setting: &super::settings::Setting, origin: &Origin) -> String {
    match origin {
        Origin::Fallback => "default".to_owned(),
        Origin::File(path, line) => format!("{} line {line}", path.display()),
        Origin::Environment => format!("environment {}", setting.env()),
        Origin::Flag => format!("flag --{}", setting.flag),
    }
}

/// Rust takes numbers that TOML does not (`.5`, `1.`): so the parsed value is written again.
fn number(text: &str) -> String {
    let value: f64 = text.parse().expect("Layers accepts only numbers here");
    toml::Value::Float(value).to_string()
}
