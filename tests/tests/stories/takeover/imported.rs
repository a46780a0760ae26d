//! What `sekisho import` makes of the old gateway's files, and a world that runs on it.

use std::fs::read_to_string;

use anyhow::{Context, Result, ensure};
use e2e::World;
use serde_json::Value;

/// How the old gateway's oauth2-proxy calls its cookie.
pub(super) const COOKIE: &str = "_llm_session";
/// Who may do everything. In no other world is it somebody else than [`e2e::world::ADMIN`].
pub(super) const CHIEF: &str = "chief@example.com";
/// What the sidecars of other worlds are told; here the old gateway's files must say it.
const REPLACED: [&str; 3] = ["JWT_SECRET", "REDIS_URL", "SUPER_ADMIN_EMAIL"];

/// Our configuration.
pub(super) struct Imported {
    /// The environment of the sidecars.
    sidecars: Vec<(String, String)>,
    /// The filter's `sessions`.
    sessions: Value,
}

/// Its environment, with the secrets that the Envoy of `world` has, too.
fn env(world: &World) -> String {
    let (jwt, port) = (&world.keys.jwt, world.redis.port());
    format!(
        "JWT_SECRET=\"{jwt}\"\nREDIS_HOST=127.0.0.1\nREDIS_PORT={port}\nSUPER_ADMIN_EMAIL={CHIEF}\n\
         ADMIN_EMAILS=deputy@example.com\nADMIN_DOMAINS=ops.example.com\nCLEANUP_LOG_RETENTION_DAYS=12\n\
         LITELLM_SHARED_KEY=sk-shared # of all\n"
    )
}

/// What its oauth2-proxy is told.
fn cfg(world: &World) -> String {
    let secret = &world.keys.cookies;
    format!(
        "provider = \"oidc\"\noidc_issuer_url = \"https://sso.example.com/\"\nclient_id = \"gateway\"\n\
         client_secret = \"known to sso.example.com\"\nredirect_url = \"https://llm.example.com/oauth2-proxy/callback\"\n\
         proxy_prefix = \"/oauth2-proxy\"\nemail_domains = [\"example.com\"]\nsession_store_type = \"redis\"\n\
         cookie_name = \"{COOKIE}\"\ncookie_secret = \"{secret}\"\ncookie_expire = \"48h0m0s\"\n"
    )
}

/// Imports the files as docs/migration.md says it.
pub(super) async fn import(world: &World) -> Result<Imported> {
    let path = |name: &str| world.folder().join(name).display().to_string();
    let (old_cfg, old_env, secrets) = (path("oauth2_proxy.cfg"), path("old.env"), path("imported"));
    std::fs::write(&old_cfg, cfg(world))?;
    std::fs::write(&old_env, env(world))?;
    let output = world.a.cli(&["import", &old_cfg, &old_env, "--secrets", &secrets, "--json"]).await?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said: Value = serde_json::from_slice(&output.stdout)?;
    for secret in [&world.keys.jwt, &world.keys.cookies, "known to sso.example.com"] {
        ensure!(!said.to_string().contains(secret), "a secret is shown: {said}");
    }
    // The Envoy of this world has been given that secret: what it gets from the file is the same.
    let envoy =
        said["envoy"]["OAUTH2_PROXY_COOKIE_SECRET"].as_str().with_context(|| format!("not for Envoy: {said}"))?;
    ensure!(read_to_string(envoy)? == world.keys.cookies, "another secret in {envoy}");
    let named =
        |option: &str| said["remarks"].as_array().into_iter().flatten().any(|remark| remark["option"] == option);
    ensure!(named("LITELLM_SHARED_KEY") && named("proxy_prefix"), "not everything is spoken of: {said}");
    let sidecars = said["sidecar"].as_object().with_context(|| format!("no environment in {said}"))?;
    let text = |(name, value): (&String, &Value)| Some((name.clone(), value.as_str()?.to_owned()));
    Ok(Imported { sidecars: sidecars.iter().filter_map(text).collect(), sessions: said["sessions"].clone() })
}

impl Imported {
    /// Starts the sidecars, and gives the filter its part.
    pub(super) async fn take_effect(&self, world: &World) -> Result<()> {
        let imported = self.sidecars.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        // Whatever is not imported leads nowhere, where the default would do as well.
        let settings: Vec<(&str, &str)> = [("REDIS_HOST", "nowhere.invalid")].into_iter().chain(imported).collect();
        tokio::try_join!(world.a.start_instead(&REPLACED, &settings), world.b.start_instead(&REPLACED, &settings))?;
        world.envoy.push_policy(|policy| policy["sessions"] = self.sessions.clone()).await?;
        world.every_worker_has_its_snapshot().await
    }
}
