//! Options of an installation that is to be replaced → our configuration, and what is said of each option that has no
//! place in it. Nothing is dropped without a word.

use std::collections::BTreeMap;

use sekisho_protocol::keys::MESH_SECRET_MIN_BYTES;
use serde_json::{Map, Value, json};
use url::Url;
use zeroize::Zeroizing;

use super::read::{Found, Given, seconds};
use crate::config::{JWT_SECRET_MIN_BYTES, is_secret, is_setting};
use crate::domain::sign_in::Origin;

/// The longest life of a session of our own, in seconds.
const LIFETIME_MAX_S: u64 = 604_800;
/// Stands where the addresses of a file belong.
const NOBODY: &str = "nobody@put-the-addresses-here.invalid";
/// Options that are not taken over, with what to know about each.
const LEFT: &[(&str, &str)] = &[
    ("authenticated_emails_file", "put its addresses into SEKISHO_SIGN_IN_ALLOWED_EMAILS"),
    ("allowed_groups", "say it in the rules: `require.groups`"),
    (
        "insecure_oidc_allow_unverified_email",
        "only verified addresses count; sessions of before let in whom oauth2-proxy let in",
    ),
    ("oidc_email_claim", "the claim is `email`"),
    ("oidc_groups_claim", "the claim is `groups`"),
    ("upstreams", "routes are Envoy's business"),
    ("skip_auth_routes", "make them rules with `\"access\": \"public\"`"),
    ("skip_auth_regex", "make them rules with `\"access\": \"public\"`"),
    ("cookie_domains", "our own sessions belong to one host; those of oauth2-proxy count wherever browsers send them"),
    ("whitelist_domains", "people are sent back to the host from which they came, and nowhere else"),
    ("redis_use_sentinel", "name one Redis in REDIS_URL"),
    ("redis_use_cluster", "name one Redis in REDIS_URL"),
    ("redis_password", "put it into REDIS_URL"),
    ("LITELLM_SHARED_KEY", "give it to Envoy, and name it in a rule's `upstream_credential`"),
    ("LITELLM_MASTER_KEY", "give it to Envoy, and name it in a rule's `upstream_credential`"),
];

/// Our configuration.
#[derive(Debug, Default)]
pub(super) struct Imported {
    /// The sidecars' environment, without secrets.
    pub(super) sidecar: BTreeMap<&'static str, String>,
    /// Variables that are as they were.
    pub(super) kept: BTreeMap<String, String>,
    /// Secrets by the variable in which they belong.
    pub(super) secrets: BTreeMap<String, Zeroizing<String>>,
    /// The filter's `sessions`.
    pub(super) sessions: Value,
    /// What to know, and what was not taken over: each with the option's name.
    pub(super) remarks: Vec<(String, String)>,
}

impl Imported {
    fn remark(&mut self, name: &str, message: impl Into<String>) {
        self.remarks.push((name.to_owned(), message.into()));
    }
}

/// What there is, in our words.
pub(super) fn translate(mut found: Found) -> Imported {
    let mut imported = Imported::default();
    let is_proxy = !found.options.is_empty();
    provider(&mut found, &mut imported);
    if is_proxy {
        sessions(&mut found.options, &mut imported);
    }
    for (name, given) in std::mem::take(&mut found.variables) {
        variable(&name, &given, &mut imported);
    }
    for name in found.options.into_keys() {
        left(&name, &mut imported);
    }
    imported
}

/// Who signs people in, and whom.
fn provider(found: &mut Found, imported: &mut Imported) {
    let issuer = found.options.remove("oidc_issuer_url");
    let auth0 = found.variables.remove("AUTH0_DOMAIN");
    let kind = found.options.remove("provider").map(|given| given.joined());
    // A client of oauth2-proxy's whose provider nobody names is one of Google's.
    let unnamed = found.options.contains_key("client_id").then_some("google");
    let issuer = match (issuer, auth0, kind.as_deref().map(String::as_str).or(unnamed)) {
        (Some(issuer), ..) => Some(issuer.joined().to_string()),
        (None, Some(domain), _) => Some(format!("https://{}/", *domain.joined())),
        (None, None, Some("google")) => Some("https://accounts.google.com".to_owned()),
        (None, None, Some(kind)) => {
            imported.remark(
                "provider",
                format!("`{kind}` names no issuer: set SEKISHO_OIDC_ISSUER to one that speaks OpenID Connect"),
            );
            None
        }
        (None, None, None) => None,
    };
    imported.sidecar.extend(issuer.map(|issuer| ("SEKISHO_OIDC_ISSUER", issuer)));
    let either = |found: &mut Found, option: &str, variable: &str| {
        let of_variable = found.variables.remove(variable);
        found.options.remove(option).or(of_variable)
    };
    if let Some(id) = either(found, "client_id", "AUTH0_CLIENT_ID") {
        imported.sidecar.insert("SEKISHO_OIDC_CLIENT_ID", id.joined().to_string());
    }
    if let Some(secret) = either(found, "client_secret", "AUTH0_CLIENT_SECRET") {
        imported.secrets.insert("SEKISHO_OIDC_CLIENT_SECRET".to_owned(), secret.joined());
    }
    if let Some(file) = found.options.remove("client_secret_file") {
        imported.sidecar.insert("SEKISHO_OIDC_CLIENT_SECRET_FILE", file.joined().to_string());
    }
    if let Some(scope) = found.options.remove("scope") {
        imported.sidecar.insert("SEKISHO_OIDC_SCOPES", scope.joined().to_string());
    }
    if let Some(url) = found.options.remove("redirect_url") {
        origin(&url.joined(), imported);
    }
    admitted(&mut found.options, imported);
    if imported.sidecar.contains_key("SEKISHO_OIDC_ISSUER") {
        let who = ["SEKISHO_SIGN_IN_ALLOWED_DOMAINS", "SEKISHO_SIGN_IN_ALLOWED_EMAILS"];
        if !who.iter().any(|name| imported.sidecar.contains_key(name)) {
            imported.remark("SEKISHO_SIGN_IN_ALLOWED_DOMAINS", "is missing: name the domains of those who may sign in");
        }
        if !imported.sidecar.contains_key("SEKISHO_SIGN_IN_ORIGINS") {
            imported.remark("SEKISHO_SIGN_IN_ORIGINS", "is missing: name the origins on which people sign in");
        }
    }
}

/// Where people sign in.
fn origin(redirect_url: &str, imported: &mut Imported) {
    let origin = Url::parse(redirect_url).ok().map(|url| url.origin().ascii_serialization());
    let Some(origin) = origin.filter(|text| Origin::parse(text).is_some()) else {
        return imported.remark("redirect_url", "is no URL of a host: set SEKISHO_SIGN_IN_ORIGINS");
    };
    if origin.starts_with("http:") {
        imported.sidecar.insert("SEKISHO_SIGN_IN_INSECURE", "1".to_owned());
        imported.remark("redirect_url", "is plain HTTP: use TLS, and leave SEKISHO_SIGN_IN_INSECURE out");
    }
    imported.sidecar.insert("SEKISHO_SIGN_IN_ORIGINS", origin);
}

/// Who may sign in. What can't be said here must let nobody in rather than everybody.
fn admitted(options: &mut BTreeMap<String, Given>, imported: &mut Imported) {
    let by_file = options.contains_key("authenticated_emails_file");
    if by_file {
        imported.sidecar.insert("SEKISHO_SIGN_IN_ALLOWED_EMAILS", NOBODY.to_owned());
    }
    let Some(domains) = options.remove("email_domains") else { return };
    let domains: Vec<_> = domains.each().collect();
    if domains.contains(&"*") && !by_file {
        imported.sidecar.insert("SEKISHO_SIGN_IN_ALLOWED_DOMAINS", "*".to_owned());
    }
    if domains.is_empty() || domains.contains(&"*") {
        return;
    }
    let with_subdomains = domains.iter().any(|domain| domain.starts_with('.'));
    if with_subdomains {
        imported.remark("email_domains", "name each domain: one that begins with a dot matches nobody here");
    }
    imported.sidecar.insert("SEKISHO_SIGN_IN_ALLOWED_DOMAINS", domains.join(","));
    if !by_file && !with_subdomains {
        imported.sidecar.insert("SEKISHO_OAUTH2_PROXY_EMAIL_DOMAINS", domains.join(","));
    }
}

/// For how long people stay signed in, and how oauth2-proxy's own sessions are taken over.
fn sessions(options: &mut BTreeMap<String, Given>, imported: &mut Imported) {
    let mut text = |name: &str| options.remove(name).map(|given| given.joined().to_string());
    let in_redis = text("session_store_type").as_deref() == Some("redis");
    let url = text("redis_connection_url");
    let cookie = text("cookie_name").unwrap_or_else(|| "_oauth2_proxy".to_owned());
    let (secret, secure) = (text("cookie_secret"), text("cookie_secure"));
    let prefix = text("proxy_prefix").unwrap_or_else(|| "/oauth2".to_owned());
    let mut duration = |name: &str| match text(name) {
        None => None,
        Some(text) => seconds(&text).or_else(|| {
            imported.remark(name, "is not a duration such as 168h0m0s: it was left out");
            None
        }),
    };
    let (expire_s, refresh_s) = (duration("cookie_expire"), duration("cookie_refresh").unwrap_or(0));
    // As oauth2-proxy does if nobody says otherwise.
    let expire_s = expire_s.filter(|seconds| *seconds > 0).unwrap_or(604_800);
    let mut own = Map::new();
    if secure.as_deref() == Some("false") {
        own.insert("cookie".to_owned(), "sekisho".into());
    }
    imported.sidecar.insert("SEKISHO_SESSION_LIFETIME_SECONDS", expire_s.clamp(60, LIFETIME_MAX_S).to_string());
    if expire_s > LIFETIME_MAX_S {
        imported.remark("cookie_expire", "people sign in again after a week at the latest");
    }
    if refresh_s > 0 {
        imported.remark("cookie_refresh", "our own sessions are refreshed by themselves, before their tokens end");
    }
    if in_redis {
        imported.sidecar.insert("SEKISHO_OAUTH2_PROXY", "1".to_owned());
        imported.sidecar.insert("SEKISHO_OAUTH2_PROXY_COOKIE", cookie.clone());
        imported.sidecar.insert("SEKISHO_OAUTH2_PROXY_EXPIRE_SECONDS", expire_s.to_string());
        if refresh_s == 0 {
            // Then it does not look at the end of tokens, either.
            imported.sidecar.insert("SEKISHO_OAUTH2_PROXY_OUTLIVES_TOKENS", "1".to_owned());
        }
        let proxy = json!({"cookie": cookie, "expire_s": expire_s, "forward_on": ["oauth2-proxy"]});
        own.insert("oauth2_proxy".to_owned(), proxy);
        let rule = format!(
            "put a rule `oauth2-proxy` for the prefix {prefix}, with `\"access\": \"public\"`, before your others for as long as it runs"
        );
        imported.remark("proxy_prefix", rule);
    } else {
        imported.remark(
            "session_store_type",
            "its sessions are in its cookies, and nobody can take them over: people sign in again",
        );
    }
    match secret.filter(|_| in_redis) {
        Some(secret) => drop(imported.secrets.insert("OAUTH2_PROXY_COOKIE_SECRET".to_owned(), Zeroizing::new(secret))),
        None if in_redis => {
            imported.remark("cookie_secret", "is missing: Envoy needs it as OAUTH2_PROXY_COOKIE_SECRET")
        }
        None => {}
    }
    if let Some(url) = url {
        imported.secrets.insert("REDIS_URL".to_owned(), Zeroizing::new(url));
    }
    imported.sessions = Value::Object(own);
}

/// One of the old gateway's variables.
fn variable(name: &str, given: &Given, imported: &mut Imported) {
    let text = given.joined();
    if text.is_empty() {
        return;
    }
    if !is_setting(name) {
        return left(name, imported);
    }
    if text.contains("${") {
        return imported.remark(name, "refers to another variable: fill its value in");
    }
    if !is_secret(name) {
        imported.kept.insert(name.to_owned(), text.to_string());
        return;
    }
    if name == "JWT_SECRET" && text.len() < JWT_SECRET_MIN_BYTES {
        imported.sidecar.insert("SEKISHO_ALLOW_SHORT_JWT_SECRET", "1".to_owned());
        imported.remark(
            name,
            format!("is shorter than {JWT_SECRET_MIN_BYTES} bytes: replace it once its tokens have ended"),
        );
    }
    if name == "SEKISHO_MESH_SECRET" && text.len() < MESH_SECRET_MIN_BYTES {
        imported.remark(name, "is too short");
    }
    imported.secrets.insert(name.to_owned(), text);
}

fn left(name: &str, imported: &mut Imported) {
    let advice = LEFT.iter().find(|(known, _)| *known == name).map(|(_, advice)| *advice);
    imported
        .remark(name, advice.map_or_else(|| "not taken over".to_owned(), |advice| format!("not taken over: {advice}")));
}

#[cfg(test)]
mod tests {
    use super::*;

    const CFG: &str = r#"
provider = "oidc"
oidc_issuer_url = "https://tenant.auth0.com/"
client_id = "the-client"
client_secret = "the client's secret"
cookie_secret = "the cookie's secret"
cookie_expire = "24h"
email_domains = ["example.com", "ops.example"]
session_store_type = "redis"
redis_connection_url = "redis://:password@redis:6379/1"
redirect_url = "https://llm.example.com/oauth2/callback"
set_xauthrequest = true
"#;
    const ENV: &str = "AUTH0_DOMAIN=tenant.auth0.com\nAUTH0_CLIENT_ID=c\nAUTH0_CLIENT_SECRET=s\nJWT_SECRET=short\n\
        SUPER_ADMIN_EMAIL=root@x\nCLEANUP_LOG_RETENTION_DAYS=7\nANTHROPIC_API_KEY=sk-hunter2\nREDIS_HOST=${HOST}\nEMPTY=\n";

    fn imported(texts: &[&str]) -> Imported {
        let mut found = Found::default();
        texts.iter().for_each(|text| found.add(text).unwrap());
        translate(found)
    }

    #[test]
    fn what_oauth2_proxy_was_told_is_told_to_sidecars_and_filters() {
        let imported = imported(&[CFG]);
        let expected = [
            ("SEKISHO_OAUTH2_PROXY", "1"),
            ("SEKISHO_OAUTH2_PROXY_COOKIE", "_oauth2_proxy"),
            ("SEKISHO_OAUTH2_PROXY_EMAIL_DOMAINS", "example.com,ops.example"),
            ("SEKISHO_OAUTH2_PROXY_EXPIRE_SECONDS", "86400"),
            ("SEKISHO_OAUTH2_PROXY_OUTLIVES_TOKENS", "1"),
            ("SEKISHO_OIDC_CLIENT_ID", "the-client"),
            ("SEKISHO_OIDC_ISSUER", "https://tenant.auth0.com/"),
            ("SEKISHO_SESSION_LIFETIME_SECONDS", "86400"),
            ("SEKISHO_SIGN_IN_ALLOWED_DOMAINS", "example.com,ops.example"),
            ("SEKISHO_SIGN_IN_ORIGINS", "https://llm.example.com"),
        ];
        assert_eq!(imported.sidecar.iter().map(|(name, value)| (*name, value.as_str())).collect::<Vec<_>>(), expected);
        let secrets: Vec<_> = imported.secrets.keys().map(String::as_str).collect();
        assert_eq!(secrets, ["OAUTH2_PROXY_COOKIE_SECRET", "REDIS_URL", "SEKISHO_OIDC_CLIENT_SECRET"]);
        let proxy = json!({"cookie": "_oauth2_proxy", "expire_s": 86_400, "forward_on": ["oauth2-proxy"]});
        assert_eq!(imported.sessions, json!({"oauth2_proxy": proxy}));
        let remarks: Vec<_> = imported.remarks.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(remarks, ["proxy_prefix", "set_xauthrequest"]);
    }

    #[test]
    fn a_provider_is_known_by_its_issuer_or_is_google_which_oauth2_proxy_takes_if_nobody_names_one() {
        const GOOGLE: &str = "https://accounts.google.com";
        const CLIENT: &str = "client_id = \"c\"\n";
        for (text, issuer) in [
            ("provider = \"google\"", Some(GOOGLE)),
            ("client_secret = \"s\"", Some(GOOGLE)),
            ("oidc_issuer_url = \"https://idp.example\"", Some("https://idp.example")),
            ("provider = \"github\"", None),
        ] {
            let imported = imported(&[&[CLIENT, text].concat()]);
            assert_eq!(imported.sidecar.get("SEKISHO_OIDC_ISSUER").map(String::as_str), issuer, "{text}");
            assert_eq!(imported.remarks.iter().any(|(name, _)| name == "provider"), issuer.is_none(), "{text}");
        }
        let no_client = imported(&["cookie_secret = \"0123456789abcdef\""]);
        assert!(!no_client.sidecar.contains_key("SEKISHO_OIDC_ISSUER"), "nobody signs in there");
    }

    #[test]
    fn what_cannot_be_said_lets_nobody_in_rather_than_everybody() {
        let of = |text: &str| imported(&[text]).sidecar;
        let (domains, emails) = ("SEKISHO_SIGN_IN_ALLOWED_DOMAINS", "SEKISHO_SIGN_IN_ALLOWED_EMAILS");
        assert_eq!(of("email_domains = [\".x.org\"]")[domains], ".x.org");
        let by_file = of("email_domains = \"x.org\"\nauthenticated_emails_file = \"/emails\"");
        assert_eq!((by_file[domains].as_str(), by_file[emails].as_str()), ("x.org", NOBODY));
        assert!(!by_file.contains_key("SEKISHO_OAUTH2_PROXY_EMAIL_DOMAINS"), "whom it let in is in");
        let everybody = of("email_domains = [\"*\"]");
        assert!(everybody[domains] == "*" && !everybody.contains_key(emails));
        let plain = imported(&["redirect_url = \"http://localhost:4180/oauth2/callback\""]);
        assert_eq!(plain.sidecar["SEKISHO_SIGN_IN_ORIGINS"], "http://localhost:4180");
        assert_eq!(plain.sidecar["SEKISHO_SIGN_IN_INSECURE"], "1");
        assert_eq!(imported(&["redirect_url = \"/oauth2/callback\""]).remarks.len(), 2, "and what it is about");
    }

    #[test]
    fn the_old_gateways_variables_mean_what_they_meant_and_each_other_one_is_named() {
        let imported = imported(&[ENV]);
        assert_eq!(imported.sidecar["SEKISHO_OIDC_ISSUER"], "https://tenant.auth0.com/");
        assert_eq!(imported.sidecar["SEKISHO_ALLOW_SHORT_JWT_SECRET"], "1");
        assert!(!imported.sidecar.contains_key("SEKISHO_OAUTH2_PROXY"), "there is none in it");
        assert_eq!(imported.kept.keys().collect::<Vec<_>>(), ["CLEANUP_LOG_RETENTION_DAYS", "SUPER_ADMIN_EMAIL"]);
        assert_eq!(imported.secrets.keys().collect::<Vec<_>>(), ["JWT_SECRET", "SEKISHO_OIDC_CLIENT_SECRET"]);
        let remarks: Vec<_> = imported.remarks.iter().map(|(name, _)| name.as_str()).collect();
        let missing = ["SEKISHO_SIGN_IN_ALLOWED_DOMAINS", "SEKISHO_SIGN_IN_ORIGINS"];
        assert_eq!(remarks, [&missing[..], &["ANTHROPIC_API_KEY", "JWT_SECRET", "REDIS_HOST"]].concat());
        assert!(!format!("{:?}", imported.remarks).contains("hunter2"));
    }

    #[test]
    fn sessions_that_are_in_cookies_are_not_taken_over_and_that_is_said() {
        let imported =
            imported(&["cookie_secret = \"0123456789abcdef\"\ncookie_refresh = \"1h\"\ncookie_secure = false\n"]);
        assert_eq!(imported.sessions, json!({"cookie": "sekisho"}));
        assert!(imported.secrets.is_empty() && imported.remarks.iter().any(|(name, _)| name == "session_store_type"));
        let refreshed =
            self::imported(&["session_store_type = \"redis\"\ncookie_refresh = \"1h\"\ncookie_expire = \"x\"\n"]);
        assert!(!refreshed.sidecar.contains_key("SEKISHO_OAUTH2_PROXY_OUTLIVES_TOKENS"));
        let remarks: Vec<_> = refreshed.remarks.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(remarks, ["cookie_expire", "cookie_refresh", "proxy_prefix", "cookie_secret"]);
    }
}
