//! Keys of the token API's own: tokens of a new key are accepted by every worker before the first of them is
//! minted, tokens of an old key until they end, and tokens of a key that is retired now by no worker.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use e2e::wire::{Connection, RawRequest};
use e2e::world::{APP_HOST, Roles};
use e2e::{Answer, Plan, Shared, Token, User, World, poll, story};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// What is told to A reaches the workers only through Redis and B.
static SPLIT: Shared = Shared::in_turn(|| Plan { roles: Roles::Split, ..Plan::default() });

/// How many clients ask for tokens and use them at once.
const CLIENTS: usize = 6;
/// How many requests pass between two rotations.
const BETWEEN: u64 = 300;
const KEYS: &str = "/api/admin/keys";
const JWKS: &str = "/.well-known/jwks.json";

#[test]
fn rotations_under_load_refuse_no_request_and_tokens_from_before_go_on() {
    story(&SPLIT, async |world| {
        let mut load = Load::start(world);
        load.go_on_for(BETWEEN).await?;
        let mut kids = Vec::new();
        for algorithm in ["EdDSA", "ES256", "EdDSA", "HS256", "ES256"] {
            let rotated = rotate(world, json!({"algorithm": algorithm})).await?;
            expect_acknowledged_by_all(world, &rotated);
            kids.push(rotated["key"]["kid"].as_str().map(str::to_owned));
            // The very first token of the key, on every worker.
            let minted = mint(world, &world.user().token).await?;
            assert_eq!((minted.algorithm.as_str(), &minted.kid), (algorithm, &rotated_kid(&rotated)));
            for connection in &mut world.connections_to_every_worker().await? {
                assert_eq!(connection.send(&llm(&minted.text)).await?.status, 200, "{algorithm}");
            }
            load.go_on_for(BETWEEN).await?;
        }
        let minted = load.stop().await?;
        let by_key: Vec<&Option<String>> = minted.keys().collect();
        for kid in &kids {
            assert!(by_key.contains(&kid), "no token of {kid:?} was among those of the load: {minted:?}");
        }
        Ok(())
    });
}

#[test]
fn a_key_that_is_retired_now_is_refused_by_every_worker_once_that_is_acknowledged() {
    story(&SPLIT, async |world| {
        let User { token, .. } = world.user();
        for (algorithm, other) in [("EdDSA", "ES256"), ("ES256", "EdDSA")] {
            rotate(world, json!({"algorithm": algorithm})).await?;
            let (stolen, sister) = (mint(world, &token).await?, mint(world, &token).await?);
            rotate(world, json!({"algorithm": other})).await?;
            let kept = mint(world, &token).await?;
            for text in [&stolen.text, &kept.text, &token.text()] {
                world.everywhere(&llm(text), |answer| answer.status == 200).await?;
            }
            let mut open = world.connections_to_every_worker().await?;

            let path = format!("{KEYS}/{}", stolen.kid.as_deref().context("no kid")?);
            let admin = world.admin_token();
            let refused = world.app(Method::DELETE, &path, &admin, None).await?;
            assert_eq!(refused.json_with(409)?["code"], "key_needed");
            let retired = world.app(Method::DELETE, &format!("{path}?now=true"), &admin, None).await?.json_with(200)?;
            expect_acknowledged_by_all(world, &retired);
            // The very first requests of each connection after the acknowledgement: a token that the worker has
            // verified before, and one that it has never seen.
            for connection in &mut open {
                for token in [&stolen, &sister] {
                    assert_eq!(connection.send(&llm(&token.text)).await?.status, 401, "{algorithm}");
                }
            }
            for text in [&stolen.text, &sister.text] {
                world.everywhere(&llm(text), |answer| answer.status == 401).await?;
            }
            for text in [&kept.text, &token.text()] {
                world.everywhere(&llm(text), |answer| answer.status == 200).await?;
            }
        }
        Ok(())
    });
}

#[test]
fn the_public_keys_are_for_everybody_and_name_the_key_of_every_token() {
    story(&SPLIT, async |world| {
        rotate(world, json!({"algorithm": "ES256"})).await?;
        let minted = mint(world, &world.user().token).await?;
        let kid = minted.kid.context("no kid")?;
        let request = RawRequest::to_host("GET", JWKS, APP_HOST);
        // An answer from before is given again for a second.
        let answer = poll::until("the key is in the set", Duration::from_secs(3), async || {
            let answer = world.raw(&request.clone().bytes()).await?;
            let set = answer.json_with(200)?;
            let has_key = set["keys"].as_array().is_some_and(|keys| keys.iter().any(|key| key["kid"] == *kid));
            ensure!(has_key, "{set}");
            Ok(answer)
        })
        .await?;
        let private = ["d", "k", "p", "q"];
        let set = answer.json()?;
        for key in set["keys"].as_array().context("no keys")? {
            assert!(private.iter().all(|name| key.get(name).is_none()), "{key}");
        }
        assert_eq!(answer.header("cache-control"), Some("public, max-age=300"));
        let etag = answer.header("etag").context("no etag")?;
        let again = world.raw(&request.header("if-none-match", etag).bytes()).await?;
        assert_eq!(again.status, 304, "{again:?}");
        Ok(())
    });
}

#[test]
fn the_command_line_rotates_and_retires_like_the_api() {
    story(&SPLIT, async |world| {
        let rotated = cli(world, &["keys", "rotate", "--algorithm", "EdDSA", "--json"]).await?;
        let kid = rotated["key"]["kid"].as_str().context("no kid")?;
        let text = world.b.cli(&["token", "issue", "--email", &world.user().email]).await?;
        let text = String::from_utf8(text.stdout)?.trim().to_owned();
        assert_eq!(Minted::parse(text.clone())?.kid.as_deref(), Some(kid));
        world.everywhere(&llm(&text), |answer| answer.status == 200).await?;
        cli(world, &["keys", "rotate", "--algorithm", "HS256", "--json"]).await?;
        let retired = cli(world, &["keys", "retire", kid, "--now", "--json"]).await?;
        expect_acknowledged_by_all(world, &retired);
        world.everywhere(&llm(&text), |answer| answer.status == 401).await?;
        Ok(())
    });
}

/// A token of the API.
#[derive(Debug)]
struct Minted {
    text: String,
    algorithm: String,
    kid: Option<String>,
}

impl Minted {
    fn parse(text: String) -> Result<Self> {
        let header = URL_SAFE_NO_PAD.decode(text.split('.').next().unwrap_or_default())?;
        let header: Value = serde_json::from_slice(&header)?;
        let word = |name: &str| header[name].as_str().map(str::to_owned);
        Ok(Self { algorithm: word("alg").context("no alg")?, kid: word("kid"), text })
    }
}

async fn mint(world: &World, token: &Token) -> Result<Minted> {
    let body = json!({"token_name": "story"});
    let minted = world.app(Method::POST, "/api/token/generate", token, Some(&body)).await?.json_with(200)?;
    Minted::parse(minted["token"].as_str().context("no token")?.to_owned())
}

async fn rotate(world: &World, body: Value) -> Result<Value> {
    let path = format!("{KEYS}/rotate");
    let rotated = world.app(Method::POST, &path, &world.admin_token(), Some(&body)).await?.json_with(200)?;
    ensure!(rotated["signing"] == true, "{rotated}");
    Ok(rotated)
}

fn rotated_kid(rotated: &Value) -> Option<String> {
    rotated["key"]["kid"].as_str().map(str::to_owned)
}

async fn cli(world: &World, arguments: &[&str]) -> Result<Value> {
    let output = world.a.cli(arguments).await?;
    ensure!(output.status.success(), "{output:?}");
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn llm(token: &str) -> Vec<u8> {
    RawRequest::new("GET", "/v1/models").header("authorization", format!("Bearer {token}")).bytes()
}

fn expect_acknowledged_by_all(world: &World, answer: &Value) {
    let machines: usize = world.envoys.iter().map(|envoy| envoy.machines()).sum();
    assert_eq!((&answer["workers"], &answer["acknowledged"]), (&json!(machines), &json!(machines)), "{answer}");
    assert_eq!((&answer["lagging"], &answer["fenced"]), (&json!([]), &json!(0)), "{answer}");
}

/// Clients who ask the API for a token, use it on two connections beside one that they have had from the beginning,
/// and ask for the next one: nearly every request carries a token that no worker has seen.
struct Load {
    stop: watch::Sender<bool>,
    answered: watch::Receiver<u64>,
    clients: JoinSet<Result<BTreeMap<Option<String>, usize>>>,
}

impl Load {
    fn start(world: &World) -> Self {
        let ((stop, stopped), (count, answered)) = (watch::channel(false), watch::channel(0));
        let mut clients = JoinSet::new();
        for _ in 0..CLIENTS {
            let client = Client { edge: world.envoy.edge(), token: world.user().token };
            clients.spawn(client.ask(stopped.clone(), count.clone()));
        }
        Self { stop, answered, clients }
    }

    /// Waits until `more` requests have passed.
    async fn go_on_for(&mut self, more: u64) -> Result<()> {
        let until = *self.answered.borrow() + more;
        tokio::select! {
            waited = self.answered.wait_for(|answered| *answered >= until) => waited.map(drop).context("the load has ended"),
            Some(ended) = self.clients.join_next() => ended?.map(drop).and_then(|()| Err(anyhow::anyhow!("a client left"))),
        }
    }

    /// Ends it: how many of its tokens each key has signed.
    async fn stop(mut self) -> Result<BTreeMap<Option<String>, usize>> {
        self.stop.send_replace(true);
        let mut total = BTreeMap::new();
        while let Some(ended) = self.clients.join_next().await {
            for (kid, count) in ended?? {
                *total.entry(kid).or_default() += count;
            }
        }
        Ok(total)
    }
}

struct Client {
    edge: std::net::SocketAddr,
    token: Token,
}

impl Client {
    async fn ask(
        self,
        stopped: watch::Receiver<bool>,
        count: watch::Sender<u64>,
    ) -> Result<BTreeMap<Option<String>, usize>> {
        let mut connections = [Connection::open(self.edge).await?, Connection::open(self.edge).await?];
        let (mut api, mut by_key) = (Connection::open(self.edge).await?, BTreeMap::new());
        while !*stopped.borrow() {
            let minted = self.mint(&mut api).await?;
            for connection in &mut connections {
                for text in [&minted.text, &self.token.text()] {
                    let answer = connection.send(&llm(text)).await?;
                    ensure!(answer.status == 200, "a token of {:?} was refused: {answer:?}", minted.kid);
                    count.send_modify(|count| *count += 1);
                }
            }
            *by_key.entry(minted.kid).or_default() += 1;
        }
        Ok(by_key)
    }

    async fn mint(&self, api: &mut Connection) -> Result<Minted> {
        let body = json!({"token_name": "load"}).to_string();
        let mut request = RawRequest::to_host("POST", "/api/token/generate", APP_HOST)
            .header("authorization", self.token.bearer())
            .header("content-type", "application/json")
            .header("content-length", body.len().to_string())
            .bytes();
        request.extend(body.as_bytes());
        let answer: Answer = api.send(&request).await?;
        Minted::parse(answer.json_with(200)?["token"].as_str().context("no token")?.to_owned())
    }
}
