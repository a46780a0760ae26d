"""Makes sessions as oauth2-proxy (v7) keeps them in Redis, and its cookies, with msgpack and cryptography: those that are
ordered on standard input; or with --vectors, the same each time, into vectors/ beside this file, with what stands in them."""

import base64
import datetime
import hashlib
import json
import os
import pathlib
import sys

import msgpack
from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

CREATED, EXPIRES = 1_760_000_000, 1_760_003_600
FULL = {
    "ca": CREATED,
    "eo": EXPIRES,
    "at": "an access token",
    "it": "an ID token",
    "rt": "a refresh token",
    "n": b"a nonce",
    "e": "Ann@Example.com",
    "u": "0001",
    "g": ["admins", "開発"],
    "pu": "ann",
    "ac": {"department": "sales", "level": 3, "tags": ["a", "b"]},
}
# Somebody else, who signed in at the same moment.
OTHER = {"ca": CREATED, "eo": EXPIRES, "n": b"another nonce", "e": "bob@example.org", "u": "0002", "g": ["guests"]}


def moment(seconds, nanos=0):
    """A timestamp as Go's encoder writes it: four bytes if they hold it, else eight, else twelve."""
    return msgpack.Timestamp(seconds, nanos)


def packed(fields):
    return msgpack.packb(
        {name: moment(value) if name in ("ca", "eo") and isinstance(value, int) else value for name, value in fields.items()}
    )


def raw(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unraw(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def ticket_of(ticket_id, secret, older=False):
    """The ticket of a session's key, as it is written today or as it was before."""
    return f"{ticket_id}.{raw(secret)}" if older else f"v2.{raw(ticket_id.encode())}.{raw(secret)}"


def opened(ticket):
    """The key and the secret in such a ticket."""
    ticket_id, secret = ticket.removeprefix("v2.").rsplit(".", 1)
    return unraw(ticket_id).decode() if ticket.startswith("v2.") else ticket_id, unraw(secret)


def vector(name, plain, expected, *, older=False, cookie_name="_oauth2_proxy", damage=None, other_secret=False):
    seed = hashlib.sha256(name.encode()).digest()
    secret, nonce = seed[:16], seed[16:28]
    ticket_id = f"{cookie_name}-{hashlib.md5(name.encode()).hexdigest()}"
    ticket = ticket_of(ticket_id, secret, older)
    value = nonce + AESGCM(seed[:16] if not other_secret else seed[8:24]).encrypt(nonce, plain, None)
    if damage:
        value = damage(value)
    return {"name": name, "ticket": ticket, "key": ticket_id, "value": value.hex(), "expected": expected}


def expected(fields):
    """What of it concerns us. Times that are not there, or Go's zero time, are none."""
    return {
        "created_at": fields.get("ca") or None,
        "expires_at": fields.get("eo") or None,
        "email": fields.get("e"),
        "user": fields.get("u"),
        "groups": fields.get("g", []),
        "preferred_username": fields.get("pu"),
        "access_token": fields.get("at"),
        "id_token": fields.get("it"),
        "refresh_token": fields.get("rt"),
        "nonce": fields["n"].hex() if "n" in fields else None,
        "claims": fields.get("ac", {}),
    }


def sessions():
    yield vector("everything, in a ticket of today", packed(FULL), expected(FULL))
    yield vector("everything of somebody else", packed(OTHER), expected(OTHER))
    yield vector("everything, in a ticket of before", packed(FULL), expected(FULL), older=True)
    yield vector("another cookie's name", packed(FULL), expected(FULL), cookie_name="__Secure-sso.llm")
    for field in FULL:
        rest = {name: value for name, value in FULL.items() if name != field}
        yield vector(f"without {field}", packed(rest), expected(rest))
        only = {field: FULL[field]}
        yield vector(f"with {field} alone", packed(only), expected(only))
    yield vector("nothing at all", packed({}), expected({}))
    # Go's zero time, and the three lengths of a timestamp.
    zero = datetime.datetime(1, 1, 1, tzinfo=datetime.timezone.utc)
    zeroed = {**FULL, "ca": moment(int(zero.timestamp()))}
    yield vector("a time that is Go's zero", packed(zeroed), {**expected(FULL), "created_at": None})
    precise = {**FULL, "ca": moment(CREATED, 5), "eo": moment(2**34 + 7)}
    yield vector("times of eight and twelve bytes", packed(precise), {**expected(FULL), "expires_at": 2**34 + 7})
    # What is in them can be read; whether such a session counts is another question, which is asked at CREATED.
    for name, ahead in [("begun as far ahead as a clock may be", 300), ("begun further ahead", 301)]:
        future = {**FULL, "ca": CREATED + ahead}
        yield vector(name, packed(future), expected(future))
    many = {**FULL, "g": [f"group-{number:04}-{'x' * 30}" for number in range(100)]}
    yield vector("four kibibytes of groups", packed(many), expected(many))
    unknown = {**FULL, "zz": {"new": [1, None, 2.5]}, "l": None}
    yield vector("members that nobody knows yet", packed(unknown), expected(FULL))
    nulls = {**FULL, "g": None, "ac": None, "e": None, "n": None}
    nothing = {"groups": [], "claims": {}, "email": None, "nonce": None}
    yield vector("nothing where there may be something", packed(nulls), {**expected(FULL), **nothing})
    # And what nobody can read.
    yield vector("sealed with another secret", packed(FULL), None, other_secret=True)
    ann, bob = (vector(f"of {name}", packed(fields), None) for name, fields in [("Ann", FULL), ("Bob", OTHER)])
    yield {**ann, "name": "Bob's session under the key of Ann's ticket", "value": bob["value"]}
    yield {**bob, "name": "Ann's session under the key of Bob's ticket", "value": ann["value"]}
    for name, damage in [
        ("truncated by a byte", lambda value: value[:-1]),
        ("truncated to the nonce", lambda value: value[:12]),
        ("truncated within the nonce", lambda value: value[:5]),
        ("nothing", lambda value: b""),
        ("a byte changed", lambda value: value[:20] + bytes([value[20] ^ 1]) + value[21:]),
        ("a byte more", lambda value: value + b"\0"),
    ]:
        yield vector(name, packed(FULL), None, damage=damage)
    yield vector("no map", msgpack.packb([1, 2]), None)
    yield vector("no MessagePack", b"\xc1", None)
    yield vector("more behind the map", packed(FULL) + b"\x01", None)
    yield vector("an address that is a number", packed({**FULL, "e": 7}), None)
    yield vector("groups that are none", packed({**FULL, "g": "admins"}), None)
    yield vector("a time of another kind", msgpack.packb({"ca": msgpack.ExtType(5, b"1234")}), None)
    deep = b"\x81\xa2ac" + b"\x81\xa1a" * 200 + b"\x01"
    yield vector("nested two hundred deep", deep, None)


# As configured, not decoded.
COOKIE_SECRET = "c2VjcmV0IG9mIHRoaXJ0eS10d28gYnl0ZXMhISEhISE="
NOW, EXPIRE = 1_760_000_000, 604_800


def cookie(name, ticket, moment, *, cookie_name="_oauth2_proxy", secret=COOKIE_SECRET, digest=hashes.SHA256, change=None, valid=True):
    value = base64.urlsafe_b64encode(ticket).decode()
    tag = hmac.HMAC(secret.encode(), digest())
    tag.update(f"{cookie_name}{value}{moment}".encode())
    cookie = f"{value}|{moment}|{base64.urlsafe_b64encode(tag.finalize()).decode()}"
    if change:
        cookie = change(cookie)
    return {"name": name, "cookie": cookie, "ticket": ticket.decode() if valid else None}


def cookies():
    ticket = b"v2.X29hdXRoMl9wcm94eS00MTE4MDZlN2U0ZTllMzQ5MTBjNmM3NDE1ZWVkYWU3ZA.WbQehVi6RIts-xQtycF2lQ"
    others = ticket_of("_oauth2_proxy-" + hashlib.md5(b"Bob").hexdigest(), hashlib.md5(b"secret").digest()).encode()
    yield cookie("a cookie of now", ticket, NOW)
    yield cookie("one of somebody else", others, NOW)
    yield cookie("one whose value ends with padding", ticket + b"a", NOW)
    yield cookie("one whose value ends with more padding", ticket + b"aa", NOW)
    yield cookie("one that is as old as may be", ticket, NOW - EXPIRE + 1)
    yield cookie("one that is too old", ticket, NOW - EXPIRE, valid=False)
    yield cookie("one of a clock that is ahead", ticket, NOW + 299)
    yield cookie("one of the future", ticket, NOW + 300, valid=False)
    yield cookie("one of another cookie's name", ticket, NOW, cookie_name="other", valid=False)
    yield cookie("one under another secret", ticket, NOW, secret=COOKIE_SECRET[:-1], valid=False)
    yield cookie("one under the decoded secret", ticket, NOW, secret="secret of thirty-two bytes!!!!!!", valid=False)
    yield cookie("one under SHA-1", ticket, NOW, digest=hashes.SHA1, valid=False)
    for name, change in [
        ("a changed ticket", lambda cookie: "Y" + cookie[1:]),
        ("somebody else's ticket", lambda cookie: base64.urlsafe_b64encode(others).decode() + cookie[cookie.index("|") :]),
        ("another moment", lambda cookie: cookie.replace(f"|{NOW}|", f"|{NOW + 1}|")),
        ("another signature", lambda cookie: cookie[:-3] + ("A" if cookie[-3] != "A" else "B") + cookie[-2:]),
        ("no signature", lambda cookie: cookie.rsplit("|", 1)[0]),
        ("an empty signature", lambda cookie: cookie.rsplit("|", 1)[0] + "|"),
        ("a truncated signature", lambda cookie: cookie[:-4]),
        ("a fourth part", lambda cookie: cookie + "|x"),
        ("a moment that is none", lambda cookie: cookie.replace(f"|{NOW}|", f"| {NOW}|")),
        ("a moment with a sign", lambda cookie: cookie.replace(f"|{NOW}|", f"|+{NOW}|")),
    ]:
        yield cookie(name, ticket, NOW, change=change, valid=False)


def write(name, value):
    path = pathlib.Path(__file__).parent / "vectors" / name
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def made(order, secret):
    """A session of now, with a ticket of its own or an earlier one, and the cookie that shows it."""
    name, older = order["cookie_name"], order.get("older", False)
    ticket = order.get("ticket_of") or ticket_of(f"{name}-{os.urandom(16).hex()}", os.urandom(16), older)
    ticket_id, secret_of_ticket = opened(ticket)
    fields = {name: value.encode() if name == "n" else value for name, value in order["fields"].items()}
    nonce = os.urandom(12)
    value = nonce + AESGCM(secret_of_ticket).encrypt(nonce, packed(fields), None)
    if order["wrong_secret"]:
        ticket = ticket_of(ticket_id, os.urandom(16), older)
    shown = cookie("", ticket.encode(), order["signed_at"], cookie_name=name, secret=secret)["cookie"]
    return {"key": ticket_id, "value": value.hex(), "cookie": shown, "ticket": ticket}


if "--vectors" in sys.argv:
    write("oauth2_proxy_sessions.json", list(sessions()))
    write("oauth2_proxy_cookies.json", {"secret": COOKIE_SECRET, "now": NOW, "expire_s": EXPIRE, "cookies": list(cookies())})
else:
    request = json.load(sys.stdin)
    json.dump([made(order, request["secret"]) for order in request["sessions"]], sys.stdout)
