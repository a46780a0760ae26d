//! Which rule applies to a request: the first whose host and path prefix match.

use std::rc::Rc;

use crate::answer::Shape;
use crate::credential::places::Places;
use crate::identity::Target;

/// The rules, in the order in which they were written.
#[derive(Debug)]
pub struct RouteTable {
    routes: Vec<Route>,
    /// For a request that no rule names: protected, with nobody to vouch to.
    unmatched: Route,
}

/// The position of a rule in its table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RouteId(usize);

/// One rule.
#[derive(Debug)]
pub struct Route {
    /// For logs, metrics and checks.
    pub name: String,
    /// Lower case, without a port; none matches every host.
    pub host: Option<String>,
    /// Matches itself and what follows it behind a `/`.
    pub prefix: String,
    /// Who may pass.
    pub access: Access,
    /// What its refusals look like.
    pub answers: Shape,
}

/// Who may pass.
#[derive(Debug)]
pub enum Access {
    /// Anybody. What a client could forge is stripped all the same.
    Public,
    /// Whoever shows a valid credential.
    Protected(Protected),
}

/// What a protected rule wants.
#[derive(Debug, Default)]
pub struct Protected {
    /// Where it reads tokens.
    pub places: Rc<Places>,
    /// Whom the identity assertion is for; none sends no assertion.
    pub target: Option<Rc<Target>>,
    /// What happens when nobody can be asked.
    pub on_unavailable: OnUnavailable,
    /// What becomes of a stream whose credential is barred, or ends, while it is open.
    pub on_ban: OnBan,
}

/// What happens to a request that would have to be checked when no sidecar answers. What the local
/// denylist bars is refused in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnUnavailable {
    /// 503.
    #[default]
    Deny,
    /// It passes: the operator chose availability over revocation.
    Allow,
}

/// What becomes of a request that was admitted and is not over when its credential is barred or ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnBan {
    /// It is cut, before the change is acknowledged.
    #[default]
    Cut,
    /// It may come to its end.
    Finish,
}

impl RouteTable {
    /// A table of rules, the first match of which wins. What none matches is read tokens in `places`.
    #[must_use]
    pub fn new(routes: Vec<Route>, places: Rc<Places>) -> Self {
        let unmatched = Route {
            name: "(unmatched)".into(),
            host: None,
            prefix: "/".into(),
            access: Access::Protected(Protected { places, ..Protected::default() }),
            answers: Shape::Problem,
        };
        Self { routes, unmatched }
    }

    /// The rules in their order.
    pub fn iter(&self) -> impl Iterator<Item = &Route> + Clone {
        self.routes.iter()
    }

    /// The rule for a host and a path, both in normal form.
    #[must_use]
    pub fn find(&self, host: &str, path: &str) -> RouteId {
        RouteId(self.routes.iter().position(|route| route.matches(host, path)).unwrap_or(usize::MAX))
    }

    /// The rule that [`Self::find`] found.
    #[must_use]
    pub fn get(&self, id: RouteId) -> &Route {
        self.routes.get(id.0).unwrap_or(&self.unmatched)
    }
}

impl Route {
    /// Whether a stale worker lets none of this rule's requests pass unchecked.
    #[must_use]
    pub fn fences(&self) -> bool {
        match &self.access {
            Access::Public => true,
            Access::Protected(protected) => protected.on_unavailable == OnUnavailable::Deny,
        }
    }

    /// The query parameters in which it reads tokens.
    pub fn parameters(&self) -> impl Iterator<Item = &str> + Clone {
        self.places().into_iter().flat_map(Places::parameters)
    }

    /// Where it reads tokens; none if it is public.
    #[must_use]
    pub fn places(&self) -> Option<&Places> {
        match &self.access {
            Access::Public => None,
            Access::Protected(protected) => Some(&protected.places),
        }
    }

    fn matches(&self, host: &str, path: &str) -> bool {
        self.host.as_ref().is_none_or(|wanted| wanted == host)
            && path.strip_prefix(self.prefix.as_str()).is_some_and(|rest| {
                // `/admin` is the prefix of `/admin/x`, not of `/administrator`.
                rest.is_empty() || rest.starts_with('/') || self.prefix.ends_with('/')
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn table(rules: &[(&str, Option<&str>, &str)]) -> RouteTable {
        let route = |(name, host, prefix): &(&str, Option<&str>, &str)| Route {
            name: (*name).into(),
            host: host.map(Into::into),
            prefix: (*prefix).into(),
            access: Access::Public,
            answers: Shape::Problem,
        };
        RouteTable::new(rules.iter().map(route).collect(), Rc::default())
    }

    #[test]
    fn the_first_rule_whose_host_and_prefix_match_applies() {
        let table = table(&[
            ("health", Some("app.example"), "/health"),
            ("app", Some("app.example"), "/"),
            ("v1", None, "/v1/"),
            ("admin", None, "/admin"),
        ]);
        for (host, path, expected) in [
            ("app.example", "/health", Some("health")),
            ("app.example", "/health/deep", Some("health")),
            ("app.example", "/healthy", Some("app")),
            ("other", "/health", None),
            ("other", "/v1/chat", Some("v1")),
            ("other", "/v1", None),
            ("other", "/admin", Some("admin")),
            ("other", "/admin/users", Some("admin")),
            ("other", "/administrator", None),
            ("other", "/Admin", None),
        ] {
            let found = table.get(table.find(host, path));
            assert_eq!(found.name, expected.unwrap_or("(unmatched)"), "{host}{path}");
        }
    }

    #[test]
    fn a_request_that_no_rule_names_is_protected() {
        let table = table(&[("app", Some("app.example"), "/")]);
        assert!(matches!(table.get(table.find("other", "/")).access, Access::Protected(_)));
    }
}
