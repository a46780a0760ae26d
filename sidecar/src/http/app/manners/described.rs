//! Puts the manners into the API's description: what they add to what the handlers say of themselves.

use utoipa::openapi::header::{Header, HeaderBuilder};
use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn, PathItem};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{Content, OpenApi, Ref, RefOr, Required, Response};

use super::tags::TAGGED;
use super::throttle::counted_as;

const PROBLEM: &str = "application/problem+json";
/// Printable ASCII. Spaces around a header's value are none of it (RFC 9110 §5.5).
const KEY_PATTERN: &str = "^[!-~]([ -~]*[!-~])?$";

/// Describes the manners of every call in `document`.
pub fn describe(document: &mut OpenApi) {
    for (path, item) in &mut document.paths.paths {
        if TAGGED.contains(&path.as_str()) {
            item.get.iter_mut().for_each(tagged);
        }
        if counted_as(path).is_some() {
            item.post.iter_mut().for_each(counted);
        }
        item.post.iter_mut().for_each(once);
        writes(item).for_each(guarded);
    }
}

fn writes(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.post, &mut item.put, &mut item.patch, &mut item.delete].into_iter().flatten()
}

fn tagged(operation: &mut Operation) {
    let wanted = "A tag of an answer that you have: 304 says that it is still the same.";
    add_parameter(operation, header("If-None-Match", wanted, None));
    let tag = HeaderBuilder::from(Header::default()).description(Some("The tag of this answer.")).build();
    if let Some(RefOr::T(answer)) = operation.responses.responses.get_mut("200") {
        answer.headers.insert("ETag".into(), RefOr::T(tag));
    }
    add_response(operation, "304", "The answer is the one that you have", None);
}

fn counted(operation: &mut Operation) {
    add_response(operation, "429", "Too many of these calls; `Retry-After` says when to try again", Some(PROBLEM));
}

fn once(operation: &mut Operation) {
    let wanted = "1 to 255 printable ASCII characters, new for each call. The same call with the same key is carried \
                  out once; sent again within 24 hours it gets the first answer, with `Idempotency-Replayed: true`.";
    add_parameter(operation, header("Idempotency-Key", wanted, Some((255, KEY_PATTERN))));
    add_response(operation, "400", "The `Idempotency-Key` is none", Some(PROBLEM));
    add_response(
        operation,
        "409",
        "A call with this `Idempotency-Key` is under way, or its answer was not kept",
        Some(PROBLEM),
    );
    add_response(operation, "422", "The `Idempotency-Key` was used for another call", Some(PROBLEM));
}

fn guarded(operation: &mut Operation) {
    add_response(operation, "403", "A browser sent this from another site", Some(PROBLEM));
}

fn header(name: &str, description: &str, bounds: Option<(usize, &str)>) -> Parameter {
    let mut text = ObjectBuilder::new().schema_type(Type::String);
    if let Some((max_chars, pattern)) = bounds {
        text = text.min_length(Some(1)).max_length(Some(max_chars)).pattern(Some(pattern));
    }
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(description))
        .schema(Some(text))
        .build()
}

fn add_parameter(operation: &mut Operation, parameter: Parameter) {
    operation.parameters.get_or_insert_default().push(RefOr::T(parameter));
}

/// Adds an answer, or what it may hold besides to one that the handler has described.
fn add_response(operation: &mut Operation, status: &str, description: &str, problem: Option<&str>) {
    let responses = &mut operation.responses.responses;
    let answer = responses.entry(status.to_owned()).or_insert_with(|| RefOr::T(Response::new("")));
    let RefOr::T(answer) = answer else { return };
    answer.description = match answer.description.as_str() {
        "" => description.to_owned(),
        before => format!("{}. {description}", before.trim_end_matches('.')),
    };
    if let Some(media_type) = problem {
        let content = || RefOr::T(Content::new(Some(Ref::from_schema_name("Problem"))));
        answer.content.entry(media_type.to_owned()).or_insert_with(content);
    }
}
