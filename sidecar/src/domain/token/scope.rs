//! Scopes: what a token may be used for. A token never grants what the credential that asked for it
//! does not hold.

use crate::domain::error::Failure;

/// The scope that an admin call needs, besides the role (rule E7).
pub const ADMIN: &str = "admin";
/// What a token may be used for if nobody says otherwise.
pub const DEFAULT: [&str; 2] = ["api:read", "api:write"];
/// Most scopes of one token.
pub const MAX_SCOPES: usize = 32;
/// Most bytes of one scope.
pub const MAX_BYTES: usize = 64;

/// What a session may be used for: all that its owner may do.
#[must_use]
pub fn of_session() -> Vec<String> {
    DEFAULT.into_iter().chain([ADMIN]).map(str::to_owned).collect()
}

/// A list of scopes in the form of RFC 6749 §3.3, each once, in the order in which they were asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scopes(Vec<String>);

impl Scopes {
    /// The scopes in `list`.
    ///
    /// # Errors
    /// One of them has not the form of a scope, or there are too many.
    pub fn parse(list: &[String]) -> Result<Self, Failure> {
        let mut scopes: Vec<String> = Vec::new();
        for scope in list {
            if !is_scope(scope) {
                let problem =
                    format!("{scope:?} is no scope: 1 to {MAX_BYTES} visible ASCII characters without `\"` and `\\`");
                return Err(Failure::invalid("scopes", problem));
            }
            if !scopes.contains(scope) {
                scopes.push(scope.clone());
            }
        }
        if scopes.len() > MAX_SCOPES {
            return Err(Failure::invalid("scopes", format!("at most {MAX_SCOPES}")));
        }
        Ok(Self(scopes))
    }

    /// What an operator grants, who needs to hold nothing: what is wanted, else the default.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn granted_by_operator(wanted: Option<&[String]>) -> Result<Self, Failure> {
        wanted.map_or_else(|| Ok(Self::standard()), Self::parse)
    }

    /// What a credential that holds `held` may grant: exactly what is wanted, or of the default what
    /// it holds itself.
    ///
    /// # Errors
    /// As [`Self::parse`], or something is wanted that is not held.
    pub fn granted_by_holder(wanted: Option<&[String]>, held: &[String]) -> Result<Self, Failure> {
        let Some(wanted) = wanted else {
            return Ok(Self(Self::standard().0.into_iter().filter(|scope| held.contains(scope)).collect()));
        };
        let wanted = Self::parse(wanted)?;
        match wanted.0.iter().find(|scope| !held.contains(scope)) {
            Some(scope) => Err(Failure::ScopeNotHeld { scope: scope.clone() }),
            None => Ok(wanted),
        }
    }

    /// The scopes as they stand in claims and records.
    #[must_use]
    pub fn to_strings(&self) -> Vec<String> {
        self.0.clone()
    }

    fn standard() -> Self {
        Self(DEFAULT.map(str::to_owned).to_vec())
    }
}

fn is_scope(text: &str) -> bool {
    let allowed = |b: u8| matches!(b, 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
    (1..=MAX_BYTES).contains(&text.len()) && text.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(list: &[&str]) -> Vec<String> {
        list.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_token_never_grants_what_its_asker_lacks() {
        let held = strings(&["api:read", "admin"]);
        for (wanted, expected) in [
            (None, Ok(strings(&["api:read"]))),
            (Some(strings(&["api:read"])), Ok(strings(&["api:read"]))),
            (Some(strings(&["admin", "api:read", "admin"])), Ok(strings(&["admin", "api:read"]))),
            (Some(strings(&["api:write"])), Err(Failure::ScopeNotHeld { scope: "api:write".into() })),
            (Some(vec![]), Ok(vec![])),
        ] {
            let granted = Scopes::granted_by_holder(wanted.as_deref(), &held).map(|scopes| scopes.to_strings());
            assert_eq!(granted, expected, "{wanted:?}");
        }
    }

    #[test]
    fn an_operator_grants_the_default_or_what_they_name() {
        assert_eq!(Scopes::granted_by_operator(None).unwrap().to_strings(), DEFAULT);
        assert_eq!(Scopes::granted_by_operator(Some(&strings(&["admin"]))).unwrap().to_strings(), ["admin"]);
    }

    #[test]
    fn a_scope_is_short_and_visible() {
        for bad in ["", "a b", "a\"b", "a\\b", "é", "a\n", &"x".repeat(65)] {
            assert!(Scopes::parse(&strings(&[bad])).is_err(), "{bad:?}");
        }
        let many: Vec<String> = (0..33).map(|n| n.to_string()).collect();
        assert!(Scopes::parse(&many).is_err());
    }
}
