"""What schemathesis must be told of this API: values that mean something, and a log of what was answered.

Of a value that is valid by the description it cannot know whether there is such a user, token or key. Those are
put in its place by their names, made anew for each call, since many calls end what they are about. Calls that are
meant to be wrong stay as they are.
"""

import itertools
import json
import os
import threading
import uuid

import requests
import schemathesis

URL = os.environ["API_URL"]
HEADERS = {"Host": os.environ["API_HOST"], "Authorization": "Bearer " + os.environ["API_TOKEN"]}
LOG = open(os.environ["API_LOG"], "a", buffering=1, encoding="utf-8")
ADMIN = os.environ["API_ADMIN"]
WEBHOOK = os.environ["API_WEBHOOK"]

_numbers = itertools.count(1)
_lock = threading.Lock()
_session = requests.Session()


def call(method, path, body=None):
    """Calls the API as the admin, past schemathesis."""
    return _session.request(method, URL + path, headers=HEADERS, json=body, timeout=30)


def somebody(_case=None):
    """Somebody new."""
    return f"victim{next(_numbers)}@example.com"


def somebody_banned(_case=None):
    """Somebody who is banned."""
    email = somebody()
    call("POST", "/api/admin/sessions/revoke-user", {"user_email": email}).raise_for_status()
    return email


def administrator(_case=None):
    """Somebody who was made an administrator."""
    email = somebody()
    call("POST", "/api/admin/manage", {"email": email, "role": "admin"}).raise_for_status()
    return email


def token(_case=None):
    """A new token of the admin's."""
    wanted = {"token_name": "for a test", "scopes": ["api:read", "api:write"]}
    answer = call("POST", "/api/token/generate", wanted)
    if answer.status_code == 409:
        # As many as one may have: make room.
        for old in call("GET", "/api/token/list?limit=10000").json()["tokens"]:
            if old["status"] == "active":
                call("DELETE", "/api/admin/tokens/" + old["token_id"])
        answer = call("POST", "/api/token/generate", wanted)
    answer.raise_for_status()
    return answer.json()


def token_id(_case=None):
    """The id of a new token of the admin's."""
    return token()["token_id"]


def key_id(_case=None):
    """The id of a signing key that does not sign."""
    added = call("POST", "/api/admin/keys", {"algorithm": "EdDSA"})
    if added.ok:
        return added.json()["key"]["kid"]
    keys = call("GET", "/api/admin/keys").json()["keys"]
    return next((key["kid"] for key in keys if key["state"] != "signing"), "none")


def _sessions(variable):
    """One session after the other of those that were begun for this run; then such as there are not."""
    with open(os.environ[variable], encoding="utf-8") as file:
        return itertools.chain(file.read().split(), itertools.repeat("none"))


_of_guests = _sessions("API_SESSIONS_OF_GUESTS")
_of_admin = _sessions("API_SESSIONS_OF_ADMIN")


def session_of_guest(_case=None):
    """The key of somebody's session."""
    with _lock:
        return next(_of_guests)


def session_of_admin(_case=None):
    """The key of a session of the admin's."""
    with _lock:
        return next(_of_admin)


# By the name of a value: what makes a good one. The special cases are by operation.
VALUES = {
    "email": somebody,
    "user_email": somebody,
    "email_or_id": token_id,
    "token_id": token_id,
    "kid": key_id,
    "scopes": lambda case: ["api:read"],
}
SPECIAL = {
    ("GET", "/api/admin/tokens/{email_or_id}", "email_or_id"): somebody,
    ("DELETE", "/api/admin/sessions/unban/{email}", "email"): somebody_banned,
    ("DELETE", "/api/admin/sessions/{session_key}", "session_key"): session_of_guest,
    ("DELETE", "/api/session", "session_key"): session_of_admin,
    ("DELETE", "/api/admin/manage", "email"): administrator,
    ("DELETE", "/api/admin/manage/{email}", "email"): administrator,
    ("GET", "/api/admin/webhooks/{name}", "name"): lambda case: WEBHOOK,
    ("POST", "/api/admin/webhooks/{name}/retry", "name"): lambda case: WEBHOOK,
    ("POST", "/api/admin/webhooks/{name}/test", "name"): lambda case: WEBHOOK,
}
# What only the API can make up: without it, a call means the same.
LEFT_OUT = {"cursor"}


def is_meant_to_be_good(case):
    meta = case.meta
    return meta is None or meta.generation.mode.name == "POSITIVE"


def fill(case, values):
    """Puts good values in place of those that were made up."""
    if not isinstance(values, dict):
        return
    for name in list(values):
        special = SPECIAL.get((case.method.upper(), case.operation.path, name))
        make = special or VALUES.get(name)
        if name in LEFT_OUT:
            del values[name]
        elif make and values[name] is not None:
            values[name] = make(case)
        elif isinstance(values[name], float) and values[name].is_integer():
            # 1.0 is an integer to JSON Schema, and to few programs.
            values[name] = int(values[name])
    if values.get("permanent") is True:
        # One of the two.
        values.pop("duration_seconds", None)


@schemathesis.hook
def before_call(context, case, kwargs):
    # Envoy answers for itself where a header's name is none, or holds an underscore.
    declared = {parameter.name.lower() for parameter in case.operation.headers} | {"authorization", "host"}
    for name in [name for name in case.headers or {} if name.lower() not in declared]:
        del case.headers[name]
    if is_meant_to_be_good(case):
        for values in (case.path_parameters, case.query, case.body):
            fill(case, values)
        if case.operation.path == "/api/session" and case.method.upper() == "DELETE":
            # One of the two: whoever comes with a token has no session of their own.
            query = case.query or {}
            case.query = {"session_key": query["session_key"]} if "session_key" in query else {"all": "true"}
        headers = case.headers or {}
        if "Idempotency-Key" in headers:
            # A key belongs to one call; the generator repeats itself.
            headers["Idempotency-Key"] = str(uuid.uuid4())
    elif isinstance(case.body, dict) and case.body.get("user_email") == ADMIN:
        # Whoever is banned or logged out calls no more.
        case.body["user_email"] = somebody()


@schemathesis.hook
def filter_failure(context, failure, case, response):
    # A method of which Envoy's HTTP/1 has never heard is refused before it is anybody's request.
    return not (case.method.upper() == "QUERY" and response.status_code == 400 and not response.content)


@schemathesis.hook
def after_call(context, case, response):
    phase = case.meta.phase.name.name if case.meta else "OTHER"
    mode = case.meta.generation.mode.name if case.meta else "OTHER"
    line = {
        "operation": f"{case.method.upper()} {case.operation.path}",
        "method": response.request.method,
        "status": response.status_code,
        "phase": phase,
        "mode": mode,
    }
    with _lock:
        LOG.write(json.dumps(line) + "\n")
