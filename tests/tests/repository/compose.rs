//! `docker-compose.yml` and the Dockerfiles agree with the code's own defaults: ports, variables,
//! health checks.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context, Result, ensure};
use e2e::components::repository;
use sekisho_sidecar::config::Settings;
use serde_json::Value;

/// A secret that stands for any `${NAME:?…}`; the name makes each another one.
fn secret(name: &str) -> String {
    format!("{name} of a test, longer than thirty-two bytes")
}

#[test]
fn the_sidecars_variables_are_settings_and_have_no_problems() -> Result<()> {
    let compose = compose()?;
    let known = fs::read_to_string(repository().join("sidecar/src/config/keys.rs"))?;
    for name in ["sidecar-a", "sidecar-b"] {
        let variables = environment(&compose, name)?;
        for variable in variables.keys() {
            assert!(known.contains(&format!("\"{variable}\"")), "{name}: {variable} is no setting of the sidecar");
        }
        let settings = Settings::parse(None, &|variable| variables.get(variable).cloned());
        let settings = settings.map_err(|problems| anyhow::anyhow!("{name}: {problems}"))?;
        assert_eq!(settings.node(), name);
        assert_eq!(settings.redis_url().expose(), b"redis://redis:6379");
        let ops = settings.listen().ops.port();
        let sidecars: Vec<String> = ["sidecar-a", "sidecar-b"].map(|name| format!("http://{name}:{ops}")).into();
        assert_eq!(settings.doctor().sidecars, sidecars);
    }
    Ok(())
}

#[test]
fn the_sidecars_image_opens_the_default_ports_and_asks_the_readiness_check() -> Result<()> {
    let dockerfile = fs::read_to_string(repository().join("sidecar/Dockerfile"))?;
    let listen = defaults()?.listen();
    for (variable, port) in [
        ("SEKISHO_MESH_LISTEN", listen.mesh.port()),
        ("SEKISHO_APP_LISTEN", listen.app.port()),
        ("SEKISHO_OPS_LISTEN", listen.ops.port()),
    ] {
        expect_in(&dockerfile, &format!("{variable}=0.0.0.0:{port}"))?;
    }
    let (mesh, app, ops) = (listen.mesh.port(), listen.app.port(), listen.ops.port());
    expect_in(&dockerfile, &format!("EXPOSE {mesh} {app} {ops}"))?;
    expect_in(&dockerfile, &format!(r#"CMD ["ready", "127.0.0.1:{ops}", "/readyz"]"#))?;
    let upstream = e2e::upstream::DEFAULT_LISTEN;
    let (_, port) = upstream.rsplit_once(':').context("no port")?;
    expect_in(&dockerfile, &format!("ENV UPSTREAM_LISTEN=0.0.0.0:{port}"))?;
    expect_in(&dockerfile, &format!(r#"CMD ["ready", "{upstream}", "/"]"#))
}

#[test]
fn envoys_image_leads_to_the_services_at_their_default_ports() -> Result<()> {
    let dockerfile = fs::read_to_string(repository().join("envoy/Dockerfile"))?;
    let (compose, listen) = (compose()?, defaults()?.listen());
    for (service, port) in [
        ("sidecar-a", listen.mesh.port()),
        ("sidecar-b", listen.mesh.port()),
        ("sidecar-a", listen.app.port()),
        ("sidecar-b", listen.app.port()),
        ("upstream", 9500),
    ] {
        assert!(compose["services"][service].is_object(), "no service is called {service}");
        expect_in(&dockerfile, &format!("={service}:{port}"))?;
    }
    let envoy = envoy()?;
    let admin = &envoy["admin"]["address"]["socket_address"];
    let (address, port) = (admin["address"].as_str().context("no address")?, &admin["port_value"]);
    expect_in(&dockerfile, &format!(r#"CMD ["ready", "{address}:{port}", "/ready"]"#))
}

#[test]
fn envoys_container_has_the_port_and_the_secrets_of_its_configuration() -> Result<()> {
    let (compose, envoy) = (compose()?, envoy()?);
    let listener = &envoy["static_resources"]["listeners"][0];
    let port = &listener["address"]["socket_address"]["port_value"];
    let published = compose["services"]["envoy"]["ports"].to_string();
    assert!(published.contains(&format!(r#":-{port}}}:{port}""#)), "{published} does not publish {port}");

    let variables = environment(&compose, "envoy")?;
    let text = listener.to_string();
    let (_, keys) = text.split_once(r#""host_env_keys":["#).context("no host_env_keys")?;
    for key in keys.split(']').next().unwrap_or_default().split(',').map(|key| key.trim_matches('"')) {
        // Needed by installations with a short secret only.
        assert!(variables.contains_key(key) || key.starts_with("SEKISHO_ALLOW_"), "Envoy's container lacks {key}");
    }
    Ok(())
}

#[test]
fn redis_keeps_what_it_is_told_and_evicts_nothing() -> Result<()> {
    let command = compose()?["services"]["redis"]["command"].to_string();
    for words in [r#""--appendonly","yes""#, r#""--maxmemory-policy","noeviction""#] {
        assert!(command.contains(words), "{command}");
    }
    Ok(())
}

#[test]
fn whoever_is_waited_for_until_healthy_has_a_health_check() -> Result<()> {
    let compose = compose()?;
    let services = compose["services"].as_object().context("no services")?;
    for (name, service) in services {
        for (awaited, how) in service["depends_on"].as_object().into_iter().flatten() {
            assert_eq!(how["condition"], "service_healthy", "{name} → {awaited}");
            let target = services.get(awaited).with_context(|| format!("{name} waits for {awaited}, which is none"))?;
            let dockerfile =
                target["build"]["dockerfile"].as_str().map(|file| fs::read_to_string(repository().join(file)));
            let in_image = dockerfile.transpose()?.is_some_and(|text| text.contains("HEALTHCHECK"));
            assert!(in_image || target["healthcheck"].is_object(), "{awaited} has no health check");
        }
    }
    Ok(())
}

fn defaults() -> Result<Settings> {
    let given = |name: &str| matches!(name, "SEKISHO_MESH_SECRET" | "JWT_SECRET").then(|| secret(name));
    Settings::parse(None, &given).map_err(|problems| anyhow::anyhow!("{problems}"))
}

fn compose() -> Result<Value> {
    yaml("docker-compose.yml")
}

fn envoy() -> Result<Value> {
    yaml("envoy/envoy.yaml")
}

/// A file of the repository.
pub(crate) fn yaml(file: &str) -> Result<Value> {
    let mut value: serde_norway::Value = serde_norway::from_str(&fs::read_to_string(repository().join(file))?)?;
    value.apply_merge()?;
    Ok(serde_norway::from_value(value)?)
}

/// The variables of a service, with what Compose would put for `${NAME:?…}` and `${NAME:-default}`.
fn environment(compose: &Value, service: &str) -> Result<BTreeMap<String, String>> {
    let variables = compose["services"][service]["environment"].as_object();
    let variables = variables.with_context(|| format!("{service} has no environment"))?;
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    Ok(variables.iter().map(|(name, value)| (name.clone(), interpolate(&text(value)))).collect())
}

fn interpolate(text: &str) -> String {
    let Some((before, rest)) = text.split_once("${") else { return text.to_owned() };
    let (inner, after) = rest.split_once('}').unwrap_or((rest, ""));
    let value = match (inner.split_once(":-"), inner.split_once(":?")) {
        (Some((_, default)), _) => default.to_owned(),
        (None, Some((name, _))) => secret(name),
        (None, None) => String::new(),
    };
    format!("{before}{value}{}", interpolate(after))
}

fn expect_in(text: &str, wanted: &str) -> Result<()> {
    ensure!(text.contains(wanted), "`{wanted}` is not in:\n{text}");
    Ok(())
}
