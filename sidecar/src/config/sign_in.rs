//! `sign_in`: where and how people sign in, and who may. Nobody does unless an issuer is named.

use url::Url;

use super::reader::Reader;
use crate::domain::sign_in::Origin;
use crate::domain::sign_in::admission::Admission;
use crate::domain::sign_in::registration::{ClientSecret, Registration};

/// What says nothing by itself.
const DEPENDENT: [&str; 14] = [
    "sign_in.client_id",
    "sign_in.client_secret",
    "sign_in.scopes",
    "sign_in.prompt",
    "sign_in.email_verified",
    "sign_in.claims",
    "sign_in.acr_values",
    "sign_in.amr_values",
    "sign_in.origins",
    "sign_in.allowed_domains",
    "sign_in.allowed_emails",
    "sign_in.insecure",
    "sign_in.keep_at_provider",
    "sign_in.logout_revokes_tokens",
];
/// Most origins, scopes, values and the like: a handful is usual.
const LIST_MAX: usize = 64;
/// Everybody.
const ALL: &str = "*";

/// How people sign in.
#[derive(Debug, Clone)]
pub struct SignIn {
    /// How we are known to the identity provider.
    pub registration: Registration,
    /// Where people sign in.
    pub origins: Vec<Origin>,
    /// Who may.
    pub admission: Admission,
    /// After so many seconds the provider is asked about the owner of a session again, if ever.
    pub refresh_s: Option<u64>,
    /// Whether who signs out here signs out at the provider, too.
    pub leaves_provider: bool,
    /// Whether a logout that the provider tells of revokes tokens, too.
    pub logout_revokes: bool,
}

/// How people sign in, if they do here.
pub(super) fn read(reader: &mut Reader) -> Option<SignIn> {
    let Some(issuer) = reader.text("sign_in.issuer").map(str::to_owned) else {
        for path in DEPENDENT {
            if reader.text(path).is_some() {
                reader.wrong(path, "says nothing without SEKISHO_OIDC_ISSUER, the provider with which people sign in");
            }
        }
        return None;
    };
    let insecure = reader.flag("sign_in.insecure");
    let acr = list(reader, "sign_in.acr_values");
    let refresh_s = reader.number("sessions.refresh_s", 900, 0..=86_400);
    Some(SignIn {
        registration: Registration {
            issuer: checked_issuer(reader, issuer, insecure),
            client_id: client_id(reader),
            client_secret: reader.text("sign_in.client_secret").map(|text| ClientSecret::new(text.to_owned())),
            scopes: scopes(reader),
            acr: acr.clone(),
            prompt: prompt(reader),
            allow_http: insecure,
        },
        origins: origins(reader, insecure),
        admission: admission(reader, acr),
        refresh_s: (refresh_s > 0).then_some(refresh_s),
        leaves_provider: !reader.flag("sign_in.keep_at_provider"),
        logout_revokes: reader.flag("sign_in.logout_revokes_tokens"),
    })
}

fn checked_issuer(reader: &mut Reader, issuer: String, insecure: bool) -> String {
    let is_good = Url::parse(&issuer).is_ok_and(|url| {
        let is_safe = url.scheme() == "https" || (insecure && url.scheme() == "http");
        is_safe && url.query().is_none() && url.fragment().is_none()
    });
    if !is_good {
        let message = format!("`{issuer}` is no issuer: an https URL without a query, just as the provider spells it");
        reader.wrong("sign_in.issuer", message);
    }
    issuer
}

fn client_id(reader: &mut Reader) -> String {
    if reader.text("sign_in.client_id").is_none() {
        reader.wrong("sign_in.client_id", "is missing: what the provider calls this client");
        return String::new();
    }
    reader.label("sign_in.client_id", "", 512)
}

fn scopes(reader: &mut Reader) -> Vec<String> {
    let text = reader.text_or("sign_in.scopes", "openid email profile").replace(',', " ");
    // The library asks for `openid` in any case.
    text.split_whitespace().filter(|scope| *scope != "openid").map(str::to_owned).collect()
}

fn prompt(reader: &mut Reader) -> Option<String> {
    let text = reader.text("sign_in.prompt")?.to_owned();
    if !text.split(' ').all(|word| ["login", "consent", "select_account"].contains(&word)) {
        reader.wrong("sign_in.prompt", format!("`{text}` is none of login, consent and select_account"));
    }
    Some(text)
}

fn origins(reader: &mut Reader, insecure: bool) -> Vec<Origin> {
    const PATH: &str = "sign_in.origins";
    let texts = list(reader, PATH);
    if texts.is_empty() {
        reader.wrong(PATH, "is missing: name the origins on which people sign in, such as https://app.example.com");
    }
    let mut origins: Vec<Origin> = Vec::new();
    for text in texts {
        let Some(origin) = Origin::parse(&text) else {
            reader.wrong(PATH, format!("`{text}` is no origin such as https://app.example.com"));
            continue;
        };
        if origin.is_secure() == insecure {
            let wanted =
                if insecure { "every origin is http then" } else { "or set SEKISHO_SIGN_IN_INSECURE=1 for a trial" };
            reader.wrong(PATH, format!("`{text}` must be {}: {wanted}", if insecure { "http" } else { "https" }));
        }
        if origins.iter().any(|known| known.host() == origin.host()) {
            reader.wrong(PATH, format!("`{text}` names a host that is named already; cookies know no ports"));
        }
        origins.push(origin);
    }
    origins
}

fn admission(reader: &mut Reader, acr: Vec<String>) -> Admission {
    const PATH: &str = "sign_in.allowed_domains";
    let domains = list(reader, PATH);
    let emails = reader.emails("sign_in.allowed_emails");
    let everybody = domains.iter().any(|domain| domain == ALL);
    if domains.is_empty() && emails.is_empty() {
        let wanted = "name the domains of those who may sign in, or `*` for everybody whom the provider lets in";
        reader.wrong(PATH, format!("is missing, and so is SEKISHO_SIGN_IN_ALLOWED_EMAILS: {wanted}"));
    }
    if everybody && (domains.len() > 1 || !emails.is_empty()) {
        reader.wrong(PATH, "`*` is everybody: name nobody else beside it");
    }
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-');
    let mut admission = Admission {
        everybody,
        emails,
        verified: verified(reader),
        acr,
        amr: list(reader, "sign_in.amr_values"),
        claims: list(reader, "sign_in.claims"),
        domains: Vec::new(),
    };
    for domain in domains.iter().filter(|domain| *domain != ALL) {
        // `@example.com` is how some write it.
        let name = domain.trim_start_matches('@').to_ascii_lowercase();
        if name.is_empty() || !name.bytes().all(plain) {
            reader.wrong(PATH, format!("`{domain}` is not a domain such as example.com"));
        }
        admission.domains.push(name);
    }
    admission
}

fn verified(reader: &mut Reader) -> bool {
    match reader.text("sign_in.email_verified") {
        None | Some("required") => true,
        Some("ignored") => false,
        Some(other) => {
            let message = format!("`{other}` is neither required nor ignored");
            reader.wrong("sign_in.email_verified", message);
            true
        }
    }
}

fn list(reader: &mut Reader, path: &'static str) -> Vec<String> {
    let list = reader.list(path);
    if list.len() > LIST_MAX {
        reader.wrong(path, format!("has {} entries, more than {LIST_MAX}", list.len()));
    }
    list
}
