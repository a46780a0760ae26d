# shellcheck shell=bash
# Sourced by up and down: background processes that survive the shell, found again by pid files.
#
# A pid alone proves nothing, since the kernel hands it out again. So a pid file holds the process's start
# time as well, and a process is ours only while both and its program are the same: nothing else is ever
# signalled.

RUN="$STATE/run" LOG="$STATE/log"
mkdir -p "$RUN" "$LOG"

# One at a time: two runs would overwrite each other's pid files and lose track of what they started.
exec 9>"$RUN/lock"
flock --nonblock 9 || die "another \`make up\` or \`make down\` is at work in this folder"

# The start time of a process in clock ticks since boot. Its name, which may hold anything, ends at the
# last `)`; of what follows, it is the 20th field.
started_at() {
    local stat fields
    stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
    read -ra fields <<<"${stat##*)}"
    echo "${fields[19]}"
}

# Prints the pid of the process NAME if it runs and is ours.
pid_of() {
    local pid start program now
    { read -r pid start program <"$RUN/$1.pid"; } 2>/dev/null || return 1
    [[ $(started_at "$pid") == "$start" ]] || return 1
    now=$(readlink "/proc/$pid/exe") || return 1
    # A program that was built anew meanwhile shows as deleted.
    [[ ${now% (deleted)} == "$program" ]] && echo "$pid"
}

# start NAME PROGRAM [ARGUMENT]…: in a session of its own, with its output in .sekisho/log/NAME.log.
# The fingerprint tells later whether what runs is still what should run.
start() {
    local name=$1 pid
    shift
    if [[ -f $LOG/$name.log ]]; then mv "$LOG/$name.log" "$LOG/$name.log.1"; fi
    fingerprint "$@" >"$RUN/$name.print"
    # 9 is the lock, which must not live as long as the process.
    setsid "$@" </dev/null >"$LOG/$name.log" 2>&1 9>&- &
    pid=$!
    echo "$pid $(started_at "$pid") $(realpath "$1")" >"$RUN/$name.pid"
    # Until setsid has become the program, /proc shows setsid itself.
    local turn
    for ((turn = 0; turn < 50; turn++)); do
        if pid_of "$name" >/dev/null || [[ ! -d /proc/$pid ]]; then return; fi
        sleep 0.02
    done
}

# Starts NAME unless it already runs just so; restarts it if its program, arguments or files changed.
ensure() {
    local name=$1
    shift
    if pid_of "$name" >/dev/null; then
        if [[ $(fingerprint "$@") == "$(cat "$RUN/$name.print")" ]]; then
            say "$name is up already"
            return
        fi
        say "$name has changed: restarting it"
        stop "$name"
    else
        say "starting $name"
    fi
    start "$name" "$@"
}

# What a process is started from: its command line, the files among its words, and its environment's
# part that is ours. Contents count, not times: a build that changes nothing restarts nothing.
fingerprint() {
    local word
    {
        printf '%s\n' "$@"
        env | awk '/^(SEKISHO|JWT|REDIS|SUPER_ADMIN|ADMIN|MAX_EXPIRES|UPSTREAM)_/ && !/^SEKISHO_PORT_/' | sort
        for word in "$@" ${DEPENDS_ON-}; do
            if [[ -f $word ]]; then sha256sum "$word"; fi
        done
    } | sha256sum
}

# Asks NAME to end, and kills it after ten seconds. Nothing happens if it does not run.
stop() {
    local pid
    if pid=$(pid_of "$1"); then
        kill -TERM "$pid" || true
        if ! gone "$1" 100; then
            say "$1 has not ended in 10 s: killing it"
            kill -KILL "$pid" || true
            gone "$1" 50 || die "$1 (pid $pid) cannot be killed"
        fi
    fi
    rm -f "$RUN/$1.pid" "$RUN/$1.print"
}

# Whether NAME has gone within so many tenths of a second.
gone() {
    local turn
    for ((turn = 0; turn < $2; turn++)); do
        pid_of "$1" >/dev/null || return 0
        sleep 0.1
    done
    return 1
}

# await NAME SECONDS WHAT COMMAND…: until the command succeeds while NAME runs: another process at its port
# could answer for it. If NAME ends or the time is over, it says so and shows the end of the log.
await() {
    local name=$1 what=$3 deadline=$((SECONDS + $2))
    shift 3
    until "$@" >/dev/null 2>&1 && pid_of "$name" >/dev/null; do
        pid_of "$name" >/dev/null || give_up "$name" "$name has ended instead of giving $what"
        ((SECONDS < deadline)) || give_up "$name" "waited in vain for $what of $name"
        sleep 0.1
    done
}

give_up() {
    tail -n 15 "$LOG/$1.log" >&2
    die "$2; above is the end of .sekisho/log/$1.log"
}
