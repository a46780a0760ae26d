//! Sessions that an administrator ends: nobody comes in with them, whichever worker they ask.

use anyhow::{Context, bail, ensure};
use e2e::story;
use reqwest::Method;
use serde_json::json;

use super::PEOPLE;
use super::steps::{PAGE, cookie_of, everywhere, signed_in, somebody};
use crate::session_lists::{SESSIONS, admin, rows_of};

#[test]
fn one_session_that_an_administrator_ends_is_refused_by_every_worker_or_all_of_somebody_are() {
    story(&PEOPLE, async |world| {
        let (ann, bob) = (somebody(), somebody());
        let (mut laptop, one) = signed_in(world, &ann).await?;
        let [row] = &rows_of(world, &ann).await?[..] else { bail!("not one session") };
        assert_eq!((&row["address"], &row["agent"]), (&json!("127.0.0.1"), &json!("Mozilla/5.0 (stories)")), "{row}");
        let ((_, two), (_, bobs)) = (signed_in(world, &ann).await?, signed_in(world, &bob).await?);
        // From now on every worker remembers them.
        for cookie in [&one, &two, &bobs] {
            everywhere(world, cookie, 200).await?;
        }
        let key = row["session_key"].as_str().context("no key")?;
        let ended = admin(world, Method::DELETE, &format!("{SESSIONS}/{key}")).await?;
        assert_eq!((&ended["session_key"], &ended["acknowledged"]), (&row["session_key"], &ended["workers"]));
        let answer = everywhere(world, &one, 401).await?;
        assert_eq!(answer.json()?["error"], "Session has been revoked");
        everywhere(world, &two, 200).await?;

        let ended = admin(world, Method::DELETE, &format!("{SESSIONS}/user/{ann}")).await?;
        assert_eq!((&ended["deleted_count"], &ended["acknowledged"]), (&json!(1), &ended["workers"]), "{ended}");
        for cookie in [&one, &two] {
            everywhere(world, cookie, 401).await?;
        }
        everywhere(world, &bobs, 200).await?;
        // They were not banned: the provider knows them, and they are back at once.
        assert_eq!(laptop.open(&world.at(PAGE)).await?.answer.received()?.all("x-forwarded-email"), [ann.as_str()]);
        let anew = cookie_of(world, &laptop)?;
        ensure!(anew != one && anew != two, "an old one");
        everywhere(world, &anew, 200).await.map(drop)
    });
}
