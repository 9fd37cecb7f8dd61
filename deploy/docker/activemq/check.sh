#!/bin/bash
# The broker's health check: it lets the alerts service's user in over STOMP. Exits 0 or 1 within five seconds.
set -euo pipefail
exec 3<>/dev/tcp/127.0.0.1/61613
printf 'CONNECT\naccept-version:1.2\nhost:reefmesh\nlogin:alerts\npasscode:%s\n\n\0' "$BROKER_PASSWORD_ALERTS" >&3
read -r -t 5 answer <&3
printf 'DISCONNECT\n\n\0' >&3
[ "$answer" = CONNECTED ]
