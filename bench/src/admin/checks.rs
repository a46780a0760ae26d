//! What a check costs a sidecar that reads the records in a real Redis.

use anyhow::{Result, ensure};
use bench::figures::{Target, count, figure};
use bench::processes::used_ns;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use sekisho_protocol::activity::Method;
use sekisho_protocol::check::{CheckReply, CheckRequest};
use sekisho_protocol::{PROTOCOL, ReplicaId, Subject, path};
use tokio::time::Instant;

use crate::filling::person;
use crate::scene::{self, Scene};

/// Those that are measured, and before them some that warm everything up.
const CHECKS: u64 = 100_000;
const WARM_UP: u64 = 5_000;
/// Checks at a time: an Envoy asks for whoever it does not know, and does not wait for the others' answers.
const LANES: [usize; 2] = [1, 32];
const LIMIT_US: f64 = 50.0;

/// Measures.
///
/// # Errors
/// A part fails.
pub(crate) async fn run() -> Result<()> {
    let scene = Scene::start().await?;
    count("checks", CHECKS);
    for lanes in LANES {
        ask(&scene, WARM_UP, lanes).await?;
        let (process, begin) = (scene.process().await?, Instant::now());
        let before = used_ns(process)?;
        ask(&scene, CHECKS, lanes).await?;
        let used = used_ns(process)? - before;
        figure(&format!("checks_per_second_{lanes}_at_a_time"), CHECKS as f64 / begin.elapsed().as_secs_f64(), "1/s");
        let (name, each) = (format!("check_cpu_{lanes}_at_a_time"), used as f64 / CHECKS as f64 / 1_000.0);
        if lanes == 1 {
            // More than half of it is the kernel's, which puts a sidecar to sleep twice that has nothing else to do.
            figure(&name, each, "µs");
        } else {
            Target::new(&name, each, LIMIT_US, "µs").print();
        }
    }
    Ok(())
}

/// Each check is about somebody else.
async fn ask(scene: &Scene, checks: u64, lanes: usize) -> Result<()> {
    let (client, url) = (scene::envoy()?, format!("http://127.0.0.1:{}{}", scene.sidecar.ports().mesh, path::CHECK));
    let all = stream::iter((0..checks).map(async |number| {
        let question = CheckRequest {
            protocol: PROTOCOL,
            replica: ReplicaId::from_bytes([7; 16]),
            route: "llm".to_owned(),
            subject: Subject::try_from(person(number))?,
            method: Method::Jwt,
            token_id: Some(format!("00000000-0000-4000-8000-{number:012}")),
            issued_at: Some(e2e::token::now()),
            keys: None,
            recent_sign_in: false,
        };
        let answer = client.post(&url).bearer_auth(&scene.keys.mesh).json(&question).send().await?;
        ensure!(answer.status() == 200, "{answer:?}");
        answer.json::<CheckReply>().await?;
        Ok(())
    }));
    all.buffer_unordered(lanes).try_collect().await
}
