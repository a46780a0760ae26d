//! Requests written by hand, so that every way of being wrong can be written too.

/// A request as bytes: nothing is added but the `Host`, nothing is checked.
#[derive(Clone)]
pub struct RawRequest {
    head: Vec<u8>,
}

impl RawRequest {
    /// `METHOD TARGET HTTP/1.1` and `Host: localhost`.
    #[must_use]
    pub fn new(method: &str, target: &str) -> Self {
        Self::to_host(method, target, "localhost")
    }

    /// The same for another host.
    #[must_use]
    pub fn to_host(method: &str, target: &str, host: &str) -> Self {
        Self { head: format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\n").into_bytes() }
    }

    /// Adds a header line.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.head.extend(name.as_bytes());
        self.head.extend(b": ");
        self.head.extend(value.as_ref());
        self.head.extend(b"\r\n");
        self
    }

    /// The request without a body.
    #[must_use]
    pub fn bytes(mut self) -> Vec<u8> {
        self.head.extend(b"\r\n");
        self.head
    }

    /// The request with a body of an announced length.
    #[must_use]
    pub fn with_body(self, body: &str) -> Vec<u8> {
        let mut bytes = self.header("content-length", body.len().to_string()).bytes();
        bytes.extend(body.as_bytes());
        bytes
    }

    /// The request with a chunked body and trailers after it (RFC 9112 §7.1.2).
    #[must_use]
    pub fn with_trailers(self, body: &str, trailers: &[(&str, &str)]) -> Vec<u8> {
        let mut bytes = self.header("transfer-encoding", "chunked").bytes();
        bytes.extend(format!("{:x}\r\n{body}\r\n0\r\n", body.len()).into_bytes());
        for (name, value) in trailers {
            bytes.extend(format!("{name}: {value}\r\n").into_bytes());
        }
        bytes.extend(b"\r\n");
        bytes
    }
}
