//! What becomes of an event after an attempt.

use super::*;

const DAY_MS: u64 = 86_400_000;

fn letter(attempts: u64, first_at_ms: u64) -> Letter {
    Letter { event_id: "e".into(), body: "{}".into(), attempts, first_at_ms, holder: "h".into() }
}

fn failed(is_final: bool, retry_after_s: Option<u64>) -> Result<(), Undelivered> {
    let retry_after = retry_after_s.map(Duration::from_secs);
    Err(Undelivered { why: "no answer\u{1b} in time".into(), is_final, retry_after })
}

fn put_off(until_ms: u64, pause_until_ms: Option<u64>) -> Settlement {
    Settlement::PutOff { until_ms, pause_until_ms, failure: "no answer in time".into() }
}

#[test]
fn what_fails_is_tried_again_until_a_day_is_over_and_as_patiently_as_the_receiver_asks() {
    let given_up = Settlement::GivenUp { failure: "no answer in time".into() };
    let now_ms = 10 * DAY_MS;
    for (attempts, first_at_ms, sent, expected) in [
        (1, now_ms, Ok(()), Settlement::Delivered),
        (1, now_ms, failed(false, None), put_off(now_ms + 5_000, None)),
        (3, now_ms, failed(false, None), put_off(now_ms + 20_000, None)),
        (1, now_ms, failed(false, Some(60)), put_off(now_ms + 60_000, Some(now_ms + 60_000))),
        (4, now_ms, failed(false, Some(1)), put_off(now_ms + 40_000, Some(now_ms + 1_000))),
        (1, now_ms, failed(false, Some(u64::MAX)), put_off(now_ms + 3_600_000, Some(now_ms + 3_600_000))),
        (1, now_ms, failed(true, None), given_up.clone()),
        (9, now_ms - DAY_MS, failed(false, None), given_up.clone()),
        (1, now_ms - DAY_MS + 5_000, failed(false, None), put_off(now_ms + 5_000, None)),
        (1, now_ms - DAY_MS + 4_999, failed(false, None), given_up),
    ] {
        assert_eq!(settle(&letter(attempts, first_at_ms), sent.clone(), now_ms, 0), expected, "{attempts} {sent:?}");
    }
}
