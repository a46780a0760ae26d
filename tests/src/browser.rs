//! A browser without a screen, over plain HTTP: it keeps cookies as browsers do, sends what they say of where a request comes
//! from, and follows redirects one by one, so that a story sees each step of a sign-in. What needs scripts, layout or
//! history is told in [`chromium`](crate::chromium).

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use reqwest::redirect::Policy;
use reqwest::{Client, Method, Url};

use crate::Answer;
use crate::peers::SignInProvider;

pub mod jar;
pub mod page;
pub mod site;

pub use jar::{Cookie, Jar};
pub use page::{Form, Page, Step};
use site::{Site, between};

/// How long a page may take. Stories make providers slow on purpose.
const PATIENCE: Duration = Duration::from_secs(30);
/// After so many redirects a browser gives up, too (Fetch Standard: 20).
const MOST_REDIRECTS: usize = 20;
/// Whoever needs more pages than this to get in is led in a circle.
const MOST_PAGES: usize = 6;
const ACCEPT: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

/// Somebody's browser.
#[derive(Debug, Clone)]
pub struct Browser {
    /// Its cookies.
    pub jar: Jar,
    client: Client,
    headers: Vec<(String, String)>,
}

/// A navigation on its way: what redirects change, and what they keep.
struct Navigation {
    method: Method,
    body: Option<String>,
    /// The page that caused it, if it was not typed into the address bar.
    from: Option<Url>,
    /// How far the addresses so far are from that page.
    site: Site,
}

impl Browser {
    /// A browser without cookies that prefers English.
    ///
    /// # Errors
    /// There is no client.
    pub fn new() -> Result<Self> {
        let client = Client::builder().redirect(Policy::none()).timeout(PATIENCE).build()?;
        let headers = [
            ("accept", ACCEPT),
            ("accept-language", "en"),
            ("user-agent", "Mozilla/5.0 (stories)"),
            ("sec-fetch-mode", "navigate"),
            ("sec-fetch-dest", "document"),
        ];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        Ok(Self { jar: Jar::default(), client, headers })
    }

    /// Sends this header with each request, in place of its own.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(known, _)| known != name);
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Types an address and stays at the first answer, even if it is a redirect.
    ///
    /// # Errors
    /// Nobody answers.
    pub async fn get(&mut self, address: &str) -> Result<Page> {
        self.request(&mut Navigation::typed(), address.parse().context(address.to_owned())?).await
    }

    /// Types an address and goes where it leads.
    ///
    /// # Errors
    /// Nobody answers, or it leads in a circle.
    pub async fn open(&mut self, address: &str) -> Result<Page> {
        let url = address.parse().with_context(|| address.to_owned())?;
        self.navigate(Navigation::typed(), url).await
    }

    /// Follows a link of `page`, to wherever that leads.
    ///
    /// # Errors
    /// Nobody answers, or it leads in a circle.
    pub async fn click(&mut self, page: &Page, link: &str) -> Result<Page> {
        let url = page.url.join(link).with_context(|| link.to_owned())?;
        self.navigate(Navigation::of(Method::GET, None, page), url).await
    }

    /// Goes on from an answer of [`Self::get`], wherever it leads.
    ///
    /// # Errors
    /// Nobody answers, or it leads in a circle.
    pub async fn follow(&mut self, page: Page) -> Result<Page> {
        self.walk(Navigation::typed(), page).await
    }

    /// Fills in the first form of `page` that has all of `fields`, and sends it.
    ///
    /// # Errors
    /// There is no such form, nobody answers, or it leads in a circle.
    pub async fn submit(&mut self, page: &Page, fields: &[(&str, &str)]) -> Result<Page> {
        let form = page.form_with(fields)?;
        self.send(page, &form, fields).await
    }

    /// Sends `form` from `page`, whoever wrote it: another site's page sends forms of its own making.
    ///
    /// # Errors
    /// Nobody answers, or it leads in a circle.
    pub async fn send(&mut self, page: &Page, form: &Form, fields: &[(&str, &str)]) -> Result<Page> {
        let body = form.filled_in(fields)?;
        let mut url = page.url.join(&form.action)?;
        let navigation = if form.method == Method::GET {
            url.set_query(Some(&body));
            Navigation::of(Method::GET, None, page)
        } else {
            Navigation::of(form.method.clone(), Some(body), page)
        };
        self.navigate(navigation, url).await
    }

    /// Asks for `address` and signs in at `provider` as `email` on the way there.
    ///
    /// # Errors
    /// The way ends elsewhere; the error tells its steps.
    pub async fn sign_in_at(&mut self, provider: &SignInProvider, address: &str, email: &str) -> Result<Page> {
        let page = self.open(address).await?;
        self.sign_in_from(page, provider, address, email).await
    }

    /// The same from a page on the way.
    ///
    /// # Errors
    /// The way ends elsewhere; the error tells its steps.
    pub async fn sign_in_from(
        &mut self,
        mut page: Page,
        provider: &SignInProvider,
        address: &str,
        email: &str,
    ) -> Result<Page> {
        let wanted: Url = address.parse()?;
        let mut steps = Vec::new();
        for _ in 0..MOST_PAGES {
            steps.append(&mut page.steps);
            if page.url == wanted {
                return Ok(Page { steps, ..page });
            }
            page = if page.url.as_str().starts_with(&provider.issuer()) {
                self.submit(&page, &[("login", email)]).await?
            } else if let Some(link) = page.links().into_iter().find(|link| link.contains("/oauth2/start")) {
                self.click(&page, &link).await?
            } else {
                self.submit(&page, &[]).await?
            };
        }
        bail!("signing in leads nowhere: {steps:#?}")
    }

    async fn navigate(&mut self, mut navigation: Navigation, url: Url) -> Result<Page> {
        let page = self.request(&mut navigation, url).await?;
        self.walk(navigation, page).await
    }

    async fn walk(&mut self, mut navigation: Navigation, mut page: Page) -> Result<Page> {
        while let Some(next) = page.redirect()? {
            let mut steps = std::mem::take(&mut page.steps);
            ensure!(steps.len() <= MOST_REDIRECTS, "redirected in a circle: {steps:#?}");
            if !matches!(page.answer.status, 307 | 308) {
                (navigation.method, navigation.body) = (Method::GET, None);
            }
            page = self.request(&mut navigation, next).await.with_context(|| format!("after {steps:#?}"))?;
            steps.append(&mut page.steps);
            page.steps = steps;
        }
        Ok(page)
    }

    async fn request(&mut self, navigation: &mut Navigation, url: Url) -> Result<Page> {
        navigation.reaches(&url);
        let cookies = self.jar.header_for(&url, navigation.from.as_ref(), &navigation.method);
        let request = self.client.request(navigation.method.clone(), site::on_this_machine(&url)?);
        let mut request =
            request.header("host", site::authority(&url)?).header("sec-fetch-site", navigation.site.word());
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        if let Some(body) = &navigation.body {
            request = request.header("content-type", "application/x-www-form-urlencoded").body(body.clone());
            let origin = navigation.from.as_ref().map(|from| from.origin().ascii_serialization());
            request = request.header("origin", origin.unwrap_or_else(|| "null".to_owned()));
        }
        if let Some(cookies) = &cookies {
            request = request.header("cookie", cookies);
        }
        let answer = Answer::of(request.send().await.with_context(|| url.to_string())?).await?;
        for (_, value) in answer.headers.iter().filter(|(name, _)| name == "set-cookie") {
            self.jar.take(value, &url);
        }
        let step = Step { method: navigation.method.clone(), url: url.clone(), cookies, answer: answer.clone() };
        Ok(Page { url, answer, steps: vec![step] })
    }
}

impl Navigation {
    fn typed() -> Self {
        Self { method: Method::GET, body: None, from: None, site: Site::None }
    }

    fn of(method: Method, body: Option<String>, page: &Page) -> Self {
        Self { method, body, from: Some(page.url.clone()), site: Site::SameOrigin }
    }

    /// One stranger on the way makes all that follows cross-site (Fetch Metadata §2.3).
    fn reaches(&mut self, url: &Url) {
        if let Some(from) = &self.from {
            self.site = self.site.max(between(from, url));
        }
    }
}
