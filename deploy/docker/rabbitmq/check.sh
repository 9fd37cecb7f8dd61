#!/bin/bash
# The broker's health check: its port for AMQP, which it opens last, answers as AMQP does. Exits 0 or 1 within five seconds.
# (rabbitmq-diagnostics would start an Erlang of its own every few seconds.)
set -euo pipefail
exec 3<>"/dev/tcp/127.0.0.1/${BROKER_AMQP_PORT:-5672}"
printf 'AMQP\0\0\11\1' >&3
IFS= read -r -t 5 -N 1 answer <&3
[ "$answer" = $'\1' ] # a frame of the type "method": connection.start
