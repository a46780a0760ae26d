#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;
use crate::head::Head;
use crate::path::readings::Kinds;

fn matches(matcher: &Matcher, host: &str, path: &str, method: &str, headers: &[(&str, &str)]) -> Match {
    let pairs: Vec<(&[u8], &[u8])> = headers.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
    let head = Head {
        pairs: &pairs,
        method: method.as_bytes(),
        path: path.as_bytes(),
        authority: host.as_bytes(),
        ..Head::default()
    };
    matcher.matches(&Target::of(&head, Kinds::default()).unwrap())
}

fn path(path: PathPattern, asked: &str) -> Match {
    matches(&Matcher { path, ..Matcher::default() }, "h", asked, "GET", &[])
}

fn regex(pattern: &str) -> PathPattern {
    PathPattern::Regex(Box::new(PathRegex::new(pattern, false).unwrap()))
}

#[test]
fn a_host_is_matched_as_a_whole_or_by_the_domain_that_it_is_under() {
    let suffix = || HostPattern::Suffix(".example.com".into());
    for (host, asked, expected) in [
        (HostPattern::Any, "anything", true),
        (HostPattern::Exact("a.example.com".into()), "A.Example.COM:8080", true),
        (HostPattern::Exact("a.example.com".into()), "b.example.com", false),
        (suffix(), "a.example.com", true),
        (suffix(), "a.b.example.com", true),
        (suffix(), "example.com", false),
        (suffix(), "badexample.com", false),
        (suffix(), "a.example.com.evil.org", false),
    ] {
        let matcher = Matcher { host, ..Matcher::default() };
        assert_eq!(matches(&matcher, asked, "/", "GET", &[]) == Match::Yes, expected, "{matcher:?} {asked}");
    }
}

#[test]
fn a_path_is_compared_as_its_upstream_reads_it() {
    for (pattern, asked, expected) in [
        (PathPattern::Exact("/a b".into()), "/a%20b", true),
        (PathPattern::Exact("/café".into()), "/caf%C3%A9", true),
        (PathPattern::Exact("/café".into()), "/caf%c3%a9", true),
        (PathPattern::Exact("/a".into()), "/a/", false),
        (PathPattern::Exact("/a".into()), "/a?b", true),
        (PathPattern::Prefix("/@a".into()), "/%40a/b", true),
        (PathPattern::Prefix("/admin".into()), "/admin/x", true),
        (PathPattern::Prefix("/admin".into()), "/administrator", false),
        (PathPattern::Prefix("/v1/".into()), "/v1", false),
        (PathPattern::Prefix("/v1/".into()), "/v1/x", true),
        (PathPattern::Template(Template::parse("/u/{id}").unwrap().into()), "/u/a%20b", true),
    ] {
        let text = format!("{pattern:?} {asked}");
        assert_eq!(path(pattern, asked) == Match::Yes, expected, "{text}");
    }
}

#[test]
fn letters_of_a_path_are_told_apart_unless_the_rule_says_otherwise() {
    const REFUSED: Match = Match::Refused(Malformed::Path(Unusual::Case));
    let patterns: [fn(&str) -> PathPattern; 2] = [|p| PathPattern::Exact(p.into()), |p| PathPattern::Prefix(p.into())];
    for (wanted, ignores_case, asked, expected) in [
        ("/admin", false, "/ADMIN", Match::No),
        ("/admin", true, "/ADMIN", Match::Yes),
        ("/Admin", true, "/admIN", Match::Yes),
        ("/admin", true, "/admi", Match::No),
        ("/admin", true, "/%C3%89", Match::No),
        ("/caf\u{e9}", true, "/CAF%C3%A9", Match::Yes),
        ("/caf\u{e9}", true, "/CAF%C3%89", REFUSED),
        ("/users", true, "/u%C5%BFers", REFUSED),
        ("/kiosk", true, "/%E2%84%AAiosk", REFUSED),
        ("/admin", true, "/adm%C4%B1n", REFUSED),
        ("/admin", true, "/adm%C4%B0n", REFUSED),
        ("/admin", false, "/adm%C4%B0n", Match::No),
        ("/stra\u{df}e", true, "/STRASSE", Match::No),
    ] {
        for pattern in patterns {
            let matcher = Matcher { path: pattern(wanted), ignores_case, ..Matcher::default() };
            assert_eq!(matches(&matcher, "h", asked, "GET", &[]), expected, "{wanted} {ignores_case} {asked}");
        }
    }
    let regex = || PathPattern::Regex(Box::new(PathRegex::new("/users/[a-z]+", true).unwrap()));
    let template = || PathPattern::Template(Template::parse("/users/{id}").unwrap().ignoring_case().into());
    for (asked, expected) in [("/USERS/ann", Match::Yes), ("/u%C5%BFers/ann", REFUSED)] {
        for path in [regex(), template()] {
            let matcher = Matcher { path, ignores_case: true, ..Matcher::default() };
            assert_eq!(matches(&matcher, "h", asked, "GET", &[]), expected, "{matcher:?} {asked}");
        }
    }
}

#[test]
fn a_regular_expression_is_about_the_whole_path() {
    for (pattern, asked, expected) in [
        ("/v[0-9]+/.*", "/v12/x", true),
        ("/v[0-9]+/.*", "/v1", false),
        ("/v[0-9]+/.*", "/x/v1/y", false),
        ("/a|/b", "/b", true),
        ("/a|/b", "/bc", false),
        ("/ab*", "/a", true),
        ("/ab?c", "/ac", true),
        ("(?i)/admin", "/ADMIN", true),
        ("/caf.", "/caf%C3%A9", true),
    ] {
        assert_eq!(path(regex(pattern), asked) == Match::Yes, expected, "{pattern} {asked}");
    }
}

#[test]
fn a_path_that_would_take_a_regular_expression_too_long_is_no_match_and_no_mismatch() {
    let long = format!("/a{}", "b".repeat(REGEX_PATH_MAX_BYTES));
    assert_eq!(path(regex("/a(b|bb)*c"), &long), Match::Refused(Malformed::Path(Unusual::TooLong)));
    assert_eq!(path(regex("/x.*"), &long), Match::No, "what does not even start like it costs nothing");
}

#[test]
fn an_expression_that_is_none_or_too_large_is_refused() {
    for pattern in ["(", "[", "/a)|(?:/b", "(?x)/a #", "a{1000}{1000}", &"(".repeat(40), r"\p{Greek}"] {
        assert!(PathRegex::new(pattern, false).is_err(), "{pattern}");
    }
}

#[test]
fn a_rule_about_get_is_about_head_and_methods_are_told_by_their_case() {
    let get = Matcher { methods: vec!["GET".into(), "POST".into()], ..Matcher::default() };
    for (method, expected) in [("GET", true), ("HEAD", true), ("POST", true), ("PUT", false), ("OPTIONS", false)] {
        assert_eq!(matches(&get, "h", "/", method, &[]) == Match::Yes, expected, "{method}");
    }
    let head = Matcher { methods: vec!["HEAD".into()], ..Matcher::default() };
    assert_eq!(matches(&head, "h", "/", "GET", &[]), Match::No);
}

#[test]
fn e1_a_header_that_upstreams_read_in_several_ways_must_fit_in_all_of_them() {
    const REFUSED: Match = Match::Refused(Malformed::Header);
    type Case<'a> = (fn() -> ValueTest, &'a [(&'a str, &'a str)], Match);
    let cases: &[Case<'_>] = &[
        (|| ValueTest::Present, &[("x-env", "")], Match::Yes),
        (|| ValueTest::Present, &[], Match::No),
        (|| ValueTest::Present, &[("x-env", "a"), ("x-env", "b")], Match::Yes),
        (|| ValueTest::Present, &[("x_env", "a")], REFUSED),
        (|| ValueTest::Present, &[("x-env", "a"), ("x_env", "b")], Match::Yes),
        (|| ValueTest::Absent, &[], Match::Yes),
        (|| ValueTest::Absent, &[("x-env", "")], Match::No),
        (|| ValueTest::Absent, &[("x_env", "1")], REFUSED),
        (|| ValueTest::Equals("prod".into()), &[("x-env", "prod")], Match::Yes),
        (|| ValueTest::Equals("prod".into()), &[("x-env", "PROD")], Match::No),
        (|| ValueTest::Equals("prod".into()), &[("x.env", "prod")], REFUSED),
        (|| ValueTest::Equals("prod".into()), &[("x_env", "test")], Match::No),
        (|| ValueTest::Equals("prod".into()), &[("x-env", "prod"), ("x-env", "test")], REFUSED),
        (|| ValueTest::Equals("prod".into()), &[("x-env", "prod"), ("x_env", "prod")], REFUSED),
        (|| ValueTest::Equals("prod".into()), &[("x-env", "test"), ("x-env", "dev")], Match::No),
        (|| ValueTest::Equals("a,b".into()), &[("x-env", "a"), ("x-env", "b")], REFUSED),
        (|| ValueTest::Equals("a,b".into()), &[("x-env", "a,b")], Match::Yes),
        (|| ValueTest::Prefix("pr".into()), &[("x-env", "prod")], Match::Yes),
        (|| ValueTest::Prefix("pr".into()), &[("x-env", "prod"), ("x-env", "test")], REFUSED),
        (|| ValueTest::Prefix("pr".into()), &[("x-env", "prod"), ("x-env", "pre")], Match::Yes),
        (|| ValueTest::Suffix("od".into()), &[("x-env", "prod")], Match::Yes),
        (|| ValueTest::Suffix("od".into()), &[("x-env", "test"), ("x-env", "prod")], REFUSED),
        (|| ValueTest::Contains("ro".into()), &[("x-env", "prod")], Match::Yes),
        (|| ValueTest::Contains("x".into()), &[("x-env", "prod")], Match::No),
        (|| ValueTest::Contains("a, b".into()), &[("x-env", "a"), ("x-env", "b")], REFUSED),
    ];
    for (value, headers, expected) in cases {
        let test = HeaderTest { name: b"x-env".as_slice().into(), value: value() };
        let text = format!("{test:?} {headers:?}");
        let matcher = Matcher { headers: vec![test], ..Matcher::default() };
        assert_eq!(matches(&matcher, "h", "/", "GET", headers), *expected, "{text}");
    }
}

#[test]
fn a_header_that_can_be_read_in_several_ways_does_not_matter_where_another_test_fails() {
    let test = |name: &str| HeaderTest { name: name.as_bytes().into(), value: ValueTest::Equals("1".into()) };
    let matcher = Matcher {
        methods: vec!["GET".into()],
        headers: vec![test("x-a"), test("x-b")],
        path: PathPattern::Prefix("/p".into()),
        ..Matcher::default()
    };
    let twice = [("x-a", "1"), ("x-a", "2"), ("x-b", "1")];
    for (path, method, headers, expected) in [
        ("/p", "GET", &twice[..], Match::Refused(Malformed::Header)),
        ("/p", "GET", &twice[..2], Match::No),
        ("/p", "PUT", &twice[..], Match::No),
        ("/q", "GET", &twice[..], Match::No),
    ] {
        assert_eq!(matches(&matcher, "h", path, method, headers), expected, "{method} {path} {headers:?}");
    }
}

#[test]
fn a_method_that_servers_could_read_differently_is_no_method() {
    for method in ["get", "Get", "CONNECT", "", "G T"] {
        let head = Head { method: method.as_bytes(), path: b"/", authority: b"h", ..Head::default() };
        assert!(Target::of(&head, Kinds::default()).is_err(), "{method:?}");
    }
}
