//! `/oauth2/sign_out`: ends the browser's session, and leads to the provider's page that ends its own. A link of another
//! site must not be enough: whoever comes from there is asked.

use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use super::answers::{go, with_cookie};
use super::page::{Button, Page};
use super::start::link;
use super::texts::Kind;
use super::visit::Visit;
use crate::domain::caller::Caller;
use crate::domain::return_to::ReturnTo;
use crate::domain::session::SessionId;

/// What upstreams said nothing of a browser may keep: without this, its back button would show it to whoever comes next
/// (Clear Site Data §3.1).
const FORGET_PAGES: HeaderValue = HeaderValue::from_static("\"cache\"");
/// Where the page's form goes.
const SIGN_OUT: &str = "/oauth2/sign_out";

/// `GET`: at once if somebody of this origin means it; else with a button.
pub(super) async fn ask(visit: Visit) -> Response {
    if visit.caller.is_none() {
        return done(visit).await.into_response();
    }
    if visit.is_meant() {
        return leave(visit).await;
    }
    let elsewhere = visit.sign_in.provider_origin(&visit.origin).await;
    visit.page(StatusCode::OK, Kind::SignOut).with(Button::Sends(SIGN_OUT, elsewhere)).into_response()
}

/// `POST`: calls from other sites are refused before ([`crate::http::app::manners::cross_site`]).
pub(super) async fn sign_out(visit: Visit) -> Response {
    leave(visit).await
}

/// `GET /oauth2/signed_out`: where everything leads.
pub(super) async fn done(visit: Visit) -> Page {
    let button = Button::Goes(link(&ReturnTo::choose(None, visit.origin.url()), false));
    visit.page(StatusCode::OK, Kind::SignedOut).with(button)
}

async fn leave(visit: Visit) -> Response {
    // Of whichever kind: who comes with one of oauth2-proxy signs out of that.
    let session = visit.caller.as_ref().and_then(Caller::session_key).and_then(|key| SessionId::parse(key).ok());
    match visit.sign_in.sign_out(&visit.origin, session.as_ref(), visit.by()).await {
        Ok(page) => {
            let mut response = with_cookie(go(page.as_str()), visit.cookies.no_session());
            response.headers_mut().insert("clear-site-data", FORGET_PAGES);
            response
        }
        Err(error) => {
            // The browser keeps its cookie: without it nobody could end the session.
            tracing::warn!(%error, "somebody could not be signed out");
            visit
                .page(StatusCode::SERVICE_UNAVAILABLE, Kind::Unavailable)
                .with(Button::Goes(SIGN_OUT.into()))
                .into_response()
        }
    }
}
