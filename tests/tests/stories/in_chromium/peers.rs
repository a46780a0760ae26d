//! What the stories in Chromium stand on: it can be driven, and what is wrong with a page is told.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::chromium::{Tab, Visitor, Window};
use e2e::folder::Folder;
use e2e::peers::SignInProvider;
use e2e::peers::sign_in::{CLIENT_ID, Endpoint, Setup};
use e2e::story::runtime;
use e2e::upstream::{Recorder, serve};
use e2e::{poll, story_without_world};
use reqwest::Url;
use tokio::net::TcpListener;

/// A server that answers each request with what it received, on a host of its own.
struct Echo {
    origin: String,
    reached: Recorder,
}

impl Echo {
    async fn start(host: &str) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let origin = format!("http://{host}:{}", listener.local_addr()?.port());
        let reached = Recorder::remembering();
        runtime().spawn(serve(listener, reached.clone()));
        Ok(Self { origin, reached })
    }

    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }
}

#[test]
fn somebody_clicks_their_way_through_the_provider() {
    story_without_world(async || {
        let (folder, echo) = (Folder::create()?, Echo::start("people.localhost").await?);
        let provider =
            SignInProvider::start(folder.path(), std::slice::from_ref(&echo.origin), Setup::default()).await?;
        let parameters = [
            ("client_id", CLIENT_ID),
            ("response_type", "code"),
            ("redirect_uri", &echo.at("/oauth2/callback")),
            ("scope", "openid"),
            ("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"),
            ("code_challenge_method", "S256"),
        ];
        let start: String = Url::parse_with_params(&format!("{}/auth", provider.issuer()), parameters)?.into();
        let ann = Visitor::new(Window::default()).await?;
        let tab = ann.tab().await?;
        assert_eq!(tab.goto(&start).await?, 200);
        tab.shows("heading", "Sign in at the provider").await?;
        tab.is_accessible().await?;
        tab.fill("Name", "ann@example.com").await?;
        tab.click("button", "Sign in").await?;
        tab.at(&echo.at("/oauth2/callback?code=**")).await?;
        assert_eq!(tab.complaints().await?, [""; 0]);
        assert_eq!(provider.sessions_of("ann@example.com").await?.len(), 1);
        assert_eq!(provider.visits_to(Endpoint::Authorization).await?, 1);
        let other = ann.tab().await?;
        other.goto(&start).await?;
        other.at(&echo.at("/oauth2/callback?code=**")).await?;

        // Nobody else is signed in by that.
        let bob = Visitor::new(Window::default()).await?;
        let theirs = bob.tab().await?;
        theirs.goto(&start).await?;
        theirs.shows("heading", "Sign in at the provider").await?;
        ann.leave().await?;
        bob.leave().await
    });
}

#[test]
fn history_cookies_languages_and_requests_are_those_of_a_browser() {
    story_without_world(async || {
        let (here, elsewhere) = (Echo::start("here.localhost").await?, Echo::start("elsewhere.localhost").await?);
        let somebody = Visitor::new(Window { locale: "ja", ..Window::default() }).await?;
        let tab = somebody.tab().await?;
        assert_eq!(tab.goto(&here.at("/one")).await?, 200);
        tab.goto(&here.at("/two")).await?;
        tab.back().await?;
        assert_eq!(tab.url().await?, here.at("/one"));
        tab.forward().await?;
        assert_eq!(tab.reload().await?, 200);
        assert_eq!(tab.url().await?, here.at("/two"));
        let received = here.reached.with_path("/two").pop().context("it was not asked")?;
        assert!(received.one("accept-language").is_some_and(|languages| languages.starts_with("ja")), "{received:?}");
        assert_eq!(received.one("sec-fetch-mode"), Some("navigate"));

        // On this machine `Secure` cookies are kept without TLS, and `__Host-` holds.
        let set = "document.cookie = '__Host-a=1; Secure; Path=/'; document.cookie = '__Host-b=1; Path=/'; return document.cookie;";
        assert_eq!(tab.evaluate::<String>(set).await?, "__Host-a=1");
        somebody.put_cookie(&here.at("/"), "planted", "2").await?;
        let names =
            |cookies: Vec<e2e::chromium::Cookie>| cookies.into_iter().map(|cookie| cookie.name).collect::<Vec<_>>();
        assert_eq!(names(somebody.cookies(&here.at("/")).await?), ["__Host-a", "planted"]);
        assert_eq!(names(somebody.cookies(&elsewhere.at("/")).await?), [""; 0]);
        assert_eq!(somebody.cookie(&here.at("/"), "planted").await?.context("no cookie")?.same_site, "Lax");

        let post = format!(
            "await fetch('{}', {{method: 'POST', mode: 'no-cors', credentials: 'include'}});",
            here.at("/three")
        );
        let other = somebody.tab().await?;
        other.goto(&elsewhere.at("/")).await?;
        other.evaluate::<Option<u8>>(&post).await?;
        let received = here.reached.with_path("/three").pop().context("it was not asked")?;
        assert_eq!((received.one("sec-fetch-site"), received.one("cookie")), (Some("cross-site"), None));
        assert_eq!(received.one("origin"), Some(elsewhere.origin.as_str()));
        let asked = other.requests().await?;
        assert!(asked.iter().any(|asked| asked.url == here.at("/three") && asked.kind == "fetch"), "{asked:?}");
        assert!(other.goto("http://example.com/").await.is_err(), "there is nothing but this machine");
        somebody.clear_cookies().await?;
        assert!(somebody.cookies(&here.at("/")).await?.is_empty());
        somebody.leave().await
    });
}

#[test]
fn what_is_wrong_with_a_page_is_told() {
    story_without_world(async || {
        let folder = Folder::create()?;
        let somebody = Visitor::new(Window::default()).await?;
        let tab = somebody.tab().await?;
        let good = "<!doctype html><html lang=en><meta name=viewport content='width=device-width'><title>t</title>\
                    <meta http-equiv='Content-Security-Policy' content=\"default-src 'none'\">\
                    <main><h1>One</h1><label>Name <input></label><button>Go</button></main>";
        show(&tab, good).await?;
        tab.is_accessible().await?;
        assert_eq!(tab.complaints().await?, [""; 0]);
        for (right, wrong, problem) in [
            (" lang=en", "", "no language"),
            ("<title>t</title>", "", "no title"),
            ("<h1>One</h1>", "<h2>One</h2>", "0 main headings"),
            ("<h1>One</h1>", "<h1>One</h1><h3>Two</h3>", "headings leave levels out"),
            ("<label>Name <input></label>", "<input>", "a field without a label"),
            ("Go", "", "nothing to call it by"),
            ("<button>Go", "<button style='color:#888;background:#999'>Go", "contrast 1."),
            ("<h1>One", "<h1 style='width:3000px'>One", "must be scrolled sideways"),
            ("<h1>One", "<h1><img src=data:,>One", "an image without words"),
            ("content='width=device-width'", "content=''", "not made for small screens"),
        ] {
            let page = good.replacen(right, wrong, 1).replace("default-src 'none'", "");
            show(&tab, &page).await?;
            let told = format!("{:?}", tab.is_accessible().await);
            assert!(told.contains(problem), "{problem}: {told}");
        }
        show(&tab, &good.replace("<h1>", "<script src='http://localhost:1/x.js'></script><h1>")).await?;
        poll::until("the violation is told", Duration::from_secs(10), async || {
            let told = tab.complaints().await?;
            ensure!(told.iter().any(|told| told.contains("Content Security Policy")), "{told:?}");
            Ok(())
        })
        .await?;
        let picture = folder.path().join("page.png");
        tab.screenshot(&picture).await?;
        assert!(std::fs::read(picture)?.starts_with(b"\x89PNG"));
        tab.press("Tab").await?;
        assert_eq!(tab.focused().await?, "INPUT ");
        somebody.leave().await
    });
}

async fn show(tab: &Tab, html: &str) -> Result<()> {
    let encoded: String = html.bytes().map(|byte| format!("%{byte:02x}")).collect();
    tab.goto(&format!("data:text/html,{encoded}")).await.map(drop)
}
