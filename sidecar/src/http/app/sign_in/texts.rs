//! What the pages say, in each language.

use sekisho_core::answer::language::Language;
use sekisho_protocol::feed::FOREVER;

/// The pages that there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    SignIn,
    SignOut,
    SignedOut,
    Banned { left: Left },
    Stale,
    Refused,
    NotAllowed,
    Unverified,
    TooWeak,
    Unusable,
    Untrusted,
    Unavailable,
    NotHere,
}

/// For how long somebody is banned still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Left {
    seconds: Option<u64>,
}

impl Left {
    /// What is left at `now_s` of a ban until `until`, Unix seconds.
    pub(super) fn until(until: u64, now_s: u64) -> Self {
        Self { seconds: (until < FOREVER).then(|| until.saturating_sub(now_s)) }
    }

    /// For people: full days and hours, or minutes, rounded up, so that nobody comes back too early.
    fn text(self, language: Language) -> String {
        let Some(seconds) = self.seconds else {
            return match language {
                Language::English => "The ban has no end.".to_owned(),
                Language::Japanese => "この利用停止に期限はありません。".to_owned(),
            };
        };
        let minutes = seconds.div_ceil(60);
        let (days, hours, rest) = (minutes / 1_440, minutes % 1_440 / 60, minutes % 60);
        match (language, days, hours) {
            (Language::English, 0, 0) => format!("It ends in {}.", counted(rest, "minute")),
            (Language::English, 0, _) if rest == 0 => format!("It ends in {}.", counted(hours, "hour")),
            (Language::English, 0, _) => {
                format!("It ends in {} and {}.", counted(hours, "hour"), counted(rest, "minute"))
            }
            (Language::English, _, 0) => format!("It ends in {}.", counted(days, "day")),
            (Language::English, ..) => format!("It ends in {} and {}.", counted(days, "day"), counted(hours, "hour")),
            (Language::Japanese, 0, 0) => format!("あと {rest} 分で解除されます。"),
            (Language::Japanese, 0, _) if rest == 0 => format!("あと {hours} 時間で解除されます。"),
            (Language::Japanese, _, 0) => format!("あと {days} 日で解除されます。"),
            (Language::Japanese, 0, _) => format!("あと {hours} 時間 {rest} 分で解除されます。"),
            (Language::Japanese, ..) => format!("あと {days} 日 {hours} 時間で解除されます。"),
        }
    }
}

fn counted(number: u64, one: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {one}s") }
}

/// The words of a page.
pub(super) struct Texts {
    pub(super) title: &'static str,
    pub(super) message: String,
    /// What its button says, if it has one.
    pub(super) button: Option<&'static str>,
}

impl Kind {
    /// Its words.
    pub(super) fn texts(self, language: Language) -> Texts {
        match language {
            Language::English => self.english(),
            Language::Japanese => self.japanese(),
        }
    }

    fn english(self) -> Texts {
        const AGAIN: Option<&str> = Some("Sign in again");
        let (title, message, button) = match self {
            Self::SignIn => ("Sign in", "You need to sign in to go on.", Some("Sign in")),
            Self::SignOut => ("Sign out", "Do you want to sign out?", Some("Sign out")),
            Self::SignedOut => ("Signed out", "You are signed out.", AGAIN),
            Self::Banned { left } => {
                let message = format!("You cannot sign in: your access is suspended. {}", left.text(Language::English));
                return Texts { title: "Access suspended", message, button: None };
            }
            Self::Stale => (
                "Please sign in again",
                "This sign-in took too long, was finished already, or was begun in another browser.",
                AGAIN,
            ),
            Self::Refused => ("Not signed in", "The sign-in service did not sign you in.", AGAIN),
            Self::NotAllowed => ("No access", "Your account may not sign in here.", Some("Use another account")),
            Self::Unverified => (
                "No access",
                "The sign-in service has not confirmed that your e-mail address is yours.",
                Some("Use another account"),
            ),
            Self::TooWeak => (
                "A second factor is needed",
                "You may sign in here only with a stronger method, such as a second factor.",
                AGAIN,
            ),
            Self::Unusable => {
                ("Not signed in", "What the sign-in service says about your account cannot be used here.", None)
            }
            Self::Untrusted => ("Not signed in", "The answer of the sign-in service could not be verified.", AGAIN),
            Self::Unavailable => (
                "Try again shortly",
                "Nobody can sign in at the moment. Please try again in a minute.",
                Some("Try again"),
            ),
            Self::NotHere => ("Nothing here", "Nobody can sign in at this address.", None),
        };
        Texts { title, message: message.to_owned(), button }
    }

    fn japanese(self) -> Texts {
        const AGAIN: Option<&str> = Some("もう一度サインイン");
        let (title, message, button) = match self {
            Self::SignIn => ("サインイン", "続けるにはサインインが必要です。", Some("サインイン")),
            Self::SignOut => ("サインアウト", "サインアウトしますか。", Some("サインアウト")),
            Self::SignedOut => ("サインアウトしました", "サインアウトしました。", AGAIN),
            Self::Banned { left } => {
                let message =
                    format!("サインインできません。利用が停止されています。{}", left.text(Language::Japanese));
                return Texts { title: "利用停止中", message, button: None };
            }
            Self::Stale => (
                "もう一度サインインしてください",
                "サインインに時間がかかりすぎたか、すでに完了しているか、別のブラウザで始められたものです。",
                AGAIN,
            ),
            Self::Refused => ("サインインできませんでした", "認証サービスがサインインを許可しませんでした。", AGAIN),
            Self::NotAllowed => {
                ("アクセスできません", "このアカウントではサインインできません。", Some("別のアカウントを使う"))
            }
            Self::Unverified => (
                "アクセスできません",
                "メールアドレスがご本人のものであることを、認証サービスが確認していません。",
                Some("別のアカウントを使う"),
            ),
            Self::TooWeak => {
                ("二要素認証が必要です", "サインインには、二要素認証などのより強い認証が必要です。", AGAIN)
            }
            Self::Unusable => {
                ("サインインできませんでした", "認証サービスから受け取ったアカウント情報を利用できません。", None)
            }
            Self::Untrusted => ("サインインできませんでした", "認証サービスの応答を検証できませんでした。", AGAIN),
            Self::Unavailable => (
                "しばらくしてからお試しください",
                "現在サインインできません。少し待ってからもう一度お試しください。",
                Some("もう一度試す"),
            ),
            Self::NotHere => ("ページがありません", "このアドレスではサインインできません。", None),
        };
        Texts { title, message: message.to_owned(), button }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ban_says_for_how_long() {
        for (seconds, english, japanese) in [
            (1, "It ends in 1 minute.", "あと 1 分で解除されます。"),
            (61, "It ends in 2 minutes.", "あと 2 分で解除されます。"),
            (3_600, "It ends in 1 hour.", "あと 1 時間で解除されます。"),
            (604_800, "It ends in 7 days.", "あと 7 日で解除されます。"),
            (90_000, "It ends in 1 day and 1 hour.", "あと 1 日 1 時間で解除されます。"),
        ] {
            let left = Left::until(1_000 + seconds, 1_000);
            assert_eq!(
                (left.text(Language::English).as_str(), left.text(Language::Japanese).as_str()),
                (english, japanese)
            );
        }
        assert_eq!(Left::until(FOREVER, 1_000).text(Language::English), "The ban has no end.");
    }
}
