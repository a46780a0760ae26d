//! Who is told of what, and in which words.

use serde_json::{Value, json};

use super::*;
use crate::domain::audit::{By, Outcome};

fn event(action: Action, target: Option<&str>) -> Event {
    let mut event = Event::begun("id-1".into(), 1_795_289_539_104, action, By::caller("root@x.org"), target);
    event.outcome = Outcome::Done;
    event
}

fn webhook(events: Option<&[&str]>) -> Webhook {
    Webhook {
        name: WebhookName::parse("ops").unwrap(),
        target: Target::new(Url::parse("https://hooks.example:8443/T0/secret?key=1").unwrap()),
        format: Format::Slack,
        events: events.map(|texts| texts.iter().map(|text| Pattern::parse(text).unwrap()).collect()),
        per_minute: 60,
        timeout: Duration::from_secs(5),
    }
}

#[test]
fn a_webhook_is_told_of_what_its_patterns_name() {
    for (patterns, action, expected) in [
        (Some(&["ban.*"][..]), Action::BanGiven, true),
        (Some(&["ban.*"][..]), Action::TokenReused, false),
        (Some(&["ban.given", "token.issued"][..]), Action::TokenIssued, true),
        (Some(&["ban.given"][..]), Action::BanLifted, false),
        (Some(&["*"][..]), Action::TokenIssued, true),
        (Some(&[][..]), Action::BanGiven, false),
        (None, Action::BanLifted, true),
        (None, Action::CleanupRun, true),
        (None, Action::TokenReused, true),
        (None, Action::AccessRefused, false),
        (Some(&["access.refused"][..]), Action::AccessRefused, true),
        (None, Action::TokenIssued, false),
        (None, Action::AuditPruned, false),
    ] {
        assert_eq!(webhook(patterns).wants(&event(action, None)), expected, "{patterns:?} {action:?}");
    }
    for nothing in ["", "bans", "ban", "ban*", "ban.*.x", "**", "nothing.*"] {
        assert_eq!(Pattern::parse(nothing), None, "{nothing}");
    }
}

#[test]
fn a_test_is_for_the_webhook_that_it_names_and_no_webhook_is_told_that_it_fails() {
    for (action, target, expected) in [
        (Action::WebhookTested, "ops", true),
        (Action::WebhookTested, "other", false),
        (Action::WebhookGivenUp, "ops", false),
        (Action::WebhookGivenUp, "other", true),
    ] {
        assert_eq!(webhook(None).wants(&event(action, Some(target))), expected, "{action:?} {target}");
        let all = webhook(Some(&["*"]));
        assert_eq!(all.wants(&event(action, Some(target))), expected, "{action:?} {target}");
    }
    assert!(webhook(Some(&["ban.*"])).wants(&event(Action::WebhookTested, Some("ops"))));
}

#[test]
fn of_where_it_is_only_the_host_is_shown() {
    let shown = format!("{:?}", webhook(None));
    assert!(shown.contains("hooks.example:8443") && !shown.contains("secret") && !shown.contains("key"), "{shown}");
}

#[test]
fn a_generic_message_is_the_event_with_its_type_and_its_time() {
    let format = Format::Generic(SigningSecret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap());
    let event = event(Action::BanGiven, Some("ann@x.org"));
    let body: Value = serde_json::from_str(&message::body(&format, &event)).unwrap();
    assert_eq!(body, json!({"type": "ban.given", "timestamp": "2026-11-21T19:32:19.104Z", "data": event}), "{body}");
    assert_eq!(body["data"]["id"], "id-1");
}

#[test]
fn a_message_for_slack_is_a_sentence_in_which_nothing_from_outside_is_markup() {
    let mut event = event(Action::TokenReused, Some("<!channel>&ann@x.org"));
    event.outcome = Outcome::Refused;
    event.tell("reason", "<https://evil.example|click>");
    event.tell("count", 3);
    event.tell("nested", json!({"a": 1}));
    let body: Value = serde_json::from_str(&message::body(&Format::Slack, &event)).unwrap();
    assert_eq!(
        body,
        json!({"text": ":rotating_light: *token reused* &lt;!channel&gt;&amp;ann@x.org (refused), by root@x.org; \
                        reason: &lt;https://evil.example|click&gt;; count: 3."})
    );
}
