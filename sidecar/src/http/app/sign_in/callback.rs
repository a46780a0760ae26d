//! `GET /oauth2/callback`: the identity provider's answer, which the browser brings.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::answers::{go, with_cookie};
use super::page::{Button, Page};
use super::start::link;
use super::texts::{Kind, Left};
use super::visit::Visit;
use crate::domain::return_to::ReturnTo;
use crate::domain::sign_in::admission::NotAdmitted;
use crate::domain::sign_in::attempt::{Attempt, State};
use crate::service::sign_in::{Answer, NotSignedIn};

/// Longest code that is looked at, in bytes.
const CODE_MAX_BYTES: usize = 4 * 1024;

pub(super) async fn finish(visit: Visit) -> Response {
    let state = visit.parameter("state").and_then(|text| State::read(&text));
    let Some((state, attempt)) = state.and_then(|state| attempt(&visit, &state).map(|attempt| (state, attempt))) else {
        return stale(&visit);
    };
    let return_to = ReturnTo::choose(Some(&attempt.return_to), visit.origin.url());
    let finished = match answer(&visit) {
        Some(answer) => visit.sign_in.finish(&visit.origin, attempt, answer, visit.browser(), visit.now).await,
        None => Err(NotSignedIn::Stale),
    };
    let response = match finished {
        Ok(signed_in) => {
            let cookie = visit.cookies.session(&signed_in.cookie, signed_in.max_age_s);
            with_cookie(go(&signed_in.return_to), cookie)
        }
        Err(why) => {
            tracing::info!(%why, "somebody was not signed in");
            not_signed_in(&visit, &why, &return_to).into_response()
        }
    };
    // One answer for each attempt.
    with_cookie(response, visit.cookies.no_attempt(&state.name()))
}

fn attempt(visit: &Visit, state: &State) -> Option<Attempt> {
    let cookie = visit.cookies.find_attempt(&visit.headers, &state.name())?;
    visit.sign_in.attempt(&visit.origin, state, &cookie, visit.now)
}

/// What the provider said; none if that is nothing, or too much.
fn answer(visit: &Visit) -> Option<Answer> {
    let outcome = match (visit.parameter("code"), visit.parameter("error")) {
        (Some(code), None) if (1..=CODE_MAX_BYTES).contains(&code.len()) => Ok(code),
        (None, Some(error)) => Err(error.chars().filter(char::is_ascii_graphic).take(64).collect()),
        _ => return None,
    };
    Some(Answer { outcome, issuer: visit.parameter("iss") })
}

/// Whoever is signed in already has no need of another answer: a page that was opened twice, or the back button.
fn stale(visit: &Visit) -> Response {
    if visit.caller.is_some() {
        return go("/");
    }
    let page = visit.page(StatusCode::BAD_REQUEST, Kind::Stale);
    page.with(Button::Goes(link(&ReturnTo::choose(None, visit.origin.url()), false))).into_response()
}

fn not_signed_in(visit: &Visit, why: &NotSignedIn, return_to: &ReturnTo) -> Page {
    let (status, kind) = match why {
        NotSignedIn::Unavailable(_) => (StatusCode::SERVICE_UNAVAILABLE, Kind::Unavailable),
        NotSignedIn::Stale => (StatusCode::BAD_REQUEST, Kind::Stale),
        NotSignedIn::Refused(_) => (StatusCode::FORBIDDEN, Kind::Refused),
        NotSignedIn::Untrusted(_) => (StatusCode::BAD_GATEWAY, Kind::Untrusted),
        NotSignedIn::NotAdmitted(NotAdmitted::Address) => (StatusCode::FORBIDDEN, Kind::NotAllowed),
        NotSignedIn::NotAdmitted(NotAdmitted::Unverified) => (StatusCode::FORBIDDEN, Kind::Unverified),
        NotSignedIn::NotAdmitted(NotAdmitted::TooWeak) => (StatusCode::FORBIDDEN, Kind::TooWeak),
        NotSignedIn::NotAdmitted(NotAdmitted::Unusable) => (StatusCode::FORBIDDEN, Kind::Unusable),
        NotSignedIn::Banned { until } => {
            (StatusCode::FORBIDDEN, Kind::Banned { left: Left::until(*until, visit.now.get()) })
        }
    };
    let other_account = matches!(kind, Kind::NotAllowed | Kind::Unverified);
    visit.page(status, kind).with(Button::Goes(link(return_to, other_account)))
}
