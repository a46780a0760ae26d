use super::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn extract_from(from: &[Place], pairs: &[(&str, &str)]) -> Result<String, NoCredential> {
    let pairs: Vec<(&[u8], &[u8])> = pairs.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
    let places = Places { from: from.to_vec(), ..Places::default() };
    let head = Head::read(&pairs, &crate::head::Forgeable::default());
    let Credential::Token(token) = extract(&places, &head)?;
    check_shape(&token)?;
    Ok(String::from_utf8(token.into_owned()).unwrap())
}

fn several() -> Result<String, NoCredential> {
    Err(NoCredential::Malformed(Malformed::SeveralCredentials))
}

#[test]
fn e4_only_a_recognisable_bearer_token_is_a_credential() {
    let long = format!("Bearer {}", "a".repeat(TOKEN_MAX_BYTES + 1));
    for (value, expected) in [
        ("Bearer abc.d-e_f", Ok("abc.d-e_f")),
        ("bearer abc", Ok("abc")), // RFC 9110 §11.1: the scheme is case-insensitive
        ("BEARER   abc ", Ok("abc")),
        ("Bearer", Err(NoCredential::NotBearer)),
        ("Bearer ", Err(NoCredential::NotBearer)),
        ("Bearer\tabc", Err(NoCredential::NotBearer)),
        ("Bearerabc", Err(NoCredential::Foreign)),
        ("Basic abc", Err(NoCredential::Foreign)),
        ("Bearer a b", Err(NoCredential::NotBearer)),
        ("Bearer \u{e9}", Err(NoCredential::NotBearer)),
        ("", Err(NoCredential::Foreign)),
        ("Bearer a,Bearer b", Err(NoCredential::Malformed(Malformed::SeveralCredentials))),
        (&long, Err(NoCredential::Invalid(Invalid::TooLong))),
    ] {
        let found = extract_from(&Places::default().from, &[("authorization", value)]);
        assert_eq!(found, expected.map(str::to_owned), "{value:?}");
    }
    assert_eq!(extract_from(&Places::default().from, &[]), Err(NoCredential::Missing));
}

#[test]
fn e1_a_repeated_credential_header_is_malformed_even_with_equal_values() {
    let twice = [("authorization", "Bearer a"), ("authorization", "Bearer a")];
    assert_eq!(extract_from(&Places::default().from, &twice), several());
}

#[test]
fn e4_a_token_is_read_in_each_place_of_the_route_and_in_no_other() {
    let places = [
        Place::Scheme { header: b"authorization".as_slice().into(), scheme: "DPoP".into() },
        Place::Header { header: b"x-token".as_slice().into(), prefix: "tok-".into() },
        Place::Header { header: b"x-plain".as_slice().into(), prefix: String::new() },
        Place::Query("access_token".into()),
        Place::Cookie("jwt".into()),
    ];
    for (headers, expected) in [
        (&[("authorization", "dpop a.b.c")][..], Ok("a.b.c".to_owned())),
        (&[("authorization", "Bearer a.b.c")], Err(NoCredential::Foreign)),
        (&[("x-token", "tok-a.b.c")], Ok("a.b.c".into())),
        (&[("x-token", "TOK-a.b.c")], Err(NoCredential::NotBearer)),
        (&[("x-plain", " a.b.c ")], Ok("a.b.c".into())),
        (&[(":path", "/?access_token=a.b.c")], Ok("a.b.c".into())),
        (&[("cookie", "x=1; jwt=a.b.c")], Ok("a.b.c".into())),
        (&[("cookie", "session=a.b.c"), ("x-other", "a.b.c")], Err(NoCredential::Missing)),
        // The same one twice is one; two different ones are a riddle.
        (&[("x-plain", "a.b.c"), ("cookie", "jwt=a.b.c"), (":path", "/?access_token=a.b.c")], Ok("a.b.c".into())),
        (&[("x-plain", "a.b.c"), ("cookie", "jwt=a.b.d")], several()),
        (&[("cookie", "jwt=a.b.c; jwt=a.b.d")], several()),
        (&[("cookie", "jwt=a.b.c; jwt=a.b.c")], Ok("a.b.c".into())),
        (&[(":path", "/?access_token=a.b.c&access_token=a.b.d")], several()),
        (&[("x-plain", "a.b.c"), ("x-plain", "a.b.c")], several()),
        // An API key beside a token is no token, and one alone is a bad one.
        (&[("x-plain", "sk-123"), ("cookie", "jwt=a.b.c")], Ok("a.b.c".into())),
        (&[("x-plain", "sk-123")], Ok("sk-123".into())),
    ] {
        assert_eq!(extract_from(&places, headers), expected, "{headers:?}");
    }
}
