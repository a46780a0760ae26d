//! A PostgreSQL for the tests of one process: started by the first that needs it, a database for each.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _};
use tokio::sync::{Mutex, OnceCell};

/// PostgreSQL refuses to run as root; this is nobody.
const UNPRIVILEGED: &str = "65534";

static SERVER: OnceCell<PostgresServer> = OnceCell::const_new();
/// Whose turn it is to make a database.
static TURN: Mutex<()> = Mutex::const_new(());

/// A server that listens on a socket in its own folder. It ends with the process, and the folder goes with it.
struct PostgresServer {
    folder: PathBuf,
    _remover: Child,
}

/// A new database, as the sidecar is told of one.
pub(crate) async fn database() -> PgConnectOptions {
    let server = SERVER.get_or_init(PostgresServer::start).await;
    let name = format!("test_{}", uuid::Uuid::new_v4().simple());
    let mut connection = server.options("postgres").connect().await.expect("a connection");
    let create = AssertSqlSafe(format!("CREATE DATABASE {name}"));
    // PostgreSQL copies a template that nobody else may use meanwhile.
    let _turn = TURN.lock().await;
    sqlx::query(create).execute(&mut connection).await.expect("a database");
    server.options(&name)
}

impl PostgresServer {
    async fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("sekisho-postgres-").tempdir().expect("a temporary folder").keep();
        // A static is never dropped: the shell's input ends with this process, whatever ends it.
        let remover = Command::new("sh")
            .args(["-c", r#"cat; rm -rf -- "$0""#])
            .arg(&folder)
            .stdin(Stdio::piped())
            .spawn()
            .expect("a shell");
        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o777)).expect("a folder for everybody");
        let data = folder.join("data");
        let made =
            unprivileged("initdb").arg("-D").arg(&data).args(["-U", "sekisho", "-E", "UTF8", "--no-sync"]).status();
        assert!(made.expect("initdb is installed").success(), "initdb failed");
        let mut server = unprivileged("postgres");
        server.arg("-D").arg(&data).arg("-k").arg(&folder);
        server.args(["-c", "listen_addresses=", "-c", "fsync=off", "-c", "max_connections=300"]);
        // To the kernel, its parent is the thread that starts it; a test's own thread ends with the test.
        std::thread::spawn(move || {
            let running = server.spawn();
            running.expect("postgres is installed").wait()
        });
        let this = Self { folder, _remover: remover };
        for _ in 0..500 {
            if this.options("postgres").connect().await.is_ok() {
                return this;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("postgres does not start");
    }

    fn options(&self, database: &str) -> PgConnectOptions {
        PgConnectOptions::new_without_pgpass().socket(&self.folder).port(5432).username("sekisho").database(database)
    }
}

/// A program of PostgreSQL, as an unprivileged user; it ends with this process.
fn unprivileged(program: &str) -> Command {
    let mut command = Command::new("setpriv");
    if rustix::process::geteuid().is_root() {
        command.args(["--reuid", UNPRIVILEGED, "--regid", UNPRIVILEGED, "--clear-groups"]);
    }
    command.args(["--pdeathsig", "KILL"]).arg(binary(program)).env("LC_ALL", "C.UTF-8").current_dir("/");
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// Where a program of PostgreSQL really is: the folder in which it is found may be closed to others.
fn binary(program: &str) -> PathBuf {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&folders).map(|folder| folder.join(program)).find(|path| path.exists());
    let found = found.expect("PostgreSQL is installed: run `scripts/install-postgres`");
    found.canonicalize().expect("a program")
}
