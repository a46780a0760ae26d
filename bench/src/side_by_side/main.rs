//! Sets Sekisho beside what people use now: `bench` measures everything and writes `docs/performance.md`;
//! `bench quick [VARIANT…]` measures some variants for a moment and writes nothing; `bench calls` only counts the calls
//! between Envoy and the filter.
//!
//! It prints figures and what they are held against (see [`bench::figures`]), and ends with 0 even if a target is
//! missed: a machine that does other things meanwhile is no fault of the code. It fails if a part fails, or lets
//! somebody in who has no business there.

#![expect(clippy::cast_precision_loss, reason = "what is counted is far below what a float can count")]
#![expect(clippy::indexing_slicing, reason = "JSON is read and written by `value[\"field\"]`")]

mod calls;
mod client;
mod configuration;
mod cpu;
mod crossings;
mod crowd;
mod flood;
mod memory;
mod page;
mod people;
mod proof;
mod rounds;
mod rows;
mod scene;
mod statistics;
mod targets;
mod tokens;
mod traffic;
mod upstream;
mod variant;

use anyhow::{Result, bail};
use bench::figures::{Target, figure};
use e2e::story::runtime;

use crate::page::Findings;
use crate::rounds::Extent;
use crate::rows::Row;
use crate::scene::Scene;
use crate::statistics::{Times, median};
use crate::tokens::{Algorithm, TRAVELLERS};
use crate::traffic::Traffic;

/// A whole run.
const ALONE: Extent = Extent { rounds: 100, requests: 150, warm_up: 20 };
const CROWDED: Extent = Extent { rounds: 9, requests: 3_000, warm_up: 300 };
const FLOODS: usize = 15;
/// A quick one.
const QUICK: Extent = Extent { rounds: 40, requests: 100, warm_up: 20 };
const QUICK_CROWDED: Extent = Extent { rounds: 3, requests: 1_000, warm_up: 100 };

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.split_first() {
        None => whole(),
        Some((first, names)) if first == "quick" => quick(names),
        Some((first, [])) if first == "calls" => calls_alone(),
        Some((first, [])) if first == "floods" => floods_alone(),
        Some((other, _)) => {
            bail!("there is no {other}: say quick and some variants, or calls, floods, or nothing for all")
        }
    }
}

fn whole() -> Result<()> {
    let scene = start()?;
    let calls = runtime().block_on(calls::run(&scene))?;
    let (rows, mut targets) = slices(&scene, &[], ALONE, CROWDED)?;
    targets.extend(calls::targets(&calls));
    let floods = floods(&scene, &mut targets)?;
    targets.extend(runtime().block_on(memory::run(&scene))?);
    targets.iter().for_each(Target::print);
    let token = |algorithm: Algorithm| (algorithm.name(), scene.tokens.of(algorithm).first().len());
    page::write(&Findings {
        alone: ALONE,
        crowded: CROWDED,
        travellers: TRAVELLERS,
        flood_connections: flood::CONNECTIONS,
        token_bytes: [Algorithm::Hs256, Algorithm::Rs256, Algorithm::Es256].map(token).into(),
        rows,
        floods,
        calls,
        targets,
    })
}

fn quick(names: &[String]) -> Result<()> {
    let scene = start()?;
    let (_, targets) = slices(&scene, names, QUICK, QUICK_CROWDED)?;
    targets.iter().for_each(Target::print);
    Ok(())
}

fn calls_alone() -> Result<()> {
    let scene = start()?;
    let calls = runtime().block_on(calls::run(&scene))?;
    calls::targets(&calls).iter().for_each(Target::print);
    Ok(())
}

fn floods_alone() -> Result<()> {
    let scene = start()?;
    let mut targets = Vec::new();
    floods(&scene, &mut targets)?;
    targets.iter().for_each(Target::print);
    Ok(())
}

/// Forged tokens, theirs and ours, and made-up cookies.
fn floods(scene: &Scene, targets: &mut Vec<Target>) -> Result<Vec<flood::Flood>> {
    let questions = || runtime().block_on(scene.mesh.sidecar.metric("sekisho_session_questions_total"));
    let mut floods = flood::run(scene, &[variant::JWT_AUTHN_RS256, variant::COLD_RS256], FLOODS)?;
    targets.extend(targets::of_floods(&floods));
    let before = questions()?;
    let cookies = flood::run(scene, &[variant::SESSION], FLOODS)?;
    targets.extend(targets::of_cookies(&cookies, questions()? - before));
    targets.push(runtime().block_on(memory::largest(scene))?);
    floods.extend(cookies);
    floods.iter().for_each(print_flood);
    Ok(floods)
}

fn start() -> Result<Scene> {
    let scene = runtime().block_on(Scene::start())?;
    runtime().block_on(proof::run(&scene))?;
    Ok(scene)
}

fn slices(scene: &Scene, names: &[String], alone: Extent, crowded: Extent) -> Result<(Vec<Row>, Vec<Target>)> {
    let mut traffic = Traffic::to(scene, names)?;
    let courses = rounds::run(scene, &mut traffic, alone)?;
    let crowded = crowd::per_second(scene, &mut traffic, crowded)?;
    let rows = rows::of(&courses, &crowded);
    rows.iter().for_each(Row::print);
    targets::to_same_calls(&rows).iter().for_each(|(name, value)| figure(name, *value, "×"));
    let mut targets = targets::of_rows(&rows);
    targets.extend(targets::of_million(&courses));
    targets.extend(targets::of_rules(&courses));
    Ok((rows, targets))
}

fn print_flood(flood: &flood::Flood) {
    let name = flood.name;
    figure(&format!("flood_{name}_cpu_envoy"), median(&flood.envoy_us), "µs");
    figure(&format!("flood_{name}_refused"), flood.refused as f64, "requests");
    for (when, times) in [("calm", &flood.calm), ("beside", &flood.beside)] {
        let times = Times::of(times);
        figure(&format!("flood_{name}_good_p50_{when}"), times.p50, "µs");
        figure(&format!("flood_{name}_good_p99_{when}"), times.p99, "µs");
    }
}
