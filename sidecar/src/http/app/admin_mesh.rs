//! `/api/admin/mesh`: which filters listen to the feed, and how far each is, for administrators.

use axum::Json as JsonBody;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::app::Api;
use crate::http::app::answer::{AdminRefusals, Answer, ValueRefusals};
use crate::http::app::caller::Reader;
use crate::http::app::request::{Paging, Query};
use crate::service::mesh::{Condition, Counts, Overview, Seen};

/// Shows every filter worker on record, by node and number.
#[utoipa::path(get, path = "/api/admin/mesh", tag = "admin", params(Paging),
    responses((status = 200, description = "The mesh", body = MeshInfo),
        AdminRefusals, ValueRefusals))]
pub(super) async fn show(
    State(api): State<Api>,
    _: Reader,
    Query(paging): Query<Paging>,
) -> Answer<JsonBody<MeshInfo>> {
    let overview = api.mesh.overview(&paging.window()?).await?;
    Ok(JsonBody(MeshInfo::from(overview)))
}

/// The mesh.
#[derive(Serialize, ToSchema)]
pub(crate) struct MeshInfo {
    /// The numbering to which versions belong; `null` if Redis lost it.
    epoch: Option<String>,
    /// The feed's version.
    version: u64,
    states: States,
    workers: Vec<WorkerInfo>,
    /// How many there are in this answer.
    count: usize,
    /// How many there could have been.
    limit: usize,
    /// `cursor` of the next call, if there is more.
    next_cursor: Option<String>,
}

/// How many workers are in each state, those of other pages among them.
#[derive(Serialize, ToSchema)]
struct States {
    /// They poll, and hold the feed's version.
    live: usize,
    /// They poll, and read a snapshot.
    loading: usize,
    /// They poll, and hold an older version, or one of another epoch.
    lagging: usize,
    /// They do not poll, and check every request.
    fenced: usize,
    /// They do not poll, and may let requests pass unchecked.
    silent: usize,
}

impl From<&Counts> for States {
    fn from(counts: &Counts) -> Self {
        let of = |condition| counts.get(&condition).copied().unwrap_or_default();
        Self {
            live: of(Condition::Live),
            loading: of(Condition::Loading),
            lagging: of(Condition::Lagging),
            fenced: of(Condition::Fenced),
            silent: of(Condition::Silent),
        }
    }
}

/// A filter worker.
#[derive(Serialize, ToSchema)]
struct WorkerInfo {
    /// Its Envoy's node id.
    node: String,
    /// Its number within that Envoy, from 1; 0 if nobody knows.
    worker: u32,
    /// Its id.
    replica: String,
    /// `live`, `loading`, `lagging`, `fenced` or `silent`, as in `states`.
    state: &'static str,
    /// The version that it holds; `null` while it reads a snapshot.
    version: Option<u64>,
    /// How many versions it is behind; `null` if it holds none of this epoch.
    lag: Option<u64>,
    /// How old what it holds was when it polled, by its own account; `null` without a snapshot.
    age_ms: Option<u64>,
    /// From which age on it counts itself as stale.
    staleness_ms: u32,
    /// Whether it checks every request then. If not, its silence makes every change lag.
    fences: bool,
    /// How long ago it polled, by Redis's clock.
    seen_ms: u64,
    /// Bytes of its VM's memory.
    memory_bytes: u64,
    /// How many entries it holds.
    entries: u64,
    /// The filter's version.
    build: String,
    /// The sidecar that it polled.
    sidecar: String,
}

impl From<Overview> for MeshInfo {
    fn from(overview: Overview) -> Self {
        let page = overview.workers.map(WorkerInfo::from);
        Self {
            epoch: overview.epoch.map(String::from),
            version: overview.version.get(),
            states: States::from(&overview.counts),
            count: page.rows.len(),
            workers: page.rows,
            limit: page.limit,
            next_cursor: page.next,
        }
    }
}

impl From<Seen> for WorkerInfo {
    fn from(seen: Seen) -> Self {
        let presence = seen.worker.presence;
        Self {
            node: presence.node,
            worker: presence.worker,
            replica: presence.replica.into(),
            state: seen.condition.word(),
            version: presence.holds.map(|holds| holds.version.get()),
            lag: seen.lag,
            age_ms: presence.age_ms,
            staleness_ms: presence.staleness_ms,
            fences: presence.fences,
            seen_ms: seen.seen_ms,
            memory_bytes: presence.memory_bytes,
            entries: presence.entries,
            build: presence.build,
            sidecar: presence.sidecar,
        }
    }
}
