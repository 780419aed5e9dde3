//! Flags over environment over files: every value with where it comes from.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use toml::de::{DeTable, DeValue};

use super::settings::{ENV_PREFIX, Fallback, Kind, SETTINGS, Setting, by_key};

/// Who gave a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody: the setting's own fallback.
    Fallback,
    /// A configuration file, at this line (from 1).
    File(PathBuf, usize),
    /// The environment variable of the setting.
    Environment,
    /// The command line.
    Flag,
}

/// The text of each setting that has a value, after checking that it is of the setting's kind.
#[derive(Debug)]
pub struct Layers {
    values: BTreeMap<&'static str, (String, Origin)>,
}

impl Layers {
    /// Nothing but the fallbacks; `host` is the machine's host name.
    pub fn fallbacks(host: &str) -> Self {
        let mut values = BTreeMap::new();
        for setting in SETTINGS {
            let text = match setting.fallback {
                Fallback::Fixed(text) => text.to_owned(),
                Fallback::HostName => room_name_of(host),
                Fallback::Unset => continue,
            };
            values.insert(setting.key, (text, Origin::Fallback));
        }
        Self { values }
    }

    /// Lays a file over what is there.
    ///
    /// # Errors
    /// TOML that does not parse, an unknown table or key (with the nearest known one), a value of the wrong kind;
    /// each with file and line.
    pub fn lay_file(&mut self, path: &Path, content: &str) -> Result<()> {
        let at = |offset: usize| format!("{} line {}", path.display(), line_of(content, offset));
        let document = match DeTable::parse(content) {
            Ok(document) => document,
            Err(error) => {
                let place = at(error.span().map_or(0, |span| span.start));
                bail!("{place}: {}", error.message().trim());
            }
        };
        for (table, entries) in document.get_ref() {
            let tables = || SETTINGS.iter().map(Setting::table);
            let table_name: &str = table.get_ref();
            let place = at(table.span().start);
            if !tables().any(|known| known == table_name) {
                let whole: Vec<_> =
                    SETTINGS.iter().filter(|s| s.name() == table_name).map(|s| s.table()).collect();
                if let [only] = whole[..] {
                    bail!("{place}: key `{table_name}` stands outside its table; it belongs under [{only}]");
                }
                bail!("{place}: unknown table [{table_name}]{}", did_you_mean(table_name, tables()));
            }
            let DeValue::Table(entries) = entries.get_ref() else {
                bail!("{place}: `{table_name}` is a table; write [{table_name}] and its keys below");
            };
            for (name, value) in entries {
                let place = at(name.span().start);
                let key = format!("{table_name}.{}", name.get_ref());
                let Some(setting) = by_key(&key) else {
                    let known = SETTINGS.iter().filter(|s| s.table() == table_name).map(Setting::name);
                    let hint = did_you_mean(name.get_ref(), known);
                    let elsewhere = SETTINGS.iter().find(|s| s.name() == &**name.get_ref());
                    match elsewhere {
                        Some(s) => bail!(
                            "{place}: no key `{}` in [{table_name}]; it belongs under [{}]",
                            s.name(),
                            s.table()
                        ),
                        None => bail!("{place}: unknown key `{}` in [{table_name}]{hint}", name.get_ref()),
                    }
                };
                let Some(text) = text_of(setting.kind, value.get_ref()) else {
                    bail!(
                        "{place}: {key} wants {}, not a {}",
                        setting.kind.in_words(),
                        value.get_ref().type_str()
                    );
                };
                let line = line_of(content, name.span().start);
                self.lay(setting, text, Origin::File(path.to_owned(), line))?;
            }
        }
        Ok(())
    }

    /// Lays the robot's environment variables over what is there; others are not looked at.
    ///
    /// # Errors
    /// A variable with the robot's prefix that names no setting, or a value of the wrong kind.
    pub fn lay_environment(&mut self, vars: impl IntoIterator<Item = (String, String)>) -> Result<()> {
        for (name, text) in vars {
            if !name.starts_with(ENV_PREFIX) || ENV_WITHOUT_SETTING.contains(&&name[ENV_PREFIX.len()..]) {
                continue;
            }
            let Some(setting) = SETTINGS.iter().find(|s| s.env() == name) else {
                let known: Vec<_> = SETTINGS.iter().map(Setting::env).collect();
                bail!(
                    "environment: unknown variable {name}{}",
                    did_you_mean(&name, known.iter().map(String::as_str))
                );
            };
            self.lay(setting, text, Origin::Environment)?;
        }
        Ok(())
    }

    /// Lays one flag over what is there.
    ///
    /// # Errors
    /// A value of the wrong kind.
    pub fn lay_flag(&mut self, setting: &'static Setting, text: &str) -> Result<()> {
        self.lay(setting, text.to_owned(), Origin::Flag)
    }

    /// A setting's text and origin, if it has a value.
    pub fn get(&self, key: &str) -> Option<(&str, &Origin)> {
        self.values.get(key).map(|(text, origin)| (text.as_str(), origin))
    }

    /// Parses a setting that always has a value.
    ///
    /// # Errors
    /// What `parse` refuses, with the setting's name and place before it.
    pub fn parse<T>(&self, key: &'static str, parse: impl FnOnce(&str) -> Result<T>) -> Result<T> {
        let (text, origin) = self.get(key).expect("only settings with a fallback are parsed this way");
        parse(text).with_context(|| place_of(by_key(key).expect("keys come from SETTINGS"), origin))
    }

    /// Parses a setting that may have no value; an empty text counts as none.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn parse_optional<T>(
        &self,
        key: &'static str,
        parse: impl FnOnce(&str) -> Result<T>,
    ) -> Result<Option<T>> {
        match self.get(key) {
            Some((text, _)) if !text.is_empty() => self.parse(key, parse).map(Some),
            _ => Ok(None),
        }
    }

    fn lay(&mut self, setting: &'static Setting, text: String, origin: Origin) -> Result<()> {
        let fits = match setting.kind {
            Kind::Text => true,
            Kind::Bool => text.parse::<bool>().is_ok(),
            Kind::Integer => text.parse::<i64>().is_ok(),
            Kind::Number => text.parse::<f64>().is_ok_and(f64::is_finite),
        };
        if !fits {
            bail!("{}: want {}, got `{text}`", place_of(setting, &origin), setting.kind.in_words());
        }
        self.values.insert(setting.key, (text, origin));
        Ok(())
    }
}

/// Where a value stands, in the words a user knows it by.
pub(super) fn place_of(setting: &Setting, origin: &Origin) -> String {
    match origin {
        Origin::Fallback => format!("default of {}", setting.key),
        Origin::File(path, line) => format!("{} line {line}: {}", path.display(), setting.key),
        Origin::Environment => format!("environment {}", setting.env()),
        Origin::Flag => format!("flag --{}", setting.flag),
    }
}

/// A host name made into a valid room name: its first label, other characters replaced, never empty.
fn room_name_of(host: &str) -> String {
    let label = host.split('.').next().unwrap_or_default();
    let clean: String =
        label.chars().take(64).map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' }).collect();
    if clean.is_empty() { "robot".to_owned() } else { clean }
}

fn text_of(kind: Kind, value: &DeValue<'_>) -> Option<String> {
    match (kind, value) {
        (Kind::Text, DeValue::String(text)) => Some(text.to_string()),
        (Kind::Bool, DeValue::Boolean(on)) => Some(on.to_string()),
        (Kind::Integer | Kind::Number, DeValue::Integer(n)) => {
            i64::from_str_radix(n.as_str(), n.radix()).ok().map(|n| n.to_string())
        }
        (Kind::Number, DeValue::Float(n)) => Some(n.as_str().to_owned()),
        (
            Kind::Text | Kind::Bool | Kind::Integer | Kind::Number,
            DeValue::String(_)
            | DeValue::Boolean(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Datetime(_)
            | DeValue::Array(_)
            | DeValue::Table(_),
        ) => None,
    }
}

/// The nearest of `known` as a question, or the whole list when nothing is near.
fn did_you_mean<'a>(got: &str, known: impl Iterator<Item = &'a str>) -> String {
    let mut known: Vec<&str> = known.collect();
    known.sort_unstable();
    known.dedup();
    let best = known.iter().map(|k| (strsim::jaro_winkler(got, k), *k)).max_by(|a, b| a.0.total_cmp(&b.0));
    match best {
        Some((score, name)) if score >= SIMILAR => format!("; did you mean `{name}`?"),
        _ => format!("; known are {}", known.join(", ")),
    }
}

fn line_of(content: &str, offset: usize) -> usize {
    content.as_bytes()[..offset.min(content.len())].iter().filter(|b| **b == b'\n').count() + 1
}

/// Jaro-Winkler similarity from which a suggestion helps rather than confuses; chosen so that one wrong, missing or
/// swapped letter in the shortest key (`name`) is still recognised.
const SIMILAR: f64 = 0.75;

/// Variables with the robot's prefix that are no settings: the log filter and the file's own path.
const ENV_WITHOUT_SETTING: &[&str] = &["LOG", "CONFIG"];
