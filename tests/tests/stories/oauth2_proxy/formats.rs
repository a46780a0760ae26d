//! What oauth2-proxy writes otherwise, as it is set or as it was before: its tickets, many groups, its cookie's name and secret.

use anyhow::{Result, ensure};
use e2e::peers::minted::SECRETS;
use e2e::peers::oauth2_proxy::{COOKIE, Order, keep};
use e2e::wire::RawRequest;
use e2e::world::Sidecars;
use e2e::{Plan, World, story_in};
use reqwest::Method;
use serde_json::Value;

use super::{asking, beside_oauth2_proxy, delete, kept, known_everywhere, refused_after, with_its_sessions};

/// The name of a cookie that nobody would guess.
const SSO: &str = "__Secure-sso.llm";
/// The variable with the secret of an oauth2-proxy that is set otherwise, and the secret.
const SECRET: (&str, &str) = (SECRETS[0].1, SECRETS[0].2);

fn showing(path: &str, name: &str, cookie: &str) -> Vec<u8> {
    RawRequest::new("GET", path).header("cookie", format!("theme=dark; {name}={cookie}")).bytes()
}

/// Four kibibytes of them, with the one that counts at their end.
fn many_groups() -> Vec<String> {
    let others = (0..100).map(|number| format!("group-{number:04}-{}", "x".repeat(30)));
    others.chain(["staff".to_owned()]).collect()
}

#[test]
fn tickets_of_before_and_four_kibibytes_of_groups_let_their_owners_in_on_every_worker() {
    story_in(beside_oauth2_proxy(), async |world| {
        let older = |order| Order { older: true, ..order };
        let sessions = [
            ("ann@example.com", older(Order::of("ann@example.com"))),
            ("bob@example.com", Order::of("bob@example.com").field("g", many_groups())),
            ("cleo@example.com", older(Order::of("cleo@example.com").field("g", many_groups()))),
        ];
        let (emails, orders): (Vec<_>, Vec<_>) = sessions.into_iter().unzip();
        let sessions = kept(world, orders).await?;
        ensure!(sessions[0].ticket.starts_with(&sessions[0].key), "no ticket of before: {}", sessions[0].ticket);
        ensure!(sessions[1].value.len() > 2 * 4_096, "too few groups");
        for (email, session) in emails.into_iter().zip(&sessions) {
            for (worker, connection) in &mut known_everywhere(world, &session.cookie).await? {
                let received = connection.send(&asking(&session.cookie).bytes()).await?.received()?;
                assert_eq!(received.all("x-forwarded-email"), [email], "{worker}");
                let staff = connection.send(&showing("/console/staff", COOKIE, &session.cookie)).await?;
                ensure!(staff.status == 200, "{worker}: {email} is of the staff: {staff:?}");
            }
        }
        let mut connections = known_everywhere(world, &sessions[0].cookie).await?;
        delete(world, &sessions[0].key).await?;
        refused_after(&mut connections, &sessions[0].cookie, 401).await.map(drop)
    });
}

fn with_another_name_and_secret(policy: &mut Value) {
    with_its_sessions(policy);
    policy["sessions"]["oauth2_proxy"]["cookie"] = SSO.into();
    policy["sessions"]["oauth2_proxy"]["cookie_secret_env"] = SECRET.0.into();
}

async fn start_for_another_name(world: &World) -> Result<()> {
    let settings = [("SEKISHO_OAUTH2_PROXY", "1"), ("SEKISHO_OAUTH2_PROXY_COOKIE", SSO)];
    tokio::try_join!(world.a.start_with(&settings), world.b.start_with(&settings))?;
    world.every_worker_has_its_snapshot().await
}

#[test]
fn where_the_cookie_has_another_name_and_secret_those_count_and_the_usual_ones_do_not() {
    let plan = Plan { policy: with_another_name_and_secret, sidecars: Sidecars::Absent, ..Plan::default() };
    story_in(plan, async |world| {
        start_for_another_name(world).await?;
        let orders = || [SSO, COOKIE].map(|cookie_name| Order { cookie_name, ..Order::of("ann@example.com") }).to_vec();
        let named = keep(&world.redis, SECRET.1, orders()).await?;
        let usual = keep(&world.redis, &world.keys.cookies, orders()).await?;
        for (name, session, status) in [
            (SSO, &named[0], 200),
            (COOKIE, &named[0], 401),
            (SSO, &named[1], 401),
            (COOKIE, &named[1], 401),
            (SSO, &usual[0], 401),
            (COOKIE, &usual[1], 401),
        ] {
            let answer = world.raw(&showing("/console/page", name, &session.cookie)).await?;
            assert_eq!(answer.status, status, "{name}, {}: {answer:?}", session.key);
        }
        let cookies = format!("theme=dark; {SSO}={}", named[0].cookie);
        for (path, seen) in [("/console/page", "theme=dark"), ("/oauth2-proxy/userinfo", cookies.as_str())] {
            let received = world.raw(&showing(path, SSO, &named[0].cookie)).await?.received()?;
            assert_eq!(received.all("cookie"), [seen], "{path}");
        }
        let listed = world.app(Method::GET, "/api/admin/sessions", &world.admin_token(), None).await?.json_with(200)?;
        let searched =
            listed["patterns_searched"].as_array().is_some_and(|all| all.contains(&format!("{SSO}-*").into()));
        ensure!(searched && listed.to_string().contains(&named[0].key), "{listed}");
        delete(world, &named[0].key).await?;
        e2e::poll::until("it is over", std::time::Duration::from_secs(10), async || {
            let answer = world.raw(&showing("/console/page", SSO, &named[0].cookie)).await?;
            ensure!(answer.status == 401, "{answer:?}");
            Ok(())
        })
        .await
    });
}
