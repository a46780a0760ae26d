//! `sekisho api`: what it refuses by itself, and how it calls.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::thread::{self, JoinHandle};

use super::*;

/// A server that answers each connection with the next of these texts; none is a connection that breaks off. Gives what
/// it was asked.
fn server(answers: Vec<Option<String>>) -> (String, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let serving = thread::spawn(move || {
        let serve = |answer: Option<String>| {
            let (mut stream, _) = listener.accept().expect("a connection");
            let asked = request(&stream);
            if let Some(answer) = answer {
                stream.write_all(answer.as_bytes()).expect("the client reads");
            }
            asked
        };
        answers.into_iter().map(serve).collect()
    });
    (url, serving)
}

fn request(stream: &TcpStream) -> String {
    let (mut reader, mut text, mut length) = (BufReader::new(stream), String::new(), 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).expect("a line");
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().expect("a number");
        }
        text.push_str(&line);
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).expect("the body");
    text + &String::from_utf8_lossy(&body)
}

fn answer(status: &str, body: &str) -> Option<String> {
    let length = body.len();
    Some(format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\nretry-after: 0\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    ))
}

fn api(url: &str, arguments: &[&str]) -> Ended {
    let mut command = bare(&[&["api"], arguments].concat());
    command.env("SEKISHO_URL", url).env("SEKISHO_TOKEN", "a.secret.token");
    run(command)
}

fn header<'a>(request: &'a str, name: &str) -> Option<&'a str> {
    request.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

#[test]
fn alone_it_lists_every_call_without_any_setting() {
    let listed = run(bare(&["api"]));
    assert_eq!(listed.code, 0, "{}", listed.err);
    let line = listed.out.lines().find(|line| line.contains("/api/admin/sessions/revoke-user")).expect("a line");
    assert!(line.starts_with("POST ") && line.contains("Bans somebody"), "{line}");
    let rows: Value = serde_json::from_str(&run(bare(&["api", "--json"])).out).expect("JSON");
    assert_eq!(rows.as_array().map(Vec::len), Some(listed.out.lines().count()));
}

#[test]
fn what_no_call_takes_is_refused_before_anybody_is_asked() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), "no JSON").expect("the file");
    let at_file = format!("@{}", file.path().display());
    for (arguments, expected) in [
        (&["/api/admin/ban"][..], "/api/admin/ban: is no path of the API; similar ones are /api/admin/bans, "),
        (&["PUT", "/api/admin/bans"], "/api/admin/bans: does not take PUT; say which of GET you mean"),
        (&["/api/admin/sessions/unban/ann@x.org"], "say which of DELETE you mean"),
        (&["/api/admin/keys/rotate"], "say which of POST you mean"),
        (&["/api/token/generate", "-f", "nmae=x"], "-f: nmae: is no field of this call; it has "),
        (
            &["/api/token/generate", "-f", "token_name=x", "-f", "expires_in=soon"],
            "-f: expires_in: `soon` is no integer",
        ),
        (&["/api/admin/bans", "-f", "limit=x"], "-f: limit: `x` is no integer"),
        (&["DELETE", "/api/admin/keys/{kid}"], "-f: kid: is missing"),
        (&["/api/token/generate", "-d", "{"], "-d: is no JSON"),
        (&["/api/token/generate", "-d", &at_file], "-d: is no JSON"),
        (&["/api/token/generate", "-d", "@/nowhere/at/all"], "/nowhere/at/all: cannot be read"),
        (&["/api/admin/keys", "--paginate"], "--paginate: GET /api/admin/keys has no pages"),
        (&["/api/admin/bans?limit=1 2"], "must be percent-encoded"),
    ] {
        let refused = api("http://127.0.0.1:1", arguments);
        assert_eq!(refused.code, 2, "{arguments:?}: {}", refused.err);
        assert!(refused.err.contains(expected), "{arguments:?}: {}", refused.err);
    }
    for (name, value, expected) in [
        ("SEKISHO_URL", "", "SEKISHO_URL: is no URL"),
        ("SEKISHO_URL", "https://ann:secret@x.org", "SEKISHO_URL: must hold no credential"),
        ("SEKISHO_TOKEN", "", "SEKISHO_TOKEN: is no token"),
        ("SEKISHO_TOKEN_FILE", "/nowhere", "SEKISHO_TOKEN: and SEKISHO_TOKEN_FILE are both set"),
    ] {
        let mut command = bare(&["api", "/api/admin/bans"]);
        command.env("SEKISHO_URL", "http://127.0.0.1:1").env("SEKISHO_TOKEN", "a.b.c").env(name, value);
        let refused = run(command);
        assert_eq!(refused.code, 2, "{name}: {}", refused.err);
        assert!(refused.err.contains(expected) && !refused.err.contains("secret"), "{name}: {}", refused.err);
    }
}

#[test]
fn a_call_that_gets_no_answer_is_sent_once_more_with_the_same_key() {
    let running = r#"{"code": "idempotency_in_progress", "detail": "still under way"}"#;
    let (url, serving) = server(vec![None, answer("409 Conflict", running), answer("200 OK", r#"{"success":true}"#)]);
    let done =
        api(&url, &["/api/token/generate", "-f", "token_name=ci", "-f", "expires_in=60", "-f", "scopes=api:read"]);
    assert_eq!((done.code, done.out.as_str()), (0, "{\n  \"success\": true\n}\n"), "{}", done.err);
    assert!(done.err.contains("asking once more") && !done.err.contains("secret"), "{}", done.err);
    let asked = serving.join().expect("the server");
    let keys: Vec<_> = asked.iter().map(|request| header(request, "idempotency-key")).collect();
    assert!(keys[0].is_some_and(|key| key.len() == 36) && keys.iter().all(|key| *key == keys[0]), "{keys:?}");
    for request in &asked {
        assert!(request.starts_with("POST /api/token/generate HTTP/1.1\r\n"), "{request}");
        assert_eq!(header(request, "authorization"), Some("Bearer a.secret.token"));
        let body: Value = serde_json::from_str(request.lines().last().unwrap_or_default()).expect("JSON");
        assert_eq!(body, serde_json::json!({"token_name": "ci", "expires_in": 60, "scopes": ["api:read"]}));
    }
    let gone = api("http://127.0.0.1:1", &["/api/admin/bans"]);
    assert_eq!((gone.code, gone.err.contains("error: no answer from http://127.0.0.1:1")), (1, true), "{}", gone.err);
}

#[test]
fn values_of_a_call_that_reads_go_into_its_query_and_pages_become_one() {
    let page = |ban: &str, next: &str| {
        format!(r#"{{"bans": [{{"user_email": "{ban}"}}], "count": 1, "next_cursor": {next}}}"#)
    };
    let (url, serving) = server(vec![answer("200 OK", &page("a", "\"x y\"")), answer("200 OK", &page("b", "null"))]);
    let done = api(&url, &["--host", "sekisho.localhost", "/api/admin/bans", "-f", "limit=1", "--paginate"]);
    assert_eq!(done.code, 0, "{}", done.err);
    let bans: Value = serde_json::from_str(&done.out).expect("JSON");
    assert_eq!((&bans["count"], &bans["bans"][1]["user_email"]), (&2.into(), &"b".into()), "{bans}");
    let asked = serving.join().expect("the server");
    assert!(asked[0].starts_with("GET /api/admin/bans?limit=1 HTTP/1.1\r\n"), "{}", asked[0]);
    assert!(asked[1].starts_with("GET /api/admin/bans?limit=1&cursor=x+y HTTP/1.1\r\n"), "{}", asked[1]);
    for request in &asked {
        assert_eq!(header(request, "host"), Some("sekisho.localhost"));
        assert_eq!(header(request, "idempotency-key"), None);
    }
}

#[test]
fn a_refusal_is_an_error_with_its_code_and_tells_by_the_exit_code_whose_fault_it_is() {
    for (status, body, code, expected) in [
        (
            "404 Not Found",
            r#"{"code": "not_banned", "detail": "ann is not banned"}"#,
            1,
            "error: ann is not banned (404 not_banned)",
        ),
        (
            "400 Bad Request",
            r#"{"code": "invalid_value", "detail": "limit: is 0"}"#,
            2,
            "error: limit: is 0 (400 invalid_value)",
        ),
        (
            "403 Forbidden",
            r#"{"error": "Admin access only", "user": "ann"}"#,
            1,
            "error: Admin access only (403 http_403)",
        ),
        ("503 Service Unavailable", "no healthy upstream", 1, "error: the answer says no more (503 http_503)"),
    ] {
        let (url, serving) = server(vec![answer(status, body)]);
        let refused = api(&url, &["/api/admin/bans"]);
        assert_eq!((refused.code, refused.err.trim(), refused.out.as_str()), (code, expected, ""), "{status}");
        serving.join().expect("the server");
    }
    let (url, serving) = server(vec![answer("404 Not Found", r#"{"code": "not_banned", "detail": "no"}"#)]);
    let refused = api(&url, &["--json", "DELETE", "/api/admin/sessions/unban/ann@x.org"]);
    assert_eq!(refused.json()["error"]["code"], "not_banned");
    serving.join().expect("the server");
}

#[test]
fn a_body_comes_from_a_file_from_standard_input_or_as_it_is() {
    let body = r#"{"token_name": "n"}"#;
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), body).expect("the file");
    for (data, input) in [(format!("@{}", file.path().display()), ""), ("-".to_owned(), body), (body.to_owned(), "")] {
        let (url, serving) = server(vec![answer("200 OK", "{}")]);
        let mut command = bare(&["api", "/api/token/generate", "-d", &data]);
        command.env("SEKISHO_URL", url).env("SEKISHO_TOKEN", "a.b.c");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary runs");
        child.stdin.take().expect("its input").write_all(input.as_bytes()).expect("it reads");
        assert!(child.wait_with_output().expect("it ends").status.success(), "{data}");
        assert!(serving.join().expect("the server")[0].ends_with(body), "{data}");
    }
}

#[test]
fn an_answer_of_many_lines_is_printed_as_it_comes_and_one_that_breaks_off_fails() {
    let lines = "{\"seq\":2}\n{\"seq\":1}\n";
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/x-ndjson\r\nconnection: close\r\n";
    let whole = format!("{head}content-length: {}\r\n\r\n{lines}", lines.len());
    let broken = format!("{head}content-length: 9999\r\n\r\n{lines}");
    for (answered, expected) in [(whole, 0), (broken, 1)] {
        let (url, serving) = server(vec![Some(answered)]);
        let ended = api(&url, &["/api/admin/audit/export"]);
        assert_eq!((ended.code, ended.out.as_str()), (expected, lines), "{}", ended.err);
        assert_eq!(serving.join().expect("asked once").len(), 1);
    }
    let refusal = r#"{"code": "admin_only", "detail": "no"}"#;
    let (url, serving) = server(vec![answer("403 Forbidden", refusal)]);
    let refused = api(&url, &["/api/admin/audit/export"]);
    assert!(refused.code != 0 && refused.err.contains("admin_only") && refused.out.is_empty(), "{}", refused.err);
    drop(serving);
}
