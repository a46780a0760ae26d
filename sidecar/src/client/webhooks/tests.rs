//! Receivers as they should be, and as they should not.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap as Headers, Response as Answer};
use axum::routing::post;
use futures_util::stream;
use tokio::net::TcpListener;
use url::Url;

use super::*;
use crate::domain::webhook::signature::SigningSecret;
use crate::domain::webhook::{Target, WebhookName};

type Heard = Arc<Mutex<Vec<(Headers, String)>>>;

/// A receiver that answers everything with `answer`, and what it has heard.
async fn receiver(answer: fn() -> Answer<Body>) -> (String, Heard) {
    let heard = Heard::default();
    let hear = move |State(heard): State<Heard>, headers: Headers, body: Bytes| async move {
        heard.lock().unwrap().push((headers, String::from_utf8(body.to_vec()).unwrap()));
        answer()
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook/very-secret?key=very-secret", listener.local_addr().unwrap());
    let router = Router::new().fallback(post(hear)).with_state(Arc::clone(&heard));
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (url, heard)
}

fn webhook(url: &str, format: Format) -> Webhook {
    Webhook {
        name: WebhookName::parse("ops").unwrap(),
        target: Target::new(Url::parse(url).unwrap()),
        format,
        events: None,
        per_minute: 60,
        timeout: Duration::from_millis(500),
    }
}

async fn deliver(webhook: &Webhook) -> Result<(), Undelivered> {
    let message = Message { id: "event-1", at_s: 1_614_265_330, body: r#"{"test": 2432232314}"#.to_owned() };
    HttpCourier::default().deliver(webhook, message).await
}

fn empty(status: u16, headers: &[(&str, &str)]) -> Answer<Body> {
    let mut answer = Answer::builder().status(status);
    for (name, value) in headers {
        answer = answer.header(*name, *value);
    }
    answer.body(Body::empty()).unwrap()
}

#[tokio::test]
async fn a_message_arrives_with_its_id_its_time_and_a_signature_over_all_of_it() {
    let secret = SigningSecret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
    let (url, heard) = receiver(|| empty(204, &[])).await;
    deliver(&webhook(&url, Format::Generic(secret.clone()))).await.unwrap();
    let heard = heard.lock().unwrap();
    let [(headers, body)] = heard.as_slice() else { panic!("{heard:?}") };
    let header = |name: &str| headers[name].to_str().unwrap();
    assert_eq!((header("webhook-id"), header("webhook-timestamp")), ("event-1", "1614265330"));
    assert_eq!(header("webhook-signature"), secret.sign("event-1", 1_614_265_330, body).unwrap());
    assert_eq!((header("content-type"), body.as_str()), ("application/json", r#"{"test": 2432232314}"#));
    assert!(header("user-agent").starts_with("sekisho/"));
}

#[tokio::test]
async fn slack_gets_no_signature() {
    let (url, heard) = receiver(|| empty(200, &[])).await;
    deliver(&webhook(&url, Format::Slack)).await.unwrap();
    assert!(heard.lock().unwrap()[0].0.keys().all(|name| !name.as_str().starts_with("webhook-")));
}

#[tokio::test]
async fn what_a_receiver_answers_says_whether_and_when_to_try_again() {
    for (answer, is_final, retry_after_s) in [
        ((|| empty(500, &[])) as fn() -> Answer<Body>, false, None),
        (|| empty(500, &[("retry-after", "7")]), false, None),
        (|| empty(400, &[]), false, None),
        (|| empty(301, &[("location", "http://127.0.0.1:1/elsewhere")]), false, None),
        (|| empty(307, &[("location", "/elsewhere")]), false, None),
        (|| empty(410, &[]), true, None),
        (|| empty(429, &[("retry-after", "7")]), false, Some(7)),
        (|| empty(503, &[("retry-after", "soon")]), false, None),
        (|| empty(503, &[("retry-after", "Wed, 21 Oct 2015 07:28:00 GMT")]), false, Some(0)),
    ] {
        let (url, heard) = receiver(answer).await;
        let failure = deliver(&webhook(&url, Format::Slack)).await.unwrap_err();
        assert_eq!((failure.is_final, failure.retry_after.map(|wait| wait.as_secs())), (is_final, retry_after_s));
        assert_eq!(failure.why, format!("the answer has the status {}", answer().status().as_u16()));
        assert_eq!(heard.lock().unwrap().len(), 1, "no redirect is followed: {failure:?}");
    }
}

#[tokio::test]
async fn an_answer_that_never_ends_holds_up_nothing_and_a_failure_never_tells_the_url() {
    let endless = || Answer::new(Body::from_stream(stream::repeat_with(|| Ok::<_, std::io::Error>(vec![b'x'; 4_096]))));
    let silent = || Answer::new(Body::from_stream(stream::pending::<Result<Vec<u8>, std::io::Error>>()));
    for answer in [endless as fn() -> Answer<Body>, silent] {
        deliver(&webhook(&receiver(answer).await.0, Format::Slack)).await.unwrap();
    }
    for url in [
        "http://127.0.0.1:1/very-secret?very-secret",
        "https://127.0.0.1:1/very-secret",
        "http://nobody.invalid/very-secret",
    ] {
        let failure = deliver(&webhook(url, Format::Slack)).await.unwrap_err();
        assert!(!failure.is_final && !failure.why.contains("very-secret"), "{failure:?}");
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/very-secret", listener.local_addr().unwrap());
    let failure = deliver(&webhook(&url, Format::Slack)).await.unwrap_err();
    assert_eq!(failure.why, "no answer in time");
}

#[test]
fn a_date_is_as_good_as_a_number_of_seconds() {
    let wait = |text: &str| {
        let headers = HeaderMap::from_iter([(RETRY_AFTER, text.parse().unwrap())]);
        retry_after(&headers, 1_445_412_470_000).map(|wait| wait.as_secs())
    };
    for (text, expected) in [
        ("120", Some(120)),
        ("Wed, 21 Oct 2015 07:28:00 GMT", Some(10)),
        ("Wed, 21 Oct 2015 07:27:00 GMT", Some(0)),
        ("-1", None),
        ("", None),
    ] {
        assert_eq!(wait(text), expected, "{text}");
    }
}
