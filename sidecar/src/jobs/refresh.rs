//! Asks the identity provider about the owners of sessions for whom that is due ([`crate::service::sign_in::refresh`]).

use tokio_util::sync::CancellationToken;

use crate::service::sign_in::SignIn;
use crate::service::sign_in::refresh::Due;

/// Asks until `closing`.
pub async fn run(sign_in: SignIn, due: Due, closing: CancellationToken) {
    tokio::select! {
        () = sign_in.refresh_all(due) => {}
        () = closing.cancelled() => {}
    }
}
