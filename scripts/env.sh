# shellcheck shell=bash
# Sourced by every script: where things are, which versions and ports, and how to speak.
# It changes to the repository's root, so that each script works from any folder.

cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
STATE="$PWD/.sekisho" # all that is fetched or written at run time; git ignores it
mkdir -p "$STATE/bin"

set -a
. scripts/versions.env
set +a

# The programs that scripts/install-* put there come first; then a Rust that install-rust has chosen.
PATH="$STATE/bin:$PATH:$HOME/.cargo/bin"
# What cargo must be told besides to compile for wasm: nothing, unless install-rust says otherwise.
# shellcheck disable=SC2034 # the building scripts use it
wasm_flags=()
# shellcheck disable=SC1091 # written by install-rust
if [[ -f $STATE/rust.env ]]; then . "$STATE/rust.env"; fi
export PATH

# Every port of `make up`. Set the variable to move one: `SEKISHO_PORT_ENVOY=8081 make up`.
: "${SEKISHO_PORT_ENVOY:=8080}" "${SEKISHO_PORT_ENVOY_ADMIN:=9901}"
: "${SEKISHO_PORT_MESH_A:=9400}" "${SEKISHO_PORT_APP_A:=9401}" "${SEKISHO_PORT_OPS_A:=9402}"
: "${SEKISHO_PORT_MESH_B:=9410}" "${SEKISHO_PORT_APP_B:=9411}" "${SEKISHO_PORT_OPS_B:=9412}"
: "${SEKISHO_PORT_UPSTREAM:=9500}" "${SEKISHO_PORT_REDIS:=6399}"

say() { printf '%s\n' "-- $*" >&2; }
die() {
    printf '%s\n' "error: $*" >&2
    exit 1
}
