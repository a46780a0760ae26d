//! The signing keys: who may see and change them, and what everybody may see.

use jwt_simple::prelude::{ECDSAP256PublicKeyLike, ES256PublicKey, Ed25519PublicKey, EdDSAPublicKeyLike};
use sekisho_core::identity::key::published;

use super::*;
use crate::testing::ENCRYPTION_KEY;

const KEYS: &str = "/api/admin/keys";
const ROTATE: &str = "/api/admin/keys/rotate";
const JWKS: &str = "/.well-known/jwks.json";

async fn world() -> World {
    World::with(&[("REDIS_ENCRYPTION_KEY", ENCRYPTION_KEY), ("ADMIN_EMAILS", "admin@x.org")]).await
}

async fn rotate(world: &World, request: Value) -> Answer {
    world.root(Method::POST, ROTATE, Some(request)).await
}

async fn delete(world: &World, kid: &Value, query: &str) -> Answer {
    world.root(Method::DELETE, &format!("{KEYS}/{}{query}", kid.as_str().unwrap()), None).await
}

async fn jwks(world: &World, etag: Option<&str>) -> Answer {
    let mut request = Request::get(JWKS);
    if let Some(etag) = etag {
        request = request.header(header::IF_NONE_MATCH, etag);
    }
    world.send(request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn keys_are_added_rotated_listed_and_retired_by_the_super_admin() {
    let world = world().await;
    let none = world.root(Method::GET, KEYS, None).await;
    assert_eq!(none.body, json!({"signs": {"algorithm": "HS256", "kid": null}, "keys": [], "count": 0, "sources": []}));

    let added = world.root(Method::POST, KEYS, Some(json!({"algorithm": "ES256"}))).await;
    let own = json!({"message": "Key added successfully", "key": added.body["key"], "added_by": ROOT});
    added.is(200, &changed(own, &added.body));
    assert_eq!(added.body["key"]["state"], "next");
    let kid = added.body["key"]["kid"].clone();

    let rotated = rotate(&world, json!({})).await;
    let own = json!({"message": "Keys rotated successfully", "key": rotated.body["key"], "signing": true, "rotated_by": ROOT});
    rotated.is(200, &changed(own, &rotated.body));
    assert_eq!(rotated.body["key"]["kid"], kid);

    let token = world.issue("ci").await;
    let listed = world.root(Method::GET, KEYS, None).await.body;
    assert_eq!(listed["signs"], json!({"algorithm": "ES256", "kid": kid}));
    let shown =
        ["algorithm", "created_at", "kid", "public_key", "signed_until", "signing_since", "state", "tokens_end"];
    assert_eq!(keys(&listed["keys"][0]), shown);
    assert_eq!(listed["keys"][0]["tokens_end"], token["expires_at"]);
    assert!(!listed.to_string().contains("sealed") && listed["keys"][0]["public_key"].get("d").is_none());

    delete(&world, &kid, "?now=true").await.is_problem(409, "key_signs");
    assert_eq!(rotate(&world, json!({"algorithm": "EdDSA"})).await.status, StatusCode::OK);
    delete(&world, &kid, "").await.is_problem(409, "key_needed");
    let retired = delete(&world, &kid, "?now=true").await;
    let own = json!({"message": "Key retired successfully", "kid": kid, "retired_by": ROOT});
    retired.is(200, &changed(own, &retired.body));
    delete(&world, &kid, "?now=true").await.is_problem(404, "key_not_found");

    let back = rotate(&world, json!({"algorithm": "HS256"})).await;
    assert_eq!((back.status, &back.body["key"], &back.body["signing"]), (StatusCode::OK, &Value::Null, &json!(true)));
}

#[tokio::test]
async fn administrators_see_the_keys_and_only_the_super_admin_changes_them() {
    let world = world().await;
    let admin = json!("admin@x.org");
    let calls = [
        (Method::GET, KEYS, None, true),
        (Method::POST, KEYS, Some(json!({"algorithm": "EdDSA"})), false),
        (Method::POST, ROTATE, Some(json!({"algorithm": "EdDSA"})), false),
        (Method::DELETE, "/api/admin/keys/k?now=true", None, false),
    ];
    for (method, path, body, is_read) in calls {
        let nobody = Request::builder().method(&method).uri(path).body(Body::empty()).unwrap();
        world.send(nobody).await.is_problem(401, "unauthenticated");
        for (who, scopes) in [(ANN, &["admin"][..]), (ROOT, &["api:read", "api:write"])] {
            let answer = world.call(who, scopes, method.clone(), path, body.clone()).await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{method} {path} by {who}");
            assert_eq!(answer.body, json!({"error": "Admin access only", "user": who}));
        }
        let answer = world.call(admin.as_str().unwrap(), &["admin"], method.clone(), path, body).await;
        if is_read {
            assert_eq!(answer.status, StatusCode::OK, "{method} {path}");
        } else {
            answer.is_problem(403, "super_admin_only");
        }
    }
    assert_eq!(world.root(Method::GET, KEYS, None).await.body["count"], 0, "nothing was changed");
}

#[tokio::test]
async fn a_bad_request_changes_nothing() {
    let world = world().await;
    for (path, body, status, code) in [
        (KEYS, json!({}), 400, "invalid_body"),
        (KEYS, json!({"algorithm": "HS256"}), 400, "invalid_value"),
        (KEYS, json!({"algorithm": "none"}), 400, "invalid_value"),
        (ROTATE, json!({}), 400, "invalid_value"),
        (ROTATE, json!({"algorithm": "eddsa"}), 400, "invalid_value"),
        (ROTATE, json!({"algorithm": "HS256"}), 409, "secret_signs"),
        (ROTATE, json!({"now": "yes"}), 400, "invalid_body"),
    ] {
        world.root(Method::POST, path, Some(body)).await.is_problem(status, code);
    }
    world.root(Method::DELETE, "/api/admin/keys/k?now=maybe", None).await.is_problem(400, "invalid_value");
    world.root(Method::DELETE, "/api/admin/keys/a%20b", None).await.is_problem(404, "key_not_found");
    assert_eq!(world.root(Method::GET, KEYS, None).await.body["count"], 0);
}

#[tokio::test]
async fn without_an_encryption_key_the_super_admin_is_told_how_to_make_one() {
    let world = World::start().await;
    for (path, body) in [(KEYS, json!({"algorithm": "EdDSA"})), (ROTATE, json!({"algorithm": "ES256"}))] {
        let answer = world.root(Method::POST, path, Some(body)).await;
        answer.is_problem(409, "no_encryption_key");
        assert!(answer.body["detail"].as_str().unwrap().contains("openssl rand -hex 32"), "{}", answer.body);
    }
    assert_eq!(world.issue("ci").await["success"], true, "JWT_SECRET goes on");
}

#[tokio::test]
async fn the_public_keys_are_for_everybody_and_verify_every_token() {
    let world = world().await;
    let of_assertions = json!(published(MESH_SECRET.as_bytes()));
    let empty = jwks(&world, None).await;
    assert_eq!((empty.status, &empty.body), (StatusCode::OK, &json!({"keys": of_assertions})));
    assert_eq!(empty.media_type, "application/jwk-set+json");
    assert_eq!(empty.headers[header::CACHE_CONTROL], "public, max-age=300");

    let mut tokens = Vec::new();
    for algorithm in ["EdDSA", "ES256"] {
        assert_eq!(rotate(&world, json!({"algorithm": algorithm})).await.status, StatusCode::OK);
        tokens.push(world.issue("ci").await["token"].as_str().unwrap().to_owned());
    }
    // The answer before is given again for a second.
    tokio::time::sleep(std::time::Duration::from_millis(1_050)).await;
    let answer = jwks(&world, None).await;
    let set = &answer.body["keys"];
    assert_eq!(set.as_array().map(Vec::len), Some(4), "{set}");
    assert_eq!([&set[2], &set[3]], [&of_assertions[0], &of_assertions[1]]);
    assert_eq!(keys(&set[0]), ["alg", "crv", "kid", "kty", "use", "x"]);
    assert_eq!(keys(&set[1]), ["alg", "crv", "kid", "kty", "use", "x", "y"]);
    let ed = Ed25519PublicKey::from_jwk(&set[0].to_string()).unwrap();
    let es = ES256PublicKey::from_jwk(&set[1].to_string()).unwrap();
    assert_eq!(ed.verify_token::<Value>(&tokens[0], None).unwrap().custom["user_email"], ANN);
    assert_eq!(es.verify_token::<Value>(&tokens[1], None).unwrap().custom["user_email"], ANN);

    let etag = answer.headers[header::ETAG].to_str().unwrap();
    assert_ne!(answer.headers[header::ETAG], empty.headers[header::ETAG]);
    let known = jwks(&world, Some(etag)).await;
    assert_eq!((known.status, &known.body), (StatusCode::NOT_MODIFIED, &Value::Null));
    assert_eq!(
        (&known.headers[header::ETAG], &known.headers[header::CACHE_CONTROL]),
        (&answer.headers[header::ETAG], &answer.headers[header::CACHE_CONTROL])
    );
    assert_eq!(jwks(&world, Some("\"other\"")).await.status, StatusCode::OK);
}

#[tokio::test]
async fn without_redis_the_keys_cannot_be_seen_and_a_refusal_is_kept_by_no_cache() {
    let mut world = world().await;
    world.redis.stop();
    let answer = jwks(&world, None).await;
    answer.is_problem(503, "unavailable");
    assert_eq!(answer.headers[header::CACHE_CONTROL], "no-store");
    world.root(Method::GET, KEYS, None).await.is_problem(503, "unavailable");
    rotate(&world, json!({"algorithm": "EdDSA"})).await.is_problem(503, "unavailable");
}

#[tokio::test]
async fn whoever_asks_for_a_token_is_not_told_why_it_can_not_be_signed() {
    let world = world().await;
    rotate(&world, json!({"algorithm": "EdDSA"})).await;
    let _: () = world.redis.client().shared().hset("sekisho:signing_keys", "end|x", 1).await.unwrap();
    let ring: std::collections::BTreeMap<String, String> =
        world.redis.client().shared().hgetall("sekisho:signing_keys").await.unwrap();
    let (field, text) = ring.iter().find(|(field, _)| field.starts_with("key|")).unwrap();
    let damaged = text.replace(r#""sealed":""#, r#""sealed":"A"#);
    let _: () = world.redis.client().shared().hset("sekisho:signing_keys", field, damaged).await.unwrap();
    let answer = world.user(Method::POST, "/api/token/generate", Some(json!({"token_name": "n"}))).await;
    answer.is_problem(503, "key_closed");
    assert!(!answer.body.to_string().contains(field.trim_start_matches("key|")), "{}", answer.body);
    let list = world.user(Method::GET, "/api/token/list", None).await;
    assert_eq!(list.body["count"], 0, "nothing is on record of a token that never was");
}

#[tokio::test]
async fn identity_providers_are_listed_with_their_keys_and_what_is_wrong() {
    let sources = r#"[{"name":"idp","issuer":"https://idp.x.org"},{"name":"new","file":"/nowhere"}]"#;
    let world = World::with(&[("SEKISHO_KEY_SOURCES", sources)]).await;
    let key = crate::test_provider::key("a");
    let origin = json!({"fetched_at_ms": 1, "failure": "timed out", "left_out": 2});
    let record = json!({"revision": 7, "keys": [key], "origin": origin}).to_string();
    let _: () = world.redis.client().shared().set("sekisho:keyset:{idp}", record).await.unwrap();
    let listed = world.root(Method::GET, KEYS, None).await.body["sources"].take();
    assert!(listed[0]["age_s"].as_u64().unwrap() > 1_000_000);
    let of_it = ["age_s", "failure", "keys", "left_out", "place", "revision", "source", "standing"];
    assert_eq!(keys(&listed[0]), of_it);
    let shown =
        |n: usize| json!([listed[n]["source"], listed[n]["place"], listed[n]["standing"], listed[n]["revision"]]);
    assert_eq!(shown(0), json!(["idp", "issuer https://idp.x.org", "unreachable", 7]));
    assert_eq!(listed[0]["keys"], json!([{"kid": "a", "kty": "EC", "crv": "P-256", "alg": "ES256"}]));
    assert_eq!((&listed[0]["failure"], &listed[0]["left_out"]), (&json!("timed out"), &json!(2)));
    assert_eq!(shown(1), json!(["new", "file /nowhere", "unknown", 0]));
    assert_eq!((listed.as_array().unwrap().len(), &listed[1]["age_s"]), (2, &Value::Null));
}
