//! Webhooks are told of what happened, at least once and by nobody else's word, whatever fails meanwhile.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::receiver::{CHAT, Delivery, GENERIC, HIDDEN};
use e2e::{Plan, Shared, World, poll, story, story_in};
use reqwest::Method;
use serde_json::{Value, json};

/// A world with a receiver.
fn plan() -> Plan {
    Plan { webhooks: true, ..Plan::default() }
}

/// Stories that break the receiver take turns.
static TOLD: Shared = Shared::in_turn(plan);

/// Longer than an event takes to a receiver that failed twice.
const TOLD_WITHIN: Duration = Duration::from_secs(30);

/// The first message that a webhook took of which `is_it` is true.
async fn taken(world: &World, webhook: &str, is_it: impl Fn(&Delivery) -> bool) -> Result<Delivery> {
    poll::until(&format!("{webhook} is told"), TOLD_WITHIN, async || {
        let taken = world.receiver()?.taken(webhook)?;
        taken.into_iter().find(|delivery| is_it(delivery)).context("not yet")
    })
    .await
}

async fn admin(world: &World, method: Method, path: &str, status: u16) -> Result<Value> {
    world.app(method, path, &world.admin_token(), None).await?.json_with(status)
}

#[test]
fn a_ban_is_told_signed_to_a_program_and_as_a_sentence_to_people() {
    story(&TOLD, async |world| {
        let user = world.user();
        world.ban(&user).await?.json_with(200)?;
        let told = taken(world, GENERIC, |told| told.body["data"]["target"] == user.email.as_str()).await?;
        assert_eq!((&told.body["type"], &told.body["data"]["outcome"]), (&json!("ban.given"), &json!("done")));
        assert_eq!(told.body["data"]["id"].as_str(), told.id.as_deref());
        let sentence = taken(world, CHAT, |told| told.body.to_string().contains(&user.email)).await?;
        let expected = format!("*ban given* {}, by {}.", user.email, e2e::world::ADMIN);
        assert_eq!(sentence.body, json!({"text": expected}));
        Ok(())
    });
}

#[test]
fn a_receiver_that_fails_is_asked_again_and_one_that_is_gone_when_somebody_says_so() {
    story(&TOLD, async |world| {
        let receiver = world.receiver()?;
        receiver.answer_next(&[500, 302]);
        let path = format!("/api/admin/webhooks/{GENERIC}");
        let tested = admin(world, Method::POST, &format!("{path}/test"), 202).await?;
        let id = tested["event_id"].as_str().context("no id")?.to_owned();
        let told = taken(world, GENERIC, |told| told.id.as_deref() == Some(&id)).await?;
        assert_eq!(told.body["type"], "webhook.tested");
        let attempts = receiver.deliveries(GENERIC)?.into_iter().filter(|one| one.id.as_deref() == Some(&id));
        assert_eq!(attempts.map(|one| one.answered).collect::<Vec<_>>(), [500, 302, 204]);

        receiver.answer_next(&[410]);
        let cli = world.a.cli(&["webhook", "test", GENERIC, "--json"]).await?;
        let tested: Value = serde_json::from_slice(&cli.stdout).with_context(|| format!("{cli:?}"))?;
        let id = tested["event_id"].as_str().context("no id")?.to_owned();
        poll::until("it is given up", TOLD_WITHIN, async || {
            let shown = admin(world, Method::GET, &path, 200).await?;
            ensure!(shown["given_up"] == 1 && shown["given_up_events"][0]["event_id"] == id, "{shown}");
            Ok(())
        })
        .await?;
        let doctor = String::from_utf8(world.b.cli(&["doctor"]).await?.stdout)?;
        assert!(doctor.contains("sekisho webhook retry ops"), "{doctor}");
        let retried = admin(world, Method::POST, &format!("{path}/retry"), 200).await?;
        assert_eq!(retried["retried_count"], 1, "{retried}");
        taken(world, GENERIC, |told| told.id.as_deref() == Some(&id)).await?;
        // The webhook itself is not told that it failed; it is in the trail.
        poll::until("the trail has it", TOLD_WITHIN, async || {
            let events = admin(world, Method::GET, "/api/admin/audit?action=webhook.given_up", 200).await?;
            ensure!(events["count"] == 1 && events["events"][0]["target"] == GENERIC, "{events}");
            Ok(())
        })
        .await?;
        assert!(receiver.deliveries(GENERIC)?.iter().all(|one| one.body["type"] != "webhook.given_up"));
        Ok(())
    });
}

#[test]
fn nobody_sees_where_a_webhook_is_or_what_signs_it() {
    story(&TOLD, async |world| {
        let listed = admin(world, Method::GET, "/api/admin/webhooks", 200).await?;
        assert_eq!(listed["count"], 2, "{listed}");
        let cli = world.a.cli(&["webhook", "list"]).await?;
        let logs = ["sidecar-a.log", "sidecar-b.log"].map(|log| std::fs::read_to_string(world.folder().join(log)));
        let mut all = format!("{listed}{}", String::from_utf8(cli.stdout)?);
        for log in logs {
            all.push_str(&log?);
        }
        assert!(all.contains("127.0.0.1") && !all.contains(HIDDEN) && !all.contains("whsec_"), "{all}");
        let user = world.user();
        let answer = world.app(Method::GET, "/api/admin/webhooks", &user.token, None).await?;
        assert_eq!(answer.json_with(403)?["error"], "Admin access only");
        Ok(())
    });
}

#[test]
fn each_event_is_told_at_least_once_while_sidecars_are_killed_and_the_receiver_fails() {
    story_in(plan(), async |world| {
        let receiver = world.receiver()?;
        receiver.answer_next(&[503, 500, 204, 429, 500, 204, 204, 500]);
        let mut banned = BTreeSet::new();
        for round in 0..4 {
            let (dying, living) = if round % 2 == 0 { (&world.a, &world.b) } else { (&world.b, &world.a) };
            for _ in 0..5 {
                let user = world.user();
                world.ban_at(living, &user).await?;
                banned.insert(user.email);
            }
            dying.kill().await?;
            dying.start().await?;
        }
        poll::until("everybody's ban is told", 3 * TOLD_WITHIN, async || {
            let taken = receiver.taken(GENERIC)?;
            let target = |told: &Delivery| told.body["data"]["target"].as_str().map(str::to_owned);
            let told: BTreeSet<String> = taken.iter().filter_map(target).collect();
            ensure!(banned.is_subset(&told), "missing: {:?}", banned.difference(&told));
            let listed = world.call_at(&world.a, e2e::world::ADMIN, Method::GET, "/api/admin/webhooks", None).await?;
            let listed = listed.json_with(200)?;
            let waits = |index: usize| listed["webhooks"][index]["waiting"] != 0;
            ensure!(!waits(0) && !waits(1), "{listed}");
            Ok(())
        })
        .await?;
        let ids: Vec<_> = receiver.taken(GENERIC)?.into_iter().filter_map(|one| one.id).collect();
        let repeated = ids.len() - ids.iter().collect::<BTreeSet<_>>().len();
        eprintln!("{} messages, {repeated} of them repeated", ids.len());
        Ok(())
    });
}
