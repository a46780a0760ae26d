//! `require`: what must be true of a request beyond a valid credential.

use std::net::IpAddr;
use std::rc::Rc;

use ipnet::{IpNet, Ipv6Net};
use serde_json::Value;

use super::field::{Field, Problems};
use super::raw_route::{RawAddresses, RawClaim, RawNames, RawRequire};
use super::{limits, window};
use crate::authorize::address::Addresses;
use crate::authorize::facts::encoding::Encoding;
use crate::authorize::facts::{ClaimPath, ClaimTest, Names, Questions, TokenTest};
use crate::authorize::{About, Requirement, Test};
use crate::route::template::Template;

/// Most levels of `all`, `any` and `not`.
const NESTING_MAX: usize = 8;
/// Most elements of each list.
pub(super) const LIST_MAX: usize = 256;

/// What requirements of a rule may refer to.
pub(super) struct Known<'a> {
    /// The names of all providers.
    pub(super) providers: &'a [Rc<str>],
    /// The rule's template, if it has one.
    pub(super) template: Option<Rc<Template>>,
    /// Whether a request can have a credential at all.
    pub(super) has_credential: bool,
    /// Whether the source of client addresses is declared (rule E3).
    pub(super) knows_addresses: bool,
}

/// Reads requirements.
pub(super) struct Reader<'a> {
    pub(super) problems: &'a mut Problems,
    pub(super) questions: &'a mut Questions,
    pub(super) known: &'a Known<'a>,
}

impl Reader<'_> {
    /// Reads a requirement; all of its members must hold.
    pub(super) fn require(&mut self, at: &str, raw: RawRequire, depth: usize) -> Requirement {
        self.problems.unknown(at, &raw.unknown);
        if depth >= NESTING_MAX {
            self.problems.push(at, format_args!("is nested more than {NESTING_MAX} levels deep"));
            return requirement(at, Test::All(Vec::new()));
        }
        let mut parts = Vec::new();
        for (name, field, combine) in
            [("all", raw.all, Test::All as fn(Vec<Requirement>) -> Test), ("any", raw.any, Test::Any)]
        {
            let at = format!("{at}.{name}");
            if let Some(raw) = self.list(&at, field) {
                let inner = raw.into_iter().enumerate();
                let inner: Vec<_> = inner.map(|(i, raw)| self.require(&format!("{at}[{i}]"), raw, depth + 1)).collect();
                parts.push(requirement(&at, combine(inner)));
            }
        }
        let at_not = format!("{at}.not");
        if let Some(inner) = self.problems.optional(&at_not, raw.not) {
            let inner = self.require(&at_not, *inner, depth + 1);
            parts.push(requirement(&at_not, Test::Not(Box::new(inner))));
        }
        self.names(at, [("scopes", raw.scopes), ("roles", raw.roles), ("groups", raw.groups)], &mut parts);
        self.providers(format!("{at}.providers"), raw.providers, &mut parts);
        let at_claims = format!("{at}.claims");
        for (index, raw) in self.list(&at_claims, raw.claims).unwrap_or_default().into_iter().enumerate() {
            let at = format!("{at_claims}[{index}]");
            parts.extend(self.claim(&at, raw).map(|test| requirement(&at, test)));
        }
        let at_addresses = format!("{at}.addresses");
        if let Some(raw) = self.problems.optional(&at_addresses, raw.addresses) {
            parts.push(requirement(&at_addresses, Test::Addresses(self.addresses(&at_addresses, raw))));
        }
        let at_times = format!("{at}.times");
        if let Some(raw) = self.list(&at_times, raw.times) {
            let windows = raw.into_iter().enumerate();
            let windows = windows.map(|(i, raw)| window::window(self.problems, &format!("{at_times}[{i}]"), raw));
            parts.push(requirement(&at_times, Test::Times(windows.collect())));
        }
        self.age(format!("{at}.max_token_age_s"), raw.max_token_age_s, Test::TokenAge, &mut parts);
        self.age(format!("{at}.max_sign_in_age_s"), raw.max_sign_in_age_s, Test::SignInAge, &mut parts);
        if parts.is_empty() {
            self.problems.push(at, "requires nothing: leave it out, or name what is required");
        }
        match parts.pop() {
            Some(only) if parts.is_empty() => only,
            last => {
                parts.extend(last);
                requirement(at, Test::All(parts))
            }
        }
    }

    fn names(&mut self, at: &str, fields: [(&str, Field<RawNames>); 3], parts: &mut Vec<Requirement>) {
        for (name, field) in fields {
            let at = format!("{at}.{name}");
            let Some(names) = self.quantified(&at, field) else { continue };
            self.wants_credential(&at);
            let (test, what) = match name {
                "scopes" => {
                    let wanted = names.list().join(" ");
                    let plain = |b: u8| (b.is_ascii_graphic() || b == b' ') && b != b'"' && b != b'\\';
                    if !wanted.bytes().all(plain) {
                        self.problems.push(&at, "holds what no scope has (RFC 6749 §3.3)");
                    }
                    (TokenTest::Scopes(names), About::Scopes(wanted.into()))
                }
                "roles" => (TokenTest::Roles(names), About::Roles),
                _ => (TokenTest::Groups(names), About::Groups),
            };
            let bit = self.questions.ask(test);
            parts.push(requirement(&at, Test::Token { bit, what }));
        }
    }

    fn providers(&mut self, at: String, field: Field<RawNames>, parts: &mut Vec<Requirement>) {
        let Some(names) = self.quantified(&at, field) else { return };
        self.wants_credential(&at);
        let Names::Any(names) = names else {
            self.problems.push(at, "a token has one provider: use `any`");
            return;
        };
        for name in names.iter().filter(|name| !self.known.providers.iter().any(|known| **known == ***name)) {
            self.problems.push(&at, format_args!("`{name}` is not the name of a provider"));
        }
        let bit = self.questions.ask(TokenTest::Provider(names));
        parts.push(requirement(&at, Test::Token { bit, what: About::Provider }));
    }

    /// `{"all": […]}` or `{"any": […]}`.
    fn quantified(&mut self, at: &str, field: Field<RawNames>) -> Option<Names> {
        let raw = self.problems.optional(at, field)?;
        self.problems.unknown(at, &raw.unknown);
        let all = self.problems.optional(format_args!("{at}.all"), raw.all);
        let any = self.problems.optional(format_args!("{at}.any"), raw.any);
        let names = match (all, any) {
            (Some(names), None) => Names::All(names),
            (None, Some(names)) => Names::Any(names),
            _ => {
                self.problems.push(at, "is either `{\"all\": […]}` or `{\"any\": […]}`");
                return None;
            }
        };
        let list = names.list();
        if list.is_empty() || list.len() > LIST_MAX || list.iter().any(String::is_empty) {
            self.problems.push(at, format_args!("names one to {LIST_MAX} texts, none of them empty"));
        }
        Some(names)
    }

    fn claim(&mut self, at: &str, raw: RawClaim) -> Option<Test> {
        self.problems.unknown(at, &raw.unknown);
        self.wants_credential(at);
        let claim = claim_path(self.problems, &format!("{at}.claim"), raw.claim);
        let equals = self.problems.optional(format_args!("{at}.equals"), raw.equals);
        let any_of = self.problems.optional(format_args!("{at}.any_of"), raw.any_of);
        let contains = self.problems.optional(format_args!("{at}.contains"), raw.contains);
        let exists = self.problems.optional(format_args!("{at}.exists"), raw.exists);
        let name = self.problems.optional(format_args!("{at}.equals_path"), raw.equals_path);
        if any_of.as_ref().is_some_and(|values| values.is_empty() || values.len() > LIST_MAX) {
            self.problems.push(format_args!("{at}.any_of"), format_args!("is a list of one to {LIST_MAX} values"));
        }
        let test = match (equals, any_of, contains, exists, name) {
            (Some(value), None, None, None, None) => ClaimTest::OneOf(vec![value]),
            (None, Some(values), None, None, None) => ClaimTest::OneOf(values),
            (None, None, Some(value), None, None) => ClaimTest::Contains(value),
            (None, None, None, Some(exists), None) => {
                if !exists {
                    self.problems.push(format_args!("{at}.exists"), "is `true`; put it into `not` for the contrary");
                }
                ClaimTest::Exists
            }
            (None, None, None, None, Some(name)) => return self.captured(&format!("{at}.equals_path"), claim?, name),
            _ => {
                let known = "`equals`, `any_of`, `contains`, `exists` and `equals_path`";
                self.problems.push(at, format_args!("has not just one of {known}"));
                return None;
            }
        };
        let scalar = |value: &Value| !value.is_null() && !value.is_array() && !value.is_object() && !value.is_f64();
        if let ClaimTest::OneOf(values) = &test
            && !values.iter().all(scalar)
        {
            self.problems.push(at, "compares with a text, a whole number or a truth value");
        }
        let bit = self.questions.ask(TokenTest::Claim(claim?, test));
        Some(Test::Token { bit, what: About::Claims })
    }

    fn captured(&mut self, at: &str, claim: ClaimPath, name: String) -> Option<Test> {
        let template = self.known.template.as_ref().filter(|template| template.names().any(|known| known == name));
        let Some(template) = template.map(Rc::clone) else {
            self.problems.push(at, format_args!("`{name}` is no name in the rule's `match.template`"));
            return None;
        };
        Some(Test::Path { claim: self.questions.ask_for_text(claim, Encoding::Scalar), template, name })
    }

    fn addresses(&mut self, at: &str, raw: RawAddresses) -> Addresses {
        self.problems.unknown(at, &raw.unknown);
        if !self.known.knows_addresses {
            let wanted = "say with `client_address` where addresses come from (`connection` or `x-forwarded-for`)";
            self.problems.push(at, format_args!("{wanted}: otherwise they could be the client's own invention"));
        }
        let allow = self.ranges(format!("{at}.allow"), raw.allow);
        let block = self.ranges(format!("{at}.block"), raw.block);
        if allow.is_none() && block.is_none() {
            self.problems.push(at, "has neither `allow` nor `block`");
        }
        Addresses { allow: allow.unwrap_or_default(), block: block.unwrap_or_default() }
    }

    /// A single address is a range, too.
    fn ranges(&mut self, at: String, field: Field<Vec<String>>) -> Option<Vec<IpNet>> {
        let texts = self.problems.optional(&at, field)?;
        if texts.is_empty() || texts.len() > LIST_MAX {
            self.problems.push(&at, format_args!("is a list of one to {LIST_MAX} ranges"));
        }
        let mut ranges = Vec::new();
        for text in texts.iter().take(LIST_MAX) {
            let range = text.parse::<IpNet>().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
            match range {
                Some(IpNet::V6(range)) if is_mapped(range) => {
                    self.problems.push(&at, format_args!("`{text}` is of IPv4: write it so, as clients are compared"));
                }
                Some(range) if range.trunc() == range => ranges.push(range),
                Some(range) => {
                    self.problems.push(&at, format_args!("`{text}` has bits behind its prefix: `{}`?", range.trunc()))
                }
                None => self.problems.push(&at, format_args!("`{text}` is no address and no range like 10.0.0.0/8")),
            }
        }
        Some(ranges)
    }

    fn age(&mut self, at: String, field: Field<u64>, test: fn(u64) -> Test, parts: &mut Vec<Requirement>) {
        if matches!(field, Field::Absent) {
            return;
        }
        self.wants_credential(&at);
        let most_s = self.problems.bounded(&at, field, limits::AGE_S).unwrap_or(limits::AGE_S.min);
        parts.push(requirement(&at, test(u64::from(most_s))));
    }

    fn wants_credential(&mut self, at: &str) {
        if !self.known.has_credential {
            self.problems.push(at, "asks about a credential, and this rule reads none");
        }
    }

    fn list<T>(&mut self, at: &str, field: Field<Vec<Field<T>>>) -> Option<Vec<T>> {
        let raw = self.problems.optional(at, field)?;
        if raw.is_empty() || raw.len() > LIST_MAX {
            self.problems.push(at, format_args!("is a list of one to {LIST_MAX} elements"));
        }
        let elements = raw.into_iter().take(LIST_MAX).enumerate();
        Some(elements.filter_map(|(index, raw)| self.problems.required(format_args!("{at}[{index}]"), raw)).collect())
    }
}

/// Whether a range holds addresses of IPv4 written as IPv6 (RFC 4291 §2.5.5.2), under which no client is known.
fn is_mapped(range: Ipv6Net) -> bool {
    range.addr().to_ipv4_mapped().is_some() && range.prefix_len() >= 96
}

fn requirement(at: &str, test: Test) -> Requirement {
    Requirement { at: at.into(), test }
}

/// A claim by its name or a JSON pointer.
pub(super) fn claim_path(problems: &mut Problems, at: &str, field: Field<String>) -> Option<ClaimPath> {
    let text = problems.required(at, field)?;
    ClaimPath::parse(&text).map_err(|message| problems.push(at, message)).ok()
}
