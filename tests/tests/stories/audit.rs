//! What is done through Envoy is in the audit trail: by whom, from where, to whom, and what came of it.

use anyhow::{Context, Result, ensure};
use e2e::{User, World, poll, story};
use reqwest::Method;
use serde_json::{Value, json};

use crate::CALM;

/// Longer than an event takes to the trail: a job carries them over every quarter of a second.
const CARRIED: std::time::Duration = std::time::Duration::from_secs(10);

/// The events about somebody, once there are `count`; the newest first.
async fn events(world: &World, target: &str, count: usize) -> Result<Vec<Value>> {
    let path = format!("/api/admin/audit?target={}", target.replace('@', "%40"));
    poll::until(&format!("{count} events about {target}"), CARRIED, async || {
        let answer = world.app(Method::GET, &path, &world.admin_token(), None).await?.json_with(200)?;
        let events = answer["events"].as_array().context("no events")?.clone();
        ensure!(events.len() >= count, "{events:?}");
        Ok(events)
    })
    .await
}

#[test]
fn a_ban_and_its_end_are_in_the_trail_with_who_ordered_them_and_from_where() {
    story(&CALM, async |world| {
        let user = world.user();
        world.ban(&user).await?.json_with(200)?;
        let path = format!("/api/admin/sessions/unban/{}", user.email);
        world.app(Method::DELETE, &path, &world.admin_token(), None).await?.json_with(200)?;
        world.app(Method::DELETE, &path, &world.admin_token(), None).await?.json_with(404)?;
        let events = events(world, &user.email, 3).await?;
        let told: Vec<_> = events.iter().map(|event| (event["action"].as_str(), event["outcome"].as_str())).collect();
        assert_eq!(
            told,
            [
                (Some("ban.lifted"), Some("refused")),
                (Some("ban.lifted"), Some("done")),
                (Some("ban.given"), Some("done"))
            ]
        );
        assert_eq!(events[0]["details"]["code"], "not_banned");
        for event in &events {
            assert_eq!(event["actor"], e2e::world::ADMIN);
            assert_eq!((&event["actor_kind"], &event["address"]), (&json!("caller"), &json!("127.0.0.1")));
            for field in ["id", "hash", "request_id", "token_id"] {
                assert!(event[field].as_str().is_some_and(|text| !text.is_empty()), "{field}: {event}");
            }
        }
        assert_eq!(events[2]["details"]["lagging"], 0);
        Ok(())
    });
}

#[test]
fn a_token_is_in_the_trail_from_its_issue_to_its_end_and_never_itself() {
    story(&CALM, async |world| {
        let User { email, token } = world.user();
        let body = json!({"token_name": "ci"});
        let made = world.app(Method::POST, "/api/token/generate", &token, Some(&body)).await?.json_with(200)?;
        let (id, secret) = (made["token_id"].clone(), made["token"].as_str().context("no token")?.to_owned());
        world.app(Method::POST, "/api/token/revoke", &token, Some(&json!({"token_id": id}))).await?.json_with(200)?;
        let events = events(world, &email, 2).await?;
        let told: Vec<_> =
            events.iter().map(|event| (event["action"].as_str(), &event["details"]["token_id"])).collect();
        assert_eq!(told, [(Some("token.revoked"), &id), (Some("token.issued"), &id)]);
        let signature = secret.rsplit('.').next().context("no signature")?;
        assert!(!json!(events).to_string().contains(signature), "a secret is in the trail");
        Ok(())
    });
}

#[test]
fn both_sidecars_and_the_command_line_see_one_whole_trail() {
    story(&CALM, async |world| {
        let user = world.user();
        world.ban_at(&world.a, &user).await?.json_with(200)?;
        world.ban_at(&world.b, &user).await?.json_with(200)?;
        let cli = world.a.cli(&["ban", "lift", &user.email]).await?;
        ensure!(cli.status.success(), "{cli:?}");
        let events = events(world, &user.email, 3).await?;
        assert_eq!(events[0]["actor_kind"], "operator");
        let verified = world.b.cli(&["audit", "verify", "--json"]).await?;
        let answer: Value = serde_json::from_slice(&verified.stdout)?;
        assert!(verified.status.success() && answer["whole"] == true, "{answer}");
        let head = answer["head"].as_str().context("no head")?;
        ensure!(world.a.cli(&["audit", "verify", "--head", head]).await?.status.success());
        let forged = format!("{}0", &head[..head.len() - 1]);
        let forged = if forged == head { format!("{}1", &head[..head.len() - 1]) } else { forged };
        let refused = world.a.cli(&["audit", "verify", "--head", &forged]).await?;
        assert_eq!(refused.status.code(), Some(3), "{refused:?}");
        let exported = world.a.cli(&["audit", "export", "--target", &user.email]).await?;
        let lines = String::from_utf8(exported.stdout)?;
        assert_eq!(lines.lines().map(serde_json::from_str::<Value>).filter(Result::is_ok).count(), 3, "{lines}");
        Ok(())
    });
}

#[test]
fn nobody_but_an_admin_reads_the_trail() {
    story(&CALM, async |world| {
        let user = world.user();
        let answer = world.app(Method::GET, "/api/admin/audit", &user.token, None).await?;
        assert_eq!(answer.json_with(403)?["error"], "Admin access only");
        for query in ["limit=0", "cursor=%27%3B--", "action=ban", "from_ms=-1"] {
            let path = format!("/api/admin/audit?{query}");
            world.app(Method::GET, &path, &world.admin_token(), None).await?.json_with(400)?;
        }
        Ok(())
    });
}

#[test]
fn what_was_refused_and_what_another_program_did_is_in_the_trail_and_in_its_export() {
    story(&CALM, async |world| {
        let (stranger, banned) = (world.user(), world.user());
        let token = world.token_of(&stranger.email).claim("scopes", json!(["admin"]));
        world.app(Method::GET, "/api/admin/bans", &token, None).await?.json_with(403)?;
        let record = format!("active_user_deleted:{}", banned.email);
        world.redis.set(&record, &e2e::token::now().to_string(), 600).await?;
        let foreign = events(world, &banned.email, 1).await?;
        assert_eq!((&foreign[0]["action"], &foreign[0]["actor_kind"]), (&json!("ban.given"), &json!("system")));
        let path = format!("/api/admin/audit/export?actor={}", stranger.email);
        let refused = poll::until("the refusal is in the export", CARRIED, async || {
            let answer = world.app(Method::GET, &path, &world.admin_token(), None).await?;
            ensure!(answer.status == 200 && !answer.body.is_empty(), "{answer:?}");
            Ok(answer.body)
        })
        .await?;
        let refused: Value = serde_json::from_str(refused.lines().next().context("no line")?)?;
        assert_eq!((&refused["action"], &refused["target"]), (&json!("access.refused"), &json!("/api/admin/bans")));
        assert_eq!(refused["address"], "127.0.0.1");
        Ok(())
    });
}
