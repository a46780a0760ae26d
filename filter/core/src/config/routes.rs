//! `routes`: the rules, and `unmatched`, what applies where none does.

use std::rc::Rc;

use super::field::Field;
use super::parse::Parser;
use super::raw_route::{RawAlso, RawRoute};
use super::require::{Known, Reader};
use super::{answers, matching, places, upstream};
use crate::answer::Answers;
use crate::authorize::Requirement;
use crate::authorize::facts::Questions;
use crate::credential::places::Places;
use crate::cross_site::TrustedOrigins;
use crate::identity::assertion::Target;
use crate::identity::headers::IdentityHeader;
use crate::path::readings::Kinds;
use crate::route::matcher::{Matcher, PathPattern};
use crate::route::template::Template;
use crate::route::{Access, Also, Mode, OnBan, OnUnavailable, Preflight, Protected, Route};

/// Most credentials beside the first.
pub(super) const ALSO_MAX: usize = 4;

/// What rules may refer to.
pub(super) struct Common {
    pub(super) identities: Vec<Rc<Target>>,
    pub(super) places: Rc<Places>,
    pub(super) answers: Rc<Answers>,
    pub(super) headers: Rc<[IdentityHeader]>,
    pub(super) providers: Vec<Rc<str>>,
    pub(super) knows_addresses: bool,
    pub(super) has_sessions: bool,
}

/// Fields of a rule that say nothing where no credential is read.
pub(super) const OF_CREDENTIALS: [&str; 10] = [
    "tokens",
    "providers",
    "sessions",
    "trusted_origins",
    "also",
    "identity",
    "identity_headers",
    "upstream_credential",
    "on_unavailable",
    "on_ban",
];
/// How a configuration names whether sessions count.
pub(super) const SESSIONS: &[(&str, bool)] = &[("accept", true), ("ignore", false)];
/// How a configuration names what becomes of a CORS preflight.
pub(super) const PREFLIGHT: &[(&str, Preflight)] = &[("check", Preflight::Check), ("pass", Preflight::Pass)];
/// How it names what happens when nobody can be asked.
pub(super) const ON_UNAVAILABLE: &[(&str, OnUnavailable)] =
    &[("deny", OnUnavailable::Deny), ("allow", OnUnavailable::Allow)];
/// How it names what becomes of an open stream.
pub(super) const ON_BAN: &[(&str, OnBan)] = &[("cut", OnBan::Cut), ("finish", OnBan::Finish)];

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Public,
    Protected,
    Optional,
    Deny,
}

impl Kind {
    pub(super) const WORDS: &[(&str, Self)] =
        &[("public", Self::Public), ("protected", Self::Protected), ("optional", Self::Optional), ("deny", Self::Deny)];
    pub(super) const UNMATCHED: &[(&str, Self)] =
        &[("deny", Self::Deny), ("protected", Self::Protected), ("public", Self::Public)];

    fn reads_credentials(self) -> bool {
        matches!(self, Self::Protected | Self::Optional)
    }
}

impl Parser<'_> {
    pub(super) fn route(
        &mut self,
        path: &str,
        mut raw: RawRoute,
        common: &Common,
        questions: &mut Questions,
    ) -> Option<Route> {
        self.problems.unknown(path, &raw.unknown);
        let name = self.problems.text(format_args!("{path}.name"), std::mem::take(&mut raw.name));
        let at = format!("{path}.match");
        let matched = self.problems.optional(&at, std::mem::take(&mut raw.r#match)).unwrap_or_default();
        let matcher = matching::matcher(&mut self.problems, &at, matched);
        let unusual_paths = format!("{path}.unusual_paths");
        let unusual_paths =
            matching::unusual_paths(&mut self.problems, unusual_paths, std::mem::take(&mut raw.unusual_paths));
        let kind = self.kind(format!("{path}.access"), std::mem::take(&mut raw.access));
        let template = template_of(&matcher);
        let known = Known {
            providers: &common.providers,
            template,
            has_credential: kind.is_none_or(Kind::reads_credentials),
            knows_addresses: common.knows_addresses,
        };
        let require = self.requirement(format!("{path}.require"), &mut raw, &known, questions);
        if require.is_some() && kind == Some(Kind::Deny) {
            self.problems.push(format_args!("{path}.require"), "is never asked: the rule lets nobody in");
        }
        let own_answers = self.problems.optional(format_args!("{path}.answers"), std::mem::take(&mut raw.answers));
        let at_answers = format!("{path}.answers");
        let answers = own_answers.map(|raw| Rc::new(answers::answers(&mut self.problems, &at_answers, raw)));
        let preflight = self.problems.choice(
            format_args!("{path}.cors_preflight"),
            std::mem::take(&mut raw.cors_preflight),
            Preflight::Check,
            PREFLIGHT,
        );
        let mode = self.mode(format!("{path}.shadow"), std::mem::take(&mut raw.shadow));
        let access = match kind? {
            Kind::Protected => Access::Protected(self.protected(path, raw, common, &known, questions)),
            Kind::Optional => Access::Optional(self.protected(path, raw, common, &known, questions)),
            other => {
                if preflight == Preflight::Pass && other == Kind::Deny {
                    self.problems
                        .push(format_args!("{path}.cors_preflight"), "lets requests into a rule that lets nobody in");
                }
                self.refuse_credentials(path, &raw);
                if other == Kind::Public { Access::Public } else { Access::Deny }
            }
        };
        Some(Route {
            name: name?.into(),
            at: path.into(),
            matcher,
            access,
            looks_around: require.as_ref().is_some_and(Requirement::looks_around),
            require,
            answers: answers.unwrap_or_else(|| Rc::clone(&common.answers)),
            preflight,
            mode,
            unusual_paths,
        })
    }

    /// What applies to a request that no rule names.
    pub(super) fn unmatched(&mut self, field: Field<String>, common: &Common) -> Route {
        let access = match self.problems.choice("unmatched", field, Kind::Deny, Kind::UNMATCHED) {
            Kind::Public => Access::Public,
            Kind::Protected | Kind::Optional => Access::Protected(Protected {
                places: Rc::clone(&common.places),
                accepts_sessions: false,
                trusted_origins: TrustedOrigins::default(),
                providers: None,
                also: Vec::new(),
                target: None,
                headers: Rc::clone(&common.headers),
                credentials: Vec::new(),
                on_unavailable: OnUnavailable::Deny,
                on_ban: OnBan::Cut,
            }),
            Kind::Deny => Access::Deny,
        };
        Route {
            name: "(unmatched)".into(),
            at: "unmatched".into(),
            matcher: Matcher::default(),
            access,
            require: None,
            looks_around: false,
            answers: Rc::clone(&common.answers),
            preflight: Preflight::Check,
            mode: Mode::Enforce,
            unusual_paths: Kinds::default(),
        }
    }

    fn kind(&mut self, path: String, field: Field<String>) -> Option<Kind> {
        let word = self.problems.required(&path, field)?;
        let found = Kind::WORDS.iter().find(|(known, _)| *known == word).map(|(_, kind)| *kind);
        if found.is_none() {
            let known: Vec<_> = Kind::WORDS.iter().map(|(known, _)| format!("`{known}`")).collect();
            self.problems.push(path, format_args!("`{word}` is not one of {}", known.join(", ")));
        }
        found
    }

    fn requirement(
        &mut self,
        path: String,
        raw: &mut RawRoute,
        known: &Known<'_>,
        questions: &mut Questions,
    ) -> Option<Requirement> {
        let raw = self.problems.optional(&path, std::mem::take(&mut raw.require))?;
        Some(Reader { problems: &mut self.problems, questions, known }.require(&path, raw, 0))
    }

    /// Fields that say nothing where no credential is read.
    fn refuse_credentials(&mut self, path: &str, raw: &RawRoute) {
        let there = [
            is_there(&raw.tokens),
            is_there(&raw.providers),
            is_there(&raw.sessions),
            is_there(&raw.trusted_origins),
            is_there(&raw.also),
            is_there(&raw.identity),
            is_there(&raw.identity_headers),
            is_there(&raw.upstream_credential),
            is_there(&raw.on_unavailable),
            is_there(&raw.on_ban),
        ];
        for (name, is_there) in OF_CREDENTIALS.iter().zip(there) {
            if is_there {
                self.problems.push(format_args!("{path}.{name}"), "says nothing on a rule that reads no credentials");
            }
        }
    }

    fn protected(
        &mut self,
        path: &str,
        raw: RawRoute,
        common: &Common,
        known: &Known<'_>,
        questions: &mut Questions,
    ) -> Protected {
        let at_tokens = format!("{path}.tokens");
        let own = self.problems.optional(&at_tokens, raw.tokens);
        let own = own.map(|raw| Rc::new(places::places(&mut self.problems, &at_tokens, raw)));
        let places = own.unwrap_or_else(|| Rc::clone(&common.places));
        let at_headers = format!("{path}.identity_headers");
        let headers = self.problems.optional(&at_headers, raw.identity_headers);
        let headers = headers.map(|raw| upstream::identity_headers(&mut self.problems, questions, &at_headers, raw));
        let at_credentials = format!("{path}.upstream_credential");
        let credentials = self.problems.optional(&at_credentials, raw.upstream_credential);
        let credentials = credentials
            .map(|raw| self.upstream_credentials(questions, &at_credentials, raw, known))
            .unwrap_or_default();
        let also =
            self.list(&format!("{path}.also"), raw.also, |parser, at, raw| parser.also(at, raw, common, &places));
        if also.len() > ALSO_MAX {
            self.problems.push(format_args!("{path}.also"), format_args!("has more than {ALSO_MAX} elements"));
        }
        let providers = self.providers(format!("{path}.providers"), raw.providers, common);
        self.two_tokens(path, providers.as_deref(), &also);
        let at_sessions = format!("{path}.sessions");
        let accepts_sessions = self.problems.choice(&at_sessions, raw.sessions, false, SESSIONS);
        if accepts_sessions && !common.has_sessions {
            self.problems.push(at_sessions, "accepts what is not switched on: add `sessions` at the top");
        }
        Protected {
            trusted_origins: self.trusted_origins(path, raw.trusted_origins, accepts_sessions),
            accepts_sessions,
            providers,
            also,
            target: self.target(&format!("{path}.identity"), raw.identity, common),
            headers: headers.unwrap_or_else(|| Rc::clone(&common.headers)),
            credentials,
            on_unavailable: self.problems.choice(
                format_args!("{path}.on_unavailable"),
                raw.on_unavailable,
                OnUnavailable::Deny,
                ON_UNAVAILABLE,
            ),
            on_ban: self.problems.choice(format_args!("{path}.on_ban"), raw.on_ban, OnBan::Cut, ON_BAN),
            places,
        }
    }

    /// One token must not do for two.
    fn two_tokens(&mut self, path: &str, first: Option<&[String]>, also: &[Also]) {
        let is_first = |name: &String| first.is_none_or(|first| first.contains(name));
        for (index, also_one) in also.iter().enumerate() {
            let is_earlier = also.iter().take(index).any(|other| other.provider == also_one.provider);
            if is_first(&also_one.provider) || is_earlier {
                let wanted = "name under `providers` of this rule whose tokens come first, and each provider once";
                self.problems.push(
                    format_args!("{path}.also[{index}].provider"),
                    format_args!("`{}` could be shown twice: {wanted}", also_one.provider),
                );
            }
        }
    }

    fn target(&mut self, at: &str, field: Field<String>, common: &Common) -> Option<Rc<Target>> {
        let wanted = self.problems.optional(at, field)?;
        let found = common.identities.iter().find(|target| target.name == wanted).cloned();
        if found.is_none() {
            self.problems.push(at, format_args!("`{wanted}` is not the name of a (valid) identity"));
        }
        found
    }

    fn providers(&mut self, at: String, field: Field<Vec<String>>, common: &Common) -> Option<Vec<String>> {
        let names = self.optional_texts(at.clone(), field)?;
        for name in names.iter().filter(|name| !common.providers.iter().any(|known| **known == ***name)) {
            self.problems.push(&at, format_args!("`{name}` is not the name of a (valid) provider"));
        }
        Some(names)
    }

    fn also(&mut self, at: &str, raw: RawAlso, common: &Common, first: &Places) -> Option<Also> {
        self.problems.unknown(at, &raw.unknown);
        let provider = self.problems.text(format_args!("{at}.provider"), raw.provider);
        if let Some(name) = provider.as_ref().filter(|name| !common.providers.iter().any(|known| **known == ***name)) {
            self.problems
                .push(format_args!("{at}.provider"), format_args!("`{name}` is not the name of a (valid) provider"));
        }
        let places = places::besides(&mut self.problems, at, raw.from, raw.forward, first);
        Some(Also { provider: provider?, places })
    }
}

fn is_there<T>(field: &Field<T>) -> bool {
    !matches!(field, Field::Absent)
}

/// The template of a matcher, shared with the requirements that ask what its names stand for.
fn template_of(matcher: &Matcher) -> Option<Rc<Template>> {
    match &matcher.path {
        PathPattern::Template(template) => Some(Rc::clone(template)),
        _ => None,
    }
}
