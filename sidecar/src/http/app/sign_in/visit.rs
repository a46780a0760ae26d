//! A browser's visit: where it is, in whose name, and in which language.

use std::net::IpAddr;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use sekisho_core::answer::language::Language;
use url::form_urlencoded;

use super::cookies::Cookies;
use super::page::Page;
use super::texts::Kind;
use crate::domain::audit::By;
use crate::domain::caller::Caller;
use crate::domain::session::Agent;
use crate::domain::sign_in::Origin;
use crate::domain::time::UnixSeconds;
use crate::http::app::Api;
use crate::http::app::caller::origin;
use crate::http::app::request::host;
use crate::service::sign_in::{Browser, SignIn};

/// A visit to an origin on which people sign in.
pub(super) struct Visit {
    pub(super) sign_in: SignIn,
    pub(super) origin: Origin,
    pub(super) language: Language,
    pub(super) cookies: Cookies,
    pub(super) headers: HeaderMap,
    /// Whoever is signed in.
    pub(super) caller: Option<Caller>,
    pub(super) now: UnixSeconds,
    query: String,
}

impl FromRequestParts<Api> for Visit {
    type Rejection = Page;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Page> {
        let wanted = parts.headers.get_all(header::ACCEPT_LANGUAGE);
        let language = Language::preferred(wanted.iter().map(HeaderValue::as_bytes));
        let not_here = || Page::new(StatusCode::NOT_FOUND, Kind::NotHere, language);
        let sign_in = api.sign_in.clone().ok_or_else(not_here)?;
        let host = host(&parts.uri, &parts.headers).ok_or_else(not_here)?;
        let origin = sign_in.origin(&host.host().to_ascii_lowercase()).cloned().ok_or_else(not_here)?;
        let now = api.now();
        Ok(Self {
            cookies: Cookies { is_secure: sign_in.is_secure() },
            origin,
            language,
            // Without an assertion nobody is; with a bad one, neither.
            caller: api.verifier.verify(&parts.headers, now).ok(),
            headers: parts.headers.clone(),
            now,
            query: parts.uri.query().unwrap_or_default().to_owned(),
            sign_in,
        })
    }
}

impl Visit {
    /// A parameter of the query; none if it is there twice.
    pub(super) fn parameter(&self, name: &str) -> Option<String> {
        let mut found = form_urlencoded::parse(self.query.as_bytes()).filter(|(known, _)| known == name);
        let (first, second) = (found.next(), found.next());
        first.filter(|_| second.is_none()).map(|(_, value)| value.into_owned())
    }

    /// A page in the visitor's language.
    pub(super) fn page(&self, status: StatusCode, kind: Kind) -> Page {
        Page::new(status, kind, self.language)
    }

    /// What is known of the browser.
    pub(super) fn browser(&self) -> Browser {
        let by = self.by();
        Browser {
            address: by.address.as_deref().and_then(|text| text.parse::<IpAddr>().ok()),
            agent: self.text(header::USER_AGENT.as_str()).map(|text| Agent::from(text.to_owned())),
            session: self.caller.as_ref().and_then(Caller::session_id),
            origin: by,
        }
    }

    /// Whoever is signed in, for the record; or nobody, by way of this request.
    pub(super) fn by(&self) -> By {
        self.caller
            .as_ref()
            .map_or_else(|| By::caller("").by_way_of(origin(&self.headers)), |caller| caller.by().clone())
    }

    /// Whether the visitor came from this origin itself, or from nowhere, and means it (Fetch Metadata).
    pub(super) fn is_meant(&self) -> bool {
        let site = self.headers.get_all("sec-fetch-site");
        let is_own = |site: &HeaderValue| site == "same-origin" || site == "none";
        let is_speculative = self.headers.contains_key("sec-purpose") || self.headers.contains_key("purpose");
        site.iter().next().is_some() && site.iter().all(is_own) && !is_speculative
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}
