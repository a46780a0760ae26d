//! Which addresses belong together, as browsers see it, and where all of them are: on this machine.

use anyhow::{Context, Result, ensure};
use reqwest::Url;

/// From where a request comes (Fetch Metadata §2.3), the nearest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Site {
    /// From the address bar.
    None,
    /// From a page of the same scheme, host and port.
    SameOrigin,
    /// From a page of the same site: ports do not count.
    SameSite,
    /// From anywhere else.
    CrossSite,
}

impl Site {
    /// The value of `Sec-Fetch-Site`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::SameOrigin => "same-origin",
            Self::SameSite => "same-site",
            Self::CrossSite => "cross-site",
        }
    }
}

/// How a page at `from` stands to `to`.
#[must_use]
pub fn between(from: &Url, to: &Url) -> Site {
    if from.origin() == to.origin() {
        Site::SameOrigin
    } else if from.scheme() == to.scheme() && registrable(from) == registrable(to) {
        Site::SameSite
    } else {
        Site::CrossSite
    }
}

/// The part of the host that one party registers. `localhost` counts as a top-level domain, and addresses as a whole.
fn registrable(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    let labels: Vec<&str> = host.split('.').collect();
    if host.parse::<std::net::Ipv4Addr>().is_ok() || labels.len() < 2 {
        return host.to_owned();
    }
    labels.get(labels.len() - 2..).unwrap_or_default().join(".")
}

/// The same address by the number of this machine: names below `localhost` need not be known to it.
///
/// # Errors
/// The address is not of this machine: a story has led its browser astray.
pub fn on_this_machine(url: &Url) -> Result<Url> {
    let host = url.host_str().unwrap_or_default();
    let ours = host == "127.0.0.1" || host == "localhost" || host.ends_with(".localhost");
    ensure!(ours && url.scheme() == "http", "a browser was led away to {url}");
    let mut here = url.clone();
    here.set_host(Some("127.0.0.1"))?;
    Ok(here)
}

/// Host and port, as in the header `Host`.
///
/// # Errors
/// It has none.
pub fn authority(url: &Url) -> Result<String> {
    let host = url.host_str().with_context(|| url.to_string())?;
    Ok(url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_make_other_origins_and_names_make_other_sites() {
        for (from, to, expected) in [
            ("http://localhost:1/a", "http://localhost:1/b", Site::SameOrigin),
            ("http://localhost:1/", "http://localhost:2/", Site::SameSite),
            ("http://x.a.localhost:1/", "http://a.localhost:1/", Site::SameSite),
            ("http://a.localhost:1/", "http://b.localhost:1/", Site::CrossSite),
            ("http://localhost:1/", "http://127.0.0.1:1/", Site::CrossSite),
            ("http://localhost:1/", "https://localhost:1/", Site::CrossSite),
        ] {
            let (Ok(from), Ok(to)) = (from.parse(), to.parse()) else { unreachable!("addresses") };
            assert_eq!(between(&from, &to), expected, "{from} {to}");
        }
    }
}
