#!/bin/sh
# Makes a machine one server of a Consul cluster.
#
#   bootstrap.sh NAME IP SERVERS
#
# Every server is started the same way: each expects SERVERS of them and tries
# to join them all, so that none has to be first. Environment:
#   PEERS            addresses of all servers, separated by spaces (default: IP)
#   RAFT_MULTIPLIER  1 to 10: shorter or longer timeouts (default: 1)
#   ACL              `true` turns access control on and makes the first token
# A second run restarts the server if its configuration has changed, starts it
# if it is gone, and otherwise leaves it alone.
set -eu

[ $# -eq 3 ] || { echo "usage: $0 NAME IP SERVERS" >&2; exit 64; }
name=$1 ip=$2 servers=$3
peers=${PEERS:-$ip}
multiplier=${RAFT_MULTIPLIER:-1}
acl=${ACL:-false}

conf=/etc/consul.d
data=/var/lib/consul
log=/var/log/consul.log
pidfile=/run/consul.pid
token=$data/bootstrap-token

command -v consul >/dev/null || { echo "consul is not installed in this image" >&2; exit 1; }

# "10.10.10.11", "10.10.10.12", …
join=
for peer in $peers; do
    join="$join${join:+, }\"$peer\""
done

config() {
    cat <<JSON
{
  "node_name": "$name",
  "server": true,
  "bootstrap_expect": $servers,
  "retry_join": [$join],
  "retry_interval": "1s",
  "data_dir": "$data",
  "disable_update_check": true,
  "performance": { "raft_multiplier": $multiplier },
  "acl": { "enabled": $acl, "default_policy": "deny", "enable_token_persistence": true }
}
JSON
}

has_systemd() {
    [ -d /run/systemd/system ]
}

# The server's process id; fails if it does not run.
running() {
    if has_systemd; then
        systemctl is-active --quiet consul
    else
        [ -s "$pidfile" ] && [ "$(cat "/proc/$(cat "$pidfile")/comm" 2>/dev/null)" = consul ]
    fi
}

start() {
    set -- agent -server -bind "$ip" -client 0.0.0.0 -config-dir "$conf"
    if has_systemd; then
        cat > /etc/systemd/system/consul.service <<UNIT
[Unit]
Description=Consul server
Wants=network-online.target
After=network-online.target

[Service]
ExecStart=$(command -v consul) $*
Restart=on-failure
LimitNOFILE=65536
StandardOutput=append:$log
StandardError=append:$log

[Install]
WantedBy=multi-user.target
UNIT
        systemctl daemon-reload
        systemctl enable --quiet consul
        systemctl restart consul
    else
        # In a session of its own, so that it outlives this script.
        setsid sh -c 'echo $$ > "$0"; exec consul "$@"' "$pidfile" "$@" >>"$log" 2>&1 </dev/null &
    fi
}

stop() {
    if has_systemd; then
        systemctl stop consul
        return
    fi
    kill "$(cat "$pidfile")" 2>/dev/null || true
    for _ in $(seq 50); do
        running || return 0
        sleep 0.2
    done
    kill -9 "$(cat "$pidfile")" 2>/dev/null || true
}

# The pid file appears a moment after the start, and a configuration that
# Consul refuses ends it within another.
wait_started() {
    for _ in $(seq 50); do
        running && break
        sleep 0.1
    done
    sleep 0.5
    running || { echo "consul ended at once; the end of $log:" >&2; tail -n 5 "$log" >&2; exit 1; }
}

# Only one server makes the first token, and only once there is a leader.
make_token() {
    [ "$acl" = true ] && [ "$ip" = "${peers%% *}" ] && [ ! -s "$token" ] || return 0
    for _ in $(seq 120); do
        if made=$(consul acl bootstrap 2>&1); then
            (umask 077 && echo "$made" | awk '/^SecretID/ { print $2 }' > "$token")
            echo "the first token is in $token"
            return 0
        fi
        sleep 1
    done
    echo "cannot make the first token: $made" >&2
    exit 1
}

mkdir -p "$conf" "$data"
chmod 700 "$data"
# A machine that lost power may have left a file without content, which Consul
# would refuse; it makes a new one.
[ -s "$data/node-id" ] || rm -f "$data/node-id"
config > "$conf/nestlab.json.new"
if running && cmp -s "$conf/nestlab.json.new" "$conf/nestlab.json"; then
    rm "$conf/nestlab.json.new"
    echo "$name runs already"
else
    mv "$conf/nestlab.json.new" "$conf/nestlab.json"
    ! running || stop
    start
    wait_started
    echo "$name started on $ip, expects $servers servers: $peers"
fi
make_token
# What is set up now survives a power failure.
sync
