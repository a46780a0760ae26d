//! The binary `sekisho`: everything is in the library, so that tests can reach it.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    sekisho_sidecar::app::run().await
}
