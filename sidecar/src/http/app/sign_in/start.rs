//! `GET /oauth2/start`: sends the browser to the identity provider. `GET /oauth2/sign_in` asks before.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use url::form_urlencoded;

use super::answers::{go, with_cookie};
use super::page::{Button, Page};
use super::texts::Kind;
use super::visit::Visit;
use crate::domain::return_to::ReturnTo;
use crate::domain::sign_in::attempt;

/// Where a sign-in begins.
pub(super) const START: &str = "/oauth2/start";
/// Where the browser goes afterwards, as oauth2-proxy calls it.
const RETURN_TO: &str = "rd";
/// Whether the provider is to ask which account it shall be.
const OTHER_ACCOUNT: &str = "other_account";

pub(super) async fn start(visit: Visit) -> Response {
    let return_to = return_to(&visit);
    let other_account = visit.parameter(OTHER_ACCOUNT).is_some();
    let begun = match visit.sign_in.begin(&visit.origin, &return_to, other_account, visit.now).await {
        Ok(begun) => begun,
        Err(error) => {
            tracing::warn!(%error, "nobody could be sent to sign in");
            let again = link(&return_to, false);
            let page = visit.page(StatusCode::SERVICE_UNAVAILABLE, Kind::Unavailable);
            return page.with(Button::Goes(again)).into_response();
        }
    };
    let cookie = visit.cookies.attempt(&begun.state.name(), begun.attempt.as_text());
    let mut response = with_cookie(go(begun.location.as_str()), cookie);
    // Browsers name the oldest first (RFC 6265 §5.4).
    let kept = visit.cookies.attempts(&visit.headers);
    for (name, _) in kept.iter().take((kept.len() + 1).saturating_sub(attempt::MAX)) {
        response = with_cookie(response, visit.cookies.no_attempt(name));
    }
    response
}

pub(super) async fn ask(visit: Visit) -> Page {
    let button = Button::Goes(link(&return_to(&visit), false));
    visit.page(StatusCode::OK, Kind::SignIn).with(button)
}

/// The link that begins a sign-in.
pub(super) fn link(return_to: &ReturnTo, other_account: bool) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair(RETURN_TO, return_to.as_str());
    if other_account {
        query.append_pair(OTHER_ACCOUNT, "1");
    }
    format!("{START}?{}", query.finish())
}

fn return_to(visit: &Visit) -> ReturnTo {
    ReturnTo::choose(visit.parameter(RETURN_TO).as_deref(), visit.origin.url())
}
