"""Verifies assertions with docs/examples/verify-identity/verify.py: one request on standard input, one answer on
standard output, as README.md beside it shows them."""

import json
import sys
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).parents[2] / "docs/examples/verify-identity"))

from verify import verifier  # noqa: E402, not this program: the folder above comes first


def outcome(who_asks, assertion):
    try:
        return {"claims": who_asks(assertion)}
    except Exception as error:  # whatever it is, it is no identity
        return {"refused": f"{type(error).__name__}: {error}"}


request = json.load(sys.stdin)
who_asks = verifier(request["jwks_url"], request["audience"])
json.dump([outcome(who_asks, assertion) for assertion in request["assertions"]], sys.stdout)
