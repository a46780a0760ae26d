//! `sessions`: which cookies let people in.

use sekisho_protocol::session::cookie::CookieKey;

use super::field::{Field, Problems};
use super::parse::{LIST_MAX, Parser};
use super::raw::{RawOauth2Proxy, RawSessions};
use super::{limits, places};
use crate::credential::oauth2_proxy::CookieRule;
use crate::credential::places::Places;
use crate::route::{Route, RouteTable};
use crate::secret::Secret;
use crate::session::{self, Sessions};
use crate::verify::Provider;

/// Fewest bytes of oauth2-proxy's `cookie_secret`: it takes none that is shorter, either.
const COOKIE_SECRET_MIN_BYTES: usize = 16;
/// Most bytes of the name of its cookie: the names of its sessions begin with it.
pub(super) const COOKIE_NAME_MAX_BYTES: usize = 64;

impl Parser<'_> {
    /// Reads `sessions`.
    pub(super) fn sessions(
        &mut self,
        field: Field<RawSessions>,
        mesh_secret: Option<&Secret>,
        providers: &[Provider],
        routes: &RouteTable,
    ) -> Option<Sessions> {
        let raw = self.problems.optional("sessions", field)?;
        self.problems.unknown("sessions", &raw.unknown);
        if providers.iter().any(|provider| *provider.name == *session::PROVIDER) {
            self.problems.push("providers", "`session` is what sessions are called: give the provider another name");
        }
        let cookie = cookie(&mut self.problems, "sessions.cookie", raw.cookie, limits::SESSION_COOKIE, routes);
        let proxy = self.problems.optional("sessions.oauth2_proxy", raw.oauth2_proxy);
        let (cookie, proxy) = match proxy {
            None => (cookie?, None),
            Some(raw) => {
                let (rule, forwarding) = self.oauth2_proxy(raw, routes);
                if rule.as_ref().is_some_and(|rule| cookie.as_deref() == Some(rule.name())) {
                    self.problems.push("sessions.oauth2_proxy.cookie", "is the cookie of our own sessions, too");
                }
                (cookie?, Some((rule?, forwarding)))
            }
        };
        let (oauth2_proxy, forwarding) = proxy.unzip();
        let forwarding = forwarding.unwrap_or_default();
        Some(Sessions { cookie, key: CookieKey::of_mesh(mesh_secret?.expose()), oauth2_proxy, forwarding })
    }

    /// How oauth2-proxy signs its cookies, and the positions of the rules behind which it is itself.
    fn oauth2_proxy(&mut self, raw: RawOauth2Proxy, routes: &RouteTable) -> (Option<CookieRule>, Vec<usize>) {
        const AT: &str = "sessions.oauth2_proxy";
        self.problems.unknown(AT, &raw.unknown);
        let at = format!("{AT}.cookie");
        let name = cookie(&mut self.problems, &at, raw.cookie, limits::OAUTH2_PROXY_COOKIE, routes);
        if name.as_ref().is_some_and(|name| name.len() > COOKIE_NAME_MAX_BYTES) {
            self.problems.push(at, format_args!("has more than {COOKIE_NAME_MAX_BYTES} bytes"));
        }
        let at = format!("{AT}.cookie_secret_env");
        let variable = match raw.cookie_secret_env {
            Field::Absent => Some(limits::COOKIE_SECRET_ENV.to_owned()),
            field => self.problems.text(&at, field),
        };
        let secret = variable.and_then(|variable| self.secret(&at, &variable, COOKIE_SECRET_MIN_BYTES));
        let expire_s = self.problems.number(format!("{AT}.expire_s"), raw.expire_s, limits::COOKIE_EXPIRE_S);
        let at = format!("{AT}.forward_on");
        let names = self.problems.optional(&at, raw.forward_on).unwrap_or_default();
        if names.len() > LIST_MAX {
            self.problems.push(&at, format_args!("has more than {LIST_MAX} elements"));
        }
        let mut forwarding = Vec::new();
        for name in names.iter().take(LIST_MAX) {
            match routes.position(name) {
                Some(position) => forwarding.push(position),
                None => self.problems.push(&at, format_args!("there is no rule `{name}`")),
            }
        }
        let rule = name.zip(secret).and_then(|(name, secret)| CookieRule::new(name, &secret, expire_s.into()));
        (rule, forwarding)
    }
}

/// The name of a cookie in which no token is read.
fn cookie(
    problems: &mut Problems,
    at: &str,
    field: Field<String>,
    default: &str,
    routes: &RouteTable,
) -> Option<String> {
    let name = match field {
        Field::Absent => default.to_owned(),
        field => problems.optional(at, field)?,
    };
    if !places::is_token(&name) {
        problems.push(at, "is not the name of a cookie that needs no escape");
    }
    if routes.iter().flat_map(Route::places).flat_map(Places::cookies).any(|known| known == name) {
        problems.push(at, "is a cookie in which tokens are read");
    }
    Some(name)
}
