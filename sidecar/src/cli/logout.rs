//! `sekisho logout …`.

use sekisho_protocol::Email;
use serde_json::json;

use crate::cli::output::{Output, change_text, with_change};
use crate::cli::{Exit, operator};
use crate::domain::time::UnixSeconds;
use crate::service::logout::Logouts;

pub(super) async fn run(email: Email, logouts: &Logouts, output: &Output) -> Result<(), Exit> {
    let logged_out = logouts.log_out(email.clone().into(), operator(), UnixSeconds::now()).await?;
    let (issued_before, change) = (logged_out.issued_before, &logged_out.change);
    output.lagging(change);
    output.result(
        || format!("{email} is logged out everywhere: {}", change_text(change)),
        || with_change(json!({"user_email": email, "issued_before": issued_before}), change),
    );
    Ok(())
}
