//! Tables of tokens that must be refused.

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use e2e::World;
use e2e::peers::Maker;
use e2e::peers::mint::{Key, KeyOrder, Order, Origin, TokenOrder};
use serde_json::Value;

use super::refusal;

/// A token that must be refused.
pub(super) struct Case {
    what: String,
    token: String,
    /// The reason is one of these.
    codes: &'static [&'static str],
}

impl Case {
    pub(super) fn new(what: impl Into<String>, token: impl Into<String>, codes: &'static [&'static str]) -> Self {
        Self { what: what.into(), token: token.into(), codes }
    }
}

/// Tokens that one maker makes in one go.
pub(super) struct Batch {
    maker: Maker,
    order: Order,
    cases: Vec<Case>,
}

impl Batch {
    pub(super) fn of(maker: Maker) -> Self {
        Self { maker, order: Order::default(), cases: Vec::new() }
    }

    /// One more token, signed with `key`.
    pub(super) fn add(
        &mut self,
        what: impl Into<String>,
        key: &Key,
        (algorithm, header): (&str, Value),
        claims: &Value,
        codes: &'static [&'static str],
    ) {
        let name = self.cases.len().to_string();
        self.order.keys.push(KeyOrder { name: name.clone(), origin: Origin::Known { jwk: key.private.clone() } });
        let (algorithm, claims) = (algorithm.to_owned(), claims.clone());
        self.order.tokens.push(TokenOrder { key: name, algorithm, header, claims, encrypt: false });
        self.cases.push(Case::new(what, "", codes));
    }

    /// The table, made.
    pub(super) fn cases(self) -> Result<Vec<Case>> {
        let tokens = self.maker.make(&self.order)?.tokens;
        ensure!(tokens.len() == self.cases.len(), "{} tokens for {} cases", tokens.len(), self.cases.len());
        Ok(self.cases.into_iter().zip(tokens).map(|(case, token)| Case { token, ..case }).collect())
    }
}

/// Makes sure that every token is refused, for its reason.
pub(super) async fn expect_refusals(world: &World, cases: &[Case]) -> Result<()> {
    ensure!(!cases.is_empty(), "a table without cases");
    for Case { what, token, codes } in cases {
        let code = refusal(world, token).await.with_context(|| what.clone())?;
        ensure!(codes.contains(&code.as_str()), "{what}: {code}, expected one of {codes:?}");
    }
    Ok(())
}

pub(super) fn encoded(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}
