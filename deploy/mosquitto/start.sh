#!/bin/sh
# Runs Mosquitto, and makes it read its certificates and the list of revoked ones anew (SIGHUP) within WATCH_SECONDS of a change:
#   start.sh [mosquitto.conf [folder of the certificates]]
set -eu
conf=${1:-/mosquitto/config/mosquitto.conf}
folder=${2:-/mosquitto/tls}
seconds=${WATCH_SECONDS:-2}

content() { cksum "$folder/crl.pem" "$folder/ca.pem" "$folder/server.pem" 2>/dev/null || true; }

known=$(content)
mosquitto -c "$conf" &
broker=$!
ending=
trap 'ending=yes; kill -TERM "$broker" 2>/dev/null || true' TERM INT
while [ -z "$ending" ] && kill -0 "$broker" 2>/dev/null; do
    sleep "$seconds" &
    wait $! || true
    now=$(content)
    [ "$now" = "$known" ] || {
        known=$now
        kill -HUP "$broker" 2>/dev/null || true
    }
done
wait "$broker"
