# shellcheck shell=bash
# Sourced by up: is a port free, and if not, who has it. Works without ss and lsof, which a bare machine
# does not have.

# Whether anything accepts connections on a port of this machine.
is_taken() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# The pid of the process that listens on a port, if this user may know it.
listener_of() {
    local port inode
    port=$(printf '%04X' "$1")
    inode=$(awk -v port=":$port\$" '$2 ~ port && $4 == "0A" { print $10; exit }' /proc/net/tcp /proc/net/tcp6 2>/dev/null)
    find /proc/[0-9]*/fd -lname "socket:\[$inode\]" 2>/dev/null | head -n 1 | cut -d/ -f3
}

# need_port NAME VARIABLE: the port that VARIABLE holds must be free for NAME, or held by one of ours.
need_port() {
    local port=${!2} pid name who="a process of another user"
    if [[ ! $port =~ ^[0-9]+$ ]] || ((port < 1 || port > 65535)); then die "$2=$port is no port number"; fi
    is_taken "$port" || return 0
    pid=$(listener_of "$port") || true
    for name in redis sidecar-a sidecar-b upstream envoy; do
        if [[ $pid && $(pid_of "$name") == "$pid" ]]; then return; fi
    done
    if [[ $pid ]]; then who="$(cat "/proc/$pid/comm") (pid $pid)"; fi
    die "port $port, which $1 needs, is taken by $who.
       End that process, or choose another port: $2=$((port % 50000 + 10000)) make up"
}
