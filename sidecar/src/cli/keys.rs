//! `sekisho keys …`.

use clap::Subcommand;
use serde_json::{Value, json};

use crate::cli::output::{Output, change_text, with_change};
use crate::cli::{Exit, operator};
use crate::domain::error::Failure;
use crate::domain::keyset::SourceName;
use crate::domain::signing::ring::{Ring, When};
use crate::domain::signing::{Algorithm, HS256, Kid, SigningKey, State, Successor};
use crate::domain::time::UnixSeconds;
use crate::service::Services;
use crate::service::encryption::Lost;
use crate::service::keysets::overview::Overview;
use crate::service::signing_keys::{Patience, Rotated};

mod encryption;
mod sources;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List the keys of the token API, the oldest first, and say which one signs; and the identity providers with
    /// the keys that they publish.
    List,
    /// Make a key. It is published at once and waits to sign.
    Add {
        /// EdDSA or ES256.
        #[arg(long, value_parser = str::parse::<Algorithm>)]
        algorithm: Algorithm,
    },
    /// Let the next key sign, or a new one, once every filter knows it. Tokens of the key before go on.
    Rotate {
        /// EdDSA, ES256, or HS256 for `JWT_SECRET`. Default: the key that has waited for longest, or one like that
        /// which signs now.
        #[arg(long, value_parser = str::parse::<Successor>)]
        algorithm: Option<Successor>,
        /// Do not wait until every filter knows the key.
        #[arg(long)]
        now: bool,
    },
    /// Have the sidecars fetch the keys of an identity provider within a second, whatever their age.
    Refresh {
        /// The provider's name in `key_sources`.
        name: String,
    },
    /// Retire a key. Waits until every filter refuses its tokens.
    Retire {
        /// Its id.
        kid: String,
        /// Also if tokens of it are valid: they are refused from then on.
        #[arg(long)]
        now: bool,
    },
    /// Seal under the present `REDIS_ENCRYPTION_KEY` what is sealed under one of `SEKISHO_OTHER_ENCRYPTION_KEYS`. Sidecars
    /// may serve meanwhile, if they have both keys. Can be cut off, and run again.
    RotateEncryption {
        /// The key before is lost for good: what is sealed under it stays closed.
        #[arg(long)]
        lost: bool,
    },
}

pub(super) async fn run(command: Command, services: &Services, output: &Output) -> Result<(), Exit> {
    let (keys, now) = (&services.signing_keys, UnixSeconds::now());
    match command {
        Command::List => list(&keys.ring().await?, &services.keysets.overview().await?, now, output),
        Command::Add { algorithm } => {
            let added = keys.add(algorithm, operator(), now).await?;
            let (key, change) = (&added.key, &added.change);
            output.lagging(change);
            output.result(
                || format!("{} ({algorithm}) waits to sign: {}", key.kid, change_text(change)),
                || with_change(json!({"key": key_json(key)}), change),
            );
        }
        Command::Refresh { name } => {
            let source = SourceName::parse(&name).map_err(|error| Failure::invalid("name", error))?;
            services.keysets.refresh(&source).await?;
            let done = || format!("the keys of {source} are fetched within a second; see `sekisho keys list`");
            output.result(done, || json!({"source": source}));
        }
        Command::RotateEncryption { lost } => {
            // Whose canary that is must be certain.
            services.database.must_be_theirs().await?;
            let lost = if lost { Lost::Accept } else { Lost::Refuse };
            encryption::show(&services.encryption.rotate(lost, operator()).await?, output);
        }
        Command::Rotate { algorithm, now: at_once } => {
            let patience = if at_once { Patience::None } else { Patience::UntilKnown };
            let rotated = keys.rotate(algorithm.unwrap_or(Successor::Next), patience, operator(), now).await?;
            return show_rotation(&rotated, output);
        }
        Command::Retire { kid, now: at_once } => {
            let (kid, when) = (Kid::parse(&kid)?, if at_once { When::Now } else { When::Unneeded });
            let change = keys.retire(kid.clone(), when, operator(), now).await?;
            output.lagging(&change);
            output.result(
                || format!("{kid} is retired: {}", change_text(&change)),
                || with_change(json!({"kid": kid}), &change),
            );
        }
    }
    Ok(())
}

fn show_rotation(rotated: &Rotated, output: &Output) -> Result<(), Exit> {
    let (change, key) = (&rotated.change, rotated.key.as_ref());
    let name = key.map_or_else(|| "JWT_SECRET (HS256)".to_owned(), |key| format!("{} ({})", key.kid, key.algorithm));
    let verb = if rotated.signs { "signs from now on" } else { "waits to sign" };
    output.lagging(change);
    output.result(
        || format!("{name} {verb}: {}", change_text(change)),
        || with_change(json!({"signing": rotated.signs, "key": key.map(key_json)}), change),
    );
    if rotated.signs {
        return Ok(());
    }
    output.remark(
        "not rotated yet: filters that do not know the key would refuse its tokens; repeat the command, or add --now",
    );
    Err(Exit::NotReady)
}

fn list(ring: &Ring, providers: &[Overview], now: UnixSeconds, output: &Output) {
    let signing = ring.signing();
    output.result(
        || {
            let secret = signing.is_none().then(|| "JWT_SECRET  HS256  signing".to_owned());
            let keys = ring.keys().iter().map(|key| line(key, now));
            secret.into_iter().chain(keys).chain(providers.iter().map(sources::text)).collect::<Vec<_>>().join("\n")
        },
        || {
            let algorithm = signing.map_or(HS256, |key| key.algorithm.name());
            json!({
                "signs": {"algorithm": algorithm, "kid": signing.map(|key| &key.kid)},
                "count": ring.keys().len(),
                "keys": ring.keys().iter().map(key_json).collect::<Vec<_>>(),
                "sources": providers.iter().map(sources::json).collect::<Vec<_>>(),
            })
        },
    );
}

fn line(key: &SigningKey, now: UnixSeconds) -> String {
    let days = |moment: UnixSeconds| moment.since(now).div_ceil(86_400);
    let note = match (&key.state, key.needed_until()) {
        (State::Verifying { .. }, Some(end)) => format!("  goes in {} days, with its last token", days(end)),
        (State::Verifying { .. }, None) => "  goes by itself: it signed no token".to_owned(),
        _ => String::new(),
    };
    format!("{}  {}  {}{note}", key.kid, key.algorithm, key.state.word())
}

/// As the HTTP API shows it.
fn key_json(key: &SigningKey) -> Value {
    let (since, until) = key.state.signed();
    json!({
        "kid": key.kid,
        "algorithm": key.algorithm,
        "state": key.state.word(),
        "created_at": key.created_at,
        "signing_since": since,
        "signed_until": until,
        "tokens_end": key.tokens_end,
        "public_key": key.public,
    })
}
