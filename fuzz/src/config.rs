//! A filter's configuration, as an operator or a control plane may write it.
//!
//! Whatever it holds: it is a policy or a list of problems, each with its place; and the same text is read
//! the same again.

use sekisho_core::config::Policy;

/// What the environment holds.
const SECRET: &str = "8fK2-vQ9x_Tz4bLw0Rm7-Ycn5Ugh1Jdp3SeA6Xio";

pub(crate) fn run(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let environment = |name: &str| match name.len() {
        0..=8 => Some(SECRET.into()),
        9 => Some("short".into()),
        _ => None,
    };
    match (Policy::parse(text, &environment), Policy::parse(text, &environment)) {
        (Ok(policy), Ok(again)) => {
            assert_eq!(policy.key_set, again.key_set);
            assert!(!policy.providers.is_empty() && policy.routes.iter().next().is_some());
            assert!(policy.mesh.staleness_ms >= 1_000 && policy.mesh.max_checks > 0);
        }
        (Err(problems), Err(again)) => {
            assert!(!problems.is_empty() && problems == again);
            assert!(problems.iter().all(|problem| !problem.path.is_empty() && !problem.message.is_empty()));
            let listed = problems.iter().map(ToString::to_string).collect::<String>();
            // Problems quote what was written, so a text that holds the secret itself would prove nothing.
            assert!(text.contains(SECRET) || !listed.contains(SECRET), "a secret is shown");
        }
        _ => panic!("the same text was read in two ways"),
    }
}
