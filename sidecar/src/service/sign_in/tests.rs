//! Signing in with a provider over HTTP, on two sidecars with all their jobs and one Redis.

use std::collections::HashMap;

use redis::AsyncCommands as _;
use sekisho_protocol::activity::Method;
use serde_json::json;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::refresh::Refreshed;
use super::*;
use crate::app::App;
use crate::domain::ban::{Length, Order};
use crate::domain::session::Session;
use crate::domain::sign_in::admission::NotAdmitted;
use crate::domain::sign_in::grant::ProviderName;
use crate::service::Services;
use crate::service::sign_in::back_channel::NotLoggedOut;
use crate::test_issuer::{CLIENT, Issuer};
use crate::testing::RedisServer;

mod turns;

struct World {
    issuer: Issuer,
    sidecars: Vec<Services>,
    redis: RedisServer,
    closing: CancellationToken,
    jobs: JoinSet<()>,
}

impl World {
    async fn start() -> Self {
        Self::with(&[]).await
    }

    async fn with(more: &[(&str, &str)]) -> Self {
        let (issuer, redis) = (Issuer::start().await, RedisServer::start().await);
        let url = issuer.url();
        let base = [
            ("SEKISHO_OIDC_ISSUER", url.as_str()),
            ("SEKISHO_OIDC_CLIENT_ID", CLIENT),
            ("SEKISHO_OIDC_CLIENT_SECRET", "a secret"),
            ("SEKISHO_SIGN_IN_ORIGINS", "http://app.localhost:8080"),
            ("SEKISHO_SIGN_IN_ALLOWED_DOMAINS", "x.org"),
            ("SEKISHO_SIGN_IN_INSECURE", "1"),
            ("SEKISHO_ACK_TIMEOUT_MS", "100"),
        ];
        let settings = redis.settings(&[more, &base].concat());
        let (closing, mut jobs, mut sidecars) = (CancellationToken::new(), JoinSet::new(), Vec::new());
        for _ in 0..2 {
            let app = App::new(&settings, closing.clone()).unwrap();
            app.start_jobs(&settings, &mut jobs);
            sidecars.push(app.services);
        }
        let world = Self { issuer, sidecars, redis, closing, jobs };
        while !world.sidecars.iter().all(|sidecar| sidecar.mirror.stamp().is_some()) {
            // The first entry begins the feed.
            world.ban("nobody@x.org").await;
        }
        world
    }

    async fn ban(&self, email: &str) {
        let subject = sekisho_protocol::Subject::try_from(email.to_owned()).unwrap();
        let order = Order { subject, length: Length::Seconds(600), reason: None, by: By::operator("root") };
        self.sidecars[0].bans.ban(order, UnixSeconds::now()).await.unwrap();
    }

    fn sign_in(&self) -> &SignIn {
        self.sidecars[0].sign_in.as_ref().unwrap()
    }

    fn origin(&self) -> Origin {
        self.sign_in().origin("app.localhost").unwrap().clone()
    }

    async fn begin(&self) -> Begun {
        let return_to = ReturnTo::choose(Some("/page?x=1"), self.origin().url());
        self.sign_in().begin(&self.origin(), &return_to, false, UnixSeconds::now()).await.unwrap()
    }

    /// Somebody of whom the provider says this comes back from it.
    async fn finish(&self, begun: &Begun, said: &HashMap<String, String>) -> Result<SignedIn, NotSignedIn> {
        let now = UnixSeconds::now();
        let attempt = self.sign_in().attempt(&self.origin(), &begun.state, begun.attempt.as_text(), now).unwrap();
        let answer = Answer { outcome: Ok(said["code"].clone()), issuer: said.get("iss").cloned() };
        let browser = Browser { address: None, agent: None, session: None, origin: By::caller("") };
        self.sign_in().finish(&self.origin(), attempt, answer, browser, now).await
    }

    async fn signed_in(&self, claims: serde_json::Value) -> Result<Session, NotSignedIn> {
        let begun = self.begin().await;
        let said = self.issuer.sign_in(&begun.location, &claims);
        let signed_in = self.finish(&begun, &said).await?;
        let id = self.sign_in().keys.cookie.read("app.localhost", signed_in.cookie.as_bytes()).unwrap();
        Ok(self.find(&SessionId::parse(&id).unwrap()).await.unwrap())
    }

    async fn ann(&self) -> Session {
        self.signed_in(ann()).await.unwrap()
    }

    async fn find(&self, id: &SessionId) -> Option<Session> {
        self.sidecars[0].sessions.known(id).await.unwrap()
    }

    /// Lets it be time to ask about a session again.
    async fn make_due(&self, session: &Session) {
        let due = Session { refresh_at: Some(UnixSeconds(1)), ..session.clone() };
        assert!(self.sidecars[0].sessions.amend(session, &due).await.unwrap());
    }

    /// A logout token with these claims besides the usual.
    fn logout(&self, claims: serde_json::Value) -> String {
        const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";
        let mut all = json!({"events": {(EVENT): {}}, "jti": uuid::Uuid::new_v4().to_string()});
        all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
        self.issuer.signed(&all)
    }

    async fn end(mut self) {
        self.closing.cancel();
        while self.jobs.join_next().await.is_some() {}
        drop(self.redis);
    }
}

fn ann() -> serde_json::Value {
    json!({"email": "Ann@X.org", "email_verified": true, "sid": "s1", "groups": ["sales"]})
}

#[tokio::test]
async fn whoever_the_provider_vouches_for_gets_a_session_and_nobody_else_does() {
    let world = World::start().await;
    let session = world.ann().await;
    assert_eq!((session.subject.as_str(), session.host.as_str()), ("ann@x.org", "app.localhost"));
    assert_eq!(session.claims["groups"], json!(["sales"]));
    assert!(session.refresh_at.is_some());
    for (claims, expected) in [
        (json!({"email": "eve@elsewhere.org", "email_verified": true}), NotSignedIn::NotAdmitted(NotAdmitted::Address)),
        (json!({"email": "ann@x.org"}), NotSignedIn::NotAdmitted(NotAdmitted::Unverified)),
        (json!({"nonce": "another"}), NotSignedIn::Untrusted(String::new())),
        (json!({"nonce": null}), NotSignedIn::Untrusted(String::new())),
        (json!({"sub": ""}), NotSignedIn::Untrusted(String::new())),
    ] {
        let mut all = claims.clone();
        if all.get("email").is_none() {
            all["email"] = "ann@x.org".into();
            all["email_verified"] = true.into();
        }
        let refused = world.signed_in(all).await.unwrap_err();
        assert_eq!(std::mem::discriminant(&refused), std::mem::discriminant(&expected), "{claims} {refused}");
    }
    world.end().await;
}

#[tokio::test]
async fn a_code_of_another_sign_in_and_an_answer_of_another_issuer_are_refused() {
    let world = World::start().await;
    let (mine, stolen) = (world.begin().await, world.begin().await);
    let said = world.issuer.sign_in(&stolen.location, &ann());
    // PKCE: the code was asked for with another verifier.
    assert!(matches!(world.finish(&mine, &said).await, Err(NotSignedIn::Refused(code)) if code == "invalid_grant"));
    for issuer in [None, Some("https://evil.example")] {
        let begun = world.begin().await;
        let mut said = world.issuer.sign_in(&begun.location, &ann());
        said.remove("iss");
        said.extend(issuer.map(|issuer| ("iss".to_owned(), issuer.to_owned())));
        assert!(matches!(world.finish(&begun, &said).await, Err(NotSignedIn::Untrusted(_))), "{issuer:?}");
    }
    world.end().await;
}

#[tokio::test]
async fn whoever_is_banned_gets_no_session_and_hears_for_how_long() {
    let world = World::start().await;
    world.ban("ann@x.org").await;
    let refused = world.signed_in(ann()).await.unwrap_err();
    let NotSignedIn::Banned { until } = refused else { panic!("{refused}") };
    assert!(until > UnixSeconds::now().get());
    let mut redis = world.redis.client().shared();
    let kept: Vec<String> = redis::cmd("KEYS").arg("sekisho:[gp]r*").query_async(&mut redis).await.unwrap();
    assert!(kept.is_empty(), "nothing of the provider's is kept: {kept:?}");
    world.end().await;
}

#[tokio::test]
async fn a_thousand_who_ask_at_once_over_two_sidecars_make_one_refresh() {
    let world = World::start().await;
    let session = world.ann().await;
    world.issuer.says_again(Some(&json!({"groups": ["support"]})));
    world.make_due(&session).await;
    let mut asking = JoinSet::new();
    for number in 0..1_000 {
        let (sign_in, id) = (world.sidecars[number % 2].sign_in.clone().unwrap(), session.id.clone());
        asking.spawn(async move { sign_in.refresh(&id, UnixSeconds::now()).await.unwrap() });
    }
    let outcomes = asking.join_all().await;
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == Refreshed::GoesOn).count(), 1);
    assert_eq!(world.issuer.refreshes(), 1);
    let now = world.find(&session.id).await.unwrap();
    assert_eq!(now.claims["groups"], json!(["support"]));
    assert!(!now.is_refresh_due(UnixSeconds::now()));
    world.end().await;
}

#[tokio::test]
async fn a_session_ends_when_the_provider_refuses_and_goes_on_while_it_is_away() {
    let mut world = World::start().await;
    let session = world.ann().await;
    for says in [None, Some(json!({"sub": "u2"})), Some(json!({"email": "bob@x.org", "email_verified": true}))] {
        let refused = world.ann().await;
        world.issuer.says_again(says.as_ref());
        world.make_due(&refused).await;
        let outcome = world.sign_in().refresh(&refused.id, UnixSeconds::now()).await.unwrap();
        assert_eq!((outcome, world.find(&refused.id).await), (Refreshed::Ended, None), "{says:?}");
    }
    world.issuer.stop().await;
    world.make_due(&session).await;
    let outcome = world.sign_in().refresh(&session.id, UnixSeconds::now()).await.unwrap();
    assert_eq!(outcome, Refreshed::Later);
    let goes_on = world.find(&session.id).await.unwrap();
    assert!(goes_on.refresh_at.unwrap() > UnixSeconds::now(), "and is asked about again later");
    world.end().await;
}

#[tokio::test]
async fn a_refresh_token_that_came_with_an_answer_of_no_use_is_the_one_to_ask_with() {
    let world = World::start().await;
    let session = world.ann().await;
    // Nobody is named.
    world.issuer.says_again(Some(&json!({"sub": ""})));
    world.make_due(&session).await;
    assert_eq!(world.sign_in().refresh(&session.id, UnixSeconds::now()).await.unwrap(), Refreshed::Later);
    world.issuer.says_again(Some(&json!({})));
    let session = world.find(&session.id).await.unwrap();
    world.make_due(&session).await;
    assert_eq!(world.sign_in().refresh(&session.id, UnixSeconds::now()).await.unwrap(), Refreshed::GoesOn);
    assert_eq!(world.issuer.shown(), ["refresh-0", "refresh-1"]);
    world.end().await;
}

#[tokio::test]
async fn who_left_their_last_group_is_in_none_though_the_provider_says_nothing_of_groups() {
    let world = World::start().await;
    let session = world.ann().await;
    world.issuer.says_again(Some(&json!({"email": "ann@x.org", "email_verified": true})));
    world.make_due(&session).await;
    assert_eq!(world.sign_in().refresh(&session.id, UnixSeconds::now()).await.unwrap(), Refreshed::GoesOn);
    assert_eq!(world.find(&session.id).await.unwrap().claims.get("groups"), None);
    world.end().await;
}

#[tokio::test]
async fn a_logout_of_one_session_ends_those_that_the_provider_never_named_as_well() {
    let world = World::start().await;
    let named = async |sid: Option<&str>| {
        let mut claims = ann();
        claims["sid"] = json!(sid);
        world.signed_in(claims).await.unwrap()
    };
    let (meant, other, nameless) = (named(Some("s1")).await, named(Some("s2")).await, named(None).await);
    assert_eq!(world.sign_in().log_out(&world.logout(json!({"sub": "u1", "sid": "s1"}))).await.unwrap(), 2);
    for (session, holds) in [(meant, false), (other, true), (nameless, false)] {
        assert_eq!(world.find(&session.id).await.is_some(), holds, "{:?}", session.id);
    }
    world.end().await;
}

#[tokio::test]
async fn a_logout_is_carried_out_whole_though_the_provider_does_not_wait() {
    let world = World::start().await;
    let session = world.ann().await;
    let token = world.logout(json!({"sub": "u1", "jti": "j1"}));
    let key = format!("sekisho:provider:{}:heard", ProviderName::jti(&world.issuer.url(), "j1").as_str());
    let heard = async {
        let mut redis = world.redis.client().shared();
        while !redis.exists::<_, bool>(&key).await.unwrap() {}
    };
    tokio::select! {
        // Whoever is done before that has waited.
        done = world.sign_in().log_out(&token) => drop(done),
        () = heard => {}
    }
    let ended = async { while world.find(&session.id).await.is_some() {} };
    timeout(Duration::from_secs(5), ended).await.unwrap();
    world.end().await;
}

#[tokio::test]
async fn a_logout_of_somebody_ends_their_sessions_of_oauth2_proxy_too() {
    let world = World::start().await;
    let session = world.ann().await;
    let id = SessionId::parse("_oauth2_proxy-1.AAAAAAAAAAAAAAAAAAAAAA").unwrap();
    let other = Session { id, method: Method::Oauth2Proxy, ..session };
    world.sidecars[0].sessions.begin(other.clone(), UnixSeconds::now()).await.unwrap();
    assert_eq!(world.sign_in().log_out(&world.logout(json!({"sub": "u1"}))).await.unwrap(), 2);
    assert_eq!(world.find(&other.id).await, None);
    world.end().await;
}

#[tokio::test]
async fn the_provider_ends_one_session_or_all_of_somebodys_once() {
    let world = World::start().await;
    let (first, second) = (world.ann().await, {
        let mut other = ann();
        other["sid"] = "s2".into();
        world.signed_in(other).await.unwrap()
    });
    let token = |claims| world.logout(claims);
    let by_sid = token(json!({"sid": "s1"}));
    assert_eq!(world.sign_in().log_out(&by_sid).await.unwrap(), 1);
    assert!(world.find(&first.id).await.is_none() && world.find(&second.id).await.is_some());
    let again = world.sidecars[1].sign_in.as_ref().unwrap().log_out(&by_sid).await;
    assert!(matches!(again, Err(NotLoggedOut::Invalid(_))), "a token counts once, over all sidecars");
    let forged = format!("{}AA", &by_sid[..by_sid.len() - 2]);
    assert!(matches!(world.sign_in().log_out(&forged).await, Err(NotLoggedOut::Invalid(_))));
    let id_token = world.issuer.signed(&json!({"sub": "u1", "nonce": "n"}));
    assert!(matches!(world.sign_in().log_out(&id_token).await, Err(NotLoggedOut::Invalid(_))));
    assert_eq!(world.sign_in().log_out(&token(json!({"sub": "u1"}))).await.unwrap(), 1);
    assert!(world.find(&second.id).await.is_none());
    // Whoever was logged out while their code was under way has no session either.
    let begun = world.begin().await;
    let said =
        world.issuer.sign_in(&begun.location, &json!({"email": "ann@x.org", "email_verified": true, "sid": "s3"}));
    world.sign_in().log_out(&token(json!({"sid": "s3"}))).await.unwrap();
    assert!(matches!(world.finish(&begun, &said).await, Err(NotSignedIn::Refused(_))));
    world.end().await;
}

#[tokio::test]
async fn signing_out_ends_the_session_and_leads_to_the_provider_and_signing_in_anew_ends_the_old_one() {
    let world = World::start().await;
    let session = world.ann().await;
    let page = world.sign_in().sign_out(&world.origin(), Some(&session.id), By::caller("ann@x.org")).await.unwrap();
    assert!(world.find(&session.id).await.is_none());
    assert_eq!(page.path(), "/leave");
    let query: HashMap<String, String> = page.query_pairs().into_owned().collect();
    assert_eq!(query["post_logout_redirect_uri"], "http://app.localhost:8080/oauth2/signed_out");
    assert!(query["id_token_hint"].starts_with("ey"));
    let nobody = world.sign_in().sign_out(&world.origin(), Some(&session.id), By::caller("")).await.unwrap();
    assert_eq!(nobody.path(), "/oauth2/signed_out");
    world.end().await;
}

#[tokio::test]
async fn who_signs_out_is_out_of_oauth2_proxy_too_and_nobody_else_is() {
    let world = World::start().await;
    let store = crate::store::redis::sessions::RedisSessions::new(world.redis.client());
    let session = world.ann().await;
    let of_proxy = |number: u8, subject: &str| Session {
        id: SessionId::parse(&format!("_oauth2_proxy-{number:032x}.{}", "A".repeat(22))).unwrap(),
        subject: sekisho_protocol::Subject::try_from(subject.to_owned()).unwrap(),
        method: sekisho_protocol::activity::Method::Oauth2Proxy,
        ..session.clone()
    };
    let (anns, bobs) = (of_proxy(1, "ann@x.org"), of_proxy(2, "bob@x.org"));
    for one in [&anns, &bobs] {
        crate::service::sessions::SessionStore::insert(&store, one, UnixSeconds::now()).await.unwrap();
    }
    let other_browser = world.ann().await;
    world.sign_in().sign_out(&world.origin(), Some(&session.id), By::caller("ann@x.org")).await.unwrap();
    assert!(world.find(&session.id).await.is_none() && world.find(&anns.id).await.is_none());
    assert!(world.find(&bobs.id).await.is_some() && world.find(&other_browser.id).await.is_some());
    world.end().await;
}
