//! Who may do what: a file of tokens.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use farwheel_proto::signaling::{Auth, Permission};
use subtle::ConstantTimeEq as _;

/// Tokens with their permissions, and what those without one may do.
#[derive(Clone, Default)]
pub(crate) struct Tokens {
    entries: Vec<(Box<str>, Vec<Permission>)>,
    anonymous: Option<Vec<Permission>>,
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tokens({} entries)", self.entries.len())
    }
}

/// Shortest token; with random letters this is 80 bits.
const TOKEN_CHARS_MIN: usize = 16;

impl Tokens {
    /// Reads a file: one token per line, then, after a blank, its permissions separated by commas (without: all).
    /// Lines that start with `#` and empty lines are skipped.
    ///
    /// # Errors
    /// The file, a token or a permission that is wrong, with its line.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text =
            std::fs::read_to_string(path).with_context(|| format!("read token file {}", path.display()))?;
        Self::parse(&text).with_context(|| format!("token file {}", path.display()))
    }

    fn parse(text: &str) -> Result<Self> {
        let mut entries = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (token, list) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
            if token.chars().count() < TOKEN_CHARS_MIN {
                bail!("line {number}: a token has at least {TOKEN_CHARS_MIN} characters");
            }
            entries.push((token.into(), permissions(list).with_context(|| format!("line {number}"))?));
        }
        if entries.is_empty() {
            bail!("there is no token in it");
        }
        Ok(Self { entries, anonymous: None })
    }

    /// Lets everybody in who has no token.
    pub(crate) fn with_anonymous(self) -> Self {
        Self { anonymous: Some(Permission::ALL.to_vec()), ..self }
    }

    /// What the bearer may do; takes the same time wherever a wrong token differs from a right one.
    pub(crate) fn check(&self, auth: &Auth) -> Option<Vec<Permission>> {
        match auth {
            Auth::Anonymous { .. } => self.anonymous.clone(),
            Auth::Token { token, .. } => {
                let mut found = None;
                for (known, permissions) in &self.entries {
                    if bool::from(known.as_bytes().ct_eq(token.as_bytes())) {
                        found = Some(permissions);
                    }
                }
                found.cloned()
            }
        }
    }
}

fn permissions(list: &str) -> Result<Vec<Permission>> {
    let names = list.split(',').map(str::trim).filter(|name| !name.is_empty());
    let mut found = Vec::new();
    for name in names {
        match Permission::ALL.into_iter().find(|permission| permission.as_str() == name) {
            Some(permission) => found.push(permission),
            None => {
                let known = Permission::ALL.map(Permission::as_str).join(", ");
                bail!("permission `{name}` is not one of {known}");
            }
        }
    }
    Ok(if found.is_empty() { Permission::ALL.to_vec() } else { found })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(text: &str) -> Auth {
        Auth::new(Some(text.into()), None)
    }

    #[test]
    fn a_token_gives_its_permissions_and_nothing_else_does() {
        let tokens = Tokens::parse("# ours\n\n0123456789abcdef\nfedcba9876543210 view, list\n").unwrap();
        assert_eq!(tokens.check(&token("0123456789abcdef")), Some(Permission::ALL.to_vec()));
        assert_eq!(tokens.check(&token("fedcba9876543210")), Some(vec![Permission::View, Permission::List]));
        for wrong in ["", "0123456789abcde", "0123456789abcdef0", "# ours"] {
            assert_eq!(tokens.check(&token(wrong)), None);
        }
        let anonymous = Auth::new(None, None);
        assert_eq!(tokens.check(&anonymous), None);
        assert_eq!(tokens.with_anonymous().check(&anonymous), Some(Permission::ALL.to_vec()));
    }

    #[test]
    fn a_wrong_file_is_refused_with_its_line() {
        for (text, want) in [
            ("", "there is no token in it"),
            ("\nshort\n", "line 2: a token has at least 16 characters"),
            (
                "0123456789abcdef fly",
                "line 1: permission `fly` is not one of robot, drive, view, call, list, moderate",
            ),
        ] {
            assert_eq!(format!("{:#}", Tokens::parse(text).unwrap_err()), want);
        }
    }
}
