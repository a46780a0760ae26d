//! Keys come over TLS, from whom the system's certificate authorities vouch for.

use std::path::Path;
use std::sync::Arc;

use rcgen::{CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use redis::AsyncCommands;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use super::*;

/// A certificate authority of this test's own.
fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new([]).expect("no names");
    params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("a certificate")
}

/// A provider on `localhost`, for which `authority` vouches: its port. It ends with the test.
async fn provider(authority: &CertifiedIssuer<'static, KeyPair>) -> u16 {
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(["localhost".to_owned()]).expect("a name");
    let certificate = params.signed_by(&key, authority).expect("a certificate");
    let private = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
    let config = ServerConfig::builder().with_no_client_auth();
    let config = config.with_single_cert(vec![certificate.der().clone()], private).expect("a configuration");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let body = json!({"keys": [{"kty": "EC", "kid": "over-tls", "crv": "P-256",
        "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4", "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}]})
    .to_string();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let answer =
                format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let _ = stream.read(&mut [0; 4_096]).await;
                let _ = stream.write_all(answer.as_bytes()).await;
                let _ = stream.shutdown().await;
            });
        }
    });
    port
}

/// What is on record about a source, once anybody has tried to fetch its keys.
async fn record(redis: &RedisServer, source: &str) -> Value {
    let deadline = Instant::now() + Duration::from_secs(15);
    loop {
        let found: Option<String> =
            redis.client().shared().get(format!("sekisho:keyset:{{{source}}}")).await.expect("an answer");
        if let Some(text) = found {
            return serde_json::from_str(&text).expect("JSON");
        }
        assert!(Instant::now() < deadline, "nobody fetches the keys of {source}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A sidecar on a system whose authorities are those in the file.
fn start(redis: &RedisServer, sources: &str, authorities: &Path) -> Sidecar {
    let none = authorities.with_extension("none");
    let text = |path: &Path| path.to_str().expect("text").to_owned();
    let (file, folder) = (text(authorities), text(&none));
    Sidecar::start(
        &redis.url(),
        &[("SEKISHO_KEY_SOURCES", sources), ("SSL_CERT_FILE", &file), ("SSL_CERT_DIR", &folder)],
    )
}

fn write(path: &Path, authority: &CertifiedIssuer<'static, KeyPair>) {
    std::fs::write(path, authority.as_ref().pem()).expect("a file");
}

#[tokio::test]
async fn keys_come_over_tls_from_whom_the_systems_authorities_vouch_for_and_from_nobody_else() {
    let (redis, folder) = (RedisServer::start().await, tempfile::tempdir().expect("a folder"));
    let (known, unknown) = (authority("known"), authority("unknown"));
    let file = folder.path().join("authorities.pem");
    write(&file, &known);
    let (good, bad) = (provider(&known).await, provider(&unknown).await);
    let sources = json!([
        {"name": "good", "jwks_uri": format!("https://localhost:{good}/keys")},
        {"name": "elsewhere", "jwks_uri": format!("https://127.0.0.1:{good}/keys")},
        {"name": "bad", "jwks_uri": format!("https://localhost:{bad}/keys")},
    ])
    .to_string();
    let _sidecar = start(&redis, &sources, &file);
    assert_eq!(record(&redis, "good").await["keys"][0]["kid"], "over-tls");
    for (source, expected) in [("bad", "UnknownIssuer"), ("elsewhere", "not valid for name")] {
        let record = record(&redis, source).await;
        assert_eq!(record["keys"], json!([]), "{source}");
        let failure = record["origin"]["failure"].as_str().expect("a reason");
        assert!(failure.contains(expected), "{source}: {failure}");
    }
}

#[tokio::test]
async fn a_system_without_certificate_authorities_says_so_and_does_the_rest() {
    let (redis, folder) = (RedisServer::start().await, tempfile::tempdir().expect("a folder"));
    let empty = folder.path().join("empty.pem");
    std::fs::write(&empty, "").expect("a file");
    let sources = json!([{"name": "idp", "jwks_uri": "https://localhost:1/keys"}]).to_string();
    let sidecar = start(&redis, &sources, &empty);
    sidecar.until("/readyz", 200).await;
    let record = record(&redis, "idp").await;
    let failure = record["origin"]["failure"].as_str().expect("a reason");
    assert!(failure.starts_with("HTTPS cannot be used: "), "{failure}");
}
