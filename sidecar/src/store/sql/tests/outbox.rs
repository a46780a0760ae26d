//! The outbox: filled with the trail, emptied by whoever comes first, bounded, and at the pace of each webhook.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use url::Url;

use super::super::Pool;
use super::{Database, databases};
use crate::domain::audit::{Action, By, Event, Outcome};
use crate::domain::webhook::{Format, Pattern, Target, Webhook, WebhookName};
use crate::service::audit::trail::Trail as _;
use crate::service::webhooks::outbox::{FORGOTTEN_MS, KEPT_MS, Lease, Letter, Outbox as _, Settlement, WAITING_MAX};
use crate::store::sql::audit::SqlTrail;
use crate::store::sql::outbox::SqlOutbox;

/// Later than every event of these stories.
const NOW_MS: u64 = 1_000_000_000;

fn webhook(name: &str, patterns: &[&str]) -> Webhook {
    Webhook {
        name: WebhookName::parse(name).unwrap(),
        target: Target::new(Url::parse("https://ops.example").unwrap()),
        format: Format::Slack,
        events: Some(patterns.iter().map(|pattern| Pattern::parse(pattern).unwrap()).collect()),
        per_minute: 60,
        timeout: Duration::from_secs(5),
    }
}

fn event(number: u64, action: Action) -> Event {
    let id = format!("event-{number:08}");
    let mut event = Event::begun(id, 1_000 + number, action, By::caller("root@x.org"), Some("ann@x.org"));
    event.outcome = Outcome::Done;
    event
}

fn bans(numbers: std::ops::Range<u64>) -> Vec<Event> {
    numbers.map(|number| event(number, Action::BanGiven)).collect()
}

fn trail(database: &Database, webhooks: &[Webhook]) -> SqlTrail {
    SqlTrail::new(database.open()).telling(webhooks.into())
}

fn lease(now_ms: u64, at_most: u32) -> Lease {
    let holder = uuid::Uuid::new_v4().to_string();
    Lease { holder, now_ms, until_ms: now_ms + 30_000, at_most, per_minute: 60 }
}

fn ids(letters: &[Letter]) -> Vec<&str> {
    letters.iter().map(|letter| letter.event_id.as_str()).collect()
}

#[tokio::test]
async fn what_is_appended_waits_once_for_each_webhook_that_is_told_of_it() {
    for database in databases().await {
        let trail = trail(&database, &[webhook("a", &["ban.*"]), webhook("b", &["*"])]);
        let outbox = SqlOutbox::new(database.open());
        let events = [event(1, Action::BanGiven), event(2, Action::TokenIssued)];
        for _ in 0..2 {
            trail.append(&events).await.unwrap();
        }
        assert_eq!(ids(&outbox.lease("a", &lease(NOW_MS, 9)).await.unwrap()), ["event-00000001"], "{}", database.name);
        let letters = outbox.lease("b", &lease(NOW_MS, 9)).await.unwrap();
        assert_eq!(letters.len(), 2, "{}", database.name);
        let told = letters.iter().find(|letter| letter.event_id == events[1].id).unwrap();
        assert_eq!(serde_json::from_str::<Event>(&told.body).unwrap(), events[1]);
        assert_eq!((told.attempts, told.first_at_ms), (1, NOW_MS));
        assert_eq!(outbox.lease("c", &lease(NOW_MS, 9)).await.unwrap(), []);
        for letter in &letters {
            assert!(outbox.settle("b", letter, &Settlement::Delivered, NOW_MS).await.unwrap());
        }
        // A sidecar that ended in between carries them once more: they are in the trail, and stay delivered.
        trail.append(&events).await.unwrap();
        assert_eq!(outbox.standings().await.unwrap()["b"].waiting, 0, "{}", database.name);
        assert_eq!(outbox.standings().await.unwrap()["b"].last_success_at_ms, Some(NOW_MS));
    }
}

#[tokio::test]
async fn of_several_sidecars_one_takes_an_event_and_another_one_only_when_the_lease_is_over() {
    for database in databases().await {
        trail(&database, &[webhook("a", &["*"])]).append(&bans(0..40)).await.unwrap();
        let sidecars: Vec<SqlOutbox> = (0..4).map(|_| SqlOutbox::new(database.open())).collect();
        let taken = join_all(sidecars.iter().map(|outbox| async {
            let mut taken = Vec::new();
            while let Some(letters) =
                Some(outbox.lease("a", &lease(NOW_MS, 3)).await.unwrap()).filter(|l| !l.is_empty())
            {
                taken.extend(letters);
            }
            taken
        }))
        .await
        .concat();
        assert_eq!(
            (taken.len(), ids(&taken).into_iter().collect::<BTreeSet<_>>().len()),
            (40, 40),
            "{}",
            database.name
        );
        let outbox = &sidecars[0];
        assert_eq!(outbox.lease("a", &lease(NOW_MS + 29_999, 3)).await.unwrap(), []);
        let again = outbox.lease("a", &lease(NOW_MS + 30_000, 1)).await.unwrap().remove(0);
        assert_eq!((again.attempts, again.first_at_ms), (2, NOW_MS), "{}", database.name);
        // Whoever had it before comes too late to put it off, and not to say that it is delivered.
        let before = taken.iter().find(|letter| letter.event_id == again.event_id).unwrap();
        let later = Settlement::PutOff { until_ms: NOW_MS, pause_until_ms: None, failure: "late".into() };
        assert!(!outbox.settle("a", before, &later, NOW_MS).await.unwrap());
        assert!(outbox.settle("a", before, &Settlement::Delivered, NOW_MS).await.unwrap());
        assert!(!outbox.settle("a", &again, &Settlement::Delivered, NOW_MS).await.unwrap(), "{}", database.name);
    }
}

#[tokio::test]
async fn all_sidecars_together_keep_to_the_pace_of_a_webhook_and_to_its_receivers_patience() {
    for database in databases().await {
        trail(&database, &[webhook("a", &["*"])]).append(&bans(0..200)).await.unwrap();
        let sidecars: Vec<SqlOutbox> = (0..3).map(|_| SqlOutbox::new(database.open())).collect();
        let take = async |now_ms: u64| -> usize {
            let leases = (0..30).map(|turn| {
                let outbox = &sidecars[turn % 3];
                async move { outbox.lease("a", &lease(now_ms, 8)).await.unwrap().len() }
            });
            join_all(leases).await.into_iter().sum()
        };
        assert_eq!(take(NOW_MS).await, 60, "{}", database.name);
        assert_eq!(take(NOW_MS + 29_000).await, 0);
        assert_eq!(take(NOW_MS + 60_000).await, 60, "{}", database.name);
        let letter = sidecars[0].lease("a", &lease(NOW_MS + 120_000, 1)).await.unwrap().remove(0);
        let pause_until_ms = Some(NOW_MS + 500_000);
        let later = Settlement::PutOff { until_ms: NOW_MS, pause_until_ms, failure: "busy".into() };
        assert!(sidecars[1].settle("a", &letter, &later, NOW_MS + 120_001).await.unwrap());
        assert_eq!(take(NOW_MS + 499_999).await, 0, "{}", database.name);
        let standing = sidecars[2].standings().await.unwrap().remove("a").unwrap();
        assert_eq!((standing.paused_until_ms, standing.last_failure.as_deref()), (pause_until_ms, Some("busy")));
        assert_eq!((standing.waiting, standing.waiting_since_ms), (200, Some(1_000)));
        assert!(take(NOW_MS + 500_000).await > 0, "{}", database.name);
    }
}

#[tokio::test]
async fn an_outbox_is_bounded_and_counts_what_it_leaves_out() {
    for database in databases().await {
        let trail = trail(&database, &[webhook("a", &["*"]), webhook("b", &["token.*"])]);
        let outbox = SqlOutbox::new(database.open());
        for thousand in 0..10 {
            trail.append(&bans(thousand * 1_000..(thousand + 1) * 1_000 - 1)).await.unwrap();
        }
        trail.append(&bans(20_000..20_100)).await.unwrap();
        trail.append(&[event(30_000, Action::TokenIssued)]).await.unwrap();
        let standings = outbox.standings().await.unwrap();
        assert_eq!((standings["a"].waiting, standings["a"].left_out), (WAITING_MAX, 91), "{}", database.name);
        assert_eq!((standings["b"].waiting, standings["b"].left_out), (1, 0));
        let letter = outbox.lease("a", &lease(NOW_MS, 1)).await.unwrap().remove(0);
        outbox.settle("a", &letter, &Settlement::Delivered, NOW_MS).await.unwrap();
        trail.append(&[event(30_001, Action::BanLifted)]).await.unwrap();
        let standings = outbox.standings().await.unwrap();
        assert_eq!((standings["a"].waiting, standings["a"].left_out), (WAITING_MAX, 91), "{}", database.name);
    }
}

#[tokio::test]
async fn what_is_given_up_is_kept_for_a_week_and_waits_again_when_somebody_asks() {
    for database in databases().await {
        trail(&database, &[webhook("a", &["*"])]).append(&bans(0..3)).await.unwrap();
        let outbox = SqlOutbox::new(database.open());
        let given_up = Settlement::GivenUp { failure: "gone".into() };
        for letter in outbox.lease("a", &lease(NOW_MS, 2)).await.unwrap() {
            assert!(outbox.settle("a", &letter, &given_up, NOW_MS + 5).await.unwrap());
        }
        let listed = outbox.given_up("a", 9).await.unwrap();
        assert_eq!(listed.len(), 2, "{}", database.name);
        assert_eq!((listed[0].attempts, listed[0].given_up_at_ms, listed[0].failure.as_str()), (1, NOW_MS + 5, "gone"));
        assert_eq!(outbox.lease("a", &lease(NOW_MS + 40_000, 9)).await.unwrap().len(), 1, "the third one");
        assert_eq!((outbox.retry("a", NOW_MS).await.unwrap(), outbox.retry("a", NOW_MS).await.unwrap()), (2, 0));
        let again = outbox.lease("a", &lease(NOW_MS + 50_000, 9)).await.unwrap();
        assert_eq!((again.len(), again[0].attempts, again[0].first_at_ms), (2, 1, NOW_MS + 50_000));
        outbox.settle("a", &again[0], &given_up, NOW_MS + 60_000).await.unwrap();
        assert_eq!(outbox.tidy(&["a"], NOW_MS + 60_000 + KEPT_MS).await.unwrap(), 0, "{}", database.name);
        assert_eq!(outbox.tidy(&["a"], NOW_MS + 60_001 + KEPT_MS).await.unwrap(), 1, "{}", database.name);
        assert_eq!(outbox.standings().await.unwrap()["a"].waiting, 2);
    }
}

#[tokio::test]
async fn it_is_told_once_in_a_while_that_events_are_given_up() {
    for database in databases().await {
        let sidecars: Vec<SqlOutbox> = (0..4).map(|_| SqlOutbox::new(database.open())).collect();
        sidecars[0].tidy(&["a"], NOW_MS).await.unwrap();
        let tell = async |now_ms: u64| -> usize {
            let turns = sidecars.iter().map(|outbox| outbox.take_turn_to_tell("a", now_ms, now_ms - 1_000));
            join_all(turns).await.into_iter().filter(|turn| turn == &Ok(true)).count()
        };
        assert_eq!((tell(NOW_MS).await, tell(NOW_MS + 1_000).await), (1, 0), "{}", database.name);
        assert_eq!(tell(NOW_MS + 1_001).await, 1, "{}", database.name);
    }
}

#[tokio::test]
async fn what_is_for_a_webhook_that_nobody_has_any_more_goes_after_a_day() {
    for database in databases().await {
        let trail = trail(&database, &[webhook("gone", &["*"]), webhook("kept", &["*"])]);
        trail.append(&bans(0..3)).await.unwrap();
        let outbox: Arc<SqlOutbox> = Arc::new(SqlOutbox::new(database.open()));
        outbox.tidy(&["gone", "kept"], NOW_MS).await.unwrap();
        // A sidecar that has only one of them must not drop what another one still delivers.
        assert_eq!(outbox.tidy(&["kept"], NOW_MS + FORGOTTEN_MS).await.unwrap(), 0, "{}", database.name);
        assert_eq!(outbox.tidy(&["kept"], NOW_MS + FORGOTTEN_MS + 1).await.unwrap(), 3, "{}", database.name);
        let standings = outbox.standings().await.unwrap();
        assert_eq!(standings.keys().collect::<Vec<_>>(), ["kept"], "{}", database.name);
        assert_eq!(standings["kept"].waiting, 3);
    }
}

#[tokio::test]
async fn who_tidies_takes_a_webhooks_row_before_its_events_like_everybody() {
    let database = databases().await.remove(1);
    trail(&database, &[webhook("a", &["*"])]).append(&bans(0..2)).await.unwrap();
    let outbox = SqlOutbox::new(database.open());
    outbox.tidy(&["a"], NOW_MS).await.unwrap();
    let letters = outbox.lease("a", &lease(NOW_MS, 2)).await.unwrap();
    for letter in &letters {
        assert!(outbox.settle("a", letter, &Settlement::GivenUp { failure: "gone".into() }, NOW_MS).await.unwrap());
    }
    let sql = database.open();
    let Pool::Postgres(pool) = sql.pool().await.unwrap() else { panic!("not PostgreSQL") };
    let mut transaction = pool.begin().await.unwrap();
    let take = "UPDATE outbox_webhooks SET recent = recent WHERE name = 'a'";
    sqlx::query(take).execute(&mut *transaction).await.unwrap();
    let tidying = tokio::spawn(async move { outbox.tidy(&[], NOW_MS + KEPT_MS + FORGOTTEN_MS).await });
    let waiting =
        "SELECT COUNT(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()";
    while sqlx::query_as::<_, (i64,)>(waiting).fetch_one(pool).await.unwrap().0 == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let retry = "UPDATE outbox SET attempts = attempts WHERE webhook = 'a'";
    assert_eq!(
        sqlx::query(retry).execute(&mut *transaction).await.unwrap().rows_affected(),
        2,
        "nobody waits in a circle"
    );
    transaction.commit().await.unwrap();
    assert_eq!(tidying.await.unwrap().unwrap(), 2);
}

#[tokio::test]
async fn what_strangers_can_cause_neither_delays_a_ban_nor_takes_its_room() {
    for database in databases().await {
        let trail = trail(&database, &[webhook("a", &["*"])]);
        let outbox = SqlOutbox::new(database.open());
        let refused = |number: u64| event(number, Action::AccessRefused);
        for thousand in 0..9 {
            trail.append(&(thousand * 1_000..(thousand + 1) * 1_000).map(refused).collect::<Vec<_>>()).await.unwrap();
        }
        trail.append(&[refused(9_000), event(9_001, Action::BanGiven), refused(9_002)]).await.unwrap();
        let alarm = Event { by: By::system("refresh"), ..event(9_003, Action::TokenReused) };
        trail.append(&[alarm]).await.unwrap();
        let standing = outbox.standings().await.unwrap().remove("a").unwrap();
        assert_eq!((standing.waiting, standing.left_out), (9_002, 2), "{}", database.name);
        for expected in ["event-00009003", "event-00009001", "event-00000000"] {
            let letters = outbox.lease("a", &lease(NOW_MS, 1)).await.unwrap();
            assert_eq!(ids(&letters), [expected], "{}", database.name);
        }
    }
}
