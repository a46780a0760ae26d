//! Cookies as browsers keep them (RFC 6265bis): by name, host and path, with the rules of `__Host-` and `__Secure-`, of
//! `Secure` and of `SameSite`.

use std::cmp::Reverse;
use std::time::{Duration, SystemTime};

use reqwest::{Method, Url};

use super::site::{Site, between};

/// When a cookie goes with a request that another site caused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SameSite {
    /// Always.
    None,
    /// If it is a navigation that changes nothing. Cookies that say nothing are treated so.
    Lax,
    /// Never.
    Strict,
}

/// A cookie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cookie {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
    /// The host that it goes to, or whose subdomains get it as well.
    pub host: String,
    /// Whether subdomains get it as well.
    pub with_subdomains: bool,
    /// The path at and below which it is sent.
    pub path: String,
    /// Whether it is kept from plain connections.
    pub secure: bool,
    /// Whether it is kept from scripts.
    pub http_only: bool,
    /// When it goes with requests of other sites.
    pub same_site: SameSite,
    /// Until when it is kept; without, until the browser is closed.
    pub until: Option<SystemTime>,
}

/// The cookies of one browser.
#[derive(Debug, Clone, Default)]
pub struct Jar {
    cookies: Vec<Cookie>,
}

impl Jar {
    /// Obeys a `Set-Cookie` from `url`. What a browser would refuse is refused.
    pub fn take(&mut self, header: &str, url: &Url) {
        let Some(cookie) = Cookie::parse(header, url) else { return };
        self.put(cookie);
    }

    /// Puts a cookie in place of the one with the same name, host and path, or removes that one if it has ended.
    pub fn put(&mut self, cookie: Cookie) {
        self.cookies.retain(|old| (&old.name, &old.host, &old.path) != (&cookie.name, &cookie.host, &cookie.path));
        if cookie.lives() {
            self.cookies.push(cookie);
        }
    }

    /// The cookie with this name for `address`.
    #[must_use]
    pub fn get(&self, address: &str, name: &str) -> Option<&Cookie> {
        let url: Url = address.parse().ok()?;
        self.for_url(&url).into_iter().find(|cookie| cookie.name == name)
    }

    /// All cookies for `address`.
    #[must_use]
    pub fn all(&self, address: &str) -> Vec<&Cookie> {
        address.parse().map(|url: Url| self.for_url(&url)).unwrap_or_default()
    }

    /// Forgets the cookies for which `which` holds.
    pub fn forget(&mut self, which: impl Fn(&Cookie) -> bool) {
        self.cookies.retain(|cookie| !which(cookie));
    }

    /// The header of a navigation to `url` that `from` caused, if there is anything to send.
    pub(super) fn header_for(&self, url: &Url, from: Option<&Url>, method: &Method) -> Option<String> {
        let site = from.map_or(Site::None, |from| between(from, url));
        let goes = |cookie: &&Cookie| match cookie.same_site {
            SameSite::None => true,
            SameSite::Lax => site < Site::CrossSite || method.is_safe(),
            SameSite::Strict => site < Site::CrossSite,
        };
        let mut cookies = self.for_url(url);
        cookies.retain(goes);
        // Longer paths first (RFC 6265 §5.4).
        cookies.sort_by_key(|cookie| Reverse(cookie.path.len()));
        let pairs: Vec<String> = cookies.iter().map(|cookie| format!("{}={}", cookie.name, cookie.value)).collect();
        (!pairs.is_empty()).then(|| pairs.join("; "))
    }

    fn for_url(&self, url: &Url) -> Vec<&Cookie> {
        self.cookies.iter().filter(|cookie| cookie.lives() && cookie.is_for(url)).collect()
    }
}

impl Cookie {
    fn parse(header: &str, url: &Url) -> Option<Self> {
        let mut parts = header.split(';').map(str::trim);
        let (name, value) = parts.next()?.split_once('=')?;
        let mut cookie = Self {
            name: name.to_owned(),
            value: value.to_owned(),
            host: url.host_str()?.to_owned(),
            with_subdomains: false,
            path: default_path(url),
            secure: false,
            http_only: false,
            same_site: SameSite::Lax,
            until: None,
        };
        let mut max_age = None;
        for part in parts {
            let (attribute, value) = part.split_once('=').unwrap_or((part, ""));
            match attribute.to_ascii_lowercase().as_str() {
                "domain" => {
                    value.trim_start_matches('.').clone_into(&mut cookie.host);
                    cookie.with_subdomains = true;
                }
                "path" if value.starts_with('/') => value.clone_into(&mut cookie.path),
                "secure" => cookie.secure = true,
                "httponly" => cookie.http_only = true,
                "samesite" if value.eq_ignore_ascii_case("strict") => cookie.same_site = SameSite::Strict,
                "samesite" if value.eq_ignore_ascii_case("none") => cookie.same_site = SameSite::None,
                "max-age" => max_age = Some(value.parse::<i64>().ok()?),
                // The only date that servers write in practice is one in the past, or one beside `Max-Age`.
                "expires" if value.contains("1970") => cookie.until = Some(SystemTime::UNIX_EPOCH),
                _ => {}
            }
        }
        if let Some(seconds) = max_age {
            let left = Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
            cookie.until = Some(if left.is_zero() { SystemTime::UNIX_EPOCH } else { SystemTime::now() + left });
        }
        cookie.is_allowed_from(url).then_some(cookie)
    }

    fn is_allowed_from(&self, url: &Url) -> bool {
        let host_only = self.path == "/" && !self.with_subdomains;
        let of_ours =
            url.host_str().is_some_and(|host| host == self.host || host.ends_with(&format!(".{}", self.host)));
        of_ours
            && (!self.secure || is_trustworthy(url))
            && (self.same_site != SameSite::None || self.secure)
            && (!self.name.starts_with("__Secure-") || self.secure)
            && (!self.name.starts_with("__Host-") || (self.secure && host_only))
    }

    fn is_for(&self, url: &Url) -> bool {
        let host = url.host_str().unwrap_or_default();
        let host_fits = host == self.host || (self.with_subdomains && host.ends_with(&format!(".{}", self.host)));
        let path = url.path();
        let rest = path.strip_prefix(self.path.trim_end_matches('/'));
        host_fits
            && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            && (!self.secure || is_trustworthy(url))
    }

    fn lives(&self) -> bool {
        self.until.is_none_or(|until| SystemTime::now() < until)
    }
}

/// Chromium keeps `Secure` cookies of this machine even without TLS, since nobody listens in between.
fn is_trustworthy(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    url.scheme() == "https" || host == "localhost" || host.ends_with(".localhost") || host == "127.0.0.1"
}

/// The folder of the path (RFC 6265 §5.1.4).
fn default_path(url: &Url) -> String {
    match url.path().rsplit_once('/') {
        Some(("", _)) | None => "/".to_owned(),
        Some((folder, _)) => folder.to_owned(),
    }
}

#[cfg(test)]
mod tests;
