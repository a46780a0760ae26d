//! Which implementation stands behind which trait.

use std::sync::Arc;

use sekisho_core::identity::key::published;
use sekisho_protocol::keys::kept_answer_key;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::client::keys::HttpKeys;
use crate::client::oidc::OidcProvider;
use crate::client::webhooks::HttpCourier;
use crate::config::{self, Settings};
use crate::domain::admin::AdminRules;
use crate::domain::seal::{SealingKey, SealingKeys};
use crate::domain::strength::Strength;
use crate::domain::token::{Lifetimes, Limits};
use crate::service::Services;
use crate::service::acknowledgement::Acknowledgements;
use crate::service::active_users::ActiveUsers;
use crate::service::activity::Activities;
use crate::service::admins::Admins;
use crate::service::all_sessions::AllSessions;
use crate::service::audit::Audit;
use crate::service::audit::trail::AuditTrail;
use crate::service::bans::Bans;
use crate::service::change::Changes;
use crate::service::checks::Checks;
use crate::service::cleanup::{Cleanup, Habits};
use crate::service::doctor::Round;
use crate::service::encryption::Encryption;
use crate::service::encryption::canary::Canary;
use crate::service::error::StoreError;
use crate::service::feed::Feed;
use crate::service::feed::census::Census;
use crate::service::feed::mirror::Mirror;
use crate::service::feed::polls::Polls;
use crate::service::feed::reconcile::Reconciler;
use crate::service::foreign::Foreign;
use crate::service::idempotency::Idempotency;
use crate::service::installation::Database;
use crate::service::keysets::Keysets;
use crate::service::keysets::publish::Publisher;
use crate::service::logout::Logouts;
use crate::service::mesh::Mesh;
use crate::service::metrics::Metrics;
use crate::service::oauth2_proxy::Oauth2Proxy;
use crate::service::readiness::{NoticeState, Readiness};
use crate::service::recent_sign_in::RecentSignIn;
use crate::service::refusals::Refusals;
use crate::service::sessions::{self, Sessions};
use crate::service::sign_in::refresh::Due;
use crate::service::sign_in::{self, SignIn};
use crate::service::signing_keys::jwks::Jwks;
use crate::service::signing_keys::sealed::PrivateParts;
use crate::service::signing_keys::vault::Vault;
use crate::service::signing_keys::{Sealing, SigningKeys};
use crate::service::throttle::Throttle;
use crate::service::tokens::family::Shown;
use crate::service::tokens::issuer::Issuer;
use crate::service::tokens::{Kept, Tokens};
use crate::service::webhooks::Webhooks;
use crate::store::redis::RedisClient;
use crate::store::redis::active_users::RedisActiveUsers;
use crate::store::redis::activity::RedisActivity;
use crate::store::redis::admins::RedisAdmins;
use crate::store::redis::announcements::RedisAnnouncements;
use crate::store::redis::answers::RedisAnswers;
use crate::store::redis::bans::RedisBans;
use crate::store::redis::cleanup::RedisCleanup;
use crate::store::redis::feed::RedisFeed;
use crate::store::redis::grants::RedisGrants;
use crate::store::redis::journal::RedisJournal;
use crate::store::redis::keysets::RedisKeysets;
use crate::store::redis::not_before::RedisNotBefore;
use crate::store::redis::oauth2_proxy::RedisOauth2Proxy;
use crate::store::redis::rates::RedisRates;
use crate::store::redis::recent_sign_in::RedisRecentSignIn;
use crate::store::redis::records::RedisRecords;
use crate::store::redis::sessions::RedisSessions;
use crate::store::redis::signing_keys::RedisSigningKeys;
use crate::store::redis::tokens::RedisTokens;
use crate::store::redis::vitals::RedisVitals;
use crate::store::redis::workers::RedisWorkers;
use crate::store::sql::audit::SqlTrail;
use crate::store::sql::installation::SqlInstallation;
use crate::store::sql::outbox::SqlOutbox;
use crate::store::sql::{Address, Sql};

/// Most sessions that wait until the identity provider is asked about their owners.
const DUE_MAX: usize = 4_096;

/// The services, over this Redis, and the sessions about whose owners the identity provider is to be asked. Polls are no longer held once `closing` is cancelled.
#[expect(clippy::too_many_lines, reason = "a line or two for each part, in one place")]
pub(super) fn services(
    settings: &Settings,
    redis: &RedisClient,
    sql: &Sql,
    closing: &CancellationToken,
) -> (Services, Due) {
    let feed = Arc::new(RedisFeed::new(redis.clone()));
    let registry = Arc::new(RedisWorkers::new(redis.clone()));
    let records = Arc::new(RedisRecords::new(redis.clone()));
    let vitals = Arc::new(RedisVitals::new(redis.clone()));
    let (mirror, metrics, notices) = (Mirror::default(), Metrics::default(), NoticeState::default());
    let census = Census::new(registry.clone());
    let timeout = settings.mesh().acknowledgement_timeout;
    let acknowledgements = Acknowledgements::new(census.clone(), mirror.clone(), metrics.clone(), timeout);
    let journal = Arc::new(RedisJournal::new(redis.clone()));
    let audit = Audit::new(journal.clone());
    let bans = Arc::new(RedisBans::new(redis.clone()));
    let changes = Changes::new(acknowledgements.clone(), vitals.clone(), audit.clone());
    let webhooks = Webhooks::new(
        settings.webhooks().into(),
        Arc::new(SqlOutbox::new(sql.clone())),
        Arc::new(HttpCourier::default()),
        changes.clone(),
        audit.clone(),
        metrics.clone(),
    );
    let cleanup = settings.cleanup();
    let habits = Habits { schedule: cleanup.schedule.clone(), log_retention_days: cleanup.log_retention_days };
    let cleanup = Cleanup::new(Arc::new(RedisCleanup::new(redis.clone())), changes.clone(), habits);
    let token_store = Arc::new(RedisTokens::new(redis.clone()));
    let not_before = Arc::new(RedisNotBefore::new(redis.clone()));
    let shown = Shown::default();
    let window_s = settings.tokens().recent_sign_in_s;
    let checks =
        Checks::new(mirror.clone(), records.clone(), metrics.clone(), shown.clone()).wanting_sign_ins(window_s);
    let sign_ins = Arc::new(RedisRecentSignIn::new(redis.clone()));
    let recent_sign_in = RecentSignIn::new(sign_ins, token_store.clone(), feed.clone(), mirror.clone(), window_s);
    let session_store = Arc::new(RedisSessions::new(redis.clone()));
    let (noticed, due) = mpsc::channel(DUE_MAX);
    let sessions = Sessions::new(
        sessions::Kept { store: session_store.clone(), index: session_store.clone(), due: noticed },
        feed.clone(),
        registry.clone(),
        mirror.clone(),
        checks.clone(),
        changes.clone(),
    )
    .telling(recent_sign_in.clone());
    let logouts = Logouts::new(not_before, token_store.clone(), feed.clone(), sessions.clone(), changes.clone());
    let (tokens, admins) = (settings.tokens(), settings.admins());
    let keyset_store = Arc::new(RedisKeysets::new(redis.clone()));
    let publisher = Publisher::new(keyset_store.clone(), feed.clone(), mirror.clone());
    let installation = Arc::new(SqlInstallation::new(sql.clone()));
    let canary = Canary::new(installation.clone(), sealing_keys(settings));
    let announcements = Arc::new(RedisAnnouncements::new(redis.clone()));
    let database = Database::new(installation, announcements, canary.clone());
    let (signing_keys, key_store, vault) =
        signing_keys(settings, redis, &publisher, feed.clone(), &mirror, &changes, database.clone());
    let (secret, issuer, audience) = (tokens.jwt_secret.expose(), &tokens.issuer, &tokens.audience);
    let issuer = Issuer::new(secret, key_store.clone(), vault, issuer, audience);
    let rules = admin_rules(admins);
    let keysets = Keysets::new(
        settings.key_sources(),
        keyset_store,
        Arc::new(HttpKeys::default()),
        publisher.clone(),
        mirror.clone(),
        metrics.clone(),
    );
    let private_parts = Arc::new(PrivateParts::new(key_store.clone()));
    let encryption = Encryption::new(sealing_keys(settings), canary, vec![private_parts], changes.clone());
    let polls = Polls::new(
        mirror.clone(),
        census.clone(),
        metrics.clone(),
        settings.node().to_owned(),
        settings.mesh().feed_hold,
        closing.clone(),
    );
    let sign_in = settings.sign_in().and_then(|sign_in| {
        let parts = sign_in::Parts {
            provider: Arc::new(OidcProvider::new(sign_in.registration.clone())),
            grants: Arc::new(RedisGrants::new(redis.clone())),
            sessions: sessions.clone(),
            logouts: logouts.clone(),
            changes: changes.clone(),
        };
        SignIn::new(parts, settings.mesh().secret.expose(), terms(settings, sign_in))
    });
    let oauth2_proxy = settings.oauth2_proxy().map(|rules| {
        let store = Arc::new(RedisOauth2Proxy::new(redis.clone()));
        Oauth2Proxy::new(rules.clone(), store, session_store, sessions.clone(), mirror.clone(), checks.clone())
    });
    let services = Services {
        bans: Bans::new(
            bans.clone(),
            feed.clone(),
            registry.clone(),
            mirror.clone(),
            sessions.clone(),
            changes.clone(),
        ),
        tokens: Tokens::new(
            Kept { store: token_store.clone(), index: token_store.clone(), exchanges: token_store },
            feed.clone(),
            changes.clone(),
            logouts.clone(),
            issuer,
            limits(settings),
        )
        .telling(recent_sign_in.clone()),
        shown,
        reconciler: Reconciler::new(feed.clone(), records.clone(), mirror.clone()).witnessed_by(Foreign::new(
            audit.clone(),
            bans.clone(),
            sessions.clone(),
        )),
        all_sessions: AllSessions::new(sessions.clone(), oauth2_proxy.clone(), changes.clone()),
        sessions,
        sign_in,
        recent_sign_in,
        oauth2_proxy,
        signing_keys,
        jwks: Jwks::new(key_store, published(settings.mesh().secret.expose())),
        logouts,
        active_users: ActiveUsers::new(Arc::new(RedisActiveUsers::new(redis.clone())), feed.clone(), changes.clone()),
        admins: Admins::new(rules, Arc::new(RedisAdmins::new(redis.clone())), changes),
        keysets,
        acknowledgements,
        polls,
        checks,
        activities: Activities::new(Arc::new(RedisActivity::new(redis.clone())), metrics.clone()),
        readiness: Readiness::new(mirror.clone(), vitals.clone(), notices.clone(), database.clone()),
        feed,
        registry,
        mesh: Mesh::new(census),
        records,
        probe: vitals,
        mirror,
        notices,
        metrics,
        refusals: Refusals::new(audit),
        trail: AuditTrail::new(journal, Arc::new(SqlTrail::new(sql.clone()).telling(settings.webhooks().into()))),
        database,
        encryption,
        webhooks,
        idempotency: idempotency(settings, redis),
        throttle: Throttle::new(Arc::new(RedisRates::new(redis.clone())), tokens.requests_per_minute),
        cleanup,
    };
    (services, Due { sessions: due })
}

/// How people sign in.
fn terms(settings: &Settings, sign_in: &config::SignIn) -> sign_in::Terms {
    let config::Sessions { idle_s, lifetime_s } = settings.sessions();
    sign_in::Terms {
        origins: sign_in.origins.clone(),
        admission: sign_in.admission.clone(),
        idle_s,
        lifetime_s,
        refresh_s: sign_in.refresh_s,
        leaves_provider: sign_in.leaves_provider,
        logout_revokes: sign_in.logout_revokes,
    }
}

/// Answers are sealed under a key that comes from the mesh secret, which every sidecar has and Redis never sees.
fn idempotency(settings: &Settings, redis: &RedisClient) -> Idempotency {
    let key = SealingKey::new(&kept_answer_key(settings.mesh().secret.expose()));
    Idempotency::new(Arc::new(RedisAnswers::new(redis.clone())), key)
}

/// Where the database is.
pub(super) fn database(settings: &Settings) -> Result<Address, StoreError> {
    match settings.database() {
        config::Database::Folder(folder) => Ok(Address::Sqlite(folder.join("sekisho.db"))),
        config::Database::Url(url) => Address::of_url(&String::from_utf8_lossy(url.expose())),
    }
}

/// The keys that sign tokens: the use cases, where they are kept, and what opens them.
fn signing_keys(
    settings: &Settings,
    redis: &RedisClient,
    publisher: &Publisher,
    feed: Arc<dyn Feed>,
    mirror: &Mirror,
    changes: &Changes,
    database: Database,
) -> (SigningKeys, Arc<RedisSigningKeys>, Vault) {
    let vault = Vault::new(sealing_keys(settings));
    let sealing = Sealing { vault: vault.clone(), database };
    let keys = Arc::new(RedisSigningKeys::new(redis.clone()));
    let (publisher, mirror, changes) = (publisher.clone(), mirror.clone(), changes.clone());
    let lifetimes = lifetimes(settings);
    (SigningKeys::new(keys.clone(), sealing, publisher, feed, mirror, changes, lifetimes), keys, vault)
}

/// What bounds tokens.
fn limits(settings: &Settings) -> Limits {
    let tokens = settings.tokens();
    Limits {
        lifetimes: lifetimes(settings),
        places: tokens.per_user,
        grace_s: tokens.refresh_grace_s,
        family_max_s: tokens.refresh_max_age_s,
    }
}

/// Who administers by configuration.
fn admin_rules(admins: &config::Admins) -> AdminRules {
    let config::Admins { super_admins, emails, domains, auditors } = admins.clone();
    AdminRules::new(super_admins, emails, domains, auditors)
}

/// The keys under which things are sealed, if there are any.
fn sealing_keys(settings: &Settings) -> Option<SealingKeys> {
    let key = |secret: &config::Secret| SealingKey::new(secret.expose());
    let others = settings.other_encryption_keys().iter().filter_map(key).collect();
    settings.encryption_key().and_then(key).map(|present| SealingKeys::new(present, others))
}

/// How long new tokens may live.
fn lifetimes(settings: &Settings) -> Lifetimes {
    let tokens = settings.tokens();
    Lifetimes { default_s: tokens.default_expires_in_s, max_s: tokens.max_expires_in_s }
}

/// Whom the doctor visits.
pub(super) fn round(settings: &Settings) -> Round {
    let doctor = settings.doctor();
    Round {
        envoy_admin: doctor.envoy_admin.clone(),
        sidecars: doctor.sidecars.clone(),
        secrets: vec![
            ("SEKISHO_MESH_SECRET", Strength::of(settings.mesh().secret.expose())),
            ("JWT_SECRET", Strength::of(settings.tokens().jwt_secret.expose())),
        ],
    }
}
