//! Clean-ups on a real Redis: they find what points to nothing, and never take what somebody needs.

use std::time::Instant;

use futures_util::future::join_all;
use redis::AsyncCommands;
use sekisho_protocol::activity::{ActivityReport, Method, SubjectActivity};
use sekisho_protocol::{PROTOCOL, ReplicaId, Subject};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::app::App;
use crate::domain::audit::By;
use crate::domain::cleanup::Kind;
use crate::domain::error::Failure;
use crate::domain::page::{Direction, Window};
use crate::domain::token::TokenRecord;
use crate::domain::token::order::Sort;
use crate::service::activity::ActivityStore as _;
use crate::service::cleanup::Cleanup;
use crate::service::tokens::TokenStore as _;
use crate::service::tokens::listing::TokenIndex as _;
use crate::store::redis::activity::RedisActivity;
use crate::store::redis::tokens::RedisTokens;
use crate::testing::RedisServer;

fn cleanup(server: &RedisServer, schedule: &str) -> Cleanup {
    let settings = server.settings(&[("SEKISHO_CLEANUP_SCHEDULE", schedule)]);
    App::new(&settings, CancellationToken::new()).unwrap().services.cleanup
}

fn root() -> By {
    By::caller("root@x.org")
}

async fn command(redis: &mut ConnectionManager, words: &str) {
    let mut parts = words.split(' ');
    let mut command = redis::cmd(parts.next().unwrap());
    for part in parts {
        command.arg(part);
    }
    let _: Value = command.query_async(redis).await.unwrap();
}

fn record(id: &str, email: &str) -> TokenRecord {
    let expires_at = UnixSeconds::now().plus(600).get();
    TokenRecord {
        token_id: id.into(),
        user_email: email.into(),
        created_at: 1_000,
        expires_at,
        ..TokenRecord::default()
    }
}

fn report(number: u64, who: &str, token_id: Option<String>) -> ActivityReport {
    let row = SubjectActivity {
        subject: Subject::try_from(who.to_owned()).unwrap(),
        method: Method::Jwt,
        token_id,
        requests: 1,
        last_access: UnixSeconds::now().get(),
        address: None,
    };
    ActivityReport {
        protocol: PROTOCOL,
        replica: ReplicaId::from_bytes([7; 16]),
        sequence: number,
        subjects: vec![row],
        outcomes: Vec::new(),
        verifications: Vec::new(),
        dropped: 0,
    }
}

/// What a run finds and deletes, and what it must leave alone.
async fn mess(server: &RedisServer) {
    let mut redis = server.client().shared();
    let tokens = RedisTokens::new(server.client());
    for (id, email) in
        [("living", "ann@x.org"), ("gone-1", "ann@x.org"), ("gone-2", "bob@x.org"), ("gone-3", "bob@x.org")]
    {
        tokens.insert(&record(id, email)).await.unwrap();
    }
    for words in [
        "DEL token:info:gone-1 token:info:gone-2 token:info:gone-3",
        "SET active_user_metadata:eve@x.org {} EX 600",
        "SET active_user_metadata:ann@x.org {} EX 600",
        "SADD active_user:ann@x.org living",
        "SADD active_users ann@x.org eve@x.org old@x.org kim@x.org",
        "SET active_user_metadata:kim@x.org {}",
        "HSET sekisho:active_user:kim@x.org requests 1",
        "SET user:tokens:odd@x.org text",
    ] {
        command(&mut redis, words).await;
    }
}

#[tokio::test]
async fn what_points_to_nothing_is_found_and_deleted_and_nothing_else() {
    let server = RedisServer::start().await;
    mess(&server).await;
    let cleanup = cleanup(&server, "off");
    let preview = cleanup.preview().await.unwrap();
    let counts = preview.counts;
    assert_eq!((counts.token_ids, counts.metadata, counts.active_users, counts.index_entries), (3, 1, 2, 3));
    assert_eq!((counts.token_sets, counts.total(), preview.items.len()), (0, 9, 9));
    assert!((100..10_000).contains(&preview.estimated_freed), "{}", preview.estimated_freed);
    let again = cleanup.preview().await.unwrap();
    assert_eq!(again.counts, counts, "a preview deletes nothing");

    let log = cleanup.run(root()).await.unwrap();
    assert_eq!(
        json!(log.results),
        json!({"orphaned_jwt_token_ids_deleted": 3, "orphaned_metadata_deleted": 1, "empty_token_sets_deleted": 1,
               "inactive_users_deleted": 2, "orphaned_index_entries_deleted": 3})
    );
    assert_eq!((log.total_deleted, log.deleted_items.len(), log.deleted_items_left_out), (10, 10, 0));
    assert!((100..10_000).contains(&log.freed_memory), "{}", log.freed_memory);
    let emptied = log.deleted_items.iter().find(|deleted| deleted.item.kind == Kind::EmptyTokenSet).unwrap();
    assert_eq!((emptied.item.key.as_str(), emptied.item.token_id.as_ref()), ("user:tokens:bob@x.org", None));
    assert_eq!(cleanup.preview().await.unwrap().counts.total(), 0);

    let mut redis = server.client().shared();
    let members: Vec<String> = redis.smembers("user:tokens:ann@x.org").await.unwrap();
    assert_eq!(members, ["living"]);
    let mut active: Vec<String> = redis.smembers("active_users").await.unwrap();
    active.sort();
    assert_eq!(active, ["ann@x.org", "kim@x.org"]);
    for key in ["active_user_metadata:ann@x.org", "active_user_metadata:kim@x.org", "user:tokens:odd@x.org"] {
        assert!(redis.exists::<_, bool>(key).await.unwrap(), "{key}");
    }
    let life: i64 = redis.ttl(format!("cleanup:log:{}", log.cleanup_id)).await.unwrap();
    assert!((2_591_000..=2_592_000).contains(&life), "{life}");
}

#[tokio::test]
async fn what_is_no_text_keeps_nothing_from_being_found() {
    let server = RedisServer::start().await;
    mess(&server).await;
    let mut redis = server.client().shared();
    let _: () = redis.set(b"\xac\xed\x00\x05t\x00\x0buser:42", "x").await.unwrap();
    for set in ["user:tokens:ann@x.org", "active_users"] {
        let _: () = redis.sadd(set, b"\xff\xfe").await.unwrap();
    }
    let _: () = redis.zadd("sekisho:{tokens}:created", b"\xff\xfe", 1).await.unwrap();
    let log = cleanup(&server, "off").run(root()).await.unwrap();
    assert_eq!(log.total_deleted, 10);
    assert_eq!(redis.scard::<_, usize>("user:tokens:ann@x.org").await.unwrap(), 2, "whose it is nobody can tell");
}

#[tokio::test]
async fn of_two_runs_at_once_one_is_refused_and_each_keeps_a_log_of_its_own() {
    let server = RedisServer::start().await;
    mess(&server).await;
    let cleanups = [cleanup(&server, "off"), cleanup(&server, "off")];
    let ran = join_all(cleanups.iter().map(|cleanup| cleanup.run(root()))).await;
    assert_eq!(ran.iter().filter(|ran| ran.as_ref().is_err_and(|error| *error == Failure::CleanupRuns)).count(), 1);
    // Within one second, too, and after a run that was killed, once its turn is over.
    for _ in 0..3 {
        cleanups[0].run(root()).await.unwrap();
    }
    let (page, total) = cleanups[1].logs(&Window::choose(None, None).unwrap()).await.unwrap();
    assert_eq!((page.rows.len(), total, page.next), (4, 4, None));
    let mut seen = Vec::new();
    let mut after = None;
    loop {
        let (page, _) = cleanups[1].logs(&Window::choose(Some(1), after).unwrap()).await.unwrap();
        seen.extend(page.rows.iter().map(|row| row.at));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen, page.rows.iter().map(|row| row.at).collect::<Vec<_>>());
    assert!(seen.is_sorted_by(|newer, older| newer > older), "{seen:?}");
}

#[tokio::test]
async fn a_missed_run_is_caught_up_once_by_one_sidecar() {
    let server = RedisServer::start().await;
    let sidecars: Vec<Cleanup> = (0..3).map(|_| cleanup(&server, "*/10 * * * *")).collect();
    let runs = async |now: UnixSeconds| -> usize {
        let ran = join_all(sidecars.iter().map(|cleanup| cleanup.run_if_due(now))).await;
        ran.into_iter().filter_map(Result::unwrap).count()
    };
    let start = UnixSeconds((UnixSeconds::now().get() - 200_000) / 600 * 600);
    assert_eq!(runs(start.plus(1)).await, 0, "nothing was missed before there was a schedule");
    assert_eq!(runs(start.plus(599)).await, 0);
    assert_eq!((runs(start.plus(600)).await, runs(start.plus(601)).await), (1, 0));
    assert_eq!((runs(start.plus(86_401)).await, runs(start.plus(86_402)).await), (1, 0), "once for a whole day");
    // Whoever was killed in the middle of a run leaves its turn behind, and the run is made when that is over.
    let mut redis = server.client().shared();
    command(&mut redis, "SET sekisho:{cleanup}:turn somebody PX 200").await;
    assert_eq!(runs(start.plus(100_000)).await, 0);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(runs(start.plus(100_001)).await, 1);
    let (page, _) = sidecars[0].logs(&Window::choose(None, None).unwrap()).await.unwrap();
    assert!(page.rows.iter().all(|row| row.log["executed_by"] == "schedule" && row.log["manual"] == false));
    assert_eq!(page.rows.len(), 3);
}

#[tokio::test]
async fn a_clock_that_was_wrong_once_stops_no_schedule_and_one_that_is_wrong_runs_nothing() {
    let server = RedisServer::start().await;
    let cleanup = cleanup(&server, "*/10 * * * *");
    let mut redis = server.client().shared();
    let start = UnixSeconds(UnixSeconds::now().get() / 600 * 600 - 6_000);
    for wrong in ["3000000000", "-1", "never"] {
        command(&mut redis, &format!("SET sekisho:{{cleanup}}:scheduled {wrong}")).await;
        assert!(cleanup.run_if_due(start.plus(1)).await.unwrap().is_none(), "{wrong}");
        assert!(cleanup.run_if_due(start.plus(601)).await.unwrap().is_some(), "{wrong}");
    }
    assert!(cleanup.run_if_due(UnixSeconds(3_000_000_000)).await.unwrap().is_none());
    let noted: u64 = redis.get("sekisho:{cleanup}:scheduled").await.unwrap();
    assert_eq!(noted, start.plus(600).get());
    assert!(cleanup.run_if_due(start.plus(1_201)).await.unwrap().is_some());
}

#[tokio::test]
async fn nothing_is_lost_of_tokens_that_are_made_while_clean_ups_run() {
    let server = RedisServer::start().await;
    let cleanup = cleanup(&server, "off");
    let done = CancellationToken::new();
    let cleaning = async {
        let mut runs = 0;
        while !done.is_cancelled() {
            mess(&server).await;
            cleanup.run(root()).await.unwrap();
            runs += 1;
        }
        runs
    };
    let minting = async {
        let lanes = (0..4).map(|lane| {
            let tokens = RedisTokens::new(server.client());
            let mut redis = server.client().shared();
            async move {
                for number in 0..600 {
                    let (id, email) = (format!("minted-{lane}-{number}"), format!("user-{}@x.org", number % 50));
                    if lane == 0 {
                        // As another program might: the id first.
                        command(&mut redis, &format!("SADD user:tokens:{email} {id}")).await;
                        tokio::time::sleep(Duration::from_millis(2)).await;
                        command(&mut redis, &format!("SET token:info:{id} {{}} EX 600")).await;
                    } else {
                        tokens.insert(&record(&id, &email)).await.unwrap();
                        tokio::time::sleep(Duration::from_millis(2)).await;
                    }
                }
            }
        });
        join_all(lanes).await;
        done.cancel();
    };
    let (runs, ()) = tokio::join!(cleaning, minting);
    assert!(runs >= 2, "{runs} clean-ups ran");
    let mut redis = server.client().shared();
    for user in 0..50 {
        let members: usize = redis.scard(format!("user:tokens:user-{user}@x.org")).await.unwrap();
        assert_eq!(members, 48, "user {user}");
    }
    let walked = RedisTokens::new(server.client()).walk(Sort::CreatedAt, Direction::Asc, None, 10_000).await.unwrap();
    assert_eq!(walked.iter().filter(|standing| standing.position.id.starts_with("minted-")).count(), 1_800);
    assert_eq!(cleanup.preview().await.unwrap().counts.total(), 0);
}

#[tokio::test]
async fn nobody_who_comes_back_while_clean_ups_run_is_forgotten() {
    let server = RedisServer::start().await;
    let cleanup = cleanup(&server, "off");
    let mut redis = server.client().shared();
    for user in 0..300 {
        command(&mut redis, &format!("SET active_user_metadata:user-{user}@x.org {{\"old\":1}}")).await;
        command(&mut redis, &format!("SADD active_users user-{user}@x.org")).await;
    }
    let coming = async {
        // About when the clean-up deletes: it waits for a second before.
        tokio::time::sleep(Duration::from_millis(950)).await;
        let activity = RedisActivity::new(server.client());
        for user in 0..300 {
            let token = (user % 2 == 0).then(|| format!("token-{user}"));
            activity.take(&report(user + 1, &format!("user-{user}@x.org"), token)).await.unwrap();
        }
    };
    let (log, ()) = tokio::join!(cleanup.run(root()), coming);
    eprintln!("{} were cleared away before they came back", log.unwrap().total_deleted);
    for user in 0..300 {
        let name = format!("user-{user}@x.org");
        assert!(redis.exists::<_, bool>(format!("active_user_metadata:{name}")).await.unwrap(), "{name}");
        assert!(redis.sismember::<_, _, bool>("active_users", &name).await.unwrap(), "{name}");
    }
}

/// Fills Redis with 100,000 tokens of 20,000 people, of which every tenth has ended.
async fn fill(server: &RedisServer) {
    let mut redis = server.client().shared();
    let expires_at = UnixSeconds::now().plus(6_000).get();
    for hundred in 0..1_000 {
        let mut pipe = redis::pipe();
        for number in hundred * 100..(hundred + 1) * 100 {
            let (id, email) = (format!("00000000-0000-4000-8000-{number:012}"), format!("user-{}@x.org", number / 5));
            let info = json!({"token_id": id, "user_email": email, "token_name": "ci", "created_at": number,
                              "expires_at": expires_at, "scopes": ["api:read", "api:write"], "last_used": null});
            if number % 10 != 0 {
                pipe.cmd("SET").arg(format!("token:info:{id}")).arg(info.to_string()).ignore();
            }
            pipe.sadd(format!("user:tokens:{email}"), &id).ignore();
            for order in crate::store::redis::tokens::BY_ID {
                pipe.zadd(order, &id, number).ignore();
            }
            if number % 5 == 0 {
                pipe.sadd("active_users", &email).set(format!("active_user_metadata:{email}"), info.to_string());
                if number % 50 != 0 {
                    pipe.sadd(format!("active_user:{email}"), &id).ignore();
                }
            }
        }
        let _: Value = pipe.query_async(&mut redis).await.unwrap();
    }
}

#[tokio::test]
async fn at_a_hundred_thousand_tokens_a_preview_takes_seconds_and_no_command_long() {
    let server = RedisServer::start().await;
    fill(&server).await;
    let cleanup = cleanup(&server, "off");
    let mut redis = server.client().shared();
    command(&mut redis, "CONFIG SET slowlog-log-slower-than 1000").await;
    command(&mut redis, "CONFIG SET slowlog-max-len 100000").await;
    command(&mut redis, "SLOWLOG RESET").await;
    let begun = Instant::now();
    let preview = cleanup.preview().await.unwrap();
    let took = begun.elapsed();
    let log = cleanup.run(root()).await.unwrap();
    let slow: Vec<(u64, u64, u64, Vec<String>)> = redis::cmd("SLOWLOG")
        .arg("GET")
        .arg(-1)
        .query_async::<Vec<(u64, u64, u64, Vec<String>, String, String)>>(&mut redis)
        .await
        .unwrap()
        .into_iter()
        .map(|(id, at, micros, words, ..)| (id, at, micros, words))
        .collect();
    let slowest = slow.iter().max_by_key(|(_, _, micros, _)| *micros);
    let name = slowest.map(|(_, _, micros, words)| (*micros, words.iter().take(2).cloned().collect::<Vec<_>>()));
    eprintln!(
        "preview: {took:?}, {} leftovers, about {} bytes; run: {} ms, {} deleted, {} bytes freed; {} commands over 1 ms, the \
         slowest (µs) {name:?}",
        preview.counts.total(),
        preview.estimated_freed,
        log.duration_ms,
        log.total_deleted,
        log.freed_memory,
        slow.len()
    );
    assert_eq!(
        (preview.counts.token_ids, preview.counts.metadata, preview.counts.active_users),
        (10_000, 2_000, 2_000)
    );
    assert_eq!((preview.counts.index_entries, preview.items.len()), (10_000, 9_000));
    assert_eq!((log.total_deleted, log.deleted_items.len(), log.deleted_items_left_out), (24_000, 10_000, 14_000));
    // A build for tests, on a machine that others use, too, takes several times what users see; and Redis may be stopped
    // in the middle of any command there.
    assert!(took < Duration::from_secs(15), "{took:?}");
    assert!(slow.iter().filter(|(_, _, micros, _)| *micros > 10_000).count() < 10, "{slow:?}");
    let (estimated, freed) = (preview.estimated_freed, log.freed_memory);
    assert!((freed / 2..=freed * 2).contains(&estimated), "estimated {estimated}, freed {freed}");
}
