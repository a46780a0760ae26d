//! `envoy.service.auth.v3.Authorization/Check`: as much of its messages as is needed, and gRPC's framing of one
//! message each way. The numbers are those of Envoy's `external_auth.proto` and `attribute_context.proto`.

use std::collections::HashMap;
use std::convert::Infallible;

use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use prost::Message;

use crate::Answer;
use crate::standing::Standings;

/// Where Envoy calls it.
pub(crate) const PATH: &str = "/envoy.service.auth.v3.Authorization/Check";
/// A byte that says whether the message is compressed, and its length.
const FRAME_BYTES: usize = 5;
/// `google.rpc.Code`.
const OK: i32 = 0;
const UNAVAILABLE: i32 = 14;
const UNAUTHENTICATED: i32 = 16;

#[derive(Clone, PartialEq, Message)]
struct CheckRequest {
    #[prost(message, optional, tag = "1")]
    attributes: Option<Attributes>,
}

#[derive(Clone, PartialEq, Message)]
struct Attributes {
    #[prost(message, optional, tag = "4")]
    request: Option<Request>,
}

#[derive(Clone, PartialEq, Message)]
struct Request {
    #[prost(message, optional, tag = "2")]
    http: Option<HttpRequest>,
}

#[derive(Clone, PartialEq, Message)]
struct HttpRequest {
    #[prost(map = "string, string", tag = "3")]
    headers: HashMap<String, String>,
}

#[derive(Clone, PartialEq, Message)]
struct CheckResponse {
    #[prost(message, optional, tag = "1")]
    status: Option<Status>,
    #[prost(message, optional, tag = "2")]
    denied: Option<Denied>,
}

#[derive(Clone, PartialEq, Message)]
struct Status {
    #[prost(int32, tag = "1")]
    code: i32,
}

#[derive(Clone, PartialEq, Message)]
struct Denied {
    #[prost(message, optional, tag = "1")]
    status: Option<HttpStatus>,
}

#[derive(Clone, PartialEq, Message)]
struct HttpStatus {
    #[prost(int32, tag = "1")]
    code: i32,
}

/// Decides about the request that is described in `body`.
pub(crate) async fn answer(body: Incoming, standings: Standings) -> Answer {
    let headers = headers_in(body).await.unwrap_or_default();
    let header = |name: &str| headers.get(name).map_or("", String::as_str);
    let code = match standings.is_good(header("x-user"), header("x-token-id")).await {
        Ok(true) => OK,
        Ok(false) => UNAUTHENTICATED,
        Err(_) => UNAVAILABLE,
    };
    let denied = (code == UNAUTHENTICATED).then_some(Denied { status: Some(HttpStatus { code: 401 }) });
    framed(&CheckResponse { status: Some(Status { code }), denied })
}

async fn headers_in(body: Incoming) -> Option<HashMap<String, String>> {
    let framed = body.collect().await.ok()?.to_bytes();
    let message = CheckRequest::decode(framed.get(FRAME_BYTES..)?).ok()?;
    Some(message.attributes?.request?.http?.headers)
}

fn framed(message: &CheckResponse) -> Answer {
    let length = message.encoded_len();
    let mut frame = BytesMut::with_capacity(FRAME_BYTES + length);
    frame.put_u8(0);
    frame.put_u32(u32::try_from(length).unwrap_or_default());
    frame.extend_from_slice(&message.encode_to_vec());
    let done = HeaderMap::from_iter([(http::HeaderName::from_static("grpc-status"), HeaderValue::from_static("0"))]);
    let body = Full::<Bytes>::new(frame.freeze()).with_trailers(async { Some(Ok::<_, Infallible>(done)) });
    let mut answer = Response::new(body.boxed());
    answer.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
    answer
}
