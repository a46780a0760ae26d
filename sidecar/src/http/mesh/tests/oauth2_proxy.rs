//! Questions about sessions of oauth2-proxy, and what becomes of them.

use aes_gcm::aead::Aead as _;
use aes_gcm::{Aes128Gcm, KeyInit as _, Nonce};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rmpv::Value as Packed;
use sekisho_protocol::feed::Kind;

use super::*;
use crate::domain::audit::By;
use crate::domain::error::Failure;
use crate::domain::page::Window;
use crate::domain::session_order::Wanted;
use crate::jobs::oauth2_proxy::walk;
use crate::service::all_sessions::Listed;
use crate::service::oauth2_proxy::Oauth2Proxy;

const ON: &[(&str, &str)] = &[("SEKISHO_OAUTH2_PROXY", "1")];
const SECRET: [u8; 16] = *b"sixteen bytes...";

fn key(n: u8) -> String {
    format!("_oauth2_proxy-{:032x}", u128::from(n))
}

fn ticket(n: u8, secret: &[u8]) -> String {
    format!("v2.{}.{}", URL_SAFE_NO_PAD.encode(key(n)), URL_SAFE_NO_PAD.encode(secret))
}

/// A session as oauth2-proxy seals it: somebody's who signed in so long ago, in that sign-in.
fn sealed(email: &str, age_s: u64, nonce: &str) -> Vec<u8> {
    let moment = |at: u64| Packed::Ext(-1, u32::try_from(at).unwrap().to_be_bytes().to_vec());
    let now = UnixSeconds::now().get();
    let members = vec![
        ("ca".into(), moment(now - age_s)),
        ("eo".into(), moment(now + 3_600)),
        ("e".into(), email.into()),
        ("g".into(), Packed::Array(vec!["dev".into()])),
        ("n".into(), Packed::Binary(nonce.as_bytes().to_vec())),
    ];
    let mut plain = Vec::new();
    rmpv::encode::write_value(&mut plain, &Packed::Map(members)).unwrap();
    let nonce = [7; 12];
    let cipher = Aes128Gcm::new(&SECRET.into());
    [&nonce[..], &cipher.encrypt(&Nonce::from(nonce), plain.as_slice()).unwrap()].concat()
}

fn asking(ticket: &str) -> Value {
    json!({"protocol": 1, "replica": "0".repeat(32), "host": "app.x", "id": "a-digest", "ticket": ticket})
}

impl World {
    async fn with_proxy() -> Self {
        Self::with(ON).await
    }

    fn proxy(&self) -> &Oauth2Proxy {
        self.services.oauth2_proxy.as_ref().unwrap()
    }

    /// Keeps it as oauth2-proxy does.
    async fn proxy_keeps(&self, n: u8, sealed: Vec<u8>) {
        let mut set = redis::cmd("SET");
        set.arg(key(n)).arg(sealed).arg("EX").arg(604_800);
        set.exec_async(&mut self.redis.client().dedicated().await.unwrap()).await.unwrap();
    }

    async fn worth(&self, ticket: &str) -> Value {
        let response = self.post("/v1/session", &asking(ticket)).await;
        assert_eq!(response.status(), StatusCode::OK);
        response.json::<Value>().await.unwrap()["standing"].take()
    }

    /// The name of a session that holds.
    async fn name(&self, ticket: &str) -> String {
        let worth = self.worth(ticket).await;
        worth["live"]["id"].as_str().unwrap_or_else(|| panic!("{worth}")).to_owned()
    }

    async fn there(&self, key: &str) -> bool {
        redis::cmd("EXISTS").arg(key).query_async(&mut self.redis.client().dedicated().await.unwrap()).await.unwrap()
    }

    async fn check_of(&self, id: &str) -> Value {
        let check = json!({"protocol": 1, "replica": "0".repeat(32), "route": "r", "subject": "ann@x",
            "method": "oauth2_proxy", "token_id": id, "issued_at": UnixSeconds::now().get()});
        self.post("/v1/check", &check).await.json::<Value>().await.unwrap()["decision"].take()
    }

    /// Waits for the end of a session in the feed.
    async fn ended(&self, id: &str) -> u64 {
        let deadline = Instant::now() + Duration::from_secs(5);
        loop {
            if let Some(entry) = self.services.feed.entry(Kind::Session, id).await.unwrap() {
                return entry.until;
            }
            assert!(Instant::now() < deadline, "the feed does not say that it ended");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

#[tokio::test]
async fn the_session_of_a_ticket_is_told_and_kept_without_its_secret() {
    let world = World::with_proxy().await;
    world.proxy_keeps(1, sealed("Ann@x", 100, "n")).await;
    let ticket = ticket(1, &SECRET);
    let live = world.worth(&ticket).await["live"].take();
    let now = UnixSeconds::now().get();
    assert_eq!(
        (&live["subject"], &live["method"], &live["cache_s"]),
        (&json!("ann@x"), &json!("oauth2_proxy"), &json!(60))
    );
    assert_eq!(live["claims"], json!(URL_SAFE_NO_PAD.encode(r#"{"groups":["dev"]}"#)));
    assert!((now - 101..=now - 99).contains(&live["signed_in_at"].as_u64().unwrap()));
    assert!((now + 3_590..=now + 3_600).contains(&live["ends_at"].as_u64().unwrap()), "as its tokens do");
    let id = live["id"].as_str().unwrap();
    assert!(id.starts_with(&key(1)));
    assert_eq!(world.name(&ticket).await, id, "as often as it is asked");
    assert_eq!(world.check_of(id).await, "allow");
    // Nothing that is written holds what opens the session.
    let mut redis = world.redis.client().dedicated().await.unwrap();
    let keys: Vec<String> = redis::cmd("KEYS").arg("sekisho:*").query_async(&mut redis).await.unwrap();
    assert!(keys.iter().any(|key| *key == format!("sekisho:session:{id}")), "{keys:?}");
    for key in keys {
        let dump: Vec<u8> = redis::cmd("DUMP").arg(&key).query_async(&mut redis).await.unwrap();
        let secret = URL_SAFE_NO_PAD.encode(SECRET);
        let holds = |what: &[u8]| dump.windows(what.len()).any(|bytes| bytes == what);
        assert!(!holds(secret.as_bytes()) && !holds(&SECRET), "{key}");
    }
}

#[tokio::test]
async fn what_cannot_be_opened_or_is_none_of_this_cookies_is_unknown_and_nothing_else_is_read() {
    let world = World::with_proxy().await;
    world.proxy_keeps(1, sealed("ann@x", 100, "n")).await;
    world.proxy_keeps(2, sealed("bob@x", 100, "n")).await;
    world.redis(&["SET", "other-00000000000000000000000000000001", "x"]).await;
    world.redis(&["HSET", &key(3), "a", "b"]).await;
    world.proxy_keeps(4, b"short".to_vec()).await;
    world.proxy_keeps(5, vec![0; 300_000]).await;
    world.proxy_keeps(6, sealed("nobody", 100, "n")).await;
    world.proxy_keeps(7, sealed("ann@x", 604_801, "n")).await;
    let other = format!("other-00000000000000000000000000000001.{}", URL_SAFE_NO_PAD.encode(SECRET));
    let tickets = [ticket(1, &[0; 16]), ticket(1, &[0; 15]), other, "v2.x".into(), String::new()];
    for ticket in tickets.into_iter().chain([3, 4, 5, 6, 7, 8].map(|n| ticket(n, &SECRET))) {
        assert_eq!(world.worth(&ticket).await, "unknown", "{ticket}");
    }
    assert!(world.worth(&ticket(2, &SECRET)).await["live"].is_object());
    let without = World::start().await;
    without.proxy_keeps(1, sealed("ann@x", 100, "n")).await;
    assert_eq!(without.worth(&ticket(1, &SECRET)).await, "unknown", "where it is not switched on");
}

#[tokio::test]
async fn a_deletion_by_oauth2_proxy_is_in_the_feed_within_100_ms_and_an_expiry_never_is() {
    let world = World::with_proxy().await;
    let neighbour = world.beside(ON).await;
    let mut names = Vec::new();
    for n in 1..=5 {
        world.proxy_keeps(n, sealed("ann@x", 100, "n")).await;
        names.push(world.name(&ticket(n, &SECRET)).await);
    }
    let mut quickest = Duration::MAX;
    for n in [1, 3, 4, 5] {
        let begun = Instant::now();
        world.redis(&["DEL", &key(n)]).await;
        world.ended(&names[usize::from(n) - 1]).await;
        quickest = quickest.min(begun.elapsed());
    }
    // Other tests have the processor, too.
    assert!(quickest < Duration::from_millis(100), "{quickest:?}");
    for world in [&world, &neighbour] {
        assert_eq!(world.worth(&ticket(1, &SECRET)).await, "ended");
        assert_eq!(world.check_of(&names[0]).await, json!({"deny": "session_ended"}));
    }
    world.redis(&["PEXPIRE", &key(2), "1"]).await;
    while world.there(&key(2)).await {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(world.services.feed.entry(Kind::Session, &names[1]).await.unwrap(), None);
    assert_eq!(world.check_of(&names[1]).await, json!({"deny": "session_ended"}), "and it is over all the same");
}

#[tokio::test]
async fn p9_a_deletion_that_nobody_heard_of_is_found_by_the_walk() {
    let mut world = World::with_proxy().await;
    for n in [1, 2] {
        world.proxy_keeps(n, sealed("ann@x", 100, "n")).await;
    }
    let (gone, stays) = (world.name(&ticket(1, &SECRET)).await, world.name(&ticket(2, &SECRET)).await);
    world.redis(&["CONFIG", "SET", "notify-keyspace-events", ""]).await;
    world.redis(&["DEL", &key(1)]).await;
    assert_eq!(walk(world.proxy()).await.unwrap(), 1);
    assert_eq!(walk(world.proxy()).await.unwrap(), 0);
    world.ended(&gone).await;
    assert_eq!(world.name(&ticket(2, &SECRET)).await, stays);
    // What cannot be read keeps nobody else from being ended.
    world.redis(&["HSET", &format!("sekisho:oauth2_proxy:seen:{}", key(2)), "id", "another"]).await;
    world.redis(&["DEL", &key(2)]).await;
    assert_eq!(walk(world.proxy()).await.unwrap(), 0);
    world.redis.stop();
    assert!(walk(world.proxy()).await.is_err());
}

#[tokio::test]
async fn whoever_ends_a_session_ends_it_at_oauth2_proxy_too_and_it_stays_ended() {
    let world = World::with_proxy().await;
    let kept = sealed("ann@x", 100, "n");
    world.proxy_keeps(1, kept.clone()).await;
    world.redis(&["SET", &format!("{}.lock", key(1)), "1"]).await;
    let id = world.name(&ticket(1, &SECRET)).await;
    let ann = Subject::try_from("ann@x".to_owned()).unwrap();
    assert_eq!(world.services.sessions.end_all_of(&ann, UnixSeconds::now()).await.unwrap().count, 1);
    assert!(!world.there(&key(1)).await && world.there(&format!("{}.lock", key(1))).await);
    assert_eq!(world.worth(&ticket(1, &SECRET)).await, "ended");
    assert!(world.ended(&id).await > UnixSeconds::now().get() + 604_000, "as long as oauth2-proxy could bring it back");
    // A refresh that was under way writes it once more.
    world.proxy_keeps(1, kept).await;
    assert_eq!(world.worth(&ticket(1, &SECRET)).await, "ended");
    assert!(!world.there(&key(1)).await);
}

#[tokio::test]
async fn whoever_signs_in_anew_with_an_old_ticket_gets_in_and_the_session_before_is_over() {
    let world = World::with_proxy().await;
    world.proxy_keeps(1, sealed("ann@x", 100, "first")).await;
    let first = world.name(&ticket(1, &SECRET)).await;
    let ann = Subject::try_from("ann@x".to_owned()).unwrap();
    // What begins within two seconds of that is over, too: clocks differ.
    let moment = UnixSeconds(UnixSeconds::now().get() - 10);
    world.services.sessions.end_all_of(&ann, moment).await.unwrap();
    world.proxy_keeps(1, sealed("ann@x", 0, "second")).await;
    let second = world.name(&ticket(1, &SECRET)).await;
    assert_ne!(first, second);
    world.proxy_keeps(1, sealed("bob@x", 0, "third")).await;
    world.name(&ticket(1, &SECRET)).await;
    world.ended(&second).await;
    assert!(world.there(&key(1)).await, "which is not that one's end");
    world.proxy_keeps(1, sealed("bob@x", 0, "third")).await;
    assert!(world.worth(&ticket(1, &SECRET)).await["live"].is_object(), "refreshed");
}

#[tokio::test]
async fn a_banned_user_is_told_so_and_has_no_session_once_the_ban_is_over() {
    let world = World::with_proxy().await;
    world.proxy_keeps(1, sealed("ann@x", 100, "n")).await;
    let end = later();
    world.redis(&["SET", "active_user_deleted:ann@x", "1", "EXAT", &end.to_string()]).await;
    for turn in ["at once", "and still, though oauth2-proxy keeps nothing any more"] {
        let banned = world.worth(&ticket(1, &SECRET)).await["banned"].take();
        assert_eq!(banned["email"], "ann@x", "{turn}");
        // What is left of it is counted in milliseconds, and rounded up.
        assert!((end..=end + 1).contains(&banned["until"].as_u64().unwrap()), "{turn}: {banned}");
        assert!(!world.there(&key(1)).await, "{turn}");
    }
    assert_eq!(world.worth(&ticket(1, &[0; 16])).await, "unknown", "but not to whoever shows another secret");
    world.redis(&["DEL", "active_user_deleted:ann@x"]).await;
    let deadline = Instant::now() + Duration::from_secs(5);
    while world.worth(&ticket(1, &SECRET)).await != "ended" {
        assert!(Instant::now() < deadline, "the ban is not lifted");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn whoever_was_logged_out_everywhere_has_no_session_from_before() {
    let world = World::with_proxy().await;
    world.proxy_keeps(1, sealed("ann@x", 100, "n")).await;
    world.name(&ticket(1, &SECRET)).await;
    let now = UnixSeconds::now().get();
    world.redis(&["SET", "sekisho:not_before:ann@x", &now.to_string(), "EX", "600"]).await;
    assert_eq!(world.worth(&ticket(1, &SECRET)).await, "ended");
    assert!(!world.there(&key(1)).await, "nor has oauth2-proxy");
}

#[tokio::test]
async fn a_session_is_listed_once_whether_or_not_somebody_has_shown_it_and_ended_by_either_of_its_names() {
    let world = World::with_proxy().await;
    for n in 1..=3 {
        world.proxy_keeps(n, sealed("ann@x", 100, "n")).await;
    }
    let shown = world.name(&ticket(2, &SECRET)).await;
    let (all, now) = (&world.services.all_sessions, UnixSeconds::now());
    let page = all.list(&Wanted::default(), &Window::choose(None, None).unwrap()).await.unwrap();
    let mut keys: Vec<&str> = page.rows.iter().map(Listed::key).collect();
    keys.sort_unstable();
    assert_eq!(keys, [&key(1), &shown, &key(3)]);
    let found = all.find(&key(2), now).await.unwrap();
    assert_eq!((found.key(), found.subject().unwrap().as_str()), (shown.as_str(), "ann@x"));
    assert_eq!(all.find(&shown, now).await.unwrap(), found);
    all.end_on_order(found, By::operator("tests")).await.unwrap();
    assert!(!world.there(&key(2)).await);
    assert_eq!(world.check_of(&shown).await, json!({"deny": "session_ended"}));
    for name in [key(2), shown] {
        assert!(matches!(all.find(&name, now).await, Err(Failure::SessionNotFound { .. })), "{name}");
    }
}

#[tokio::test]
async fn a_session_that_is_shown_while_it_is_deleted_is_ended() {
    let world = World::with_proxy().await;
    world.proxy_keeps(1, sealed("ann@x", 100, "n")).await;
    let (all, now) = (&world.services.all_sessions, UnixSeconds::now());
    let found = all.find(&key(1), now).await.unwrap();
    assert_eq!((found.key(), found.subject()), (key(1).as_str(), None));
    let shown = world.name(&ticket(1, &SECRET)).await;
    all.end_on_order(found, By::operator("tests")).await.unwrap();
    assert!(!world.there(&key(1)).await);
    assert_eq!(world.check_of(&shown).await, json!({"deny": "session_ended"}));
    assert_eq!(world.worth(&ticket(1, &SECRET)).await, "ended");
}

#[tokio::test]
async fn a_session_that_oauth2_proxy_writes_while_it_is_deleted_is_deleted_whole() {
    let world = World::with_proxy().await;
    let (kept, lock) = (sealed("ann@x", 100, "n"), format!("{}.lock", key(1)));
    world.proxy_keeps(1, kept.clone()).await;
    let found = world.services.all_sessions.find(&key(1), UnixSeconds::now()).await.unwrap();
    world.redis(&["SET", &lock, "1", "PX", "5000"]).await;
    let all = world.services.all_sessions.clone();
    let deleting = tokio::spawn(async move { all.end_on_order(found, By::operator("tests")).await });
    while world.there(&key(1)).await {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    world.proxy_keeps(1, kept).await;
    world.redis(&["DEL", &lock]).await;
    deleting.await.unwrap().unwrap();
    assert!(!world.there(&key(1)).await);
}

#[tokio::test]
async fn a_session_is_no_younger_for_having_been_refreshed() {
    let world = World::with_proxy().await;
    world.proxy_keeps(1, sealed("ann@x", 1_000, "n")).await;
    let first = world.worth(&ticket(1, &SECRET)).await["live"].take();
    // oauth2-proxy writes anew when it was created.
    world.proxy_keeps(1, sealed("ann@x", 0, "n")).await;
    let refreshed = world.worth(&ticket(1, &SECRET)).await["live"].take();
    assert_eq!((&refreshed["id"], &refreshed["signed_in_at"]), (&first["id"], &first["signed_in_at"]));
}

#[tokio::test]
async fn what_is_under_a_sessions_key_of_ours_lets_nobody_in_without_redis() {
    let mut world = World::with_proxy().await;
    world.proxy_keeps(1, sealed("ann@x", 100, "n")).await;
    world.name(&ticket(1, &SECRET)).await;
    world.redis.stop();
    let question = asking(&ticket(1, &SECRET));
    assert_eq!(world.post("/v1/session", &question).await.status(), StatusCode::SERVICE_UNAVAILABLE);
}
